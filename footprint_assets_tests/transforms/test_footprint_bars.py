"""Gold footprint bars: closed bars once, with the prices their distances are measured to."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import BarSettings, FootprintSettings, LevelSettings, ProfileSettings
from footprint_assets.transforms.footprint import footprint_bar
from footprint_assets.transforms.footprint_bars import BarsOfOtherTrades, footprint_bars
from footprint_assets.transforms.profile import volume_profile_price
from footprint_assets.transforms.profile_session import volume_profile_session
from footprint_assets_tests.transforms.histories import NO_LEVELS
from footprint_assets_tests.transforms.slow_profile import area_of
from footprint_assets_tests.transforms.trade_frames import REGULAR_DAY, at, frame, prints, random_day

SESSION = cme.session(REGULAR_DAY)
NO_CASH = dt.date(2024, 1, 15)
BARS = BarSettings(time_seconds=(60, 300), range_ticks=(10,), volume_contracts=(1000,), tick_trades=(2000,))
RULES = FootprintSettings()


def silver_of(trades: pl.DataFrame, session: cme.Session = SESSION) -> pl.DataFrame:
    return footprint_bar(trades, NO_LEVELS, session, BARS, RULES, 0.25)


def gold_of(trades: pl.DataFrame, session: cme.Session = SESSION) -> pl.DataFrame:
    table = footprint_bars(silver_of(trades, session), trades, session, RULES)
    contracts.Validator(contracts.load("gold.future.footprint_bars")).validate(table)
    return table


def minutes_of(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("bar_type") == "time_1m")


def before(trades: pl.DataFrame, end_ns: int) -> pl.DataFrame:
    return trades.filter(pl.col("ts_event").to_physical() < end_ns)


def test_only_closed_bars_are_kept_and_each_once() -> None:
    trades = random_day(SESSION, seed=1)
    bar = silver_of(trades)
    closed = bar.filter("is_complete").drop("is_complete")
    assert 0 < closed.height < bar.height
    assert gold_of(trades).select(closed.columns).equals(closed, null_equal=True)


def test_the_day_vwap_and_its_bands_are_those_of_the_trades_before_the_bars_end() -> None:
    trades = random_day(SESSION, seed=2, trades=1500)
    for row in minutes_of(gold_of(trades))[::97].iter_rows(named=True):
        past = before(trades, int(row["bar_end_ts"].timestamp()) * 10**9)
        each = np.repeat(past["price"].to_numpy(), past["size"].to_numpy())
        assert row["day_vwap"] == pytest.approx(each.mean(), rel=1e-13)
        assert row["day_vwap_std"] == pytest.approx(each.std(), rel=1e-9)
        assert row["day_vwap_u2"] == row["day_vwap"] + 2 * row["day_vwap_std"]
        assert row["day_vwap_l1"] == row["day_vwap"] - row["day_vwap_std"]


def test_the_developing_profile_is_electronic_until_cash_trades_and_rests_at_the_cash_close() -> None:
    trades = random_day(SESSION, seed=3)
    cash_open, cash_close = at(SESSION, "09:30"), at(SESSION, "16:00")
    for row in minutes_of(gold_of(trades))[::53].iter_rows(named=True):
        end = int(row["bar_end_ts"].timestamp()) * 10**9
        cash = before(trades, min(end, cash_close)).filter(pl.col("ts_event").to_physical() >= cash_open)
        expected = area_of(cash if cash.height else before(trades, end))
        assert (row["dev_poc_price"], row["dev_val_price"], row["dev_vah_price"]) == expected


def test_a_date_without_a_cash_session_develops_one_electronic_profile() -> None:
    session = cme.session(NO_CASH)
    trades = random_day(session, seed=4)
    last = minutes_of(gold_of(trades, session)).row(-1, named=True)
    past = before(trades, int(last["bar_end_ts"].timestamp()) * 10**9)
    assert (last["dev_poc_price"], last["dev_val_price"], last["dev_vah_price"]) == area_of(past)


def test_the_distances_of_a_bar_are_measured_to_the_prices_beside_it() -> None:
    table = gold_of(random_day(SESSION, seed=5))
    for name in ("day_vwap", "day_vwap_u1", "day_vwap_u2", "day_vwap_l1", "day_vwap_l2"):
        assert table[f"close_to_{name}_pts"].equals(table["close"] - table[name])
    for name in ("poc", "vah", "val"):
        assert table[f"close_to_dev_{name}_pts"].equals(table["close"] - table[f"dev_{name}_price"])
    inside = table["close"].is_between(table["dev_val_price"], table["dev_vah_price"])
    assert table["is_in_dev_value_area"].equals(inside)


def test_an_event_bar_that_ends_inside_a_nanosecond_does_not_know_the_rest_of_it() -> None:
    trades = frame(
        SESSION, [at(SESSION, "10:00")] * 3, [20_000, 20_004, 20_400], [400, 600, 5_000], [1, 1, 1]
    )
    first = gold_of(trades).filter(bar_type="volume_1000", bar_id=0).row(0, named=True)
    assert first["volume"] == 1000
    assert first["day_vwap"] == pytest.approx((400 * 5000 + 600 * 5001) / 1000)
    assert first["dev_poc_price"] == 5001


def test_at_the_end_of_the_day_the_running_values_are_those_of_the_profiles() -> None:
    trades = random_day(SESSION, seed=12)
    rules = (RULES, ProfileSettings())
    rows = volume_profile_price(trades, None, NO_LEVELS.prior_sessions, SESSION, *rules)
    profile = volume_profile_session(
        rows, trades, None, NO_LEVELS.prior_sessions, SESSION, *rules, LevelSettings()
    )
    full, cash = (profile.filter(profile_type=name).row(0, named=True) for name in ("FULL", "RTH"))
    last = minutes_of(gold_of(trades)).row(-1, named=True)
    assert last["day_vwap"] == pytest.approx(full["vwap"], rel=1e-15)
    assert last["day_vwap_std"] == pytest.approx(full["vwap_std"], rel=1e-12)
    assert [last[f"dev_{name}_price"] for name in ("poc", "vah", "val")] == [
        cash[f"{name}_price"] for name in ("poc", "vah", "val")
    ]


def test_bars_of_other_trades_are_refused() -> None:
    trades = random_day(SESSION, seed=13, trades=50)
    with pytest.raises(BarsOfOtherTrades, match="hold 50 trades of 49"):
        footprint_bars(silver_of(trades), trades.head(49), SESSION, RULES)


def test_no_trades_make_a_typed_table_without_rows() -> None:
    assert gold_of(prints(SESSION, [])).is_empty()
