"""The rules of a month: an honest one keeps them, and a fault for every severity is found."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from footprint_assets import contracts
from footprint_assets.assets.learning import training_set
from footprint_assets.audit import audit
from footprint_assets.checks import MONTH_CHECKS, Finding, Severity
from footprint_assets.lake import Lake
from footprint_assets.months import MonthScope
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tables import Staged
from footprint_assets_tests.ml.gold_lake import FEATURES, first_sessions, publish, signals
from footprint_assets_tests.small_market import rows, settings_of

MARCH = dt.date(2024, 3, 1)
TRAINING_SET = "ml.future.training_set"
BY_NAME = {check.name: check for check in MONTH_CHECKS}
SESSIONS = 12
NTH = pl.int_range(pl.len())
DAY = pl.duration(days=1)

Alter = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A month that was learned from: some trade dates of ES."""
    settings = settings_of(tmp_path_factory.mktemp("month"))
    publish(Lake(settings.lake_root), signals(first_sessions("2024-03", SESSIONS), edge=0.4))
    scope = MonthScope(MARCH, Workbench(settings))
    made = training_set.stage(scope, training_set.open_inputs(scope), "run")
    assert isinstance(made, Staged)
    made.stage.publish()
    return settings


@pytest.fixture
def month(built: Settings, tmp_path: Path) -> Settings:
    """The same lake, to be changed."""
    shutil.copytree(built.lake_root / "ml", tmp_path / "lake" / "ml")
    return settings_of(tmp_path)


def retold(settings: Settings, alter: Alter, notes: Mapping[str, object] | None = None) -> None:
    """Publish other rows of the month, past the contract's checks, as a faulty program might."""
    lake = Lake(settings.lake_root)
    (manifest,) = lake.manifests(TRAINING_SET, MARCH).values()
    contract = contracts.load(TRAINING_SET)
    altered = alter(rows(lake, TRAINING_SET, MARCH)["ES"]).cast(dict(contract.polars_schema))
    with lake.stage(TRAINING_SET, MARCH, lineage=manifest.lineage, schema=contract.arrow_schema) as stage:
        stage.write("ES", altered)
        stage.count("ES", rows_in=altered.height, notes=dict(manifest.notes) | dict(notes or {}))
        stage.publish()


def found_by(name: str, settings: Settings) -> list[Finding]:
    return BY_NAME[name].function(Workbench(settings), MARCH)


@dataclass(frozen=True)
class Fault:
    """Something wrong with a month, and how bad its check must call it."""

    check: str
    severity: Severity
    what: str
    alter: Alter = lambda frame: frame
    notes: Mapping[str, object] | None = None
    first: Mapping[str, object] | None = None


def with_value(column: str, value: pl.Expr, row: int = 3) -> Alter:
    return lambda frame: frame.with_columns(pl.when(row == NTH).then(value).otherwise(column).alias(column))


def telling(noise: float) -> Alter:
    """The outcome with noise as a feature."""

    def alter(frame: pl.DataFrame) -> pl.DataFrame:
        told = (frame["outcome"].cast(pl.String) == "BREAK").cast(pl.Float64).to_numpy()
        value = told + np.random.default_rng(2).normal(0, noise, frame.height)
        return frame.with_columns(pl.Series(FEATURES[3], value, pl.Float32))

    return alter


