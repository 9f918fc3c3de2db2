"""One Dagster run in this process: how it can be interrupted, how much of it was work, and what marks it as dead.

A run of the command line has no worker Dagster could watch. It carries the name of its process instead, so that a run
whose process was killed is found and recorded as failed (:func:`end_dead_runs`).
"""

from __future__ import annotations

import errno
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import dagster as dg
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.events import RunFailureReason
from dagster._core.storage.tags import MAX_RETRIES_TAG, REPOSITORY_LABEL_TAG

from footprint_assets.records import UNFINISHED

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The event log keeps everything; the terminal shows the outcome."""

SHOWN_WITH = {REPOSITORY_LABEL_TAG: f"{SINGLETON_REPOSITORY_NAME}@footprint_assets.definitions"}
"""Run tag by which the UI finds the runs of a job; without it the page of the job says that there are none."""

ENDED = frozenset("ZXx")
"""States of a process of which no more than its exit code is left."""

PROCESS_TAG = "footprint/process"
"""Run tag: host, id and start of the process that executes the run."""


@dataclass(frozen=True)
class Executed:
    """What came of a run.

    Args:
        run_id: The Dagster run.
        reasons: The steps that failed and the checks that found an error, one line each.
        interrupted: Whether a signal ended it.
        work_seconds: Time inside the tables' functions, their publication and the checks, s. The rest is orchestration.
    """

    run_id: str
    reasons: tuple[str, ...]
    interrupted: bool
    work_seconds: float


def execute(
    job: dg.JobDefinition,
    partition: str,
    instance: dg.DagsterInstance,
    tags: Mapping[str, str],
    run_id: str = "",
) -> Executed:
    """Execute a job's partition in this process; a failure is recorded and told, not raised.

    Args:
        job: The job.
        partition: The partition key.
        instance: Where the run is recorded.
        tags: Tags of the run.
        run_id: Its id; a new one where empty.
    """
    run_id, clock, request = run_id or str(uuid.uuid4()), _Clock(), _Request()
    instance.add_event_listener(run_id, clock)
    instance.add_event_listener(run_id, request)
    try:
        with _interruptible(request):
            result = job.execute_in_process(
                partition_key=partition,
                instance=instance,
                raise_on_error=False,
                run_config=QUIET,
                run_id=run_id,
                # Whoever started it on the command line starts it again there, and the daemon does not.
                tags={**tags, **SHOWN_WITH, PROCESS_TAG: process_name(), MAX_RETRIES_TAG: "0"},
            )
    except KeyboardInterrupt:  # between two steps; inside a step Dagster records it
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, "The command was interrupted.")
        return Executed(run_id, ("interrupted",), interrupted=True, work_seconds=clock.work_seconds)
    if request.was_made or _was_interrupted(result):
        return Executed(run_id, ("interrupted",), interrupted=True, work_seconds=clock.work_seconds)
    return Executed(run_id, tuple(_reasons(result)), interrupted=False, work_seconds=clock.work_seconds)


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Record the runs of this host whose process is gone as failed.

    Args:
        instance: Where the runs are recorded.

    Returns:
        Their run ids.
    """
    dead = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=list(UNFINISHED)))
        if PROCESS_TAG in run.tags and _is_gone(run.tags[PROCESS_TAG])
    ]
    for run in dead:
        instance.report_run_failed(run, "The process that executed the run was killed.")
    return [run.run_id for run in dead]


def process_name(pid: str = "self") -> str:
    """A name of a process that no later process of this host has: host, id, and ticks between boot and its start.

    One that ended has none, even while nobody has asked for its exit code: an orphan stays in the list of processes until
    the first process of the host gets to it.

    Args:
        pid: Process id; this process by default.

    Raises:
        OSError: There is no such process, or it ended.
    """
    number, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").partition(" ")
    state, *fields = rest.rpartition(")")[2].split()  # from field 3 on; the program's name may hold blanks
    if state in ENDED:
        raise ProcessLookupError(errno.ESRCH, "the process ended", pid)
    return f"{socket.gethostname()}:{number}:{fields[18]}"


def _is_gone(process: str) -> bool:
    host, _, rest = process.partition(":")
    if host != socket.gethostname():
        return False
    try:
        return process_name(rest.partition(":")[0]) != process
    except OSError:
        return True


class _Clock:
    """Adds up the time between the start of a step, or of a publication, and what it gives.

    Dagster calls it with every event of the run after the event is stored.
    """

    def __init__(self) -> None:
        self.work_seconds = 0.0
        self._since: float | None = None

    def __call__(self, entry: dg.EventLogEntry, _cursor: str = "") -> None:
        if not entry.is_dagster_event:
            return
        if self._since is not None:
            self.work_seconds += max(0.0, entry.timestamp - self._since)
        kind = entry.get_dagster_event().event_type
        works = kind in (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_OUTPUT)
        self._since = time.time() if works else None


class _Request:
    """A signal that asks for the end of the run while Dagster lays it out or closes it.

    Raised at once it would strike a database in the middle of a transaction; so it waits for an event to be stored.
    Dagster calls this with every event of the run after the event is stored.
    """

    def __init__(self) -> None:
        self.was_made = False
        self._was_told = False

    def make(self, _signum: int, _frame: FrameType | None) -> None:
        """Take the signal."""
        self.was_made = True

    def __call__(self, _entry: dg.EventLogEntry, _cursor: str = "") -> None:
        if self.was_made and not self._was_told:
            self._was_told = True
            raise KeyboardInterrupt


@contextmanager
def _interruptible(request: _Request) -> Iterator[None]:
    """Let an interrupt, or a request to end, end the run in here, where Dagster itself does not catch it.

    Dagster gives both signals the handler it found for the first, and leaves it there: both are put back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, request.make) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether Dagster caught an interrupt inside a step."""
    return any(
        event.is_job_failure
        and event.job_failure_data.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION
        for event in result.all_events
    )


def _reasons(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """Why a run counts as failed: the steps that failed and the checks that found an error."""
    found = False
    for event in result.all_events:
        if event.is_step_failure:
            found = True
            failure = event.step_failure_data
            data = failure.user_failure_data
            error = failure.error
            text = (data.description if data else None) or (error.message.strip() if error else "failed")
            yield f"{(event.step_key or '').replace('__', '.')}: {text}"
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR:
            found = True
            yield f"{'.'.join(evaluation.asset_key.path)}:{evaluation.check_name}: {evaluation.description or ''}"
    if not result.success and not found:
        yield f"the run failed: {result.run_id}"
