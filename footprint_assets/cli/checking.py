"""Commands that judge what is published: every check, every byte, what is current."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from footprint_assets import console
from footprint_assets.cli.common import End, Json, Start, settings_of_environment

if TYPE_CHECKING:
    from footprint_assets.audit import AuditRow
    from footprint_assets.status import State

Fresh = Annotated[
    bool, typer.Option("--fresh", help="Ask too whether the trade date that is due by now is published.")
]


def audit(start: Start = None, end: End = None, fresh: Fresh = False, as_json: Json = False) -> None:
    """Run every check over the published trade dates; exit code 1 on an ERROR finding."""
    from footprint_assets.audit import audit as findings
    from footprint_assets.resources import Workbench

    rows = list(findings(Workbench(settings_of_environment()), start, end, _now(fresh)))
    if as_json:
        console.line(json.dumps([_as_json(row) for row in rows], indent=2, default=str))
    else:
        _print_findings(rows)
    if not rows:
        console.problem("Nothing is published in this range.")
    raise typer.Exit(1 if not rows or any(row.is_error for row in rows) else 0)


def validate(
    start: Start = None,
    end: End = None,
    fresh: Fresh = False,
    out: Annotated[Path, typer.Option(help="The report, .html or .md.")] = Path("build/validation.html"),
) -> None:
    """Write what every check says of the published trade dates as one page; exit code 1 on an ERROR finding."""
    from footprint_assets import validation
    from footprint_assets.resources import Workbench

    found = validation.validate(Workbench(settings_of_environment()), start, end, _now(fresh))
    validation.write_report(found, out)
    console.line(validation.summary(found))
    console.line(f"wrote {out}")
    if not found.dates:
        console.problem("Nothing is published in this range.")
    raise typer.Exit(1 if found.is_error or not found.dates else 0)


def scrub(start: Start = None, end: End = None, as_json: Json = False) -> None:
    """Compare every byte of the lake with its manifests; exit code 1 where one differs, or where nothing is there."""
    from footprint_assets.resources import Workbench

    lake = Workbench(settings_of_environment()).lake
    if not lake.tables():
        console.problem(f"Nothing is published in {lake.root}.")
        raise typer.Exit(1)
    damaged = [vars(finding) for finding in lake.scrub(start=start, end=end)]
    if as_json:
        console.line(json.dumps(damaged, indent=2, default=str))
    elif damaged:
        console.table(list(damaged[0]), [list(finding.values()) for finding in damaged])
    else:
        console.line("Every file is what was published.")
    raise typer.Exit(1 if damaged else 0)


def status(start: Start = None, end: End = None, as_json: Json = False) -> None:
    """Show which trade dates, or months, of each table are current, empty, stale or missing."""
    from footprint_assets.resources import Workbench
    from footprint_assets.status import month_status
    from footprint_assets.status import status as states_of_dates

    bench = Workbench(settings_of_environment())
    dates = {str(day): tables for day, tables in states_of_dates(bench, start, end).items()}
    months = {f"{month:%Y-%m}": tables for month, tables in month_status(bench, start, end).items()}
    if as_json:
        console.line(json.dumps(dates | months, indent=2))
        return
    if not dates and not months:
        folder = bench.settings.dbn_dir.resolve()
        console.line(
            f"No trade date is published in {bench.lake.root} or covered by the drop folder {folder}."
        )
        return
    shown: tuple[State, ...] = ("current", "empty", "stale", "missing")
    console.table(
        ["table", *shown],
        [
            [key, *(_ranges(states, key, state) for state in shown)]
            for states in (dates, months)
            for key in next(iter(states.values()), {})
        ],
    )


def _print_findings(rows: Sequence[AuditRow]) -> None:
    failed = [row for row in rows if not row.finding.passed]
    if failed:
        console.table(
            ["trade date", "check", "contract", "severity", "facts"],
            [
                [
                    row.trade_date,
                    row.check.name,
                    row.finding.symbol,
                    row.severity,
                    row.finding.words,
                ]
                for row in failed
            ],
        )
    dates = len({row.trade_date for row in rows})
    console.line(
        f"{len(rows)} findings over {dates} trade dates: {len(rows) - len(failed)} passed, {len(failed)} failed, "
        f"{sum(bool(row.finding.skipped) for row in rows)} of them not judged"
    )


def _as_json(row: AuditRow) -> dict[str, object]:
    return {
        "trade_date": row.trade_date,
        "check": row.check.name,
        "severity": row.severity,
        "symbol": row.finding.symbol,
        "verdict": row.verdict,
        "passed": row.finding.passed,
        "facts": row.finding.facts,
    }


def _ranges(states: Mapping[str, Mapping[str, State]], table: str, state: State) -> str:
    """The partitions of a table in one state, neighbours drawn together."""
    runs = []
    for matches, days in groupby(states, key=lambda day: states[day][table] == state):
        if matches:
            first, *rest = days
            runs.append(f"{first}..{rest[-1]} ({len(rest) + 1})" if rest else str(first))
    return ", ".join(runs)


def _now(asked: bool) -> dt.datetime | None:
    """This instant, where it is asked what is due by it."""
    return dt.datetime.now(dt.UTC) if asked else None
