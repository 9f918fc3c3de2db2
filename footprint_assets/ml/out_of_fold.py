"""What models and neighbours say of rows, as columns beside them; null where there is no model and no neighbour."""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint_assets.ml.features import FeaturesDiffer
from footprint_assets.ml.heads import Head, Model
from footprint_assets.ml.retrieval import OUTCOMES, Index

RETRIEVED = (*(f"retrieval_p_{outcome.lower()}" for outcome in OUTCOMES), "retrieval_effective")
"""Chances of each outcome among the neighbours, and how many equal ones would say as much."""


def head_columns(head: Head, model: Model | None, rows: pl.DataFrame, features_sha256: str) -> pl.DataFrame:
    """What a head says of rows.

    Args:
        head: The head.
        model: Its model; ``None`` where there is none.
        rows: Rows of `training_set`.
        features_sha256: Of the allow list the rows were made by.

    Returns:
        The head's columns, one row each, float64.

    Raises:
        FeaturesDiffer: The model was made for another list.
        ExtraMissing: LightGBM is not installed.
    """
    if model is None or rows.is_empty():
        return _unknown(head.columns, rows.height)
    # Chances that add up to 1 may do so a rounding beyond it.
    return model.predict(rows, features_sha256).with_columns(pl.col("^p_.*$").clip(0.0, 1.0))


def retrieval_columns(index: Index | None, rows: pl.DataFrame, features_sha256: str) -> pl.DataFrame:
    """What became of the nearest earlier episodes of rows.

    Args:
        index: The earlier episodes; ``None`` where there are none.
        rows: Rows of `training_set`.
        features_sha256: Of the allow list the rows were made by.

    Returns:
        ``RETRIEVED``, one row each, float64.

    Raises:
        FeaturesDiffer: The episodes were placed by another list.
    """
    if index is None or rows.is_empty():
        return _unknown(RETRIEVED, rows.height)
    if index.space.features_sha256 != features_sha256:
        raise FeaturesDiffer(
            "The earlier episodes were placed by another list of features.",
            where={"index": index.space.features_sha256[:12], "rows": features_sha256[:12]},
            remedy="make the month's retrieval tables again with today's features.",
        )
    found = index.ask_all(rows)
    values = np.column_stack(
        [np.array([answer.chances for answer in found]), [answer.effective for answer in found]]
    )
    return pl.DataFrame(values, schema=dict.fromkeys(RETRIEVED, pl.Float64)).with_columns(
        pl.all().fill_nan(None)
    )


def _unknown(names: tuple[str, ...], rows: int) -> pl.DataFrame:
    return pl.DataFrame({name: [None] * rows for name in names}, schema=dict.fromkeys(names, pl.Float64))
