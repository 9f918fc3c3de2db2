"""Session levels: windows against independent queries, existence, causality, prior sessions and weeks, rounding."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.kernels.profile import PER_MILLE, smoothed, volume_nodes
from footprint_assets.settings import FootprintSettings, LevelSettings, ProfileSettings
from footprint_assets.transforms.level import half_up
from footprint_assets.transforms.levels import TickSizeMismatch, session_levels
from footprint_assets_tests.transforms.history_frames import look_back, summary_of
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
NO_PRIOR = look_back(REGULAR_DAY, {})
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
    table = session_levels(trades, session, rules, prior, tick_size, FootprintSettings(), ProfileSettings())
    contracts.Validator(contracts.load("silver.future.session_levels")).validate(table)
    return table


def by_name(table: pl.DataFrame) -> dict[str, dict[str, object]]:
    return {row["level_name"]: row for row in table.iter_rows(named=True)}


def prices(table: pl.DataFrame) -> dict[str, float]:
    return dict(table.select("level_name", "level_price").rows())


def valid_from_et(table: pl.DataFrame, name: str) -> dt.time:
    row = table.filter(pl.col("level_name") == name)
    return row["valid_from_ts"].dt.convert_time_zone("America/New_York").dt.time()[0]


def summary(date: dt.date, seed: int, symbol: str = "ESM4") -> pl.DataFrame:
    session = cme.session(date)
    return summary_of(random_day(session, seed).with_columns(symbol=pl.lit(symbol)), session)


def yesterdays(seed: int, symbol: str = "ESM4") -> pl.DataFrame:
    return look_back(REGULAR_DAY, summary(cme.previous_session(REGULAR_DAY), seed, symbol))


def single_levels(table: pl.DataFrame) -> set[str]:
    """The names but those of families that go by number: round prices, nodes, untouched points of control."""
    return {name for name in table["level_name"] if not name.startswith(FAMILIES)}


FAMILIES = ("ROUND_", "NAKED_POC_", "PD_HVN_", "PD_LVN_")


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
@settings(max_examples=12, deadline=None)
def test_levels_valid_by_a_cut_are_the_same_with_and_without_the_future(seed: int, share: float) -> None:
    trades = random_day(SESSION, seed, trades=2000)
    prior = yesterdays(seed=3)
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
    prior = look_back(NO_CASH, summary(cme.previous_session(NO_CASH), seed=5))
    table = levels_of(random_day(session, seed=6), session, prior)
    assert single_levels(table) == {"GLOBEX_OPEN", "WEEK_OPEN"} | PRIOR_LEVELS


def test_the_prior_cash_session_of_the_day_after_a_holiday_is_the_friday_before() -> None:
    friday, holiday = cme.previous_session(NO_CASH), NO_CASH
    prior = look_back(AFTER_NO_CASH, pl.concat([summary(friday, seed=7), summary(holiday, seed=8)]))
    session = cme.session(AFTER_NO_CASH)
    table = levels_of(random_day(session, seed=9), session, prior)
    source = table.filter(pl.col("level_name") == "PDH")["source_session_date"]
    assert source.to_list() == [friday]


def test_prior_levels_are_those_of_the_last_cash_profile_and_known_at_the_open() -> None:
    yesterday = cme.previous_session(REGULAR_DAY)
    prior = yesterdays(seed=10).with_columns(settlement=pl.lit(5342.25))
    day = prior.row(0, named=True)
    table = levels_of(random_day(SESSION, seed=11), prior=prior)
    expected = {"GLOBEX_OPEN", "HALF_GAP", "PD_SETTLE", "WEEK_OPEN"} | PRIOR_LEVELS | CASH_LEVELS
    assert single_levels(table) == expected
    found = by_name(table)
    raw = {name: found[name]["level_price_raw"] for name in found}
    sources = {"PDH": "rth_high", "PDL": "rth_low", "PDO": "rth_open", "PDC": "rth_close"}
    sources |= {"PD_POC": "rth_poc_price", "PD_VAH": "rth_vah_price", "PD_VAL": "rth_val_price"}
    sources |= {"PD_VWAP": "rth_vwap", "PD_SETTLE": "settlement", "WEEK_OPEN": "open"}
    assert {name: raw[name] for name in sources} == {name: day[column] for name, column in sources.items()}
    assert raw["PD_MID"] == (day["rth_high"] + day["rth_low"]) / 2
    assert raw["HALF_GAP"] == (raw["RTH_OPEN"] + day["rth_close"]) / 2
    assert found["HALF_GAP"]["valid_from_ts"] == found["RTH_OPEN"]["valid_from_ts"]
    days = table.filter(pl.col("source_session_date") == yesterday)
    assert days["valid_from_ts"].to_physical().unique().to_list() == [SESSION.open_ns]
    assert days.filter(level_name="PDH")["window_volume"].to_list() == [day["rth_volume"]]


@pytest.mark.parametrize(("name", "column"), [("PDH", "rth_high_ts"), ("PDL", "rth_low_ts")])
def test_a_prior_extreme_keeps_its_time_and_its_volume(name: str, column: str) -> None:
    session = cme.session(cme.previous_session(REGULAR_DAY))
    trades = random_day(session, seed=21)
    row = by_name(levels_of(random_day(SESSION, seed=22), prior=yesterdays(seed=21)))[name]
    touched = trades.filter(pl.col("session") == "RTH", pl.col("price") == row["level_price"])
    assert row["extreme_ts"] == touched["ts_event"][0]
    assert row["volume_at_level"] == touched["size"].sum()


def test_levels_of_an_older_session_or_another_contract_never_stand_in() -> None:
    older = look_back(REGULAR_DAY, summary(cme.previous_session(REGULAR_DAY, 2), seed=12))
    for prior in (older, yesterdays(seed=12, symbol="ESU4")):
        table = levels_of(random_day(SESSION, seed=13), prior=prior)
        assert single_levels(table) == {"GLOBEX_OPEN"} | CASH_LEVELS
        assert not {name for name in table["level_name"] if name.startswith(FAMILIES[1:])}


def test_a_window_without_trades_has_no_level() -> None:
    trades = prints(SESSION, [(at(SESSION, "09:50"), 5000, 1, 1)])
    assert single_levels(levels_of(trades)) == {
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
    is_single = ~pl.col("level_name").str.starts_with("ROUND_")
    one, other = (by_name(levels_of(rows).filter(is_single)) for rows in (trades, mirror))
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
    assert levels_of(prints(SESSION, []), prior=yesterdays(seed=17)).is_empty()


def test_a_level_with_a_gap_yesterday_is_partial_today() -> None:
    prior = yesterdays(seed=18)
    for gap_ns, is_partial in ((59 * SECOND, False), (61 * SECOND, True)):
        marked = prior.with_columns(rth_longest_gap_ns=pl.lit(gap_ns))
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


def week_before(day: dt.date, missing: int | None = None, symbol: str = "ESM4") -> pl.DataFrame:
    """The look-back of a date that holds the whole trading week before it and this week's sessions."""
    monday = day - dt.timedelta(days=day.weekday() + 7)
    held = [
        summary(date, seed=date.day, symbol=symbol)
        for i, date in enumerate(cme.sessions(monday, day - dt.timedelta(days=1)))
        if i != missing
    ]
    return look_back(day, pl.concat(held))


