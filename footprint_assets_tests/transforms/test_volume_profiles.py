"""Time-of-day profiles: the mean and deviation of the right sessions, null with too few, short sessions."""

from __future__ import annotations

import datetime as dt
import statistics

import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import HistorySettings
from footprint_assets.transforms.session_summary import BUCKET_BASES
from footprint_assets.transforms.volume_profiles import BUCKET_TIMES, volume_profiles
from footprint_assets_tests.transforms.history_frames import book_bars, look_back, summary_of
from footprint_assets_tests.transforms.trade_frames import REGULAR_DAY, random_day

HISTORY = HistorySettings()
THANKSGIVING_MONDAY = dt.date(2024, 12, 2)


def before(day: dt.date, n: int) -> dt.date:
    return cme.previous_session(day, n)


def summary(day: dt.date, seed: int, symbol: str = "ESM4", share: float = 1.0) -> pl.DataFrame:
    session = cme.session(day)
    trades = random_day(session, seed, trades=2000).with_columns(symbol=pl.lit(symbol))
    bars, book = book_bars(session, seed, share)
    return summary_of(trades, session, bars, book)


def profile_of(day: dt.date, *held: pl.DataFrame, rules: HistorySettings = HISTORY) -> pl.DataFrame:
    prior = look_back(day, pl.concat(held) if held else {})
    table = volume_profiles(prior, "ESM4", cme.session(day), rules)
    contracts.Validator(contracts.load("silver.future.volume_profiles")).validate(table)
    return table


def sums(held: pl.DataFrame, base: str) -> dict[int, float]:
    return dict(zip(held["bucket_ids"][0], held[f"bucket_{base}"][0], strict=True))


def test_a_bucket_has_the_mean_and_sample_deviation_of_the_last_three_sessions() -> None:
    held = [summary(before(REGULAR_DAY, n), seed=n) for n in (1, 2, 3, 4)]
    table = profile_of(REGULAR_DAY, *held)
    for base in BUCKET_BASES:
        for bucket in (0, 100, 275):
            three = [sums(day, base)[bucket] for day in held[:3]]
            row = table.row(bucket, named=True)
            assert row[f"{base}_mean"] == pytest.approx(statistics.fmean(three))
            assert row[f"{base}_std"] == pytest.approx(statistics.stdev(three))
    assert set(table["days_in_lookback"]) == {3}


def test_there_are_276_buckets_from_18_00_to_16_55_even_without_a_past() -> None:
    table = profile_of(REGULAR_DAY)
    assert table["bucket_id"].to_list() == list(range(276))
    assert (table["bucket_start_time"][0], table["bucket_start_time"][-1]) == ("18:00:00", "16:55:00")
    assert BUCKET_TIMES[(15 * 60 + 30) // 5] == "09:30:00"
    features = contracts.load("silver.future.volume_profiles").columns_of_kind("feature")
    assert table.select(features).null_count().row(0) == (276,) * 24
    assert set(table["days_in_lookback"]) == {0}


def test_two_sessions_are_too_few_unless_the_settings_say_so() -> None:
    held = [summary(before(REGULAR_DAY, n), seed=n) for n in (1, 2)]
    few = profile_of(REGULAR_DAY, *held)
    assert (few["msg_cnt_mean"].null_count(), set(few["days_in_lookback"])) == (276, {2})
    allowed = profile_of(REGULAR_DAY, *held, rules=HistorySettings(profile_min_days=2))
    assert allowed["msg_cnt_mean"].null_count() == 0


def test_volumes_of_the_contract_before_the_roll_count() -> None:
    held = [summary(before(REGULAR_DAY, n), seed=n, symbol="ESH4") for n in (1, 2, 3)]
    assert profile_of(REGULAR_DAY, *held)["trade_vol_mean"].null_count() == 0


def test_incomplete_sessions_and_those_without_a_book_are_passed_over() -> None:
    good = [summary(before(REGULAR_DAY, n), seed=n) for n in (3, 4, 5)]
    cut = summary(before(REGULAR_DAY, 1), seed=1).with_columns(is_complete=pl.lit(False))
    session = cme.session(before(REGULAR_DAY, 2))
    bookless = summary_of(random_day(session, seed=2), session)
    assert profile_of(REGULAR_DAY, *good, cut, bookless).equals(profile_of(REGULAR_DAY, *good))


def test_after_an_early_close_the_afternoon_reads_one_session_further_back() -> None:
    days = [before(THANKSGIVING_MONDAY, n) for n in (1, 2, 3, 4, 5)]
    assert [cme.session(day).is_early_close for day in days] == [True, True, False, False, False]
    held = [summary(day, seed=day.day) for day in days]
    table = profile_of(THANKSGIVING_MONDAY, *held)
    evening = [sums(day, "trade_vol")[0] for day in held[:3]]
    afternoon = [sums(day, "trade_vol")[275] for day in held[2:]]
    assert table["trade_vol_mean"][0] == pytest.approx(statistics.fmean(evening))
    assert table["trade_vol_mean"][275] == pytest.approx(statistics.fmean(afternoon))
    assert set(table["days_in_lookback"]) == {3}


def test_a_flow_that_is_not_known_on_one_day_has_no_mean() -> None:
    held = [summary(before(REGULAR_DAY, n), seed=n) for n in (1, 2, 3)]
    unknown = held[0].with_columns(
        bucket_flow_add_vol_bid=pl.Series([[None, *held[0]["bucket_flow_add_vol_bid"][0][1:]]])
    )
    table = profile_of(REGULAR_DAY, unknown, *held[1:])
    assert table["flow_add_vol_bid_mean"].is_null().arg_true().to_list() == [0]
    assert table["trade_vol_mean"].null_count() == 0
