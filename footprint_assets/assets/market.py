"""The market on the five-second grid, in the light of earlier sessions: order flow, rolling measures, session context."""

from __future__ import annotations

import polars as pl

from footprint_assets.assets.sessions import BARS, BOOK, GRID, PRIOR_SESSIONS, SESSION_LEVELS
from footprint_assets.assets.silver import PRINTS, TRADES_CLEAN
from footprint_assets.lake_asset import lake_asset
from footprint_assets.settings import Roots
from footprint_assets.tables import Scope
from footprint_assets.transforms import bar5s_ext as order_flow
from footprint_assets.transforms import market_rolling as rolling
from footprint_assets.transforms.session_context import session_context_5s as context_of_bars

EXT = {"ext": "silver.future.market_by_price_10_bar5s_ext"}
SHOCKS = {"shocks": "silver.future.market_by_price_10_shocks"}
OHLCV = {"ohlcv": "silver.future.ohlcv"}


@lake_asset(
    "silver.future.market_by_price_10_bar5s_ext",
    inputs={**BARS, **BOOK, **TRADES_CLEAN, **PRIOR_SESSIONS},
    columns={
        "bars": order_flow.BAR_COLUMNS,
        "trades_clean": order_flow.TRADE_COLUMNS,
        "prior_sessions": order_flow.PRIOR_COLUMNS,
    },
    config=lambda settings: (settings.order_flow, Roots(settings.roots)),
)
def market_by_price_10_bar5s_ext(
    scope: Scope,
    bars: pl.DataFrame,
    book: pl.DataFrame,
    trades_clean: pl.DataFrame,
    prior_sessions: pl.DataFrame,
) -> pl.DataFrame:
    """Order flow of every five-second bar: imbalance to ten levels and integrated, adds, pulls and fills, sweeps, cost.

    Grain: one row a bar. Inputs: the bars and their book measures, clean trades, what the prior sessions were fitted to.
    """
    return order_flow.bar5s_ext(
        bars,
        book,
        trades_clean,
        prior_sessions,
        scope.session,
        scope.tick_size_nanos,
        scope.settings.order_flow,
    )


@lake_asset(
    "silver.future.market_rolling_5s",
    inputs={
        **BARS,
        **EXT,
        "volume_profiles": "silver.future.volume_profiles",
        **TRADES_CLEAN,
        **SHOCKS,
        **PRIOR_SESSIONS,
    },
    columns={
        "bars": rolling.BAR_COLUMNS,
        "ext": rolling.EXT_COLUMNS,
        "trades_clean": rolling.TRADE_COLUMNS,
        "prior_sessions": rolling.PRIOR_COLUMNS,
    },
)
def market_rolling_5s(
    scope: Scope,
    bars: pl.DataFrame,
    ext: pl.DataFrame,
    volume_profiles: pl.DataFrame,
    trades_clean: pl.DataFrame,
    shocks: pl.DataFrame,
    prior_sessions: pl.DataFrame,
) -> pl.DataFrame:
    """Rolling measures of every bar: derivatives, volatility, impact, VPIN, resiliency, relative volume.

    Grain: one row a bar. Inputs: the bars and their order flow, time-of-day profiles, clean trades, shocks, the prior
    sessions.
    """
    return rolling.market_rolling(
        bars, ext, volume_profiles, trades_clean, shocks, prior_sessions, scope.session
    )


@lake_asset(
    "silver.future.session_context_5s",
    inputs={
        **BARS,
        **TRADES_CLEAN,
        **SESSION_LEVELS,
        **PRIOR_SESSIONS,
        **OHLCV,
    },
    columns={**PRINTS, "bars": GRID},
    config=lambda settings: (settings.footprint, Roots(settings.roots)),
)
def session_context_5s(
    scope: Scope,
    bars: pl.DataFrame,
    trades_clean: pl.DataFrame,
    session_levels: pl.DataFrame,
    prior_sessions: pl.DataFrame,
    ohlcv: pl.DataFrame,
) -> pl.DataFrame:
    """The session around every bar: anchored VWAPs, the developing profile, the calendar, ranges.

    Grain: one row a bar. Inputs: the bars' grid, clean trades, the levels, the prior sessions, bars of trades.
    """
    return context_of_bars(
        trades_clean,
        bars,
        session_levels,
        prior_sessions,
        ohlcv,
        scope.session,
        scope.settings.footprint,
        scope.tick_size,
    )


TABLES = (market_by_price_10_bar5s_ext, market_rolling_5s, session_context_5s)
