"""One summary row a profile: published value areas, moments, settlement, half hours, structure of the cash session."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import BarSettings, FootprintSettings, LevelSettings, ProfileSettings
from footprint_assets.transforms.ohlcv import ohlcv
from footprint_assets.transforms.profile_session import ProfileOfOtherTrades, volume_profile_session
from footprint_assets_tests.transforms.profile_frames import (
    LEVELS,
    NO_PRIOR,
    ONE_ROW,
    PROFILE_A,
    RULES,
    SESSION,
    TWO_ROWS,
    at_prices,
    prior_sessions,
    profile_of,
    row_of,
    rows_of,
    summary_of,
    walk,
)
from footprint_assets_tests.transforms.trade_frames import (
    REGULAR_DAY,
    at,
    prints,
    random_day,
    real_trades,
)

YESTERDAY = REGULAR_DAY - dt.timedelta(days=1)
MONDAY = cme.session(YESTERDAY)


def full_row(table: pl.DataFrame) -> dict[str, Any]:
    return row_of(table, "FULL")


def cash_row(trades: pl.DataFrame, **given: Any) -> dict[str, Any]:
    return row_of(summary_of(trades, **given), "RTH")


@pytest.mark.parametrize(
    ("footprint", "area"), [(TWO_ROWS, (100.5, 101, 101.5)), (ONE_ROW, (100.75, 101, 101.5))]
)
def test_profile_a_has_the_published_value_areas(
    footprint: FootprintSettings, area: tuple[float, ...]
) -> None:
    row = full_row(summary_of(at_prices(PROFILE_A), footprint=footprint))
    assert (row["val_price"], row["poc_price"], row["vah_price"]) == area


@pytest.mark.realdata
def test_the_real_four_minutes_have_the_published_value_area_and_vwap(real_data: Path) -> None:
    session = cme.session(dt.date(2024, 7, 2))
    trades = real_trades(real_data / "dbn" / "glbx-mdp3-20240701T2358.trades.dbn.zst", session, "ESU4")
    row = full_row(summary_of(trades, session))
    assert (row["val_price"], row["poc_price"], row["vah_price"]) == (5529.00, 5529.00, 5529.50)
    assert row["vwap"] == pytest.approx(5529.033597, abs=5e-7)
    assert row["vwap_std"] == pytest.approx(0.188235, abs=5e-7)
    assert (row["total_volume"], row["delta"]) == (253, 31)
    prices = tuple(row[name] for name in ("open", "high", "low", "close"))
    assert prices == (5528.75, 5529.5, 5528.5, 5529.25)


def test_the_published_vwap_example_has_a_deviation_of_0_7312() -> None:
    start = at(SESSION, "10:00")
    trades = prints(
        SESSION, [(start, 100, 10, 1), (start, 101, 20, 1), (start, 100.5, 10, 1), (start, 102, 20, 1)]
    )
    row = full_row(summary_of(trades))
    assert row["vwap"] == pytest.approx(101.083333333333333, abs=1e-12)
    assert row["vwap_std"] == pytest.approx(0.731247032282677, abs=1e-14)


def test_a_taller_row_changes_the_point_of_control_and_no_moment() -> None:
    trades = at_prices({99.75: 1, 100.0: 2, 100.75: 3, 101.0: 4})
    tall = full_row(summary_of(trades, footprint=FootprintSettings(ticks_per_row=4)))
    fine = full_row(summary_of(trades))
    assert (tall["low"], tall["high"], tall["poc_price"], tall["poc_position"]) == (99.75, 101, 100, 0.5)
    same = ("low", "high", "vwap", "vwap_std", "profile_skew", "profile_kurtosis", "delta")
    assert [tall[name] for name in same] == [fine[name] for name in same]


@pytest.mark.parametrize("seed", range(8))
def test_the_full_profile_agrees_with_the_daily_bar_to_the_bit(seed: int) -> None:
    trades = random_day(SESSION, seed, trades=500)
    day = ohlcv(trades, SESSION, BarSettings(ohlcv_seconds=(86400,))).row(0, named=True)
    full = full_row(summary_of(trades))
    assert (full["total_volume"], full["vwap"]) == (day["volume"], day["vwap"])
    assert full["delta"] == day["buy_volume"] - day["sell_volume"]
    assert [full[name] for name in ("open", "high", "low", "close")] == [
        day[name] for name in ("open", "high", "low", "close")
    ]


def test_the_vwap_is_anchored_at_the_first_trade_as_the_running_one() -> None:
    # One of the few samples whose last bit tells where the sums were anchored.
    ticks = {9639: 368, 9638: 142, 9631: 121, 9622: 868}
    trades = at_prices({tick / 4: size for tick, size in ticks.items()})
    day = ohlcv(trades, SESSION, BarSettings(ohlcv_seconds=(86400,))).row(0, named=True)
    assert full_row(summary_of(trades))["vwap"] == day["vwap"]


@given(st.integers(0, 10**6), st.sampled_from([1, 2, 4]))
@settings(max_examples=10, deadline=None)
def test_a_summary_repeats_what_its_rows_say(seed: int, ticks_per_row: int) -> None:
    trades = random_day(SESSION, seed, trades=300)
    footprint = FootprintSettings(ticks_per_row=ticks_per_row)
    ladders = profile_of(trades, footprint=footprint)
    for row in summary_of(trades, footprint=footprint).iter_rows(named=True):
        ladder = rows_of(ladders, row["profile_type"])
        assert row["val_price"] <= row["poc_price"] <= row["vah_price"]
        assert row["tpo_val_price"] <= row["tpo_poc_price"] <= row["tpo_vah_price"]
        assert row["value_area_pct"] >= 70
        inside = ladder.filter(pl.col("price").is_between(row["val_price"], row["vah_price"]))
        assert inside["is_in_value_area"].all()
        assert 100 * inside["total_volume"].sum() / row["total_volume"] == row["value_area_pct"]
        assert row["hvn_prices"] == ladder.filter("is_hvn")["price"].to_list()
        assert row["lvn_prices"] == ladder.filter("is_lvn")["price"].to_list()
        counts = ladder["tpo_count"]
        assert (row["is_poor_low"], row["is_poor_high"]) == (counts[0] >= 2, counts[-1] >= 2)
        for name, flag in (("buying_tail", "is_buying_tail"), ("selling_tail", "is_selling_tail")):
            assert row[f"{name}_ticks"] == ticks_per_row * ladder[flag].sum()
        assert row["single_print_ticks"] == ticks_per_row * ladder["is_single_print"].sum()
        assert row["low"] <= row["vwap"] <= row["high"]


def test_moments_are_those_of_the_contracts_traded() -> None:
    trades = at_prices({100.0: 3, 100.25: 10, 101.0: 2, 103.0: 1})
    row = full_row(summary_of(trades))
    contracts_at = np.repeat(trades["price"].to_numpy(), trades["size"].to_numpy())
    scaled = (contracts_at - contracts_at.mean()) / contracts_at.std()
    assert row["vwap"] == pytest.approx(contracts_at.mean(), rel=1e-14)
    assert row["vwap_std"] == pytest.approx(contracts_at.std(), rel=1e-12)
    assert row["profile_skew"] == pytest.approx((scaled**3).mean(), rel=1e-12)
    assert row["profile_kurtosis"] == pytest.approx((scaled**4).mean(), rel=1e-12)


def test_a_profile_of_one_price_has_no_skew_and_every_other_fact() -> None:
    row = cash_row(at_prices({100.0: 3}, "09:40"))
    assert (row["vwap_std"], row["profile_skew"], row["profile_kurtosis"]) == (0, None, None)
    assert (row["poc_position"], row["profile_shape"], row["balanced_target"]) == (0.5, "D", 100)
    assert (row["ib_range"], row["range_extension_ratio"], row["open_type"]) == (0, None, "OA")


def test_mirrored_prices_and_aggressors_mirror_the_profile() -> None:
    trades = at_prices({100.0: 3, 100.25: 10, 101.0: 2, 103.0: 1})
    mirror = trades.with_columns(-pl.col("price"), -pl.col("price_tick"), -pl.col("aggressor_sign"))
    one, other = cash_row(trades), cash_row(mirror)
    for name, mirrored in {"poc_price": "poc_price", "val_price": "vah_price", "vah_price": "val_price",
                           "ib_low": "ib_high", "high": "low", "vwap": "vwap", "balanced_target": "balanced_target"}.items():  # fmt: skip
        assert other[name] == -one[mirrored]
    assert other["delta"] == -one["delta"]
    assert other["profile_skew"] == pytest.approx(-one["profile_skew"])
    assert other["rotation_factor"] == -one["rotation_factor"]
    assert (other["profile_shape"], one["profile_shape"]) == ("P", "b")


def test_the_balanced_target_lays_the_larger_half_off_on_the_other_side() -> None:
    assert full_row(summary_of(at_prices({100.0: 9, 103.0: 1})))["balanced_target"] == 97
    assert full_row(summary_of(at_prices({100.0: 1, 103.0: 9})))["balanced_target"] == 106
    assert full_row(summary_of(at_prices({99.0: 1, 100.0: 9, 101.0: 1})))["balanced_target"] == 99


STATISTICS = contracts.load("bronze.future.statistics").polars_schema
FINAL, PRELIMINARY, FINAL_INTRADAY = 0b0011, 0b0010, 0b1011


def statistic(
    wall: str,
    points: float | None,
    flags: int = FINAL,
    ref: dt.date | None = REGULAR_DAY,
    symbol: str = "ESM4",
    action: int = 1,
    kind: int = 3,
) -> dict[str, object]:
    received = at(SESSION, wall)
    return {
        "ts_recv": received,
        "ts_event": received,
        "ts_ref": None if ref is None else dt.datetime.combine(ref, dt.time(), dt.UTC),
        "symbol": symbol,
        "stat_type": kind,
        "update_action": action,
        "stat_flags": flags,
        "price": None if points is None else round(points * 1e9),
    }


def statistics_of(*messages: dict[str, object]) -> pl.DataFrame:
    rows = [{"record_index": i, **message} for i, message in enumerate(messages)]
    return pl.DataFrame([{name: row.get(name) for name in STATISTICS} for row in rows], schema=STATISTICS)


YESTERDAY = REGULAR_DAY - dt.timedelta(days=1)
SETTLEMENTS = {
    "none": ([], None),
    "the last final one": ([statistic("16:10", 5400.25), statistic("16:20", 5400.50)], 5400.50),
    "final before preliminary": (
        [statistic("16:10", 5400.25), statistic("16:20", 5401, PRELIMINARY)],
        5400.25,
    ),
    "preliminary without a final": ([statistic("16:10", 5400.25, PRELIMINARY)], 5400.25),
    "not yesterday's, published this morning": ([statistic("08:00", 5300, ref=YESTERDAY)], None),
    "not one of an unknown date": ([statistic("08:00", 5300, ref=None)], None),
    "not an intraday mark": ([statistic("12:00", 5300, FINAL_INTRADAY)], None),
    "not another contract's": ([statistic("16:10", 5300, symbol="ESU4")], None),
    "not another statistic": ([statistic("16:10", 5300, kind=4)], None),
    "not one that was deleted": ([statistic("16:10", 5300), statistic("16:11", None, action=2)], None),
    "one sent again after a deletion": (
        [statistic("16:10", 5300), statistic("16:11", None, action=2), statistic("16:12", 5301)],
        5301,
    ),
}


@pytest.mark.parametrize(("messages", "expected"), SETTLEMENTS.values(), ids=SETTLEMENTS)
def test_the_settlement_is(messages: list[dict[str, object]], expected: float | None) -> None:
    table = summary_of(at_prices({100.0: 1}), statistics=statistics_of(*messages))
    assert table["settlement"].unique().to_list() == [expected]


def test_a_settlement_published_after_the_trade_date_is_not_known_in_it() -> None:
    late = statistic("16:10", 5400.25) | {"ts_recv": SESSION.window_ns[1]}
    assert full_row(summary_of(at_prices({100.0: 1}), statistics=statistics_of(late)))["settlement"] is None


def test_no_trades_make_a_typed_table_without_rows() -> None:
    assert summary_of(prints(SESSION, [])).is_empty()


def test_a_profile_of_other_trades_is_refused() -> None:
    trades = at_prices({100.0: 1, 101.0: 2})
    with pytest.raises(ProfileOfOtherTrades, match="holds 3 contracts, its trades 1"):
        volume_profile_session(
            profile_of(trades), trades.head(1), None, NO_PRIOR, SESSION, TWO_ROWS, RULES, LEVELS
        )


DAY = (
    ("09:00", 99.0), ("09:30", 100.0), ("09:45", 98.0), ("10:29:59", 104.0), ("10:30", 107.0), ("15:00", 97.0),
    ("16:10", 110.0),
)  # fmt: skip


def test_the_initial_balance_is_the_first_hour_half_open() -> None:
    row = cash_row(walk(SESSION, *DAY))
    assert (row["ib_low"], row["ib_high"], row["ib_range"]) == (98, 104, 6)
    assert (row["ib_extension_up_pts"], row["ib_extension_down_pts"]) == (3, 1)
    assert row["range_extension_ratio"] == 10 / 6
    assert row["day_type"] == "Neutral"
    short = cash_row(walk(SESSION, *DAY), levels=LevelSettings(initial_balance_minutes=30))
    assert (short["ib_low"], short["ib_high"]) == (98, 100)


CASH_ONLY = (
    "ib_high", "ib_low", "ib_range", "ib_extension_up_pts", "ib_extension_down_pts", "range_extension_ratio",
    "open_type", "open_location", "gap_pts", "overnight_inventory", "day_type",
)  # fmt: skip
TPO_ONLY = (
    "tpo_poc_price", "tpo_vah_price", "tpo_val_price", "is_poor_high", "is_poor_low", "buying_tail_ticks",
    "selling_tail_ticks", "single_print_ticks", "rotation_factor",
)  # fmt: skip


def test_facts_of_the_cash_session_stand_in_its_row_only() -> None:
    table = summary_of(
        random_day(SESSION, seed=3), prior=prior_sessions(REGULAR_DAY, [random_day(MONDAY, seed=4)])
    )
    assert table["profile_type"].to_list() == ["RTH", "ETH", "FULL", "WEEK"]
    assert not any(value is None for value in table.filter(profile_type="RTH").select(CASH_ONLY).row(0))
    rest = table.filter(pl.col("profile_type") != "RTH")
    assert rest.select(CASH_ONLY).null_count().row(0) == (3,) * len(CASH_ONLY)
    known = {
        name: table.filter(profile_type=name).select(TPO_ONLY).null_count().row(0)
        for name in ("FULL", "WEEK")
    }
    assert known == {"FULL": (0,) * len(TPO_ONLY), "WEEK": (1,) * len(TPO_ONLY)}


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_the_initial_balance_contains_the_opening_half_hour(seed: int) -> None:
    trades = random_day(SESSION, seed, trades=800)
    row, half = cash_row(trades), cash_row(trades, levels=LevelSettings(initial_balance_minutes=30))
    assert row["low"] <= row["ib_low"] <= half["ib_low"] <= half["ib_high"] <= row["ib_high"] <= row["high"]
    assert row["range_extension_ratio"] >= 1


def test_a_cash_session_that_begins_late_has_no_balance_and_no_type() -> None:
    row = cash_row(walk(SESSION, ("09:00", 99.0), ("11:00", 100.0), ("12:00", 101.0)))
    known = {name: row[name] for name in CASH_ONLY if row[name] is not None}
    assert known == {"overnight_inventory": 1}
    assert (row["poc_price"], row["profile_shape"]) == (100, "D")


def test_poor_extremes_tails_and_rotation_are_counted_in_half_hours() -> None:
    row = cash_row(
        walk(
            SESSION,
            ("09:30", 100.0), ("09:31", 100.25), ("09:32", 100.5), ("09:33", 101.0),
            ("10:00", 100.5), ("10:01", 101.0), ("10:30", 100.75), ("10:31", 101.0), ("11:00", 100.5),
        )
    )  # fmt: skip
    assert (row["is_poor_low"], row["is_poor_high"]) == (False, True)
    assert (row["buying_tail_ticks"], row["selling_tail_ticks"], row["single_print_ticks"]) == (2, 0, 1)
    assert row["rotation_factor"] == (0 + 1) + (0 + 1) + (-1 - 1)


VALUE_DAY = walk(
    MONDAY,
    ("09:30", 100.0), ("09:31", 104.0), ("09:32", 96.0), *((f"10:{m:02}", 100.0) for m in range(30)),
    ("15:00", 101.0), ("15:59", 100.5), ("16:30", 107.0),
)  # fmt: skip
"""Range 96 to 104, value 100 to 101 at most, closed at 100.50."""
PRIOR = prior_sessions(REGULAR_DAY, [VALUE_DAY])


def opened_at(price: float, *rest: tuple[str, float]) -> pl.DataFrame:
    return walk(SESSION, ("09:00", 100.0), ("09:30", price), *rest)


@pytest.mark.parametrize(
    ("price", "zone"),
    [
        (104.25, "ABOVE_RANGE"), (104.0, "ABOVE_VALUE"), (100.0, "IN_VALUE"), (96.0, "BELOW_VALUE"),
        (95.75, "BELOW_RANGE"),
    ],
)  # fmt: skip
def test_the_open_is_located_against_the_prior_cash_session(price: float, zone: str) -> None:
    row = cash_row(opened_at(price), prior=PRIOR)
    assert (row["open_location"], row["gap_pts"]) == (zone, price - 100.5)


def test_without_the_prior_cash_session_location_and_gap_are_not_known() -> None:
    other = prior_sessions(REGULAR_DAY, [VALUE_DAY], source="ESH4")
    friday = prior_sessions(REGULAR_DAY, [random_day(cme.session(dt.date(2024, 6, 7)), seed=1)])
    for prior in (NO_PRIOR, other, friday):
        row = cash_row(opened_at(100.0), prior=prior)
        assert (row["open_location"], row["gap_pts"]) == (None, None)


def test_the_overnight_inventory_is_the_overnight_delta_over_its_volume() -> None:
    night, opening = at(SESSION, "20:00"), at(SESSION, "09:30")
    trades = prints(
        SESSION, [(night, 1.0, 6, 1), (night, 1.0, 3, -1), (opening - 1, 1.0, 1, 0), (opening, 1.0, 50, -1)]
    )
    assert cash_row(trades)["overnight_inventory"] == 0.3
    assert cash_row(trades.tail(1))["overnight_inventory"] is None


def test_an_open_test_drive_needs_the_reference_it_tested() -> None:
    # Opens at 99, falls to 96.25 within a point of the prior low of 96, then rises by half the balance.
    trades = opened_at(99.0, ("09:35", 96.25), ("09:50", 103.0), ("10:20", 103.0))
    assert cash_row(trades, prior=PRIOR)["open_type"] == "OTD"
    assert cash_row(trades)["open_type"] == "ORR"
    assert cash_row(opened_at(99.0, ("09:50", 103.0)))["open_type"] == "OD"


def test_a_day_inside_its_balance_is_measured_by_the_ranges_before() -> None:
    inside = opened_at(100.0, ("09:40", 103.75), ("15:00", 101.0))
    assert cash_row(inside)["day_type"] is None
    assert cash_row(inside, prior=PRIOR)["day_type"] == "NonTrend"
    assert cash_row(opened_at(100.0, ("09:40", 104.0)), prior=PRIOR)["day_type"] == "Normal"
    broken = prior_sessions(REGULAR_DAY, [VALUE_DAY], is_complete=False)
    assert cash_row(inside, prior=broken)["day_type"] is None


def test_a_thin_trend_day_is_an_i() -> None:
    climb = [(f"{10 + m // 60}:{m % 60:02}", 100.0 + m / 4) for m in range(30, 180)]
    trades = walk(SESSION, ("09:30", 100.0), ("10:00", 103.0), *climb)
    assert (cash_row(trades)["profile_shape"], cash_row(trades)["day_type"]) == ("I", "Trend")
    thick = ProfileSettings(thin_tpo_count=0.5)
    assert cash_row(trades, rules=thick)["profile_shape"] == "D"


HILL = [5, 30, 80, 100, 80, 30, 5]
TWO_HILLS = dict(zip([100 + i / 4 for i in range(19)], [*HILL, 1, 1, 1, 1, 1, *HILL], strict=True))


def test_two_hills_and_the_valley_between_make_a_b_and_their_prices() -> None:
    row = full_row(summary_of(at_prices(TWO_HILLS)))
    assert (row["profile_shape"], row["hvn_prices"], row["lvn_prices"]) == ("B", [100.75, 103.75], [102.25])


def test_a_trend_day_of_two_hills_is_a_double_distribution() -> None:
    first = {price: size for price, size in TWO_HILLS.items() if price <= 101.5}
    later = {price: size for price, size in TWO_HILLS.items() if price > 101.5}
    trades = pl.concat((at_prices(first, "09:30"), at_prices(later, "13:00")))
    assert cash_row(trades)["day_type"] == "DoubleDistribution"


WEDNESDAY, THURSDAY = dt.date(2024, 6, 12), dt.date(2024, 6, 13)


def with_poc(date: dt.date, price: float, *also: float) -> pl.DataFrame:
    session = cme.session(date)
    start = at(session, "10:00")
    return prints(session, [(start, price, 9, 1), *((start, other, 1, 1) for other in also)])


def test_a_naked_point_of_control_was_not_traded_since() -> None:
    days = [
        with_poc(dt.date(2024, 6, 10), 100.0),
        with_poc(dt.date(2024, 6, 11), 110.0, 105.0),
        with_poc(WEDNESDAY, 120.0, 110.0),
    ]
    session = cme.session(THURSDAY)
    prior = prior_sessions(THURSDAY, days)
    trades = walk(session, ("10:00", 101.0), ("16:30", 100.0))
    table = summary_of(trades, session, prior=prior)
    assert row_of(table, "RTH")["naked_poc_prices"] == [100, 120]
    assert row_of(table, "FULL")["naked_poc_prices"] == [120]  # 100.00 traded after the cash close
    assert row_of(table, "WEEK")["naked_poc_prices"] is None


def test_without_the_last_session_no_point_of_control_is_known_to_be_naked() -> None:
    session = cme.session(THURSDAY)
    for prior in (NO_PRIOR, prior_sessions(THURSDAY, [with_poc(dt.date(2024, 6, 11), 100.0)])):
        row = cash_row(walk(session, ("10:00", 101.0)), session=session, prior=prior)
        assert row["naked_poc_prices"] is None


def test_a_profile_of_several_sessions_opens_with_its_first() -> None:
    days = [
        random_day(cme.session(day), seed=day.day, trades=200) for day in (dt.date(2024, 6, 10), REGULAR_DAY)
    ]
    today = random_day(cme.session(WEDNESDAY), seed=1, trades=200)
    week = row_of(summary_of(today, cme.session(WEDNESDAY), prior=prior_sessions(WEDNESDAY, days)), "WEEK")
    whole = pl.concat((*days, today))
    assert (week["open"], week["close"]) == (days[0]["price"][0], today["price"][-1])
    assert (week["high"], week["low"]) == (whole["price"].max(), whole["price"].min())
    assert (week["total_volume"], week["delta"]) == (
        whole["size"].sum(),
        (whole["size"] * whole["aggressor_sign"]).sum(),
    )
    prices, sizes = whole["price"].to_numpy(), whole["size"].to_numpy()
    assert week["vwap"] == pytest.approx(np.average(prices, weights=sizes), rel=1e-13)
    spread = np.sqrt(np.average((prices - week["vwap"]) ** 2, weights=sizes))
    assert week["vwap_std"] == pytest.approx(spread, rel=1e-10)


@pytest.mark.parametrize("cut", [0.0, 0.4, 0.9])
def test_what_trades_after_the_cash_close_leaves_the_cash_row_bit_identical(cut: float) -> None:
    trades = random_day(SESSION, seed=8)
    known = trades.filter(pl.col("ts_event").to_physical() < at(SESSION, "16:00") + int(cut * 3.6e12))
    whole, part = summary_of(trades, prior=PRIOR), summary_of(known, prior=PRIOR)
    assert part.filter(profile_type="RTH").equals(whole.filter(profile_type="RTH"))
