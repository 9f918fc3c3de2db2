"""The market at the end of a bar: every feature once, no footprint bar before it has ended."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.transforms.grid import GridsDiffer
from footprint_assets.transforms.market_features import (
    FOOTPRINT_PREFIXES,
    TABLE,
    last_complete,
    market_features,
)
from footprint_assets_tests.transforms.wide_frames import BAR, SECOND, instants, random_rows

DAY = dt.date(2024, 6, 12)
START = cme.et_ns(DAY, dt.time(9, 30))
BARS = 400
SOURCES = {
    "bars": "silver.future.market_by_price_10_bar5s",
    "bars_ext": "silver.future.market_by_price_10_bar5s_ext",
    "rolling": "silver.future.market_rolling_5s",
    "context": "silver.future.session_context_5s",
}
MINUTE_BAR = {"time_1m": 60, "time_5m": 300, "time_30m": 1800}


def footprint_bars(seed: int = 9, seconds: int = BARS * 5) -> pl.DataFrame:
    """Footprint bars of three types; a third of the minutes had no trade and so no bar."""
    rng = np.random.default_rng(seed)
    frames = []
    for bar_type, length in MINUTE_BAR.items():
        starts = np.arange(START - length, START + seconds * SECOND, length * SECOND)
        starts = starts[rng.random(len(starts)) < 0.67]
        known = {
            "symbol": "ESM4",
            "session_date": DAY,
            "bar_type": bar_type,
            "bar_id": list(range(len(starts))),
            "bar_ts": instants(starts),
            "bar_end_ts": instants(starts + length * SECOND),
            "is_complete": True,
        }
        frames.append(random_rows("silver.future.footprint_bar", len(starts), seed, known))
    return pl.concat(frames)


def market(bars: int = BARS, start: int = START) -> dict[str, pl.DataFrame]:
    grid = {"bar_ts": instants(start + BAR * np.arange(bars)), "symbol": "ESM4"}
    made = {name: random_rows(key, bars, seed, grid) for seed, (name, key) in enumerate(SOURCES.items())}
    return made | {"footprint_bars": footprint_bars(seconds=bars * 5)}


MARKET = market()
TABLE_OF_MARKET = market_features(**MARKET)


def known_at(end_ns: int, seed: int | None = None) -> dict[str, pl.DataFrame]:
    """The market as recorded up to a bar end; with a seed, followed by another future."""
    ended = pl.col("bar_ts").to_physical() + BAR <= end_ns
    complete = pl.col("bar_end_ts").to_physical() <= end_ns
    begun = pl.col("bar_ts").to_physical() < end_ns
    footprint = MARKET["footprint_bars"]
    if seed is None:
        cut = {name: MARKET[name].filter(ended) for name in SOURCES}
        # The bar that is running when the record ends is there, incomplete.
        return cut | {"footprint_bars": footprint.filter(begun).with_columns(is_complete=complete)}
    shuffled = {
        name: pl.concat(
            [
                table.filter(ended),
                table.filter(~ended).select(
                    "bar_ts", "symbol", pl.exclude("bar_ts", "symbol").shuffle(seed=seed)
                ),
            ],
            how="diagonal",
        ).select(table.columns)
        for name, table in ((name, MARKET[name]) for name in SOURCES)
    }
    ids = ["symbol", "session_date", "bar_type", "bar_id", "bar_ts", "bar_end_ts", "is_complete"]
    later = footprint.filter(~complete).select(*ids, pl.exclude(ids).shuffle(seed=seed))
    return shuffled | {"footprint_bars": pl.concat([footprint.filter(complete), later])}


def test_a_row_is_a_bar_with_the_features_of_every_table():
    contracts.Validator(contracts.load(TABLE)).validate(TABLE_OF_MARKET)
    assert TABLE_OF_MARKET.height == BARS
    for name, key in SOURCES.items():
        taken = [c for c in contracts.load(key).columns_of_kind("feature") if c in TABLE_OF_MARKET.columns]
        assert TABLE_OF_MARKET.select(taken).equals(MARKET[name].select(taken))


def test_every_feature_of_the_sources_is_there_and_nothing_else():
    expected = [
        name
        for key in SOURCES.values()
        for name in contracts.load(key).columns_of_kind("feature")
        if "_p3_5_" not in name and "_p5_10_" not in name
    ]
    footprint = contracts.load("silver.future.footprint_bar").columns_of_kind("feature")
    expected += [f"{prefix}{name}" for prefix in FOOTPRINT_PREFIXES for name in footprint]
    assert contracts.load(TABLE).columns == ("bar_ts", "symbol", *expected)


@pytest.mark.parametrize(("prefix", "bar_type"), FOOTPRINT_PREFIXES.items())
def test_the_footprint_bar_is_the_one_a_search_through_all_bars_finds(prefix: str, bar_type: str):
    ends = MARKET["bars"]["bar_ts"].to_physical().to_numpy() + BAR
    bars = MARKET["footprint_bars"].filter(pl.col("bar_type") == bar_type).to_dicts()
    volumes = TABLE_OF_MARKET[f"{prefix}volume"].to_list()
    for end, volume in zip(instants(ends), volumes, strict=True):
        ended = [bar for bar in bars if bar["bar_end_ts"] <= end]
        expected = max(ended, key=lambda bar: bar["bar_end_ts"])["volume"] if ended else None
        assert volume == expected


def test_a_footprint_bar_is_known_at_the_instant_it_ends_and_not_a_nanosecond_earlier():
    grid = MARKET["bars"].select("bar_ts", "symbol")[:2]
    end = START + BAR
    for late, expected in ((0, [0, 0]), (1, [None, 0])):
        bar = MARKET["footprint_bars"].filter(pl.col("bar_type") == "time_1m")[:1]
        bar = bar.with_columns(bar_end_ts=instants([end + late]), bar_id=pl.lit(0, pl.Int64))
        assert last_complete(grid, bar, "time_1m", "fp1m_")["fp1m_bar_id"].to_list() == expected


def test_a_bar_that_never_completed_is_not_shown():
    bars = MARKET["footprint_bars"].with_columns(is_complete=pl.lit(value=False))
    shown = last_complete(MARKET["bars"].select("bar_ts", "symbol"), bars, "time_5m", "fp5m_")
    assert shown["fp5m_volume"].null_count() == BARS


def test_no_footprint_bar_shown_ended_after_the_row():
    grid = MARKET["bars"].select("bar_ts", "symbol")
    for prefix, bar_type in FOOTPRINT_PREFIXES.items():
        shown = last_complete(grid, MARKET["footprint_bars"], bar_type, prefix)
        ended = shown[f"{prefix}bar_end_ts"].to_physical()
        assert (ended <= grid["bar_ts"].to_physical() + BAR).all()


@pytest.mark.parametrize("cut", np.random.default_rng(5).choice(BARS, 50, replace=False))
def test_rows_do_not_change_when_the_record_ends_after_them(cut: int):
    end = START + BAR * int(cut + 1)
    assert market_features(**known_at(end)).equals(TABLE_OF_MARKET[: cut + 1])


@pytest.mark.parametrize("cut", [1, 7, 60, 61, 233, 399])
def test_rows_do_not_change_with_another_future(cut: int):
    end = START + BAR * int(cut + 1)
    table = market_features(**known_at(end, seed=cut))
    assert table[: cut + 1].equals(TABLE_OF_MARKET[: cut + 1])
    assert cut > 390 or not table.equals(TABLE_OF_MARKET)


@pytest.mark.parametrize("name", ["bars_ext", "rolling", "context"])
def test_tables_of_other_bars_are_refused(name: str):
    with pytest.raises(GridsDiffer, match=name):
        market_features(**(MARKET | {name: MARKET[name][1:]}))


def test_no_bars_give_no_rows():
    empty = {name: table.clear() for name, table in MARKET.items()}
    assert market_features(**empty).schema == contracts.load(TABLE).polars_schema
