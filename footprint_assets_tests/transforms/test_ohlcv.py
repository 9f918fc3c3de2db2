"""OHLCV bars: the vendor's own bars, edges, conservation, true range, causality."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import BarSettings
from footprint_assets.transforms.ohlcv import INTERVAL_SECONDS, UnknownInterval, ohlcv
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
DST_MONDAYS = [dt.date(2024, 3, 11), dt.date(2024, 11, 4)]
EARLY_CLOSE = dt.date(2024, 11, 29)
NO_CASH = dt.date(2024, 1, 15)


def bars_of(
    trades: pl.DataFrame, session: cme.Session = SESSION, interval: str | None = None
) -> pl.DataFrame:
    table = ohlcv(trades, session, BarSettings())
    contracts.Validator(contracts.load("silver.future.ohlcv")).validate(table)
    return table if interval is None else table.filter(pl.col("interval") == interval)


def starts_ns(bars: pl.DataFrame) -> list[int]:
    return bars["bar_ts"].to_physical().to_list()


@pytest.mark.realdata
def test_one_minute_bars_are_the_vendors_own(real_data: Path) -> None:
    session = cme.session(dt.date(2024, 7, 2))
    trades = real_trades(real_data / "dbn" / "glbx-mdp3-20240701T2358.trades.dbn.zst", session, "ESU4")
    minutes = bars_of(trades, session, "1m")
    assert minutes.select("open", "high", "low", "close", "volume").rows() == [
        (5528.75, 5528.75, 5528.50, 5528.75, 18),
        (5528.50, 5528.75, 5528.50, 5528.75, 23),
        (5529.00, 5529.50, 5528.75, 5529.50, 175),
        (5529.25, 5529.50, 5529.25, 5529.25, 37),
    ]
    day = bars_of(trades, session, "1d").row(0, named=True)
    assert (day["buy_volume"], day["sell_volume"], day["unknown_volume"]) == (142, 111, 0)
    assert day["vwap"] == pytest.approx(5529.033597, abs=5e-7)


@pytest.mark.realdata
def test_the_first_hour_of_a_real_date_has_the_vendors_daily_bar_and_its_unknown_opening_print(
    real_data: Path,
) -> None:
    session = cme.session(dt.date(2023, 12, 26))
    trades = real_trades(real_data / "dbn" / "glbx-mdp3-20231225.trades.dbn.zst", session, "ESH4")
    day = bars_of(trades, session, "1d").row(0, named=True)
    assert (day["open"], day["high"], day["low"], day["close"], day["volume"]) == (
        4800.25,
        4811.75,
        4800.25,
        4810,
        9892,
    )
    assert (day["sell_volume"], day["buy_volume"], day["unknown_volume"]) == (4526, 5322, 44)
    assert day["vwap"] == pytest.approx(4808.7227, abs=5e-5)


def test_a_trade_on_a_boundary_opens_the_new_bar() -> None:
    edge = at(SESSION, "10:01:00")
    trades = prints(SESSION, [(edge - 1, 5000, 1, 1), (edge, 5001, 2, -1), (edge + MINUTE - 1, 5002, 3, 0)])
    minutes = bars_of(trades, interval="1m")
    assert starts_ns(minutes) == [edge - MINUTE, edge]
    assert minutes["volume"].to_list() == [1, 5]


def test_an_interval_without_a_trade_has_no_row() -> None:
    first = at(SESSION, "10:00:00")
    trades = prints(SESSION, [(first, 5000, 1, 1), (first + 10 * SECOND, 5000, 1, 1)])
    assert bars_of(trades, interval="1s").height == 2
    assert bars_of(trades, interval="10s").height == 2
    assert bars_of(trades, interval="1m").height == 1


def test_open_and_close_follow_event_order_within_one_nanosecond() -> None:
    now = at(SESSION, "10:00:00")
    bar = bars_of(prints(SESSION, [(now, 5001, 1, 1), (now, 5003, 1, 1), (now, 5002, 1, 1)]), interval="1s")
    assert bar.select("open", "high", "low", "close").row(0) == (5001, 5003, 5001, 5002)


@pytest.mark.parametrize("date", [REGULAR_DAY, *DST_MONDAYS, EARLY_CLOSE, NO_CASH])
def test_every_interval_holds_the_whole_volume_of_the_trade_date(date: dt.date) -> None:
    session = cme.session(date)
    trades = random_day(session, seed=3)
    table = bars_of(trades, session)
    totals = table.group_by("interval").agg(
        pl.col("volume", "buy_volume", "sell_volume", "trade_count").sum()
    )
    assert totals.height == len(INTERVAL_SECONDS)
    assert totals["volume"].unique().to_list() == [trades["size"].sum()]
    assert totals["trade_count"].unique().to_list() == [trades.height]
    assert totals["buy_volume"].unique().to_list() == [
        trades.filter(pl.col("aggressor_sign") > 0)["size"].sum()
    ]
    assert totals["sell_volume"].unique().to_list() == [
        trades.filter(pl.col("aggressor_sign") < 0)["size"].sum()
    ]


@pytest.mark.parametrize("date", [REGULAR_DAY, *DST_MONDAYS])
def test_bars_start_on_eastern_wall_clock_boundaries_in_both_offsets(date: dt.date) -> None:
    session = cme.session(date)
    halves = bars_of(random_day(session, seed=4), session, "30m")
    wall = halves["bar_ts"].dt.convert_time_zone("America/New_York")
    assert wall[0] == dt.datetime.combine(wall[0].date(), dt.time(18), wall[0].tzinfo)
    assert set(wall.dt.minute()) == {0, 30}
    assert dt.time(9, 30) in set(wall.dt.time())


def test_the_daily_bar_starts_at_the_open_even_for_a_print_before_it() -> None:
    session = cme.session(dt.date(2024, 6, 10))
    assert session.window_ns[0] < session.open_ns - 24 * 60 * MINUTE
    early = session.window_ns[0] + SECOND
    day = bars_of(prints(session, [(early, 5000, 1, 0), (session.open_ns, 5001, 1, 1)]), session, "1d")
    assert starts_ns(day) == [session.open_ns]
    assert day["volume"].to_list() == [2]


def test_coarser_bars_are_made_of_finer_ones() -> None:
    table = bars_of(random_day(SESSION, seed=5))
    fine = table.filter(pl.col("interval") == "1m").with_columns(pl.col("bar_ts").dt.truncate("5m"))
    remade = fine.group_by("bar_ts", maintain_order=True).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    coarse = table.filter(pl.col("interval") == "5m").select(remade.columns)
    assert remade.equals(coarse)


def test_true_range_spans_the_previous_close_and_the_average_is_wilders() -> None:
    minutes = bars_of(random_day(SESSION, seed=6), interval="5m")
    bars = minutes.select("high", "low", "close").rows()
    ranges = [bars[0][0] - bars[0][1]]
    for (_, _, before), (high, low, _) in itertools.pairwise(bars):
        ranges.append(max(high - low, abs(high - before), abs(low - before)))
    assert minutes["true_range"].to_list() == ranges
    average = minutes["atr_14"].to_list()
    assert average[:13] == [None] * 13
    expected = sum(ranges[:14]) / 14
    assert average[13] == pytest.approx(expected, rel=1e-12)
    for value, now in zip(average[14:], ranges[14:], strict=True):
        expected = (13 * expected + now) / 14
        assert value == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 10**6), st.sampled_from([10_000_000, 100_000_000, 250_000_000]))
@settings(max_examples=20, deadline=None)
def test_the_vwap_never_leaves_the_bar_whatever_the_tick_size(seed: int, tick_nanos: int) -> None:
    table = bars_of(random_day(SESSION, seed, trades=200, tick_nanos=tick_nanos))
    assert table.filter(~pl.col("vwap").is_between("low", "high")).is_empty()


def test_trades_after_a_bar_do_not_change_it() -> None:
    trades = random_day(SESSION, seed=7)
    full = bars_of(trades)
    for cut in (at(SESSION, "02:00"), at(SESSION, "10:00"), at(SESSION, "15:30")):
        past = trades.filter(pl.col("ts_event").to_physical() < cut)
        known = (
            pl.col("bar_ts").to_physical() + pl.col("interval").replace_strict(INTERVAL_SECONDS) * SECOND
            <= cut
        )
        early = full.filter(known)
        assert early.height > 100
        assert bars_of(past).filter(known).equals(early, null_equal=True)


def test_mirrored_prices_swap_high_with_low_and_keep_the_ranges() -> None:
    trades = random_day(SESSION, seed=8)
    mirror = trades.with_columns(-pl.col("price"), -pl.col("price_tick"), -pl.col("aggressor_sign"))
    one, other = bars_of(trades), bars_of(mirror)
    assert other["high"].equals(-one["low"])
    assert other["buy_volume"].equals(one["sell_volume"])
    assert other["atr_14"].equals(one["atr_14"], null_equal=True)
    assert np.allclose(other["vwap"], -one["vwap"], rtol=0, atol=1e-9)


def test_no_trades_make_a_typed_table_without_rows() -> None:
    assert bars_of(prints(SESSION, [])).is_empty()


def test_an_interval_without_a_name_is_refused() -> None:
    with pytest.raises(UnknownInterval, match="lasts 7 s"):
        ohlcv(prints(SESSION, []), SESSION, BarSettings(ohlcv_seconds=(60, 7)))


def test_only_the_intervals_asked_for_are_built() -> None:
    table = ohlcv(random_day(SESSION, seed=9, trades=50), SESSION, BarSettings(ohlcv_seconds=(86400, 60)))
    assert table["interval"].unique(maintain_order=True).to_list() == ["1m", "1d"]