def test_prior_week_levels_are_of_every_trade_from_sunday_to_friday_evening() -> None:
    prior = week_before(REGULAR_DAY)
    days = cme.sessions(dt.date(2024, 6, 3), dt.date(2024, 6, 7))
    trades = pl.concat([random_day(cme.session(day), seed=day.day) for day in days])
    found = by_name(levels_of(random_day(SESSION, seed=23), prior=prior))
    assert found["PWH"]["level_price_raw"] == trades["price"].max()
    assert found["PWL"]["level_price_raw"] == trades["price"].min()
    assert found["PWC"]["level_price_raw"] == trades["price"][-1]
    for name, polarity in (("PWH", 1), ("PWL", -1), ("PWC", 0)):
        row = found[name]
        assert (row["level_class"], row["level_polarity"]) == ("PRIOR_WEEK", polarity)
        assert (row["window_trades"], row["window_volume"]) == (trades.height, trades["size"].sum())
        at_level = trades.filter(pl.col("price") == row["level_price"])
        assert row["volume_at_level"] == at_level["size"].sum()
        assert row["source_session_date"] in at_level["session_date"].to_list()


@pytest.mark.parametrize("missing", range(5))
def test_a_week_with_a_missing_session_has_no_prior_week_levels(missing: int) -> None:
    names = levels_of(random_day(SESSION, seed=24), prior=week_before(REGULAR_DAY, missing))["level_name"]
    assert not set(names) & {"PWH", "PWL", "PWC"}


def test_a_prior_week_of_another_contract_is_no_level() -> None:
    prior = week_before(REGULAR_DAY, symbol="ESU4")
    assert "PWH" not in by_name(levels_of(random_day(SESSION, seed=25), prior=prior))


