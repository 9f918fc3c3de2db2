"""The trainings of a month as runs of a tracker: what was learned with what, and what it is worth on the month."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from footprint_assets.assets.judging import CALIBRATION_REPORT, MODEL_CARD, champion_of
from footprint_assets.gold_contracts import MODELS
from footprint_assets.lake import Manifest
from footprint_assets.resources import Workbench
from footprint_assets.tables import TableInput
from footprint_assets.tracking import TrackedRun, identity_of, tracker_of

TRACKED_RUNS = "page.future.tracked_runs"
"""Key of the asset that writes down the trainings of a month."""

SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "tradeability": ("p_tradeable",),
    "direction": ("p_break",),
    "strength": ("strength",),
    "time_to_threshold": ("p_break_by_b12", "p_bounce_by_b12"),
}
"""Subjects of the calibration report that say what a head is worth."""


@dataclass(frozen=True)
class Tracked:
    """What became of the trainings of a month.

    Args:
        recorded: Runs written down now, as ``head root``.
        known: Runs that were there already.
    """

    recorded: tuple[str, ...]
    known: tuple[str, ...]


def models_of(month: dt.date, bench: Workbench) -> Iterator[tuple[str, str, Manifest]]:
    """Every model of a month that was trained: head, product root, manifest of its table."""
    for head, key in MODELS.items():
        manifests = bench.lake.manifests(key, month)
        for root, manifest in sorted(manifests.items()):
            if manifest.rows:
                yield head, root, manifest


def track(bench: Workbench, month: dt.date, run_id: str = "") -> Tracked:
    """Write down the trainings of a month with the tracker of the settings.

    Args:
        bench: The settings and the lake.
        month: First day of the month.
        run_id: Dagster's run; that of each model where empty.

    Raises:
        ExtraMissing: The tracker's package is not installed.
        TrackingBusy: Another process holds the tracker's store.
    """
    tracker = tracker_of(bench.settings)
    made: dict[bool, list[str]] = {True: [], False: []}
    for head, root, manifest in models_of(month, bench):
        run = run_of(bench, month, head, root, manifest, run_id)
        made[tracker.record(run)].append(f"{head} {root}")
    return Tracked(tuple(made[True]), tuple(made[False]))


def run_of(
    bench: Workbench, month: dt.date, head: str, root: str, manifest: Manifest, run_id: str = ""
) -> TrackedRun:
    """One training as a tracker takes it.

    Args:
        bench: The settings and the lake.
        month: First day of the month.
        head: What was learned.
        root: Product root.
        manifest: Of the model's table.
        run_id: Dagster's run; that of the manifest where empty.
    """
    facts = _rows(bench, MODELS[head], month, root).drop("text", "features").row(0, named=True)
    sizes = {name: float(facts[name]) for name in ("rows", "sessions")}
    return TrackedRun(
        experiment=head,
        root=root,
        partition=month.isoformat(),
        sha256=facts["sha256"],
        params={name: str(value) for name, value in bench.settings.models.model_dump().items()},
        metrics=sizes | _metrics(_rows(bench, CALIBRATION_REPORT, month, root), SUBJECTS[head]),
        tags={
            "dagster/run_id": run_id or manifest.lineage.run_id,
            "dagster/asset_key": MODELS[head].replace(".", "/"),
            "dagster/partition": month.isoformat(),
            "feature_spec_sha": facts["features_sha256"],
            "data_versions": " ".join(
                f"{ref.table.rpartition('.')[2]}@{ref.dt}:{ref.generation}" for ref in manifest.lineage.inputs
            ),
            "code_version": manifest.lineage.code_version,
            "config_hash": manifest.lineage.config_hash,
            "train_first_session": str(facts["first_session_date"]),
            "train_last_session": str(facts["last_session_date"]),
        },
        texts=_card(_rows(bench, MODEL_CARD, month, root), head),
        champion=_champion(bench, head, root),
    )


def _champion(bench: Workbench, head: str, root: str) -> str:
    """Identity of the run whose model is in use now; empty where none is."""
    chosen = champion_of(bench.lake, head, root)
    if chosen is None or chosen["champion_month"] is None:
        return ""
    return identity_of(head, root, str(chosen["champion_month"]), str(chosen["champion_sha256"]))


def _rows(bench: Workbench, table: str, month: dt.date, root: str) -> pl.DataFrame:
    """Rows of a table of the month; none where it is not published."""
    return TableInput(bench.lake, table, (month,), optional=True).frame(root)


def _metrics(report: pl.DataFrame, subjects: tuple[str, ...]) -> dict[str, float]:
    """Numbers over all rows, each with the ends of its band where it has one."""
    whole = report.filter(pl.col("split") == "all", pl.col("subject").is_in(list(subjects)))
    found: dict[str, float] = {}
    for row in whole.iter_rows(named=True):
        for end in ("value", "low", "high"):
            if row[end] is not None:
                name = f"{row['subject']}.{row['measure']}"
                found[name if end == "value" else f"{name}.{end}"] = float(row[end])
    return found


def _card(cards: pl.DataFrame, head: str) -> dict[str, str]:
    own = cards.filter(pl.col("head").cast(pl.String) == head)
    return {"card.md": own["card_markdown"][0], "card.json": own["card_json"][0]} if own.height else {}
