"""Backfills: what they take, that a killed one goes on, and that every way leaves the same partitions."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from footprint_assets.assets import tables
from footprint_assets.backfill import BACKFILL_TAG, NoSuchTable, NothingToResume, Plan, scope_of, select
from footprint_assets.execution import SHOWN_WITH
from footprint_assets.lake import Lake
from footprint_assets.runs import PARTITION_TAG, WorkerDied, dagster_home, run_dates
from footprint_assets.settings import Settings
from footprint_assets_tests.command_line import Shell
from footprint_assets_tests.conftest import REPOSITORY
from footprint_assets_tests.partition_state import checked, days, in_the_lake, recorded, run_statuses
from footprint_assets_tests.small_market import KEYS, TABLES, settings_of, write_drop

WAIT_SECONDS = 600.0
DATES = days(3, 4, 5, 6)
BRONZE = tuple(key for key in KEYS if key.startswith("bronze."))


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of four trade dates; read only."""
    return write_drop(tmp_path_factory.mktemp("drop"), DATES)


@pytest.fixture
def shell(
    drop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """A working directory without a lake, beside the files."""
    found = Shell(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("FOOTPRINT_DBN_DIR", str(drop))
    return found


def settings_in(folder: Path, drop: Path) -> Settings:
    return Settings(_env_file=None, lake_root=folder / "data" / "lake", dbn_dir=drop)


@contextlib.contextmanager
def instance_in(folder: Path) -> Iterator[dg.DagsterInstance]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder / "data" / "dagster_home"))
        with dg.DagsterInstance.get() as instance:
            yield instance


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < end, "waited too long"
        assert process is None or process.poll() is None, "the process ended early"
        time.sleep(0.1)


# What is taken.


def test_without_a_choice_every_table_is_made() -> None:
    assert select(Settings(_env_file=None), (), ()) == tuple(table.key for table in TABLES)


def test_a_layer_and_a_pattern_choose_what_both_say() -> None:
    settings = Settings(_env_file=None)
    assert select(settings, ("bronze",), ()) == BRONZE
    assert select(settings, (), ("bronze.*",)) == BRONZE
    assert select(settings, ("bronze", "gold"), ("*definition", "gold.future.setup_vectors")) == (
        "bronze.future.definition",
        "gold.future.setup_vectors",
    )


def test_a_table_is_made_with_those_of_its_pass_and_with_nothing_it_is_made_of() -> None:
    settings = Settings(_env_file=None)
    together = next(table.together for table in tables(settings) if table.key == "silver.future.bbo")
    assert len(together) > 1
    assert set(select(settings, (), ("silver.future.bbo",))) == set(together)


def test_a_name_that_is_no_table_is_refused() -> None:
    with pytest.raises(NoSuchTable, match=r"silver\.future\.bboo"):
        select(Settings(_env_file=None), (), ("silver.future.bboo",))
    with pytest.raises(NoSuchTable, match="of gold"):
        select(Settings(_env_file=None), ("gold",), ("silver.future.bbo",))


def test_closures_and_dates_without_files_are_skipped_by_name(drop: Path, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, drop)
    plan = Plan(dt.date(2025, 4, 16), dt.date(2025, 4, 21))

    assert scope_of(settings, plan).skipped[dt.date(2025, 4, 18)] == "Good Friday"

    plan = Plan(dt.date(2025, 5, 30), dt.date(2025, 6, 10))
    scope = scope_of(settings, plan)
    assert scope.dates == [*days(2), *DATES]  # the file of 2 June holds the evening that begins 3 June
    assert scope.is_whole
    assert set(scope.skipped) == {dt.date(2025, 5, 30), *days(9, 10)}
    assert set(scope.skipped.values()) == {"no trades or MBP-10 file in the drop folder"}
    # Tables that are made of the lake alone need no file.
    silver = scope_of(settings, Plan(plan.start, plan.end, layers=("silver",)))
    assert set(silver.dates) == {*scope.dates, *scope.skipped}


