"""Commands that make tables: trade dates, a range of them, months."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from footprint_assets import console
from footprint_assets.cli.common import (
    End,
    OneDate,
    Start,
    dates_asked,
    known_home,
    month_option,
    settings_of_environment,
)

if TYPE_CHECKING:
    from footprint_assets.backfill import Plan, Scope
    from footprint_assets.runs import DateOutcome
    from footprint_assets.settings import Settings

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Layer(StrEnum):
    """A layer of the lake."""

    bronze = "bronze"
    silver = "silver"
    gold = "gold"


def run(
    date: OneDate = None,
    start: Start = None,
    end: End = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Trade dates at once, each in a process of its own.")
    ] = 1,
) -> None:
    """Run trade dates from DBN to gold, with every check.

    Without dates: every date the drop folder covers. A date that fails does not stop the others; the exit code is 1,
    130 after Ctrl-C.
    """
    settings = settings_of_environment()
    raise typer.Exit(run_and_report(settings, dates_asked(settings, date, start, end), workers))


def backfill(
    start: Start = None,
    end: End = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Trade dates at once, each in a process of its own.")
    ] = None,
    layer: Annotated[
        list[Layer] | None, typer.Option(help="Only the tables of a layer; may be given several times.")
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE", help="Only these tables, such as 'silver.future.bbo' or 'silver.*footprint*'."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last backfill: its range, its tables.")
    ] = False,
) -> None:
    """Make a range of trade dates, or some tables of it. What is current is left as it is.

    Without dates: every date the drop folder covers. Exactly the tables asked for are made, with those of the same pass;
    an input that is missing fails the trade date. Exit code 1 where a date failed, 130 after Ctrl-C.
    """
    from footprint_assets import backfill as backfills
    from footprint_assets.runs import dagster_home

    settings = settings_of_environment()
    home = known_home(dagster_home(settings))
    if resume:
        if start or end or layer or tables:
            raise typer.BadParameter("--resume takes its range and tables from the last backfill.")
        plan = backfills.Plan.load(home, settings)
    else:
        dates = dates_asked(settings, None, start, end)
        plan = backfills.Plan(
            start or dates[0],
            end or dates[-1],
            tuple(one.value for one in layer or ()),
            tuple(name.strip() for names in tables or () for name in names.split(",")),
            workers or 1,
            str(settings.lake_root.resolve()),
        )
    scope = backfills.scope_of(settings, plan)
    plan.save(home)
    raise typer.Exit(_run_backfill(settings, plan, scope, workers or plan.workers))


def learn(
    start: Annotated[dt.date | None, month_option("First month.")] = None,
    end: Annotated[dt.date | None, month_option("Last month.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the months asked for last.")] = False,
) -> None:
    """Learn from levels month after month: each from the months before it, judged on its own. What is current stays.

    Without months: all that have signals. A month that fails does not stop those after it. Exit code 1 where one failed,
    130 after Ctrl-C.
    """
    from footprint_assets.backfill import Plan
    from footprint_assets.learn import LEARN, months_to_learn
    from footprint_assets.runs import dagster_home

    settings = settings_of_environment()
    home = known_home(dagster_home(settings))
    if resume:
        if start or end:
            raise typer.BadParameter("--resume takes its months from the last time.")
        plan = Plan.load(home, settings, LEARN)
        months = months_to_learn(settings, plan.start, plan.end)
    else:
        months = months_to_learn(settings, start, end)
        plan = Plan(months[0], months[-1], lake=str(settings.lake_root.resolve()))
        plan.save(home, LEARN)
    raise typer.Exit(_learn_and_report(settings, months, plan.id))


def run_and_report(settings: Settings, dates: list[dt.date], workers: int) -> int:
    """Run trade dates, print what became of them, and give the exit code."""
    from footprint_assets.runs import run_dates

    outcomes: list[DateOutcome] = []
    with console.progress("DBN to gold") as advance:
        advance(0, len(dates))
        for outcome in run_dates(settings, dates, workers):
            outcomes.append(outcome)
            advance(len(outcomes), len(dates))
    outcomes.sort(key=lambda outcome: outcome.trade_date)
    console.table(
        ["trade date", "outcome", "seconds", "run"],
        [[o.trade_date, o.outcome, f"{o.seconds:.1f}", o.run_id[:8]] for o in outcomes],
    )
    for outcome in outcomes:
        for reason in outcome.reasons:
            console.problem(f"{outcome.trade_date} {reason}")
    ended = [outcome.outcome for outcome in outcomes if outcome.outcome != "interrupted"]
    if left := len(dates) - len(ended):
        console.problem(f"{left} trade dates are left: the same command goes on.")
        return INTERRUPTED
    return int("failed" in ended)


def _run_backfill(settings: Settings, plan: Plan, scope: Scope, workers: int) -> int:
    """Run a backfill and print what became of it.

    Returns:
        The exit code.
    """
    from footprint_assets.backfill import BACKFILL_TAG
    from footprint_assets.runs import run_dates

    console.line(
        f"backfill {plan.id}: {len(scope.dates)} trade dates from {plan.start} to {plan.end}, {len(scope.tables)} tables"
    )
    started = time.perf_counter()
    outcomes: list[DateOutcome] = []
    selected = None if scope.is_whole else scope.tables
    with console.progress("backfill") as advance:
        advance(0, len(scope.dates))
        for outcome in run_dates(settings, scope.dates, workers, selected, {BACKFILL_TAG: plan.id}):
            outcomes.append(outcome)
            advance(len(outcomes), len(scope.dates))
            if not console.is_terminal():
                done = f"{len(outcomes)}/{len(scope.dates)}"
                console.line(f"{done} {outcome.trade_date} {outcome.outcome} {outcome.seconds:.1f} s")
            for reason in outcome.reasons:
                console.problem(f"{outcome.trade_date} {reason}")
    for day, reason in scope.skipped.items():
        console.line(f"skipped {day}: {reason}")
    _print_backfill(outcomes, scope, time.perf_counter() - started)
    left = len(scope.dates) - sum(outcome.outcome != "interrupted" for outcome in outcomes)
    if left:
        console.problem(f"{left} trade dates are left: footprint-assets backfill --resume")
        return INTERRUPTED
    return int(any(outcome.outcome == "failed" for outcome in outcomes))


def _learn_and_report(settings: Settings, months: list[dt.date], tag: str) -> int:
    """Learn months, print what became of them, and give the exit code."""
    from footprint_assets.learn import MonthOutcome, run_months

    outcomes: list[MonthOutcome] = []
    with console.progress("learning") as advance:
        advance(0, len(months))
        for outcome in run_months(settings, months, tag):
            outcomes.append(outcome)
            advance(len(outcomes), len(months))
            for reason in outcome.run.reasons:
                console.problem(f"{outcome.month:%Y-%m} {reason}")
    console.table(
        ["month", "outcome", "seconds", "run", ""],
        [
            [f"{o.month:%Y-%m}", o.run.outcome, f"{o.run.seconds:.1f}", o.run.run_id[:8], o.note]
            for o in outcomes
        ],
    )
    ended = [outcome.run.outcome for outcome in outcomes if outcome.run.outcome != "interrupted"]
    if left := len(months) - len(ended):
        console.problem(f"{left} months are left: footprint-assets learn --resume")
        return INTERRUPTED
    return int("failed" in ended)


def _print_backfill(outcomes: Sequence[DateOutcome], scope: Scope, wall: float) -> None:
    """Print the table at the end of a backfill."""
    count = Counter(outcome.outcome for outcome in outcomes)
    ran = [outcome for outcome in outcomes if outcome.run_id]
    overhead = sum(outcome.seconds - outcome.work_seconds for outcome in ran) / max(len(ran), 1)
    console.table(
        [
            "published",
            "unchanged",
            "failed",
            "skipped",
            "left",
            "wall [s]",
            "overhead a trade date [s]",
            "overhead a partition [s]",
        ],
        [
            [
                count["published"],
                count["unchanged"],
                count["failed"],
                len(scope.skipped),
                len(scope.dates) - len(outcomes) + count["interrupted"],
                f"{wall:.1f}",
                f"{overhead:.2f}",
                f"{overhead / len(scope.tables):.3f}",
            ]
        ],
    )
