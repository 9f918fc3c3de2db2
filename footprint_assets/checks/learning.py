"""The rules of what is learned month by month: nothing knows the future, and every judgement could have been made then.

The rules themselves are functions of rows (`ml.leakage`); here they meet the tables of a month. ``month`` is its first day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl

from footprint_assets import contracts
from footprint_assets.checks.finding import Check, Finding, Limits
from footprint_assets.checks.reading import table
from footprint_assets.gold_contracts import TRAINING_SET
from footprint_assets.ml import leakage
from footprint_assets.ml.features import allowed
from footprint_assets.months import sessions_of
from footprint_assets.resources import Workbench

LEARN_AGAIN = "footprint-assets learn --start {month} --end {month}"
LOOK_CLOSER = (
    "look at the feature with footprint-assets show ml.future.training_set --date {day}; "
    "the thresholds are FOOTPRINT_QUALITY__LONE_FEATURE_..."
)
SHOWN = 5


def _roots(bench: Workbench, key: str, month: dt.date) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of every product root of a month."""
    of_month = table(bench, key, month)
    for root in of_month.symbols():
        yield root, of_month.frame(root)


def episodes_in_time(bench: Workbench, month: dt.date) -> list[Finding]:
    """Episodes are of the month, each once, decided before they are judged, both on their trade date."""
    findings = []
    for root, rows in _roots(bench, TRAINING_SET, month):
        other = rows.filter(~pl.col("session_date").is_in(sessions_of(month)))
        broken = {"of_another_month": other.height} | {
            name: breach.count for name, breach in leakage.badly_timed(rows).items()
        }
        breaches = leakage.badly_timed(rows).values()
        first = next((breach.first for breach in breaches if breach.first), None)
        if other.height and first is None:
            first = {"episode_id": other["episode_id"][0]}
        facts = {"episodes": rows.height, "count": sum(broken.values()), "first": first} | broken
        findings.append(Finding(root, not any(broken.values()), facts))
    return findings


def only_features_read(bench: Workbench, month: dt.date) -> list[Finding]:
    """What a model may read of an episode is the allow list, in its order: no label, no identity, nothing else."""
    listed = allowed()
    schema = contracts.load(TRAINING_SET)
    features = schema.columns_of_kind("feature")
    others = {field.name for field in schema.fields if field.kind != "feature"}
    wrong = [
        *leakage.unlisted(features, listed),
        *(name for name in listed.names if name not in features or name in others),
    ]
    findings = []
    for root, manifest in sorted(bench.lake.manifests(TRAINING_SET, month).items()):
        made_by = manifest.notes.get("features_sha256")
        facts: dict[str, object] = {
            "features": len(features),
            "count": len(wrong),
            "first": wrong[0] if wrong else None,
            "wrong": wrong[:SHOWN],
            "made_by": made_by,
            "features_sha256": listed.sha256,
        }
        findings.append(Finding(root, not wrong and made_by == listed.sha256, facts))
    return findings


def no_feature_tells_all(bench: Workbench, month: dt.date) -> list[Finding]:
    """No feature, and no gap in one, tells the outcome alone better than a market lets it, and than chance can."""
    quality, listed, findings = bench.settings.quality, allowed(), []
    limits = Limits(quality.lone_feature_warn_auc, quality.lone_feature_error_auc)
    for root, rows in _roots(bench, TRAINING_SET, month):
        dates = rows["session_date"].n_unique()
        told = leakage.alone(rows, listed)
        if dates < quality.min_sessions or not told:
            findings.append(Finding.skip(root, f"trade dates: {dates}, needed: {quality.min_sessions}"))
            continue
        beyond = [one for one in told if one.beyond(quality.lone_feature_warn_auc)]
        best = max(beyond or told, key=lambda one: one.auc)
        facts = {
            "episodes": rows.height,
            "features": len(listed.names),
            "count": len(beyond),
            "first": {"feature": best.feature, "outcome": best.target, "told_by": best.told_by},
            "auc": best.auc,
            "chance": best.null,
        }
        findings.append(limits.judge(root, best.auc if beyond else 0.5, facts))
    return findings


def shuffled_outcomes_tell_nothing(bench: Workbench, month: dt.date) -> list[Finding]:
    """With the outcomes of other trade dates, folds of whole trade dates find nothing; what single rows find is told."""
    findings = []
    for root, rows in _roots(bench, TRAINING_SET, month):
        found = leakage.on_shuffled_outcomes(rows, allowed(), bench.settings.models.embargo_sessions)
        if found is None:
            dates = rows["session_date"].n_unique()
            findings.append(Finding.skip(root, f"trade dates: {dates}, needed: {2 * leakage.FOLDS}"))
            continue
        facts = {
            "episodes": found.rows,
            "auc_by_trade_date": found.by_session,
            "chance": found.high,
            "auc_by_row": found.by_row,
        }
        findings.append(Finding(root, found.by_session <= found.high, facts))
    return findings


CHECKS: tuple[Check, ...] = (
    Check.of(episodes_in_time, TRAINING_SET, "ERROR", remedy=LEARN_AGAIN),
    Check.of(only_features_read, TRAINING_SET, "ERROR", remedy=LEARN_AGAIN),
    Check.of(no_feature_tells_all, TRAINING_SET, "ERROR", warns_first=True, remedy=LOOK_CLOSER),
    Check.of(shuffled_outcomes_tell_nothing, TRAINING_SET, "WARN", remedy=LOOK_CLOSER),
)
