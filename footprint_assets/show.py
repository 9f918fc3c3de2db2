"""Looks into any lake table or Parquet file: rows, schema, a plot in text.

Prices the lake stores in 1e-9 points are shown in points. A book partition may hold ten million rows, so rows are
streamed and only those to show are kept.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.errors import FootprintError
from footprint_assets.lake import Partition, remedy_for
from footprint_assets.resources import Workbench
from footprint_assets.settings import PRICE_SCALE, Settings

DEFAULT_ROWS = 5
WIDE_COLUMNS = 12
"""Tables with more columns are shown turned: one line a column."""
FIXED_UNIT, SHOWN_UNIT = "1e-9 pts", "pts"
UNITS_IN_VALUE = ("", "none", "1", "date", "ns UTC")
"""Units a heading need not say: there is none, or every value shows it."""
PLOT_WIDTH, PLOT_HEIGHT = 100, 16
BLOCKS = " ▁▂▃▄▅▆▇█"


class NothingToShow(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The arguments name no rows or no column."""


@dataclass(frozen=True)
class Source:
    """Rows of one Parquet file, or of one trade date of a lake table, not read yet.

    Args:
        name: The table or file, with trade date and contracts.
        rows: Rows in all.
        units: Unit by column.
        batches: The rows in order, prices in points.
    """

    name: str
    rows: int
    units: Mapping[str, str]
    batches: Iterable[pl.DataFrame]


def open_source(settings: Settings, table: str, day: dt.date | None, symbol: str | None) -> Source:
    """Find the rows the arguments name.

    Args:
        settings: Names the lake.
        table: Dataset key, or a path that ends in ``.parquet``.
        day: Trade date, or any day of a month of a table of months; the newest published where ``None``.
        symbol: One contract, or one root of a table of months; all where ``None``.

    Returns:
        The rows, to be streamed once.

    Raises:
        NothingToShow: No such table, file, contract or published trade date.
        MarketClosed: The date is no trade date.
        PartitionUnreadable: What is published is damaged.
    """
    if is_file(table):
        return _open_file(Path(table))
    _require_table(table)
    lake = Workbench(settings).lake
    if day is not None:
        day = day.replace(day=1) if contracts.is_monthly(table) else cme.session(day).trade_date
    dates = [day] if day is not None else lake.dates(table)[-1:]
    published = {date: lake.symbols(table, date) for date in dates}
    if not any(published.values()):
        raise NothingToShow(
            f"{table} is not published" + (f" for {day}." if day else "."),
            where={"table": table, "lake": lake.root},
            remedy=remedy_for(table, day)
            if day
            else f"footprint-assets {'learn' if contracts.is_monthly(table) else 'run'}",
        )
    ((date, symbols),) = published.items()
    if symbol is not None and symbol not in symbols:
        raise NothingToShow(
            f"{table} has no contract {symbol!r} on {date}.",
            where={"table": table, "dt": date},
            remedy=f"use one of {', '.join(symbols)}.",
        )
    partitions = [lake.read(table, date, name) for name in ([symbol] if symbol else symbols)]
    return Source(
        name=f"{table} {date} {', '.join(partition.symbol for partition in partitions)}",
        rows=sum(partition.manifest.rows for partition in partitions),
        units={field.name: field.unit for field in contracts.load(table).fields},
        batches=_partition_batches(partitions),
    )


def is_file(table: str) -> bool:
    """Whether the argument names a Parquet file rather than a lake table."""
    return table.endswith(".parquet")


def _partition_batches(partitions: list[Partition]) -> Iterator[pl.DataFrame]:
    for partition in partitions:
        yield partition.scan(prices="points").head(0).collect()
        yield from partition.frames(prices="points")


def _open_file(path: Path) -> Source:
    file = _parquet(path)
    return Source(
        name=str(path),
        rows=file.metadata.num_rows,
        units={field.name: _metadata(field, b"unit") for field in file.schema_arrow},
        batches=_file_batches(file),
    )


def _file_batches(file: pq.ParquetFile) -> Iterator[pl.DataFrame]:
    fixed = [field.name for field in file.schema_arrow if _metadata(field, b"unit") == FIXED_UNIT]
    in_points = pl.col(fixed) / PRICE_SCALE
    yield pl.DataFrame(file.schema_arrow.empty_table()).with_columns(in_points)
    for batch in file.iter_batches():
        yield pl.DataFrame(batch).with_columns(in_points)


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise NothingToShow(
            "The Parquet file cannot be read.", where={"file": path, "error": error}
        ) from error


def _metadata(field: pa.Field, key: bytes) -> str:
    metadata: dict[bytes, bytes] = field.metadata or {}
    return metadata.get(key, b"").decode()


