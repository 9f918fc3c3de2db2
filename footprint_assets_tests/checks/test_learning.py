"""The rules of a month: an honest one keeps them, and a fault for every severity is found."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("lightgbm", reason="boosted trees come with the [ml] extra")

from footprint_assets import contracts
from footprint_assets.assets import MONTH_TABLES
from footprint_assets.audit import audit
from footprint_assets.checks import MONTH_CHECKS, Finding, Severity
from footprint_assets.gold_contracts import MODELS, OUT_OF_FOLD, TRAINING_SET
from footprint_assets.lake import InputRef, Lake
from footprint_assets.ml.artefacts import model_of
from footprint_assets.ml.features import allowed
from footprint_assets.ml.leakage import with_earlier_features
from footprint_assets.months import MonthScope
from footprint_assets.resources import Workbench
from footprint_assets.settings import ModelSettings, Settings
from footprint_assets.tables import Staged
from footprint_assets_tests.ml.gold_lake import FEATURES, first_sessions, publish, signals
from footprint_assets_tests.small_market import rows, settings_of

FEBRUARY, MARCH = dt.date(2024, 2, 1), dt.date(2024, 3, 1)
LAST_OF_FEBRUARY = dt.date(2024, 2, 29)
DIRECTION, INDEX = MODELS["direction"], "ml.future.retrieval_index"
CALIBRATOR, PREDICTIONS = "ml.future.calibrator", "ml.future.predictions"
SMALL = ModelSettings(
    min_sessions=4, embargo_sessions=1, max_rounds=6, patience=3, min_data_in_leaf=5, hazard_features=12
)
BY_NAME = {check.name: check for check in MONTH_CHECKS}
SESSIONS = 10
NTH = pl.int_range(pl.len())
DAY = pl.duration(days=1)

Alter = Callable[[pl.DataFrame], pl.DataFrame]
Inject = Callable[[Settings], None]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """February taught March, on some trade dates of ES."""
    settings = settings_of(tmp_path_factory.mktemp("month"), models=SMALL)
    days = [*first_sessions("2024-02", 5), *first_sessions("2024-03", SESSIONS)]
    publish(Lake(settings.lake_root), signals(days, edge=0.4))
    wanted = {check.table for check in MONTH_CHECKS} | {key for check in MONTH_CHECKS for key in check.reads}
    for table in MONTH_TABLES:
        for month in (FEBRUARY, MARCH) if table.key == TRAINING_SET else (MARCH,):
            if table.key in wanted:
                scope = MonthScope(month, Workbench(settings))
                made = table.stage(scope, table.open_inputs(scope), "run")
                assert isinstance(made, Staged)
                made.stage.publish()
    return settings


@pytest.fixture
def month(built: Settings, tmp_path: Path) -> Settings:
    """The same lake, to be changed."""
    shutil.copytree(built.lake_root / "ml", tmp_path / "lake" / "ml")
    return settings_of(tmp_path, models=SMALL)


def retold(
    settings: Settings,
    alter: Alter = lambda frame: frame,
    table: str = TRAINING_SET,
    notes: Mapping[str, object] | None = None,
    made_of: tuple[InputRef, ...] = (),
) -> None:
    """Publish other rows of March, past the contract's checks, as a faulty program might."""
    lake = Lake(settings.lake_root)
    (manifest,) = lake.manifests(table, MARCH).values()
    contract = contracts.load(table)
    altered = alter(rows(lake, table, MARCH)["ES"]).cast(dict(contract.polars_schema))
    lineage = replace(manifest.lineage, inputs=(*manifest.lineage.inputs, *made_of))
    with lake.stage(table, MARCH, lineage=lineage, schema=contract.arrow_schema) as stage:
        stage.write("ES", altered)
        stage.count("ES", rows_in=altered.height, notes=dict(manifest.notes) | dict(notes or {}))
        stage.publish()


def found_by(name: str, settings: Settings) -> list[Finding]:
    return BY_NAME[name].function(Workbench(settings), MARCH)


@dataclass(frozen=True)
class Fault:
    """Something wrong with a month, how bad its check must call it, and where it must say it is."""

    check: str
    severity: Severity
    what: str
    inject: Inject
    first: Mapping[str, object] = field(default_factory=dict)


