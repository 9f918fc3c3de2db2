"""Tables and progress bars on the terminal; plain text where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

STYLES = {
    "failed": "red",
    "refused": "red",
    "missing": "red",
    "stale": "yellow",
    "quarantined": "yellow",
    "ERROR": "red",
}


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table.

    Args:
        columns: Headings.
        rows: Cells; ``None`` prints as nothing.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(*columns)
    for row in rows:
        shown.add_row(
            *(Text("" if cell is None else str(cell), style=STYLES.get(str(cell), "")) for cell in row)
        )
    Console().print(shown)


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[float], None]]:
    """Show a progress bar.

    Args:
        label: What is going on.
        total: Steps; without it, progress is reported as shares of one.

    Yields:
        A function that advances the bar.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    count = [MofNCompleteColumn()] if total is not None else []
    with Progress(
        SpinnerColumn(), TextColumn(label), BarColumn(), *count, TimeElapsedColumn(), transient=True
    ) as bar:
        task = bar.add_task(label, total=1.0 if total is None else total)
        yield lambda steps: bar.advance(task, steps)
