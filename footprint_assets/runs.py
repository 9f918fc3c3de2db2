"""Runs trade dates from the command line: ordinary Dagster runs, in process, visible in the UI.

One worker runs the dates in order, every table and check of a date in one run. Several workers are processes of one
thread each that take all dates through the first pass (tables that need no other date), then through the look-backs pass
by pass. A date's next pass begins when the pass before is over for it and for the sessions it looks back on.

An interrupt ends the runs in progress and begins no other.
"""

from __future__ import annotations

import datetime as dt
import importlib.resources
import os
import signal
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from multiprocessing import active_children, connection, get_context, parent_process
from multiprocessing.util import Finalize
from pathlib import Path
from types import FrameType
from typing import Literal
from uuid import uuid4

import dagster as dg

from footprint_assets.assets import tables
from footprint_assets.build import build_definitions
from footprint_assets.errors import FootprintError
from footprint_assets.execution import end_dead_runs, execute
from footprint_assets.jobs import LAKE_DAILY, LAKE_PASSES, pass_of
from footprint_assets.records import asset_key, contract_check, dates_that_held, rule_check, rules_over
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.side_by_side import Runs
from footprint_assets.tables import Scope, passes, sessions_before

THREADS = ("FOOTPRINT_THREADS", "POLARS_MAX_THREADS", "OMP_NUM_THREADS")
"""Where our own threads, those of polars and those of pyarrow are counted."""

PARTITION_TAG = "dagster/partition"

INSTANCE_CONFIG = "dagster.yaml"
POSTGRES_CONFIG = "dagster.postgres.yaml"
POSTGRES_URL = "DAGSTER_POSTGRES_URL"
"""Environment variable that puts the runs into PostgreSQL."""

Outcome = Literal["published", "unchanged", "failed", "interrupted"]


