"""Pruning: what is superseded or failed goes, with its files; the latest word on a partition or check never does."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pytest

from footprint_assets.prune import prune_runs
from footprint_assets_tests.command_line import Shell

LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
DAYS = dg.StaticPartitionsDefinition(["mon", "tue"])
KEY = dg.AssetKey("table")
CHECK = dg.AssetCheckKey(KEY, "rule")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster home of the shipped configuration."""
    shutil.copy(str(files("footprint_assets").joinpath("dagster.yaml")), tmp_path / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


def made(instance: dg.DagsterInstance, day: str, *, fails: bool = False, checks: bool = True) -> str:
    """Run a table of a day, with its rule where asked for; the run's id."""

    @dg.asset(partitions_def=DAYS)
    def table() -> None:
        if fails:
            raise ValueError("faulty rows")

    @dg.asset_check(asset=table, partitions_def=DAYS)
    def rule() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    result = dg.materialize(
        [table, rule] if checks else [table],
        partition_key=day,
        instance=instance,
        raise_on_error=False,
    )
    return result.run_id


def shards(home: Path) -> set[str]:
    """Runs that have an event file."""
    return {path.name.partition(".db")[0] for path in (home / "history" / "runs").glob("*.db*")} - {"index"}


def left(instance: dg.DagsterInstance) -> set[str]:
    return {run.run_id for run in instance.get_runs()}


def test_superseded_and_failed_runs_go_with_their_files(instance: dg.DagsterInstance, home: Path) -> None:
    first, failed = made(instance, "mon"), made(instance, "mon", fails=True, checks=False)
    latest, other_day = made(instance, "mon"), made(instance, "tue")
    assert (home / "storage" / first).is_dir(), "captured output"

    pruned = prune_runs(instance, [CHECK], LATER)

    assert (pruned.runs, pruned.kept) == (2, 2)
    assert pruned.bytes > 0
    assert left(instance) == shards(home) == {latest, other_day}
    assert not (home / "storage" / first).exists()
    assert failed not in left(instance)
    assert instance.get_materialized_partitions(KEY) == {"mon", "tue"}
    infos = instance.event_log_storage.get_asset_check_partition_info([CHECK])
    assert {info.partition_key: info.latest_planned_run_id for info in infos} == {
        "mon": latest,
        "tue": other_day,
    }
    assert prune_runs(instance, [CHECK], LATER).runs == 0


def test_the_latest_check_keeps_a_run_whose_table_is_superseded(instance: dg.DagsterInstance) -> None:
    judged, latest = made(instance, "mon"), made(instance, "mon", checks=False)

    prune_runs(instance, [CHECK], LATER)

    assert left(instance) == {judged, latest}


def test_a_failed_run_with_the_latest_record_of_a_check_stays(instance: dg.DagsterInstance) -> None:
    failed = made(instance, "mon", fails=True)  # the check was planned, and never made

    prune_runs(instance, [CHECK], LATER)

    assert left(instance) == {failed}


def test_what_is_young_or_in_progress_stays(instance: dg.DagsterInstance) -> None:
    young = {made(instance, "mon"), made(instance, "mon")}
    started = instance.create_run_for_job(
        dg.GraphDefinition("empty").to_job(), status=dg.DagsterRunStatus.STARTED
    ).run_id

    assert prune_runs(instance, [CHECK], LATER - dt.timedelta(days=3)).runs == 0

    assert left(instance) == young | {started}
    prune_runs(instance, [CHECK], LATER)
    assert started in left(instance)


def test_a_dry_run_counts_what_would_go_and_deletes_nothing(instance: dg.DagsterInstance, home: Path) -> None:
    made(instance, "mon")
    made(instance, "mon")
    before = left(instance), shards(home)

    pruned = prune_runs(instance, [CHECK], LATER, dry_run=True)

    assert (pruned.runs, pruned.kept) == (1, 1)
    assert pruned.bytes > 0
    assert (left(instance), shards(home)) == before


def test_a_file_whose_run_was_deleted_in_the_ui_goes_too(instance: dg.DagsterInstance, home: Path) -> None:
    deleted, latest = made(instance, "mon"), made(instance, "mon")
    instance.delete_run(deleted)
    assert shards(home) == {deleted, latest}

    prune_runs(instance, [CHECK], LATER)

    assert shards(home) == {latest}


def test_the_runs_of_a_backfill_in_progress_stay(instance: dg.DagsterInstance) -> None:
    from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

    backfill = PartitionBackfill(
        backfill_id="b",
        status=BulkActionStatus.REQUESTED,
        from_failure=False,
        tags={},
        backfill_timestamp=0.0,
    )
    instance.add_backfill(backfill)
    needed = instance.create_run_for_job(
        dg.GraphDefinition("empty").to_job(),
        status=dg.DagsterRunStatus.FAILURE,
        tags={"dagster/backfill": "b"},
    ).run_id

    prune_runs(instance, [CHECK], LATER)
    assert left(instance) == {needed}
    instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))
    prune_runs(instance, [CHECK], LATER)
    assert left(instance) == set()


def test_the_command_says_what_it_did(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(home, monkeypatch, capsys)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        made(instance, "mon", fails=True, checks=False)
    assert shell("prune-runs --older-than 1").out.startswith("0 runs deleted")
    assert shell("prune-runs --older-than 0 --dry-run").out.startswith("1 runs would be deleted")
    assert shell("prune-runs --older-than 0").out.startswith("1 runs deleted")
