"""Gold footprint bars: what stands beside a close is what was known at the bar's end, and nothing later."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.kernels.value_area import value_area
from footprint_assets.settings import BarSettings, FootprintSettings, LevelSettings
from footprint_assets.transforms.footprint import footprint
from footprint_assets.transforms.footprint_bars import BarsOfOtherTrades, footprint_bars
from footprint_assets.transforms.levels import session_levels
from footprint_assets.transforms.profile import volume_profile_price, volume_profile_session
from footprint_assets_tests.transforms.trade_frames import MINUTE, REGULAR_DAY, at, frame, prints, random_day

SESSION = cme.session(REGULAR_DAY)
NO_CASH = dt.date(2024, 1, 15)
BARS = BarSettings(time_seconds=(60, 300), range_ticks=(10,), volume_contracts=(1000,), tick_trades=(2000,))
RULES = FootprintSettings()
SUMMARY = contracts.load("silver.future.volume_profile_session").polars_schema


def prior_of(session: cme.Session, seed: int) -> pl.DataFrame:
    yesterday = cme.session(cme.previous_session(session.trade_date))
    trades = random_day(yesterday, seed)
    return volume_profile_session(volume_profile_price(trades, yesterday, RULES), trades, None, yesterday)


def gold_of(
    trades: pl.DataFrame,
    session: cme.Session = SESSION,
    prior: pl.DataFrame | None = None,
    rules: FootprintSettings = RULES,
    bars: BarSettings = BARS,
) -> pl.DataFrame:
    summaries = SUMMARY.to_frame() if prior is None else prior
    levels = session_levels(trades, session, LevelSettings(), summaries, 0.25)
    _, bar = footprint(trades, session, bars, rules, 0.25)
    table = footprint_bars(bar, trades, levels, session, rules)
    contracts.Validator(contracts.load("gold.future.footprint_bars")).validate(table)
    return table


def minutes_of(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("bar_type") == "time_1m")


def before(trades: pl.DataFrame, end_ns: int) -> pl.DataFrame:
    return trades.filter(pl.col("ts_event").to_physical() < end_ns)


def area_of(trades: pl.DataFrame) -> tuple[float, float, float]:
    """Point of control, bottom and top of the value area, points, of all given trades."""
    tick = trades["price_tick"].to_numpy()
    volumes = np.bincount(tick - tick.min(), weights=trades["size"].to_numpy()).astype(np.int64)
    poc, val, vah = ((row + int(tick.min())) / 4 for row in value_area(volumes, 70, 2))
    return poc, val, vah


def test_only_closed_bars_are_kept_and_each_once() -> None:
    trades = random_day(SESSION, seed=1)
    _, bar = footprint(trades, SESSION, BARS, RULES, 0.25)
    closed = bar.filter("is_complete").select(
        "bar_type", "bar_id", "close", "volume", "delta", "bb_middle_20"
    )
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
        assert row["close_to_day_vwap_l1_pts"] == row["close"] - (row["day_vwap"] - row["day_vwap_std"])


def test_the_developing_profile_is_electronic_until_cash_trades_and_rests_at_the_cash_close() -> None:
    trades = random_day(SESSION, seed=3)
    cash_open, cash_close = at(SESSION, "09:30"), at(SESSION, "16:00")
    for row in minutes_of(gold_of(trades))[::53].iter_rows(named=True):
        end = int(row["bar_end_ts"].timestamp()) * 10**9
        cash = before(trades, min(end, cash_close)).filter(pl.col("ts_event").to_physical() >= cash_open)
        poc, val, vah = area_of(cash if cash.height else before(trades, end))
        assert (row["dev_poc_price"], row["dev_val_price"], row["dev_vah_price"]) == (poc, val, vah)
        assert row["close_to_dev_poc_pts"] == row["close"] - poc
        assert row["is_in_dev_value_area"] == (val <= row["close"] <= vah)


def test_a_date_without_a_cash_session_develops_one_electronic_profile() -> None:
    session = cme.session(NO_CASH)
    trades = random_day(session, seed=4)
    table = gold_of(trades, session)
    last = minutes_of(table).row(-1, named=True)
    past = before(trades, int(last["bar_end_ts"].timestamp()) * 10**9)
    assert (last["dev_poc_price"], last["dev_val_price"], last["dev_vah_price"]) == area_of(past)
    assert (
        table["close_to_pm_high_pts"].null_count()
        == table["close_to_ib_low_pts"].null_count()
        == table.height
    )


KNOWN_FROM = {
    **{f"close_to_{name}_pts": "09:30" for name in ("pm_high", "pm_low", "overnight_high", "overnight_low")},
    **{f"close_to_{name}_pts": "09:45" for name in ("or_high", "or_low")},
    **{f"close_to_{name}_pts": "10:30" for name in ("ib_high", "ib_low")},
}


@pytest.mark.parametrize("column", KNOWN_FROM)
def test_a_level_is_null_before_its_window_ends_and_never_after(column: str) -> None:
    table = gold_of(random_day(SESSION, seed=5))
    valid_from = at(SESSION, KNOWN_FROM[column])
    ends = table["bar_end_ts"].to_physical()
    assert ((ends >= valid_from) == table[column].is_not_null()).all()
    assert table[column].null_count() not in (0, table.height)


def test_the_bar_that_ends_with_the_opening_range_knows_it() -> None:
    cash_open = at(SESSION, "09:30")
    trades = prints(SESSION, [(cash_open + i * MINUTE, 5000 + i, 1, 1) for i in range(30)])
    or_high = minutes_of(gold_of(trades)).select("bar_end_ts", "close", "close_to_or_high_pts").rows()
    known = [(close, distance) for _, close, distance in or_high if distance is not None]
    assert known[0] == (5014, 0)
    assert known[1] == (5015, 1)
    assert len(known) == 16


def test_distances_to_the_prior_session_use_unrounded_prices() -> None:
    prior = prior_of(SESSION, seed=6)
    cash = prior.filter(profile_type="RTH").row(0, named=True)
    table = gold_of(random_day(SESSION, seed=7), prior=prior)
    for column, name in {
        "close_to_prev_day_vwap_pts": "vwap",
        "close_to_prev_day_high_pts": "high",
        "close_to_prev_day_low_pts": "low",
        "close_to_prev_day_close_pts": "close",
        "close_to_prev_day_poc_pts": "poc_price",
        "close_to_prev_day_vah_pts": "vah_price",
        "close_to_prev_day_val_pts": "val_price",
    }.items():
        assert table[column].equals(table["close"] - cash[name])
    inside = table["close"].is_between(cash["val_price"], cash["vah_price"])
    assert table["is_in_prev_day_value_area"].equals(inside)


def test_without_a_prior_session_nothing_is_known_about_it() -> None:
    table = gold_of(random_day(SESSION, seed=8))
    for column in ("close_to_prev_day_vwap_pts", "close_to_prev_day_high_pts", "is_in_prev_day_value_area"):
        assert table[column].null_count() == table.height


def test_distances_to_the_bollinger_bands_are_null_until_the_bands_are() -> None:
    table = gold_of(random_day(SESSION, seed=9))
    assert table["close_to_bb_upper_pts"].equals(table["close"] - table["bb_upper_20_2"], null_equal=True)
    assert 0 < table["close_to_bb_upper_pts"].null_count() < table.height


@pytest.mark.parametrize("cut", ["20:00", "09:41", "12:00", "16:30"])
def test_closed_bars_are_the_same_with_and_without_the_future(cut: str) -> None:
    trades = random_day(SESSION, seed=10, trades=6000)
    prior = prior_of(SESSION, seed=11)
    cut_ns = at(SESSION, cut)
    past = before(trades, cut_ns)
    # A volume or tick bar closed by its own last trade is known at it, a range bar only at the trade that breaks it.
    ends = pl.col("bar_end_ts").to_physical()
    known = gold_of(past, prior=prior).filter(ends <= cut_ns)
    full = gold_of(trades, prior=prior).join(known.select("bar_type", "bar_id"), on=["bar_type", "bar_id"])
    assert known.height > 50
    assert full.equals(known, null_equal=True)

    future = trades.filter(pl.col("ts_event").to_physical() >= cut_ns)
    other = pl.concat([past, future.with_columns(pl.col("price_tick") + 400, pl.col("price") + 100)])
    changed = gold_of(other, prior=prior).join(known.select("bar_type", "bar_id"), on=["bar_type", "bar_id"])
    assert changed.equals(known, null_equal=True)


def test_an_event_bar_that_ends_inside_a_nanosecond_does_not_know_the_rest_of_it() -> None:
    now = at(SESSION, "10:00")
    ts_ns = [now] * 3
    trades = frame(SESSION, ts_ns, [20_000, 20_004, 20_400], [400, 600, 5_000], [1, 1, 1])
    first = (
        gold_of(trades).filter(pl.col("bar_type") == "volume_1000", pl.col("bar_id") == 0).row(0, named=True)
    )
    assert first["volume"] == 1000
    assert first["day_vwap"] == pytest.approx((400 * 5000 + 600 * 5001) / 1000)
    assert first["dev_poc_price"] == 5001


def test_a_close_inside_the_top_row_of_a_value_area_is_inside_it() -> None:
    start = at(SESSION, "10:00")
    trades = prints(SESSION, [(start, 5000.75, 10, 1), (start + MINUTE, 5000.75, 1, 1)])
    table = minutes_of(gold_of(trades, rules=FootprintSettings(ticks_per_row=4)))
    assert table["dev_vah_price"].to_list() == [5000, 5000]
    assert table["is_in_dev_value_area"].to_list() == [True, True]


def test_at_the_end_of_the_day_the_running_values_are_those_of_the_profiles() -> None:
    trades = random_day(SESSION, seed=12)
    profile = volume_profile_session(volume_profile_price(trades, SESSION, RULES), trades, None, SESSION)
    full, cash = (profile.filter(profile_type=name).row(0, named=True) for name in ("FULL", "RTH"))
    last = minutes_of(gold_of(trades)).row(-1, named=True)
    assert (last["day_vwap"], last["day_vwap_std"]) == (full["vwap"], full["vwap_std"])
    assert [last[f"dev_{name}_price"] for name in ("poc", "vah", "val")] == [
        cash[f"{name}_price"] for name in ("poc", "vah", "val")
    ]


def test_bars_of_other_trades_are_refused() -> None:
    trades = random_day(SESSION, seed=13, trades=50)
    _, bar = footprint(trades, SESSION, BARS, RULES, 0.25)
    levels = contracts.load("silver.future.session_levels").polars_schema.to_frame()
    with pytest.raises(BarsOfOtherTrades, match="hold 50 trades of 49"):
        footprint_bars(bar, trades.head(49), levels, SESSION, RULES)


def test_no_trades_make_a_typed_table_without_rows() -> None:
    assert gold_of(prints(SESSION, [])).is_empty()
