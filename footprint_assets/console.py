"""What the command line prints: tables and messages on standard output, progress on standard error.

Nothing is ever cut off: a terminal folds long cells, a pipe or a file gets lines as wide as they need to be.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from footprint_assets.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    "failed": "red",
    "refused": "red",
    "missing": "red",
    "stale": "yellow",
    "quarantined": "yellow",
    "interrupted": "yellow",
    "WARN": "yellow",
    "ERROR": "red",
}
UNLIMITED = 100_000
"""Characters a line may have where no terminal limits it."""

Advance = Callable[[int, int], None]
"""``(done, total)``: how far the work is."""


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table.

    Args:
        columns: Headings.
        rows: Cells; ``None`` prints as nothing.
    """
    from rich.table import Column, Table
    from rich.text import Text

    shown = Table(*(Column(Text(name), overflow="fold") for name in columns))
    for row in rows:
        shown.add_row(
            *(Text("" if cell is None else str(cell), style=STYLES.get(str(cell), "")) for cell in row)
        )
    _console().print(shown)


def line(text: str) -> None:
    """Print one line."""
    typer.echo(text)


def problem(text: str) -> None:
    """Print one line of bad news on standard error, without the secrets in it."""
    typer.secho(redact(text), fg="red", err=True)


@contextmanager
def progress(label: str) -> Iterator[Advance]:
    """Show a progress bar on a terminal; show nothing where there is none.

    Args:
        label: What is going on.

    Yields:
        A function that moves the bar.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def is_terminal() -> bool:
    """Whether progress is shown as a bar."""
    return sys.stderr.isatty()


def _console() -> Console:
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=UNLIMITED)