def of_one_day(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of a trade date alike in features and outcome, under numbers that do not tell the dates apart."""
    day = frame["session_date"].rank("dense").cast(pl.Int64)
    value = np.random.default_rng(4).normal(size=(day.max() + 1, len(FEATURES)))[day]
    noise = np.random.default_rng(5).normal(size=value.shape) * 0.1
    return frame.with_columns(
        pl.when(day % 2 == 0).then(pl.lit("CHOP")).otherwise(pl.lit("BREAK")).alias("outcome"),
        (NTH % SESSIONS).alias("session"),
        *(pl.Series(name, value[:, k] + noise[:, k], pl.Float32) for k, name in enumerate(FEATURES)),
    )


LABEL_END, DECISION = pl.col("label_end_ts"), pl.col("decision_ts")
FAULTS = (
    Fault("episodes_in_time", "ERROR", "an episode of another month", with_value("session_date", pl.lit(dt.date(2024, 4, 1)))),
    Fault("episodes_in_time", "ERROR", "decided on another trade date", with_value("decision_ts", DECISION - 2 * DAY), first={"row": 3}),
    Fault("episodes_in_time", "ERROR", "judged before it is decided", with_value("label_end_ts", DECISION - pl.duration(seconds=1)), first={"row": 3}),
    Fault("episodes_in_time", "ERROR", "judged on a later trade date", with_value("label_end_ts", LABEL_END + 5 * DAY), first={"row": 3}),
    Fault("episodes_in_time", "ERROR", "an episode twice", with_value("episode_id", pl.col("episode_id").shift(1)), first={"row": 3}),
    Fault("only_features_read", "ERROR", "rows of another allow list", notes={"features_sha256": "ab" * 32}),
    Fault("no_feature_tells_all", "ERROR", "the outcome as a feature", telling(0.3), first={"feature": FEATURES[3], "outcome": "break", "told_by": "value"}),
    Fault("no_feature_tells_all", "WARN", "much of the outcome as a feature", telling(1.2), first={"feature": FEATURES[3], "outcome": "break", "told_by": "value"}),
    Fault("shuffled_outcomes_tell_nothing", "WARN", "trade dates that are not told apart", of_one_day),
)  # fmt: skip


def test_every_severity_of_every_check_has_a_fault() -> None:
    wanted = {(check.name, severity) for check in MONTH_CHECKS for severity in check.severities}
    assert {(fault.check, fault.severity) for fault in FAULTS} == wanted


@pytest.mark.parametrize("check", MONTH_CHECKS, ids=lambda check: check.name)
def test_an_honest_month_passes(built: Settings, check: object) -> None:
    (finding,) = check.function(Workbench(built), MARCH)
    assert finding.symbol == "ES"
    assert finding.passed
    assert not finding.skipped


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}: {fault.what}")
def test_a_fault_is_found_and_called_as_bad_as_it_is(month: Settings, fault: Fault) -> None:
    retold(month, fault.alter, fault.notes)
    check = BY_NAME[fault.check]

    (finding,) = found_by(fault.check, month)

    assert not finding.passed
    assert check.severity_of(finding) == fault.severity
    first = finding.facts.get("first")
    assert {name: first[name] for name in fault.first or {}} == (fault.first or {})


def test_what_cannot_be_judged_says_why(month: Settings) -> None:
    retold(month, lambda frame: frame.filter(pl.col("session_date") < dt.date(2024, 3, 5)))

    (told,) = found_by("no_feature_tells_all", month)
    (shuffled,) = found_by("shuffled_outcomes_tell_nothing", month)

    assert (told.passed, told.skipped) == (True, "trade dates: 2, needed: 5")
    assert (shuffled.passed, shuffled.skipped) == (True, "trade dates: 2, needed: 10")


def test_the_audit_judges_the_months_of_its_range(month: Settings) -> None:
    retold(month, with_value("episode_id", pl.col("episode_id").shift(1)))
    bench = Workbench(month)

    found = list(audit(bench, MARCH, dt.date(2024, 3, 4)))

    assert {row.trade_date for row in found} == {MARCH}
    assert {row.check.name for row in found} == {
        check.name for check in MONTH_CHECKS if check.table == TRAINING_SET
    }
    assert [row.check.name for row in found if row.is_error] == ["episodes_in_time"]
    assert list(audit(bench, dt.date(2024, 4, 1))) == list(audit(bench, end=dt.date(2024, 2, 29))) == []


def test_every_check_says_its_rule_its_reads_and_its_remedy() -> None:
    for check in MONTH_CHECKS:
        assert check.rule.endswith("."), check.name
        assert len(check.rule) <= 130, check.name
        assert contracts.is_monthly(check.table)
        assert "footprint-assets" in check.remedy_of(MARCH)
        assert "{" not in check.remedy_of(MARCH)
