"""Every episode of every level with all that was known at its decision and all that came of it: for training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from footprint_assets import contracts
from footprint_assets.errors import FootprintError
from footprint_assets.transforms.level_features import at_decision

TABLE = "gold.future.levels_signals"


class EpisodeUnmatched(FootprintError):  # noqa: N818 - reads as the fact it states
    """An episode has no row in a table that has one for each."""


@dataclass(frozen=True)
class LevelTables:
    """The tables of one level, of one contract and trade date.

    Args:
        episodes: Rows of ``silver.future.market_by_price_10_{level}_episodes``.
        approach: Rows of ``silver.future.market_by_price_10_{level}_approach``.
        outcomes: Rows of ``silver.future.market_by_price_10_{level}_outcomes``.
    """

    episodes: pl.DataFrame
    approach: pl.DataFrame
    outcomes: pl.DataFrame


def levels_signals(levels: Iterable[LevelTables], market: pl.DataFrame) -> pl.DataFrame:
    """Join metadata, features and labels of every episode.

    Args:
        levels: The tables of each level.
        market: Rows of ``gold.future.market_features`` of the contract and trade date.

    Returns:
        Rows of ``gold.future.levels_signals`` in order of ``episode_id``; ``bar5s_`` features of the approach carry no
        level's name, so that one model may read all levels.

    Raises:
        EpisodeUnmatched: An episode has no trigger bar in the approach, no outcome, or no market bar.
    """
    contract = contracts.load(TABLE)
    empty = pl.DataFrame(schema=contract.polars_schema)
    return pl.concat([empty, *(_of_level(tables, market, contract) for tables in levels)]).sort("episode_id")


def _of_level(tables: LevelTables, market: pl.DataFrame, contract: contracts.Contract) -> pl.DataFrame:
    rows = tables.episodes
    approach = at_decision(tables.approach)
    features = set(contract.columns_of_kind("feature"))
    known = market.rename({"bar_ts": "trigger_bar_ts"})
    outcomes = tables.outcomes.select("episode_id", "label_end_ts", *contract.columns_of_kind("label"))
    for name, table, on in (
        (
            "approach",
            approach.select("episode_id", *(n for n in approach.columns if n in features)),
            ["episode_id"],
        ),
        (
            "market_features",
            known.select("symbol", "trigger_bar_ts", *(n for n in known.columns if n in features)),
            ["symbol", "trigger_bar_ts"],
        ),
        ("outcomes", outcomes, ["episode_id"]),
    ):
        lost = rows.join(table, on=on, how="anti")["episode_id"]
        if len(lost):
            raise EpisodeUnmatched(
                f"{len(lost)} of {rows.height} episodes have no row in {name}.",
                where={"table": TABLE, "input": name, "episode_id": lost[0]},
                remedy="footprint-assets run --date D, which computes the tables of a trade date from the same episodes",
            )
        rows = rows.join(table, on=on, how="left", validate="m:1", maintain_order="left")
    return rows.select(contract.columns)
