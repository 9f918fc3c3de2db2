"""Where a bar's close stands: what is known at the bar's end, measured without rounding, and nothing later."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.kernels.profile import volume_nodes
from footprint_assets.settings import BarSettings, FootprintSettings, LevelSettings, ProfileSettings
from footprint_assets.transforms import prior
from footprint_assets.transforms.footprint import footprint_bar
from footprint_assets.transforms.footprint_levels import LevelInputs, is_context_column
from footprint_assets.transforms.levels import session_levels
from footprint_assets_tests.transforms.histories import PRIOR, SERIES, prior_of, random_history
from footprint_assets_tests.transforms.trade_frames import (
    MINUTE,
    SECOND,
    at,
    frame,
    prints,
    random_day,
)

THURSDAY = dt.date(2024, 6, 13)
SESSION = cme.session(THURSDAY)
HISTORY = random_history(THURSDAY, 9)
SEEN = prior_of(HISTORY, THURSDAY)
BARS = BarSettings(time_seconds=(60, 300), range_ticks=(10,), volume_contracts=(1000,), tick_trades=(2000,))
RULES = FootprintSettings()
NO_SERIES = SERIES.to_frame()


def bars_of(
    trades: pl.DataFrame,
    seen: pl.DataFrame = SEEN,
    session: cme.Session = SESSION,
    rules: FootprintSettings = RULES,
    series: pl.DataFrame = NO_SERIES,
) -> pl.DataFrame:
    levels = session_levels(trades, session, LevelSettings(), seen, 0.25, rules, ProfileSettings())
    table = footprint_bar(trades, LevelInputs(levels, series, seen), session, BARS, rules, 0.25)
    contracts.Validator(contracts.load("silver.future.footprint_bar")).validate(table)
    return table


def minutes_of(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("bar_type") == "time_1m")


def before(trades: pl.DataFrame, end_ns: int) -> pl.DataFrame:
    return trades.filter(pl.col("ts_event").to_physical() < end_ns)


def end_of(row: dict[str, object]) -> int:
    end = row["bar_end_ts"]
    assert isinstance(end, dt.datetime)
    return round(end.timestamp()) * SECOND


@pytest.fixture(scope="module")
def day() -> tuple[pl.DataFrame, pl.DataFrame]:
    trades = random_day(SESSION, seed=5)
    return trades, bars_of(trades)


KNOWN_FROM = {
    **dict.fromkeys(("pm_high", "pm_low", "overnight_high", "overnight_low"), "09:30"),
    **dict.fromkeys(("or_high", "or_low"), "09:45"),
    **dict.fromkeys(("ib_high", "ib_low"), "10:30"),
}


@pytest.mark.parametrize("name", KNOWN_FROM)
def test_a_level_is_null_before_its_window_ends_and_never_after(
    name: str, day: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    _, table = day
    distance = table[f"close_to_{name}_pts"]
    ends = table["bar_end_ts"].to_physical()
    assert ((ends >= at(SESSION, KNOWN_FROM[name])) == distance.is_not_null()).all()
    assert distance.null_count() not in (0, table.height)


def test_the_bar_that_ends_with_the_opening_range_knows_it() -> None:
    cash_open = at(SESSION, "09:30")
    trades = prints(SESSION, [(cash_open + i * MINUTE, 5000 + i, 1, 1) for i in range(30)])
    or_high = minutes_of(bars_of(trades)).select("close", "close_to_or_high_pts").rows()
    known = [(close, distance) for close, distance in or_high if distance is not None]
    assert known[:2] == [(5014, 0), (5015, 1)]
    assert len(known) == 16


def test_distances_to_the_prior_session_use_unrounded_prices(day: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    _, table = day
    wednesday = SEEN.filter(sessions_ago=1).row(0, named=True)
    for name in ("vwap", "high", "low", "close", "poc", "vah", "val"):
        column = f"rth_{name}_price" if name in ("poc", "vah", "val") else f"rth_{name}"
        assert table[f"close_to_prev_day_{name}_pts"].equals(table["close"] - wednesday[column])
    inside = table["close"].is_between(wednesday["rth_val_price"], wednesday["rth_vah_price"])
    assert table["is_in_prev_day_value_area"].equals(inside)


def test_without_history_nothing_is_known_about_it() -> None:
    table = bars_of(random_day(SESSION, seed=8, trades=300), PRIOR.to_frame())
    of_history = [
        name
        for name in table.columns
        if is_context_column(name) and any(word in name for word in ("prev", "week", "naked", "rank"))
    ]
    assert len(of_history) == 17
    assert table.select(of_history).null_count().row(0) == (table.height,) * len(of_history)


def test_the_week_runs_from_sunday_to_the_end_of_the_bar(day: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    trades, table = day
    earlier = pl.concat(HISTORY[day] for day in HISTORY if day >= dt.date(2024, 6, 10))
    for row in minutes_of(table)[::149].iter_rows(named=True):
        week = pl.concat([earlier, before(trades, end_of(row))])
        each = np.repeat(week["price"].to_numpy(), week["size"].to_numpy())
        assert row["close_to_week_high_pts"] == row["close"] - week["price"].max()
        assert row["close_to_week_low_pts"] == row["close"] - week["price"].min()
        assert row["close_to_week_vwap_pts"] == pytest.approx(row["close"] - each.mean(), abs=1e-8)
        upper = row["close"] - (each.mean() + each.std())
        assert row["close_to_week_vwap_u1_pts"] == pytest.approx(upper, abs=1e-8)
        lower = row["close"] - (each.mean() - each.std())
        assert row["close_to_week_vwap_l1_pts"] == pytest.approx(lower, abs=1e-8)


def test_the_week_before_is_monday_to_friday(day: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    _, table = day
    week = pl.concat(HISTORY[day] for day in HISTORY if dt.date(2024, 6, 3) <= day <= dt.date(2024, 6, 7))
    assert table["close_to_prev_week_high_pts"].equals(table["close"] - week["price"].max())
    assert table["close_to_prev_week_low_pts"].equals(table["close"] - week["price"].min())


def test_a_swing_is_of_the_bars_of_its_type_and_known_after_its_fifth_bar_on_the_right() -> None:
    start = at(SESSION, "10:00")
    closes = [5000, 5001, 5002, 5003, 5004, 5010, 5004, 5003, 5002, 5001, 5000, 4999]
    trades = prints(SESSION, [(start + i * MINUTE, price, 1, 1) for i, price in enumerate(closes)])
    table = minutes_of(bars_of(trades))
    assert table["close_to_swing_high_pts"].to_list() == [None] * 10 + [-10, -11]
    assert table["close_to_swing_low_pts"].null_count() == 12
    mirrored = prints(SESSION, [(start + i * MINUTE, 10_000 - price, 1, 1) for i, price in enumerate(closes)])
    assert minutes_of(bars_of(mirrored))["close_to_swing_low_pts"].to_list() == [None] * 10 + [10, 11]


def test_the_last_node_is_of_the_developing_profile(day: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    trades, table = day
    cash_open, cash_close = at(SESSION, "09:30"), at(SESSION, "16:00")
    for row in minutes_of(table)[::101].iter_rows(named=True):
        past = before(trades, end_of(row))
        cash = before(past, cash_close).filter(pl.col("ts_event").to_physical() >= cash_open)
        tick = (cash if cash.height else past)["price_tick"].to_numpy()
        size = (cash if cash.height else past)["size"].to_numpy()
        is_node, _ = volume_nodes(np.bincount(tick - tick.min(), weights=size).astype(np.int64))
        traded_at = [t for t in tick if is_node[t - tick.min()]]
        assert row["close_to_last_hvn_pts"] == (row["close"] - traded_at[-1] / 4 if traded_at else None)


def test_a_moving_average_is_the_last_value_known_at_the_bars_end() -> None:
    start = at(SESSION, "10:00")
    trades = prints(SESSION, [(start + i * MINUTE, 5000, 1, 1) for i in range(4)])
    series = pl.DataFrame(
        {
            "bar_ts": pl.Series([start + MINUTE - 5 * SECOND, start + 2 * MINUTE]).cast(SERIES["bar_ts"]),
            "symbol": "ESM4",
            "level_name": "SMA_90",
            "level_price": 0.0,
            "level_price_raw": [4999.0, 4990.0],
            "level_slope_pts_per_min": None,
            "level_age_s": 0.0,
        },
        schema=SERIES,
    )
    other = series.with_columns(pl.lit("EMA_20", SERIES["level_name"]).alias("level_name"))
    table = minutes_of(bars_of(trades, series=pl.concat([series, other])))
    assert table["close_to_sma_90_pts"].to_list() == [1, 1, 10, 10]
    assert table["close_to_sma_90_pts"].dtype == pl.Float64


def naked_history() -> pl.DataFrame:
    """Three sessions with points of control at 5000, 5010 and 5050, none traded by a later one."""
    days = {}
    for ago, price in ((3, 5000), (2, 5010), (1, 5050)):
        session = cme.session(cme.previous_session(THURSDAY, ago))
        days[session.trade_date] = prints(session, [(at(session, "10:00"), price, 9, 1)])
    return prior_of(days, THURSDAY)


def test_the_nearest_point_of_control_counts_until_today_trades_it() -> None:
    start = at(SESSION, "10:00")
    trades = prints(
        SESSION, [(start + i * MINUTE, p, 1, 1) for i, p in enumerate([5006, 5010, 5006, 5005, 5040])]
    )
    table = minutes_of(bars_of(trades, naked_history()))
    # 5010 is reached in the second minute; 5005 to 5000 is then nearer than to 5050.
    assert table["close_to_naked_poc_pts"].to_list() == [-4, 10, 6, 5, -10]


def test_of_two_naked_prices_equally_near_the_lower_is_taken() -> None:
    trades = prints(SESSION, [(at(SESSION, "10:00"), 5005, 1, 1)])
    assert minutes_of(bars_of(trades, naked_history()))["close_to_naked_poc_pts"].to_list() == [5]


def test_the_rank_compares_a_bar_with_the_bars_of_its_type_in_earlier_sessions() -> None:
    trades = random_day(SESSION, seed=9, trades=600)
    table = bars_of(trades)
    # The history holds five-minute and volume bars only.
    assert (
        table.filter(bar_type="time_1m")["delta_per_volume_rank"].null_count()
        == table.filter(bar_type="time_1m").height
    )
    part = table.filter(bar_type="time_5m")
    expected = prior.delta_share_rank(SEEN, "time_5m", part["delta"].to_numpy(), part["volume"].to_numpy())
    assert part["delta_per_volume_rank"].to_list() == expected.tolist()
    assert part["delta_per_volume_rank"].n_unique() > 5


def test_a_close_inside_the_top_row_of_a_value_area_is_inside_it() -> None:
    start = at(SESSION, "10:00")
    trades = prints(SESSION, [(start, 5000.75, 10, 1), (start + MINUTE, 5000.75, 1, 1)])
    table = minutes_of(bars_of(trades, PRIOR.to_frame(), rules=FootprintSettings(ticks_per_row=4)))
    assert table["close_to_dev_vah_pts"].to_list() == [0.75, 0.75]
    assert table["is_in_dev_value_area"].to_list() == [True, True]
    assert table["is_in_prev_day_value_area"].to_list() == [None, None]


def test_distances_to_the_bollinger_bands_are_null_until_the_bands_are(
    day: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    _, table = day
    for name, band in {"upper": "upper_20_2", "lower": "lower_20_2", "middle": "middle_20"}.items():
        expected = table["close"] - table[f"bb_{band}"]
        assert table[f"close_to_bb_{name}_pts"].equals(expected, null_equal=True)
    assert 0 < table["close_to_bb_upper_pts"].null_count() < table.height


@pytest.mark.parametrize("cut", ["20:00", "09:41", "12:00", "16:30"])
def test_closed_bars_are_the_same_with_and_without_the_future(cut: str) -> None:
    trades = random_day(SESSION, seed=10, trades=6000)
    cut_ns = at(SESSION, cut)
    past = before(trades, cut_ns)
    # A volume or tick bar closed by its own last trade is known at it, a range bar only at the trade that breaks it.
    known = bars_of(past).filter("is_complete", pl.col("bar_end_ts").to_physical() <= cut_ns)
    keys = ["bar_type", "bar_id"]
    full = bars_of(trades).join(known.select(keys), on=keys, how="semi", maintain_order="left")
    assert known.height > 50
    assert full.equals(known, null_equal=True)

    future = trades.filter(pl.col("ts_event").to_physical() >= cut_ns)
    other = pl.concat([past, future.with_columns(pl.col("price_tick") + 400, pl.col("price") + 100)])
    changed = bars_of(other).join(known.select(keys), on=keys, how="semi", maintain_order="left")
    assert changed.equals(known, null_equal=True)


def test_an_event_bar_that_ends_inside_a_nanosecond_does_not_know_the_rest_of_it() -> None:
    trades = frame(
        SESSION, [at(SESSION, "10:00")] * 3, [20_000, 20_004, 20_400], [400, 600, 5_000], [1, 1, 1]
    )
    first = bars_of(trades).filter(bar_type="volume_1000", bar_id=0).row(0, named=True)
    assert first["close_to_day_vwap_pts"] == pytest.approx(5001 - (400 * 5000 + 600 * 5001) / 1000)
    assert first["close_to_dev_poc_pts"] == 0
    assert first["close_to_week_high_pts"] <= 0
