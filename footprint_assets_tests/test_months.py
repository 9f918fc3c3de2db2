"""Tables with a partition a calendar month: which inputs a month reads, and when it is made again."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.assets import MONTH_TABLES
from footprint_assets.assets.learning import FEATURES_NOTE, training_set
from footprint_assets.lake import Lake, PartitionMissing
from footprint_assets.lake_asset import build_month_assets
from footprint_assets.ml.features import allowed
from footprint_assets.months import (
    MonthScope,
    NoSuchMonth,
    contracts_by_root,
    month_asset,
    month_of,
    months_before,
    sessions_of,
)
from footprint_assets.resources import Workbench
from footprint_assets.settings import LabelSettings, Settings
from footprint_assets.tables import Staged, Unchanged
from footprint_assets_tests.ml.gold_lake import A_DAY, SIGNALS, first_sessions, publish, signals
from footprint_assets_tests.runs import contract_checks, failure_of, materialized, resources
from footprint_assets_tests.small_market import rows, settings_of

MARCH = dt.date(2024, 3, 1)
KEY = "ml.future.training_set"
DAYS = first_sessions("2024-03", 2)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The signals of the first two trade dates of March, of two ES contracts and of NQ."""
    root = tmp_path_factory.mktemp("gold")
    first, second = DAYS
    rows_of_both = [signals([first], "ESH4"), signals([second], "ESM4"), signals(DAYS, "NQM4", seed=1)]
    publish(Lake(settings_of(root).lake_root), pl.concat(rows_of_both))
    return root


@pytest.fixture
def gold(published: Path, tmp_path: Path) -> Settings:
    """A lake of these signals, to be changed."""
    shutil.copytree(published, tmp_path / "gold")
    return settings_of(tmp_path / "gold")


def make(settings: Settings, month: dt.date = MARCH) -> Staged | Unchanged:
    """Compute and publish the training set of a month without Dagster."""
    scope = MonthScope(month, Workbench(settings))
    made = training_set.stage(scope, training_set.open_inputs(scope), "run")
    if isinstance(made, Staged):
        made.stage.publish()
    return made


def run(
    settings: Settings, instance: dg.DagsterInstance, month: str = "2024-03-01"
) -> dg.ExecuteInProcessResult:
    """Materialize the training set of a month."""
    assets = build_month_assets([training_set], settings)
    job = dg.define_asset_job("run", dg.AssetSelection.assets(*(asset.key for asset in assets)))
    definitions = dg.Definitions(assets, jobs=[job], resources=resources(settings))
    return definitions.resolve_job_def("run").execute_in_process(
        partition_key=month, instance=instance, raise_on_error=False
    )


def test_a_month_has_the_sessions_of_its_days() -> None:
    assert sessions_of(dt.date(2024, 6, 1)) == tuple(cme.sessions(dt.date(2024, 6, 3), dt.date(2024, 6, 28)))
    assert dt.date(2024, 2, 29) in sessions_of(dt.date(2024, 2, 1))


def test_the_months_before_a_month_end_where_the_calendar_begins() -> None:
    january = dt.date(2024, 1, 1)
    assert months_before(january, 2) == (dt.date(2023, 11, 1), dt.date(2023, 12, 1))
    assert months_before(dt.date(2010, 9, 1), 12) == (dt.date(2010, 7, 1), dt.date(2010, 8, 1))
    assert months_before(cme.FIRST_MONTH, 12) == ()


@pytest.mark.parametrize("text", ["2024-6", "2024-06-01", "2024-13", "../2024-06", "1999-01", "2031-01", ""])
def test_a_text_that_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(NoSuchMonth):
        month_of(text)
    assert month_of("2024-06") == dt.date(2024, 6, 1)


