"""One run in this process: what of it is work, what an interrupt leaves, and the runs of processes that are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import dagster as dg
import pytest

from footprint_assets.execution import PROCESS_TAG, end_dead_runs, execute, process_name

DAYS = dg.StaticPartitionsDefinition(["2025-06-04"])
WORK_SECONDS = 0.5


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def job_of(*assets: dg.AssetsDefinition) -> dg.JobDefinition:
    jobs = [dg.define_asset_job("job", dg.AssetSelection.assets(*assets))]
    return dg.Definitions(list(assets), jobs=jobs).resolve_job_def("job")


def test_the_work_of_a_run_is_what_happens_inside_its_steps(instance: dg.DagsterInstance) -> None:
    @dg.asset(partitions_def=DAYS)
    def slow() -> None:
        time.sleep(WORK_SECONDS)

    @dg.asset(partitions_def=DAYS)
    def quick() -> None:
        pass

    began = time.perf_counter()
    done = execute(job_of(slow, quick), "2025-06-04", instance, {"a": "tag"})
    wall = time.perf_counter() - began

    assert WORK_SECONDS <= done.work_seconds < wall
    run = instance.get_run_by_id(done.run_id)
    assert run is not None
    assert (run.is_success, run.tags["a"], run.tags[PROCESS_TAG]) == (True, "tag", process_name())
    assert (done.reasons, done.interrupted) == ((), False)


def test_a_failure_is_told_and_not_raised(instance: dg.DagsterInstance) -> None:
    @dg.asset(partitions_def=DAYS)
    def faulty() -> None:
        raise ValueError("a row too many")

    done = execute(job_of(faulty), "2025-06-04", instance, {})

    (reason,) = done.reasons
    assert reason.startswith("faulty: ")
    assert not done.interrupted


@pytest.mark.parametrize("inside", [True, False], ids=["inside a step", "between two steps"])
def test_an_interrupted_run_is_recorded_as_failed(instance: dg.DagsterInstance, inside: bool) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)

    @dg.asset(partitions_def=DAYS)
    def interrupted() -> None:
        if inside:
            interrupt()

    if not inside:
        storage = instance.event_log_storage
        store = storage.store_event

        def store_and_interrupt(event: dg.EventLogEntry) -> None:
            store(event)
            if event.dagster_event_type == dg.DagsterEventType.STEP_SUCCESS:
                interrupt()

        storage.store_event = store_and_interrupt  # type: ignore[method-assign]

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    done = execute(job_of(interrupted), "2025-06-04", instance, {})

    assert done.interrupted
    run = instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_interrupt_before_the_first_step_waits_for_an_event_to_be_stored(
    instance: dg.DagsterInstance,
) -> None:
    @dg.asset(partitions_def=DAYS)
    def untouched() -> None:
        begun.append(1)

    def store_and_interrupt(event: dg.EventLogEntry) -> None:
        if event.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            os.kill(os.getpid(), signal.SIGINT)
        store(event)
        stored.append(event)

    begun: list[int] = []
    stored: list[dg.EventLogEntry] = []
    store = instance.event_log_storage.store_event
    instance.event_log_storage.store_event = store_and_interrupt  # type: ignore[method-assign]

    done = execute(job_of(untouched), "2025-06-04", instance, {})

    assert done.interrupted
    assert begun == []
    kinds = [event.dagster_event_type for event in stored]
    assert kinds[-2:] == [
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        dg.DagsterEventType.RUN_FAILURE,
    ]
    run = instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.FAILURE


def test_only_the_runs_of_processes_that_are_gone_are_ended(instance: dg.DagsterInstance) -> None:
    @dg.asset(partitions_def=DAYS)
    def table() -> None:
        pass

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        alive = process_name(str(other.pid))
        other.kill()
    orphan = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    unreaped = process_name(str(orphan.pid))
    orphan.kill()
    os.waitid(os.P_PID, orphan.pid, os.WEXITED | os.WNOWAIT)  # it ended, and is in the list of processes
    host, _, rest = process_name().partition(":")
    processes = {
        "gone": alive,
        "ended, and nobody asked how": unreaped,
        "another of this id": f"{host}:{rest.partition(':')[0]}:1",
        "this": process_name(),
        "of another host": f"elsewhere.{host}:1:1",
    }
    runs = {
        name: instance.create_run_for_job(
            job_of(table), tags={PROCESS_TAG: process}, status=dg.DagsterRunStatus.STARTED
        ).run_id
        for name, process in processes.items()
    }
    runs["nobody's"] = instance.create_run_for_job(job_of(table), status=dg.DagsterRunStatus.STARTED).run_id

    ended = [runs["gone"], runs["ended, and nobody asked how"], runs["another of this id"]]
    assert sorted(end_dead_runs(instance)) == sorted(ended)
    orphan.communicate()
    assert end_dead_runs(instance) == []
    failed = {run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))}
    assert failed == set(ended)


def test_a_run_outside_the_main_thread_needs_no_signals(instance: dg.DagsterInstance) -> None:
    @dg.asset(partitions_def=DAYS)
    def table() -> None:
        pass

    done = []
    thread = threading.Thread(target=lambda: done.append(execute(job_of(table), "2025-06-04", instance, {})))
    thread.start()
    thread.join()
    assert done[0].reasons == ()