class WorkerDied(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A worker process was killed from outside, most often for want of memory."""


@dataclass(frozen=True)
class DateOutcome:
    """What became of one trade date.

    Args:
        trade_date: The partition.
        outcome: ``published``, ``unchanged`` (nothing to do), ``failed`` or ``interrupted``.
        seconds: Wall time, s.
        run_id: The Dagster run; empty where none was needed.
        reasons: What failed, one line a step or check.
        work_seconds: The part of ``seconds`` inside tables, publications and checks; the rest is orchestration.
    """

    trade_date: dt.date
    outcome: Outcome
    seconds: float
    run_id: str = ""
    reasons: tuple[str, ...] = ()
    work_seconds: float = 0.0


@dataclass(frozen=True)
class Part:
    """What one run makes of a trade date.

    Args:
        job: The job it is part of.
        tables: Dataset keys of its tables.
        checks: Its checks, by table and name; every one of the job where ``None``, which then is run whole.
    """

    job: str
    tables: frozenset[str]
    checks: frozenset[tuple[str, str]] | None = None


@dataclass(frozen=True)
class Work:
    """What is made of every trade date.

    Args:
        parts: One run each, in this order. Where there are several, each looks back to those before it only; the rules
            over several tables are judged in the last.
        tags: Tags of the runs.
    """

    parts: tuple[Part, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


def dagster_home(settings: Settings) -> Path:
    """The Dagster instance's directory, made with the shipped configuration where it does not exist.

    ``DAGSTER_HOME`` names it; without it, ``dagster_home`` beside the lake. A configuration that is there stays as it is.
    """
    home = Path(
        os.environ.get("DAGSTER_HOME") or settings.lake_root.resolve().parent / "dagster_home"
    ).resolve()
    home.mkdir(parents=True, exist_ok=True)
    config = home / INSTANCE_CONFIG
    if not config.exists():
        config.write_text(_shipped_config())
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def outdated_config(home: Path) -> str | None:
    """What to do about an instance configuration of an earlier release; ``None`` where it is of this one."""
    config = home / INSTANCE_CONFIG
    shipped, _, _ = _shipped_config().partition("\n")
    used, _, _ = config.read_text(encoding="utf-8").partition("\n")
    if used == shipped:
        return None
    return (
        f"{config} is not of this release ({shipped.lstrip('# ')}). It is used as it is; rename it and the next command "
        "writes the new one."
    )


def _shipped_config() -> str:
    """The configuration of a new instance; its first line says of which release it is."""
    name = POSTGRES_CONFIG if os.environ.get(POSTGRES_URL) else INSTANCE_CONFIG
    return importlib.resources.files("footprint_assets").joinpath(name).read_text(encoding="utf-8")


def is_current(bench: Workbench, trade_date: dt.date, selected: Collection[str] | None = None) -> bool:
    """Whether tables of a trade date are what today's code would make of today's inputs.

    Args:
        bench: The lake and the drop folder.
        trade_date: The trade date.
        selected: Dataset keys; every table where ``None``.
    """
    scope = Scope.of(trade_date, bench)
    return all(
        table.is_current(scope)
        for table in tables(bench.settings)
        if selected is None or table.key in selected
    )


def work_of(
    settings: Settings,
    selected: Collection[str] | None = None,
    *,
    at_once: bool = False,
    tags: Mapping[str, str] | None = None,
) -> Work:
    """Lay out what is made of every trade date.

    Args:
        settings: The settings.
        selected: Dataset keys; whole passes. Every table where ``None``.
        at_once: Whether dates are run at once, so that look-backs are runs of their own.
        tags: Tags of the runs.
    """
    every = tables(settings)
    chosen = frozenset(table.key for table in every if selected is None or table.key in selected)
    places = pass_of(every)
    groups = [
        (job, frozenset(key for key, place in places.items() if place == number))
        for number, job in enumerate(LAKE_PASSES)
    ]
    if not at_once:
        groups = [(LAKE_DAILY, frozenset(places))]
    groups = [(job, keys & chosen) for job, keys in groups if keys & chosen]
    if selected is None:
        return Work(tuple(Part(job, keys) for job, keys in groups), tags or {})
    parts = [Part(job, keys, _pairs(map(contract_check, keys))) for job, keys in groups]
    rules = _pairs(map(rule_check, rules_over(chosen, settings)))
    last = parts.pop()
    assert last.checks is not None
    # The jobs of the earlier passes have no rules over several tables.
    parts.append(Part(LAKE_DAILY, last.tables, last.checks | rules))
    return Work(tuple(parts), tags or {})


def _pairs(checks: Iterator[dg.AssetCheckKey]) -> frozenset[tuple[str, str]]:
    return frozenset((".".join(check.asset_key.path), check.name) for check in checks)


def run_dates(
    settings: Settings,
    dates: list[dt.date],
    workers: int = 1,
    selected: Collection[str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[DateOutcome]:
    """Run trade dates from DBN to gold, with every check; a failed date does not stop the others.

    Args:
        settings: The settings.
        dates: The trade dates, oldest first.
        workers: Processes.
        selected: Dataset keys of the tables to make; whole passes. Every table where ``None``.
        tags: Tags of the runs.

    Yields:
        One outcome a trade date, as they end; after an interrupt, of those that had begun.

    Raises:
        WorkerDied: A worker process was killed.
    """
    dagster_home(settings)
    Workbench(settings).lake.recover()
    work = work_of(settings, selected, at_once=workers > 1, tags=tags)
    chosen = {key for part in work.parts for key in part.tables}
    with (
        dg.DagsterInstance.get() as instance
    ):  # two workers that create the same SQLite storage at once crash
        end_dead_runs(instance)
        rules = rules_over(chosen, settings)
        held = dates_that_held(instance, rules, dates)
        if workers == 1:
            yield from _in_order(_Runner(settings, work, instance), dates, held)
            return
    with (
        _one_thread_a_process(),
        _interrupts_reach_the_workers() as interrupted,
        ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (settings, work)) as pool,
    ):
        try:
            yield from _in_passes(
                _Crew(pool, workers, interrupted), work, dates, held, settings.history.sessions
            )
        except BrokenProcessPool as error:
            if interrupted.is_set():  # the second interrupt
                return
            raise WorkerDied(
                "A worker process was killed; the trade dates it worked on are as they were.",
                where={"workers": workers},
                remedy="look for want of memory (dmesg), then run the command again with fewer --workers.",
            ) from error


def _in_order(runner: _Runner, dates: list[dt.date], held: set[dt.date]) -> Iterator[DateOutcome]:
    for day in dates:
        outcome = runner.run(day, 0, has_held=day in held)
        yield outcome
        if outcome.outcome == "interrupted":
            return


@dataclass(frozen=True)
class _Crew:
    """The workers: how many there are, and whether they were told to stop."""

    pool: ProcessPoolExecutor
    size: int
    interrupted: threading.Event


def _in_passes(
    crew: _Crew, work: Work, dates: list[dt.date], held: set[dt.date], lookback: int
) -> Iterator[DateOutcome]:
    """Take dates through the passes, each as soon as the pass before is over for the dates it looks back on.

    No more is given away than there are workers, oldest date first: what is interrupted leaves whole dates behind.
    """
    wanted, count = set(dates), len(work.parts)
    needs = {
        (day, number): {
            (seen, number - 1) for seen in (*sessions_before(day, lookback), day) if seen in wanted
        }
        if number
        else set[_Place]()
        for day in dates
        for number in range(count)
    }
    running: dict[Future[DateOutcome], _Place] = {}
    sofar = {day: DateOutcome(day, "unchanged", 0.0) for day in dates}
    while needs or running:
        ready = () if crew.interrupted.is_set() else [place for place, need in needs.items() if not need]
        for day, number in ready[: crew.size - len(running)]:
            del needs[day, number]
            with _deaf_at_first():
                future = crew.pool.submit(_run_in_worker, day, number, day in held)
            running[future] = (day, number)
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            day, number = running.pop(future)
            sofar[day] = _after(sofar[day], future.result())
            over = {(day, number)}
            if sofar[day].outcome == "interrupted":
                crew.interrupted.set()
            if sofar[day].outcome in ("failed", "interrupted"):
                over = {(day, later) for later in range(number, count)}
            for place in over & needs.keys():
                del needs[place]
            for need in needs.values():
                need -= over
            if (day, count - 1) in over:
                yield sofar.pop(day)


_Place = tuple[dt.date, int]
"""A pass of a trade date: the date and the pass's number."""


def _after(earlier: DateOutcome, outcome: DateOutcome) -> DateOutcome:
    """What became of a trade date after one pass more."""
    seconds, work_seconds = earlier.seconds + outcome.seconds, earlier.work_seconds + outcome.work_seconds
    if outcome.outcome == "unchanged":
        outcome = replace(outcome, outcome=earlier.outcome, run_id=earlier.run_id)
    return replace(outcome, seconds=seconds, work_seconds=work_seconds)


@contextmanager
def _one_thread_a_process() -> Iterator[None]:
    """What the processes started in here read of the environment before they import anything; a setting of the user stays."""
    ours = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, "1"))
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