def test_a_month_reads_its_days_its_own_tables_and_the_months_before(tmp_path: Path) -> None:
    @month_asset(
        "ml.future.example",
        days={"by_day": SIGNALS},
        months={"own": KEY},
        earlier={
            "two": (KEY, 2),
            "window": (KEY, lambda settings: settings.labels.primary_horizon_seconds // 120),
        },
    )
    def example(scope, by_day, own, two, window): ...

    opened = example.open_inputs(MonthScope(MARCH, Workbench(settings_of(tmp_path))))

    assert opened["by_day"].dates == sessions_of(MARCH)
    assert opened["own"].dates == (MARCH,)
    assert opened["two"].dates == (dt.date(2024, 1, 1), dt.date(2024, 2, 1))
    assert opened["window"].dates == months_before(MARCH, 4)
    assert {name for name, table in opened.items() if table.optional} == {"by_day", "two", "window"}


def test_a_training_set_has_every_episode_of_the_month_by_product(gold: Settings) -> None:
    staged = make(gold)

    assert isinstance(staged, Staged)
    made = rows(Lake(gold.lake_root), KEY, MARCH)
    assert {root: frame.height for root, frame in made.items()} == {"ES": 2 * A_DAY, "NQ": 2 * A_DAY}
    es = made["ES"]
    assert es["contract"].unique(maintain_order=True).to_list() == ["ESH4", "ESM4"]
    assert es["session_date"].unique(maintain_order=True).to_list() == DAYS
    assert es.equals(es.sort("session_date", "decision_ts", "episode_id"))
    assert (es["decision_ts"] < es["label_end_ts"]).all()


def test_its_manifest_says_which_trade_dates_and_which_features(gold: Settings) -> None:
    make(gold)

    manifest = Lake(gold.lake_root).manifests(KEY, MARCH)["ES"]
    assert manifest.notes[FEATURES_NOTE] == allowed().sha256
    assert manifest.notes["trade_dates"] == 2
    assert manifest.notes["not_published"] == [str(day) for day in sessions_of(MARCH)[2:]]
    assert manifest.rows_in == manifest.rows == 2 * A_DAY


def test_it_is_made_again_when_a_trade_date_arrives_or_a_label_changes_and_only_then(gold: Settings) -> None:
    make(gold)
    assert isinstance(make(gold), Unchanged)
    other = gold.model_copy(update={"labels": LabelSettings(primary_barrier="4t")})
    assert not training_set.is_current(MonthScope(MARCH, Workbench(other)))

    publish(Lake(gold.lake_root), signals(first_sessions("2024-03", 3)[2:]))

    assert isinstance(make(gold), Staged)
    assert rows(Lake(gold.lake_root), KEY, MARCH)["ES"].height == 3 * A_DAY


def test_the_contracts_of_a_month_are_told_apart_by_product(gold: Settings) -> None:
    table = training_set.open_inputs(MonthScope(MARCH, Workbench(gold)))["signals"]
    assert contracts_by_root(table, MARCH) == {"ES": ["ESH4", "ESM4"], "NQ": ["NQM4"]}


def test_a_month_without_a_published_trade_date_fails_and_says_what_mends_it(gold: Settings) -> None:
    with pytest.raises(PartitionMissing, match="backfill --start 2024-04-01 --end 2024-04-30"):
        make(gold, dt.date(2024, 4, 1))
    assert Lake(gold.lake_root).dates(KEY) == []


def test_an_input_of_a_month_that_is_missing_is_mended_by_learning_the_month(gold: Settings) -> None:
    @month_asset("ml.future.example", months={"own": KEY})
    def example(scope, own): ...

    own = example.open_inputs(MonthScope(MARCH, Workbench(gold)))["own"]
    with pytest.raises(PartitionMissing, match="footprint-assets learn --start 2024-03 --end 2024-03"):
        own.frame()


def test_a_month_run_by_dagster_is_published_recorded_and_its_contract_checked(gold: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(gold, instance).success
        again = run(gold, instance)
        failed = run(gold, instance, "2024-04-01")

        checks = contract_checks(instance, KEY)
    assert checks[:2] == [("SUCCEEDED", "2024-03-01")] * 2
    assert ("SUCCEEDED", "2024-04-01") not in checks
    assert materialized(again)[KEY]["written"] == "unchanged"
    assert materialized(again)[KEY]["dagster/partition_row_count"] == 4 * A_DAY
    assert "is published for no trade date of 2024-04" in failure_of(failed).user_failure_data.description


def test_every_month_table_has_a_contract_and_comes_after_its_inputs() -> None:
    assert sorted(table.key for table in MONTH_TABLES) == contracts.month_keys()
    seen: set[str] = set()
    for table in MONTH_TABLES:
        assert {key for name, key in table.inputs.items() if name not in table.days} <= seen, table.key
        seen.add(table.key)


def test_the_training_set_has_the_features_of_the_allow_list_in_its_order() -> None:
    contract = contracts.load(KEY)
    assert contract.columns_of_kind("feature") == allowed().names
    assert {contract.field(name).physical for name in allowed().names} == {"float32"}


def test_a_month_whose_own_table_fails_is_read_by_nothing_that_looks_back_at_it() -> None:
    @month_asset(
        "ml.future.example",
        days={"by_day": SIGNALS},
        earlier={"rows": (KEY, 2), "before": ("ml.future.example", 1)},
    )
    def example(scope, by_day, rows, before): ...

    assert example.comes_after == {SIGNALS, KEY}
