"""The streaming kernel and the ladder functions by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels import bar5s as k
from footprint_assets.kernels.bar5s_ladder import gaps, microprice, shares, walls
from footprint_assets.kernels.book_events import UNDEF_PRICE, BookEventState
from footprint_assets.kernels.book_flow import book_flow
from footprint_assets.transforms.book import book_events
from footprint_assets_tests.kernels.bar5s_records import START, random_stream


def arrays(records):
    """Kernel inputs of some records: ladders by column."""
    n = len(records)
    price, size = np.full((2, 10, n), UNDEF_PRICE, np.int64), np.zeros((2, 10, n), np.int32)
    for i, record in enumerate(records):
        for s, ladder in enumerate((record.bids, record.asks)):
            for level, (p, q, _) in enumerate(ladder):
                price[s, level, i], size[s, level, i] = p, q
    event = (
        np.array([ord(r.action) for r in records], np.uint8),
        np.array([ord(r.side) for r in records], np.uint8),
        np.array([r.flags for r in records], np.int16),
        np.array([UNDEF_PRICE if r.price is None else r.price for r in records], np.int64),
        np.array([r.size for r in records], np.int64),
        price,
        size,
    )
    return np.array([r.ts for r in records], np.int64), *event, book_flow(*event, BookEventState()).differs


def run(records):
    state = k.BarState()
    closed = k.scan(*arrays(records), state)
    last = k.finish(state)
    return {
        name: np.concatenate([getattr(closed, name), getattr(last, name)])
        for name in ("start_ns", "counts", "seen", "average", "last", "last_row")
    }


def two_sided(record):
    """Whether the record's book has a microprice; a one-sided book's flow is in no band."""
    return bool(record.bids and record.asks)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_flow_over_all_bands_is_what_the_clean_book_added_filled_and_pulled(seed, size):
    records = [r for r in random_stream(seed, size) if two_sided(r)]
    if not records:
        return
    inputs = arrays(records)
    _, filled, pulled, added = book_events(*inputs[1:8], BookEventState())
    flow = run(records)["counts"][:, k.FLOW : k.FLOW_CNT].sum(axis=0).reshape(2, -1).sum(axis=1)
    prices = [price for r in records for price, _, _ in (*r.bids, *r.asks)]
    if max(prices) - min(prices) > k.BAND_EDGES[-1]:  # some may lie beyond the last band
        assert flow[0] <= added.sum()
        assert flow[1] <= filled.sum() + pulled.sum()
    else:
        assert flow.tolist() == [added.sum(), filled.sum() + pulled.sum()]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_an_average_stays_within_the_states_it_averages(seed, size):
    records = random_stream(seed, size)
    out = run(records)
    price = {(r.asks[0][0] - r.bids[0][0]) / k.POINT_NANOS for r in records if r.bids and r.asks}
    spreads = out["average"][:, k.SPREAD]
    for spread in spreads[~np.isnan(spreads)]:
        assert min(price) <= spread <= max(price)
    known = ~np.isnan(out["average"])
    assert (np.abs(out["average"][:, k.OBI0 : k.DEPTH][known[:, k.OBI0 : k.DEPTH]]) <= 1).all()
    assert (out["average"][:, k.DEPTH :][known[:, k.DEPTH :]] >= 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(2, 9))
def test_larger_sizes_scale_quantities_and_leave_ratios(seed, size, factor):
    records = random_stream(seed, size)
    inputs = arrays(records)
    state = k.BarState()
    k.scan(*inputs[:7], inputs[7] * factor, inputs[8], state)
    scaled, plain = k.finish(state).last[0], run(records)["last"][-1]
    quantities = slice(k.DEPTH, k.BAND_FRAC)
    np.testing.assert_array_equal(scaled[quantities], plain[quantities] * factor)
    ratios = [*range(k.DEPTH), *range(k.BAND_FRAC, k.STATES)]
    np.testing.assert_allclose(scaled[ratios], plain[ratios], rtol=1e-12)


def test_no_record_is_no_bar():
    state = k.BarState()
    assert len(k.scan(*arrays([]), state)) == 0
    assert len(k.finish(state)) == 0


def test_every_bar_of_a_long_silence_is_handed_out():
    one = random_stream(1, 1)[0]
    later = type(one)(START + 3600 * 10**9, *[getattr(one, f) for f in list(one.__dataclass_fields__)[1:]])
    assert len(run([one, later])["start_ns"]) == 721


def column(*values):
    return np.array(values, np.float64)[:, None]


def test_the_gap_of_a_side_with_one_level_is_not_defined():
    largest, mean = gaps(column(100.0, 99.75, 99.0, np.nan))
    assert (largest[0], mean[0]) == (0.75, 0.5)
    assert np.isnan(gaps(column(100.0, np.nan))[0]).all()


def test_shares_add_up_to_one_and_an_empty_side_has_none():
    assert shares(column(1, 3)).ravel().tolist() == [0.25, 0.75]
    assert np.isnan(shares(column(0, 0))).all()


def test_the_microprice_of_two_empty_queues_is_the_mid():
    assert microprice(*(np.array([x]) for x in (100.0, 101.0, 0.0, 0.0)))[0] == 100.5
    assert np.isnan(microprice(*(np.array([x]) for x in (np.nan, 101.0, 0.0, 3.0)))[0])


def test_of_two_equal_walls_the_nearer_one_counts():
    price, size = np.arange(10.0)[:, None] + 100, np.full((10, 1), 5.0)
    size[[3, 7]] = 900
    found = walls(price, size, np.array([99.5]))
    assert found.max_level[0] == 3
    assert found.max_z[0] == pytest.approx(2.0)


def test_levels_of_one_size_have_no_wall():
    found = walls(column(100, 101, 102), column(7, 7, 7), np.array([99.5]))
    assert (found.max_z[0], found.max_level[0], found.strong_level[0]) == (0, 0, -1)
    assert np.isnan(found.strong_distance[0])
