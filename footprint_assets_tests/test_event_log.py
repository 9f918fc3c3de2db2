"""The event log held open is Dagster's own SQLite event log."""

import os
import shutil
from importlib.resources import files
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import dagster as dg
import pytest

from footprint_assets.event_log import OPEN_FILES, OpenEventLogStorage

STORAGE = str(files("footprint_assets").joinpath("dagster.yaml"))
PROCESSES, NEW_HOMES = 3, 4
START_SECONDS = 120.0
"""Longest wait for the other processes, s."""


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


def open_homes(homes: list[Path], together: Barrier) -> None:
    """What a process does that begins together with others: nobody has opened these homes before."""
    try:
        for home in homes:
            os.environ["DAGSTER_HOME"] = str(home)
            together.wait(START_SECONDS)
            with dg.DagsterInstance.get() as instance:
                assert instance.get_runs_count() == 0
    except BaseException:
        together.abort()
        raise


def test_processes_that_begin_together_open_a_new_home(tmp_path: Path) -> None:
    homes = [tmp_path / f"home {number}" for number in range(NEW_HOMES)]
    for home in homes:
        home.mkdir()
        shutil.copy(STORAGE, home / "dagster.yaml")
    spawn = get_context("spawn")
    together = spawn.Barrier(PROCESSES)
    crowd = [spawn.Process(target=open_homes, args=(homes, together)) for _ in range(PROCESSES)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()

    assert [process.exitcode for process in crowd] == [0] * PROCESSES


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
