"""Which model is in use: a challenger takes the champion's place only by being better on rows neither has seen.

Better means a lower loss, by whole trade dates and not by chance. Every month leaves a row; none is ever changed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.ml.heads import BIN_ENDS, HEADS, QUANTILES, HeadName, Model
from footprint_assets.ml.measures import ALL, Measure
from footprint_assets.ml.questions import SIDES, STRENGTH
from footprint_assets.ml.resampling import chance_not_below_zero, mean_band
from footprint_assets.ml.scores import log_losses, pinball_losses
from footprint_assets.settings import JudgingSettings

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

LOSSES: Mapping[str, str] = {
    "tradeability": "log_loss",
    "direction": "log_loss",
    "strength": "pinball_loss_pts",
    "time_to_threshold": "log_loss",
}
"""What each head is judged by; each is least for the true chances or quantiles."""
MODEL_COLUMNS = ("champion_features", "champion_boosters", "champion_texts")
"""What the model in use is made of: long, and of no use to a reader."""
_SMALLEST = 1e-15

SCHEMA: dict[str, pl.DataType] = {
    "head": pl.String(),
    **dict.fromkeys(("champion_month", "challenger_month", "champion_last_session_date"), pl.Date()),
    **dict.fromkeys(("champion_sha256", "challenger_sha256", "loss"), pl.String()),
    **dict.fromkeys(
        ("champion_loss", "challenger_loss", "difference", "difference_low", "difference_high", "p_value"),
        pl.Float64(),
    ),
    **dict.fromkeys(("rows", "sessions"), pl.Int32()),
    **dict.fromkeys(("champion_rows", "champion_sessions"), pl.Int32()),
    "champion_features_sha256": pl.String(),
    **dict.fromkeys(("champion_features", "champion_boosters", "champion_texts"), pl.List(pl.String())),
    "is_promoted": pl.Boolean(),
    "reason": pl.String(),
}


@dataclass(frozen=True)
class Candidate:
    """A model that may be in use.

    Args:
        month: The month it was made for: it learned from what was over before.
        model: The model.
        last_session_date: Last trade date it learned from.
        sha256: Of its text as it was published.
    """

    month: dt.date
    model: Model
    last_session_date: dt.date
    sha256: str


def decide(
    head: str,
    champion: Candidate | None,
    challenger: Candidate | None,
    rows: pl.DataFrame,
    features_sha256: str,
    settings: JudgingSettings,
) -> dict[str, object]:
    """Say which model of a head is in use after a month.

    The first model is champion by default. A challenger must have passed every check, and lose less than the champion on
    the month's rows with a p-value below the setting, by drawing trade dates.

    Args:
        head: The head.
        champion: The model in use before the month.
        challenger: The model of the month; ``None`` where none was trained.
        rows: Rows of `training_set` of the month.
        features_sha256: Of the allow list the rows were made by.
        settings: Draws, the p-value and fewest rows.

    Returns:
        One row of `champion`. ``difference`` is the challenger's loss less the champion's.
    """
    judged = rows.filter(HEADS[head].rows).sort("session", "decision_ts", "episode_id")
    session = judged["session"].cast(pl.Int64).to_numpy()
    facts = _facts(head, challenger, session)
    if challenger is None:
        return facts | _verdict(champion, "no model was trained for the month")
    if faults := faults_of(challenger, judged, features_sha256):
        return facts | _verdict(champion, "; ".join(faults))
    own = row_losses(head, judged, challenger.model.predict(judged, features_sha256))
    facts["challenger_loss"] = float(own.mean()) if own.size else None
    if champion is None:
        return facts | _verdict(challenger, "the first model", is_promoted=True)
    if champion.model.features_sha256 != features_sha256:
        reason = "the champion reads another list of features"
        return facts | _verdict(challenger, reason, is_promoted=True)
    other = row_losses(head, judged, champion.model.predict(judged, features_sha256))
    facts["champion_loss"] = float(other.mean()) if other.size else None
    if not Measure.of(head, "difference", ALL, ALL, session).is_enough(settings):
        return facts | _verdict(champion, "too few rows to compare")
    return facts | _compared(champion, challenger, own - other, session, settings)


def _compared(
    champion: Candidate,
    challenger: Candidate,
    difference: Float64,
    session: Int64,
    settings: JudgingSettings,
) -> dict[str, object]:
    draws = {"draws": settings.promotion_draws, "seed": settings.seed}
    p = chance_not_below_zero(difference, session, **draws)
    band = mean_band(difference, session, **draws)
    numbers = {
        "difference": float(difference.mean()),
        "difference_low": band.low,
        "difference_high": band.high,
        "p_value": p,
    }
    if p < settings.promotion_p:
        return numbers | _verdict(challenger, "better than the champion", is_promoted=True)
    return numbers | _verdict(champion, "not better than the champion")


def faults_of(challenger: Candidate, rows: pl.DataFrame, features_sha256: str) -> list[str]:
    """Why a model must not be in use, whatever its loss; empty where nothing is wrong.

    Args:
        challenger: The model.
        rows: Rows it would be judged on.
        features_sha256: Of the allow list they were made by.
    """
    faults = []
    if challenger.model.features_sha256 != features_sha256:
        faults.append("it reads another list of features")
        return faults
    if challenger.model.sha256 != challenger.sha256:
        faults.append("its text is not the one that was published")
    if rows.filter(pl.col("session_date") <= challenger.last_session_date).height:
        faults.append("it has learned from the trade dates it would be judged on")
    said = challenger.model.predict(rows, features_sha256) if rows.height else pl.DataFrame()
    if not all(column.is_finite().all() for column in said):
        faults.append("it says what is no number")
    return faults


def row_losses(head: str, rows: pl.DataFrame, said: pl.DataFrame) -> Float64:
    """Loss of each row, as ``LOSSES`` has it.

    Args:
        head: The head.
        rows: Rows of `training_set` that the head learns from.
        said: The head's columns of these rows.

    Returns:
        float64[rows].
    """
    losses: Mapping[str, Callable[[pl.DataFrame, pl.DataFrame], Float64]] = {
        "tradeability": _binary,
        "direction": _binary,
        "strength": _quantiles,
        "time_to_threshold": _first_passage,
    }
    return losses[head](rows.with_columns(_TARGETS[head]), said)


_TARGETS = {name: head.target.cast(pl.Float64).alias("target") for name, head in HEADS.items()}


def _binary(rows: pl.DataFrame, said: pl.DataFrame) -> Float64:
    return log_losses(rows["target"].cast(pl.Int64).to_numpy(), said.to_series().to_numpy())


def _quantiles(rows: pl.DataFrame, said: pl.DataFrame) -> Float64:
    return pinball_losses(rows["target"].to_numpy(), said.select(STRENGTH).to_numpy(), QUANTILES)


def _first_passage(rows: pl.DataFrame, said: pl.DataFrame) -> Float64:
    """``-ln`` of the chance given to the barrier that came, in the time bin it came in, or to neither."""
    by_side = {
        side: said.select(f"p_{side}_by_b{bin_:02d}" for bin_ in range(1, BIN_ENDS.size + 1)).to_numpy()
        for side in SIDES
    }
    target = rows["target"].to_numpy()
    breaks, bounces = (by_side[side][:, -1] for side in SIDES)
    chance = 1.0 - breaks - bounces
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        came = np.flatnonzero(sign * target > 0)
        bin_ = np.searchsorted(BIN_ENDS, sign * target[came], side="left")
        within = np.diff(by_side[side][came], axis=1, prepend=0.0)
        chance[came] = within[np.arange(came.size), bin_]
    losses: Float64 = -np.log(np.clip(chance, _SMALLEST, 1.0))
    return losses


def _facts(head: str, challenger: Candidate | None, session: Int64) -> dict[str, object]:
    return {
        "head": head,
        "challenger_month": challenger.month if challenger else None,
        "challenger_sha256": challenger.sha256 if challenger else None,
        "loss": LOSSES[head],
        "rows": int(session.size),
        "sessions": int(np.unique(session).size),
    }


def _verdict(champion: Candidate | None, reason: str, *, is_promoted: bool = False) -> dict[str, object]:
    verdict: dict[str, object] = {"is_promoted": is_promoted, "reason": reason}
    if champion is None:
        nothing: dict[str, object] = {name: [] for name in MODEL_COLUMNS}
        return verdict | nothing | {"champion_month": None, "champion_sha256": None}
    model = champion.model
    return verdict | {
        "champion_month": champion.month,
        "champion_sha256": champion.sha256,
        "champion_last_session_date": champion.last_session_date,
        "champion_rows": model.rows,
        "champion_sessions": model.sessions,
        "champion_features_sha256": model.features_sha256,
        "champion_features": list(model.features),
        "champion_boosters": list(model.boosters),
        "champion_texts": list(model.boosters.values()),
    }


def in_use(head: HeadName, row: Mapping[str, Any]) -> Candidate | None:
    """The model that a row of `champion` says is in use, made of the row alone.

    Args:
        head: The head.
        row: The row.

    Returns:
        The model; ``None`` where there is none and the neighbours answer alone.
    """
    if row["champion_month"] is None:
        return None
    model = Model(
        head,
        tuple(row["champion_features"]),
        row["champion_features_sha256"],
        dict(zip(row["champion_boosters"], row["champion_texts"], strict=True)),
        row["champion_rows"],
        row["champion_sessions"],
    )
    return Candidate(row["champion_month"], model, row["champion_last_session_date"], row["champion_sha256"])
