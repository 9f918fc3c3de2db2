"""Dynamic levels: published numbers, slow references at bar ends, causality, weeks, warm-up, sessions without cash."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.kernels.value_area import value_area
from footprint_assets.settings import FootprintSettings
from footprint_assets.transforms.level_series import level_series_5s
from footprint_assets_tests.transforms.history_frames import BAR, full_grid, grid, look_back
from footprint_assets_tests.transforms.trade_frames import (
    MINUTE,
    REGULAR_DAY,
    SECOND,
    at,
    frame,
    prints,
    random_day,
    real_trades,
)

SESSION = cme.session(REGULAR_DAY)
MONDAY = dt.date(2024, 6, 10)
NO_CASH = dt.date(2024, 1, 15)
EARLY_CLOSE = dt.date(2024, 11, 29)
NO_PRIOR = look_back(REGULAR_DAY, {})
BANDS = {f"{side}_{k}SD" for side in ("PLUS", "MINUS") for k in (1, 2, 3)}
WEEK = {"WEEK_VWAP", "CURRENT_WEEK_HIGH", "CURRENT_WEEK_LOW"}
ALL_LEVELS = WEEK | {
    *("SMA_90", "EMA_20", "GLOBEX_VWAP", "RTH_VWAP", "DEV_POC", "DEV_VAH", "DEV_VAL", "SESSION_HIGH"),
    "SESSION_LOW",
    *(f"{anchor}_VWAP_{band}" for anchor in ("GLOBEX", "RTH") for band in BANDS),
}


def series_of(
    trades: pl.DataFrame,
    bars: pl.DataFrame,
    session: cme.Session = SESSION,
    prior: pl.DataFrame = NO_PRIOR,
) -> pl.DataFrame:
    table = level_series_5s(trades, bars, prior, session, FootprintSettings(), 0.25)
    contracts.Validator(contracts.load("silver.future.level_series_5s")).validate(table)
    return table


def at_end(table: pl.DataFrame, end_ns: int) -> dict[str, float]:
    """The unrounded levels at the end of a bar."""
    rows = table.filter(pl.col("bar_ts").to_physical() == end_ns - BAR)
    return dict(rows.select("level_name", "level_price_raw").rows())


def one(table: pl.DataFrame, name: str) -> pl.DataFrame:
    return table.filter(level_name=name)


def before(trades: pl.DataFrame, end_ns: int) -> pl.DataFrame:
    return trades.filter(pl.col("ts_event").to_physical() < end_ns)


def two_minutes(session: cme.Session, closes: list[float], start: str = "18:00") -> pl.DataFrame:
    """One trade in each of consecutive two-minute bars."""
    first = at(session, start)
    return prints(
        session, [(first + i * 2 * MINUTE + 7 * SECOND, price, 1, 1) for i, price in enumerate(closes)]
    )


def test_the_published_vwap_example_has_a_deviation_of_0_7312() -> None:
    rows = [(100, 10), (101, 20), (100.5, 10), (102, 20)]
    trades = prints(SESSION, [(SESSION.open_ns + i, price, size, 1) for i, (price, size) in enumerate(rows)])
    found = at_end(series_of(trades, grid(SESSION.open_ns, 1)), SESSION.open_ns + BAR)
    assert found["GLOBEX_VWAP"] == pytest.approx(101.08333333333333, abs=1e-12)
    for k in (1, 2, 3):
        upper, lower = (found[f"GLOBEX_VWAP_{side}_{k}SD"] for side in ("PLUS", "MINUS"))
        assert upper - found["GLOBEX_VWAP"] == pytest.approx(k * 0.731247032282677, abs=1e-12)
        assert found["GLOBEX_VWAP"] - lower == pytest.approx(k * 0.731247032282677, abs=1e-12)


def vwap_by_hand(trades: pl.DataFrame) -> float:
    return math.fsum((trades["price"] * trades["size"]).to_list()) / trades["size"].sum()


def area_by_hand(trades: pl.DataFrame) -> tuple[float, float, float]:
    tick = trades["price_tick"].cast(pl.Int64).to_numpy()
    volumes = np.zeros(tick.max() - tick.min() + 1, np.int64)
    np.add.at(volumes, tick - tick.min(), trades["size"].to_numpy())
    poc, val, vah = ((row + int(tick.min())) / 4 for row in value_area(volumes, 70, 2))
    return poc, val, vah


@pytest.mark.parametrize("date", [REGULAR_DAY, dt.date(2024, 3, 11), dt.date(2024, 11, 4), EARLY_CLOSE])
@pytest.mark.parametrize("wall", ["18:10", "04:00:05", "09:30", "09:35", "11:00", "12:59:55"])
def test_a_level_at_a_bar_end_is_that_of_the_trades_before_it(date: dt.date, wall: str) -> None:
    session = cme.session(date)
    end_ns = at(session, wall)
    trades = random_day(session, seed=1)
    past = before(trades, end_ns)
    found = at_end(series_of(trades, full_grid(session), session), end_ns)
    assert found["GLOBEX_VWAP"] == pytest.approx(vwap_by_hand(past), rel=1e-13)
    cash = past.filter(pl.col("session") == "RTH")
    developing = cash if cash.height else past
    assert (found["DEV_POC"], found["DEV_VAL"], found["DEV_VAH"]) == area_by_hand(developing)
    assert ("RTH_VWAP" in found) == (cash.height > 0)
    if cash.height:
        assert found["RTH_VWAP"] == pytest.approx(vwap_by_hand(cash), rel=1e-13)
    settled = before(trades, end_ns - MINUTE)["price"]
    assert (found["SESSION_HIGH"], found["SESSION_LOW"]) == (settled.max(), settled.min())


def test_a_trade_at_a_bar_end_belongs_to_the_next_bar() -> None:
    start = SESSION.open_ns
    table = series_of(prints(SESSION, [(start + BAR, 5000, 1, 1)]), grid(start, 2))
    assert at_end(table, start + BAR) == {}
    assert at_end(table, start + 2 * BAR)["GLOBEX_VWAP"] == 5000


def test_an_extreme_becomes_a_level_a_minute_after_its_trade() -> None:
    start = SESSION.open_ns
    trades = prints(SESSION, [(start, 5000, 1, 1), (start + 10 * SECOND, 5001, 1, 1)])
    highs = one(series_of(trades, grid(start, 20)), "SESSION_HIGH")
    known = highs.filter(pl.col("level_price") == 5001)["bar_ts"].to_physical()[0]
    assert known + BAR == start + 10 * SECOND + MINUTE + BAR
    assert highs["bar_ts"].to_physical()[0] + BAR == start + MINUTE + BAR


def test_the_sma_is_the_mean_of_ninety_closed_bars_and_unknown_before() -> None:
    closes = [5000 + 0.25 * i for i in range(95)]
    trades = two_minutes(SESSION, closes)
    sma = one(series_of(trades, full_grid(SESSION)), "SMA_90")
    first_end = sma["bar_ts"].to_physical()[0] + BAR
    assert first_end == SESSION.open_ns + 90 * 2 * MINUTE
    assert sma["level_price_raw"][0] == sum(closes[:90]) / 90
    assert at_end(sma, first_end + 2 * MINUTE)["SMA_90"] == sum(closes[1:91]) / 90
    assert at_end(sma, first_end + 2 * MINUTE - BAR)["SMA_90"] == sum(closes[:90]) / 90


def test_the_ema_goes_on_from_the_mean_of_its_first_twenty_closes() -> None:
    closes = [5000 + 0.25 * (i * i % 7) for i in range(30)]
    ema = one(series_of(two_minutes(SESSION, closes), full_grid(SESSION)), "EMA_20")
    expected = sum(closes[:20]) / 20
    for i in range(20, 30):
        expected += (closes[i] - expected) * 2 / 21
        end_ns = SESSION.open_ns + (i + 1) * 2 * MINUTE
        assert at_end(ema, end_ns)["EMA_20"] == pytest.approx(expected, abs=1e-9)
    assert ema["bar_ts"].to_physical()[0] + BAR == SESSION.open_ns + 40 * MINUTE


def test_a_two_minute_bar_without_a_trade_is_no_close() -> None:
    closes = [5000.0] * 89
    late = [(at(SESSION, "12:00"), 5090.0, 1, 1)]
    rows = two_minutes(SESSION, closes)
    trades = pl.concat([rows, prints(SESSION, late)])
    sma = one(series_of(trades, full_grid(SESSION)), "SMA_90")
    assert sma["bar_ts"].to_physical()[0] + BAR == at(SESSION, "12:02")
    assert sma["level_price_raw"][0] == (89 * 5000 + 5090) / 90


def test_the_averages_go_on_from_the_session_before_of_the_same_contract() -> None:
    yesterday = cme.session(cme.previous_session(REGULAR_DAY))
    old = [4000 + 0.25 * i for i in range(130)]
    held = {yesterday.trade_date: two_minutes(yesterday, old)}
    trades = two_minutes(SESSION, [5000.0])
    bars = grid(SESSION.open_ns, 30)
    sma = one(series_of(trades, bars, prior=look_back(REGULAR_DAY, held)), "SMA_90")
    assert sma["level_price_raw"][0] == sum(old[-90:]) / 90
    assert at_end(sma, SESSION.open_ns + 2 * MINUTE)["SMA_90"] == (sum(old[-89:]) + 5000) / 90
    other = {day: rows.with_columns(symbol=pl.lit("ESH4")) for day, rows in held.items()}
    assert one(series_of(trades, bars, prior=look_back(REGULAR_DAY, other)), "SMA_90").is_empty()


def test_a_short_session_is_completed_by_the_one_before_it_but_never_across_a_gap() -> None:
    day, short, full = dt.date(2024, 6, 13), dt.date(2024, 6, 12), dt.date(2024, 6, 11)
    few, many = [5000.0] * 10, [4000.0] * 100
    held = {
        full: two_minutes(cme.session(full), many),
        short: two_minutes(cme.session(short), few),
    }
    session = cme.session(day)
    bars = grid(session.open_ns, 2)
    trades = two_minutes(session, [5000.0])
    sma = one(series_of(trades, bars, session, look_back(day, held)), "SMA_90")
    assert sma["level_price_raw"][0] == (10 * 5000 + 80 * 4000) / 90
    gap = {cme.previous_session(full): held[full], short: held[short]}
    assert one(series_of(trades, bars, session, look_back(day, gap)), "SMA_90").is_empty()


def week_of(day: dt.date, missing: int | None = None) -> dict[dt.date, pl.DataFrame]:
    days = cme.sessions(day - dt.timedelta(days=day.weekday()), day - dt.timedelta(days=1))
    return {date: random_day(cme.session(date), seed=date.day) for i, date in enumerate(days) if i != missing}


def test_week_levels_count_every_trade_since_sunday_evening() -> None:
    friday = dt.date(2024, 6, 14)
    session = cme.session(friday)
    held, today = week_of(friday), random_day(session, seed=99)
    end_ns = at(session, "10:00")
    found = at_end(series_of(today, full_grid(session), session, look_back(friday, held)), end_ns)
    week = pl.concat([*held.values(), before(today, end_ns)])
    assert len(held) == 4
    assert found["WEEK_VWAP"] == pytest.approx(vwap_by_hand(week), rel=1e-13)
    assert found["CURRENT_WEEK_HIGH"] == week["price"].max()
    assert found["CURRENT_WEEK_LOW"] == week["price"].min()


def test_a_week_with_a_missing_session_has_no_week_levels() -> None:
    friday = dt.date(2024, 6, 14)
    session = cme.session(friday)
    prior = look_back(friday, week_of(friday, missing=1))
    table = series_of(random_day(session, seed=2), grid(session.open_ns, 100), session, prior)
    assert not set(table["level_name"]) & WEEK


def test_on_monday_the_week_is_the_session() -> None:
    session = cme.session(MONDAY)
    end_ns = at(session, "10:00")
    table = series_of(random_day(session, seed=3), full_grid(session), session, look_back(MONDAY, {}))
    found = at_end(table, end_ns)
    assert found["WEEK_VWAP"] == pytest.approx(found["GLOBEX_VWAP"], rel=1e-15)
    assert found["CURRENT_WEEK_HIGH"] == before(random_day(session, seed=3), end_ns)["price"].max()


def test_after_a_monday_holiday_the_week_begins_with_the_holiday_session() -> None:
    tuesday = dt.date(2024, 1, 16)
    held = {NO_CASH: random_day(cme.session(NO_CASH), seed=4)}
    session = cme.session(tuesday)
    table = series_of(prints(session, []), grid(session.open_ns, 2), session, look_back(tuesday, held))
    found = at_end(table, session.open_ns + BAR)
    assert found["CURRENT_WEEK_HIGH"] == held[NO_CASH]["price"].max()
    assert found["WEEK_VWAP"] == pytest.approx(vwap_by_hand(held[NO_CASH]), rel=1e-13)


def test_a_date_without_a_cash_session_develops_the_electronic_profile_all_day() -> None:
    session = cme.session(NO_CASH)
    trades = random_day(session, seed=5)
    table = series_of(trades, full_grid(session), session, look_back(NO_CASH, {}))
    assert not {name for name in table["level_name"].unique() if name.startswith("RTH")}
    found = at_end(table, session.close_ns)
    assert (found["DEV_POC"], found["DEV_VAL"], found["DEV_VAH"]) == area_by_hand(trades)


def test_after_the_cash_close_its_profile_and_vwap_rest() -> None:
    session = cme.session(EARLY_CLOSE)
    assert session.rth_close_ns is not None
    table = series_of(random_day(session, seed=6), full_grid(session), session, look_back(EARLY_CLOSE, {}))
    at_close, at_last = at_end(table, session.rth_close_ns), at_end(table, session.close_ns)
    for name in ("RTH_VWAP", "RTH_VWAP_PLUS_2SD", "DEV_POC", "DEV_VAH", "DEV_VAL"):
        assert at_close[name] == at_last[name]
    assert at_close["GLOBEX_VWAP"] != at_last["GLOBEX_VWAP"]


def test_a_slope_is_the_change_over_a_minute_and_unknown_across_the_cash_open() -> None:
    table = one(series_of(random_day(SESSION, seed=7), full_grid(SESSION)), "DEV_POC")
    raw = dict(zip(table["bar_ts"].to_physical(), table["level_price_raw"], strict=True))
    first_cash = before(random_day(SESSION, seed=7), at(SESSION, "09:30")).height
    switch = random_day(SESSION, seed=7)["ts_event"].to_physical()[first_cash] // BAR * BAR
    for bar_ns, slope in table.select(pl.col("bar_ts").to_physical(), "level_slope_pts_per_min").rows():
        crosses = bar_ns - MINUTE < switch <= bar_ns
        expected = None if crosses or bar_ns - MINUTE not in raw else raw[bar_ns] - raw[bar_ns - MINUTE]
        assert slope == expected


def test_an_age_is_the_time_since_the_bar_in_which_the_value_changed() -> None:
    start = SESSION.open_ns
    trades = prints(SESSION, [(start, 5000, 1, 1), (start + 3 * BAR, 5002, 1, 1)])
    vwap = one(series_of(trades, grid(start, 6)), "GLOBEX_VWAP")
    assert vwap["level_age_s"].to_list() == [0, 5, 10, 0, 5, 10]


def test_prices_are_rounded_half_up_and_kept_raw() -> None:
    start = SESSION.open_ns
    trades = prints(SESSION, [(start, 5000, 1, 1), (start + 1, 5000.25, 1, 1)])
    row = one(series_of(trades, grid(start, 1)), "GLOBEX_VWAP").row(0, named=True)
    assert (row["level_price"], row["level_price_raw"]) == (5000.25, 5000.125)


def test_every_level_exists_in_the_afternoon_of_a_week_that_is_known() -> None:
    friday = dt.date(2024, 6, 14)
    session = cme.session(friday)
    table = series_of(
        random_day(session, seed=8), full_grid(session), session, look_back(friday, week_of(friday))
    )
    assert set(at_end(table, at(session, "15:00"))) == ALL_LEVELS


def known_week(day: dt.date) -> pl.DataFrame:
    return look_back(day, week_of(day))


PRIOR = known_week(REGULAR_DAY)


@given(st.integers(0, 10**6), st.integers(1, 16_000))
@settings(max_examples=12, deadline=None)
def test_cutting_the_data_at_any_bar_leaves_the_rows_before_it_bit_identical(seed: int, bars: int) -> None:
    trades = random_day(SESSION, seed, trades=1500)
    whole = series_of(trades, full_grid(SESSION), prior=PRIOR)
    some = full_grid(SESSION).head(bars)
    end_ns = SESSION.open_ns + bars * BAR
    cut = series_of(before(trades, end_ns), some, prior=PRIOR)
    assert whole.filter(pl.col("bar_ts").to_physical() < end_ns).equals(cut, null_equal=True)


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_mirrored_prices_mirror_the_levels(seed: int) -> None:
    trades = random_day(SESSION, seed, trades=600)
    mirror = trades.with_columns(-pl.col("price"), -pl.col("price_tick"))
    bars = grid(at(SESSION, "10:00"), 3)
    end_ns = at(SESSION, "10:00") + BAR
    found, other = (at_end(series_of(rows, bars), end_ns) for rows in (trades, mirror))
    for high, low in (("SESSION_HIGH", "SESSION_LOW"), ("GLOBEX_VWAP_PLUS_2SD", "GLOBEX_VWAP_MINUS_2SD")):
        assert other[low] == pytest.approx(-found[high], abs=1e-6)
        assert other[high] == pytest.approx(-found[low], abs=1e-6)


def test_bars_before_the_first_trade_have_no_row_and_no_bars_make_no_table() -> None:
    trades = frame(SESSION, [at(SESSION, "09:00")], [21_400], [1], [1])
    assert series_of(trades, grid(SESSION.open_ns, 10)).is_empty()
    assert series_of(trades, grid(SESSION.open_ns, 0)).is_empty()


@pytest.mark.realdata
def test_levels_of_real_trades_stay_inside_the_range_so_far(real_data: Path) -> None:
    session = cme.session(MONDAY)
    trades = real_trades(real_data / "dbn" / "glbx-mdp3-20240610.trades.dbn.zst", session, "ESM4")
    table = series_of(trades, full_grid(session), session, look_back(MONDAY, {}))
    inside = ("GLOBEX_VWAP", "RTH_VWAP", "WEEK_VWAP", "DEV_POC", "DEV_VAH", "DEV_VAL", "SMA_90", "EMA_20")
    wide = table.pivot("level_name", index="bar_ts", values="level_price_raw")
    high, low = wide["CURRENT_WEEK_HIGH"], wide["CURRENT_WEEK_LOW"]
    for name in inside:
        if name in wide.columns:
            assert ((wide[name] <= high + 1e-9) & (wide[name] >= low - 1e-9)).drop_nulls().all()
    assert wide["CURRENT_WEEK_HIGH"][-1] == trades["price"].max()
    assert wide["GLOBEX_VWAP"][-1] == pytest.approx(vwap_by_hand(trades), rel=1e-13)