def test_the_week_after_a_holiday_week_reads_its_four_or_five_sessions() -> None:
    day = dt.date(2024, 4, 2)  # Good Friday, 2024-03-29, had no session.
    prior = week_before(day)
    assert prior.filter(pl.col("source_session_date") < dt.date(2024, 4, 1)).height == 4
    session = cme.session(day)
    found = by_name(levels_of(random_day(session, seed=26), session, prior))
    assert found["PWC"]["source_session_date"] == dt.date(2024, 3, 28)


def test_an_incomplete_session_makes_the_week_partial() -> None:
    prior = week_before(REGULAR_DAY)
    cut = prior.with_columns(is_complete=pl.col("source_session_date") != dt.date(2024, 6, 5))
    for rows, is_partial in ((prior, False), (cut, True)):
        found = by_name(levels_of(random_day(SESSION, seed=27), prior=rows))
        assert found["PWH"]["is_partial_window"] is is_partial


def test_the_week_opens_on_sunday_evening() -> None:
    monday = dt.date(2024, 6, 10)
    session = cme.session(monday)
    found = by_name(levels_of(random_day(session, seed=28), session, look_back(monday, {})))
    assert found["WEEK_OPEN"]["level_price"] == found["GLOBEX_OPEN"]["level_price"]
    assert found["WEEK_OPEN"]["valid_from_ts"] == found["GLOBEX_OPEN"]["valid_from_ts"]
    tuesday = by_name(
        levels_of(
            random_day(SESSION, seed=29), prior=look_back(REGULAR_DAY, {monday: random_day(session, seed=28)})
        )
    )
    assert tuesday["WEEK_OPEN"]["level_price"] == found["GLOBEX_OPEN"]["level_price"]
    assert tuesday["WEEK_OPEN"]["source_session_date"] == monday
    assert "WEEK_OPEN" not in by_name(levels_of(random_day(SESSION, seed=29)))


def flat_day(date: dt.date, price: float, also: float | None = None) -> pl.DataFrame:
    """A session at one price, its cash point of control, and a single trade elsewhere before the cash open."""
    session = cme.session(date)
    night = [(at(session, "19:00"), price if also is None else also, 1, 1)]
    return prints(session, [*night, (at(session, "10:00"), price, 9, 1)])


def naked_of(*prices: tuple[float, float | None], held: set[int] | None = None) -> dict[str, float]:
    """Untouched points of control after sessions of these prices, the last one given first."""
    days = [cme.previous_session(REGULAR_DAY, n) for n in range(1, len(prices) + 1)]
    trades = {
        day: flat_day(day, *price)
        for n, (day, price) in enumerate(zip(days, prices, strict=True), start=1)
        if held is None or n in held
    }
    table = levels_of(flat_day(REGULAR_DAY, 5000), prior=look_back(REGULAR_DAY, trades))
    rows = table.filter(pl.col("level_name").str.starts_with("NAKED"))
    return dict(rows.select("level_name", "level_price").rows())


def test_untouched_points_of_control_are_numbered_from_the_last_session_back() -> None:
    assert naked_of((5001, None), (5002, None), (5003, None)) == {
        "NAKED_POC_1": 5001,
        "NAKED_POC_2": 5002,
        "NAKED_POC_3": 5003,
    }


def test_a_point_of_control_traded_in_a_later_session_is_no_level() -> None:
    assert naked_of((5001, 5003), (5002, None), (5003, None)) == {"NAKED_POC_1": 5001, "NAKED_POC_2": 5002}
    assert naked_of((5001, None), (5001, None)) == {"NAKED_POC_1": 5001}


def test_what_traded_in_a_session_that_is_not_held_is_not_known() -> None:
    prices = [(5001.0, None), (5002.0, None), (5003.0, None)]
    assert naked_of(*prices, held={1, 3}) == {"NAKED_POC_1": 5001}


def test_at_most_five_untouched_points_of_control_are_kept() -> None:
    found = naked_of(*((5001.0 + n, None) for n in range(8)))
    assert list(found.values()) == [5001, 5002, 5003, 5004, 5005]


def two_peaks(session: cme.Session) -> pl.DataFrame:
    """Cash trades with a large mode at 5002.5, a smaller one at 5012.5 and a hole at 5007.5."""
    cash_open = at(session, "09:30")
    sizes = {row: 1000 - 90 * abs(row - 10) for row in range(21)}
    sizes |= {row: 700 - 60 * abs(row - 50) for row in range(40, 61)}
    sizes |= dict.fromkeys(range(21, 40), 5) | {30: 1}
    return prints(
        session, [(cash_open + row, 5000 + row / 4, size, 1) for row, size in sorted(sizes.items())]
    )


