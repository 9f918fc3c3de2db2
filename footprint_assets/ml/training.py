"""Rows to learn from: episodes with their features, and when each was known and judged."""

from __future__ import annotations

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets.ml.features import FeatureList
from footprint_assets.settings import LabelSettings

_AT_ONCE = 1e-9
"""Share of the horizon that stands for a barrier passed at the decision itself, so that its side stays."""


def columns_read(features: FeatureList, labels: LabelSettings) -> list[str]:
    """The columns of `levels_signals` that :func:`training_rows` reads."""
    ends = f"{labels.primary_barrier}_{labels.primary_horizon_seconds}s_s"
    return [
        *("episode_id", "session_date", "symbol", "level_type", "approach_direction"),
        *("decision_ts", "label_end_ts", "outcome", "is_complete"),
        f"strength_signed_pts_{labels.primary_horizon_seconds}s",
        *(f"time_to_{side}_{ends}" for side in ("break", "bounce")),
        *features.names,
    ]


def training_rows(signals: pl.DataFrame, features: FeatureList, labels: LabelSettings) -> pl.DataFrame:
    """The time contract, the targets and the features of every episode.

    Args:
        signals: Rows of `levels_signals`.
        features: The columns a model may read.
        labels: Names the primary label.

    Returns:
        One row an episode by ``session_date``, ``decision_ts``, ``episode_id``. Beside the columns taken over:

        * ``session``: running number of the trade date in the calendar, int32;
        * ``outcome``: UNDEFINED too where the horizon was not observed whole. Of such episodes only those that end soon
          would be known, and a model would learn that price always decides before a gap or the close;
        * ``label_complete``: the outcome is not UNDEFINED;
        * ``strength_signed_pts``: of the primary horizon;
        * ``first_passage_share``: time to the first barrier as a share of the horizon, above 0 for BREAK, below 0 for
          BOUNCE; null where neither came;
        * the features as float32, booleans as 0 and 1.

        Features were known at ``decision_ts``, the label is judged over ``[decision_ts, label_end_ts)``.
    """
    barrier, horizon = labels.primary_barrier, labels.primary_horizon_seconds
    observed = pl.when("is_complete").then(pl.col("outcome").cast(pl.String)).otherwise(pl.lit("UNDEFINED"))
    outcome = observed.cast(signals.schema["outcome"])
    share = {
        side: (pl.col(f"time_to_{side.lower()}_{barrier}_{horizon}s_s") / horizon).clip(_AT_ONCE, 1.0)
        for side in ("BREAK", "BOUNCE")
    }
    return signals.sort("session_date", "decision_ts", "episode_id").select(
        "episode_id",
        "session_date",
        _session().alias("session"),
        "symbol",
        "level_type",
        "approach_direction",
        "decision_ts",
        "label_end_ts",
        (outcome != "UNDEFINED").alias("label_complete"),
        outcome.alias("outcome"),
        pl.col(f"strength_signed_pts_{horizon}s").alias("strength_signed_pts"),
        pl.when(outcome == "BREAK")
        .then(share["BREAK"])
        .when(outcome == "BOUNCE")
        .then(-share["BOUNCE"])
        .alias("first_passage_share"),
        *(pl.col(name).cast(pl.Float32) for name in features.names),
    )


def _session() -> pl.Expr:
    dates = cme.sessions(cme.PARTITION_START, cme.CALENDAR_END)
    numbers = dict(zip(dates, range(len(dates)), strict=True))
    return pl.col("session_date").replace_strict(numbers, return_dtype=pl.Int32)
