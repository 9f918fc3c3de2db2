"""Clean book rows as arrays: what is unpacked, what is carried, what is refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.kernels.book_events import UNDEF_PRICE
from footprint_assets.kernels.book_flow import BookFlow
from footprint_assets.transforms.bbo import BboStream
from footprint_assets.transforms.book_batch import (
    INPUT_COLUMNS,
    SOURCE,
    BookReader,
    BookRowsRefused,
    book_batches,
    ticks,
)
from footprint_assets.transforms.price5s import Price5sStream
from footprint_assets.transforms.shocks import ShockStream
from footprint_assets_tests.kernels.bar5s_records import TICK, frame, random_stream
from footprint_assets_tests.kernels.bar5s_reference import BAR
from footprint_assets_tests.kernels.book_walk import walk
from footprint_assets_tests.transforms.real_book import clean_hour

SESSION = cme.session(dt.date(2023, 12, 26))


def test_the_columns_read_are_columns_of_the_clean_book():
    assert {*INPUT_COLUMNS} <= {*contracts.load(SOURCE).polars_schema}


def test_a_batch_holds_the_rows_as_they_are():
    records = random_stream(3, 16)
    batch = BookReader(SESSION).read(frame(records).select(INPUT_COLUMNS))
    assert len(batch) == 16
    for n, r in enumerate(records):
        assert (batch.ts[n], chr(batch.action[n]), chr(batch.side[n])) == (r.ts, r.action, r.side)
        assert (batch.flags[n], batch.size[n]) == (r.flags, r.size)
        assert batch.price[n] == (UNDEF_PRICE if r.price is None else r.price)
        for s, ladder in enumerate((r.bids, r.asks)):
            absent = [(UNDEF_PRICE, 0, 0)] * (10 - len(ladder))
            shown = [*zip(batch.px[s, :, n], batch.sz[s, :, n], batch.ct[s, :, n], strict=True)]
            assert shown == [*ladder, *absent]


def test_the_flow_goes_on_from_frame_to_frame():
    rows = frame(walk(5, 200))
    whole, *_ = book_batches([rows], SESSION)
    parts = [*book_batches([rows.slice(at, 7) for at in range(0, rows.height, 7)], SESSION)]
    for name in (f.name for f in fields(BookFlow) if f.name not in ("row", "moved")):
        together = np.concatenate([getattr(part.flow, name) for part in parts], axis=-1)
        assert np.array_equal(together, getattr(whole.flow, name)), name


def test_a_batch_stands_while_the_next_one_is_read():
    rows = frame(walk(7, 60))
    parts = [rows.slice(0, 20), rows.slice(20, 30), rows.slice(50)]
    reader = BookReader(SESSION)
    before = reader.read(parts[0])
    for part, following in pairwise(parts):
        after = reader.read(following)
        for what, ladder in (("px", before.px), ("sz", before.sz), ("ct", before.ct)):
            shown = part[f"ask_{what}_09"].fill_null(int(UNDEF_PRICE) if what == "px" else 0)
            assert ladder[1, 9].tolist() == shown.to_list()
        before = after


def test_a_frame_without_rows_is_no_batch():
    rows = frame(walk(0, 3))
    assert [len(batch) for batch in book_batches([rows.clear(), rows], SESSION)] == [rows.height]


def test_rows_of_another_trade_date_are_refused():
    with pytest.raises(BookRowsRefused, match="outside the trade date"):
        BookReader(cme.session(dt.date(2023, 12, 27))).read(frame(walk(0, 3)))


def test_rows_before_those_of_the_last_frame_are_refused():
    rows = frame(walk(2, 40))
    reader = BookReader(SESSION)
    reader.read(rows.tail(1))
    with pytest.raises(BookRowsRefused, match="event order"):
        reader.read(rows.head(1))


def test_rows_of_two_contracts_are_refused():
    rows = frame(walk(0, 3)).with_columns(
        symbol=pl.when(pl.int_range(pl.len()) == 1).then(pl.lit("ESM4")).otherwise("symbol")
    )
    with pytest.raises(BookRowsRefused, match="several contracts"):
        BookReader(SESSION).read(rows)


def test_prices_become_ticks_and_half_a_tick_is_refused():
    assert ticks(np.array([-TICK, 0, 5 * TICK]), TICK, "ESH4").tolist() == [-1, 0, 5]
    with pytest.raises(BookRowsRefused, match="off the tick grid"):
        ticks(np.array([TICK // 2]), TICK, "ESH4")


@pytest.mark.realdata
def test_one_pass_over_a_real_hour_feeds_the_book_by_price_the_shocks_and_the_quotes(real_data, tmp_path):
    rows = clean_hour(real_data, tmp_path / "lake")
    streams = {
        "price5s": Price5sStream(TICK),
        "shocks": ShockStream(TICK),
        "bbo": BboStream(TICK),
    }
    parts = {name: [] for name in streams}
    for batch in book_batches((rows.slice(at, 4096) for at in range(0, rows.height, 4096)), SESSION):
        for name, stream in streams.items():
            parts[name].append(stream.push(batch))
    out = {name: pl.concat([*parts[name], stream.finish()]) for name, stream in streams.items()}

    by_price, quotes, shocks = out["price5s"], out["bbo"], out["shocks"]
    for what, source in (("add", "added_qty"), ("pull", "pulled_qty"), ("fill", "filled_qty")):
        assert by_price[f"bid_{what}_vol"].sum() + by_price[f"ask_{what}_vol"].sum() == rows[source].sum()
    first = rows["ts_event"].to_physical()[0]
    assert by_price["bar_ts"].to_physical().min() == first // BAR * BAR
    assert by_price["bar_ts"].n_unique() == 1440, "every bar of two hours, the quiet ones included"

    held = quotes.with_columns(
        lasted=pl.col("ts_event").to_physical().shift(-1, fill_value=1440 * BAR + first // BAR * BAR)
        - pl.col("ts_event").to_physical(),
        spread=pl.col("ask_tick") - pl.col("bid_tick") + 1,
    )
    assert by_price["dwell_ns"].sum() == (held["lasted"] * held["spread"].clip(0)).sum()

    assert shocks["fill_vol"].sum() <= rows["filled_qty"].sum()
    assert (2 * shocks["fill_vol"] >= shocks["qty_before"]).all()
    assert shocks["ts_event"].is_sorted()
    best = shocks.filter("is_best")
    joined = best.join_asof(quotes, on="ts_event", strategy="backward", allow_exact_matches=False)
    at_best = pl.when(pl.col("resting_side") == "BID").then("bid_tick").otherwise("ask_tick")
    share = joined.select((at_best == pl.col("price_tick")).mean()).item()
    assert share > 0.9, "the best price is that of the quote before, but for events of one instant"
