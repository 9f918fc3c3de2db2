"""Runs trade dates from the command line: ordinary Dagster runs, in process, visible in the UI.

One worker runs the dates in order, every table and check of a date in one run. Several workers are processes of one
thread each that take all dates through the first pass (tables that need no other date), then through the look-backs pass
by pass. A date's next pass begins when the pass before is over for it and for the sessions it looks back on.
"""

from __future__ import annotations

import datetime as dt
import importlib.resources
import os
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Literal
from uuid import uuid4

import dagster as dg

from footprint_assets import background
from footprint_assets.assets import tables
from footprint_assets.build import build_definitions
from footprint_assets.jobs import LAKE_DAILY, LAKE_PASSES, pass_of
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.side_by_side import Runs
from footprint_assets.tables import LakeTable, Scope, passes, sessions_before

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The event log keeps everything; the terminal shows the outcome."""

THREADS = ("FOOTPRINT_THREADS", "POLARS_MAX_THREADS", "OMP_NUM_THREADS")
"""Where our own threads, those of polars and those of pyarrow are counted."""

PARTITION_TAG = "dagster/partition"
RULES_TAG = "footprint/rules"
"""Run tag: ``open`` until the checks of the run are over, then ``held`` or ``broken``; ``open`` for good where it has none."""

Outcome = Literal["published", "unchanged", "failed"]


@dataclass(frozen=True)
class DateOutcome:
    """What became of one trade date.

    Args:
        trade_date: The partition.
        outcome: ``published``, ``unchanged`` (nothing to do) or ``failed``.
        seconds: Wall time, s.
        run_id: The Dagster run; empty where none was needed.
        reasons: What failed, one line a step or check.
    """

    trade_date: dt.date
    outcome: Outcome
    seconds: float
    run_id: str = ""
    reasons: tuple[str, ...] = ()


def dagster_home(settings: Settings) -> Path:
    """The Dagster instance's directory, made with the shipped configuration where it does not exist.

    ``DAGSTER_HOME`` names it; without it, ``dagster_home`` beside the lake.
    """
    home = Path(
        os.environ.get("DAGSTER_HOME") or settings.lake_root.resolve().parent / "dagster_home"
    ).resolve()
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        config.write_text(importlib.resources.files("footprint_assets").joinpath("dagster.yaml").read_text())
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def is_current(bench: Workbench, trade_date: dt.date, job: str = LAKE_DAILY) -> bool:
    """Whether every table a job makes of a trade date is what today's code would make of today's inputs."""
    scope = Scope.of(trade_date, bench)
    return all(table.is_current(scope) for table in tables_of(bench.settings, job))


def tables_of(settings: Settings, job: str) -> list[LakeTable]:
    """The tables a job makes."""
    places = pass_of(tables(settings))
    return [table for table in tables(settings) if job in (LAKE_DAILY, LAKE_PASSES[places[table.key]])]


def run_dates(settings: Settings, dates: list[dt.date], workers: int = 1) -> Iterator[DateOutcome]:
    """Run trade dates from DBN to gold, with every check; a failed date does not stop the others.

    Args:
        settings: The settings.
        dates: The trade dates, oldest first.
        workers: Processes.

    Yields:
        One outcome a trade date, as they end.
    """
    dagster_home(settings)
    Workbench(settings).lake.recover()
    with (
        dg.DagsterInstance.get() as instance
    ):  # two workers that create the same SQLite storage at once crash
        if workers == 1:
            runner = _Runner(settings, instance)
            yield from (runner.run(day, LAKE_DAILY) for day in dates)
            return
    with (
        _one_thread_a_process(),
        ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (settings,)) as pool,
    ):
        yield from _in_passes(pool, dates, settings.history.sessions)


def _in_passes(pool: ProcessPoolExecutor, dates: list[dt.date], lookback: int) -> Iterator[DateOutcome]:
    """Take dates through the passes, each as soon as the pass before is over for the dates it looks back on."""
    wanted = set(dates)
    needs = {
        (number, day): {
            (number - 1, seen) for seen in (*sessions_before(day, lookback), day) if seen in wanted
        }
        if number
        else set[_Place]()
        for number in range(len(LAKE_PASSES))
        for day in dates
    }
    running: dict[Future[DateOutcome], _Place] = {}
    sofar = {day: DateOutcome(day, "unchanged", 0.0) for day in dates}
    while needs or running:
        for place in [place for place, need in needs.items() if not need]:
            del needs[place]
            number, day = place
            running[pool.submit(_run_in_worker, day, LAKE_PASSES[number])] = place
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            number, day = running.pop(future)
            sofar[day] = _after(sofar[day], future.result())
            over = {(number, day)}
            if sofar[day].outcome == "failed":
                over = {(later, day) for later in range(number, len(LAKE_PASSES))}
            for place in over & needs.keys():
                del needs[place]
            for need in needs.values():
                need -= over
            if (len(LAKE_PASSES) - 1, day) in over:
                yield sofar.pop(day)


_Place = tuple[int, dt.date]
"""A pass of a trade date: its number and the date."""


def _after(earlier: DateOutcome, outcome: DateOutcome) -> DateOutcome:
    """What became of a trade date after one pass more."""
    if outcome.outcome == "unchanged":
        outcome = replace(outcome, outcome=earlier.outcome, run_id=earlier.run_id)
    return replace(outcome, seconds=earlier.seconds + outcome.seconds)


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


_worker: _Runner
"""The runner of a worker process, made as it starts."""


def _start_worker(settings: Settings) -> None:
    global _worker
    instance = dg.DagsterInstance.get()
    Finalize(None, instance.dispose, exitpriority=1)  # a worker ends without its context managers
    _worker = _Runner(settings, instance)


def _run_in_worker(day: dt.date, job: str) -> DateOutcome:
    return _worker.run(day, job)


class _Runner:
    """Runs trade dates in this process: one instance and one graph for all of them.

    Args:
        settings: The settings.
        instance: Where the runs are recorded.
    """

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self._bench, self._instance = Workbench(settings), instance
        self._side_by_side = Runs()

    @cached_property
    def _definitions(self) -> dg.Definitions:
        return build_definitions(self._bench.settings, runs=self._side_by_side)

    def run(self, day: dt.date, job: str) -> DateOutcome:
        """Run one job of a trade date, unless all it would make is current."""
        started = time.perf_counter()
        judged = job in (LAKE_DAILY, LAKE_PASSES[-1])
        if is_current(self._bench, day, job) and (not judged or _rules_held(self._instance, day)):
            return DateOutcome(day, "unchanged", time.perf_counter() - started)
        run_id = str(uuid4())
        try:
            if background.THREADS > 1:  # the first pass need not wait for the graph to be built
                graph = passes(tables(self._bench.settings))
                made = {table.key for table in tables_of(self._bench.settings, job)}
                wanted = {together[0].key for together in graph if together[0].key in made}
                self._side_by_side.begin(run_id, graph, wanted, Scope.of(day, self._bench))
            result = self._definitions.resolve_job_def(job).execute_in_process(
                partition_key=day.isoformat(),
                instance=self._instance,
                raise_on_error=False,
                run_config=QUIET,
                tags={RULES_TAG: "open"},
                run_id=run_id,
            )
        finally:
            self._side_by_side.end()
        reasons = tuple(_reasons(result))
        outcome: Outcome = "published" if result.success and not reasons else "failed"
        if judged:
            self._instance.add_run_tags(
                result.run_id, {RULES_TAG: "broken" if outcome == "failed" else "held"}
            )
        return DateOutcome(day, outcome, time.perf_counter() - started, result.run_id, reasons)


def _rules_held(instance: dg.DagsterInstance, day: dt.date) -> bool:
    """Whether the last run of a trade date got through its checks.

    Tables stay where a rule over several of them is broken, and where a run is killed before its checks: current tables
    alone do not make a date a good one.
    """
    judged = dg.RunsFilter(tags={PARTITION_TAG: day.isoformat(), RULES_TAG: ["open", "held", "broken"]})
    last = instance.get_runs(judged, limit=1)
    return bool(last) and last[0].tags[RULES_TAG] == "held"


def _reasons(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """Why a run counts as failed: the steps that failed and the checks that found an error."""
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            data = failure.user_failure_data
            error = failure.error
            text = (data.description if data else None) or (error.message.strip() if error else "failed")
            yield f"{(event.step_key or '').replace('__', '.')}: {text}"
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR:
            yield f"{'.'.join(evaluation.asset_key.path)}:{evaluation.check_name}: {evaluation.description or ''}"
