"""Carried VWAP, the node last traded at, swings: published number, slow references, causality."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint_assets.kernels.profile import volume_nodes
from footprint_assets.kernels.session_context import (
    NO_TICK,
    carried_vwap,
    last_high_volume_node,
    last_swing_high,
)
from footprint_assets.kernels.vwap import anchored_vwap

trade_lists = st.lists(st.tuples(st.integers(70_000, 90_000), st.integers(1, 500)), min_size=1, max_size=40)
walks = st.lists(st.integers(-3, 3), min_size=1, max_size=80)


def arrays(trades: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    tick, size = np.array(trades, np.int64).reshape(-1, 2).T.copy()
    return tick, size


def sums(trades: list[tuple[int, int]]) -> tuple[int, int, int]:
    return (
        sum(size for _, size in trades),
        sum(tick * size for tick, size in trades),
        sum(tick * tick * size for tick, size in trades),
    )


def carried(trades: list[tuple[int, int]], earlier: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    tick, size = arrays(trades)
    return carried_vwap(tick, size, 0, np.arange(len(trades) + 1), *sums(earlier))


@pytest.mark.parametrize("held", range(5))
def test_the_published_deviation_comes_out_wherever_the_earlier_sums_end(held: int) -> None:
    # Prices 100, 101, 100.5, 102 with 10, 20, 10, 20 contracts, in half points; a running mean gives 0.565450.
    trades = [(200, 10), (202, 20), (201, 10), (204, 20)]
    vwap, std = carried(trades[held:], trades[:held])
    assert vwap[-1] / 2 == pytest.approx(101.08333333333333, abs=1e-12)
    assert std[-1] / 2 == pytest.approx(0.731247032282677, abs=1e-15)


@given(trade_lists, st.integers(0, 40))
def test_earlier_trades_count_as_if_they_were_here(trades: list[tuple[int, int]], split: int) -> None:
    vwap, std = carried(trades[split:], trades[:split])
    volume, first, second = sums(trades)
    assert vwap[-1] == pytest.approx(float(Fraction(first, volume)), rel=1e-15)
    variance = Fraction(second, volume) - Fraction(first, volume) ** 2
    assert std[-1] == pytest.approx(math.sqrt(variance), rel=1e-9, abs=1e-9)


@given(trade_lists)
def test_without_earlier_trades_it_is_the_anchored_vwap_to_the_bit(trades: list[tuple[int, int]]) -> None:
    ends = np.arange(len(trades) + 1)
    for mine, other in zip(carried(trades, []), anchored_vwap(*arrays(trades), 0, ends), strict=True):
        np.testing.assert_array_equal(mine, other)


@given(trade_lists, trade_lists, st.integers(0, 40))
def test_a_later_trade_moves_no_earlier_vwap(
    trades: list[tuple[int, int]], earlier: list[tuple[int, int]], cut: int
) -> None:
    for full, part in zip(carried(trades, earlier), carried(trades[:cut], earlier), strict=True):
        np.testing.assert_array_equal(full[: len(part)], part)


def test_no_trade_at_all_has_no_vwap() -> None:
    vwap, std = carried([], [])
    assert np.isnan(vwap).all()
    assert np.isnan(std).all()


def slow_node(rows: list[int], sizes: list[int]) -> int:
    low, high = min(rows), max(rows)
    volumes = np.zeros(high - low + 1, np.int64)
    for row, size in zip(rows, sizes, strict=True):
        volumes[row - low] += size
    is_node, _ = volume_nodes(volumes)
    return next((row for row in reversed(rows) if is_node[row - low]), NO_TICK)


@given(walks, st.integers(0, 5))
def test_the_last_node_is_the_node_row_with_the_latest_trade(steps: list[int], first: int) -> None:
    rows = np.cumsum(steps) + 20_000
    sizes = np.arange(len(rows)) % 7 + 1
    ends = np.arange(first + 1, len(rows) + 1)
    expected = [slow_node(rows[first:end].tolist(), sizes[first:end].tolist()) for end in ends]
    assert last_high_volume_node(rows, sizes, first, ends).tolist() == expected


def test_a_value_without_a_new_trade_repeats_the_one_before() -> None:
    rows, sizes = np.array([5, 5, 5, 9]), np.array([9, 9, 9, 1])
    found = last_high_volume_node(rows, sizes, 0, np.array([3, 3, 4, 4]))
    assert found[0] == found[1]
    assert found[2] == found[3] == slow_node(rows.tolist(), sizes.tolist())


def slow_swing(high: list[int], strength: int) -> list[int]:
    out = []
    for t in range(len(high)):
        found = NO_TICK
        for c in range(strength, t - strength + 1):
            before, after = high[c - strength : c], high[c + 1 : c + strength + 1]
            if max(before) < high[c] >= max(after):
                found = high[c]
        out.append(found)
    return out


@given(walks, st.integers(1, 5))
def test_a_swing_high_stands_above_the_bars_before_and_not_below_those_after(
    steps: list[int], strength: int
) -> None:
    high = np.cumsum(steps)
    assert last_swing_high(high, strength).tolist() == slow_swing(high.tolist(), strength)


def test_a_swing_is_known_when_its_last_bar_on_the_right_has_closed() -> None:
    high = np.array([1, 2, 9, 3, 2, 1])
    assert last_swing_high(high, 2).tolist() == [NO_TICK] * 4 + [9, 9]


def test_the_first_of_equal_highs_is_the_swing() -> None:
    assert last_swing_high(np.array([1, 5, 5, 1, 1]), 1).tolist() == [NO_TICK, NO_TICK, 5, 5, 5]
    assert last_swing_high(np.array([5, 5, 1]), 1).tolist() == [NO_TICK] * 3
