"""Commands that answer: rows of a table, the past attempts like one, what the models say of it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from footprint_assets import console
from footprint_assets.cli.common import (
    AttemptDate,
    Json,
    Level,
    Root,
    Time,
    attempt_asked,
    date_option,
    settings_of_environment,
)

if TYPE_CHECKING:
    from footprint_assets.asked import Prediction, Similar


def show(
    table: Annotated[
        str, typer.Argument(help="A table such as silver.future.footprint_bar, or a Parquet file.")
    ],
    date: Annotated[
        dt.date | None, date_option("Trade date, or a day of the month; the newest by default.")
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(help="One contract, such as ESU4, or root of a table of months, such as ES.")
    ] = None,
    head: Annotated[int | None, typer.Option(min=1, help="First rows.")] = None,
    tail: Annotated[int | None, typer.Option(min=1, help="Last rows.")] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Columns with types, units and documentation.")
    ] = False,
    plot: Annotated[str | None, typer.Option(metavar="COLUMN", help="Draw a numeric column.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Rows to plot, such as bar_type=time_5m."),
    ] = None,
) -> None:
    """Show rows, the schema or a plot of any lake table or Parquet file. Prices are in points."""
    from footprint_assets import show as viewer

    if sum(option is not None for option in (head, tail, plot)) + schema > 1:
        raise typer.BadParameter("give one of --head, --tail, --schema and --plot.")
    if where and plot is None:
        raise typer.BadParameter("--where goes with --plot.")
    if schema:
        console.table(["column", "type", "null", "unit", "documentation"], viewer.describe_schema(table))
        return
    source = viewer.open_source(settings_of_environment(), table, date, symbol)
    console.line(f"{source.name}: {source.rows:,} rows")
    if plot is not None:
        console.line(viewer.plot(viewer.column_of(source, plot, dict(_equations(where or [])))))
        return
    if not source.rows:
        return
    rows = viewer.last_rows(source, tail) if tail else viewer.first_rows(source, head or viewer.DEFAULT_ROWS)
    console.table(*viewer.cells(rows, source.units))


def similar(date: AttemptDate, level: Level, time: Time, root: Root = "ES", as_json: Json = False) -> None:
    """Show the past attempts most like one, nearest first, and what became of them."""
    from footprint_assets import asked

    found = asked.similar(*attempt_asked(date, level, time, root))
    _tell(found, as_json=as_json)
    if not as_json:
        console.line(found.words)


def predict(date: AttemptDate, level: Level, time: Time, root: Root = "ES", as_json: Json = False) -> None:
    """Show what the models in use say of an attempt: break, bounce or chop, how far, how soon."""
    from footprint_assets import asked

    _tell(asked.predict(*attempt_asked(date, level, time, root)), as_json=as_json)


def _tell(answer: Similar | Prediction, *, as_json: bool) -> None:
    """Print an answer about an attempt, for people or as JSON."""
    if as_json:
        console.line(json.dumps(answer.as_json(), indent=2))
        return
    console.line(answer.attempt.words)
    console.table(*answer.cells())


def _equations(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise typer.BadParameter(f"{text!r} is not COLUMN=VALUE.")
        yield name, value