def _require_table(table: str) -> None:
    try:
        contracts.load(table)
    except contracts.ContractNotFound:
        known = contracts.all_keys()
    else:
        return
    by_short_name = {key.rpartition(".")[2]: key for key in known}
    near = difflib.get_close_matches(table, known, n=3) or [
        by_short_name[name]
        for name in difflib.get_close_matches(table.rpartition(".")[2], by_short_name, n=3)
    ]
    raise NothingToShow(
        f"There is no table {table!r}.",
        remedy=f"did you mean {' or '.join(near)}?" if near else f"use one of {', '.join(known)}.",
    )


def describe_schema(table: str) -> list[list[object]]:
    """Name, type, ``null`` where it is allowed, unit and documentation of every column, as stored.

    Args:
        table: Dataset key, or a path that ends in ``.parquet``.

    Raises:
        NothingToShow: No such table or file.
    """
    if is_file(table):
        return [
            [f.name, f.type, "null" if f.nullable else "", _metadata(f, b"unit"), _metadata(f, b"doc")]
            for f in _parquet(Path(table)).schema_arrow
        ]
    _require_table(table)
    return [
        [f.name, f.type_name, "null" if f.nullable else "", f.unit, f.doc]
        for f in contracts.load(table).fields
    ]


def first_rows(source: Source, count: int = DEFAULT_ROWS) -> pl.DataFrame:
    """The first rows of a source."""
    kept: list[pl.DataFrame] = []
    for batch in source.batches:
        kept.append(batch.head(count))
        count -= kept[-1].height
        if count == 0:
            break
    return pl.concat(kept)


def last_rows(source: Source, count: int = DEFAULT_ROWS) -> pl.DataFrame:
    """The last rows of a source."""
    batches = iter(source.batches)
    kept = next(batches)
    for batch in batches:
        kept = pl.concat([kept, batch]).tail(count)
    return kept


def column_of(source: Source, name: str, where: Mapping[str, str]) -> pl.Series:
    """A numeric column of the rows that match, as floats without nulls.

    Args:
        source: The rows.
        name: The column.
        where: Column to the text its value must have, such as ``{"bar_type": "time_5m"}``.

    Raises:
        NothingToShow: No such column, or it holds no numbers.
    """
    values = []
    matches = [pl.col(column).cast(pl.String) == value for column, value in where.items()]
    for batch in source.batches:
        for column in (name, *where):
            _require_column(batch, column, source.name)
        dtype = batch.schema[name]
        if not (dtype.is_numeric() or dtype == pl.Boolean):
            raise NothingToShow(
                f"Column {name!r} holds no numbers.", where={"table": source.name, "type": dtype}
            )
        values.append((batch.filter(*matches) if matches else batch)[name].cast(pl.Float64).drop_nulls())
    return pl.concat(values)


def _require_column(frame: pl.DataFrame, name: str, table: str) -> None:
    if name not in frame.columns:
        near = difflib.get_close_matches(name, frame.columns, n=3)
        raise NothingToShow(
            f"There is no column {name!r}.",
            where={"table": table},
            remedy=f"did you mean {' or '.join(near)}?" if near else "footprint-assets show TABLE --schema",
        )


def cells(frame: pl.DataFrame, units: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of rows, every value in full.

    Args:
        frame: The rows, prices in points.
        units: Unit by column, as stored.

    Returns:
        One line a row; of a wide table one line a column.
    """
    texts = frame.select(pl.all().cast(pl.String).fill_null("null"))
    names = [_heading(name, units.get(name, "")) for name in frame.columns]
    if frame.width <= WIDE_COLUMNS:
        return names, [list(row) for row in texts.iter_rows()]
    headings = ["column", *(f"row {number}" for number in range(1, frame.height + 1))]
    return headings, [[name, *column.to_list()] for name, column in zip(names, texts, strict=True)]


def _heading(name: str, unit: str) -> str:
    shown = SHOWN_UNIT if unit == FIXED_UNIT else unit
    return name if shown in UNITS_IN_VALUE else f"{name} [{shown}]"


def plot(values: pl.Series) -> str:
    """Draw values as text, oldest first.

    Args:
        values: Float64 without nulls.

    Returns:
        A chart of at most 100 characters by 16 lines: the mean of each run of values, between the least and the
        greatest mean, both of which are written beside it.
    """
    if values.is_empty():
        return f"{values.name}: no values"
    width = min(PLOT_WIDTH, len(values))
    bucket = pl.int_range(pl.len()) * width // pl.len()
    means = values.to_frame("v").group_by(bucket.alias("bucket"), maintain_order=True).mean()["v"].to_list()
    low, high = min(means), max(means)
    steps = PLOT_HEIGHT * (len(BLOCKS) - 1)
    heights = [round((value - low) / (high - low) * steps) if high > low else steps // 2 for value in means]
    lines = [
        "".join(BLOCKS[max(0, min(len(BLOCKS) - 1, height - row * (len(BLOCKS) - 1)))] for height in heights)
        for row in reversed(range(PLOT_HEIGHT))
    ]
    return "\n".join([f"{values.name}  {high:.10g}", *lines, f"{low:.10g}  ({len(values)} values)"])