def test_prior_nodes_are_the_strongest_modes_and_holes_of_the_cash_profile() -> None:
    session = cme.session(cme.previous_session(REGULAR_DAY))
    prior = look_back(REGULAR_DAY, {session.trade_date: two_peaks(session)})
    table = levels_of(random_day(SESSION, seed=30), prior=prior)
    found = prices(table)
    assert (found["PD_HVN_1"], found["PD_HVN_2"]) == (5002.5, 5012.5)
    assert found["PD_LVN_1"] == 5007.5
    assert set(table.filter(pl.col("level_name").str.starts_with("PD_HVN"))["level_class"]) == {"PROFILE"}


@given(st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_prior_nodes_are_nodes_of_the_profile_in_order_of_strength(seed: int) -> None:
    session = cme.session(cme.previous_session(REGULAR_DAY))
    trades = random_day(session, seed, trades=1500)
    cash = trades.filter(pl.col("session") == "RTH")
    tick = cash["price_tick"].cast(pl.Int64).to_numpy()
    volumes = np.zeros(tick.max() - tick.min() + 1, np.int64)
    np.add.at(volumes, tick - tick.min(), cash["size"].to_numpy())
    rules = ProfileSettings()
    flags = volume_nodes(
        volumes,
        rules.smoothing_rows,
        round(rules.hvn_multiple * PER_MILLE),
        round(rules.lvn_multiple * PER_MILLE),
    )
    height = smoothed(volumes, rules.smoothing_rows)
    prior = look_back(REGULAR_DAY, {session.trade_date: trades})
    found = by_name(levels_of(random_day(SESSION, seed=31), prior=prior))
    for kind, is_node, sign in (("HVN", flags[0], -1), ("LVN", flags[1], 1)):
        ticks = [
            found[f"PD_{kind}_{k}"]["level_price_raw"] * 4 for k in (1, 2, 3) if f"PD_{kind}_{k}" in found
        ]
        rows = [int(np.floor(tick_ - tick.min())) for tick_ in ticks]
        assert all(is_node[row] for row in rows)
        strengths = [sign * int(height[row]) for row in rows]
        assert strengths == sorted(strengths)
        best = (sign * height[is_node]).min() if is_node.any() else None
        assert (strengths[0] if strengths else None) == best


def test_round_numbers_lie_around_the_globex_open() -> None:
    table = levels_of(prints(SESSION, [(SESSION.open_ns, 5412.5, 1, 1)]), rules=LevelSettings(round_levels=2))
    found = prices(table.filter(level_class="ROUND"))
    assert found == {
        "ROUND_25_ABOVE_1": 5425,
        "ROUND_25_ABOVE_2": 5450,
        "ROUND_25_BELOW_1": 5400,
        "ROUND_25_BELOW_2": 5375,
        "ROUND_50_ABOVE_1": 5450,
        "ROUND_50_ABOVE_2": 5500,
        "ROUND_50_BELOW_1": 5400,
        "ROUND_50_BELOW_2": 5350,
        "ROUND_100_ABOVE_1": 5500,
        "ROUND_100_ABOVE_2": 5600,
        "ROUND_100_BELOW_1": 5400,
        "ROUND_100_BELOW_2": 5300,
    }


def test_an_open_on_a_round_number_counts_as_above() -> None:
    found = by_name(levels_of(prints(SESSION, [(SESSION.open_ns, 5400, 7, 1)])))
    assert found["ROUND_100_ABOVE_1"]["level_price"] == 5400
    assert found["ROUND_100_BELOW_1"]["level_price"] == 5300
    assert found["ROUND_100_ABOVE_1"]["volume_at_level"] == 7
    assert found["ROUND_25_BELOW_1"]["valid_from_ts"] == found["GLOBEX_OPEN"]["valid_from_ts"]


def test_the_number_of_rows_is_bounded_by_the_settings() -> None:
    prior = week_before(REGULAR_DAY)
    rules = LevelSettings(naked_pocs=0, profile_nodes=0, round_levels=0)
    table = levels_of(random_day(SESSION, seed=32), prior=prior, rules=rules)
    week = {"PWH", "PWL", "PWC", "WEEK_OPEN"}
    assert set(table["level_name"]) == {"GLOBEX_OPEN", "HALF_GAP"} | week | PRIOR_LEVELS | CASH_LEVELS
    assert levels_of(random_day(SESSION, seed=32), prior=prior).height <= table.height + 5 + 2 * 3 + 3 * 2 * 3
