"""Assignment of trades to bars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.bars import Bars, range_bars, tick_bars, time_bars, volume_bars

SECOND = 1_000_000_000
OPEN = 1_718_056_800 * SECOND
CLOSE = OPEN + 23 * 3600 * SECOND


def ints(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def groups(bars: Bars) -> list[list[int]]:
    """Trade indices of every bar."""
    return [list(range(a, b)) for a, b in zip(bars.offsets[:-1], bars.offsets[1:], strict=True)]


steps = st.lists(st.integers(0, 8 * SECOND), max_size=60)


@settings(deadline=None)  # the first call compiles
@given(steps, st.sampled_from([1, 5, 60]))
def test_time_bars_group_trades_by_interval_since_the_open(gaps: list[int], seconds: int) -> None:
    ts = OPEN + np.cumsum(ints(gaps))
    bars = time_bars(ts, seconds * SECOND, OPEN, CLOSE)
    expected: dict[int, list[int]] = {}
    for i, t in enumerate(ts.tolist()):
        expected.setdefault((t - OPEN) // (seconds * SECOND), []).append(i)
    assert groups(bars) == list(expected.values())
    assert bars.start_ns.tolist() == [OPEN + slot * seconds * SECOND for slot in expected]
    assert (bars.end_ns - bars.start_ns == seconds * SECOND).all()


def test_a_trade_on_the_boundary_opens_the_new_time_bar() -> None:
    bars = time_bars(OPEN + ints([0, 5 * SECOND - 1, 5 * SECOND]), 5 * SECOND, OPEN, CLOSE)
    assert groups(bars) == [[0, 1], [2]]
    assert bars.bar_id.tolist() == [0, 0, 1]


def test_a_trade_before_the_open_belongs_to_a_bar_that_ends_by_the_open() -> None:
    bars = time_bars(OPEN + ints([-1, 0]), 60 * SECOND, OPEN, CLOSE)
    assert bars.end_ns.tolist() == [OPEN, OPEN + 60 * SECOND]


@pytest.mark.parametrize(
    ("close_after_s", "complete"),
    [(60, [True, False, False]), (119, [True, False, False]), (120, [True, True, False])],
)
def test_a_time_bar_is_complete_when_it_ends_within_trading_hours(
    close_after_s: int, complete: list[bool]
) -> None:
    ts = OPEN + ints([0, 60 * SECOND, 200 * SECOND])
    bars = time_bars(ts, 60 * SECOND, OPEN, OPEN + close_after_s * SECOND)
    assert bars.is_complete.tolist() == complete


def slow_range_bars(ticks: list[int], range_ticks: int) -> list[list[int]]:
    bars: list[list[int]] = []
    for i, tick in enumerate(ticks):
        prices = [ticks[j] for j in bars[-1]] + [tick] if bars else [tick]
        if bars and max(prices) - min(prices) <= range_ticks:
            bars[-1].append(i)
        else:
            bars.append([i])
    return bars


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(-20, 20), max_size=60), st.integers(1, 12))
def test_range_bars_equal_the_reference(ticks: list[int], range_ticks: int) -> None:
    bars = range_bars(OPEN + np.arange(len(ticks)), ints(ticks), range_ticks)
    assert groups(bars) == slow_range_bars(ticks, range_ticks)
    assert bars.is_complete.tolist() == [True] * (len(bars) - 1) + [False] * (len(bars) > 0)


def test_the_trade_that_breaks_the_range_opens_the_next_bar() -> None:
    bars = range_bars(OPEN + np.arange(5), ints([100, 110, 105, 99, 100]), 10)
    assert groups(bars) == [[0, 1, 2], [3, 4]]


def slow_volume_bars(sizes: list[int], contracts: int) -> list[list[int]]:
    bars: list[list[int]] = []
    for i in range(len(sizes)):
        if not bars or sum(sizes[j] for j in bars[-1]) >= contracts:
            bars.append([])
        bars[-1].append(i)
    return bars


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(1, 30), max_size=60), st.integers(1, 50))
def test_volume_bars_equal_the_reference_and_never_split_a_trade(sizes: list[int], contracts: int) -> None:
    bars = volume_bars(OPEN + np.arange(len(sizes)), ints(sizes), contracts)
    expected = slow_volume_bars(sizes, contracts)
    assert groups(bars) == expected
    assert bars.is_complete.tolist() == [sum(sizes[i] for i in bar) >= contracts for bar in expected]


def test_a_volume_bar_that_overshoots_keeps_its_last_trade_whole() -> None:
    bars = volume_bars(OPEN + np.arange(4), ints([600, 300, 700, 1000]), 1000)
    assert groups(bars) == [[0, 1, 2], [3]]
    assert bars.is_complete.all()


@pytest.mark.parametrize(("trades", "complete"), [(4, [True, True]), (5, [True, True, False])])
def test_a_tick_bar_is_complete_when_it_holds_all_its_trades(trades: int, complete: list[bool]) -> None:
    bars = tick_bars(OPEN + np.arange(trades), 2)
    assert bars.is_complete.tolist() == complete
    assert np.diff(bars.offsets).tolist() == [2] * (trades // 2) + [1] * (trades % 2)


def test_an_event_bar_spans_its_first_to_its_last_trade() -> None:
    bars = tick_bars(OPEN + ints([3, 9, 9, 20]), 3)
    assert bars.start_ns.tolist() == [OPEN + 3, OPEN + 20]
    assert bars.end_ns.tolist() == [OPEN + 9, OPEN + 20]


def test_no_trades_make_no_bars() -> None:
    nothing = ints([])
    for bars in (
        time_bars(nothing, SECOND, OPEN, CLOSE),
        range_bars(nothing, nothing, 10),
        volume_bars(nothing, nothing, 1000),
        tick_bars(nothing, 2000),
    ):
        assert len(bars) == 0
        assert bars.bar_id.tolist() == []
