"""Runs trade dates from the command line: ordinary Dagster runs, in process, visible in the UI.

One worker runs the dates in order, every table and check of a date in one run. Several workers are processes that take
all dates through the first pass (tables that need no other date), then through the look-backs pass by pass, because a
look-back must find the sessions before it.
"""

from __future__ import annotations

import datetime as dt
import importlib.resources
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import dagster as dg

from footprint_assets.assets import tables
from footprint_assets.build import build_definitions
from footprint_assets.jobs import LAKE_DAILY, LAKE_PASSES
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tables import Scope

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The event log keeps everything; the terminal shows the outcome."""

PARTITION_TAG = "dagster/partition"
RULES_TAG = "footprint/rules"
"""Run tag: ``open`` until the checks of the run are over, then ``held`` or ``broken``."""

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


def is_current(bench: Workbench, trade_date: dt.date) -> bool:
    """Whether every table of a trade date is what today's code would make of today's inputs."""
    scope = Scope.of(trade_date, bench)
    return all(table.is_current(scope) for table in tables(bench.settings))


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
    if workers == 1:
        with dg.DagsterInstance.get() as instance:
            for day in dates:
                yield _run(settings, instance, day, LAKE_DAILY)
        return
    with dg.DagsterInstance.get():
        pass  # made once here: two workers that create the same SQLite storage at once crash
    failed: set[dt.date] = set()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        *earlier, last = LAKE_PASSES
        for job in earlier:
            for outcome in _parallel(pool, settings, [day for day in dates if day not in failed], job):
                if outcome.outcome == "failed":
                    failed.add(outcome.trade_date)
                    yield outcome
        yield from _parallel(pool, settings, [day for day in dates if day not in failed], last)


def _parallel(
    pool: ProcessPoolExecutor, settings: Settings, dates: list[dt.date], job: str
) -> Iterator[DateOutcome]:
    for done in as_completed([pool.submit(_run_in_worker, settings, day, job) for day in dates]):
        yield done.result()


def _run_in_worker(settings: Settings, day: dt.date, job: str) -> DateOutcome:
    with dg.DagsterInstance.get() as instance:
        return _run(settings, instance, day, job)


def _run(settings: Settings, instance: dg.DagsterInstance, day: dt.date, job: str) -> DateOutcome:
    started = time.perf_counter()
    bench = Workbench(settings)
    judged = job in (LAKE_DAILY, LAKE_PASSES[-1])
    if is_current(bench, day) and (not judged or _rules_held(instance, day)):
        return DateOutcome(day, "unchanged", time.perf_counter() - started)
    result = (
        build_definitions(settings)
        .resolve_job_def(job)
        .execute_in_process(
            partition_key=day.isoformat(),
            instance=instance,
            raise_on_error=False,
            run_config=QUIET,
            tags={RULES_TAG: "open"} if judged else None,
        )
    )
    reasons = tuple(_reasons(result))
    outcome: Outcome = "published" if result.success and not reasons else "failed"
    if judged:
        instance.add_run_tags(result.run_id, {RULES_TAG: "broken" if outcome == "failed" else "held"})
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