def row(column: str, value: pl.Expr, table: str = TRAINING_SET, nth: int = 3) -> Inject:
    """One value of one row is another."""
    changed = pl.when(nth == NTH).then(value).otherwise(column).alias(column)
    return lambda settings: retold(settings, lambda frame: frame.with_columns(changed), table)


def every(column: str, value: pl.Expr, table: str) -> Inject:
    """One column is another."""
    return lambda settings: retold(settings, lambda frame: frame.with_columns(value.alias(column)), table)


def telling(noise: float) -> Inject:
    """The outcome with noise is a feature."""

    def alter(frame: pl.DataFrame) -> pl.DataFrame:
        told = (frame["outcome"].cast(pl.String) == "BREAK").cast(pl.Float64).to_numpy()
        value = told + np.random.default_rng(2).normal(0, noise, frame.height)
        return frame.with_columns(pl.Series(FEATURES[3], value, pl.Float32))

    return lambda settings: retold(settings, alter)


def dates_mixed(settings: Settings) -> None:
    """Rows of a trade date are alike, under numbers that do not tell the dates apart."""

    def alter(frame: pl.DataFrame) -> pl.DataFrame:
        day = frame["session_date"].rank("dense").cast(pl.Int64)
        value = np.random.default_rng(4).normal(size=(SESSIONS + 1, len(FEATURES)))[day]
        value += np.random.default_rng(5).normal(size=value.shape) * 0.1
        return frame.with_columns(
            pl.when(day % 2 == 0).then(pl.lit("CHOP")).otherwise(pl.lit("BREAK")).alias("outcome"),
            (NTH % SESSIONS).alias("session"),
            *(pl.Series(name, value[:, k], pl.Float32) for k, name in enumerate(FEATURES)),
        )

    retold(settings, alter)


def made_of_march(table: str, source: str = TRAINING_SET) -> Inject:
    """What was learned for March was made of March."""
    return lambda settings: retold(settings, table=table, made_of=(InputRef(source, MARCH, "ES", "0" * 16),))


def answers_of_the_attempt_before(settings: Settings) -> None:
    """Outcomes are what the model says of the attempt before: its features came too late."""
    model = model_of("direction", rows(Lake(settings.lake_root), DIRECTION, MARCH)["ES"])
    assert model is not None

    def alter(frame: pl.DataFrame) -> pl.DataFrame:
        moved = with_earlier_features(frame, allowed(), 1)
        p = model.predict(moved, allowed().sha256)["p_break"]
        said = moved.select(
            "episode_id", told=pl.when(p > p.median()).then(pl.lit("BREAK")).otherwise(pl.lit("BOUNCE"))
        )
        return (
            frame.join(said, on="episode_id", how="left", maintain_order="left")
            .with_columns(pl.coalesce("told", pl.col("outcome").cast(pl.String)).alias("outcome"))
            .select(frame.columns)
        )

    retold(settings, alter)


LABEL_END, DECISION = pl.col("label_end_ts"), pl.col("decision_ts")
AT_3, ONE_SECOND = {"row": 3}, pl.duration(seconds=1)
TOLD = {"feature": FEATURES[3], "outcome": "break", "told_by": "value"}
FAULTS = (
    Fault("episodes_in_time", "ERROR", "an episode of another month", row("session_date", pl.lit(dt.date(2024, 4, 1)))),
    Fault("episodes_in_time", "ERROR", "judged before it is decided", row("label_end_ts", DECISION - ONE_SECOND), AT_3),
    Fault("only_features_read", "ERROR", "rows of another allow list", lambda s: retold(s, notes={"features_sha256": "ab" * 32})),
    Fault("no_feature_tells_all", "ERROR", "the outcome as a feature", telling(0.3), TOLD),
    Fault("no_feature_tells_all", "WARN", "much of the outcome as a feature", telling(1.2), TOLD),
    Fault("shuffled_outcomes_tell_nothing", "WARN", "trade dates that are not told apart", dates_mixed),
    Fault("neighbours_were_over", "ERROR", "a neighbour of the month itself", row("label_end_ts", LABEL_END + 40 * DAY, INDEX)),
    Fault("neighbours_were_over", "ERROR", "a neighbour without an outcome", row("outcome", pl.lit("UNDEFINED"), INDEX)),
    Fault("learned_before", "ERROR", "a model of the month itself", made_of_march(DIRECTION)),
    Fault("learned_before", "ERROR", "neighbours of the month itself", made_of_march(INDEX)),
    Fault("learned_before", "ERROR", "no embargo", every("last_session_date", pl.lit(LAST_OF_FEBRUARY), DIRECTION)),
    Fault("calibrated_before", "ERROR", "maps of the month itself", made_of_march(CALIBRATOR, OUT_OF_FOLD)),
    Fault("models_read_features", "ERROR", "the outcome among the features", every("features", pl.lit([["outcome"]]).explode(), DIRECTION)),
    Fault("models_read_features", "ERROR", "another allow list", every("features_sha256", pl.lit("ab" * 32), DIRECTION)),
    Fault("models_read_features", "ERROR", "another text", every("text", pl.col("text").str.replace("0", "1"), DIRECTION)),
    Fault("episodes_judged_once", "ERROR", "an episode left out", lambda s: retold(s, lambda f: f.filter(NTH != 3), OUT_OF_FOLD)),
    Fault("episodes_judged_once", "ERROR", "an episode twice", lambda s: retold(s, lambda f: pl.concat([f, f[3]]), OUT_OF_FOLD)),
    Fault("episodes_judged_once", "ERROR", "another outcome", row("outcome", pl.lit("UNDEFINED"), OUT_OF_FOLD)),
    Fault("earlier_features_lose", "WARN", "features that come one attempt too late", answers_of_the_attempt_before),
)  # fmt: skip


