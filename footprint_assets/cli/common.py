"""What several commands share: their options, the settings of the environment, the trade dates they speak of."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from footprint_assets import console
from footprint_assets.errors import FootprintError

if TYPE_CHECKING:
    from footprint_assets.attempts import Attempt
    from footprint_assets.resources import Workbench
    from footprint_assets.settings import Settings


class NothingToRun(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The dates asked for hold no session, or the drop folder covers none."""


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD.") from error


def date_option(documentation: str) -> typer.models.OptionInfo:
    """An option that is a trade date."""
    option: typer.models.OptionInfo = typer.Option(parser=_date, metavar="YYYY-MM-DD", help=documentation)
    return option


def _month(text: str) -> dt.date:
    from footprint_assets.months import month_of

    return month_of(text)


def month_option(documentation: str) -> typer.models.OptionInfo:
    """An option that is a month."""
    option: typer.models.OptionInfo = typer.Option(parser=_month, metavar="YYYY-MM", help=documentation)
    return option


def _time(text: str) -> dt.time:
    try:
        return dt.time.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a time; write HH:MM:SS.") from error


OneDate = Annotated[dt.date | None, date_option("One trade date.")]
Start = Annotated[dt.date | None, date_option("First trade date.")]
End = Annotated[dt.date | None, date_option("Last trade date.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]
Records = Annotated[
    int | None, typer.Option(metavar="N", help="MBP-10 records of the front ES contract a session.")
]
Simulated = Annotated[bool, typer.Option("--simulated", help="Say on the page that the market is simulated.")]
AttemptDate = Annotated[dt.date, date_option("Trade date of the attempt.")]
Level = Annotated[str, typer.Option(help="Level it was made at, such as PM_HIGH.")]
Time = Annotated[
    dt.time,
    typer.Option(
        parser=_time, metavar="HH:MM:SS", help="New York time; the last attempt decided by then is meant."
    ),
]
Root = Annotated[str, typer.Option(help="Product root.")]


def settings_of_environment() -> Settings:
    """The settings of the environment and ``.env``.

    Raises:
        SettingsRefused: One of them is not valid, or names no setting.
    """
    from footprint_assets.settings import Settings

    return Settings.from_env()


def attempt_asked(date: dt.date, level: str, time: dt.time, root: str) -> tuple[Workbench, Attempt]:
    """The lake, and the attempt at a level that a command speaks of."""
    from footprint_assets.attempts import find_attempt
    from footprint_assets.resources import Workbench

    bench = Workbench(settings_of_environment())
    return bench, find_attempt(bench, date, level, time, root)


def dates_asked(
    settings: Settings, date: dt.date | None, start: dt.date | None, end: dt.date | None
) -> list[dt.date]:
    """The trade dates a command speaks of."""
    from footprint_assets import calendar as cme
    from footprint_assets.resources import Workbench

    if date is not None:
        if start is not None or end is not None:
            raise typer.BadParameter("give --date, or --start and --end.")
        return [cme.session(date).trade_date]
    if start is not None and end is not None:
        if not (dates := cme.sessions(start, end)):
            closed = ", ".join(f"{day} {name}" for day, name in cme.closures(start, end).items())
            raise NothingToRun(
                f"No session lies between {start} and {end}.", where={"closed": closed or "weekend"}
            )
        return dates
    bench = Workbench(settings)
    for entry in bench.catalog().entries:
        if entry.problem is not None:
            console.problem(f"{entry.name} is not read: {entry.problem}")
    if not (dates := bench.covered_dates(start, end)):
        raise NothingToRun(
            "The drop folder has no MBP-10 or trades file for these dates.",
            where={"folder": settings.dbn_dir},
            remedy="footprint-assets ingest --register PATH... or footprint-assets sample",
        )
    return dates


def known_home(home: Path) -> Path:
    """The Dagster home, with a word where its configuration is of an earlier release."""
    from footprint_assets.runs import outdated_config

    if hint := outdated_config(home):
        console.problem(hint)
    return home
