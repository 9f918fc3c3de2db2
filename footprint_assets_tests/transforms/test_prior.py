"""Facts of earlier sessions: a fact that needs a session which is not held is not known."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets.transforms import prior
from footprint_assets.transforms.running import PriceSums
from footprint_assets_tests.transforms.histories import days_before, prior_of, random_history
from footprint_assets_tests.transforms.trade_frames import at, frame

THURSDAY = dt.date(2024, 6, 13)
SESSION = cme.session(THURSDAY)
HISTORY = random_history(THURSDAY, 9)
OWN = prior.of_contract(prior_of(HISTORY, THURSDAY), "ESM4")


def without(day: dt.date) -> pl.DataFrame:
    return OWN.filter(pl.col("source_session_date") != day)


def sums_of(trades: pl.DataFrame) -> PriceSums:
    tick, size = (trades[name].cast(pl.Int64) for name in ("price_tick", "size"))
    return PriceSums(size.sum(), (size * tick).sum(), (size * tick * tick).sum())


def facts(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Rows of the contract itself, the last session first, every one of them whole."""
    return pl.DataFrame([{"sessions_ago": n, "is_complete": True, **row} for n, row in enumerate(rows, 1)])


def test_the_week_before_a_thursday_is_monday_to_wednesday() -> None:
    week = pl.concat(HISTORY[day] for day in days_before(THURSDAY, 3))
    assert prior.sums_of_week(OWN, SESSION) == sums_of(week)
    rows = prior.this_week(OWN, SESSION)
    assert rows is not None
    assert prior.extremes_of(rows) == (week["price"].max(), week["price"].min())


def test_a_monday_has_no_week_behind_it() -> None:
    monday = cme.session(dt.date(2024, 6, 10))
    assert prior.sums_of_week(OWN.clear(), monday) == PriceSums(0, 0, 0)


@pytest.mark.parametrize("missing", days_before(THURSDAY, 3))
def test_a_week_without_one_of_its_days_is_not_known(missing: dt.date) -> None:
    assert prior.this_week(without(missing), SESSION) is None
    assert prior.sums_of_week(without(missing), SESSION) is None


def test_the_week_before_is_all_of_its_sessions() -> None:
    rows = prior.last_week(OWN, SESSION)
    assert rows is not None
    assert sorted(rows["source_session_date"]) == list(days_before(dt.date(2024, 6, 10), 5))
    assert prior.last_week(without(dt.date(2024, 6, 5)), SESSION) is None


def test_another_contracts_prices_are_not_read() -> None:
    rolled = prior_of(HISTORY, THURSDAY, symbol="ESU4")
    assert rolled.height == len(HISTORY)
    assert prior.of_contract(rolled, "ESU4").is_empty()


@pytest.mark.parametrize("side", ["high", "low"])
def test_an_anchored_vwap_starts_with_the_first_trade_at_the_cash_extreme(side: str) -> None:
    wednesday = cme.session(dt.date(2024, 6, 12))
    trades = HISTORY[wednesday.trade_date].with_row_index()
    ts = pl.col("ts_event").to_physical()
    cash = trades.filter(ts >= wednesday.rth_open_ns, ts < wednesday.rth_close_ns)
    extreme = cash["price"].max() if side == "high" else cash["price"].min()
    first = cash.filter(pl.col("price") == extreme)["index"][0]
    expected = sums_of(HISTORY[wednesday.trade_date][first:])
    assert prior.sums_since_cash_extreme(OWN, SESSION, side) == expected


def test_an_anchor_before_a_holiday_counts_the_holidays_trades() -> None:
    # Martin Luther King Jr. Day has electronic trades and no cash session; the last cash session was Friday.
    tuesday = dt.date(2024, 1, 16)
    history = random_history(tuesday, 2)
    own = prior.of_contract(prior_of(history, tuesday), "ESM4")
    found = prior.sums_since_cash_extreme(own, cme.session(tuesday), "high")
    holiday = sums_of(history[dt.date(2024, 1, 15)])
    assert found is not None
    friday = own.filter(pl.col("sessions_ago") == 2)["after_rth_high_volume"][0]
    assert found.volume == friday + holiday.volume
    monday_missing = own.filter(pl.col("sessions_ago") == 2)
    assert prior.sums_since_cash_extreme(monday_missing, cme.session(tuesday), "high") is None


def test_the_first_session_of_the_calendar_has_no_cash_extreme_behind_it() -> None:
    first = cme.session(dt.date(2010, 6, 7))
    assert prior.sums_since_cash_extreme(OWN.clear(), first, "high") is None
    assert prior.last_week(OWN.clear(), first) is None


def test_the_daily_average_true_range_is_wilders_over_fourteen_ranges_and_gaps() -> None:
    days = [{"high": 110.0 + n, "low": 100.0 + n, "close": 100.0 + n} for n in range(16)]
    days[-1] |= {"high": 145.0}
    newest_first = facts(days[::-1])
    # Fourteen ranges of 10 (a gap of one to the close before makes 11), then one of 30.
    assert prior.daily_atr(newest_first) == pytest.approx((13 * 11 + 31) / 14)
    assert prior.daily_atr(newest_first.head(15)) == pytest.approx((13 * 11 + 31) / 14)
    assert prior.daily_atr(newest_first.head(14)) is None


