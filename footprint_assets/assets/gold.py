"""Gold: tables a researcher opens first."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from footprint_assets.lake_asset import lake_asset, lake_stream_asset
from footprint_assets.tables import Batch, Scope, TableInput
from footprint_assets.transforms.first_hours import FIRST_HOURS_RULE, first_three_hours
from footprint_assets.transforms.footprint_bars import footprint_bars as flat_bars


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
        session_levels = levels.frame(symbol)
        with book.open(symbol) as partition:
            kept = 0
            for batch in partition.frames():
                frame = first_three_hours(batch, session_levels, scope.session)
                kept += frame.height
                yield Batch(symbol, frame)
            rows = partition.manifest.rows
        yield Batch(symbol, rows_in=rows, filtered={FIRST_HOURS_RULE: rows - kept})


@lake_asset(
    "gold.future.footprint_bars",
    inputs={
        "footprint_bar": "silver.future.footprint_bar",
        "trades_clean": "silver.future.trades_clean",
        "session_levels": "silver.future.session_levels",
    },
    config=lambda settings: (settings.footprint,),
)
def footprint_bars(
    scope: Scope, footprint_bar: pl.DataFrame, trades_clean: pl.DataFrame, session_levels: pl.DataFrame
) -> pl.DataFrame:
    """One flat row a complete bar: bar, profile, VWAP, Bollinger, RSI and the distance to every known level.

    Grain: one row a bar. Inputs: footprint bars, clean trades (developing profile and VWAP), the session's levels.
    """
    return flat_bars(footprint_bar, trades_clean, session_levels, scope.session, scope.settings.footprint)


TABLES = (market_by_price_10_first3h, footprint_bars)
