"""Developing value area and volume nodes against slow references, with their symmetries."""

from __future__ import annotations

import re
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.profile import (
    developing_value_area,
    has_two_distributions,
    smoothed,
    volume_nodes,
)
from footprint_assets_tests.kernels.footprint_reference import value_area

trade_lists = st.lists(st.tuples(st.integers(-15, 15), st.integers(1, 60)), min_size=1, max_size=30)
profiles = st.lists(st.integers(0, 40), min_size=1, max_size=40)


def develop(
    trades: list[tuple[int, int]], ends: list[int], first: int = 0, rows: int = 2
) -> list[tuple[int, ...]]:
    row, size = np.array(trades, np.int64).T.copy()
    found = developing_value_area(row, size, first, np.array(ends, np.int64), 70, rows)
    return list(zip(*(values.tolist() for values in found), strict=True))


def area_from_scratch(trades: list[tuple[int, int]], rows: int) -> tuple[int, ...]:
    low, high = min(row for row, _ in trades), max(row for row, _ in trades)
    volumes = [sum(size for row, size in trades if row == at) for at in range(low, high + 1)]
    return tuple(low + place for place in value_area(volumes, 70, rows))


@settings(deadline=None)  # the first call compiles
@given(trade_lists, st.sampled_from([1, 2]))
def test_the_developing_value_area_is_that_of_the_trades_so_far(
    trades: list[tuple[int, int]], rows: int
) -> None:
    ends = list(range(1, len(trades) + 1))
    assert develop(trades, ends, rows=rows) == [area_from_scratch(trades[:end], rows) for end in ends]


@settings(deadline=None)  # the first call compiles
@given(trade_lists, trade_lists)
def test_the_future_does_not_move_a_developing_value_area(
    past: list[tuple[int, int]], future: list[tuple[int, int]]
) -> None:
    ends = list(range(1, len(past) + 1))
    assert develop(past + future, ends) == develop(past, ends)


@settings(deadline=None)  # the first call compiles
@given(trade_lists, trade_lists)
def test_a_profile_starts_at_its_own_first_trade(
    before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    ends = [len(before) + end for end in range(1, len(after) + 1)]
    alone = develop(after, list(range(1, len(after) + 1)))
    assert develop(before + after, ends, first=len(before)) == alone


def test_no_bars_make_no_developing_values() -> None:
    assert develop([(1, 1)], []) == []


Nodes = tuple[list[bool], list[bool]]
windows = st.sampled_from([1, 3, 5, 9])


def nodes(volumes: list[int], width: int = 5, high: int = 1200, low: int = 500) -> Nodes:
    is_high, is_low = volume_nodes(np.array(volumes, np.int64), width, high, low)
    return is_high.tolist(), is_low.tolist()


def slow_nodes(volumes: list[int], width: int, high: int, low: int) -> Nodes:
    """From the definition: pad with nothing, average the window, look past a plateau to both sides."""
    half = [0] * (width // 2)
    padded = [*half, *volumes, *half]
    profile = [Fraction(sum(padded[i : i + width]), width) for i in range(len(volumes))]
    median = statistics.median(profile)

    def beyond(start: int, step: int) -> Fraction:
        at = start
        while 0 <= at < len(profile) and profile[at] == profile[start]:
            at += step
        return profile[at] if 0 <= at < len(profile) else Fraction(0)

    sides = [(beyond(i, -1), beyond(i, 1)) for i in range(len(profile))]
    is_high = [v > max(s) and v >= Fraction(high, 1000) * median for v, s in zip(profile, sides, strict=True)]
    is_low = [v < min(s) and v <= Fraction(low, 1000) * median for v, s in zip(profile, sides, strict=True)]
    return is_high, is_low


@settings(deadline=None)  # the first call compiles
@given(profiles, windows, st.integers(500, 3000), st.integers(100, 1500))
def test_volume_nodes_equal_the_slow_definition(volumes: list[int], width: int, high: int, low: int) -> None:
    assert nodes(volumes, width, high, low) == slow_nodes(volumes, width, high, low)


@settings(deadline=None)  # the first call compiles
@given(profiles)
def test_a_mirrored_profile_has_mirrored_nodes(volumes: list[int]) -> None:
    is_high, is_low = nodes(volumes)
    assert nodes(volumes[::-1]) == (is_high[::-1], is_low[::-1])


@settings(deadline=None)  # the first call compiles
@given(profiles, st.integers(2, 9))
def test_scaling_all_volumes_moves_no_node(volumes: list[int], factor: int) -> None:
    assert nodes([factor * volume for volume in volumes]) == nodes(volumes)


def test_a_double_distribution_has_two_high_nodes_and_a_low_one_between() -> None:
    hill = [5, 30, 80, 100, 80, 30, 5]
    is_high, is_low = nodes([*hill, 0, 0, 0, 0, 0, *hill])
    assert [row for row, flag in enumerate(is_high) if flag] == [3, 15]
    assert [row for row, flag in enumerate(is_low) if flag] == [9]


def test_a_flat_profile_has_no_nodes() -> None:
    assert not any(nodes([7] * 12)[0] + nodes([7] * 12)[1])


def test_the_thin_ends_of_a_profile_are_no_low_nodes() -> None:
    assert not any(nodes([1, 5, 40, 90, 100, 90, 40, 5, 1])[1])


@pytest.mark.parametrize("volumes", [[4], [1, 2, 3, 4, 5, 6, 7]])
@pytest.mark.parametrize("width", [1, 3, 5])
def test_smoothing_sums_a_centred_window_and_nothing_beyond_the_ends(volumes: list[int], width: int) -> None:
    half = [0] * (width // 2)
    padded = [*half, *volumes, *half]
    expected = [sum(padded[i : i + width]) for i in range(len(volumes))]
    assert smoothed(np.array(volumes), width).tolist() == expected


@settings(deadline=None)  # the first call compiles
@given(st.text("HL.", max_size=15))
def test_a_double_distribution_has_a_low_node_between_two_high_ones(rows: str) -> None:
    is_high, is_low = (np.array([row == letter for row in rows], np.bool_) for letter in "HL")
    assert has_two_distributions(is_high, is_low) == (re.search("H.*L.*H", rows) is not None)
