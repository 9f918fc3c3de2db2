"""Everything known of the approach to one level when it is touched: one row an episode."""

from __future__ import annotations

import polars as pl

from footprint_assets import contracts
from footprint_assets.transforms.market_features import BAR_LENGTH

TEMPLATE = "gold.future.level_features"
APPROACH = "silver.future.market_by_price_10_level_approach"
METADATA = ("bar_ts", "symbol", "episode_id", "touch_id", "level_type", "level_price", "approach_direction")
"""What a row is, of the columns of the approach that are no features and say something at the trigger."""


def at_decision(approach: pl.DataFrame) -> pl.DataFrame:
    """The row of the trigger bar of each episode: what was known when the decision is due.

    Args:
        approach: Rows of ``silver.future.market_by_price_10_{level}_approach``.

    Returns:
        The rows with ``bars_to_trigger == 0`` in order of ``episode_id``, with ``decision_ts``, the end of the bar.
    """
    return (
        approach.filter(pl.col("bars_to_trigger") == 0)
        .with_columns((pl.col("bar_ts") + BAR_LENGTH).alias("decision_ts"))
        .sort("episode_id")
    )


def names_of(level: str) -> dict[str, str]:
    """The features of the approach, by their name in a table of one level.

    Args:
        level: Name of the level, such as ``PM_HIGH``.

    Returns:
        Name of the approach to name under the level, in physical order.
    """
    return {name: f"{level.lower()}_{name}" for name in contracts.load(TEMPLATE).columns_of_kind("feature")}


def level_features(approach: pl.DataFrame, level: str) -> pl.DataFrame:
    """The approach to one level at the decision, its features under the level's name.

    Args:
        approach: Rows of ``silver.future.market_by_price_10_{level}_approach`` of one contract and trade date.
        level: Name of the level, such as ``PM_HIGH``.

    Returns:
        Rows of ``gold.future.{level}_features``.
    """
    names = names_of(level)
    return at_decision(approach).select(*METADATA, "decision_ts", *names).rename(names)
