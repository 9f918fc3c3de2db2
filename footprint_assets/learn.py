"""Learns month after month: ordinary Dagster runs of `ml_monthly`, in process, oldest month first.

A month whose tables are current and whose checks held is left as it is, so that a killed command goes on where it was. One
that fails does not stop those after it: they learn from the training sets before them, not from its models.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from footprint_assets.assets import MONTH_TABLES
from footprint_assets.assets.learning import LEVELS_SIGNALS, history_of, training_set
from footprint_assets.backfill import Command
from footprint_assets.build import build_definitions
from footprint_assets.checks import MONTH_CHECKS
from footprint_assets.errors import FootprintError
from footprint_assets.execution import end_dead_runs, execute
from footprint_assets.jobs import ML_MONTHLY
from footprint_assets.months import MonthScope, MonthTable, months_from
from footprint_assets.partitions import is_month
from footprint_assets.records import asset_key, contract_check, dates_that_held, rule_check
from footprint_assets.resources import Workbench
from footprint_assets.runs import DateOutcome, Outcome, dagster_home
from footprint_assets.settings import Settings
from footprint_assets.side_by_side import Runs

LEARN = Command("learn.json", "footprint-assets learn --start YYYY-MM --end YYYY-MM")
LEARN_TAG = "footprint/learn"
"""Run tag with the id of the command."""


class NothingToLearn(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The months asked for are not over, or hold nothing to learn from."""


@dataclass(frozen=True)
class MonthOutcome:
    """What became of one month.

    Args:
        month: Its first day.
        run: What became of its run.
        note: What a reader should know of a run that did not fail; empty where there is nothing.
    """

    month: dt.date
    run: DateOutcome
    note: str = ""


def months_to_learn(settings: Settings, start: dt.date | None, end: dt.date | None) -> list[dt.date]:
    """The months of a range, oldest first.

    Args:
        settings: Name the lake.
        start: First day of the first month; the first with signals where ``None``.
        end: First day of the last month; the last with signals that is over where ``None``.

    Raises:
        NothingToLearn: There is none, or one asked for is not over.
    """
    now = dt.datetime.now(dt.UTC)
    published = Workbench(settings).lake.dates(LEVELS_SIGNALS)
    known = sorted({day.replace(day=1) for day in published if is_month(day.replace(day=1), now)})
    if end is not None and not is_month(end, now):
        raise NothingToLearn(f"{end:%Y-%m} is not over.", remedy="learn the months before it.")
    first, last = start or next(iter(known), None), end or next(reversed(known), None)
    if first is None or last is None or first > last:
        raise NothingToLearn(
            "No month to learn from.",
            where={"start": start, "end": end, "table": LEVELS_SIGNALS},
            remedy="footprint-assets run publishes the trade dates they are made of.",
        )
    return months_from(first, last)


def run_months(settings: Settings, months: list[dt.date], tag: str = "") -> Iterator[MonthOutcome]:
    """Learn months one after the other.

    A month before which there is too little history gets its training set, for the months after it.

    Args:
        settings: The settings.
        months: First days of the months, oldest first.
        tag: Name of the command, a tag of its runs.

    Yields:
        One outcome a month, as it ends; after an interrupt, of those that had begun.
    """
    dagster_home(settings)
    bench = Workbench(settings)
    bench.lake.recover()
    with dg.DagsterInstance.get() as instance:
        end_dead_runs(instance)
        runs = Runs()
        job = build_definitions(settings, runs=runs).resolve_job_def(ML_MONTHLY)
        for month in months:
            try:
                outcome = _run(job, MonthScope(month, bench), instance, {LEARN_TAG: tag} if tag else {})
            finally:
                runs.end()
            yield outcome
            if outcome.run.outcome == "interrupted":
                return


def _run(
    job: dg.JobDefinition, scope: MonthScope, instance: dg.DagsterInstance, tags: dict[str, str]
) -> MonthOutcome:
    started, needed = time.perf_counter(), scope.settings.models.min_sessions
    tables: tuple[MonthTable, ...] = MONTH_TABLES
    rules = MONTH_CHECKS
    note = ""
    if (known := history_of(scope)) < needed:
        tables = (training_set,)
        rules = tuple(rule for rule in MONTH_CHECKS if rule.reads == (training_set.key,))
        note = f"its training set alone: {known} trade dates were learned before it, {needed} are needed"
        job = job.get_subset(
            asset_selection={asset_key(training_set.key)},
            asset_check_selection={contract_check(training_set.key), *map(rule_check, rules)},
        )
    if all(table.is_current(scope) for table in tables) and dates_that_held(instance, rules, [scope.month]):
        return MonthOutcome(
            scope.month, DateOutcome(scope.month, "unchanged", time.perf_counter() - started), note
        )
    done = execute(job, scope.month.isoformat(), instance, tags)
    outcome: Outcome = "interrupted" if done.interrupted else "failed" if done.reasons else "published"
    seconds = time.perf_counter() - started
    run = DateOutcome(scope.month, outcome, seconds, done.run_id, done.reasons, done.work_seconds)
    return MonthOutcome(scope.month, run, note)
