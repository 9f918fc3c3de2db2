"""The session among its sessions: what is remembered of a trade date, what earlier ones say, levels and profiles."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from footprint_assets.assets.silver import PRINTS, TRADES_CLEAN
from footprint_assets.lake_asset import lake_asset, lake_stream_asset
from footprint_assets.settings import Roots
from footprint_assets.tables import Batch, Scope, TableInput, sessions_before
from footprint_assets.transforms.dwell import BBO_COLUMNS
from footprint_assets.transforms.footprint import footprint_bar as bars_with_levels
from footprint_assets.transforms.footprint_levels import SERIES_COLUMNS, LevelInputs
from footprint_assets.transforms.level_series import level_series_5s as dynamic_levels
from footprint_assets.transforms.levels import session_levels as static_levels
from footprint_assets.transforms.prior_sessions import prior_sessions as earlier_sessions
from footprint_assets.transforms.profile import volume_profile_price as profile_rows
from footprint_assets.transforms.profile_session import volume_profile_session as profile_summary
from footprint_assets.transforms.session_summary import BAR_COLUMNS, BOOK_COLUMNS
from footprint_assets.transforms.session_summary import session_summary as facts_of_session
from footprint_assets.transforms.volume_profiles import volume_profiles as time_of_day

BARS = {"bars": "silver.future.market_by_price_10_bar5s"}
BOOK = {"book": "silver.future.market_by_price_10_bar5s_book"}
BBO = {"bbo": "silver.future.bbo"}
STATISTICS = {"statistics": "bronze.future.statistics"}
PRIOR_SESSIONS = {"prior_sessions": "silver.future.prior_sessions"}
SESSION_LEVELS = {"session_levels": "silver.future.session_levels"}
LEVEL_SERIES = {"level_series_5s": "silver.future.level_series_5s"}
GRID = ("bar_ts", "symbol")
"""The bars themselves."""


@lake_asset(
    "silver.future.session_summary",
    inputs={**TRADES_CLEAN, **BARS, **BOOK, "footprint_price": "silver.future.footprint_price", **STATISTICS},
    columns={
        "bars": BAR_COLUMNS,
        "book": ("bar_ts", *BOOK_COLUMNS),
        "footprint_price": ("bar_type", "bar_id", "delta", "total_volume"),
    },
    config=lambda settings: (settings.footprint, Roots(settings.roots)),
)
def session_summary(
    scope: Scope,
    trades_clean: pl.DataFrame,
    bars: pl.DataFrame,
    book: pl.DataFrame,
    footprint_price: pl.DataFrame,
    statistics: pl.DataFrame,
) -> pl.DataFrame:
    """The facts of a trade date that later ones are compared with: prices, profiles, habits, fitted shapes.

    Grain: one row a contract. Inputs: clean trades, five-second bars and their book measures, footprints, statistics.
    """
    return facts_of_session(
        trades_clean,
        bars,
        book,
        footprint_price,
        statistics,
        scope.session,
        scope.settings.footprint,
        scope.tick_size,
    )


@lake_stream_asset(
    "silver.future.prior_sessions",
    inputs={"front_month": "bronze.future.front_month"},
    lookback={"summaries": "silver.future.session_summary"},
    config=lambda settings: (settings.history,),
)
def prior_sessions(scope: Scope, front_month: TableInput, summaries: TableInput) -> Iterator[Batch]:
    """What earlier sessions of the root left behind: the one table that every look-back of the market reads.

    Grain: one row an earlier session. Inputs: the front months; the summaries of the sessions before, as far as they
    are held. Prices of another expiry are there too, under their own ``source_symbol``: they do not compare.
    """
    earlier = summaries.frame()
    before = sessions_before(scope.trade_date, scope.settings.history.sessions)
    for contract in front_month.frame().filter("is_front")["contract"].sort():
        root = scope.of_contract(contract).root
        yield Batch(contract, earlier_sessions(earlier, contract, root, scope.session, before))


@lake_asset(
    "silver.future.volume_profiles", inputs=PRIOR_SESSIONS, config=lambda settings: (settings.history,)
)
def volume_profiles(scope: Scope, prior_sessions: pl.DataFrame) -> pl.DataFrame:
    """What is usual at a time of day: mean and deviation of volume, flow and records over the last sessions.

    Grain: one row a five-minute bucket. Input: the prior sessions.
    """
    return time_of_day(prior_sessions, scope.symbol, scope.session, scope.settings.history)


@lake_asset(
    "silver.future.session_levels",
    inputs={**TRADES_CLEAN, **PRIOR_SESSIONS},
    columns=PRINTS,
    config=lambda settings: (settings.levels, settings.footprint, settings.profile, Roots(settings.roots)),
)
def session_levels(scope: Scope, trades_clean: pl.DataFrame, prior_sessions: pl.DataFrame) -> pl.DataFrame:
    """The static levels of the trade date: what every price level is, and from when on it is known.

    Grain: one row a level. Inputs: clean trades; the prior sessions of the same contract only. A level that does not
    exist (no cash session, no history) has no row.
    """
    settings = scope.settings
    return static_levels(
        trades_clean,
        scope.session,
        settings.levels,
        prior_sessions,
        scope.tick_size,
        settings.footprint,
        settings.profile,
    )


@lake_asset(
    "silver.future.level_series_5s",
    inputs={**TRADES_CLEAN, **BARS, **PRIOR_SESSIONS},
    columns={**PRINTS, "bars": GRID},
    config=lambda settings: (settings.footprint, Roots(settings.roots)),
)
def level_series_5s(
    scope: Scope, trades_clean: pl.DataFrame, bars: pl.DataFrame, prior_sessions: pl.DataFrame
) -> pl.DataFrame:
    """The dynamic levels at every bar end: moving averages, VWAPs and bands, the developing profile, running extremes.

    Grain: one row a bar and level; none while the level is not known. Inputs: clean trades, the bars' grid, the prior
    sessions of the same contract.
    """
    return dynamic_levels(
        trades_clean, bars, prior_sessions, scope.session, scope.settings.footprint, scope.tick_size
    )


@lake_asset(
    "silver.future.volume_profile_price",
    inputs={**TRADES_CLEAN, **BBO, **PRIOR_SESSIONS},
    columns={**PRINTS, "bbo": BBO_COLUMNS},
    config=lambda settings: (settings.footprint, settings.profile),
)
def volume_profile_price(
    scope: Scope, trades_clean: pl.DataFrame, bbo: pl.DataFrame, prior_sessions: pl.DataFrame
) -> pl.DataFrame:
    """Volume at price of the regular, the overnight and the full session, of the week and of several sessions.

    Grain: one row a profile and price. Inputs: clean trades, the best bid and offer for the time spent at a price, the
    prior sessions of the same contract.
    """
    settings = scope.settings
    return profile_rows(
        trades_clean, bbo, prior_sessions, scope.session, settings.footprint, settings.profile
    )


@lake_asset(
    "silver.future.volume_profile_session",
    inputs={
        "volume_profile_price": "silver.future.volume_profile_price",
        **TRADES_CLEAN,
        **STATISTICS,
        **PRIOR_SESSIONS,
    },
    columns=PRINTS,
    config=lambda settings: (settings.footprint, settings.profile, settings.levels),
)
def volume_profile_session(
    scope: Scope,
    volume_profile_price: pl.DataFrame,
    trades_clean: pl.DataFrame,
    statistics: pl.DataFrame,
    prior_sessions: pl.DataFrame,
) -> pl.DataFrame:
    """The summary of every profile: POC, value area, VWAP, half hours, initial balance, shape, opening and day type.

    Grain: one row a profile. Inputs: the profile's rows, clean trades, the exchange's statistics, the prior sessions.
    """
    settings = scope.settings
    return profile_summary(
        volume_profile_price,
        trades_clean,
        statistics,
        prior_sessions,
        scope.session,
        settings.footprint,
        settings.profile,
        settings.levels,
    )


@lake_asset(
    "silver.future.footprint_bar",
    inputs={**TRADES_CLEAN, **SESSION_LEVELS, **LEVEL_SERIES, **PRIOR_SESSIONS},
    columns={**PRINTS, "level_series_5s": SERIES_COLUMNS},
    config=lambda settings: (settings.bars, settings.footprint, Roots(settings.roots)),
)
def footprint_bar(
    scope: Scope,
    trades_clean: pl.DataFrame,
    session_levels: pl.DataFrame,
    level_series_5s: pl.DataFrame,
    prior_sessions: pl.DataFrame,
) -> pl.DataFrame:
    """The summary of every footprint bar: delta and its extremes, stacks, VWAP, indicators, where the close stands.

    Grain: one row a bar. Inputs: clean trades, the levels, the prior sessions.
    """
    settings = scope.settings
    levels = LevelInputs(session_levels, level_series_5s, prior_sessions)
    return bars_with_levels(
        trades_clean, levels, scope.session, settings.bars, settings.footprint, scope.tick_size
    )


TABLES = (
    session_summary,
    prior_sessions,
    volume_profiles,
    session_levels,
    level_series_5s,
    volume_profile_price,
    volume_profile_session,
    footprint_bar,
)