@contextmanager
def _interrupts_reach_the_workers() -> Iterator[threading.Event]:
    """Hand an interrupt, or a request to end, on to the workers; the second one kills them.

    Yields:
        An event that is set once there was one.
    """
    interrupted = threading.Event()

    def hand_on(_signum: int, _frame: FrameType | None) -> None:
        number = signal.SIGKILL if interrupted.is_set() else signal.SIGINT
        interrupted.set()
        for child in active_children():
            if child.pid is not None:
                os.kill(child.pid, number)

    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _deaf_at_first() -> Iterator[None]:
    """Let a process that is started in here keep an interrupt for later: it cannot take one while it imports.

    What this process is sent meanwhile is taken on the way out.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: _Runner | None
"""The runner of a worker process, made as it starts; ``None`` in one that was interrupted before."""


def _start_worker(settings: Settings, work: Work) -> None:
    global _worker
    os.setpgrp()  # a terminal interrupts every process of its group; a worker is told by its parent, once
    was_interrupted = signal.SIGINT in signal.sigpending()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between two runs there is nothing to interrupt
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    instance = dg.DagsterInstance.get()
    Finalize(None, instance.dispose, exitpriority=1)  # a worker ends without its context managers
    _worker = None if was_interrupted else _Runner(settings, work, instance)


def _end_with_parent() -> None:
    """End at once where the parent was killed: nobody would read what comes of the run, or run the next one."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _run_in_worker(day: dt.date, number: int, has_held: bool) -> DateOutcome:
    if _worker is None:
        return DateOutcome(day, "interrupted", 0.0, reasons=("interrupted",))
    return _worker.run(day, number, has_held=has_held)


class _Runner:
    """Runs trade dates in this process: one instance and one graph for all of them.

    Args:
        settings: The settings.
        work: What is made of every trade date.
        instance: Where the runs are recorded.
    """

    def __init__(self, settings: Settings, work: Work, instance: dg.DagsterInstance) -> None:
        self._bench, self._work, self._instance = Workbench(settings), work, instance
        self._job = cache(self._job_of)
        self._side_by_side = Runs()

    @cached_property
    def _definitions(self) -> dg.Definitions:
        return build_definitions(self._bench.settings, runs=self._side_by_side)

    def _job_of(self, part: Part) -> dg.JobDefinition:
        job = self._definitions.resolve_job_def(part.job)
        if part.checks is None:
            return job
        return job.get_subset(
            asset_selection={asset_key(key) for key in part.tables},
            asset_check_selection={dg.AssetCheckKey(asset_key(table), name) for table, name in part.checks},
        )

    def run(self, day: dt.date, number: int, *, has_held: bool) -> DateOutcome:
        """Run one part of a trade date, unless all it would make is current.

        Args:
            day: The trade date.
            number: Which part.
            has_held: Whether the rules over the date's tables, judged in the last part, held when they were judged last.
        """
        started, part = time.perf_counter(), self._work.parts[number]
        is_judged = number == len(self._work.parts) - 1
        if is_current(self._bench, day, part.tables) and (has_held or not is_judged):
            return DateOutcome(day, "unchanged", time.perf_counter() - started)
        run_id = str(uuid4())
        try:
            # The first pass need not wait for the graph to be built.
            graph = passes(tables(self._bench.settings))
            wanted = {together[0].key for together in graph if together[0].key in part.tables}
            self._side_by_side.begin(run_id, graph, wanted, Scope.of(day, self._bench))
            done = execute(self._job(part), day.isoformat(), self._instance, self._work.tags, run_id)
        finally:
            self._side_by_side.end()
        outcome: Outcome = "failed" if done.reasons else "published"
        return DateOutcome(
            day,
            "interrupted" if done.interrupted else outcome,
            time.perf_counter() - started,
            done.run_id,
            done.reasons,
            done.work_seconds,
        )
