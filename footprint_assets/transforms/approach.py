"""The approach table of a level: one row per attempt and five-second bar, from the lookback through the forward window.

A row of ``bar_ts`` reads what was known at ``bar_ts`` + 5 s, given the level. The level itself is frozen when the approach
begins, so rows before that see past price from a level known at the decision; rows after the trigger are for display.
Gold takes the trigger bars only. The definitions are in docs/approach.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.level_book import Rows
from footprint_assets.kernels.level_liquidity import Shocks
from footprint_assets.transforms.approach_path import (
    PATH_INPUTS,
    derivative_columns,
    minute_atr,
    path_columns,
    setup_columns,
)
from footprint_assets.transforms.approach_rows import (
    ApproachInputs,
    ApproachRules,
    Attempt,
    Columns,
    Day,
    MovingLevels,
)
from footprint_assets.transforms.bar5s_ext import PRIOR_COLUMNS as ORDER_FLOW_COLUMNS
from footprint_assets.transforms.bar5s_ext import prior_fits
from footprint_assets.transforms.confluence import (
    PriorProfiles,
    confluence_columns,
    other_levels,
    profile_columns,
)
from footprint_assets.transforms.grid import floats
from footprint_assets.transforms.level_book import (
    heavy_fills,
    level_book,
    rows_asked,
)
from footprint_assets.transforms.level_history import TRENDS, Ending, LevelFacts, touch_columns
from footprint_assets.transforms.level_tape import Aggressors, tape_columns
from footprint_assets.transforms.level_values import level_polarity
from footprint_assets.transforms.running import Floats
from footprint_assets.transforms.session_summary import MINUTE_NS
from footprint_assets.transforms.windows import TIMESTAMP

TABLE = "silver.future.market_by_price_10_level_approach"
OPTION_FAMILY = "bar5s_lvlgex_"
"""Columns of option positions, null until there are tables of options."""
INPUT_COLUMNS = ("bar_ts", "symbol", *PATH_INPUTS)
"""What the approach reads of ``silver.future.market_by_price_10_bar5s``."""
PRIOR_COLUMNS = (
    *ORDER_FLOW_COLUMNS,
    *("source_symbol", "source_session_date", "profile_tick", "rth_poc_price", "rth_profile_tick"),
    *(f"rth_profile_{side}_volume" for side in ("bid", "ask", "unknown")),
)
"""What the approach reads of ``silver.future.prior_sessions``."""
OWN_FLAGS = {
    "is_pm_high": "PM_HIGH",
    "is_pm_low": "PM_LOW",
    "is_or_high": "OR_HIGH",
    "is_or_low": "OR_LOW",
    "is_sma_90": "SMA_90",
}


@dataclass(frozen=True)
class Market:
    """What the approaches to all levels of one contract and trade date have in common.

    Args:
        day: The bars and the trades.
        session_levels: Rows of ``silver.future.session_levels``.
        rules: The settings.
        atr: Average true range known at the end of each bar; float64[bars], points.
        aggressors: Who made the trades.
        moving: The levels that move.
        earlier: What earlier sessions say about prices.
        price5s: Rows of ``silver.future.market_by_price_10_price5s``, frame by frame; read once a level.
        shocks: Heavy fills of the book.
    """

    day: Day
    session_levels: pl.DataFrame
    rules: ApproachRules
    atr: Floats
    aggressors: Aggressors
    moving: MovingLevels
    earlier: PriorProfiles
    price5s: Iterable[pl.DataFrame]
    shocks: Shocks

    @classmethod
    def of(cls, given: ApproachInputs, session: Session, tick_size: float, rules: ApproachRules) -> Market:
        """Read the tables of a contract and trade date.

        Args:
            given: The tables.
            session: The trade date's session.
            tick_size: Minimum price increment, points.
            rules: The settings.

        Raises:
            GridsDiffer: If ``bars`` and ``book`` are not of the same bars.
        """
        day = Day.of(given, session, tick_size)
        minutes = given.ohlcv.filter(pl.col("interval") == "1m").sort("bar_ts")
        minute_end_ns = np.array(minutes["bar_ts"].to_physical(), np.int64) + MINUTE_NS
        large_order = prior_fits(given.prior_sessions, rules.order_flow).large_order
        return cls(
            day,
            given.session_levels,
            rules,
            minute_atr(day, minute_end_ns, floats(minutes["atr_14"])),
            Aggressors.of(given.trades_clean, large_order),
            MovingLevels.of(day, given.level_series),
            PriorProfiles.of(day, given.prior_sessions, rules.footprint.ticks_per_row),
            given.price5s,
            heavy_fills(given.shocks),
        )


def approach(market: Market, episodes: pl.DataFrame, outcomes: pl.DataFrame, level: str) -> pl.DataFrame:
    """The approach rows of every attempt at one level in one trade date.

    Args:
        market: The market of the contract and trade date.
        episodes: Rows of ``silver.future.market_by_price_10_{level}_episodes``.
        outcomes: Rows of ``silver.future.market_by_price_10_{level}_outcomes``.
        level: Name of the level, such as ``PM_HIGH``.

    Returns:
        Rows of ``silver.future.market_by_price_10_{level}_approach``, sorted by episode and bar; none without an episode.

    Raises:
        LevelBookRefused: If ``price5s`` has other bars or a hole between two ticks, or a level is off the tick grid.
        StaleEpisodes: If the episodes were not made from these bars, or the outcomes not from them.
    """
    schema = contracts.load(TABLE).polars_schema
    if episodes.is_empty():
        return schema.to_frame()
    day = market.day
    attempts = day.attempts(episodes)
    history = list(zip(attempts, Ending.of(episodes, outcomes, day.session), strict=True))
    polarity = level_polarity(market.session_levels, level)
    asked = _book_rows(attempts, len(day.start_ns), day.tick_size)
    liquidity = market.rules.level_liquidity
    book_half = level_book(market.price5s, day.start_ns, asked, market.shocks, day.tick_size, liquidity)
    found = list(_path_half(market, history, level, polarity, book_half))
    path_half = {name: np.concatenate([columns[name] for columns in found]) for name in found[0]}
    measured = pl.DataFrame(path_half | book_half).select(pl.all().fill_nan(None))
    table = pl.concat(
        [_identity(day, attempts, episodes, level, polarity), measured], how="horizontal"
    ).with_columns(pl.lit(None).alias(name) for name in schema if name.startswith(OPTION_FAMILY))
    return table.select(schema.names()).cast(schema)


def _book_rows(attempts: Sequence[Attempt], bars: int, tick_size: float) -> Rows:
    """The rows the book half is asked for."""
    heights = [attempt.height for attempt in attempts]
    return rows_asked(
        np.concatenate([np.arange(a.first, a.end) for a in attempts]),
        np.repeat([a.price for a in attempts], heights),
        np.repeat([a.direction for a in attempts], heights),
        bars,
        tick_size,
    )


def _path_half(
    market: Market,
    history: Sequence[tuple[Attempt, Ending]],
    level: str,
    polarity: int,
    book_half: Columns,
) -> Iterator[Columns]:
    """The computed columns of every attempt but those of the book half."""
    day, rules = market.day, market.rules
    others = other_levels(day, market.session_levels, market.moving, level, rules.approach.confluence_weights)
    facts = LevelFacts.of(day, market.session_levels, market.moving, level)
    at_first: dict[str, float] = {}
    offset = 0
    for nth, (attempt, _) in enumerate(history):
        book = {name: values[offset : offset + attempt.height] for name, values in book_half.items()}
        offset += attempt.height
        columns = path_columns(day, attempt, polarity, market.atr, rules.episodes.touch_ticks) | tape_columns(
            day, attempt, market.aggressors, rules.approach
        )
        now = columns | book
        if not nth:
            at_first = {name: _at_trigger(now[name], attempt) for name in TRENDS.values()}
        yield (
            columns
            | derivative_columns(day, attempt, book)
            | setup_columns(day, attempt, book)
            | touch_columns(day, attempt, history[:nth], facts, now, at_first)
            | confluence_columns(day, attempt, others, rules.approach)
            | profile_columns(day, attempt, market.earlier, rules.footprint, rules.profile)
        )


def _at_trigger(values: Floats, attempt: Attempt) -> float:
    return float(values[attempt.trigger - attempt.first])


def _identity(
    day: Day, attempts: Sequence[Attempt], episodes: pl.DataFrame, level: str, polarity: int
) -> pl.DataFrame:
    """Names, positions and constants of every row."""
    place = np.concatenate([np.arange(a.first, a.end) for a in attempts])
    to_trigger = np.concatenate(
        [(day.start_ns[a.rows] - day.start_ns[a.trigger]) // BAR_NS for a in attempts]
    )
    index = np.concatenate([np.arange(a.height) for a in attempts])
    episode = episodes.select("symbol", "episode_id", "touch_id", "level_price", "approach_direction")[
        np.repeat(np.arange(len(attempts)), [a.height for a in attempts])
    ]
    return episode.with_columns(
        pl.Series("bar_ts", day.start_ns[place]).cast(TIMESTAMP),
        pl.Series("bar_index_in_episode", index),
        pl.Series("bar_index_in_touch", index),
        pl.Series("bars_to_trigger", to_trigger),
        *(pl.Series(f"is_pre_{event}", to_trigger < 0) for event in ("trigger", "touch")),
        pl.Series("is_trigger_bar", to_trigger == 0),
        *(pl.Series(f"is_post_{event}", to_trigger > 0) for event in ("trigger", "touch")),
        pl.lit(level).alias("level_type"),
        pl.lit(polarity).alias("bar5s_approach_level_polarity"),
        *(pl.lit(int(level == name)).alias(f"bar5s_approach_{flag}") for flag, name in OWN_FLAGS.items()),
    )
