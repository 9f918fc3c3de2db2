"""The card of a model: what a person must know of it before using what it says, as JSON and as Markdown."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from footprint_assets.kernels.labels import average_uniqueness
from footprint_assets.ml.features import family
from footprint_assets.ml.heads import HEADS, Model
from footprint_assets.ml.measures import ALL
from footprint_assets.ml.promotion import MODEL_COLUMNS
from footprint_assets.ml.questions import QUESTIONS
from footprint_assets.settings import LabelSettings

TOP = 10
"""Families a card lists."""
LIMITS = (
    "Scores are of months the model had not seen; months to come may differ. See drift.",
    "Episodes of one trade date share its path: trust the numbers by trade dates, not by rows.",
    "What is learned is learned of a level as this lake defines it; another label setting is another model.",
    "Costs, slippage and the chance to be filled are in none of the numbers.",
    "A null number means that there were too few rows to say one.",
)
_SCORES = (
    "log_loss",
    "log_loss_skill",
    "brier",
    "auc",
    "calibration_error",
    "pinball_loss",
    "interval_coverage",
)
_COLUMNS = ("value", "reference", "low", "high", "null_low", "null_high", "rows", "sessions")


@dataclass(frozen=True)
class Learned:
    """What a model learned from.

    Args:
        first_session_date: First trade date.
        last_session_date: Last trade date.
        rows: Episodes.
        sessions: Trade dates with rows.
        effective_rows: Rows that would say as much if no two labels were judged over the same time: the sum of their
            average uniqueness (Lopez de Prado 2018, ch. 4).
    """

    first_session_date: dt.date | None
    last_session_date: dt.date | None
    rows: int
    sessions: int
    effective_rows: float


def learned_from(head: str, rows: pl.DataFrame) -> Learned:
    """What a head learned from.

    Args:
        head: The head.
        rows: Rows of `training_set` before the month, with the columns of the time contract and the targets.
    """
    rows = rows.filter(HEADS[head].rows)
    start, end = (rows[name].cast(pl.Int64).to_numpy() for name in ("decision_ts", "label_end_ts"))
    dates: list[dt.date] = rows["session_date"].unique().sort().to_list()
    unique = average_uniqueness(start, end) if rows.height else np.zeros(0)
    first, last = (dates[0], dates[-1]) if dates else (None, None)
    return Learned(first, last, rows.height, len(dates), float(unique.sum()))


@dataclass(frozen=True)
class Judged:
    """What was measured of the models of a month; rows of the tables of these names.

    Args:
        calibration: Rows of `calibration_report`.
        retrieval: Rows of `retrieval_report`.
        drift: Rows of `drift_report`.
        ablation: Rows of `ablation`.
        calibrators: Rows of `calibrator`.
        champions: Rows of `champion`.
    """

    calibration: pl.DataFrame
    retrieval: pl.DataFrame
    drift: pl.DataFrame
    ablation: pl.DataFrame
    calibrators: pl.DataFrame
    champions: pl.DataFrame


def card(
    head: str,
    month: dt.date,
    root: str,
    model: Model | None,
    learned: Learned,
    judged: Judged,
    labels: LabelSettings,
    features_sha256: str,
) -> dict[str, Any]:
    """Everything the card says, as JSON can hold it.

    Args:
        head: The head.
        month: The month it was made for.
        root: Product root.
        model: The head's model; ``None`` where none was trained.
        learned: What it learned from.
        judged: What was measured.
        labels: What the label is.
        features_sha256: Of the allow list.
    """
    names = [question.name for question in QUESTIONS if question.head == head] or [head]
    calibration = judged.calibration.filter(pl.col("subject").is_in(names))
    whole = calibration.filter(pl.col("split") == ALL)
    made: dict[str, Any] = {
        "head": head,
        "month": f"{month:%Y-%m}",
        "product": root,
        "is_trained": model is not None,
        "model_sha256": model.sha256 if model else None,
        "features_sha256": features_sha256,
        "features_read": len(model.features) if model else 0,
        "data": asdict(learned),
        "label": {
            "barrier": labels.primary_barrier,
            "horizon_seconds": labels.primary_horizon_seconds,
            "learned_of": _words(head),
        },
        "scores": _measures(whole, _SCORES),
        "scores_by_level_type": _measures(calibration.filter(pl.col("split") == "level_type"), _SCORES),
        "reliability": _measures(calibration, ("reliability",)),
        "less_than_retrieval": _measures(whole, ("less_than_retrieval",)),
        "calibrators": judged.calibrators.filter(pl.col("said_by") == head)
        .select("name", "method", "reason", "parameters", "rows", "sessions")
        .to_dicts(),
        "families_by_gain": _top_gain(model),
        "families_by_permutation": _top(judged.ablation.filter(pl.col("measure") == "permutation"))
        if head == "direction"
        else [],
        "drift": _drift(judged.drift, names),
        "neighbours": _measures(
            judged.retrieval.filter(pl.col("split") == ALL), ("lift", "coverage", "effective_neighbours")
        ),
        "champion": next(
            iter(judged.champions.filter(pl.col("head") == head).drop(MODEL_COLUMNS).to_dicts()), None
        ),
        "limits": list(LIMITS),
    }
    plain: dict[str, Any] = json.loads(json.dumps(made, default=str, allow_nan=False))
    return plain


def card_json(made: Mapping[str, Any]) -> str:
    """The card as JSON; the same card gives the same bytes."""
    return json.dumps(made, sort_keys=True, ensure_ascii=False)


def card_markdown(made: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    data, label = made["data"], made["label"]
    lines = [
        f"# {made['head']} of {made['product']}, {made['month']}",
        "",
        label["learned_of"],
        "",
        f"* Label: barrier {label['barrier']}, horizon {label['horizon_seconds']} s.",
        f"* Learned from {data['rows']} episodes of {data['sessions']} trade dates "
        f"({data['first_session_date'] or 'none'} to {data['last_session_date'] or 'none'}), worth "
        f"{data['effective_rows']:.0f} that do not overlap.",
        f"* Model: {_short(made['model_sha256'])}; features: {made['features_read']} of allow list "
        f"{_short(made['features_sha256'])}.",
        f"* In use after this month: {_in_use(made['champion'])}",
        "",
        "## Scores on months it had not seen",
        *_table(made["scores"], ("subject", "measure")),
        "",
        "## By kind of level",
        *_table(made["scores_by_level_type"], ("subject", "measure", "segment")),
        "",
        "## Reliability",
        "Observed share beside the predicted one (reference), by bin.",
        "",
        *_table(made["reliability"], ("subject", "segment")),
        "",
        "## Less than the neighbours",
        "Log-loss less that of setups like this one on the same rows; below 0 the trees know more.",
        "",
        *_table(made["less_than_retrieval"], ("subject",)),
        "",
        "## Calibration map",
        *_calibrators(made["calibrators"]),
        "",
        "## Families of features",
        *_families("by gain", made["families_by_gain"]),
        *_families("by permutation, log-loss lost without", made["families_by_permutation"]),
        "",
        "## Drift",
        *_table(made["drift"], ("subject", "measure", "segment")),
        "",
        "## Neighbours",
        *_table(made["neighbours"], ("measure",)),
        "",
        "## Limits",
        *(f"* {limit}" for limit in made["limits"]),
        "",
    ]
    return "\n".join(lines)


def _words(head: str) -> str:
    return {
        "tradeability": "Chance that price decides within the horizon: BREAK or BOUNCE, not CHOP.",
        "direction": "Chance of BREAK, given that price decides.",
        "strength": "Quantiles of the signed strength of the move, points.",
        "time_to_threshold": "Chance that a barrier was passed by the end of each time bin, BREAK and BOUNCE.",
    }[head]


def _measures(rows: pl.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    kept = rows.filter(pl.col("measure").is_in(list(names)))
    return kept.select("subject", "measure", "segment", *_COLUMNS, "is_beyond_null").to_dicts()


def _drift(rows: pl.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """What moved: all features together, families beyond chance, the head's own probabilities, outcomes."""
    subject, split = pl.col("subject"), pl.col("split")
    moved = pl.col("is_beyond_null").fill_null(value=False)
    features = (subject == "features") & (pl.col("measure") == "share_moved")
    kept = rows.filter(
        (features & ((split == ALL) | moved))
        | (subject.is_in(list(names)) & ((split == ALL) | moved))
        | ((subject == "outcomes") & (split == ALL))
    )
    return kept.select("subject", "measure", "segment", *_COLUMNS, "is_beyond_null").to_dicts()


