"""Trades around a level: bands, sweeps, slopes and the session's footprint on prints written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels import level_tape as kernel

LEVEL, BAND = 1000, 4
NO_LARGE = 2**62


def windows(rows, begin=(0,), end=None, large=NO_LARGE):
    """Facts of prints given as (tick from the level, size, sign, order, size of the order, prices of the order)."""
    tick, size, sign, order, total, swept = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    ends = np.array(end or (len(rows),), np.int64)
    return kernel.tape_windows(
        LEVEL + tick, size, sign, order, total, swept, np.array(begin, np.int64), ends, LEVEL, BAND, large
    )


def test_a_print_at_the_edge_of_the_band_counts_and_one_beyond_does_not():
    facts = windows([(4, 1, 1, 1, 1, 1), (-4, 2, -1, 2, 2, 1), (5, 4, 1, 3, 4, 1), (-5, 8, -1, 4, 8, 1)])[0]
    assert facts[[kernel.COUNT, kernel.VOLUME, kernel.BUY, kernel.SELL]].tolist() == [2, 3, 1, 2]


def test_a_print_of_unknown_side_has_volume_but_no_side():
    facts = windows([(0, 3, 0, 1, 3, 2)], large=1)[0]
    assert facts[kernel.VOLUME] == 3
    assert facts[kernel.BUY :].sum() == 0


def test_a_sweep_into_the_band_counts_once_with_what_it_traded_inside():
    sweep = [(3, 1, 1, 7, 6, 3), (4, 2, 1, 7, 6, 3), (5, 3, 1, 7, 6, 3)]
    facts = windows([*sweep, (0, 9, 1, 8, 9, 1), (1, 1, -1, 9, 2, 2), (0, 1, -1, 9, 2, 2)])[0]
    assert facts[[kernel.SWEEP_BUY_CNT, kernel.SWEEP_BUY_VOL]].tolist() == [1, 3]
    assert facts[[kernel.SWEEP_SELL_CNT, kernel.SWEEP_SELL_VOL]].tolist() == [1, 2]


def test_an_order_is_large_by_all_it_traded():
    facts = windows([(4, 5, 1, 1, 12, 2), (5, 7, 1, 1, 12, 2), (0, 11, 1, 2, 11, 1)], large=12)[0]
    assert facts[kernel.LARGE_BUY_VOL] == 5


def test_windows_may_overlap_and_be_empty():
    rows = [(0, 1, 1, 1, 1, 1), (0, 2, 1, 2, 2, 1), (0, 4, 1, 3, 4, 1)]
    assert windows(rows, (0, 1, 2), (2, 3, 2))[:, kernel.BUY].tolist() == [3, 6, 0]


def test_the_slope_is_that_of_price_on_time():
    ts = np.array([0, 1, 2, 3], np.int64) * 10**9 + 10**18
    tick = LEVEL + np.array([0, 2, 90, 3], np.int64)
    zero, all_ = np.zeros(1, np.int64), np.array([4], np.int64)
    slope = kernel.tape_slopes(ts, tick, zero, all_, LEVEL, BAND)[0]
    assert slope == pytest.approx(np.polyfit([0, 1, 3], [0, 2, 3], 1)[0])
    assert np.isnan(kernel.tape_slopes(ts[[0, 0]], tick[:2], zero, np.array([2]), LEVEL, BAND)[0])


def test_of_two_prints_equally_close_the_one_before_the_level_is_nearest():
    tick = LEVEL + np.array([3, -3, 5, -9], np.int64)
    for direction, deepest in ((1, 5), (-1, 9)):
        found = kernel.nearest_and_deepest(tick, np.array([0, 4]), np.array([4, 4]), LEVEL, direction)
        assert found[0].tolist() == [-3, kernel.NO_PRINT]
        assert found[1].tolist() == [deepest, kernel.NO_PRINT]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-15, 15), st.integers(1, 9), st.integers(-1, 1)), min_size=1, max_size=50),
    st.integers(0, 6),
)
def test_the_footprint_at_the_level_is_that_of_all_trades_so_far(prints, band):
    tick, size, sign = (np.array(column, np.int64) for column in zip(*prints, strict=True))
    ends = np.arange(len(tick) + 1)
    volume, delta, rank = kernel.footprint_at_level(LEVEL + tick, size, sign, ends, LEVEL, band)
    assert np.isnan(rank[0])
    for n in ends[1:]:
        near = np.abs(tick[:n]) <= band
        here = int(size[:n][near].sum())
        bands = [
            int(size[:n][np.abs(tick[:n] - k) <= band].sum())
            for k in range(tick[:n].min(), tick[:n].max() + 1)
        ]
        assert (volume[n], delta[n]) == (here, (size * sign)[:n][near].sum())
        assert rank[n] == pytest.approx(sum((b < here) + (b == here) / 2 for b in bands) / len(bands))
