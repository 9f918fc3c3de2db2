"""The pages of what was learned: a month's models, and an attempt among those like it. Reads tables, writes files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from footprint_assets.asked import Prediction, predict, similar
from footprint_assets.assets.judging import (
    ABLATION,
    CALIBRATION_REPORT,
    CHAMPION,
    DRIFT_REPORT,
    MODEL_CARD,
    PREDICTIONS,
    RETRIEVAL_REPORT,
)
from footprint_assets.attempts import PLACE_COLUMNS, Attempt, find_attempt, paths_of, places
from footprint_assets.errors import ExtraMissing
from footprint_assets.gold_contracts import MODELS, TRAINING_SET
from footprint_assets.lake import PartitionMissing
from footprint_assets.learned import Learned, learn
from footprint_assets.ml.curves import coverage_curve, lift_curve
from footprint_assets.ml.explain import EXPLAINED, contributions, importance
from footprint_assets.ml.features import allowed
from footprint_assets.ml.heads import BIN_ENDS, HEADS, QUANTILES
from footprint_assets.ml.questions import KNOWN, QUESTIONS, SIDES, STRENGTH, answers
from footprint_assets.pages import NothingToDraw, write_page
from footprint_assets.report import ModelTables, Setups, Signals, model_page, setups_page
from footprint_assets.report.setups import ATTEMPT_COLUMNS, SHOWN
from footprint_assets.report.shell import Figure
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tables import TableInput

REPORTS = {
    "Scores and calibration": CALIBRATION_REPORT,
    "Setups like this one": RETRIEVAL_REPORT,
    "Without a family of features": ABLATION,
    "Drift": DRIFT_REPORT,
}
"""Reports of the model page by their heading."""
SIGNALS_SHOWN = 6
"""Episodes of the month whose predictions are taken apart: half of them the highest, half the lowest."""

_SUBJECTS = ("p_tradeable", "p_break")
_SCORES = {"auc": "AUC", "log_loss_skill": "log-loss skill", "calibration_error": "calibration error"}


def model_tables() -> tuple[str, ...]:
    """Dataset keys of the tables the model page shows."""
    models = (MODELS[head] for head in EXPLAINED)
    return (PREDICTIONS, TRAINING_SET, *models, *REPORTS.values(), CHAMPION, MODEL_CARD)


def write_model_page(settings: Settings, month: dt.date, root: str, out: Path, *, simulated: bool) -> None:
    """Write the page of a month's models of one product root.

    Args:
        settings: Names the lake.
        month: First day of the month.
        root: Product root, such as ``ES``.
        out: The file to write; its folder is made.
        simulated: Whether the page says that the market is simulated.

    Raises:
        NothingToDraw: Nothing was learned of the root in this month.
    """
    learned = Learned(Workbench(settings), month, root)
    predictions = _published(learned, PREDICTIONS)
    if predictions.is_empty():
        raise NothingToDraw(
            f"There are no predictions of {root} in {month:%Y-%m}.",
            where={"table": PREDICTIONS, "month": f"{month:%Y-%m}", "root": root},
            remedy=learn(month),
        )
    reports = {title: rows for title, key in REPORTS.items() if (rows := _published(learned, key)).height}
    cards = _published(learned, MODEL_CARD)
    families, signals = _explained(learned, predictions)
    tables = ModelTables(
        figures=_figures(predictions, reports.get("Scores and calibration")),
        in_use=_published(learned, CHAMPION),
        lift=dict(_lifts(predictions)),
        coverage=dict(_coverages(predictions)),
        families=families,
        signals=signals,
        reports=reports,
        cards=dict(cards.select(pl.col("head").cast(pl.String), "card_markdown").iter_rows())
        if cards.height
        else {},
    )
    write_page(out, model_page(tables, root=root, month=month, simulated=simulated))


def write_setups_page(bench: Workbench, attempt: Attempt, out: Path, *, simulated: bool) -> None:
    """Write the page of an attempt and those like it.

    Args:
        bench: The lake.
        attempt: The attempt.
        out: The file to write; its folder is made.
        simulated: Whether the page says that the market is simulated.

    Raises:
        NothingLearned: No index was made by the attempt's month.
        FeaturesDiffer: A model or the index was made for other features.
    """
    found, said = similar(bench, attempt), predict(bench, attempt)
    drawn = found.like["episode_id"].head(SHOWN)
    asked = _asked(bench, attempt)
    setups = Setups(
        asked,
        found.like.select(ATTEMPT_COLUMNS),
        paths_of(
            bench,
            [attempt.place, *(found.places[name] for name in drawn if name in found.places)],
        ),
        _barrier_pts(bench.settings, attempt.root),
        [
            Figure("Level", f"{attempt.level_price:.2f}"),
            Figure("Approach", attempt.side),
            Figure("Attempts like it", f"{found.like.height}"),
            Figure("Worth equal ones", f"{found.effective:.1f}"),
        ],
        list(_words(said)),
    )
    write_page(out, setups_page(setups, subject=attempt.place.words, simulated=simulated))


def last_attempts(bench: Workbench, month: dt.date, root: str) -> list[Attempt]:
    """The last attempt of a month at each kind of level.

    Args:
        bench: The lake.
        month: First day of the month.
        root: Product root.
    """
    rows = TableInput(bench.lake, TRAINING_SET, (month,)).frame(root, PLACE_COLUMNS)
    last = rows.sort("decision_ts").group_by("level_type", maintain_order=True).last().sort("level_type")
    return [
        find_attempt(bench, place.trade_date, place.level, dt.time.fromisoformat(place.clock), root)
        for place in places(last)
    ]


def _published(learned: Learned, table: str) -> pl.DataFrame:
    """Rows of a table of the month; none where it is not published."""
    return TableInput(learned.bench.lake, table, (learned.month,), optional=True).frame(learned.root)


def _figures(predictions: pl.DataFrame, calibration: pl.DataFrame | None) -> list[Figure]:
    found = [
        Figure("Episodes of the month", f"{predictions.height:,}"),
        Figure("Trade dates", f"{predictions['session'].n_unique():,}"),
        Figure("Decided", f"{predictions.filter(KNOWN).height:,}"),
    ]
    if calibration is None:
        return found
    months = calibration.filter(pl.col("split") == "month")["segment"].n_unique()
    found.append(Figure("Scores over", f"{months} months"))
    for subject in _SUBJECTS:
        for measure, words in _SCORES.items():
            rows = calibration.filter(
                pl.col("subject") == subject, pl.col("measure") == measure, pl.col("split") == "all"
            )
            value = rows["value"][0] if rows.height else None
            if value is not None:
                beyond = bool(rows["is_beyond_null"][0])
                bad = measure == "calibration_error"
                tone = ("sell" if bad else "buy") if beyond else ""
                found.append(Figure(f"{subject}: {words}", f"{value:.3f}", tone))
    return found


def _lifts(predictions: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    for question in QUESTIONS:
        said = answers(question, predictions)
        if len(said) and said.y.any():
            yield question.name, lift_curve(said.y, said.p, said.session)


def _coverages(predictions: pl.DataFrame) -> Iterator[tuple[str, Mapping[str, pl.DataFrame]]]:
    told = predictions.drop_nulls(["strength_signed_pts", *STRENGTH])
    if told.height:
        truth, quantiles = told["strength_signed_pts"].to_numpy(), told.select(STRENGTH).to_numpy()
        curves = {"quantiles": coverage_curve(truth[:, None] <= quantiles, QUANTILES, _session(told))}
        kept = told.drop_nulls(["strength_low_pts", "strength_high_pts"])
        if kept.height:
            low, high, inside = (
                kept[name].to_numpy()
                for name in ("strength_low_pts", "strength_high_pts", "strength_signed_pts")
            )
            held = ((low <= inside) & (inside <= high))[:, None]
            curves["interval"] = coverage_curve(held, [QUANTILES[-1] - QUANTILES[0]], _session(kept))
        yield "strength", curves
    by_time = {}
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        names = [f"p_{side}_by_b{number:02d}" for number in range(1, BIN_ENDS.size + 1)]
        rows = predictions.filter(KNOWN).drop_nulls(names)
        if rows.height:
            passed = sign * rows["first_passage_share"].fill_null(0.0).to_numpy()
            came = (passed[:, None] > 0) & (passed[:, None] <= BIN_ENDS)
            chances = rows.select(names).mean().row(0)
            by_time[side] = coverage_curve(came, chances, _session(rows))
    if by_time:
        yield "first barrier, by time", by_time


def _session(rows: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return rows["session"].cast(pl.Int64).to_numpy()


def _explained(
    learned: Learned, predictions: pl.DataFrame
) -> tuple[dict[str, pl.DataFrame], dict[str, Signals]]:
    """Importance of the families and the strongest signals, head by head; nothing where LightGBM is not installed."""
    families: dict[str, pl.DataFrame] = {}
    signals: dict[str, Signals] = {}
    features = allowed()
    rows = _published(learned, TRAINING_SET)
    for name in EXPLAINED:
        try:
            model = learned.model(HEADS[name], learned.month)
            if model is None or rows.is_empty():
                continue
            parts = contributions(model, rows, features)
        except (ExtraMissing, PartitionMissing):
            continue
        families[name] = importance(parts)
        signals[name] = _strongest(name, predictions, rows.select("episode_id", "contract"), parts)
    return families, signals


def _strongest(head: str, predictions: pl.DataFrame, known: pl.DataFrame, parts: pl.DataFrame) -> Signals:
    column = {"tradeability": "p_tradeable", "direction": "p_break", "strength": "strength_q50_pts"}[head]
    told = (
        predictions.join(known, on="episode_id")
        .select(*PLACE_COLUMNS, pl.col("outcome").cast(pl.String), pl.col(column).alias("value"))
        .drop_nulls("value")
        .sort("value", "episode_id", descending=[True, False])
    )
    half = SIGNALS_SHOWN // 2
    told = told if told.height <= SIGNALS_SHOWN else pl.concat([told.head(half), told.tail(half)])
    row = {name: number for number, name in enumerate(known["episode_id"])}
    said = [
        f"{column} {value:+.2f}" if head == "strength" else f"{column} {value:.0%}" for value in told["value"]
    ]
    facts = told.select("episode_id", "outcome").with_columns(
        pl.Series("decision", [place.words for place in places(told)], pl.String),
        pl.Series("said", said, pl.String),
    )
    unit = "points" if head == "strength" else "log odds, before calibration"
    return Signals(unit, facts, parts[[row[name] for name in told["episode_id"]]])


def _asked(bench: Workbench, attempt: Attempt) -> pl.DataFrame:
    horizon = bench.settings.labels.primary_horizon_seconds
    return attempt.row.select(
        "episode_id",
        pl.lit(attempt.place.words).alias("decision"),
        pl.col("outcome").cast(pl.String),
        pl.lit(None, pl.Float64).alias("distance"),
        pl.lit(None, pl.Float64).alias("share"),
        "strength_signed_pts",
        (pl.col("first_passage_share").abs() * horizon).alias("passage_s"),
    )


def _words(said: Prediction) -> Iterator[tuple[str, str]]:
    for one in said.said():
        if one.value is not None:
            value, ends = one.cells()
            yield f"{one.head}: {one.what}", f"{value} ({ends})" if ends else value


def _barrier_pts(settings: Settings, root: str) -> float | None:
    """Distance of the primary barrier, points; ``None`` where it follows the range of each attempt."""
    ticks = settings.labels.primary_barrier.removesuffix("t")
    return int(ticks) * settings.roots[root].tick_size_nanos / 1e9 if ticks.isdigit() else None
