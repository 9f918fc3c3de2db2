"""Earlier sessions for tests: random days summarised the way the graph summarises them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import BarSettings, FootprintSettings
from footprint_assets.transforms.footprint import footprint_price
from footprint_assets.transforms.footprint_levels import LevelInputs
from footprint_assets.transforms.prior_sessions import prior_sessions
from footprint_assets.transforms.session_summary import session_summary
from footprint_assets_tests.transforms.trade_frames import random_day

PRIOR = contracts.load("silver.future.prior_sessions").polars_schema
SERIES = contracts.load("silver.future.level_series_5s").polars_schema
BARS = BarSettings(
    ohlcv_seconds=(60,), time_seconds=(300,), range_ticks=(), volume_contracts=(1000,), tick_trades=()
)


NO_LEVELS = LevelInputs(
    contracts.load("silver.future.session_levels").polars_schema.to_frame(),
    SERIES.to_frame(),
    PRIOR.to_frame(),
)
"""A date nothing is known about but its trades."""


def days_before(day: dt.date, count: int) -> tuple[dt.date, ...]:
    """The ``count`` sessions before a date, the oldest first."""
    return tuple(cme.previous_session(day, n) for n in range(count, 0, -1))


def random_history(day: dt.date, count: int, trades: int = 300) -> dict[dt.date, pl.DataFrame]:
    """Random trades of the ``count`` sessions before a date."""
    return {
        earlier: random_day(cme.session(earlier), seed=earlier.toordinal(), trades=trades)
        for earlier in days_before(day, count)
    }


def summary_of(
    trades: pl.DataFrame, session: cme.Session, rules: FootprintSettings | None = None
) -> pl.DataFrame:
    """The row of ``session_summary`` of a day without a book."""
    rules = rules or FootprintSettings()
    nothing = pl.DataFrame()
    statistics = contracts.load("bronze.future.statistics").polars_schema.to_frame()
    rows = footprint_price(trades, None, session, BARS, rules, 0.25)
    return session_summary(trades, nothing, nothing, rows, statistics, session, rules, 0.25)


def prior_of(history: Mapping[dt.date, pl.DataFrame], day: dt.date, symbol: str = "ESM4") -> pl.DataFrame:
    """What a date sees of the days given: rows of ``prior_sessions``."""
    if not history:
        return PRIOR.to_frame()
    summaries = pl.concat(summary_of(trades, cme.session(at)) for at, trades in history.items())
    return prior_sessions(summaries, symbol, "ES", cme.session(day), days_before(day, 20))
