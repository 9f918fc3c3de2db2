"""TPO counts, tails and the rotation factor against sets and lists of brackets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.tpo import MAX_BRACKETS, bracket_masks, rotation_factor, tails, tpo_counts

trade_lists = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 6)), min_size=1, max_size=60)
"""Row and bracket of each trade."""


def masks_of(trades: list[tuple[int, int]], rows: int = 12) -> np.ndarray:
    row, bracket = np.array(trades, np.int64).T.copy()
    return bracket_masks(row, bracket, rows)


def brackets_at(trades: list[tuple[int, int]], rows: int = 12) -> list[set[int]]:
    return [{bracket for row, bracket in trades if row == at} for at in range(rows)]


def slow_tail(ladder: list[set[int]], last: int, min_rows: int) -> int:
    length = 0
    for brackets in ladder:
        if len(brackets) != 1 or brackets == {last}:
            break
        length += 1
    return length if length >= min_rows else 0


@settings(deadline=None)  # the first call compiles
@given(trade_lists)
def test_a_row_counts_its_distinct_brackets(trades: list[tuple[int, int]]) -> None:
    expected = [len(brackets) for brackets in brackets_at(trades)]
    assert tpo_counts(masks_of(trades)).tolist() == expected
    assert max(expected) <= len({bracket for _, bracket in trades})


def test_the_last_bracket_there_is_room_for_counts() -> None:
    masks = masks_of([(0, MAX_BRACKETS - 1), (0, 0), (1, MAX_BRACKETS - 1)], 2)
    assert tpo_counts(masks).tolist() == [2, 1]


@settings(deadline=None)  # the first call compiles
@given(trade_lists, st.integers(1, 3))
def test_tails_equal_the_slow_definition(trades: list[tuple[int, int]], min_rows: int) -> None:
    low, high = min(row for row, _ in trades), max(row for row, _ in trades)
    ladder = brackets_at(trades)[low : high + 1]
    last = max(bracket for _, bracket in trades)
    found = tails(masks_of([(row - low, bracket) for row, bracket in trades], high - low + 1), min_rows)
    assert found == (slow_tail(ladder, last, min_rows), slow_tail(ladder[::-1], last, min_rows))
    assert sum(found) < len(ladder)


@settings(deadline=None)  # the first call compiles
@given(trade_lists)
def test_a_mirrored_profile_swaps_its_tails(trades: list[tuple[int, int]]) -> None:
    masks = masks_of(trades)
    assert tails(masks[::-1].copy(), 2) == tails(masks, 2)[::-1]


LADDERS = {
    "two single prints of A": ([{0}, {0}, {0, 1}, {1}], (2, 0)),
    "one single print is none": ([{0}, {0, 1}, {0, 1}], (0, 0)),
    "the last bracket makes none": ([{0, 1}, {0, 1}, {1}, {1}], (0, 0)),
    "the last bracket ends a run": ([{0}, {0}, {1}, {0, 1}], (2, 0)),
    "single prints of two brackets are one tail": ([{0}, {1}, {0, 1, 2}], (2, 0)),
    "a row nobody traded at ends a run": ([{0}, set(), {0}, {0, 1}], (0, 0)),
    "both ends": ([{0}, {0}, {0, 1, 2}, {1}, {1}, {1}], (2, 3)),
    "a single bracket rejects nothing": ([{0}, {0}, {0}], (0, 0)),
}


@pytest.mark.parametrize(("ladder", "expected"), LADDERS.values(), ids=LADDERS)
def test_a_tail_is(ladder: list[set[int]], expected: tuple[int, int]) -> None:
    trades = [(row, bracket) for row, brackets in enumerate(ladder) for bracket in brackets]
    assert tails(masks_of(trades, len(ladder)), 2) == expected


def rotation(brackets: list[tuple[int, int, int]]) -> int:
    """Of brackets given as (number, low, high)."""
    tick = np.array([price for _, low, high in brackets for price in (low, high)], np.int64)
    return rotation_factor(tick, np.repeat(np.array([b for b, *_ in brackets], np.int64), 2))


def test_every_bracket_adds_the_signs_of_its_two_extremes() -> None:
    assert rotation([(0, 10, 20), (1, 12, 25)]) == 2
    assert rotation([(0, 10, 20), (1, 12, 19)]) == 0
    assert rotation([(0, 10, 20), (1, 10, 25), (2, 9, 24)]) == 1 - 2
    assert rotation([(0, 10, 20)]) == 0


def test_a_bracket_without_a_trade_is_passed_over() -> None:
    assert rotation([(0, 10, 20), (5, 12, 25)]) == rotation([(0, 10, 20), (1, 12, 25)])


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 20)), min_size=1, max_size=15))
def test_mirrored_prices_turn_the_rotation_factor(spans: list[tuple[int, int]]) -> None:
    brackets = [(b, low, low + height) for b, (low, height) in enumerate(spans)]
    mirrored = [(b, -high, -low) for b, low, high in brackets]
    assert rotation(mirrored) == -rotation(brackets)
    assert abs(rotation(brackets)) <= 2 * (len(brackets) - 1)
