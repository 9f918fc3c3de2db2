"""Random tables of levels that fit together: episodes, the approach around each, outcomes and the market."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from footprint_assets import calendar as cme
from footprint_assets.transforms.level_features import APPROACH, level_features
from footprint_assets.transforms.levels_signals import LevelTables, levels_signals
from footprint_assets_tests.transforms.wide_frames import BAR, instants, random_rows

EPISODES = "silver.future.market_by_price_10_level_episodes"
OUTCOMES = "silver.future.market_by_price_10_level_outcomes"
DAY = dt.date(2024, 6, 12)
AROUND = 3
"""Bars of the approach before and after each trigger bar."""


def episode_rows(
    level: str, episodes: int, seed: int, day: dt.date = DAY, symbol: str = "ESM4"
) -> pl.DataFrame:
    """So many episodes of one level."""
    rng = np.random.default_rng(seed)
    triggers = cme.et_ns(day, dt.time(10)) + BAR * np.sort(rng.choice(2000, episodes, replace=False))
    names = [f"{day}_{symbol}_{level}_{trigger}" for trigger in triggers]
    about = {"symbol": symbol, "session_date": day, "level_type": level}
    times = {
        "trigger_bar_ts": instants(triggers),
        "approach_start_ts": instants(triggers - BAR),
        "touch_event_ts": instants(triggers),
        "decision_ts": instants(triggers + BAR),
    }
    return random_rows(EPISODES, episodes, seed, about | {"episode_id": names, "touch_id": names} | times)


def approach_of(episodes: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The bars around each trigger bar."""
    offsets = np.arange(-AROUND, AROUND + 1)
    triggers = episodes["trigger_bar_ts"].to_physical().to_numpy()
    repeated = [name for name in episodes["episode_id"] for _ in offsets]
    rows = {
        "symbol": episodes["symbol"][0],
        "session_date": episodes["session_date"][0],
        "level_type": episodes["level_type"][0],
        "episode_id": repeated,
        "touch_id": repeated,
        "bars_to_trigger": [int(o) for _ in triggers for o in offsets],
        "bar_ts": instants((triggers[:, None] + BAR * offsets).ravel()),
    }
    return random_rows(APPROACH, len(repeated), seed, rows)


def level_tables(
    level: str, episodes: int, seed: int, day: dt.date = DAY, symbol: str = "ESM4"
) -> LevelTables:
    """The tables of one level with so many episodes."""
    rows = episode_rows(level, episodes, seed, day, symbol)
    same = rows.select("symbol", "session_date", "level_type", "episode_id", "touch_id", "trigger_bar_ts")
    end = instants(rows["trigger_bar_ts"].to_physical().to_numpy() + 90 * BAR)
    about = {name: same[name] for name in same.columns} | {"decision_ts": rows["decision_ts"]}
    return LevelTables(
        level,
        rows,
        level_features(approach_of(rows, seed + 1), level),
        random_rows(OUTCOMES, episodes, seed + 2, about | {"label_end_ts": end}),
    )


def market_of(levels: list[LevelTables], seed: int = 50) -> pl.DataFrame:
    """Rows of ``gold.future.market_features`` for the bars around all levels' trigger bars."""
    triggers = pl.concat([tables.episodes.select("symbol", "trigger_bar_ts") for tables in levels])
    around = [
        triggers.select(
            "symbol", bar_ts=pl.col("trigger_bar_ts") + pl.duration(seconds=5 * o, time_unit="ns")
        )
        for o in range(-AROUND, AROUND + 1)
    ]
    rows = pl.concat(around).unique().sort("bar_ts")
    return random_rows("gold.future.market_features", rows.height, seed, rows.to_dict())


def signals_of(day: dt.date, episodes: int, seed: int, symbol: str = "ESM4") -> pl.DataFrame:
    """Rows of ``gold.future.levels_signals`` of two levels, so many episodes each."""
    levels = [
        level_tables(level, episodes, seed + 7 * i, day, symbol)
        for i, level in enumerate(("OR_HIGH", "PM_LOW"))
    ]
    return levels_signals(levels, market_of(levels, seed))
