"""The rules of what is learned month by month: nothing knows the future, and every judgement could have been made then.

The rules themselves are functions of rows (`ml.leakage`); here they meet the tables of a month. ``month`` is its first day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.checks.finding import Check, Finding, Limits
from footprint_assets.checks.reading import table
from footprint_assets.errors import ExtraMissing
from footprint_assets.gold_contracts import MODELS, OUT_OF_FOLD, TRAINING_SET
from footprint_assets.lake import Manifest
from footprint_assets.ml import leakage
from footprint_assets.ml.artefacts import model_of
from footprint_assets.ml.features import allowed
from footprint_assets.ml.heads import HEADS
from footprint_assets.months import sessions_of
from footprint_assets.resources import Workbench

SPACE = "ml.future.retrieval_space"
INDEX = "ml.future.retrieval_index"
CALIBRATOR = "ml.future.calibrator"
PREDICTIONS = "ml.future.predictions"
EPISODES = (TRAINING_SET, OUT_OF_FOLD)
LEARNED = (*MODELS.values(), SPACE, INDEX)
"""What `out_of_fold` asks, all of it learned from episodes."""
LAGGED_ATTEMPTS = 1
"""How many attempts earlier the features of a placebo are."""
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


def _models(bench: Workbench, month: dt.date) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Root, table and rows of every model of a month; none of those that could not be trained."""
    for key in MODELS.values():
        for root, rows in _roots(bench, key, month):
            if rows.height:
                yield root, key, rows


def _late(manifest: Manifest, month: dt.date) -> list[str]:
    """Partitions of episodes of the month itself, or of later ones, that something was made of."""
    return sorted(
        f"{ref.table}/{ref.symbol}/{ref.dt}"
        for ref in manifest.lineage.inputs
        if ref.table in EPISODES and ref.dt >= month
    )


def learned_before(bench: Workbench, month: dt.date) -> list[Finding]:
    """What is learned for a month is made of episodes of earlier months alone, models with the embargo between them."""
    findings, needed = [], bench.settings.models.embargo_sessions
    taught = {(root, key): rows["last_session_date"].max() for root, key, rows in _models(bench, month)}
    for key in LEARNED:
        for root, manifest in sorted(bench.lake.manifests(key, month).items()):
            late, last = _late(manifest, month), taught.get((root, key))
            facts: dict[str, object] = {"table": key, "count": len(late), "first": late[0] if late else None}
            passed = not late
            if isinstance(last, dt.date):
                between = leakage.sessions_between(last, sessions_of(month)[0])
                facts |= {"last_session_date": last, "trade_dates_between": between, "needed": needed}
                passed &= between >= needed
            findings.append(Finding(root, passed, facts))
    return findings


def calibrated_before(bench: Workbench, month: dt.date) -> list[Finding]:
    """The maps of a month's probabilities are fitted on what was said of episodes of earlier months alone."""
    findings = []
    for root, manifest in sorted(bench.lake.manifests(CALIBRATOR, month).items()):
        late = _late(manifest, month)
        facts = {"count": len(late), "first": late[0] if late else None}
        findings.append(Finding(root, not late, facts))
    return findings


def neighbours_were_over(bench: Workbench, month: dt.date) -> list[Finding]:
    """Every episode that a month's setups are compared with was over before the month began, and has an outcome."""
    opens = cme.session(sessions_of(month)[0]).window_ns[0]
    findings = []
    for root, rows in _roots(bench, INDEX, month):
        late = (pl.col("label_end_ts").to_physical() > opens) | (
            pl.col("outcome").cast(pl.String) == "UNDEFINED"
        )
        wrong = rows.filter(late)
        first = {"episode_id": wrong["episode_id"][0]} if wrong.height else None
        facts = {"episodes": rows.height, "count": wrong.height, "first": first}
        findings.append(Finding(root, not wrong.height, facts))
    return findings


def models_read_features(bench: Workbench, month: dt.date) -> list[Finding]:
    """A model reads features of today's allow list and nothing else, and its text is the one that was trained."""
    listed, findings = allowed(), []
    for root, key, rows in _models(bench, month):
        read = sorted({name for names in rows["features"] for name in names})
        wrong = leakage.unlisted(read, listed)
        model = model_of(rows["head"][0], rows)
        assert model is not None
        same_list = rows["features_sha256"].unique().to_list() == [listed.sha256]
        same_text = rows["sha256"].unique().to_list() == [model.sha256]
        facts = {
            "table": key,
            "features": len(read),
            "count": len(wrong),
            "first": wrong[0] if wrong else None,
            "todays_list": same_list,
            "text_as_trained": same_text,
        }
        findings.append(Finding(root, not wrong and same_list and same_text, facts))
    return findings or [Finding.skip("*", "no model of the month")]


