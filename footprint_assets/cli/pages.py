"""Commands that write HTML pages, ``footprint-assets page``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from footprint_assets import console
from footprint_assets.cli.common import (
    AttemptDate,
    End,
    Level,
    Root,
    Simulated,
    Start,
    Time,
    attempt_asked,
    date_option,
    settings_of_environment,
)


def session(
    date: Annotated[dt.date, date_option("Trade date.")],
    symbol: Annotated[str, typer.Option(help="Contract, such as ESU4.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/session.html"),
    simulated: Simulated = False,
) -> None:
    """Candles, volume profile, levels, VWAP bands, attempts with outcomes, cumulative delta, depth of the book."""
    from footprint_assets.pages import write_session_page

    write_session_page(settings_of_environment(), date, symbol, out, simulated=simulated)
    console.line(f"wrote {out}")


def footprint(
    date: Annotated[dt.date, date_option("Trade date.")],
    symbol: Annotated[str, typer.Option(help="Contract, such as ESU4.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/footprint.html"),
    bar_type: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as time_5m, range_10t, volume_1000; may be repeated. All that fit by default."
        ),
    ] = None,
    simulated: Simulated = False,
) -> None:
    """Bid x ask at every price of every bar, any bar type, with imbalances and points of control."""
    from footprint_assets.pages import write_footprint_page

    write_footprint_page(settings_of_environment(), date, symbol, bar_type or [], out, simulated=simulated)
    console.line(f"wrote {out}")


def quality(
    start: Start = None,
    end: End = None,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/quality.html"),
    simulated: Simulated = False,
) -> None:
    """Check findings, row accounts and null rates of the published trade dates."""
    from footprint_assets.pages import write_quality_page

    write_quality_page(settings_of_environment(), start, end, out, simulated=simulated)
    console.line(f"wrote {out}")


def models(
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="Calendar month.")],
    root: Root = "ES",
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/models.html"),
    simulated: Simulated = False,
) -> None:
    """Calibration, lift, coverage, importance, signals and why, reports and cards of a month's models."""
    from footprint_assets.model_pages import write_model_page
    from footprint_assets.months import month_of

    write_model_page(settings_of_environment(), month_of(month), root, out, simulated=simulated)
    console.line(f"wrote {out}")


def setups(
    date: AttemptDate,
    level: Level,
    time: Time,
    root: Root = "ES",
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/setups.html"),
    simulated: Simulated = False,
) -> None:
    """An attempt at a level beside the past ones most like it: how price went, and what became of them."""
    from footprint_assets.model_pages import write_setups_page

    write_setups_page(*attempt_asked(date, level, time, root), out, simulated=simulated)
    console.line(f"wrote {out}")
