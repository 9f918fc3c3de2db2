"""Session levels: windows against independent queries, existence, causality, prior sessions, rounding."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import FootprintSettings, LevelSettings
from footprint_assets.transforms.levels import TickSizeMismatch, half_up, session_levels
from footprint_assets.transforms.profile import volume_profile_price, volume_profile_session
from footprint_assets_tests.transforms.trade_frames import (
    MINUTE,
    REGULAR_DAY,
    SECOND,
    at,
    frame,
    prints,
    random_day,
)

SESSION = cme.session(REGULAR_DAY)
NO_PRIOR = contracts.load("silver.future.volume_profile_session").polars_schema.to_frame()
SETTINGS = LevelSettings()
DST_MONDAYS = [dt.date(2024, 3, 11), dt.date(2024, 11, 4)]
EARLY_CLOSE = dt.date(2024, 11, 29)
NO_CASH = dt.date(2024, 1, 15)
AFTER_NO_CASH = dt.date(2024, 1, 16)
CASH_LEVELS = {
    *("PM_HIGH", "PM_LOW", "OVERNIGHT_HIGH", "OVERNIGHT_LOW", "OVERNIGHT_MID", "OR_HIGH", "OR_LOW"),
    *("OR5_HIGH", "OR5_LOW", "OR15_HIGH", "OR15_LOW", "OR30_HIGH", "OR30_LOW"),
    *("IB_HIGH", "IB_LOW", "IB_MID", "RTH_OPEN"),
}
PRIOR_LEVELS = {"PDH", "PDL", "PDO", "PDC", "PD_MID", "PD_POC", "PD_VAH", "PD_VAL", "PD_VWAP"}


def levels_of(
    trades: pl.DataFrame,
    session: cme.Session = SESSION,
    prior: pl.DataFrame = NO_PRIOR,
    rules: LevelSettings = SETTINGS,
    tick_size: float = 0.25,
) -> pl.DataFrame:
    table = session_levels(trades, session, rules, prior, tick_size)
    contracts.Validator(contracts.load("silver.future.session_levels")).validate(table)
    return table


def by_name(table: pl.DataFrame) -> dict[str, dict[str, object]]:
    return {row["level_name"]: row for row in table.iter_rows(named=True)}


def prices(table: pl.DataFrame) -> dict[str, float]:
    return dict(table.select("level_name", "level_price").rows())


def valid_from_et(table: pl.DataFrame, name: str) -> dt.time:
    row = table.filter(pl.col("level_name") == name)
    return row["valid_from_ts"].dt.convert_time_zone("America/New_York").dt.time()[0]


def summary_of(date: dt.date, seed: int, symbol: str = "ESM4") -> pl.DataFrame:
    session = cme.session(date)
    trades = random_day(session, seed).with_columns(symbol=pl.lit(symbol))
    return volume_profile_session(
        volume_profile_price(trades, session, FootprintSettings()), trades, None, session
    )


WINDOWS = {
    "PM": ("04:00", "09:30"),
    "OR": ("09:30", "09:45"),
    "OR5": ("09:30", "09:35"),
    "OR15": ("09:30", "09:45"),
    "OR30": ("09:30", "10:00"),
    "IB": ("09:30", "10:30"),
}


@pytest.mark.parametrize("date", [REGULAR_DAY, *DST_MONDAYS, EARLY_CLOSE])
@pytest.mark.parametrize("prefix", WINDOWS)
def test_a_range_is_the_extreme_trades_of_its_wall_clock_window(date: dt.date, prefix: str) -> None:
    session = cme.session(date)
    trades = random_day(session, seed=1)
    start, end = (dt.time.fromisoformat(wall) for wall in WINDOWS[prefix])
    wall = pl.col("ts_event_est")
    window = trades.filter(wall.dt.date() == date, wall.dt.time() >= start, wall.dt.time() < end)
    table = levels_of(trades, session)
    found = by_name(table)
    for side, price in (("HIGH", window["price"].max()), ("LOW", window["price"].min())):
        level = found[f"{prefix}_{side}"]
        assert level["level_price"] == level["level_price_raw"] == price
        touched = window.filter(pl.col("price") == price)
        assert level["extreme_ts"] == touched["ts_event"][0]
        assert level["volume_at_level"] == touched["size"].sum()
        assert (level["window_trades"], level["window_volume"]) == (window.height, window["size"].sum())
        assert valid_from_et(table, f"{prefix}_{side}") == end


@pytest.mark.parametrize("date", [REGULAR_DAY, *DST_MONDAYS, EARLY_CLOSE])
def test_the_overnight_range_runs_from_the_globex_open_to_the_cash_open(date: dt.date) -> None:
    session = cme.session(date)
    trades = random_day(session, seed=2)
    night = trades.filter(pl.col("session").is_in(["ETH_ASIA", "ETH_LONDON"]))
    found = prices(levels_of(trades, session))
    assert (found["OVERNIGHT_HIGH"], found["OVERNIGHT_LOW"]) == (night["price"].max(), night["price"].min())
    assert found["GLOBEX_OPEN"] == trades["price"][0]


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_wider_windows_contain_narrower_ones(seed: int) -> None:
    found = prices(levels_of(random_day(SESSION, seed, trades=1500)))
    for wide, narrow in (("OVERNIGHT", "PM"), ("IB", "OR30"), ("OR30", "OR15"), ("OR15", "OR5")):
        assert found[f"{wide}_HIGH"] >= found[f"{narrow}_HIGH"]
        assert found[f"{wide}_LOW"] <= found[f"{narrow}_LOW"]
    assert found["OR_HIGH"] == found["OR15_HIGH"]
    assert found["OVERNIGHT_LOW"] <= found["OVERNIGHT_MID"] <= found["OVERNIGHT_HIGH"]


def test_windows_are_half_open() -> None:
    cash_open = at(SESSION, "09:30")
    trades = prints(
        SESSION,
        [
            (at(SESSION, "04:00") - 1, 9.0, 1, 1),
            (at(SESSION, "04:00"), 1.0, 1, 1),
            (cash_open - 1, 2.0, 1, 1),
            (cash_open, 3.0, 1, 1),
            (cash_open + 5 * MINUTE - 1, 4.0, 1, 1),
            (cash_open + 5 * MINUTE, 5.0, 1, 1),
        ],
    )
    found = prices(levels_of(trades))
    assert (found["PM_LOW"], found["PM_HIGH"]) == (1, 2)
    assert (found["OVERNIGHT_LOW"], found["OVERNIGHT_HIGH"]) == (1, 9)
    assert (found["OR5_LOW"], found["OR5_HIGH"]) == (3, 4)
    assert found["RTH_OPEN"] == 3


@given(st.integers(0, 10**6), st.floats(0.05, 0.95))
@settings(max_examples=25, deadline=None)
def test_levels_valid_by_a_cut_are_the_same_with_and_without_the_future(seed: int, share: float) -> None:
    trades = random_day(SESSION, seed, trades=2000)
    prior = summary_of(cme.previous_session(REGULAR_DAY), seed=3)
    cut = SESSION.open_ns + int(share * (SESSION.close_ns - SESSION.open_ns))
    past = trades.filter(pl.col("ts_event").to_physical() < cut)
    known = pl.col("valid_from_ts").to_physical() <= cut
    full = levels_of(trades, prior=prior).filter(known)
    assert full.equals(levels_of(past, prior=prior).filter(known), null_equal=True)

    later = trades.filter(pl.col("ts_event").to_physical() >= cut)
    upside_down = later.with_columns(
        pl.col("price_tick").reverse(), pl.col("price").reverse(), pl.col("size").reverse()
    )
    changed = levels_of(pl.concat([past, upside_down]), prior=prior).filter(known)
    assert full.equals(changed, null_equal=True)


@pytest.mark.parametrize("cut", ["09:00", "09:35", "09:44:59"])
def test_no_level_is_valid_before_its_window_ends_however_early_the_data_end(cut: str) -> None:
    trades = random_day(SESSION, seed=4)
    table = levels_of(trades.filter(pl.col("ts_event").to_physical() < at(SESSION, cut)))
    late = table.filter(pl.col("valid_from_ts").to_physical() <= at(SESSION, cut))
    assert not set(late["level_name"]) & {"OR_HIGH", "OR_LOW", "IB_HIGH"}
    if cut != "09:00":
        assert valid_from_et(table, "OR_HIGH") == dt.time(9, 45)


def test_an_open_is_known_one_nanosecond_after_its_trade() -> None:
    start = at(SESSION, "09:30:00.5")
    rows = by_name(levels_of(prints(SESSION, [(start, 5000, 2, 1), (start + 1, 5001, 1, 1)])))
    assert rows["RTH_OPEN"]["valid_from_ts"] == dt.datetime.fromtimestamp(start / 1e9, dt.UTC)
    physical = levels_of(prints(SESSION, [(start, 5000, 2, 1)])).filter(level_name="RTH_OPEN")
    assert physical["valid_from_ts"].to_physical()[0] == start + 1
    assert (rows["RTH_OPEN"]["window_trades"], rows["RTH_OPEN"]["window_volume"]) == (1, 2)


def test_a_date_without_a_cash_session_has_only_globex_and_prior_levels() -> None:
    session = cme.session(NO_CASH)
    prior = summary_of(cme.previous_session(NO_CASH), seed=5)
    table = levels_of(random_day(session, seed=6), session, prior)
    assert set(table["level_name"]) == {"GLOBEX_OPEN"} | PRIOR_LEVELS


def test_the_prior_cash_session_of_the_day_after_a_holiday_is_the_friday_before() -> None:
    friday, holiday = cme.previous_session(NO_CASH), NO_CASH
    prior = pl.concat([summary_of(friday, seed=7), summary_of(holiday, seed=8)])
    session = cme.session(AFTER_NO_CASH)
    table = levels_of(random_day(session, seed=9), session, prior)
    source = table.filter(pl.col("level_name") == "PDH")["source_session_date"]
    assert source.to_list() == [friday]


def test_prior_levels_are_those_of_the_last_cash_profile_and_known_at_the_open() -> None:
    yesterday = cme.previous_session(REGULAR_DAY)
    prior = summary_of(yesterday, seed=10).with_columns(settlement=pl.lit(5342.25))
    cash = prior.filter(profile_type="RTH").row(0, named=True)
    table = levels_of(random_day(SESSION, seed=11), prior=prior)
    assert set(table["level_name"]) == {"GLOBEX_OPEN", "HALF_GAP", "PD_SETTLE"} | PRIOR_LEVELS | CASH_LEVELS
    found = by_name(table)
    raw = {name: found[name]["level_price_raw"] for name in found}
    assert (raw["PDH"], raw["PDL"], raw["PDO"], raw["PDC"]) == (
        cash["high"],
        cash["low"],
        cash["open"],
        cash["close"],
    )
    assert (raw["PD_POC"], raw["PD_VAH"], raw["PD_VAL"]) == (
        cash["poc_price"],
        cash["vah_price"],
        cash["val_price"],
    )
    assert (raw["PD_VWAP"], raw["PD_SETTLE"]) == (cash["vwap"], 5342.25)
    assert raw["PD_MID"] == (cash["high"] + cash["low"]) / 2
    assert raw["HALF_GAP"] == (raw["RTH_OPEN"] + cash["close"]) / 2
    assert found["HALF_GAP"]["valid_from_ts"] == found["RTH_OPEN"]["valid_from_ts"]
    days = table.filter(pl.col("source_session_date") == yesterday)
    assert days["valid_from_ts"].to_physical().unique().to_list() == [SESSION.open_ns]
    assert days["window_volume"].unique().to_list() == [cash["total_volume"]]


def test_levels_of_an_older_session_or_another_contract_never_stand_in() -> None:
    older = summary_of(cme.previous_session(REGULAR_DAY, 2), seed=12)
    other = summary_of(cme.previous_session(REGULAR_DAY), seed=12, symbol="ESU4")
    for prior in (older, other):
        names = set(levels_of(random_day(SESSION, seed=13), prior=prior)["level_name"])
        assert names == {"GLOBEX_OPEN"} | CASH_LEVELS


def test_a_window_without_trades_has_no_level() -> None:
    trades = prints(SESSION, [(at(SESSION, "09:50"), 5000, 1, 1)])
    assert set(levels_of(trades)["level_name"]) == {
        *("GLOBEX_OPEN", "RTH_OPEN", "OR30_HIGH", "OR30_LOW", "IB_HIGH", "IB_LOW", "IB_MID")
    }


def every(seconds: int, start: str, end: str) -> list[tuple[int, float, int, int]]:
    return [(ts, 5000.0, 1, 1) for ts in range(at(SESSION, start), at(SESSION, end), seconds * SECOND)]


PARTIAL = {
    "complete": (every(30, "09:30", "10:30"), False),
    "a late start": (every(30, "09:31:01", "10:30"), True),
    "an early end": (every(30, "09:30", "10:28:30"), True),
    "a hole": (every(30, "09:30", "10:00") + every(30, "10:01", "10:30"), True),
    "a pause as long as allowed": (every(30, "09:30", "10:00") + every(30, "10:00:30", "10:30"), False),
}


@pytest.mark.parametrize(("rows", "is_partial"), PARTIAL.values(), ids=PARTIAL)
def test_the_initial_balance_is_partial_after(
    rows: list[tuple[int, float, int, int]], is_partial: bool
) -> None:
    assert by_name(levels_of(prints(SESSION, rows)))["IB_HIGH"]["is_partial_window"] is is_partial


def test_a_quiet_night_is_no_hole_but_a_night_that_stops_early_is() -> None:
    quiet = [(at(SESSION, "18:00"), 5000.0, 1, 1), (at(SESSION, "03:00"), 5000.0, 1, 1)]
    rows = [*quiet, (at(SESSION, "09:29:30"), 5001.0, 1, 1)]
    assert by_name(levels_of(prints(SESSION, rows)))["OVERNIGHT_HIGH"]["is_partial_window"] is False
    assert by_name(levels_of(prints(SESSION, quiet)))["OVERNIGHT_HIGH"]["is_partial_window"] is True


def test_a_window_beyond_an_early_close_is_partial_and_valid_only_from_its_own_end() -> None:
    session = cme.session(EARLY_CLOSE)
    # A generous hole, so that only the cash close can make the window partial.
    rules = LevelSettings(initial_balance_minutes=240, max_gap_seconds=3600)
    trades = random_day(session, seed=14)
    table = levels_of(trades, session, rules=rules)
    row = by_name(table)["IB_HIGH"]
    assert row["is_partial_window"] is True
    assert valid_from_et(table, "IB_HIGH") == dt.time(13, 30)
    assert row["level_price"] == trades.filter(pl.col("session") == "RTH")["price"].max()


def test_the_pre_market_start_is_a_setting() -> None:
    trades = prints(SESSION, [(at(SESSION, "04:30"), 9.0, 1, 1), (at(SESSION, "05:00"), 5.0, 1, 1)])
    assert prices(levels_of(trades))["PM_HIGH"] == 9
    assert prices(levels_of(trades, rules=LevelSettings(premarket_start=dt.time(5))))["PM_HIGH"] == 5


def test_a_middle_between_two_ticks_is_rounded_up_and_kept_raw() -> None:
    cash_open = at(SESSION, "09:30")
    trades = prints(SESSION, [(cash_open, 5000.0, 7, 1), (cash_open + 1, 5000.25, 5, 1)])
    row = by_name(levels_of(trades))["IB_MID"]
    assert (row["level_price"], row["level_price_raw"], row["volume_at_level"]) == (5000.25, 5000.125, 5)


@given(st.integers(-(10**6), 10**6), st.sampled_from([10_000_000, 100_000_000, 250_000_000]))
def test_half_ticks_go_up_on_both_sides_of_zero(half_ticks: int, tick_nanos: int) -> None:
    assert half_up(half_ticks * tick_nanos / 2e9, tick_nanos) == (half_ticks + 1) // 2


def test_mirrored_prices_swap_highs_with_lows() -> None:
    trades = random_day(SESSION, seed=15)
    mirror = trades.with_columns(-pl.col("price"), -pl.col("price_tick"))
    one, other = by_name(levels_of(trades)), by_name(levels_of(mirror))
    for name, row in one.items():
        twin = other[name.replace("HIGH", "?").replace("LOW", "HIGH").replace("?", "LOW")]
        assert twin["level_price_raw"] == -row["level_price_raw"]
        assert twin["level_polarity"] == -row["level_polarity"]
        assert twin["extreme_ts"] == row["extreme_ts"]


def test_a_tenth_tick_market_has_levels_equal_to_its_trade_prices() -> None:
    tick_nanos = 100_000_000
    cash_open = at(SESSION, "09:30")
    trades = frame(SESSION, [cash_open, cash_open + 1], [3, 7], [1, 1], [1, 1], tick_nanos=tick_nanos)
    found = prices(levels_of(trades, tick_size=0.1))
    assert {found["IB_LOW"], found["IB_HIGH"]} == set(trades["price"])


def test_another_tick_size_than_the_trades_is_refused() -> None:
    with pytest.raises(TickSizeMismatch, match=r"steps of 0\.25 points, not 0\.1"):
        levels_of(random_day(SESSION, seed=16, trades=5), tick_size=0.1)


def test_no_trades_make_a_typed_table_without_rows() -> None:
    assert levels_of(
        prints(SESSION, []), prior=summary_of(cme.previous_session(REGULAR_DAY), seed=17)
    ).is_empty()


def test_a_level_with_a_gap_yesterday_is_partial_today() -> None:
    prior = summary_of(cme.previous_session(REGULAR_DAY), seed=18)
    for gap_ns, is_partial in ((59 * SECOND, False), (61 * SECOND, True)):
        marked = prior.with_columns(longest_gap_ns=pl.lit(gap_ns))
        found = by_name(levels_of(random_day(SESSION, seed=19, trades=20_000), prior=marked))
        assert found["PDH"]["is_partial_window"] is is_partial
        assert found["HALF_GAP"]["is_partial_window"] is is_partial
        assert found["RTH_OPEN"]["is_partial_window"] is False


def test_permuting_trades_of_one_nanosecond_changes_no_range() -> None:
    trades = random_day(SESSION, seed=20)
    shuffled = trades.with_columns(_key=np.random.default_rng(0).random(trades.height)).sort(
        "ts_event", "_key"
    )
    ranges = pl.col("level_polarity") != 0
    one, other = levels_of(trades).filter(ranges), levels_of(shuffled.drop("_key")).filter(ranges)
    assert one.equals(other, null_equal=True)
