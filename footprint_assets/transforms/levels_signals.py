"""Every episode of every level with all that was known at its decision and all that came of it: for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from footprint_assets import contracts
from footprint_assets.errors import FootprintError
from footprint_assets.transforms.level_features import names_of

TABLE = "gold.future.levels_signals"


class EpisodeUnmatched(FootprintError):  # noqa: N818 - reads as the fact it states
    """An episode has no row in a table that has one for each."""


@dataclass(frozen=True)
class LevelTables:
    """The tables of one level, of one contract and trade date.

    Args:
        level: Name of the level, such as ``PM_HIGH``.
        episodes: Rows of ``silver.future.market_by_price_10_{level}_episodes``.
        features: Rows of ``gold.future.{level}_features``.
        outcomes: Rows of ``silver.future.market_by_price_10_{level}_outcomes``.
    """

    level: str
    episodes: pl.DataFrame
    features: pl.DataFrame
    outcomes: pl.DataFrame

    def features_of_any_level(self) -> pl.DataFrame:
        """The features by their names in the approach, so that one model may read all levels."""
        names = names_of(self.level)
        columns = [self.features[name] for name in names.values()]
        return pl.DataFrame([self.features["episode_id"], *columns]).rename(
            dict(zip(names.values(), names, strict=True))
        )


def levels_signals(levels: Sequence[LevelTables], market: pl.DataFrame) -> pl.DataFrame:
    """Join metadata, features and labels of every episode.

    Args:
        levels: The tables of each level.
        market: Rows of ``gold.future.market_features`` of the contract and trade date: at least those of the episodes'
            trigger bars.

    Returns:
        Rows of ``gold.future.levels_signals`` in order of ``episode_id``.

    Raises:
        EpisodeUnmatched: An episode has no row in the features of its level, no outcome, or no market bar.
    """
    contract = contracts.load(TABLE)
    if not any(tables.episodes.height for tables in levels):
        return contract.polars_schema.to_frame()
    episodes = pl.concat([tables.episodes for tables in levels]).sort("episode_id")
    features = pl.concat([tables.features_of_any_level() for tables in levels])
    outcomes = pl.concat([tables.outcomes for tables in levels])
    bars = market.rename({"bar_ts": "trigger_bar_ts"})
    parts = (
        episodes,
        _beside(episodes, "level_features", features, ["episode_id"]),
        _beside(episodes, "market_features", bars, ["symbol", "trigger_bar_ts"]),
        _beside(episodes, "outcomes", outcomes, ["episode_id"]),
    )
    # What an episode says of itself stands before what another table says of it.
    known = {column.name: column for part in reversed(parts) for column in part}
    return pl.DataFrame([known[name] for name in contract.columns])


def _beside(episodes: pl.DataFrame, name: str, table: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """The row of a table for each episode; looked up by its place, which is cheaper than a join of wide rows."""
    place = episodes.select(on).join(
        table.select(on).with_row_index("place"), on=on, how="left", validate="m:1", maintain_order="left"
    )["place"]
    lost = episodes.filter(place.is_null())["episode_id"]
    if len(lost):
        raise EpisodeUnmatched(
            f"{len(lost)} of {episodes.height} episodes have no row in {name}.",
            where={"table": TABLE, "input": name, "episode_id": lost[0]},
            remedy="footprint-assets run --date D, which computes the tables of a trade date from the same episodes",
        )
    return table[place]
