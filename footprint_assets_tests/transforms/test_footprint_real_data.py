"""Footprints of real ES trades against numbers published by the vendor and by other projects."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import databento as db
import numpy as np
import polars as pl
import pytest

from footprint_assets.calendar import session
from footprint_assets.contracts import Validator, load
from footprint_assets.settings import BarSettings, FootprintSettings
from footprint_assets.transforms.footprint import BAR_TABLE, PRICE_TABLE, footprint_bar, footprint_price
from footprint_assets_tests.transforms.histories import NO_LEVELS

pytestmark = pytest.mark.realdata

TICK_NANOS = 250_000_000


def read(path: Path, symbol: str, date: dt.date) -> pl.DataFrame:
    records = db.DBNStore.from_file(path).to_ndarray()
    return pl.DataFrame(
        {
            "ts_event": records["ts_event"].astype(np.int64),
            "price_tick": (records["price"] // TICK_NANOS).astype(np.int32),
            "size": records["size"].astype(np.int64),
            "aggressor_sign": np.select([records["side"] == b"B", records["side"] == b"A"], [1, -1], 0),
        }
    ).select(
        pl.col("ts_event").cast(pl.Datetime("ns", "UTC")),
        pl.lit(date).alias("session_date"),
        pl.lit(symbol).alias("symbol"),
        "price_tick",
        "size",
        pl.col("aggressor_sign").cast(pl.Int8),
    )


def build(
    trades: pl.DataFrame, date: dt.date, rules: FootprintSettings | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    rules = rules or FootprintSettings()
    rows = footprint_price(trades, None, session(date), BarSettings(), rules, 0.25)
    bars = footprint_bar(trades, NO_LEVELS, session(date), BarSettings(), rules, 0.25)
    Validator(load(PRICE_TABLE)).validate(rows)
    Validator(load(BAR_TABLE)).validate(bars)
    return rows, bars


def whole(trades: pl.DataFrame, date: dt.date) -> tuple[pl.DataFrame, dict[str, object]]:
    """All trades as one bar: their times are set to one instant."""
    rows, bars = build(trades.with_columns(pl.col("ts_event").first()), date)
    return rows.filter(bar_type="time_30m"), bars.filter(bar_type="time_30m").row(0, named=True)


ESH4 = dt.date(2023, 12, 26)
ESM4 = dt.date(2024, 6, 10)
ESU4 = dt.date(2024, 7, 2)


def test_the_first_hour_of_esh4_reproduces_the_vendors_daily_bar_and_the_published_profile(
    real_data: Path,
) -> None:
    trades = read(real_data / "dbn" / "glbx-mdp3-20231225.trades.dbn.zst", "ESH4", ESH4)
    rows, bar = whole(trades, ESH4)
    assert (bar["open"], bar["high"], bar["low"], bar["close"]) == (4800.25, 4811.75, 4800.25, 4810.00)
    assert (bar["volume"], bar["bid_volume"], bar["ask_volume"], bar["unknown_volume"]) == (
        9892,
        4526,
        5322,
        44,
    )
    assert len(rows) == 46
    poc = rows.filter("is_poc").row(0, named=True)
    assert (poc["price"], poc["bid_volume"], poc["ask_volume"]) == (4810.00, 505, 540)
    assert bar["vwap"] == pytest.approx(4808.7227, abs=5e-5)


def test_every_bar_type_of_esh4_adds_up_to_the_day(real_data: Path) -> None:
    trades = read(real_data / "dbn" / "glbx-mdp3-20231225.trades.dbn.zst", "ESH4", ESH4)
    _, bars = build(trades, ESH4)
    sums = bars.group_by("bar_type").agg(
        pl.col("volume", "bid_volume", "ask_volume", "unknown_volume", "trades").sum()
    )
    assert sums.drop("bar_type").unique().rows() == [(9892, 4526, 5322, 44, 2973)]
    assert len(sums) == 8


def test_the_opening_auction_of_esh4_is_unknown_volume(real_data: Path) -> None:
    trades = read(real_data / "dbn" / "glbx-mdp3-20231225.trades.dbn.zst", "ESH4", ESH4)
    _, bars = build(trades, ESH4)
    first = bars.filter(bar_type="time_5s").row(0, named=True)
    assert first["unknown_volume"] == first["max_trade_size"] == 44


def test_five_minutes_of_esm4_in_regular_hours(real_data: Path) -> None:
    trades = read(real_data / "dbn" / "glbx-mdp3-20240610.trades.dbn.zst", "ESM4", ESM4)
    rows, bar = whole(trades, ESM4)
    assert (bar["volume"], bar["bid_volume"], bar["ask_volume"]) == (12_191, 6_536, 5_655)
    assert len(rows) == 12
    assert bar["poc_price"] == 5351.00


ESU4_LADDER = {5528.50: (3, 0), 5528.75: (19, 26), 5529.00: (55, 68), 5529.25: (34, 45), 5529.50: (0, 3)}


def test_four_minutes_of_esu4_reproduce_the_published_footprint(real_data: Path) -> None:
    trades = read(real_data / "dbn" / "glbx-mdp3-20240701T2358.trades.dbn.zst", "ESU4", ESU4)
    rows, bar = whole(trades, ESU4)
    assert {
        p: (b, a) for p, b, a in rows.select("price", "bid_volume", "ask_volume").iter_rows()
    } == ESU4_LADDER
    assert (bar["trades"], bar["volume"], bar["ask_volume"], bar["bid_volume"]) == (120, 253, 142, 111)
    assert (bar["delta"], bar["max_delta"], bar["min_delta"]) == (31, 49, 0)
    assert (bar["open"], bar["high"], bar["low"], bar["close"]) == (5528.75, 5529.50, 5528.50, 5529.25)
    assert (bar["poc_price"], bar["val_price"], bar["vah_price"]) == (5529.00, 5529.00, 5529.50)
    assert bar["vwap"] == pytest.approx(5529.033597, abs=5e-7)
    assert bar["vwap_std"] == pytest.approx(0.188235, abs=5e-7)


def test_the_minutes_of_esu4_reproduce_the_vendors_bars_and_the_published_deltas(real_data: Path) -> None:
    trades = read(real_data / "dbn" / "glbx-mdp3-20240701T2358.trades.dbn.zst", "ESU4", ESU4)
    _, bars = build(trades, ESU4)
    minutes = bars.filter(bar_type="time_1m")
    assert minutes.select("open", "high", "low", "close", "volume").rows() == [
        (5528.75, 5528.75, 5528.50, 5528.75, 18),
        (5528.50, 5528.75, 5528.50, 5528.75, 23),
        (5529.00, 5529.50, 5528.75, 5529.50, 175),
        (5529.25, 5529.50, 5529.25, 5529.25, 37),
    ]
    assert minutes["delta"].to_list() == [10, 1, 31, -11]
    assert minutes["max_delta"].to_list()[1:3] == [7, 38]
    assert (minutes["min_delta"][1], minutes["min_delta"][3]) == (-2, -11)
    assert minutes["cum_delta"].to_list() == [10, 11, 42, 31]