def test_a_short_recording_or_a_missing_day_ends_the_run_of_the_average_true_range() -> None:
    days = facts([{"high": 110.0, "low": 100.0, "close": 105.0}] * 20)
    assert prior.daily_atr(days) == 10
    at_ten = pl.col("sessions_ago") == 10
    assert prior.daily_atr(days.filter(~at_ten)) is None
    short = days.with_columns((pl.col("is_complete") & ~at_ten).alias("is_complete"))
    assert prior.daily_atr(short) is None


def test_a_mean_range_needs_three_whole_sessions() -> None:
    days = facts(
        [{"high": 110.0, "low": 100.0}, {"high": 105.0, "low": 100.0}, {"high": 103.0, "low": 100.0}]
    )
    assert prior.mean_range(days) == 6
    assert prior.mean_range(days.head(2)) is None
    first_short = days.with_columns((pl.col("sessions_ago") > 1).alias("is_complete"))
    assert prior.mean_range(first_short) is None


def naked(rows: list[tuple[float | None, list[int]]], ticks_per_row: int = 1) -> list[int]:
    days = facts([{"rth_poc_price": poc, "profile_tick": ticks} for poc, ticks in rows])
    return prior.naked_points_of_control(days, ticks_per_row, 250_000_000).tolist()


def test_a_point_of_control_is_naked_until_a_later_date_trades_it() -> None:
    assert naked([(25.0, [100]), (30.0, [120]), (25.0, [100])]) == [100, 120]
    assert naked([(25.0, [100, 120]), (30.0, [120])]) == [100]
    assert naked([(25.0, [100, 119, 121]), (30.0, [120])]) == [100, 120]
    assert naked([(None, [7]), (30.0, [120])]) == [120]


def test_a_row_of_four_ticks_is_touched_by_any_of_them() -> None:
    assert naked([(25.0, [100, 123]), (30.0, [120])], ticks_per_row=4) == [25]


def test_what_lies_behind_a_session_that_is_not_held_is_not_called_naked() -> None:
    days = facts(
        [{"rth_poc_price": 25.0, "profile_tick": [100]}, {"rth_poc_price": 30.0, "profile_tick": [120]}]
    )
    gap = days.with_columns(pl.Series("sessions_ago", [1, 3]))
    assert prior.naked_points_of_control(gap, 1, 250_000_000).tolist() == [100]
    assert prior.naked_points_of_control(days.clear(), 1, 250_000_000).tolist() == []


def shares(counts: dict[int, int], bar_type: str = "time_5m") -> pl.DataFrame:
    held = [0] * 101
    for share, bars in counts.items():
        held[share] = bars
    return pl.DataFrame(
        {"delta_share_bar_type": [["range_10t", bar_type]], "delta_share_counts": [[9] * 101 + held]}
    )


def rank(history: pl.DataFrame, delta: int, volume: int) -> float:
    (found,) = prior.delta_share_rank(history, "time_5m", np.array([delta]), np.array([volume]))
    return float(found)


def test_a_bars_rank_is_the_share_of_earlier_bars_below_it_with_half_of_its_own_bin() -> None:
    history = shares({0: 2, 50: 4, 100: 2})
    assert rank(history, 0, 100) == 1 / 8
    assert rank(history, -10, 100) == 2 / 8
    assert rank(history, 509, 1000) == 4 / 8
    assert rank(history, 51, 100) == 6 / 8
    assert rank(history, -100, 100) == 7 / 8


def test_the_bars_of_all_earlier_sessions_count() -> None:
    assert rank(pl.concat([shares({0: 3}), shares({10: 1})]), 10, 100) == 7 / 8


def test_without_a_bar_of_the_type_there_is_no_rank() -> None:
    assert np.isnan(rank(shares({0: 1}, bar_type="time_1m"), 1, 2))
    assert np.isnan(rank(shares({}).clear(), 1, 2))


@pytest.mark.parametrize(
    ("year", "month", "last_day"),
    [
        (2024, 6, dt.date(2024, 6, 21)),
        (2024, 9, dt.date(2024, 9, 20)),
        (2026, 6, dt.date(2026, 6, 18)),  # Juneteenth is the third Friday
    ],
)
def test_a_contract_trades_last_on_the_third_friday_or_the_cash_day_before(
    year: int, month: int, last_day: dt.date
) -> None:
    assert prior.expiry(year, month) == last_day


def test_a_contract_beyond_the_calendar_has_no_known_expiry() -> None:
    assert prior.expiry(2031, 3) is None


def test_the_roll_week_is_the_week_of_the_quarterly_expiry() -> None:
    june = [dt.date(2024, 6, d) for d in range(1, 31)]
    assert [day.day for day in june if prior.is_roll_week(day)] == [17, 18, 19, 20, 21]
    assert not prior.is_roll_week(dt.date(2024, 5, 15))


def test_the_sums_of_a_day_are_those_of_its_trades() -> None:
    day = dt.date(2024, 6, 12)
    session = cme.session(day)
    trades = frame(session, [at(session, "10:00"), at(session, "10:01")], [20_000, 20_004], [2, 3], [1, -1])
    own = prior.of_contract(prior_of({day: trades}, THURSDAY), "ESM4")
    assert prior.sums_since_cash_extreme(own, SESSION, "low") == sums_of(trades)
    assert prior.sums_since_cash_extreme(own, SESSION, "high") == sums_of(trades[1:])
