"""Values of the session so far: the instant or the trade count decides, nothing after it."""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import FootprintSettings
from footprint_assets.transforms.running import (
    Tape,
    as_of,
    developing_profile,
    extremes_so_far,
    last_node_so_far,
    last_price,
    level_at,
    vwap_so_far,
)
from footprint_assets_tests.transforms.trade_frames import REGULAR_DAY, TICK_NANOS, at, prints

SESSION = cme.session(REGULAR_DAY)
LEVELS = contracts.load("silver.future.session_levels").polars_schema


def levels(*rows: tuple[str, float, int, int | None]) -> pl.DataFrame:
    names = ("level_name", "level_price_raw", "valid_from_ts", "valid_to_ts")
    return pl.DataFrame(rows, schema={name: LEVELS[name] for name in names}, orient="row")


def test_a_level_holds_from_the_instant_it_is_known_until_it_is_replaced() -> None:
    known = levels(("OR_HIGH", 5000.1, 10, None), ("HALF_GAP", 4999.0, 5, 20))
    instants = np.array([4, 5, 9, 10, 19, 20])
    np.testing.assert_array_equal(level_at(known, "OR_HIGH", instants), [np.nan] * 3 + [5000.1] * 3)
    np.testing.assert_array_equal(
        level_at(known, "HALF_GAP", instants), [np.nan, 4999, 4999, 4999, 4999, np.nan]
    )
    assert np.isnan(level_at(known, "PDC", instants)).all()


def test_a_value_is_known_at_its_own_instant_and_not_before() -> None:
    found = as_of(np.array([10, 20, 20]), np.array([1.0, 2.0, 3.0]), np.array([9, 10, 19, 20, 99]))
    np.testing.assert_array_equal(found, [np.nan, 1, 1, 3, 3])
    assert np.isnan(as_of(np.array([], np.int64), np.array([]), np.array([1, 2]))).all()


def tape_of(*trades: tuple[str, float, int]) -> Tape:
    rows = [(at(SESSION, wall), price, size, 1) for wall, price, size in trades]
    return Tape.of(prints(SESSION, rows), SESSION, TICK_NANOS)


def test_the_cash_session_is_found_by_its_trades() -> None:
    tape = tape_of(("09:29", 5000, 1), ("09:30", 5001, 1), ("15:59", 5002, 1), ("16:00", 5003, 1))
    assert (tape.first_cash, tape.after_cash) == (1, 3)
    night = tape_of(("09:29", 5000, 1), ("16:00", 5003, 1))
    assert (night.first_cash, night.after_cash) == (2, 2)


def test_the_extremes_of_the_profile_start_anew_with_the_cash_session_and_rest_at_its_close() -> None:
    tape = tape_of(("09:29", 5000, 5), ("09:30", 5001, 1), ("15:59", 5002, 1), ("16:00", 5009, 9))
    profile = developing_profile(tape, np.arange(5), FootprintSettings())
    np.testing.assert_array_equal(profile.high, [np.nan, 5000, 5001, 5002, 5002])
    np.testing.assert_array_equal(profile.low, [np.nan, 5000, 5001, 5001, 5001])
    np.testing.assert_array_equal(profile.poc[:3], [np.nan, 5000, 5001])
    assert profile.is_cash.tolist() == [False, False, True, True, True]
    high, low = extremes_so_far(tape, np.arange(5))
    np.testing.assert_array_equal(high, [np.nan, 5000, 5001, 5002, 5009])
    np.testing.assert_array_equal(low, [np.nan, 5000, 5000, 5000, 5000])
    np.testing.assert_array_equal(last_price(tape, np.array([0, 1, 4])), [np.nan, 5000, 5009])


def test_an_empty_tape_has_no_values() -> None:
    tape = tape_of()
    ends = np.zeros(3, np.int64)
    profile = developing_profile(tape, ends, FootprintSettings())
    found = [*vwap_so_far(tape, ends), profile.poc, profile.high, *extremes_so_far(tape, ends)]
    found += [last_price(tape, ends), last_node_so_far(tape, ends, FootprintSettings())]
    for values in found:
        assert np.isnan(values).all()
        assert len(values) == 3
