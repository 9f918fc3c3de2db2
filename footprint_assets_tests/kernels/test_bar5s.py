"""The streaming kernel and the ladder functions by themselves."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels import bar5s as k
from footprint_assets.kernels import bar5s_states as states
from footprint_assets.kernels.bar5s_ladder import gaps, microprice, shares, walls
from footprint_assets.kernels.bar5s_scan import BarState, ClosedBars, OffTickGrid, finish, scan
from footprint_assets.kernels.book_events import UNDEF_PRICE, BookEventState
from footprint_assets.kernels.book_flow import book_flow
from footprint_assets.transforms.book import book_events
from footprint_assets_tests.kernels.bar5s_records import START, TICK, random_stream


def arrays(records):
    """Kernel inputs of some records: ladders by column."""
    n = len(records)
    price, size = np.full((2, 10, n), UNDEF_PRICE, np.int64), np.zeros((2, 10, n), np.int32)
    orders = np.zeros((2, 10, n), np.int32)
    for i, record in enumerate(records):
        for s, ladder in enumerate((record.bids, record.asks)):
            for level, (p, q, count) in enumerate(ladder):
                price[s, level, i], size[s, level, i], orders[s, level, i] = p, q, count
    event = (
        np.array([ord(r.action) for r in records], np.uint8),
        np.array([ord(r.side) for r in records], np.uint8),
        np.array([r.flags for r in records], np.int16),
        np.array([UNDEF_PRICE if r.price is None else r.price for r in records], np.int64),
        np.array([r.size for r in records], np.int64),
        price,
        size,
    )
    return np.array([r.ts for r in records], np.int64), *event, orders, book_flow(*event, BookEventState())


def run(records):
    state = BarState()
    return ClosedBars.joined([scan(*arrays(records), TICK, state), finish(state)])


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
    flow = run(records).counts[:, k.FLOW : k.FLOW_CNT].sum(axis=0).reshape(2, -1).sum(axis=1)
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
    average = states.published(run(records).average, TICK)
    price = {(r.asks[0][0] - r.bids[0][0]) / k.POINT_NANOS for r in records if r.bids and r.asks}
    spreads = average[:, states.SPREAD]
    for spread in spreads[~np.isnan(spreads)]:
        assert min(price) <= spread <= max(price)
    for leaning in (average[:, states.OBI : states.MICRO_ADJ], average[:, states.CDI : states.BAND_QTY]):
        assert (np.abs(leaning[~np.isnan(leaning)]) <= 1).all()
    quantities = average[:, states.BAND_QTY : states.AVERAGED]
    assert (quantities[~np.isnan(quantities)] >= 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(2, 9))
def test_larger_sizes_scale_quantities_and_leave_ratios(seed, size, factor):
    records = random_stream(seed, size)
    larger = [
        replace(
            r,
            **{side: tuple((p, q * factor, n) for p, q, n in getattr(r, side)) for side in ("bids", "asks")},
        )
        for r in records
    ]
    scaled, plain = run(larger).last[-1], run(records).last[-1]
    quantities = [*range(states.DEPTH, states.COM), *range(states.BAND_QTY, states.BAND_FRAC)]
    np.testing.assert_array_equal(scaled[quantities], plain[quantities] * factor)
    ratios = [
        states.SPREAD,
        *range(states.OBI, states.OCI),
        *range(states.CDI, states.BAND_QTY),
        states.HHI,
        states.COM,
    ]
    np.testing.assert_allclose(scaled[ratios], plain[ratios], rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(300, 900), st.integers(1, 899))
def test_a_bar_longer_than_a_tile_is_the_same_in_two_chunks(seed, size, cut):
    """All records within one bar, in the order of their lanes wherever a tile or a chunk ends."""
    rng = random.Random(seed)
    books = [r for r in random_stream(seed, 9) if two_sided(r)] or random_stream(1, 9)
    records = [replace(rng.choice(books), ts=START + 3_000_000 * i) for i in range(size)]
    whole, inputs, state = run(records), arrays(records), BarState()
    events = BookEventState()
    parts = []
    for piece in (records[:cut], records[cut:]):
        if piece:
            ts, *event, orders, _ = arrays(piece)
            parts.append(scan(ts, *event, orders, book_flow(*event, events), TICK, state))
    parts = ClosedBars.joined([*parts, finish(state)])
    assert len(inputs[0]) == size
    for name in ("start_ns", "counts", "average", "last", "mid", "stale_ns"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name), name)


def test_a_price_off_the_grid_is_refused():
    one = random_stream(1, 1)[0]
    off = replace(one, bids=((19_200 * TICK + 1, 1, 1),), action="A")
    with pytest.raises(OffTickGrid):
        run([off])


def test_no_record_is_no_bar():
    state = BarState()
    assert len(scan(*arrays([]), TICK, state)) == 0
    assert len(finish(state)) == 0


def test_every_bar_of_a_long_silence_is_handed_out():
    one = random_stream(1, 1)[0]
    assert len(run([one, replace(one, ts=START + 3600 * 10**9)])) == 721


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
