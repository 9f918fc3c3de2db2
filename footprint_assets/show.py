"""Looks into any lake table or Parquet file: rows, schema, a plot in text."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from footprint_assets import contracts
from footprint_assets.errors import FootprintError
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tables import TableInput

DEFAULT_ROWS = 10
PLOT_WIDTH, PLOT_HEIGHT = 100, 16
BLOCKS = " ▁▂▃▄▅▆▇█"


class NothingToShow(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The arguments name no rows."""


def is_file(table: str) -> bool:
    """Whether the argument names a Parquet file rather than a lake table."""
    return table.endswith(".parquet")


def describe_schema(table: str) -> list[list[object]]:
    """Name, type, nullability, unit and documentation of every column."""
    if is_file(table):
        schema = pq.read_schema(Path(table))
        return [
            [f.name, f.type, f.nullable, _text(f.metadata, b"unit"), _text(f.metadata, b"doc")]
            for f in schema
        ]
    return [
        [c.name, c.type, c.nullable, c.tags["unit"], c.description]
        for c in contracts.load(table).table_columns()
    ]


def _text(metadata: dict[bytes, bytes] | None, key: bytes) -> str:
    return (metadata or {}).get(key, b"").decode()


def read_rows(
    settings: Settings,
    table: str,
    day: dt.date | None,
    symbol: str | None,
    *,
    head: int | None = None,
    tail: int | None = None,
    column: str | None = None,
) -> pl.DataFrame:
    """Read the rows to show.

    Args:
        settings: Names the lake.
        table: Dataset key or Parquet file.
        day: Trade date; the newest published where ``None``.
        symbol: One contract; all where ``None``.
        head: First rows.
        tail: Last rows.
        column: Only this column, all its rows unless ``head`` or ``tail`` is given.

    Returns:
        The rows.

    Raises:
        NothingToShow: No trade date of the table is published, or the column does not exist.
    """
    frame = pl.read_parquet(table) if is_file(table) else _lake_rows(settings, table, day, symbol)
    if column is not None:
        if column not in frame.columns:
            raise NothingToShow(
                f"{table} has no column {column!r}.", remedy=f"footprint-assets show {table} --schema"
            )
        frame = frame.select(column)
    if tail is not None:
        return frame.tail(tail)
    if head is not None or column is None:
        return frame.head(DEFAULT_ROWS if head is None else head)
    return frame


def _lake_rows(settings: Settings, table: str, day: dt.date | None, symbol: str | None) -> pl.DataFrame:
    contracts.load(table)
    lake = Workbench(settings).lake
    dates = [day] if day is not None else lake.dates(table)[-1:]
    if not dates:
        raise NothingToShow(
            f"{table} has no published trade date.", where={"table": table}, remedy="footprint-assets run"
        )
    return TableInput(lake, table, tuple(dates)).frame(symbol)


def sparkline(frame: pl.DataFrame, column: str) -> str:
    """Draw a numeric column as text, oldest row first.

    Args:
        frame: Rows with the column.
        column: A numeric or boolean column.

    Returns:
        A chart of at most 100 characters by 16 lines: the mean of each bucket of rows, between the least and the most.
    """
    values = frame[column].cast(pl.Float64).drop_nulls()
    if values.is_empty():
        return f"{column}: no values"
    width = min(PLOT_WIDTH, len(values))
    bucket = (pl.int_range(pl.len()) * width // pl.len()).alias("bucket")
    means = (
        values.to_frame("v")
        .with_columns(bucket)
        .group_by("bucket", maintain_order=True)
        .agg(pl.col("v").mean())["v"]
    )
    low, high = float(means.min()), float(means.max())  # type: ignore[arg-type]
    steps = PLOT_HEIGHT * (len(BLOCKS) - 1)
    heights = [round((value - low) / (high - low) * steps) if high > low else steps // 2 for value in means]
    lines = [
        "".join(BLOCKS[max(0, min(len(BLOCKS) - 1, height - row * (len(BLOCKS) - 1)))] for height in heights)
        for row in reversed(range(PLOT_HEIGHT))
    ]
    return "\n".join([f"{column}  {high:g}", *lines, f"{' ' * len(column)}  {low:g}  ({len(values)} values)"])