def episodes_judged_once(bench: Workbench, month: dt.date) -> list[Finding]:
    """Every episode of the month is judged once, beside the outcome it has in the training set."""
    findings = []
    taught = dict(_roots(bench, TRAINING_SET, month))
    for root, judged in _roots(bench, OUT_OF_FOLD, month):
        rows = taught.get(root, judged.clear())
        shared = [name for name in judged.columns if name in rows.columns]
        same = rows.select(shared).join(judged.select(shared), on=shared, how="semi", nulls_equal=True)
        other = rows.join(same.select("episode_id"), on="episode_id", how="anti")
        beyond = judged.filter(~pl.col("episode_id").is_in(rows["episode_id"].implode()))
        twice = judged.height - judged["episode_id"].n_unique()
        wrong = pl.concat([other["episode_id"], beyond["episode_id"]])
        facts = {
            "episodes": rows.height,
            "judged": judged.height,
            "count": wrong.len() + twice,
            "twice": twice,
            "first": {"episode_id": wrong[0]} if wrong.len() else None,
        }
        findings.append(Finding(root, not wrong.len() and not twice, facts))
    return findings


def earlier_features_lose(bench: Workbench, month: dt.date) -> list[Finding]:
    """The direction model with the features of an earlier attempt does not say more than with those of the attempt."""
    findings, listed = [], allowed()
    models = {root: rows for root, key, rows in _models(bench, month) if key == MODELS["direction"]}
    for root, rows in _roots(bench, TRAINING_SET, month):
        model = model_of("direction", models[root]) if root in models else None
        asked = leakage.with_earlier_features(rows, listed, LAGGED_ATTEMPTS).filter(HEADS["direction"].rows)
        if model is None or asked.is_empty():
            why = "no model of the month" if model is None else "no decided episode with an earlier one"
            findings.append(Finding.skip(root, why))
            continue
        own = asked.select("episode_id").join(rows, on="episode_id", how="left", maintain_order="left")
        y = asked.select(HEADS["direction"].target.cast(pl.Int64).alias("y"))["y"].to_numpy()
        try:
            p, earlier = (model.predict(frame, listed.sha256)["p_break"].to_numpy() for frame in (own, asked))
        except ExtraMissing as error:
            findings.append(Finding.skip(root, str(error)))
            continue
        session = asked["session"].cast(pl.Int64).to_numpy()
        said = leakage.placebo(y, p, earlier, session)
        facts = {
            "episodes": said.rows,
            "log_loss": said.loss,
            "log_loss_of_earlier": said.earlier_loss,
            "lost_low": said.low,
            "lost_high": said.high,
        }
        findings.append(Finding(root, not said.is_alarm, facts))
    return findings


CHECKS: tuple[Check, ...] = (
    Check.of(episodes_in_time, TRAINING_SET, "ERROR", remedy=LEARN_AGAIN),
    Check.of(only_features_read, TRAINING_SET, "ERROR", remedy=LEARN_AGAIN),
    Check.of(no_feature_tells_all, TRAINING_SET, "ERROR", warns_first=True, remedy=LOOK_CLOSER),
    Check.of(shuffled_outcomes_tell_nothing, TRAINING_SET, "WARN", remedy=LOOK_CLOSER),
    Check.of(neighbours_were_over, INDEX, "ERROR", remedy=LEARN_AGAIN),
    Check.of(learned_before, OUT_OF_FOLD, "ERROR", *LEARNED, remedy=LEARN_AGAIN),
    Check.of(calibrated_before, PREDICTIONS, "ERROR", CALIBRATOR, remedy=LEARN_AGAIN),
    Check.of(models_read_features, OUT_OF_FOLD, "ERROR", *MODELS.values(), remedy=LEARN_AGAIN),
    Check.of(episodes_judged_once, OUT_OF_FOLD, "ERROR", TRAINING_SET, remedy=LEARN_AGAIN),
    Check.of(
        earlier_features_lose, OUT_OF_FOLD, "WARN", TRAINING_SET, MODELS["direction"], remedy=LOOK_CLOSER
    ),
)
