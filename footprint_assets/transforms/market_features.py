"""Everything known of the market at the end of a five-second bar, whatever the level: one wide row a bar."""

from __future__ import annotations

import polars as pl

from footprint_assets import contracts
from footprint_assets.transforms.grid import require_same_bars

TABLE = "gold.future.market_features"
BAR_LENGTH = pl.duration(seconds=5, time_unit="ns")
FOOTPRINT_PREFIXES = {"fp1m_": "time_1m", "fp5m_": "time_5m"}
"""Footprint bars whose last complete one a row shows, by the prefix of its columns."""
_ROW = ["symbol", "bar_ts"]


def market_features(
    bars: pl.DataFrame,
    bars_ext: pl.DataFrame,
    rolling: pl.DataFrame,
    context: pl.DataFrame,
    footprint_bars: pl.DataFrame,
) -> pl.DataFrame:
    """Put the features of the market tables side by side, as known at the end of each bar.

    Args:
        bars: Rows of ``silver.future.market_by_price_10_bar5s`` of one contract and trade date.
        bars_ext: The same bars of ``silver.future.market_by_price_10_bar5s_ext``.
        rolling: The same bars of ``silver.future.market_rolling_5s``.
        context: The same bars of ``silver.future.session_context_5s``.
        footprint_bars: Rows of ``silver.future.footprint_bar`` of the contract and trade date, every bar type.

    Returns:
        Rows of ``gold.future.market_features``: one a bar, ``fp1m_``/``fp5m_`` null before the first complete bar.

    Raises:
        GridsDiffer: A table has other bars than ``bars``.
    """
    require_same_bars(TABLE, bars, bars_ext=bars_ext, rolling=rolling, context=context)
    grid = bars.select(_ROW)
    columns = contracts.load(TABLE).columns
    wanted = set(columns)
    parts = [bars, bars_ext, rolling, context]
    parts += [
        last_complete(grid, footprint_bars, bar_type, prefix)
        for prefix, bar_type in FOOTPRINT_PREFIXES.items()
    ]
    known = {name: part[name] for part in parts for name in part.columns if name in wanted}
    return pl.DataFrame([known[name] for name in columns])


def last_complete(
    grid: pl.DataFrame, footprint_bars: pl.DataFrame, bar_type: str, prefix: str
) -> pl.DataFrame:
    """The last complete footprint bar of one type that had ended by the end of each row's bar.

    Args:
        grid: ``symbol``, ``bar_ts`` of five-second bars in time order.
        footprint_bars: Rows of ``silver.future.footprint_bar``.
        bar_type: Type of the footprint bars, such as ``time_1m``.
        prefix: Prefix of the columns.

    Returns:
        One row a row of ``grid``: every column of the footprint bar under the prefix, null before the first.
    """
    ended = (
        footprint_bars.filter((pl.col("bar_type") == bar_type) & pl.col("is_complete"))
        .sort("symbol", "bar_end_ts")
        .with_columns(pl.col("bar_end_ts").alias("known_ts"))
        .rename(lambda name: name if name in ("symbol", "known_ts") else f"{prefix}{name}")
    )
    return (
        grid.with_columns((pl.col("bar_ts") + BAR_LENGTH).alias("known_ts"))
        .join_asof(ended, on="known_ts", by="symbol", strategy="backward", check_sortedness=False)
        .drop("symbol", "bar_ts", "known_ts")
    )
