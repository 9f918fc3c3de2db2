"""Reading published partitions: pinned, checked, typed.

A reader opens a partition's directory once and every file through it; from then on a writer may replace or remove the
partition without changing what this reader sees. polars and pyarrow open a Parquet file twice a read (footer, then
data), so by path they can mix two generations - with stale statistics even without an error.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.io.plugins import register_io_source

from footprint_assets.background import ahead
from footprint_assets.lake import fsops, hashes
from footprint_assets.lake.commit import RECOVER, intents
from footprint_assets.lake.errors import PartitionCorrupt, PartitionMissing, PartitionTorn
from footprint_assets.lake.layout import MANIFEST, SUCCESS, Layout, checked_date, part_name, remedy_for
from footprint_assets.lake.manifest import (
    FileEntry,
    InputRef,
    Manifest,
    TimeRange,
    newest,
    parse_manifest,
    sha256,
)
from footprint_assets.lake.parquet import PRICE_UNIT, ROW_GROUP_ROWS, polars_schema, time_range

Verify = Literal["size", "once", "sha256"]
"""``size``: marker, manifest and sizes. ``once``: hashes too of files this process has neither hashed nor written since
they were last touched. ``sha256``: hashes always."""

Prices = Literal["fixed", "points"]
"""``fixed``: int64 in 1e-9 points, as stored. ``points``: float64 points."""

BATCH_ROWS = ROW_GROUP_ROWS
"""Rows of a batch: 30 MB of book, of which a pass holds a few at a time. Half as many rows cost 10 % more CPU a row, twice as
many 3 % less."""

_WAIT_S = 5.0
_POLL_S = 0.005
_BLOCK_BYTES = 1 << 20
_FIXED_PER_POINT = 1_000_000_000

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Span:
    """Values of a column from ``low`` up to, but not including, ``high``.

    Args:
        column: A required integer or timestamp column.
        low: First value.
        high: First value beyond; ns since the epoch for timestamps, like ``low``.
    """

    column: str
    low: int
    high: int

    def meets(self, file: pq.ParquetFile, group: int) -> bool:
        """Whether a row group may hold values of the span, as far as its statistics tell."""
        at = file.schema_arrow.get_field_index(self.column)
        found = file.metadata.row_group(group).column(at).statistics
        if found is None or not found.has_min_max:
            return True
        return bool(found.max_raw >= self.low and found.min_raw < self.high)


class Partition:
    """One symbol of a table's trade date, pinned: what is read cannot change any more.

    Close it, or use it as a context manager. A LazyFrame of ``scan`` keeps the files open for itself.

    Args:
        manifest: The partition's manifest.
        path: Its directory, for messages.
        files: Open descriptors of its files.
    """

    def __init__(self, manifest: Manifest, path: Path, files: _Files) -> None:
        self.manifest = manifest
        self.path = path
        self._files: _Files | None = files

    @property
    def table(self) -> str:
        """Dataset key."""
        return self.manifest.table

    @property
    def dt(self) -> dt.date:
        """Trade date."""
        return self.manifest.dt

    @property
    def symbol(self) -> str:
        """Contract symbol."""
        return self.manifest.symbol

    @property
    def parts(self) -> tuple[int, ...]:
        """Numbers of the Parquet parts that hold rows."""
        return self.manifest.parts

    @property
    def schema(self) -> pa.Schema:
        """The arrow schema the files were written with, the contract's identity in its metadata."""
        with self._decoding():
            return self._parquet(self.manifest.files[0]).schema_arrow

    def time_range(self, part: int) -> TimeRange | None:
        """First and last instant of a part, from its statistics; ``None`` where it has no times."""
        with self._decoding():
            return time_range(
                self._parquet(e).metadata for e in self.manifest.files if e.name == part_name(part)
            )

    def scan(self, columns: list[str] | None = None, *, prices: Prices = "fixed") -> pl.LazyFrame:
        """The rows as a lazy query; projections, filters and row-group statistics reach the files.

        Args:
            columns: Columns, in the order wanted; all where ``None``.
            prices: Form of the fixed-point prices.

        Returns:
            A LazyFrame in contract types. It stays valid after the partition is closed.
        """
        # The query holds this twin, and with it the descriptors, for as long as it exists.
        pinned = Partition(self.manifest, self.path, self._open)
        paths, stored = self._checked_files()
        types, points = polars_schema(stored), _points_of(stored, prices)

        def source(
            wanted: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            with pinned._decoding():
                lazy = _typed(_scan(paths), types, points)
                lazy = lazy if rows is None else lazy.head(rows)
                lazy = lazy if predicate is None else lazy.filter(predicate)
                frame = (lazy if wanted is None else lazy.select(wanted)).collect()
            yield frame

        schema = pl.Schema(types | dict.fromkeys(points, pl.Float64()))
        found = register_io_source(source, schema=schema, explain_name=str(self.path))
        return found if columns is None else found.select(columns)

    def frame(
        self,
        columns: list[str] | None = None,
        *,
        prices: Prices = "fixed",
        where: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """All rows at once, in contract types.

        Args:
            columns: Columns, in the order wanted; all where ``None``.
            prices: Form of the fixed-point prices.
            where: Which rows, in terms of the columns wanted; all where ``None``. Row groups whose statistics say that
                they hold none are not decoded.

        Returns:
            The rows, in the order they were written.

        Raises:
            PartitionCorrupt: A file cannot be decoded.
        """
        with self._decoding():
            paths, stored = self._checked_files()
            lazy = _scan(paths)
            if columns not in (None, stored.names):
                # A wide table is read by few columns: the types of those alone are looked at.
                lazy, stored = lazy.select(columns), _part(stored, columns)
            typed = _typed(lazy, polars_schema(stored), _points_of(stored, prices))
            return (typed if where is None else typed.filter(where)).collect()

    def batches(
        self,
        columns: list[str] | None = None,
        rows: int = BATCH_ROWS,
        part: int | None = None,
        span: Span | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows; the next batch is decoded while the caller works on this one.

        Args:
            columns: Columns, in the order wanted; all where ``None``.
            rows: Most rows of a batch.
            part: One part; all in order where ``None``.
            span: Leave out row groups that hold no row of the span; the others come whole.

        Yields:
            Batches of one chunk a column, prices as stored. Page checksums are verified.

        Raises:
            PartitionCorrupt: A file cannot be decoded.
        """
        return self._stream(columns, rows, part, span, lambda batch: batch)

    def frames(
        self,
        columns: list[str] | None = None,
        rows: int = BATCH_ROWS,
        part: int | None = None,
        span: Span | None = None,
        *,
        prices: Prices = "fixed",
    ) -> Iterator[pl.DataFrame]:
        """Stream the rows as frames in contract types; see ``batches``.

        A column has one chunk, so that ``to_numpy`` of one without nulls is a view of what the decoder wrote.
        """
        stored = self.schema
        types, points = polars_schema(stored), _points_of(stored, prices)

        def typed(batch: pa.RecordBatch) -> pl.DataFrame:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            as_wanted = all(kind == types[name] for name, kind in frame.schema.items())
            return frame if as_wanted and not points else _typed(frame.lazy(), types, points).collect()

        return self._stream(columns, rows, part, span, typed)

    def quarantined(self) -> Iterator[dict[str, Any]]:
        """The rows set aside, as they were written to the quarantine file."""
        if self.manifest.quarantine is not None:
            for line in self._open.read(self.manifest.quarantine.name).splitlines():
                yield json.loads(line)

    def close(self) -> None:
        """Let go of the files."""
        self._files = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _open(self) -> _Files:
        if self._files is None:
            raise ValueError(f"the partition {self.path} is closed")
        return self._files

    def _where(self) -> dict[str, object]:
        return {"table": self.table, "dt": self.dt, "symbol": self.symbol}

    def _checked_files(self) -> tuple[list[str], pa.Schema]:
        """Paths of the pinned parts and their schema, after each footer was compared with the manifest."""
        footers = [self._parquet(entry) for entry in self.manifest.files]
        return [self._open.path(entry.name) for entry in self.manifest.files], footers[0].schema_arrow

    def _parquet(self, entry: FileEntry) -> pq.ParquetFile:
        file = pq.ParquetFile(
            pa.OSFile(self._open.path(entry.name), "rb"),
            metadata=self._open.footers.get(entry.name),
            page_checksum_verification=True,
            pre_buffer=False,
        )
        found = (file.metadata.num_rows, file.metadata.num_row_groups)
        if found != (entry.rows, entry.row_groups):
            raise PartitionCorrupt(
                "the Parquet footer does not say what the manifest says",
                where=self._where()
                | {"file": entry.name, "expected": (entry.rows, entry.row_groups), "actual": found},
                remedy=_replace(self.table, self.dt),
            )
        self._open.footers[entry.name] = file.metadata
        return file

    def _stream(
        self,
        columns: list[str] | None,
        rows: int,
        part: int | None,
        span: Span | None,
        form: Callable[[pa.RecordBatch], _Found],
    ) -> Iterator[_Found]:
        """Decode and give each batch its form, ahead of the caller."""
        entries = [e for e in self.manifest.files if part is None or e.name == part_name(part)]
        try:
            with self._decoding():
                yield from ahead(form(batch) for batch in self._decode(entries, columns, rows, span))
        finally:
            # What the decoder allocated and others freed stays with its thread's heap, and its thread is over.
            pa.default_memory_pool().release_unused()

    def _decode(
        self, entries: list[FileEntry], columns: list[str] | None, rows: int, span: Span | None
    ) -> Iterator[pa.RecordBatch]:
        """Decode batch by batch: a whole row group, and the next one ahead, would be the largest thing in memory."""
        for entry in entries:
            file = self._parquet(entry)
            groups = [g for g in range(entry.row_groups) if span is None or span.meets(file, g)]
            left = sum(file.metadata.row_group(group).num_rows for group in groups)
            for batch in file.iter_batches(rows, groups, columns, use_threads=False):
                batch.validate()
                left -= batch.num_rows
                yield batch if columns is None else batch.select(columns)
            if left:  # a damaged page header ends a stream early, without an error
                raise pa.ArrowInvalid(f"{entry.name} ends {left} rows early")

    @contextlib.contextmanager
    def _decoding(self) -> Iterator[None]:
        """Tell damage from misuse: an error over files whose hashes are right is the caller's own."""
        files = self._open
        try:
            yield
        # A PanicException of polars is a BaseException: uncaught it would pass every handler and end the run.
        except (pa.ArrowException, OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            damaged = files.damaged(self.manifest.files)
            if damaged or isinstance(error, pl.exceptions.PanicException):
                raise PartitionCorrupt(
                    "a file of the partition cannot be decoded",
                    where=self._where() | damaged | {"error": f"{type(error).__name__}: {str(error)[:200]}"},
                    remedy=_replace(self.table, self.dt),
                ) from error
            raise


class Snapshot:
    """Every symbol of a table's trade date, pinned, from one publication.

    Args:
        partitions: The pinned partitions, sorted by symbol.
    """

    def __init__(self, partitions: tuple[Partition, ...]) -> None:
        self.partitions = partitions

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the publication, sorted."""
        return tuple(partition.symbol for partition in self.partitions)

    @property
    def manifests(self) -> dict[str, Manifest]:
        """Symbol to manifest."""
        return {partition.symbol: partition.manifest for partition in self.partitions}

    @property
    def refs(self) -> tuple[InputRef, ...]:
        """The partitions as inputs of another."""
        return tuple(partition.manifest.ref() for partition in self.partitions)

    def scan(self, columns: list[str] | None = None, *, prices: Prices = "fixed") -> pl.LazyFrame:
        """The rows of every symbol as one lazy query; see ``Partition.scan``."""
        return pl.concat([partition.scan(columns, prices=prices) for partition in self.partitions])

    def frame(self, columns: list[str] | None = None, *, prices: Prices = "fixed") -> pl.DataFrame:
        """The rows of every symbol; see ``Partition.frame``."""
        return pl.concat([partition.frame(columns, prices=prices) for partition in self.partitions])

    def batches(self, columns: list[str] | None = None, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Stream the rows of every symbol; see ``Partition.batches``."""
        for partition in self.partitions:
            yield from partition.batches(columns, rows)

    def close(self) -> None:
        """Let go of the files."""
        for partition in self.partitions:
            partition.close()

    def __getitem__(self, symbol: str) -> Partition:
        return next(partition for partition in self.partitions if partition.symbol == symbol)

    def __iter__(self) -> Iterator[Partition]:
        return iter(self.partitions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_partition(layout: Layout, table: str, date: dt.date | str, symbol: str, verify: Verify) -> Partition:
    """Pin one partition.

    Args:
        layout: Paths of the lake.
        table: Dataset key.
        date: Trade date.
        symbol: Contract symbol.
        verify: What is compared with the manifest.

    Returns:
        The pinned partition.

    Raises:
        PartitionMissing: It is not published.
        PartitionTorn: Marker, manifest and files do not belong together.
        PartitionCorrupt: A file's hash is not the manifest's.
    """
    day = checked_date(date)
    path = layout.partition(table, day, symbol)
    return _settled(layout, table, day, lambda: _pin(path, (table, day, symbol), verify))


def open_newest(layout: Layout, table: str, date: dt.date | str, verify: Verify) -> Snapshot:
    """Pin every symbol of the newest publication; see ``open_partition``."""
    day = checked_date(date)

    def attempt() -> Snapshot:
        pinned: dict[str, Partition] = {}
        for symbol in layout.symbols(table, day):
            with contextlib.suppress(_MovedError):
                pinned[symbol] = _pin(layout.partition(table, day, symbol), (table, day, symbol), verify)
        found = newest({symbol: partition.manifest for symbol, partition in pinned.items()})
        if found is None:
            raise _MovedError(bool(pinned))
        return Snapshot(tuple(pinned[symbol] for symbol in found))

    return _settled(layout, table, day, attempt)


def newest_manifests(layout: Layout, table: str, date: dt.date | str) -> dict[str, Manifest]:
    """Symbol to manifest of the newest publication, empty where nothing is published; files are not looked at.

    Raises:
        PartitionTorn: A manifest is damaged, or an interrupted publication has not been recovered.
    """
    day = checked_date(date)

    def attempt() -> dict[str, Manifest]:
        manifests: dict[str, Manifest] = {}
        for symbol in layout.symbols(table, day):
            with contextlib.suppress(_MovedError):
                manifests[symbol] = _manifest(layout.partition(table, day, symbol), (table, day, symbol))
        found = newest(manifests)
        if found is None:
            raise _MovedError(bool(manifests))
        return found

    try:
        return _settled(layout, table, day, attempt)
    except PartitionMissing:
        return {}


class _MovedError(Exception):
    """A directory was replaced, or is not there, while it was being opened."""

    def __init__(self, something_is_there: bool = False) -> None:
        self.something_is_there = something_is_there
        super().__init__()


class _Files:
    """Descriptors of a partition's files, closed when the last user is gone, and the footers read so far.

    The footer of a book takes 4 ms to read.
    """

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}
        self.footers: dict[str, pq.FileMetaData] = {}

    def open(self, name: str, directory: int) -> int:
        """Open a file of the directory and keep it."""
        self._fds[name] = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory)
        return self._fds[name]

    def path(self, name: str) -> str:
        """A path that opens the pinned file, whatever has become of its name."""
        return fsops.descriptor_path(self._fds[name])

    def read(self, name: str) -> bytes:
        """Content of a small file."""
        return read_all(self._fds[name])

    def damaged(self, entries: tuple[FileEntry, ...]) -> dict[str, object]:
        """The first file whose content is not what was published, with both hashes."""
        for entry in entries:
            try:
                actual = file_sha256(self._fds[entry.name])
            except OSError as error:
                actual = str(error.strerror)
            if actual != entry.sha256:
                return {"file": entry.name, "expected": entry.sha256, "actual": actual}
        return {}

    def __del__(self) -> None:
        for fd in self._fds.values():
            os.close(fd)


def _scan(paths: list[str]) -> pl.LazyFrame:
    return pl.scan_parquet(paths, glob=False, hive_partitioning=False)


def file_sha256(fd: int) -> str:
    """Hash of an open file from its beginning, hexadecimal."""
    digest, offset = hashlib.sha256(), 0
    while block := os.pread(fd, _BLOCK_BYTES, offset):
        digest.update(block)
        offset += len(block)
    return digest.hexdigest()


def read_all(fd: int) -> bytes:
    """Content of an open file from its beginning."""
    blocks, offset = [], 0
    while block := os.pread(fd, _BLOCK_BYTES, offset):
        blocks.append(block)
        offset += len(block)
    return b"".join(blocks)


def _settled(layout: Layout, table: str, day: dt.date, attempt: Callable[[], _Found]) -> _Found:
    """Try again while a writer is at work; tell what is missing from what is torn when it is not."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            return attempt()
        except _MovedError as moved:
            under_way = any((intent.table, intent.dt) == (table, day) for intent in intents(layout))
            if not (under_way or moved.something_is_there):
                raise PartitionMissing(
                    f"{table} is not published for {day}",
                    where={"table": table, "dt": day},
                    remedy=remedy_for(table, day),
                ) from None
            if time.monotonic() > deadline:
                raise PartitionTorn(
                    "a publication of several symbols was interrupted",
                    where={"table": table, "dt": day},
                    remedy=f"{RECOVER}.",
                ) from None
        time.sleep(_POLL_S)


def _pin(path: Path, key: tuple[str, dt.date, str], verify: Verify) -> Partition:
    with _directory(path) as directory:
        manifest = _read_manifest(directory, path, key)
        files = _Files()
        for entry in manifest.all_files:
            with _vanishing(directory, path, key, entry.name):
                fd = files.open(entry.name, directory)
            size = os.fstat(fd).st_size
            if size != entry.bytes:
                where = _where(key) | {
                    "file": entry.name,
                    "expected_bytes": entry.bytes,
                    "actual_bytes": size,
                }
                raise PartitionTorn(
                    "a file has not the size in the manifest", where=where, remedy=remedy_for(*key[:2])
                )
            if verify == "sha256" or (verify == "once" and not hashes.is_known(fd, entry.sha256)):
                _compare_hash(fd, entry, key)
    return Partition(manifest, path, files)


def _manifest(path: Path, key: tuple[str, dt.date, str]) -> Manifest:
    with _directory(path) as directory:
        return _read_manifest(directory, path, key)


@contextlib.contextmanager
def _directory(path: Path) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _MovedError from None
    try:
        yield fd
    finally:
        os.close(fd)


def _read_manifest(directory: int, path: Path, key: tuple[str, dt.date, str]) -> Manifest:
    files = _Files()
    with _vanishing(directory, path, key, SUCCESS):
        files.open(SUCCESS, directory)
    with _vanishing(directory, path, key, MANIFEST):
        files.open(MANIFEST, directory)
    data = files.read(MANIFEST)
    expected, actual = files.read(SUCCESS).decode("ascii", "replace").strip()[:64], sha256(data)
    if expected != actual:
        where = _where(key) | {"file": MANIFEST, "expected": expected, "actual": actual}
        raise PartitionTorn(
            "the marker does not belong to the manifest", where=where, remedy=remedy_for(*key[:2])
        )
    try:
        manifest = parse_manifest(data)
    except PartitionTorn as torn:
        raise PartitionTorn(
            torn.message, where=_where(key) | torn.where, remedy=remedy_for(*key[:2])
        ) from torn
    if (manifest.table, manifest.dt, manifest.symbol) != key:
        found = f"{manifest.table} {manifest.dt} {manifest.symbol}"
        raise PartitionTorn(
            "the directory holds another partition",
            where=_where(key) | {"found": found},
            remedy=remedy_for(*key[:2]),
        )
    return manifest


@contextlib.contextmanager
def _vanishing(directory: int, path: Path, key: tuple[str, dt.date, str], name: str) -> Iterator[None]:
    """A missing file is a reason to look again if the directory has been replaced, and a torn partition if not."""
    try:
        yield
    except FileNotFoundError:
        if not fsops.is_same_file(directory, path):
            raise _MovedError(something_is_there=True) from None
        raise PartitionTorn(
            "a file of the partition is missing",
            where=_where(key) | {"file": name},
            remedy=remedy_for(*key[:2]),
        ) from None


def _compare_hash(fd: int, entry: FileEntry, key: tuple[str, dt.date, str]) -> None:
    file = hashes.identity(fd)
    actual = file_sha256(fd)
    if actual != entry.sha256:
        raise PartitionCorrupt(
            "a file's content is not what was published",
            where=_where(key) | {"file": entry.name, "expected": entry.sha256, "actual": actual},
            remedy=_replace(*key[:2]),
        )
    hashes.remember(file, actual)


def _where(key: tuple[str, dt.date, str]) -> dict[str, object]:
    return dict(zip(("table", "dt", "symbol"), key, strict=True))


def _replace(table: str, day: dt.date) -> str:
    """What mends a file of the right size: a run does not hash what it takes for current."""
    return f"delete the partition's directory dt={day}, then {remedy_for(table, day)}"


def _part(schema: pa.Schema, columns: list[str]) -> pa.Schema:
    """The fields of some columns; one there is not is the decoder's to name."""
    known = set(schema.names)
    return pa.schema([schema.field(name) for name in columns if name in known])


def _points(prices: pl.Series) -> pl.Series:
    return pl.Series(prices.name, prices.to_numpy() / _FIXED_PER_POINT, nan_to_null=True)


def _points_of(schema: pa.Schema, prices: Prices) -> list[str]:
    """The columns to be given in points."""
    fixed = [
        f.name for f in schema if (f.metadata or {}).get(b"unit") == PRICE_UNIT and pa.types.is_int64(f.type)
    ]
    return fixed if prices == "points" else []


def _typed(lazy: pl.LazyFrame, types: pl.Schema, points: list[str]) -> pl.LazyFrame:
    """Cast to contract types, where the decoder gave others, and prices to points where wanted."""
    actual = lazy.collect_schema()
    casts = [pl.col(name).cast(types[name]) for name, kind in actual.items() if kind != types[name]]
    # Not a polars division: by a scalar it multiplies by the reciprocal and misses the last bit of some prices.
    in_points = [
        pl.col(name).map_batches(_points, return_dtype=pl.Float64, is_elementwise=True)
        for name in points
        if name in actual
    ]
    return lazy.with_columns(casts).with_columns(in_points)
