"""Gold: tables a researcher opens first."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from footprint_assets import contracts
from footprint_assets.assets.levels import EPISODES, FEATURES, OUTCOMES, keys_of
from footprint_assets.assets.market import EXT
from footprint_assets.assets.sessions import BARS
from footprint_assets.assets.silver import PRINTS, TRADES_CLEAN
from footprint_assets.lake import Span
from footprint_assets.lake_asset import lake_asset, lake_stream_asset
from footprint_assets.tables import Batch, LakeTable, Scope, TableInput
from footprint_assets.transforms.bar5s_filtered import TABLE as FILTERED
from footprint_assets.transforms.bar5s_filtered import WINDOW_RULE
from footprint_assets.transforms.bar5s_filtered import bar5s_filtered as bars_of_window
from footprint_assets.transforms.first_hours import FIRST_HOURS_RULE, first_hours_ns, first_three_hours
from footprint_assets.transforms.footprint_bars import footprint_bars as flat_bars
from footprint_assets.transforms.levels_signals import LevelTables
from footprint_assets.transforms.levels_signals import levels_signals as signals_of_levels
from footprint_assets.transforms.market_features import market_features as market_at_bar_end
from footprint_assets.transforms.setup_vectors import FIT_COLUMNS, TODAY_COLUMNS
from footprint_assets.transforms.setup_vectors import setup_vectors as vectors_of_signals
from footprint_assets.transforms.windows import TIMESTAMP

MARKET_FEATURES = "gold.future.market_features"
LEVELS_SIGNALS = "gold.future.levels_signals"


@lake_stream_asset(
    "gold.future.market_by_price_10_first3h",
    inputs={"book": "silver.future.market_by_price_10_clean", "levels": "silver.future.session_levels"},
)
def market_by_price_10_first3h(scope: Scope, book: TableInput, levels: TableInput) -> Iterator[Batch]:
    """The clean book of 09:30-12:30 ET with the pre-market and opening-range levels known at each row.

    Grain: one row a book record. Inputs: the clean book, the session's levels. Rows outside the window are filtered by
    rule. Empty on dates without a cash session.
    """
    for symbol in book.symbols():
        session_levels, kept = levels.frame(symbol), 0
        with book.open(symbol) as partition:
            for batch in partition.frames(span=Span("ts_event", *first_hours_ns(scope.session))):
                frame = first_three_hours(batch, session_levels, scope.session)
                kept += frame.height
                yield Batch(symbol, frame)
            rows = partition.manifest.rows
        yield Batch(symbol, rows_in=rows, filtered={FIRST_HOURS_RULE: rows - kept})


@lake_asset(
    "gold.future.footprint_bars",
    inputs={
        "footprint_bar": "silver.future.footprint_bar",
        **TRADES_CLEAN,
    },
    columns=PRINTS,
    config=lambda settings: (settings.footprint,),
)
def footprint_bars(scope: Scope, footprint_bar: pl.DataFrame, trades_clean: pl.DataFrame) -> pl.DataFrame:
    """One flat row a complete bar: bar, profile, VWAP, Bollinger, RSI and the distance to every known level.

    Grain: one row a bar. Inputs: footprint bars, clean trades (developing profile and VWAP).
    """
    return flat_bars(footprint_bar, trades_clean, scope.session, scope.settings.footprint)


@lake_stream_asset(FILTERED, inputs=BARS, config=lambda settings: (settings.gold,))
def market_by_price_10_bar5s_filtered(scope: Scope, bars: TableInput) -> Iterator[Batch]:
    """The five-second bars of the morning, without the bands no ladder of ten levels shows.

    Grain: one row a bar. Input: the five-second bars. Rows outside the window are filtered by rule.
    """
    for symbol in bars.symbols():
        found = bars.frame(symbol, contracts.load(FILTERED).columns)
        kept = bars_of_window(found, scope.session, scope.settings.gold)
        yield Batch(symbol, kept, rows_in=found.height, filtered={WINDOW_RULE: found.height - kept.height})


@lake_asset(
    MARKET_FEATURES,
    inputs={
        **BARS,
        **EXT,
        "rolling": "silver.future.market_rolling_5s",
        "session_context": "silver.future.session_context_5s",
        "footprint_bar": "silver.future.footprint_bar",
    },
)
def market_features(
    scope: Scope,  # noqa: ARG001 - every table is given its scope
    bars: pl.DataFrame,
    ext: pl.DataFrame,
    rolling: pl.DataFrame,
    session_context: pl.DataFrame,
    footprint_bar: pl.DataFrame,
) -> pl.DataFrame:
    """Every market feature side by side, as known at the end of each five-second bar.

    Grain: one row a bar. Inputs: bars, order flow, rolling measures, session context, and the last footprint bars of one
    and of five minutes that were complete by then.
    """
    return market_at_bar_end(bars, ext, rolling, session_context, footprint_bar)


def signal_tables(pipelines: tuple[str, ...]) -> tuple[LakeTable, ...]:
    """The tables over the episodes of every level.

    Args:
        pipelines: Names of the levels, such as ``PM_HIGH``.
    """
    stages = {"episodes": EPISODES, "features": FEATURES, "outcomes": OUTCOMES}
    of_levels = {
        f"{level.lower()}_{stage}": keys_of(level)[shared]
        for level in pipelines
        for stage, shared in stages.items()
    }

    @lake_stream_asset(LEVELS_SIGNALS, inputs={"market": MARKET_FEATURES, **of_levels})
    def levels_signals(scope: Scope, market: TableInput, **tables: TableInput) -> Iterator[Batch]:  # noqa: ARG001 - every table is given its scope
        """Every attempt at every level with its features, the market's, and its labels: what a model is trained on.

        Grain: one row an attempt. Inputs: the tables of each level, the market features of the same bar.
        """
        for symbol in market.symbols():
            levels = [
                LevelTables(level, *(tables[f"{level.lower()}_{stage}"].frame(symbol) for stage in stages))
                for level in pipelines
            ]
            triggers = pl.concat(
                [pl.Series(dtype=TIMESTAMP), *(of.episodes["trigger_bar_ts"] for of in levels)]
            )
            bars = market.frame(symbol, where=pl.col("bar_ts").is_in(triggers.unique().implode()))
            yield Batch(symbol, signals_of_levels(levels, bars), is_last=True)

    return (levels_signals,)


@lake_stream_asset(
    "gold.future.setup_vectors",
    inputs={"signals": LEVELS_SIGNALS},
    lookback={"prior_signals": LEVELS_SIGNALS},
    config=lambda settings: (settings.vectors, settings.history),
)
def setup_vectors(scope: Scope, signals: TableInput, prior_signals: TableInput) -> Iterator[Batch]:
    """Every attempt as a vector for nearest neighbours, scaled by the attempts of earlier sessions only.

    Grain: one row an attempt. Inputs: today's signals, and those of the sessions before, whose span the manifest notes.
    """
    earlier = prior_signals.frame(columns=FIT_COLUMNS)
    for symbol in signals.symbols():
        made = vectors_of_signals(
            signals.frame(symbol, TODAY_COLUMNS),
            earlier,
            scope.of_contract(symbol).root,
            scope.trade_date,
            scope.settings.vectors,
        )
        yield Batch(symbol, made.frame, notes=made.notes())


def tables_with(pipelines: tuple[str, ...]) -> tuple[LakeTable, ...]:
    """The gold tables there are with these levels, but for those each level has of its own."""
    return (
        market_by_price_10_first3h,
        footprint_bars,
        market_by_price_10_bar5s_filtered,
        market_features,
        *signal_tables(pipelines),
        setup_vectors,
    )
