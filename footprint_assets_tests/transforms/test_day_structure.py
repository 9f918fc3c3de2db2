"""Shapes, opening types, opening locations and day types: the textbook case of each, its mirror, its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint_assets.settings import ProfileSettings
from footprint_assets.transforms.day_structure import (
    Range,
    day_type,
    open_location,
    open_type,
    profile_shape,
)

RULES = ProfileSettings()
BALANCE = Range(0, 40)
"""Of ten points: a drive is 20 ticks, a rejected move 10."""

SHAPES = {
    "P": (0.8, -0.5, False, False),
    "b": (0.2, 0.5, False, False),
    "B": (0.5, 0.0, True, False),
    "I": (0.5, 0.0, False, True),
    "D": (0.5, 0.0, False, False),
}


@pytest.mark.parametrize("expected", SHAPES)
def test_a_profile_looks_like(expected: str) -> None:
    position, skew, two, thin = SHAPES[expected]
    found = profile_shape(position, skew, has_two_distributions=two, is_long_and_thin=thin, rules=RULES)
    assert found == expected


def test_the_shape_of_the_volume_goes_before_its_parts_and_its_length() -> None:
    def shape(position: float, *, two: bool) -> str:
        skew = -0.5 if position > 0.5 else 0.5
        return profile_shape(position, skew, has_two_distributions=two, is_long_and_thin=True, rules=RULES)

    assert [shape(0.8, two=True), shape(0.2, two=True), shape(0.5, two=True)] == ["P", "b", "B"]


@pytest.mark.parametrize(
    ("position", "skew"), [(0.8, -0.3), (0.8, 0.5), (0.6, -0.5), (0.2, -0.5), (0.8, None)]
)
def test_a_high_point_of_control_alone_is_no_p(position: float, skew: float | None) -> None:
    found = profile_shape(position, skew, has_two_distributions=False, is_long_and_thin=False, rules=RULES)
    assert found == "D"


OPENS = {
    "drive": ([100, 105, 103, 120], [], "OD"),
    "a drive may touch its open": ([100, 105, 100, 120], [], "OD"),
    "too short a drive": ([100, 105, 119], [], "OA"),
    "a tick through the open is no drive": ([100, 99, 120], [], "OA"),
    "test of a reference, then drive": ([100, 95, 121], [92], "OTD"),
    "a test is of a price within four ticks": ([100, 95, 121], [90], "OA"),
    "a move of size rejected, reversed through the open": ([100, 90, 105], [], "ORR"),
    "too small a move rejected": ([100, 91, 105], [], "OA"),
    "the far side came last": ([100, 120, 85, 101], [85], "OA"),
    "back where it opened": ([100, 120, 80, 100], [], "OA"),
    "one trade": ([100], [], "OA"),
}


@pytest.mark.parametrize(("ticks", "references", "expected"), OPENS.values(), ids=OPENS)
def test_an_open_is(ticks: list[int], references: list[int], expected: str) -> None:
    tick = np.array(ticks, np.int64)
    assert open_type(tick, BALANCE, references, RULES) == expected
    mirrored = [-price for price in references]
    assert open_type(-tick, Range(-BALANCE.high, -BALANCE.low), mirrored, RULES) == expected


@given(st.lists(st.integers(-60, 60), min_size=1, max_size=20), st.lists(st.integers(-80, 80), max_size=4))
def test_an_open_does_not_depend_on_the_price_level(moves: list[int], references: list[int]) -> None:
    tick = np.cumsum(np.array(moves, np.int64))
    up = [price + 20_000 for price in references]
    here, there = open_type(tick, BALANCE, references, RULES), open_type(tick + 20_000, BALANCE, up, RULES)
    assert here == there


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        (31, "ABOVE_RANGE"), (30, "ABOVE_VALUE"), (21, "ABOVE_VALUE"), (20, "IN_VALUE"),
        (10, "IN_VALUE"), (9, "BELOW_VALUE"), (0, "BELOW_VALUE"), (-1, "BELOW_RANGE"),
    ],
)  # fmt: skip
def test_the_edges_of_value_and_range_belong_to_them(opening: int, expected: str) -> None:
    assert open_location(opening, Range(10, 20), Range(0, 30)) == expected


DAYS = {
    "both sides": (Range(-1, 41), [], False, "Neutral"),
    "one side, under twice the balance": (Range(0, 79), [], False, "NormalVariation"),
    "one side, twice the balance": (Range(0, 80), [], False, "Trend"),
    "one side, twice, parted": (Range(0, 80), [], True, "DoubleDistribution"),
    "inside a wide balance": (Range(0, 40), [80, 60], False, "Normal"),
    "inside a narrow balance": (Range(0, 40), [81, 80], False, "NonTrend"),
    "inside, nothing to measure by": (Range(0, 40), [], False, None),
}


@pytest.mark.parametrize(("day", "prior", "two", "expected"), DAYS.values(), ids=DAYS)
def test_a_day_is(day: Range, prior: list[int], two: bool, expected: str | None) -> None:
    assert day_type(day, BALANCE, prior, has_two_distributions=two, rules=RULES) == expected
    mirrored = Range(-day.high, -day.low)
    balance = Range(-BALANCE.high, -BALANCE.low)
    assert day_type(mirrored, balance, prior, has_two_distributions=two, rules=RULES) == expected