def test_the_plan_on_disk_is_the_plan(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    plan = Plan(DATES[0], DATES[-1], ("bronze",), ("*.trades",), 3, str(settings.lake_root.resolve()))
    plan.save(tmp_path)
    assert Plan.load(tmp_path, settings) == plan
    assert [path.name for path in tmp_path.iterdir()] == ["backfill.json"]


def test_a_plan_of_another_lake_or_half_a_plan_is_not_gone_on_with(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with pytest.raises(NothingToResume, match="Nothing was begun"):
        Plan.load(tmp_path, settings)
    Plan(DATES[0], DATES[-1], lake="/elsewhere").save(tmp_path)
    with pytest.raises(NothingToResume, match="another lake"):
        Plan.load(tmp_path, settings)
    (tmp_path / "backfill.json").write_text('{"start": "2025-06-03"')
    with pytest.raises(NothingToResume, match="cannot be read"):
        Plan.load(tmp_path, settings)


# What is done.


def test_a_backfill_makes_exactly_its_tables_and_finds_them_done(shell: Shell, drop: Path) -> None:
    said = shell("backfill --start 2025-06-03 --end 2025-06-07 --tables *.front_month,*.definition")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert [line.split()[1:3] for line in lines[1:5]] == [[str(day), "published"] for day in DATES]
    assert "│ 4         │ 0         │ 0      │" in said.out
    settings = settings_in(shell.folder, drop)
    assert Lake(settings.lake_root).tables() == ["bronze.future.definition", "bronze.future.front_month"]
    plan = json.loads((shell.folder / "data" / "dagster_home" / "backfill.json").read_text())
    with instance_in(shell.folder) as instance:
        assert {run.tags[BACKFILL_TAG] for run in instance.get_runs()} == {plan["id"]}
        assert checked(instance, settings)["bronze.future.definition:tick_size_agrees", "2025-06-03"] == (
            "SUCCEEDED"
        )

    again = shell("backfill --resume")
    assert (again.code, again.err) == (0, "")
    assert f"backfill {plan['id']}: 4 trade dates" in again.out
    assert "│ 0         │ 4         │ 0      │" in again.out
    with instance_in(shell.folder) as instance:
        assert run_statuses(instance) == {str(day): ["SUCCESS"] for day in DATES}


def test_an_input_that_is_missing_fails_the_date_and_says_how_to_make_it(shell: Shell) -> None:
    said = shell("backfill --start 2025-06-03 --end 2025-06-03 --tables silver.future.trades_clean")
    assert said.code == 1
    assert "bronze.future.trades is not published for 2025-06-03" in said.err
    assert "Remedy: footprint-assets run --date 2025-06-03" in said.err


def test_resume_takes_no_range(shell: Shell) -> None:
    said = shell("backfill --resume --start 2025-06-03")
    assert said.code == 2
    assert "from the last backfill" in " ".join(said.err.replace("│", " ").split())
    assert "NothingToResume" in shell("backfill --resume").err


def test_a_date_that_is_not_judged_yet_is_not_done(shell: Shell, drop: Path) -> None:
    """Tables that are current are not enough: the rules over them must have held after they were published."""
    command = "backfill --start 2025-06-03 --end 2025-06-03 --tables *.front_month --tables *.definition"
    assert shell(command).code == 0
    settings = settings_in(shell.folder, drop)
    with instance_in(shell.folder) as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(["bronze", "future", "definition"], partition="2025-06-03")
        )
        assert checked(instance, settings)["bronze.future.definition:tick_size_agrees", "2025-06-03"]
    assert "│ 1         │ 0         │" in shell(command).out
    assert "│ 0         │ 1         │" in shell(command).out


# What a killed one leaves.


@contextlib.contextmanager
def command(folder: Path, drop: Path, arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command line as a process with a group of its own."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("FOOTPRINT_", "DAGSTER_"))
    }
    with (folder / "said.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from footprint_assets.cli import main; main()",
                *arguments.split(),
            ],
            cwd=folder,
            env=environment | {"PYTHONPATH": str(REPOSITORY), "FOOTPRINT_DBN_DIR": str(drop)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def processes_of(folder: Path) -> list[int]:
    """The processes that work in a folder."""
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdigit() and (path / "cwd").resolve() == folder.resolve():
                found.append(int(path.name))
    return [pid for pid in found if pid != os.getpid()]


def published(folder: Path) -> int:
    return len(Lake(folder / "data" / "lake").dates(BRONZE[-1]))


def said_done(folder: Path) -> list[str]:
    return [
        line.split()[1] for line in (folder / "said.log").read_text().splitlines() if " published " in line
    ]


BACKFILL = "backfill --start 2025-06-03 --end 2025-06-06 --layer bronze --workers 2"


@pytest.mark.slow
def test_a_killed_backfill_goes_on_without_repeating_what_it_finished(
    shell: Shell, drop: Path, tmp_path: Path
) -> None:
    with command(tmp_path, drop, BACKFILL) as process:
        wait_for(lambda: bool(said_done(tmp_path)), process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = said_done(tmp_path)
        wait_for(lambda: not processes_of(tmp_path))
    settings = settings_in(tmp_path, drop)
    with instance_in(tmp_path) as instance:
        before = run_statuses(instance)
        held = {pair for pair, status in checked(instance, settings).items() if status == "SUCCEEDED"}

    said = shell("backfill --resume")

    assert said.code == 0, said.err
    assert in_the_lake(settings, BRONZE).keys() == {(key, str(day)) for key in BRONZE for day in DATES}
    with instance_in(tmp_path) as instance:
        after = run_statuses(instance)
        assert recorded(instance, BRONZE) == in_the_lake(settings, BRONZE)
        checks = checked(instance, settings)
        assert set(checks.values()) == {"SUCCEEDED"}
    for day in map(str, DATES):
        # A run killed after its last check is a failed one, and nothing is left of it to do.
        was_over = {pair for pair in checks if pair[1] == day} <= held and "SUCCESS" not in before[day]
        assert after[day].count("SUCCESS") == (not was_over), "nothing is lost, nothing done twice"
        assert set(after[day]) <= {"SUCCESS", "FAILURE"}, "no run stays in progress"
        if day in done:
            assert after[day] == before[day] == ["SUCCESS"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_ends_the_runs_and_leaves_nothing_behind(
    drop: Path, tmp_path: Path, workers: int
) -> None:
    arguments = f"backfill --start 2025-06-03 --end 2025-06-06 --workers {workers}"
    with command(tmp_path, drop, arguments) as process:
        wait_for(lambda: published(tmp_path) > 0, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_SECONDS) == 130
        wait_for(lambda: not processes_of(tmp_path))
    said = (tmp_path / "said.log").read_text()
    assert "Traceback" not in said
    assert "footprint-assets backfill --resume" in said
    staging = Lake(tmp_path / "data" / "lake").layout.staging
    assert [path for path in staging.iterdir() if path.is_dir()] == []
    with instance_in(tmp_path) as instance:
        statuses = {run.status for run in instance.get_runs()}
    assert statuses <= {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS}
    assert dg.DagsterRunStatus.FAILURE in statuses


@contextlib.contextmanager
def once_there_is_a_worker(do: Callable[[int], None]) -> Iterator[None]:
    """Do something to the first worker as soon as its process is there, while this thread waits for it."""

    def watch() -> None:
        wait_for(lambda: bool(multiprocessing.active_children()))
        (worker, *_) = multiprocessing.active_children()
        assert worker.pid is not None
        do(worker.pid)

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join()


def has_interrupt(pid: int) -> bool:
    """Whether a process was sent an interrupt it has not taken."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = [int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd:")]
    return bool(mask >> (signal.SIGINT - 1) & 1)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lake and a Dagster home of its own, without files."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    return settings_of(tmp_path)


def test_a_worker_that_is_killed_ends_the_command_and_says_what_to_do(settings: Settings) -> None:
    with (
        once_there_is_a_worker(lambda pid: os.kill(pid, signal.SIGKILL)),
        pytest.raises(WorkerDied, match="fewer --workers"),
    ):
        list(run_dates(settings, DATES[:1], workers=2))
    assert not multiprocessing.active_children()


def test_a_worker_that_is_interrupted_while_it_starts_ends_without_a_word(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with once_there_is_a_worker(lambda _: os.kill(os.getpid(), signal.SIGINT)):
        (outcome,) = run_dates(settings, DATES[:1], workers=2)
    assert outcome.outcome == "interrupted"
    assert capfd.readouterr() == ("", "")


def test_a_second_interrupt_kills_the_workers_and_is_no_error(settings: Settings) -> None:
    def interrupt_twice(worker: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: has_interrupt(worker))  # it takes it when it has started
        os.kill(os.getpid(), signal.SIGINT)

    with once_there_is_a_worker(interrupt_twice):
        assert list(run_dates(settings, DATES[:1], workers=2)) == []
    assert not multiprocessing.active_children()


# The other way.

LAUNCH = """mutation($given: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $given) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
MODULE = "footprint_assets.definitions"
DAEMON = """
from dagster._daemon import controller
from dagster._daemon.cli import main

controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2  # between two looks at a backfill: 30, and no setting says otherwise
main()
"""
SHOWN = dg.RunsFilter(tags=SHOWN_WITH)
"""By which the UI lists the runs of a job."""


@pytest.mark.slow
def test_the_daemon_leaves_the_partitions_the_command_line_leaves(
    drop: Path, tmp_path: Path, shell: Shell
) -> None:
    assert shell(BACKFILL.replace("--workers 2", "--workers 1")).code == 0
    settings = settings_in(tmp_path, drop)
    with instance_in(tmp_path) as instance:
        ours = (in_the_lake(settings, BRONZE), recorded(instance, BRONZE), checked(instance, settings))
        ours_runs = instance.get_runs(SHOWN)

    other = tmp_path / "daemon"
    settings = settings_in(other, drop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")
        patch.delenv("DAGSTER_HOME")
        home = dagster_home(settings)
        patch.setenv("FOOTPRINT_LAKE_ROOT", str(settings.lake_root))
        patch.setenv("FOOTPRINT_DBN_DIR", str(drop))
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.get() as instance, daemon(other):
            given = {
                "assetSelection": [{"path": key.split(".")} for key in BRONZE],
                "partitionNames": [str(day) for day in DATES],
            }
            answer = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    "from dagster_graphql.cli import main; main()",
                    "-m",
                    MODULE,
                    "-t",
                    LAUNCH,
                    "-v",
                    json.dumps({"given": given}),
                ],
                capture_output=True,
                text=True,
                check=False,
                cwd=other,
            )
            assert "LaunchBackfillSuccess" in answer.stdout, answer.stdout + answer.stderr
            wait_for(lambda: instance.get_backfills()[0].status.value == "COMPLETED_SUCCESS")
            theirs = (in_the_lake(settings, BRONZE), recorded(instance, BRONZE), checked(instance, settings))
            theirs_runs = instance.get_runs(SHOWN)

    assert theirs == ours
    for runs in (ours_runs, theirs_runs):
        assert sorted(run.tags[PARTITION_TAG] for run in runs) == [str(day) for day in DATES]
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    # Whoever made them, they are done.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        patch.setenv("FOOTPRINT_LAKE_ROOT", str(settings.lake_root))
        assert (
            "│ 0         │ 4         │ 0      │" in shell(BACKFILL.replace("--workers 2", "--workers 1")).out
        )


@contextlib.contextmanager
def daemon(folder: Path) -> Iterator[None]:
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", DAEMON, "run", "--module-name", MODULE],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
