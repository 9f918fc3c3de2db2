"""The tables of one price level: its episodes, the approach to it, what came of it, and the features of both.

Every level of ``LevelSettings.pipelines`` has them; they share their contracts and their code.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from footprint_assets.assets.market import OHLCV, SHOCKS
from footprint_assets.assets.sessions import BARS, BOOK, LEVEL_SERIES, PRIOR_SESSIONS, SESSION_LEVELS
from footprint_assets.assets.silver import TRADES_CLEAN
from footprint_assets.contracts import level_key
from footprint_assets.lake_asset import lake_asset
from footprint_assets.settings import Roots
from footprint_assets.tables import LakeTable, Scope
from footprint_assets.transforms.approach import INPUT_COLUMNS as BARS_OF_APPROACH
from footprint_assets.transforms.approach import PRIOR_COLUMNS, Market
from footprint_assets.transforms.approach import approach as approach_rows
from footprint_assets.transforms.approach_rows import (
    BOOK_COLUMNS,
    EPISODE_COLUMNS,
    MINUTE_COLUMNS,
    OUTCOME_COLUMNS,
    SERIES_COLUMNS,
    TRADE_COLUMNS,
    ApproachInputs,
    ApproachRules,
)
from footprint_assets.transforms.episodes import INPUT_COLUMNS as BARS_OF_EPISODES
from footprint_assets.transforms.episodes import SERIES_COLUMNS as SERIES_OF_EPISODES
from footprint_assets.transforms.episodes import TRADE_COLUMNS as TRADES_OF_EPISODES
from footprint_assets.transforms.episodes import episodes as attempts_at_level
from footprint_assets.transforms.level_book import INPUT_COLUMNS as PRICE5S_OF_APPROACH
from footprint_assets.transforms.level_book import SHOCK_COLUMNS
from footprint_assets.transforms.level_features import level_features as features_at_decision
from footprint_assets.transforms.outcomes import INPUT_COLUMNS as BARS_OF_OUTCOMES
from footprint_assets.transforms.outcomes import TRADE_COLUMNS as TRADES_OF_OUTCOMES
from footprint_assets.transforms.outcomes import outcomes as labels_of_attempts

PRICE5S = {"price5s": "silver.future.market_by_price_10_price5s"}
EPISODES = "silver.future.market_by_price_10_level_episodes"
APPROACH = "silver.future.market_by_price_10_level_approach"
OUTCOMES = "silver.future.market_by_price_10_level_outcomes"
FEATURES = "gold.future.level_features"


def keys_of(level: str) -> dict[str, str]:
    """Dataset keys of a level's tables, by the name of the contract they share with the other levels.

    Args:
        level: Name of the level, such as ``PM_HIGH``.

    Raises:
        LevelNameTaken: A level of this name would take another table's key.
    """
    return {shared: level_key(shared, level) for shared in (EPISODES, APPROACH, OUTCOMES, FEATURES)}


def level_tables(level: str) -> tuple[LakeTable, ...]:
    """The lake tables of one level, in an order in which each comes after its inputs.

    Args:
        level: Name of the level, such as ``PM_HIGH``; ``LEVEL`` gives those of the shared contracts, for the
            documentation.
    """
    keys = keys_of(level)

    @lake_asset(
        keys[EPISODES],
        inputs={**BARS, **TRADES_CLEAN, **SESSION_LEVELS, **LEVEL_SERIES},
        columns={
            "bars": BARS_OF_EPISODES,
            "trades_clean": TRADES_OF_EPISODES,
            "level_series_5s": SERIES_OF_EPISODES,
        },
        config=lambda settings: (settings.episodes, Roots(settings.roots)),
    )
    def episodes(
        scope: Scope,
        bars: pl.DataFrame,
        trades_clean: pl.DataFrame,
        session_levels: pl.DataFrame,
        level_series_5s: pl.DataFrame,
    ) -> pl.DataFrame:
        """The attempts at the level: from which side, when it was touched or crossed, what the level was worth.

        Grain: one row an attempt. Inputs: five-second bars, clean trades, the static and the dynamic levels.
        """
        return attempts_at_level(
            bars,
            trades_clean,
            session_levels,
            level_series_5s,
            level,
            scope.session,
            scope.tick_size,
            scope.settings.episodes,
        )

    @lake_asset(
        keys[OUTCOMES],
        inputs={"episodes": keys[EPISODES], **TRADES_CLEAN, **BARS, **OHLCV},
        columns={"bars": BARS_OF_OUTCOMES, "trades_clean": TRADES_OF_OUTCOMES, "ohlcv": MINUTE_COLUMNS},
        config=lambda settings: (settings.labels, Roots(settings.roots)),
        rows_of="episodes",
    )
    def outcomes(
        scope: Scope,
        episodes: pl.DataFrame,
        trades_clean: pl.DataFrame,
        bars: pl.DataFrame,
        ohlcv: pl.DataFrame,
    ) -> pl.DataFrame:
        """What came of every attempt: break, bounce or chop, when, how far, and whether it could be traded. Labels.

        Grain: one row an attempt. Inputs: the attempts, clean trades, five-second bars, one-minute bars for the range.
        """
        return labels_of_attempts(
            episodes,
            trades_clean,
            bars,
            ohlcv,
            scope.session,
            scope.tick_size,
            scope.settings.labels,
        )

    @lake_asset(
        keys[APPROACH],
        inputs={
            "episodes": keys[EPISODES],
            "outcomes": keys[OUTCOMES],
            **BARS,
            **BOOK,
            **PRICE5S,
            **SHOCKS,
            **TRADES_CLEAN,
            **SESSION_LEVELS,
            **LEVEL_SERIES,
            **PRIOR_SESSIONS,
            **OHLCV,
        },
        columns={
            "episodes": EPISODE_COLUMNS,
            "outcomes": OUTCOME_COLUMNS,
            "bars": BARS_OF_APPROACH,
            "book": ("bar_ts", *BOOK_COLUMNS),
            "price5s": PRICE5S_OF_APPROACH,
            "shocks": SHOCK_COLUMNS,
            "trades_clean": TRADE_COLUMNS,
            "level_series_5s": SERIES_COLUMNS,
            "prior_sessions": PRIOR_COLUMNS,
            "ohlcv": MINUTE_COLUMNS,
        },
        config=lambda settings: (
            settings.approach,
            settings.episodes,
            settings.order_flow,
            settings.footprint,
            settings.profile,
            settings.level_liquidity,
            Roots(settings.roots),
        ),
        rows_of="episodes",
        streamed=("price5s",),
    )
    def approach(
        scope: Scope,
        episodes: pl.DataFrame,
        outcomes: pl.DataFrame,
        bars: pl.DataFrame,
        book: pl.DataFrame,
        price5s: Iterable[pl.DataFrame],
        shocks: pl.DataFrame,
        trades_clean: pl.DataFrame,
        session_levels: pl.DataFrame,
        level_series_5s: pl.DataFrame,
        prior_sessions: pl.DataFrame,
        ohlcv: pl.DataFrame,
    ) -> pl.DataFrame:
        """How price came to the level and what stood there: path, book, flow and tape, history, other levels.

        Grain: one row an attempt and five-second bar, from the lookback to the end of the forward window. A row reads what
        was known at its bar's end; of the outcomes only those that had ended by then.
        """
        settings = scope.settings
        rules = ApproachRules(
            settings.approach,
            settings.episodes,
            settings.order_flow,
            settings.footprint,
            settings.profile,
            settings.level_liquidity,
        )
        given = ApproachInputs(
            bars, book, price5s, shocks, trades_clean, session_levels, level_series_5s, prior_sessions, ohlcv
        )
        market = Market.of(given, scope.session, scope.tick_size, rules)
        return approach_rows(market, episodes, outcomes, level)

    @lake_asset(keys[FEATURES], inputs={"approach": keys[APPROACH]}, rows_of="approach")
    def features(scope: Scope, approach: pl.DataFrame) -> pl.DataFrame:  # noqa: ARG001 - every table is given its scope
        """The features of every attempt at the moment of decision, under the level's name.

        Grain: one row an attempt. Input: the approach, its trigger bars.
        """
        return features_at_decision(approach, level)

    return (episodes, outcomes, approach, features)
