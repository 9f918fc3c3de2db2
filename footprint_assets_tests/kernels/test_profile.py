"""Developing value area and volume nodes against slow references, with their symmetries."""

from __future__ import annotations

import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint_assets.kernels.profile import developing_value_area, smoothed, volume_nodes
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


@given(trade_lists, st.sampled_from([1, 2]))
def test_the_developing_value_area_is_that_of_the_trades_so_far(
    trades: list[tuple[int, int]], rows: int
) -> None:
    ends = list(range(1, len(trades) + 1))
    assert develop(trades, ends, rows=rows) == [area_from_scratch(trades[:end], rows) for end in ends]


@given(trade_lists, trade_lists)
def test_the_future_does_not_move_a_developing_value_area(
    past: list[tuple[int, int]], future: list[tuple[int, int]]
) -> None:
    ends = list(range(1, len(past) + 1))
    assert develop(past + future, ends) == develop(past, ends)


@given(trade_lists, trade_lists)
def test_a_profile_starts_at_its_own_first_trade(
    before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    ends = [len(before) + end for end in range(1, len(after) + 1)]
    alone = develop(after, list(range(1, len(after) + 1)))
    assert develop(before + after, ends, first=len(before)) == alone


def test_no_bars_make_no_developing_values() -> None:
    assert develop([(1, 1)], []) == []


def nodes(volumes: list[int]) -> tuple[list[bool], list[bool]]:
    is_high, is_low = volume_nodes(np.array(volumes, np.int64))
    return is_high.tolist(), is_low.tolist()


def slow_nodes(volumes: list[int]) -> tuple[list[bool], list[bool]]:
    """From the definition: pad with nothing, average five rows, look past a plateau to both sides."""
    padded = [0, 0, *volumes, 0, 0]
    profile = [Fraction(sum(padded[i : i + 5]), 5) for i in range(len(volumes))]
    median = statistics.median(profile)

    def beyond(start: int, step: int) -> Fraction:
        at = start
        while 0 <= at < len(profile) and profile[at] == profile[start]:
            at += step
        return profile[at] if 0 <= at < len(profile) else Fraction(0)

    sides = [(beyond(i, -1), beyond(i, 1)) for i in range(len(profile))]
    is_high = [v > max(s) and v >= Fraction(12, 10) * median for v, s in zip(profile, sides, strict=True)]
    is_low = [v < min(s) and v <= median / 2 for v, s in zip(profile, sides, strict=True)]
    return is_high, is_low


@given(profiles)
def test_volume_nodes_equal_the_slow_definition(volumes: list[int]) -> None:
    assert nodes(volumes) == slow_nodes(volumes)


@given(profiles)
def test_a_mirrored_profile_has_mirrored_nodes(volumes: list[int]) -> None:
    is_high, is_low = nodes(volumes)
    assert nodes(volumes[::-1]) == (is_high[::-1], is_low[::-1])


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
def test_smoothing_sums_five_rows_and_nothing_beyond_the_ends(volumes: list[int]) -> None:
    padded = [0, 0, *volumes, 0, 0]
    assert smoothed(np.array(volumes)).tolist() == [sum(padded[i : i + 5]) for i in range(len(volumes))]
