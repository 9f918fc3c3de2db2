"""The space and the index of `retrieval` as rows of tables, and back."""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint_assets.ml.features import FeaturesDiffer
from footprint_assets.ml.retrieval import KNOTS, SEGMENT, Index, Space
from footprint_assets.settings import RetrievalSettings


def space_rows(space: Space) -> pl.DataFrame:
    """One row a feature, in the order of the vectors; ``knots`` is empty where a feature had no value."""
    knots = [row.tolist() if np.isfinite(row[0]) else [] for row in space.knots]
    return pl.DataFrame(
        {
            "position": pl.Series(range(len(space.features)), dtype=pl.Int32),
            "name": pl.Series(space.features, dtype=pl.String),
            "knots": pl.Series(knots, dtype=pl.List(pl.Float32)),
            "weight": pl.Series(space.weight, dtype=pl.Float32),
            "features_sha256": pl.Series([space.features_sha256] * len(space.features), dtype=pl.String),
        }
    )


def space_of(rows: pl.DataFrame) -> Space:
    """The space that ``space_rows`` gave these rows for.

    Args:
        rows: Rows of `retrieval_space`, at least one.
    """
    rows = rows.sort("position")
    knots = np.full((rows.height, KNOTS), np.nan, np.float32)
    for place, values in enumerate(rows["knots"].to_list()):
        if values:
            knots[place] = values
    return Space(
        tuple(rows["name"].to_list()),
        rows["features_sha256"][0],
        knots,
        rows["weight"].cast(pl.Float32).to_numpy(),
    )


def index_rows(index: Index) -> pl.DataFrame:
    """One row a past episode: its facts, its place in the space as ``vector``, and the space's ``features_sha256``."""
    vectors = pl.Series("vector", index.vectors, dtype=pl.Array(pl.Float32, index.vectors.shape[1]))
    return index.rows.with_columns(
        vectors.cast(pl.List(pl.Float32)),
        pl.lit(index.space.features_sha256).alias("features_sha256"),
    )


def index_of(space_table: pl.DataFrame, rows: pl.DataFrame, settings: RetrievalSettings) -> Index | None:
    """The index that ``space_rows`` and ``index_rows`` gave these rows for.

    Args:
        space_table: Rows of `retrieval_space`; may be none.
        rows: Rows of `retrieval_index` of the same month, in the order of the table; may be none.
        settings: How many neighbours, of how many trade dates, and how they count.

    Returns:
        The index; ``None`` where there is no space, because nothing was known before the month.

    Raises:
        FeaturesDiffer: The rows were placed in a space of another allow list, or of another size.
    """
    if space_table.is_empty():
        return None
    space = space_of(space_table)
    width = len(space.features)
    others = [sha for sha in rows["features_sha256"].unique().sort() if sha != space.features_sha256]
    sizes = set(rows["vector"].list.len().unique().to_list()) - {width}
    if others or sizes:
        raise FeaturesDiffer(
            "The index was made in another space.",
            where={
                "space": space.features_sha256[:12],
                "index": (others or [space.features_sha256])[0][:12],
                "features": width,
            },
            remedy="make the month's retrieval tables again with today's features.",
        )
    vectors = rows["vector"].explode().to_numpy() if rows.height else np.zeros(0)
    facts = rows.select("episode_id", "session", *SEGMENT, "label_end_ts", "outcome")
    return Index(facts, space, vectors.astype(np.float32).reshape(rows.height, width), settings)
