"""The session around a five-second bar: anchors, developing profile, calendar, ranges; all as of the bar's end."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import BarSettings, FootprintSettings, LevelSettings, ProfileSettings
from footprint_assets.transforms.levels import session_levels
from footprint_assets.transforms.ohlcv import ohlcv
from footprint_assets.transforms.session_context import PROFILE_PRICES, session_context_5s
from footprint_assets_tests.transforms.histories import PRIOR, prior_of, random_history
from footprint_assets_tests.transforms.slow_profile import area_of
from footprint_assets_tests.transforms.trade_frames import MINUTE, SECOND, at, prints, random_day, real_trades

THURSDAY = dt.date(2024, 6, 13)
SESSION = cme.session(THURSDAY)
HISTORY = random_history(THURSDAY, 17)
SEEN = prior_of(HISTORY, THURSDAY)
RULES = FootprintSettings()
BAR = 5 * SECOND


def grid(start_ns: int, end_ns: int, symbol: str = "ESM4") -> pl.DataFrame:
    """The bars from one instant to another."""
    starts = np.arange(start_ns // BAR * BAR, end_ns, BAR)
    return pl.DataFrame({"bar_ts": pl.Series(starts).cast(pl.Datetime("ns", "UTC"))}).with_columns(
        symbol=pl.lit(symbol)
    )


def context_of(
    trades: pl.DataFrame,
    bars: pl.DataFrame | None = None,
    seen: pl.DataFrame = SEEN,
    session: cme.Session = SESSION,
    rules: FootprintSettings = RULES,
) -> pl.DataFrame:
    bars = grid(session.open_ns, session.close_ns) if bars is None else bars
    levels = session_levels(trades, session, LevelSettings(), seen, 0.25, rules, ProfileSettings())
    minutes = ohlcv(trades, session, BarSettings(ohlcv_seconds=(60,)))
    table = session_context_5s(trades, bars, levels, seen, minutes, session, rules, 0.25)
    contracts.Validator(contracts.load("silver.future.session_context_5s")).validate(table)
    return table


def ends_of(table: pl.DataFrame) -> np.ndarray:
    return table["bar_ts"].to_physical().to_numpy() + BAR


def bar_ending(table: pl.DataFrame, end_ns: int) -> dict[str, object]:
    return table.filter(pl.col("bar_ts").to_physical() == end_ns - BAR).row(0, named=True)


def before(trades: pl.DataFrame, end_ns: int) -> pl.DataFrame:
    return trades.filter(pl.col("ts_event").to_physical() < end_ns)


def since(trades: pl.DataFrame, start_ns: int) -> pl.DataFrame:
    return trades.filter(pl.col("ts_event").to_physical() >= start_ns)


def contracts_of(trades: pl.DataFrame) -> np.ndarray:
    """The price of every single contract."""
    return np.repeat(trades["price"].to_numpy(), trades["size"].to_numpy())


@pytest.fixture(scope="module")
def day() -> tuple[pl.DataFrame, pl.DataFrame]:
    trades = random_day(SESSION, seed=21)
    return trades, context_of(trades)


def test_the_rows_are_the_bars_of_the_grid(day: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    _, table = day
    assert table.select("bar_ts", "symbol").equals(grid(SESSION.open_ns, SESSION.close_ns))
    assert context_of(prints(SESSION, []), grid(0, 0)).is_empty()


def test_the_published_deviation_is_that_of_the_globex_anchor() -> None:
    start = at(SESSION, "10:00")
    ladder = [(100.0, 10), (101.0, 20), (100.5, 10), (102.0, 20)]
    trades = prints(SESSION, [(start + i * SECOND, price, size, 1) for i, (price, size) in enumerate(ladder)])
    row = context_of(trades, grid(start, start + 1), PRIOR.to_frame()).row(0, named=True)
    assert row["globex_vwap"] == pytest.approx(101.08333333333333, abs=1e-12)
    assert row["globex_vwap_std"] == pytest.approx(0.731247032282677, abs=1e-15)
    assert row["globex_vwap_dist_sigma"] == pytest.approx((102 - 101.08333333333333) / 0.731247032282677)
    assert row["rth_vwap"] == row["globex_vwap"]


def anchored(name: str, trades: pl.DataFrame, end_ns: int) -> pl.DataFrame:
    """The trades an anchored VWAP at an instant is the mean of, from the definition."""
    today = before(trades, end_ns)
    wednesday = HISTORY[dt.date(2024, 6, 12)]
    session = cme.session(dt.date(2024, 6, 12))
    cash = before(since(wednesday, session.rth_open_ns), session.rth_close_ns).with_columns(
        pl.col("ts_event").to_physical().alias("ns")
    )
    top, bottom = (
        cash.filter(pl.col("price") == price)["ns"][0] for price in (cash["price"].max(), cash["price"].min())
    )
    return {
        "globex": today,
        "rth": before(since(today, SESSION.rth_open_ns), SESSION.rth_close_ns),
        "week": pl.concat([*(HISTORY[day] for day in HISTORY if day >= dt.date(2024, 6, 10)), today]),
        "avwap_prev_high": pl.concat([since(wednesday, top), today]),
        "avwap_prev_low": pl.concat([since(wednesday, bottom), today]),
    }[name]


@pytest.mark.parametrize("name", ["globex", "rth", "week", "avwap_prev_high", "avwap_prev_low"])
def test_an_anchored_vwap_is_the_mean_of_every_contract_since_its_anchor(
    name: str, day: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    trades, table = day
    for end, row in zip(ends_of(table)[::997], table[::997].iter_rows(named=True), strict=True):
        each = contracts_of(anchored(name, trades, end))
        if not len(each):
            assert row[f"{name}_vwap"] is row[f"{name}_vwap_dist_pts"] is None
            continue
        past = before(trades, end)
        close = past["price"][-1] if past.height else None
        assert row[f"{name}_vwap"] == pytest.approx(each.mean(), rel=1e-12)
        assert row[f"{name}_vwap_std"] == pytest.approx(each.std(), rel=1e-8, abs=1e-8)
        if close is None:
            assert row[f"{name}_vwap_dist_pts"] is None
            continue
        assert row[f"{name}_vwap_dist_pts"] == close - row[f"{name}_vwap"]
        if row[f"{name}_vwap_std"] > 0:
            expected = row[f"{name}_vwap_dist_pts"] / row[f"{name}_vwap_std"]
            assert row[f"{name}_vwap_dist_sigma"] == expected


def test_before_the_first_trade_only_earlier_sessions_are_known() -> None:
    trades = prints(SESSION, [(at(SESSION, "18:01"), 5000.0, 1, 1), (at(SESSION, "18:02"), 5000.0, 1, 1)])
    table = context_of(trades, grid(SESSION.open_ns, at(SESSION, "18:03")))
    first, last = table.row(0, named=True), table.row(-1, named=True)
    assert first["globex_vwap"] is first["dev_poc_price"] is first["week_vwap_dist_pts"] is None
    assert first["week_vwap"] is not None
    assert first["ctx_prev_close_dist_pts"] is None
    # A trade at the very end of a bar belongs to the next one.
    assert bar_ending(table, at(SESSION, "18:01"))["globex_vwap"] is None
    assert bar_ending(table, at(SESSION, "18:01") + BAR)["globex_vwap"] == 5000
    # A single price has no deviation to measure in.
    assert (last["globex_vwap_std"], last["globex_vwap_dist_pts"]) == (0, 0)
    assert last["globex_vwap_dist_sigma"] is None


def test_without_history_nothing_of_it_is_known(day: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    trades, _ = day
    table = context_of(trades, grid(at(SESSION, "12:00"), at(SESSION, "12:01")), PRIOR.to_frame())
    names = [n for n in table.columns if n.startswith(("week", "avwap")) or "prior" in n or "prev" in n]
    names += ["ctx_gap_pts", "ctx_atr_1d_14_pts", "ctx_range_used_ratio"]
    assert table.select(names).null_count().row(0) == (table.height,) * len(names)


@pytest.mark.parametrize("anchor", ["globex", "rth"])
def test_a_slope_is_a_sixtieth_of_the_change_over_sixty_bars(
    anchor: str, day: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    _, table = day
    vwap = table[f"{anchor}_vwap"].to_numpy()
    slope = table[f"{anchor}_vwap_slope_w60"].to_numpy()
    np.testing.assert_array_equal(slope[60:], (vwap[60:] - vwap[:-60]) / 60)
    assert np.isnan(slope[:60]).all()
    assert not np.isnan(slope).all()


def test_the_developing_profile_is_the_nights_until_cash_trades_and_rests_at_the_cash_close(
    day: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    trades, table = day
    for end, row in zip(ends_of(table)[::1201], table[::1201].iter_rows(named=True), strict=True):
        cash = since(before(trades, min(end, SESSION.rth_close_ns)), SESSION.rth_open_ns)
        past = before(trades, end)
        part = cash if cash.height else past
        if part.is_empty():
            continue
        poc, val, vah = area_of(part)
        prices = {"poc": poc, "vah": vah, "val": val, "high": part["price"].max(), "low": part["price"].min()}
        assert {name: row[f"dev_{name}_price"] for name in PROFILE_PRICES} == prices
        for name in PROFILE_PRICES:
            assert row[f"dev_{name}_dist_pts"] == past["price"][-1] - prices[name]


def test_the_step_from_the_nights_profile_to_the_cash_profile_is_no_move(
    day: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    trades, table = day
    first_cash = since(trades, SESSION.rth_open_ns)["ts_event"].to_physical()[0]
    poc, move = table["dev_poc_price"], table["dev_poc_move_ticks_w60"]
    expected = (poc - poc.shift(60)) * 4
    is_cash = pl.Series(ends_of(table) > first_cash)
    same = is_cash == is_cash.shift(60)
    assert move.filter(same).equals(expected.filter(same), null_equal=True)
    switched = ~same & expected.is_not_null()
    assert switched.sum() == 60
    assert move.filter(switched).null_count() == 60


def test_the_calendar_of_a_regular_day() -> None:
    trades = random_day(SESSION, seed=3, trades=200)
    table = context_of(trades, grid(SESSION.open_ns - MINUTE, SESSION.close_ns + MINUTE))
    opening = bar_ending(table, at(SESSION, "09:30"))
    assert opening["ctx_minutes_since_globex_open"] == 15.5 * 60
    assert (opening["ctx_minutes_since_rth_open"], opening["ctx_minutes_to_rth_close"]) == (0, 390)
    assert (opening["ctx_is_rth"], opening["ctx_bucket_5m"]) == (False, 185)
    first = bar_ending(table, at(SESSION, "09:30") + BAR)
    assert (first["ctx_is_rth"], first["ctx_is_first_15m"], first["ctx_is_first_60m"]) == (True, True, True)
    assert first["ctx_bucket_5m"] == 186
    later = bar_ending(table, at(SESSION, "09:45") + BAR)
    assert (later["ctx_is_first_15m"], later["ctx_is_first_60m"]) == (False, True)
    assert not bar_ending(table, at(SESSION, "10:30") + BAR)["ctx_is_first_60m"]
    assert bar_ending(table, at(SESSION, "16:00"))["ctx_is_rth"]
    closed = bar_ending(table, at(SESSION, "16:00") + BAR)
    assert not closed["ctx_is_rth"]
    assert closed["ctx_minutes_to_rth_close"] == -BAR / MINUTE
    assert table["ctx_bucket_5m"].null_count() == 2 * 12
    facts = ("day_of_week", "is_roll_week", "is_early_close", "days_to_expiry", "minutes_to_next_econ_event")
    assert table.select(f"ctx_{name}" for name in facts).unique().rows() == [(4, False, False, 8, None)]


def test_a_holiday_without_cash_trading_has_no_cash_minutes() -> None:
    session = cme.session(dt.date(2024, 1, 15))
    trades = random_day(session, seed=4, trades=200)
    table = context_of(trades, seen=PRIOR.to_frame(), session=session)
    for name in ("ctx_minutes_since_rth_open", "ctx_minutes_to_rth_close", "rth_vwap", "ctx_pm_range_pts"):
        assert table[name].null_count() == table.height
    assert not table["ctx_is_rth"].any()
    assert table["ctx_is_early_close"].all()


def test_an_early_close_shortens_the_cash_session() -> None:
    session = cme.session(dt.date(2024, 7, 3))
    table = context_of(random_day(session, seed=5, trades=200), seen=PRIOR.to_frame(), session=session)
    assert bar_ending(table, at(session, "12:00"))["ctx_minutes_to_rth_close"] == 60
    assert table["ctx_is_early_close"].all()


RANGES = {
    "ctx_overnight_range_pts": ("18:00", "09:30", "09:30"),
    "ctx_pm_range_pts": ("04:00", "09:30", "09:30"),
    "ctx_or_range_pts": ("09:30", "09:45", "09:45"),
    "ctx_ib_range_pts": ("09:30", "10:30", "10:30"),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_range_is_known_once_its_window_has_ended(
    name: str, day: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    trades, table = day
    start, end, known_from = (at(SESSION, wall) for wall in RANGES[name])
    inside = before(since(trades, start), end)["price"]
    assert (table[name].is_not_null() == pl.Series(ends_of(table) >= known_from)).all()
    assert table[name].drop_nulls().unique().to_list() == [inside.max() - inside.min()]


def test_the_gap_is_from_the_last_cash_close_to_todays_first_cash_trade(
    day: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    trades, table = day
    cash = since(trades, SESSION.rth_open_ns)
    prior_close = SEEN.filter(sessions_ago=1)["rth_close"][0]
    assert table["ctx_gap_pts"].drop_nulls().unique().to_list() == [cash["price"][0] - prior_close]
    known = ends_of(table) > cash["ts_event"].to_physical()[0]
    assert (table["ctx_gap_pts"].is_not_null() == pl.Series(known)).all()
    row = bar_ending(table, at(SESSION, "12:00"))
    assert row["ctx_prev_close_dist_pts"] == before(trades, at(SESSION, "12:00"))["price"][-1] - prior_close


def test_the_minute_average_true_range_is_of_closed_minutes_only(
    day: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    trades, table = day
    minutes = ohlcv(trades, SESSION, BarSettings(ohlcv_seconds=(60,)))
    closed_ns = minutes["bar_ts"].to_physical().to_numpy() + MINUTE
    for end, atr in zip(ends_of(table)[::331], table["ctx_atr_1m_14_pts"][::331], strict=True):
        held = minutes["atr_14"].filter(pl.Series(closed_ns <= end))
        assert atr == (held[-1] if len(held) else None)


def test_daily_ranges_are_of_earlier_sessions_of_the_contract(day: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    trades, _ = day
    whole = SEEN.with_columns(is_complete=True)
    row = context_of(trades, grid(at(SESSION, "12:00") - BAR, at(SESSION, "12:00")), whole).row(0, named=True)
    oldest_first = whole.sort("sessions_ago", descending=True)
    high, low, close = (oldest_first[name] for name in ("high", "low", "close"))
    ranges = np.maximum(high, close.shift(1))[1:] - np.minimum(low, close.shift(1))[1:]
    atr = ranges[:14].mean()
    for true_range in ranges[14:]:
        atr = (13 * atr + true_range) / 14
    assert len(ranges) == 16
    assert row["ctx_atr_1d_14_pts"] == pytest.approx(atr)
    past = before(trades, at(SESSION, "12:00"))["price"]
    assert row["ctx_range_used_ratio"] == pytest.approx((past.max() - past.min()) / (high - low).mean())


def test_a_row_is_the_same_to_the_bit_with_and_without_the_future() -> None:
    trades = random_day(SESSION, seed=33, trades=6000)
    full = context_of(trades)
    rng = np.random.default_rng(7)
    edges = [at(SESSION, wall) for wall in ("09:30", "09:45", "16:00")]
    for end in [*edges, *(rng.integers(1, full.height, 5) * BAR + SESSION.open_ns)]:
        part = context_of(before(trades, end), grid(SESSION.open_ns, int(end)))
        assert part.equals(full.head(part.height), null_equal=True)
        future = since(trades, int(end)).with_columns(pl.col("price_tick") + 400, pl.col("price") + 100)
        other = context_of(pl.concat([before(trades, end), future]))
        assert other.head(part.height).equals(part, null_equal=True)


def test_a_value_does_not_depend_on_the_bars_computed_beside_it(
    day: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    trades, table = day
    window = [n for n in table.columns if not n.endswith("_w60")]
    part = context_of(trades, grid(at(SESSION, "11:00"), at(SESSION, "11:07")))
    same = table.join(part.select("bar_ts"), on="bar_ts", how="semi")
    assert part.select(window).equals(same.select(window), null_equal=True)


def test_another_contract_of_the_root_lends_no_price() -> None:
    rolled = prior_of(HISTORY, THURSDAY, symbol="ESU4")
    trades = random_day(SESSION, seed=2, trades=100).with_columns(symbol=pl.lit("ESU4"))
    row = context_of(trades, grid(at(SESSION, "12:00"), at(SESSION, "12:00") + 1, "ESU4"), rolled).row(
        0, named=True
    )
    assert row["week_vwap"] is row["avwap_prev_high_vwap"] is row["ctx_prior_range_pts"] is None
    assert row["ctx_days_to_expiry"] == 99


@pytest.mark.realdata
def test_the_first_hour_of_esh4_reproduces_the_published_vwap_and_point_of_control(real_data: Path) -> None:
    session = cme.session(dt.date(2023, 12, 26))
    trades = real_trades(real_data / "dbn" / "glbx-mdp3-20231225.trades.dbn.zst", session, "ESH4")
    end_ns = trades["ts_event"].to_physical()[-1] + 1
    table = context_of(trades, grid(session.open_ns, end_ns, "ESH4"), PRIOR.to_frame(), session)
    last = table.row(-1, named=True)
    assert last["globex_vwap"] == pytest.approx(4808.7227, abs=5e-5)
    assert (last["dev_poc_price"], last["dev_high_price"], last["dev_low_price"]) == (4810, 4811.75, 4800.25)
    assert last["dev_poc_dist_pts"] == 0
    assert last["ctx_days_to_expiry"] == 80
