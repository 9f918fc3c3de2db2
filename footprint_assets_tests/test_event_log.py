"""The event log held open is Dagster's own SQLite event log."""

import shutil
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pytest

from footprint_assets.event_log import OPEN_FILES, OpenEventLogStorage

STORAGE = str(files("footprint_assets").joinpath("dagster.yaml"))


@dg.op
def greet(context: dg.OpExecutionContext) -> None:
    context.log_event(dg.AssetMaterialization("greeting", partition=context.run.tags["day"]))


@dg.job
def greeting() -> None:
    greet()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(STORAGE, tmp_path / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def run(instance: dg.DagsterInstance, day: str) -> list[str]:
    result = greeting.execute_in_process(instance=instance, tags={"day": day})
    return [entry.dagster_event_type for entry in instance.all_logs(result.run_id) if entry.is_dagster_event]


def partitions(instance: dg.DagsterInstance) -> set[str]:
    found = instance.fetch_materializations(dg.AssetKey("greeting"), limit=100).records
    return {record.partition_key for record in found if record.partition_key}


def test_dagsters_own_storage_reads_and_continues_it(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, OpenEventLogStorage)
        events = run(instance, "mon")
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    with dg.DagsterInstance.get() as instance:
        assert not isinstance(instance.event_log_storage, OpenEventLogStorage)
        assert partitions(instance) == {"mon"}
        assert run(instance, "tue") == events
        assert partitions(instance) == {"mon", "tue"}


def test_two_processes_see_each_others_runs(home: Path) -> None:
    with dg.DagsterInstance.get() as one, dg.DagsterInstance.get() as other:
        run(one, "mon")
        run(other, "tue")

        assert partitions(one) == partitions(other) == {"mon", "tue"}


def test_many_runs_hold_few_files_open(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        for number in range(OPEN_FILES + 3):
            run(instance, f"day {number}")

        held = {link.resolve() for link in Path("/proc/self/fd").iterdir() if link.resolve().suffix == ".db"}
        assert (
            2 <= len([path for path in held if path.is_relative_to(home / "history" / "runs")]) <= OPEN_FILES
        )
    assert not list((home / "history" / "runs").glob("*-wal")), (
        "every log is whole where the instance is over"
    )