def _top_gain(model: Model | None) -> list[dict[str, Any]]:
    gains: dict[str, float] = {}
    for name, gain in (model.gain() if model else {}).items():
        gains[family(name)] = gains.get(family(name), 0.0) + gain
    total = sum(gains.values()) or 1.0
    best = sorted(gains.items(), key=lambda item: (-item[1], item[0]))[:TOP]
    return [{"family": name, "value": gain / total} for name, gain in best if gain > 0]


def _top(rows: pl.DataFrame) -> list[dict[str, Any]]:
    kept = rows.filter((pl.col("split") == "family") & pl.col("value").is_not_null())
    best = kept.sort(["value", "segment"], descending=[True, False]).head(TOP)
    return best.select(pl.col("segment").alias("family"), "value", "low", "high").to_dicts()


def _table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    if not rows:
        return ["Nothing was measured."]
    heads = [*names, "value", "0.95 band", "reference", "chance", "beyond chance", "rows", "trade dates"]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in rows:
        cells = [
            *(str(row[name]) for name in names),
            _number(row["value"]),
            _range(row["low"], row["high"]),
            _number(row["reference"]),
            _range(row["null_low"], row["null_high"]),
            {True: "yes", False: "no", None: ""}[row["is_beyond_null"]],
            str(row["rows"]),
            str(row["sessions"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _calibrators(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        numbers = ", ".join(_number(value) for value in row["parameters"])
        what = f"{row['method']} ({numbers})" if numbers else f"{row['method']}: {row['reason']}"
        lines.append(f"* `{row['name']}`: {what}; {row['rows']} rows of {row['sessions']} trade dates.")
    return lines or ["None."]


def _families(words: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    told = ", ".join(f"{row['family']} {_number(row['value'])}" for row in rows)
    return [f"* {words}: {told or 'not known'}."]


def _in_use(champion: Mapping[str, Any] | None) -> str:
    if champion is None:
        return "not decided."
    if champion["champion_month"] is None:
        return f"the neighbours alone ({champion['reason']})."
    return f"the model of {champion['champion_month'][:7]} ({champion['reason']})."


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _range(low: float | None, high: float | None) -> str:
    return "" if high is None else f"{_number(low) or '…'} to {_number(high)}"


def _short(sha: str | None) -> str:
    return f"`{sha[:12]}`" if sha else "none"
