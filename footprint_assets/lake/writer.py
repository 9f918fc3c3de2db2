"""The stage: where a table's trade date is written aside, accounted for, and published whole.

A stage is private to its process until ``publish``. Whatever ends the computation before that leaves the published
partition as it was.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl
import pyarrow as pa

from footprint_assets.lake import fsops
from footprint_assets.lake.commit import (
    Intent,
    OwnedStage,
    Step,
    commit,
    finish_interrupted,
    published_sequence,
    table_date_locked,
)
from footprint_assets.lake.errors import ConservationBroken, LakeError, StageClosed, WriteFailed
from footprint_assets.lake.layout import (
    MANIFEST,
    QUARANTINE,
    SUCCESS,
    Layout,
    checked_date,
    checked_symbol,
    part_name,
)
from footprint_assets.lake.manifest import (
    FileEntry,
    Lineage,
    Manifest,
    PublicationRef,
    Scalar,
    generation_of,
    publication_of,
    sha256,
)
from footprint_assets.lake.parquet import PartFile, conform, contract_of, time_range

_WRITERS = {"pyarrow": pa.__version__, "polars": pl.__version__, "python": platform.python_version()}


@dataclass(frozen=True)
class Publication:
    """What a stage made public.

    Args:
        table: Dataset key.
        dt: Trade date.
        ref: The publication's name, number and generations.
        manifests: Symbol to manifest.
    """

    table: str
    dt: dt.date
    ref: PublicationRef
    manifests: dict[str, Manifest]


@dataclass
class _Symbol:
    """What has been staged for one symbol."""

    directory: Path
    parts: dict[int, PartFile] = field(default_factory=dict)
    quarantine: _Lines | None = None
    rows_in: int = 0
    filtered: dict[str, int] = field(default_factory=dict)
    notes: dict[str, object] = field(default_factory=dict)


class Stage:
    """One table's trade date being written.

    Use it as a context manager (leaving without ``publish`` discards it), or call ``discard`` yourself.

    Args:
        layout: Paths of the lake.
        table: Dataset key.
        date: Trade date.
        lineage: What the partition is made of.
        schema: The contract's arrow schema, with the contract's identity in its metadata.
        lock_timeout_s: How long ``publish`` waits for another publication of the same table and date, s.
    """

    def __init__(
        self,
        layout: Layout,
        table: str,
        date: dt.date | str,
        *,
        lineage: Lineage,
        schema: pa.Schema,
        lock_timeout_s: float,
    ) -> None:
        layout.table_date_lock(table, date)
        self.table = table
        self.dt = checked_date(date)
        self.lineage = lineage
        self.schema = schema
        self.contract = contract_of(schema)
        self._layout = layout
        self._lock_timeout_s = lock_timeout_s
        self._symbols: dict[str, _Symbol] = {}
        self._drafts: dict[str, _Draft] = {}
        self._is_finished = False
        self._ended = ""
        with self._failing():
            self._owned = OwnedStage(layout)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols declared so far, sorted."""
        return tuple(sorted(self._symbols))

    def declare(self, symbol: str) -> None:
        """Name a symbol of the publication; it may stay without rows.

        Args:
            symbol: Contract symbol.
        """
        with self._failing(symbol):
            self._symbol(symbol)

    def write(
        self,
        symbol: str,
        rows: pl.DataFrame | pa.Table | pa.RecordBatch,
        part: int = 0,
        facts: Mapping[str, Scalar] | None = None,
    ) -> None:
        """Append rows to a part of a symbol.

        Args:
            symbol: Contract symbol.
            rows: Rows of exactly the contract's columns, order and types.
            part: Number of the Parquet part; bronze writes one a source file.
            facts: Facts of the part for the manifest, such as the source file's name.

        Raises:
            SchemaMismatch: The rows are not the contract's.
            WriteFailed: The file system refused.
        """
        with self._failing(symbol):
            staged = self._open(symbol)
            table = conform(rows, self.schema, symbol)
            name = part_name(part)
            if part not in staged.parts:
                staged.parts[part] = PartFile(staged.directory / name, self.schema)
            staged.parts[part].facts.update(facts or {})
            staged.parts[part].append(table)

    def quarantine(self, symbol: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Set rows aside, one JSON object a line, beside the data and out of every glob over Parquet.

        Args:
            symbol: Contract symbol.
            rows: Rows with the rule that refused them.
        """
        with self._failing(symbol):
            staged = self._open(symbol)
            for row in rows:
                staged.quarantine = staged.quarantine or _Lines(staged.directory / QUARANTINE)
                staged.quarantine.append(row)

    def count(
        self,
        symbol: str,
        *,
        rows_in: int = 0,
        filtered: Mapping[str, int] | None = None,
        notes: Mapping[str, object] | None = None,
    ) -> None:
        """Add to a symbol's accounts.

        Args:
            symbol: Contract symbol.
            rows_in: Rows read. Where the sum is not 0, ``publish`` demands that it equals rows written +
                quarantined + filtered; tables that aggregate leave it at 0.
            filtered: Rows left out, by named rule.
            notes: Facts for the manifest; a later value replaces an earlier one.
        """
        with self._failing(symbol):
            staged = self._open(symbol)
            staged.rows_in += rows_in
            for rule, rows in (filtered or {}).items():
                staged.filtered[rule] = staged.filtered.get(rule, 0) + rows
            staged.notes |= {name: _plain(value) for name, value in (notes or {}).items()}

    def close(self, symbol: str) -> None:
        """Close the files of a symbol that no more rows come of, and let go of what they hold in memory.

        Args:
            symbol: Contract symbol.

        Raises:
            ConservationBroken: Rows read are not accounted for.
            StageClosed: The stage has ended, or the symbol was closed.
            WriteFailed: The file system refused.
        """
        with self._failing(symbol):
            self._open(symbol)
            self._drafts[symbol] = self._close_files(symbol)

    def finish(self) -> None:
        """Close every file and account for every row; nothing can be written afterwards.

        ``publish`` does it where nobody has. Finish several stages first, and none of them is public before the rows
        of all are accounted for.

        Raises:
            ConservationBroken: Rows read are not accounted for.
            StageClosed: The stage has ended, or no symbol was declared.
            WriteFailed: The file system refused.
        """
        with self._failing():
            if not self._symbols:
                raise StageClosed(
                    "a stage without symbols cannot be published",
                    where={"table": self.table, "dt": self.dt},
                    remedy="Declare each symbol of the trade date, with rows or without.",
                )
            for symbol in self.symbols:
                if symbol not in self._drafts:
                    self._drafts[symbol] = self._close_files(symbol)
            self._is_finished = True

    def publish(self) -> Publication:
        """Make every staged symbol public, and take out the symbols that are no longer part of the trade date.

        Returns:
            What was published.

        Raises:
            ConservationBroken: Rows read are not accounted for.
            PartitionBusy: Another process is publishing the same table and trade date.
            PublishInterrupted: Some symbols are public and recovery will place the others.
            StageClosed: The stage has ended, or no symbol was declared.
            WriteFailed: The file system refused; nothing was published.
        """
        try:
            self.finish()
            with self._failing(), table_date_locked(self._layout, self.table, self.dt, self._lock_timeout_s):
                publication = self._commit({symbol: self._drafts[symbol] for symbol in self.symbols})
            self._ended = "published"
        finally:
            self._release()
        return publication

    def discard(self) -> None:
        """End the stage and remove what it wrote; nothing happens to one that was published."""
        self._ended = self._ended or "discarded"
        self._release()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _symbol(self, symbol: str) -> _Symbol:
        if symbol not in self._symbols:
            directory = self._layout.staged(self._owned.id, checked_symbol(symbol))
            fsops.mkdir(directory)
            self._symbols[symbol] = _Symbol(directory)
        return self._symbols[symbol]

    def _open(self, symbol: str) -> _Symbol:
        if symbol in self._drafts:
            raise self._closed(f"the files of {symbol} were closed")
        return self._symbol(symbol)

    def _close_files(self, symbol: str) -> _Draft:
        staged = self._symbols[symbol]
        if not staged.parts:
            staged.parts[0] = PartFile(staged.directory / part_name(0), self.schema)
        parts = [staged.parts[part] for part in sorted(staged.parts)]
        draft = _Draft(
            files=tuple(part.close() for part in parts),
            quarantine=staged.quarantine.close() if staged.quarantine else None,
            rows_in=staged.rows_in,
            filtered=dict(sorted(staged.filtered.items())),
        )
        if staged.rows_in and staged.rows_in != draft.rows_accounted:
            raise ConservationBroken(
                "rows read are not rows written + quarantined + filtered",
                where={
                    "table": self.table,
                    "dt": self.dt,
                    "symbol": symbol,
                    "rows_in": staged.rows_in,
                    "accounted": draft.rows_accounted,
                },
                remedy="Count every row that leaves under a named rule.",
            )
        # Who holds the stage after this, as a Dagster run does to its end, holds no writer and none of its buffers.
        staged.parts.clear()
        staged.quarantine = None
        draft.manifest_facts = {
            "notes": dict(sorted(staged.notes.items())),
            "time_range": time_range(part.footer for part in parts if part.footer is not None),
        }
        return draft

    def _commit(self, drafts: Mapping[str, _Draft]) -> Publication:
        finish_interrupted(self._layout, self.table, self.dt)
        before = self._layout.symbols(self.table, self.dt)
        sequence = 1 + max(
            (published_sequence(self._layout.partition(self.table, self.dt, symbol)) for symbol in before),
            default=0,
        )
        generations = {symbol: self._generation(symbol, draft) for symbol, draft in drafts.items()}
        ref = publication_of(generations, sequence)
        manifests = {symbol: self._manifest(symbol, draft, ref) for symbol, draft in drafts.items()}
        hashes = {symbol: self._seal(symbol, manifest) for symbol, manifest in manifests.items()}
        fsops.fsync_dir(self._owned.path)
        # New symbols first: until the last exchange the publication before stays whole for readers.
        placed = sorted(manifests, key=lambda symbol: (symbol in before, symbol))
        steps = [Step("place", symbol, hashes[symbol]) for symbol in placed]
        steps += [Step("remove", symbol) for symbol in before if symbol not in manifests]
        commit(self._layout, Intent(self._owned.id, self.table, self.dt, sequence, tuple(steps)))
        return Publication(self.table, self.dt, ref, manifests)

    def _generation(self, symbol: str, draft: _Draft) -> str:
        accounts = {"rows_in": draft.rows_in, "filtered": draft.filtered}
        return generation_of(
            (self.table, self.dt, symbol), self.contract, draft.all_files, self.lineage, accounts
        )

    def _manifest(self, symbol: str, draft: _Draft, ref: PublicationRef) -> Manifest:
        return Manifest(
            table=self.table,
            dt=self.dt,
            symbol=symbol,
            generation=ref.generations[symbol],
            contract=self.contract,
            files=draft.files,
            quarantine=draft.quarantine,
            rows_in=draft.rows_in,
            filtered=draft.filtered,
            lineage=self.lineage,
            publication=ref,
            writers=_WRITERS,
            **draft.manifest_facts,
        )

    def _seal(self, symbol: str, manifest: Manifest) -> str:
        directory = self._symbols[symbol].directory
        data = manifest.to_json().encode()
        digest = sha256(data)
        fsops.write_file(directory / MANIFEST, data)
        fsops.write_file(directory / SUCCESS, f"{digest}\n".encode())
        fsops.fsync_dir(directory)
        return digest

    def _release(self) -> None:
        for staged in self._symbols.values():
            for open_file in (*staged.parts.values(), staged.quarantine):
                if open_file is not None:
                    open_file.abandon()
        # What is public is public and what is not stays private, whether or not the leftovers can be removed now:
        # recovery sweeps them.
        with contextlib.suppress(OSError):
            self._owned.release()

    def _closed(self, why: str) -> StageClosed:
        return StageClosed(
            why, where={"table": self.table, "dt": self.dt}, remedy="Open a new stage with Lake.stage."
        )

    @contextlib.contextmanager
    def _failing(self, symbol: str | None = None) -> Iterator[None]:
        """Refuse an ended stage; let no half-written one be published; name the partition in file-system errors."""
        if self._ended or (symbol is not None and self._is_finished):
            raise self._closed(f"the stage was {self._ended or 'finished'}")
        try:
            yield
        except LakeError:
            self._ended = "broken by an earlier error"
            raise
        except OSError as error:
            self._ended = "broken by an earlier error"
            where = {"table": self.table, "dt": self.dt} | ({"symbol": symbol} if symbol else {})
            raise WriteFailed(
                "the file system refused a write",
                where=where
                | {"error": errno.errorcode.get(error.errno or 0, str(error)), "file": error.filename},
                remedy="Free space or mend the disk, then run it again; the published partition is as it was.",
            ) from error
        except (
            BaseException
        ):  # an interrupt in the middle of a row group leaves the file as broken as an error does
            self._ended = "broken by an earlier error"
            raise


@dataclass
class _Draft:
    """A symbol's closed files and accounts, before the publication has a number."""

    files: tuple[FileEntry, ...]
    quarantine: FileEntry | None
    rows_in: int
    filtered: dict[str, int]
    manifest_facts: dict[str, Any] = field(default_factory=dict)

    @property
    def all_files(self) -> tuple[FileEntry, ...]:
        return (*self.files, self.quarantine) if self.quarantine else self.files

    @property
    def rows_accounted(self) -> int:
        return sum(entry.rows for entry in self.all_files) + sum(self.filtered.values())


class _Lines:
    """A quarantine file being written: one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = fsops.create(path)
        self._hash = hashlib.sha256()
        self._rows = self._bytes = 0

    def append(self, row: Mapping[str, Any]) -> None:
        line = f"{json.dumps(_plain(row), sort_keys=True, ensure_ascii=False)}\n".encode()
        assert self._fd is not None
        fsops.write(self._fd, line)
        self._hash.update(line)
        self._rows += 1
        self._bytes += len(line)

    def close(self) -> FileEntry:
        assert self._fd is not None
        fsops.fsync(self._fd)
        self.abandon()
        return FileEntry(
            name=self._path.name,
            bytes=self._bytes,
            rows=self._rows,
            row_groups=0,
            sha256=self._hash.hexdigest(),
        )

    def abandon(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _plain(value: object) -> Any:
    """Plain JSON data: texts for dates and anything unknown, and for the floats JSON has no form for."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
