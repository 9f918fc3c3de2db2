"""The value of a level at every bar end: static and moving, null before it is known."""

from __future__ import annotations

import polars as pl
import pytest

from footprint_assets.transforms.level_values import level_polarity, level_values, levels_at
from footprint_assets_tests.transforms.level_markets import (
    BAR,
    LEVEL_PRICE,
    NO_SERIES,
    OPEN,
    levels,
    mids,
    series,
)

BAR_TS = mids([0.0] * 6)["bar_ts"]


def prices(session_levels: pl.DataFrame, level_series: pl.DataFrame, level: str) -> list[float | None]:
    found = level_values(BAR_TS, session_levels, level_series, level)
    assert found.columns == ["bar_ts", "level_price", "level_price_raw"]
    assert found["bar_ts"].to_list() == BAR_TS.to_list()
    return found["level_price"].to_list()


def test_a_static_level_is_known_to_the_first_bar_that_ends_at_or_after_its_formation():
    at_an_end = levels({"valid_from_ts": OPEN + 2 * BAR})
    assert prices(at_an_end, NO_SERIES, "PM_HIGH") == [None] + [LEVEL_PRICE] * 5
    just_after = levels({"valid_from_ts": OPEN + 2 * BAR + 1})
    assert prices(just_after, NO_SERIES, "PM_HIGH") == [None] * 2 + [LEVEL_PRICE] * 4


def test_a_level_that_has_expired_is_not_known():
    expired = levels({"valid_to_ts": OPEN + 3 * BAR})
    assert prices(expired, NO_SERIES, "PM_HIGH") == [LEVEL_PRICE] * 2 + [None] * 4


def test_a_moving_level_has_the_value_of_its_bar():
    moving = pl.concat([series("SMA_90", [None, 1, 2.5, None, -0.5, 0]), series("EMA_20", [9] * 6)])
    steps = [None, 1, 3, None, 0, 0]
    assert prices(levels(), moving, "SMA_90") == [
        None if t is None else LEVEL_PRICE + t * 0.25 for t in steps
    ]
    raw = level_values(BAR_TS, levels(), moving, "SMA_90")["level_price_raw"]
    assert raw[2] == LEVEL_PRICE + 2.5 * 0.25


def test_a_level_nobody_states_is_null():
    assert prices(levels(), NO_SERIES, "OR_HIGH") == [None] * 6


def test_the_levels_at_a_bar_are_those_known_at_its_end():
    static = levels({}, {"level_name": "OR_HIGH", "valid_from_ts": OPEN + BAR + 1})
    moving = series("SMA_90", [None, 4])
    later = [("OR_HIGH", LEVEL_PRICE), ("PM_HIGH", LEVEL_PRICE), ("SMA_90", LEVEL_PRICE + 1)]
    assert levels_at([OPEN + BAR, OPEN], static, moving) == [later, [("PM_HIGH", LEVEL_PRICE)]]


@pytest.mark.parametrize(
    ("name", "polarity"),
    [("SMA_90", 0), ("SESSION_HIGH", 1), ("CURRENT_WEEK_LOW", -1), ("DEV_VAL", -1), ("DEV_POC", 0)],
)
def test_a_moving_level_says_its_polarity_by_name(name, polarity):
    assert level_polarity(levels(), name) == polarity


def test_a_static_level_states_its_polarity():
    assert level_polarity(levels({"level_name": "PD_VAL", "level_polarity": -1}), "PD_VAL") == -1
