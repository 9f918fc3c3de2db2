"""Why a model says what it says: the part of each family of features in one row's prediction.

LightGBM's own additive contributions (TreeSHAP: Lundberg et al. 2020); they and the base add up to the raw score.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint_assets.ml.features import FeatureList, family, matrix
from footprint_assets.ml.heads import Model, lightgbm_module

BASE = "base"
"""Column of what the model says of a row it knows nothing of."""
EXPLAINED = {"tradeability": "p", "direction": "p", "strength": "q50"}
"""Booster of each head that is explained; time to the first barrier has one answer a time bin, and none for all."""


def contributions(model: Model, rows: pl.DataFrame, features: FeatureList) -> pl.DataFrame:
    """The part of each family in the prediction of each row.

    Args:
        model: A model of a head in :data:`EXPLAINED`.
        rows: Rows with the model's features.
        features: The allow list the rows were made by.

    Returns:
        One row a row of ``rows``, float64: ``base``, then one column a family, by name. Log odds, or points for strength.
        Base and families add up to the raw score.

    Raises:
        FeaturesDiffer: The rows were made by another allow list, or lack a feature.
        ExtraMissing: LightGBM is not installed.
    """
    model.require(features.sha256)
    booster = lightgbm_module().Booster(model_str=model.boosters[EXPLAINED[model.head]])
    parts = booster.predict(matrix(rows, model.features), pred_contrib=True, num_threads=1)
    of = np.array([family(name) for name in model.features])
    sums = {name: parts[:, :-1][:, of == name].sum(axis=1) for name in sorted(set(of.tolist()))}
    return pl.DataFrame({BASE: parts[:, -1], **sums})


def importance(parts: pl.DataFrame) -> pl.DataFrame:
    """How much each family moves the predictions.

    Args:
        parts: What :func:`contributions` gives.

    Returns:
        One row a family, the strongest first: ``family``, ``mean_size`` (mean of the sizes of its contributions).
    """
    families = [name for name in parts.columns if name != BASE]
    sizes = parts.select(pl.col(families).abs().mean()).row(0) if families else ()
    found = pl.DataFrame(
        {"family": families, "mean_size": list(sizes)}, schema={"family": pl.String, "mean_size": pl.Float64}
    )
    return found.sort("mean_size", "family", descending=[True, False])
