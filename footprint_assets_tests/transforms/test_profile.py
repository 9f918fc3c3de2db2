"""Volume profiles: published examples, conservation, moments, settlement, symmetry."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import BarSettings, FootprintSettings
from footprint_assets.transforms.footprint import MalformedTradesError
from footprint_assets.transforms.ohlcv import ohlcv
from footprint_assets.transforms.profile import (
    ProfileOfOtherTrades,
    volume_profile_price,
    volume_profile_session,
)
from footprint_assets_tests.transforms.trade_frames import (
    MINUTE,
    REGULAR_DAY,
    SECOND,
    at,
    prints,
    random_day,
    real_trades,
)

SESSION = cme.session(REGULAR_DAY)
TWO_ROWS = FootprintSettings()
ONE_ROW = FootprintSettings(value_area_rows=1)
NO_CASH = dt.date(2024, 1, 15)
EARLY_CLOSE = dt.date(2024, 11, 29)


def profile_of(
    trades: pl.DataFrame, session: cme.Session = SESSION, rules: FootprintSettings = TWO_ROWS
) -> pl.DataFrame:
    table = volume_profile_price(trades, session, rules)
    contracts.Validator(contracts.load("silver.future.volume_profile_price")).validate(table)
    return table


def summary_of(
    trades: pl.DataFrame,
    session: cme.Session = SESSION,
    rules: FootprintSettings = TWO_ROWS,
    statistics: pl.DataFrame | None = None,
) -> pl.DataFrame:
    table = volume_profile_session(profile_of(trades, session, rules), trades, statistics, session)
    contracts.Validator(contracts.load("silver.future.volume_profile_session")).validate(table)
    return table


def full_row(table: pl.DataFrame) -> dict[str, object]:
    return table.filter(pl.col("profile_type") == "FULL").row(0, named=True)


def at_prices(volumes: dict[float, int]) -> pl.DataFrame:
    start = at(SESSION, "10:00")
    return prints(SESSION, [(start + i, price, size, 1) for i, (price, size) in enumerate(volumes.items())])


PROFILE_A = dict(zip(np.arange(100, 102.5, 0.25), [10, 20, 30, 60, 100, 70, 40, 20, 15, 5], strict=True))


@pytest.mark.parametrize(
    ("rules", "area"), [(TWO_ROWS, (100.5, 101, 101.5)), (ONE_ROW, (100.75, 101, 101.5))]
)
def test_the_value_area_of_profile_a_agrees_with_py_market_profile(
    rules: FootprintSettings, area: tuple[float, ...]
) -> None:
    row = full_row(summary_of(at_prices(PROFILE_A), rules=rules))
    assert (row["val_price"], row["poc_price"], row["vah_price"]) == area


@pytest.mark.realdata
def test_the_real_four_minutes_have_the_published_footprint_and_value_area(real_data: Path) -> None:
    session = cme.session(dt.date(2024, 7, 2))
    trades = real_trades(real_data / "dbn" / "glbx-mdp3-20240701T2358.trades.dbn.zst", session, "ESU4")
    ladder = profile_of(trades, session).filter(pl.col("profile_type") == "FULL")
    assert ladder.select("price", "bid_volume", "ask_volume").rows() == [
        (5528.50, 3, 0),
        (5528.75, 19, 26),
        (5529.00, 55, 68),
        (5529.25, 34, 45),
        (5529.50, 0, 3),
    ]
    row = full_row(summary_of(trades, session))
    assert (row["val_price"], row["poc_price"], row["vah_price"]) == (5529.00, 5529.00, 5529.50)
    assert row["vwap"] == pytest.approx(5529.033597, abs=5e-7)
    assert row["vwap_std"] == pytest.approx(0.188235, abs=5e-7)
    assert (row["trades"], row["delta"]) == (120, 31)


@pytest.mark.realdata
def test_the_real_first_hour_has_46_traded_rows_and_its_point_of_control_at_4810(real_data: Path) -> None:
    session = cme.session(dt.date(2023, 12, 26))
    trades = real_trades(real_data / "dbn" / "glbx-mdp3-20231225.trades.dbn.zst", session, "ESH4")
    ladder = profile_of(trades, session).filter(pl.col("profile_type") == "FULL")
    assert ladder.filter(pl.col("total_volume") > 0).height == 46
    assert ladder.filter("is_poc").select("price", "bid_volume", "ask_volume").row(0) == (4810, 505, 540)
    assert summary_of(trades, session)["profile_type"].to_list() == ["ETH", "FULL"]


def test_regular_hours_are_half_open() -> None:
    opening, closing = at(SESSION, "09:30"), at(SESSION, "16:00")
    rows = [(opening - 1, 1.0, 1, 1), (opening, 2.0, 2, 1), (closing - 1, 3.0, 4, 1), (closing, 4.0, 8, 1)]
    volume = summary_of(prints(SESSION, rows)).select("profile_type", "total_volume").rows()
    assert volume == [("RTH", 6), ("ETH", 9), ("FULL", 15)]


def test_regular_hours_end_early_on_an_early_close() -> None:
    session = cme.session(EARLY_CLOSE)
    trades = prints(session, [(at(session, "12:59:59"), 1.0, 1, 1), (at(session, "13:00"), 2.0, 2, 1)])
    assert summary_of(trades, session)["total_volume"].to_list() == [1, 2, 3]


def test_a_date_without_a_cash_session_has_no_regular_profile() -> None:
    session = cme.session(NO_CASH)
    table = summary_of(random_day(session, seed=1), session)
    assert table["profile_type"].to_list() == ["ETH", "FULL"]
    assert table.drop("profile_type").row(0) == table.drop("profile_type").row(1)


@pytest.mark.parametrize("ticks_per_row", [1, 4])
def test_profiles_hold_the_volume_of_the_trades_and_of_the_bars(ticks_per_row: int) -> None:
    trades = random_day(SESSION, seed=2)
    rules = FootprintSettings(ticks_per_row=ticks_per_row)
    table = summary_of(trades, rules=rules)
    by_type = dict(table.select("profile_type", "total_volume").rows())
    assert by_type["FULL"] == by_type["RTH"] + by_type["ETH"] == trades["size"].sum()
    day = ohlcv(trades, SESSION, BarSettings(ohlcv_seconds=(86400,))).row(0, named=True)
    full = full_row(table)
    assert (full["total_volume"], full["vwap"]) == (day["volume"], day["vwap"])
    assert full["delta"] == day["buy_volume"] - day["sell_volume"]


def test_a_profile_has_every_row_from_low_to_high() -> None:
    ladder = profile_of(at_prices({100.0: 5, 101.0: 7})).filter(pl.col("profile_type") == "FULL")
    assert ladder["price"].to_list() == [100, 100.25, 100.5, 100.75, 101]
    assert ladder["total_volume"].to_list() == [5, 0, 0, 0, 7]


def test_a_taller_row_is_named_by_its_lowest_price() -> None:
    rules = FootprintSettings(ticks_per_row=4)
    ladder = profile_of(at_prices({99.75: 1, 100.0: 2, 100.75: 3, 101.0: 4}), rules=rules)
    full = ladder.filter(pl.col("profile_type") == "FULL")
    assert full.select("price", "total_volume").rows() == [(99, 1), (100, 5), (101, 4)]
    row = full_row(summary_of(at_prices({99.75: 1, 100.0: 2, 100.75: 3, 101.0: 4}), rules=rules))
    assert (row["low"], row["high"], row["poc_position"]) == (99.75, 101, 0.5)


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_the_value_area_holds_its_share_and_the_point_of_control(seed: int) -> None:
    trades = random_day(SESSION, seed, trades=300)
    ladders = profile_of(trades)
    for row in summary_of(trades).iter_rows(named=True):
        ladder = ladders.filter(pl.col("profile_type") == row["profile_type"])
        assert row["val_price"] <= row["poc_price"] <= row["vah_price"]
        assert row["value_area_pct"] >= 70
        inside = ladder.filter(pl.col("price").is_between(row["val_price"], row["vah_price"]))
        assert inside["is_in_value_area"].all()
        assert 100 * inside["total_volume"].sum() / row["total_volume"] == row["value_area_pct"]
        assert ladder.filter("is_poc")["total_volume"].to_list() == [ladder["total_volume"].max()]


def test_moments_are_those_of_the_contracts_traded() -> None:
    trades = at_prices({100.0: 3, 100.25: 10, 101.0: 2, 103.0: 1})
    row = full_row(summary_of(trades))
    contracts_at = np.repeat(trades["price"].to_numpy(), trades["size"].to_numpy())
    scaled = (contracts_at - contracts_at.mean()) / contracts_at.std()
    assert row["vwap"] == pytest.approx(contracts_at.mean(), rel=1e-14)
    assert row["vwap_std"] == pytest.approx(contracts_at.std(), rel=1e-12)
    assert row["profile_skew"] == pytest.approx((scaled**3).mean(), rel=1e-12)
    assert row["profile_kurtosis"] == pytest.approx((scaled**4).mean(), rel=1e-12)


def test_a_profile_of_one_price_has_no_skew() -> None:
    row = full_row(summary_of(at_prices({100.0: 3})))
    assert (row["vwap_std"], row["profile_skew"], row["profile_kurtosis"], row["poc_position"]) == (
        0,
        None,
        None,
        0.5,
    )


def test_mirrored_prices_and_aggressors_mirror_the_profile() -> None:
    trades = at_prices({100.0: 3, 100.25: 10, 101.0: 2, 103.0: 1})
    mirror = trades.with_columns(-pl.col("price"), -pl.col("price_tick"), -pl.col("aggressor_sign"))
    one, other = full_row(summary_of(trades)), full_row(summary_of(mirror))
    assert (other["poc_price"], other["val_price"], other["vah_price"]) == (
        -one["poc_price"],
        -one["vah_price"],
        -one["val_price"],
    )
    assert other["delta"] == -one["delta"]
    assert other["profile_skew"] == pytest.approx(-one["profile_skew"])


def test_the_longest_gap_counts_the_edges_of_the_trading_hours() -> None:
    opening, closing = SESSION.open_ns, SESSION.close_ns
    cash_open, cash_close = at(SESSION, "09:30"), at(SESSION, "16:00")
    trades = prints(
        SESSION,
        [
            (opening, 1.0, 1, 1),
            (cash_open - MINUTE, 1.0, 1, 1),
            (cash_open + 5 * MINUTE, 1.0, 1, 1),
            (cash_close - 7 * MINUTE, 1.0, 1, 1),
            (cash_close + 2 * MINUTE, 1.0, 1, 1),
            (closing - 1, 1.0, 1, 1),
        ],
    )
    gaps = dict(summary_of(trades).select("profile_type", "longest_gap_ns").rows())
    night = cash_open - MINUTE - opening
    assert gaps["RTH"] == cash_close - 7 * MINUTE - cash_open - 5 * MINUTE
    assert gaps["ETH"] == gaps["FULL"] == night


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


def test_no_trades_make_typed_tables_without_rows() -> None:
    assert summary_of(prints(SESSION, [])).is_empty()


def test_a_corrupt_price_is_refused_before_it_becomes_a_ladder() -> None:
    with pytest.raises(MalformedTradesError, match="further apart"):
        profile_of(at_prices({100.0: 1, 500_000_000.0: 1}))


def test_a_profile_of_other_trades_is_refused() -> None:
    trades = at_prices({100.0: 1, 101.0: 2})
    with pytest.raises(ProfileOfOtherTrades, match="holds 3 contracts, its trades 1"):
        volume_profile_session(profile_of(trades), trades.head(1), None, SESSION)


def test_high_and_low_volume_nodes_are_marked_on_the_ladder() -> None:
    hill = [5, 30, 80, 100, 80, 30, 5]
    volumes = dict(zip(np.arange(100, 200, 0.25), [*hill, 1, 1, 1, 1, 1, *hill], strict=False))
    ladder = profile_of(at_prices(volumes)).filter(pl.col("profile_type") == "FULL")
    assert ladder.filter("is_hvn")["price"].to_list() == [100.75, 103.75]
    assert ladder.filter("is_lvn")["price"].to_list() == [102.25]


def test_a_profile_does_not_depend_on_when_within_the_session_its_trades_were() -> None:
    trades = at_prices(PROFILE_A)
    later = trades.with_columns((pl.col("ts_event").to_physical() + SECOND).cast(trades["ts_event"].dtype))
    assert profile_of(trades).equals(profile_of(later))
