"""Order-flow imbalance on real ES: how much of the price change it explains, against published figures.

The recipe of the figures: ten-second bars on whole multiples of ten seconds, from the Globex open on; the sum of the
imbalances of the book records of a bar against the change of the last mid from bar to bar, least squares with an intercept;
the integrated imbalance along the first principal component of the same hour.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from footprint_assets import contracts
from footprint_assets.kernels.fits import explained_share, ofi_principal_component
from footprint_assets.transforms.bar5s import TABLE as BAR5S
from footprint_assets.transforms.bar5s_book import TABLE as BOOK
from footprint_assets.transforms.book_batch import INPUT_COLUMNS
from footprint_assets.transforms.book_pass import book_pass
from footprint_assets_tests.kernels.bar5s_records import TICK
from footprint_assets_tests.transforms.hand_books import SESSION
from footprint_assets_tests.transforms.real_book import clean_hour

pytestmark = pytest.mark.realdata
OFI = [f"bar5s_ofi_m{level:02d}_sum" for level in range(10)]


@pytest.fixture(scope="module")
def clean(real_data, tmp_path_factory):
    return clean_hour(real_data, tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def tables(clean):
    found = {}
    parts = (clean.select(INPUT_COLUMNS).slice(at, 4096) for at in range(0, clean.height, 4096))
    for key, rows in book_pass(parts, SESSION, TICK):
        found.setdefault(key, []).append(rows)
    return {key: pl.concat(rows) for key, rows in found.items()}


@pytest.fixture(scope="module")
def hour(tables):
    """Ten-second bars from the open at 18:00 ET: imbalance by level, and the change of the mid in ticks."""
    opened = tables[BOOK].filter(pl.col("bar_ts").to_physical() >= SESSION.open_ns)
    bars = opened.group_by_dynamic("bar_ts", every="10s").agg(
        pl.col(OFI).sum(), pl.col("bar5s_mid_close_px").last().alias("mid")
    )
    change = bars["mid"].diff().to_numpy()[1:] / 0.25
    return bars.select(OFI).to_numpy()[1:], change


def r_squared(x, y):
    return np.corrcoef(x, y)[0, 1] ** 2


def test_the_imbalance_at_the_best_quote_explains_the_published_share_of_the_price_change(hour):
    ofi, change = hour
    assert len(change) == 359
    assert r_squared(ofi[:, 0], change) == pytest.approx(0.471, abs=0.001)


def test_the_integrated_imbalance_explains_the_published_share(hour):
    ofi, change = hour
    weights = ofi_principal_component(ofi)
    assert explained_share(ofi, weights) == pytest.approx(0.929, abs=0.001)
    assert r_squared(ofi @ weights, change) == pytest.approx(0.879, abs=0.001)
    assert np.polyfit(ofi @ weights, change, 1)[0] > 0


def test_es_shows_about_nine_ticks_beyond_the_best_price(tables):
    opened = tables[BOOK].filter(pl.col("bar_ts").to_physical() >= SESSION.open_ns)
    for side in ("bid", "ask"):
        assert opened[f"bar5s_ladder_{side}_visible_ticks_eob"].median() == 9
        assert opened[f"bar5s_ladder_{side}_visible_ticks_eob"].mean() == pytest.approx(9.0, abs=0.2)


def test_flows_of_the_hour_are_those_of_the_clean_book(clean, tables):
    book = tables[BOOK]
    contracts.Validator(contracts.load(BOOK)).validate(book)
    assert book["bar_ts"].equals(tables[BAR5S]["bar_ts"])
    for what, column in (("add", "added_qty"), ("fill", "filled_qty"), ("pull", "pulled_qty")):
        total = sum(book[f"bar5s_flow_{what}_vol_{side}_sum"].sum() for side in ("bid", "ask"))
        assert total == clean[column].sum()
