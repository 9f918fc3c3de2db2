"""The look-back table: which sessions it holds, how they are counted, what it takes over."""

from __future__ import annotations

import datetime as dt

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets_tests.transforms.history_frames import look_back, summary_of
from footprint_assets_tests.transforms.trade_frames import random_day

TODAY = dt.date(2024, 1, 17)
FRIDAY, HOLIDAY, YESTERDAY = dt.date(2024, 1, 12), dt.date(2024, 1, 15), dt.date(2024, 1, 16)


def summary(day: dt.date, symbol: str = "ESH4") -> pl.DataFrame:
    session = cme.session(day)
    trades = random_day(session, seed=day.toordinal(), trades=200)
    return summary_of(trades.with_columns(symbol=pl.lit(symbol)), session)


def test_sessions_are_counted_on_the_calendar_with_holidays_that_trade() -> None:
    held = pl.concat([summary(YESTERDAY), summary(FRIDAY), summary(HOLIDAY)])
    table = look_back(TODAY, held, "ESH4")
    assert table.select("source_session_date", "sessions_ago").rows() == [
        (FRIDAY, 3),
        (HOLIDAY, 2),
        (YESTERDAY, 1),
    ]
    assert set(table["session_date"]) == {TODAY}


def test_a_session_that_is_not_held_leaves_a_gap() -> None:
    assert look_back(TODAY, summary(FRIDAY), "ESH4")["sessions_ago"].to_list() == [3]


def test_only_the_root_and_the_twenty_sessions_before_today_are_held() -> None:
    too_old = cme.previous_session(TODAY, 21)
    others = [summary(YESTERDAY, "NQH4"), summary(TODAY), summary(too_old), summary(YESTERDAY, "MESH4")]
    table = look_back(TODAY, pl.concat([summary(cme.previous_session(TODAY, 20)), *others]), "ESH4")
    assert table.select("source_symbol", "sessions_ago").rows() == [("ESH4", 20)]


def test_after_a_roll_the_earlier_contract_is_named_as_the_source() -> None:
    table = look_back(TODAY, pl.concat([summary(HOLIDAY, "ESZ3"), summary(YESTERDAY)]), "ESH4")
    assert table["symbol"].unique().to_list() == ["ESH4"]
    assert table["source_symbol"].to_list() == ["ESZ3", "ESH4"]


def test_every_fact_of_a_summary_is_taken_over_unchanged() -> None:
    held = summary(YESTERDAY)
    carried = held.columns[2:]
    assert look_back(TODAY, held, "ESH4").select(carried).equals(held.select(carried), null_equal=True)
    own, prior = (contracts.load(f"silver.future.{name}") for name in ("session_summary", "prior_sessions"))
    assert prior.fields[5:] == own.fields[2:]


def test_nothing_held_makes_a_typed_table_without_rows() -> None:
    assert look_back(TODAY, {}, "ESH4").is_empty()
