"""Commands that tend what Dagster has written down: old runs, and partitions it does not know."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated

import typer

from footprint_assets import console
from footprint_assets.cli.common import known_home, settings_of_environment


def prune_runs(
    older_than: Annotated[
        int, typer.Option("--older-than", min=0, metavar="DAYS", help="Days since the run ended.")
    ] = 30,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")
    ] = False,
) -> None:
    """Delete old Dagster runs that failed or were superseded, and the event files they leave.

    The run of a partition's latest materialisation or of a check's latest record is never deleted.
    """
    import dagster as dg

    from footprint_assets.prune import prune_runs as prune
    from footprint_assets.records import check_keys
    from footprint_assets.runs import dagster_home

    settings = settings_of_environment()
    known_home(dagster_home(settings))
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=older_than)
    with dg.DagsterInstance.get() as instance:
        found = prune(instance, check_keys(settings), before, dry_run=dry_run)
    console.line(
        f"{found.runs} runs {'would be ' * dry_run}deleted, {found.bytes / 1e6:.1f} MB; "
        f"{found.kept} as old are the latest of a partition or check and stay"
    )


def sync_catalog(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what differs, and report nothing.")] = False,
) -> None:
    """Report to Dagster every published partition it does not know, and say what it claims and the lake lacks.

    Exit code 1 where the lake lacks a partition, or one cannot be read.
    """
    import dagster as dg

    from footprint_assets.assets import MONTH_TABLES, tables
    from footprint_assets.catalog import synchronise
    from footprint_assets.resources import Workbench
    from footprint_assets.runs import dagster_home

    settings = settings_of_environment()
    known_home(dagster_home(settings))
    bench = Workbench(settings)
    with dg.DagsterInstance.get() as instance:
        found = synchronise(instance, bench, (*tables(settings), *MONTH_TABLES), report=not dry_run)
    count = sum(map(len, found.reported.values()))
    console.line(f"{found.agreed} partitions agree, {count} {'differ' if dry_run else 'reported to Dagster'}")
    for key, days in found.claimed.items():
        console.problem(f"{key}: Dagster has it, the lake does not: {_listed(days)}")
    for key, days in found.unreadable.items():
        console.problem(f"{key}: cannot be read: {_listed(days)}")
    raise typer.Exit(1 if found.claimed or found.unreadable else 0)


def _listed(days: Sequence[dt.date]) -> str:
    """Trade dates as people read them, the sessions in between left out."""
    from footprint_assets import calendar as cme

    between = {day: number for number, day in enumerate(cme.sessions(days[0], days[-1]))}
    runs: list[list[dt.date]] = []
    for day in days:
        if runs and between.get(day, -2) == between.get(runs[-1][-1], -9) + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(f"{run[0]}..{run[-1]} ({len(run)})" if run[1:] else str(run[0]) for run in runs)