def test_every_severity_of_every_check_has_a_fault() -> None:
    wanted = {(check.name, severity) for check in MONTH_CHECKS for severity in check.severities}
    assert {(fault.check, fault.severity) for fault in FAULTS} == wanted


@pytest.mark.parametrize("check", MONTH_CHECKS, ids=lambda check: check.name)
def test_an_honest_month_passes(built: Settings, check: object) -> None:
    findings = check.function(Workbench(built), MARCH)
    assert findings
    assert [finding for finding in findings if not finding.passed or finding.skipped] == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}: {fault.what}")
def test_a_fault_is_found_and_called_as_bad_as_it_is(month: Settings, fault: Fault) -> None:
    fault.inject(month)
    check = BY_NAME[fault.check]

    (finding,) = [finding for finding in found_by(fault.check, month) if not finding.passed]

    assert check.severity_of(finding) == fault.severity
    first = finding.facts.get("first")
    assert {name: first[name] for name in fault.first} == fault.first


def test_what_cannot_be_judged_says_why(month: Settings) -> None:
    retold(month, lambda frame: frame.filter(pl.col("session_date") < dt.date(2024, 3, 5)))
    for key in MODELS.values():
        retold(month, lambda frame: frame.clear(), key)

    reasons = {
        "no_feature_tells_all": "trade dates: 2, needed: 5",
        "shuffled_outcomes_tell_nothing": "trade dates: 2, needed: 10",
        "models_read_features": "no model of the month",
        "earlier_features_lose": "no model of the month",
    }
    for name, reason in reasons.items():
        assert {(finding.passed, finding.skipped) for finding in found_by(name, month)} == {(True, reason)}


def test_the_audit_judges_the_months_of_its_range(month: Settings) -> None:
    row("episode_id", pl.col("episode_id").shift(1))(month)
    shutil.rmtree(month.lake_root / "ml" / "product_type=future" / "symbol=ES" / "table=out_of_fold")
    bench = Workbench(month)

    found = list(audit(bench, MARCH, dt.date(2024, 3, 4)))

    assert {row.trade_date for row in found} == {MARCH}
    judged = {check.name for check in MONTH_CHECKS if check.table != OUT_OF_FOLD}
    assert {row.check.name for row in found} == judged
    assert [row.check.name for row in found if row.is_error] == ["episodes_in_time"]
    assert list(audit(bench, dt.date(2024, 4, 1))) == list(audit(bench, end=dt.date(2024, 1, 31))) == []


def test_every_check_says_its_rule_its_reads_and_its_remedy() -> None:
    for check in MONTH_CHECKS:
        assert check.rule.endswith("."), check.name
        assert len(check.rule) <= 130, check.name
        assert contracts.is_monthly(check.table)
        assert "footprint-assets" in check.remedy_of(MARCH)
        assert "{" not in check.remedy_of(MARCH)
