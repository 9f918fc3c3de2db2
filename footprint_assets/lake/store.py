"""The door to the lake: one small object that stages, reads, compares, scrubs and recovers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import overload

import pyarrow as pa

from footprint_assets.lake import commit, reader, scrub
from footprint_assets.lake.errors import PartitionUnreadable, WriteFailed
from footprint_assets.lake.layout import Layout
from footprint_assets.lake.manifest import Lineage, Manifest
from footprint_assets.lake.reader import Partition, Snapshot, Verify
from footprint_assets.lake.writer import Stage


class Lake:
    """A Parquet lake under one directory. Cheap to make; holds no state but its place.

    Args:
        root: Directory of the lake; created by the first write.
        lock_timeout_s: How long a publication waits for another of the same table and trade date, s.
    """

    def __init__(self, root: Path, *, lock_timeout_s: float = 30.0) -> None:
        self.layout = Layout(root)
        self._lock_timeout_s = lock_timeout_s

    @property
    def root(self) -> Path:
        """Directory of the lake, absolute."""
        return self.layout.root

    def recover(self) -> commit.Recovery:
        """Finish interrupted publications and sweep the stages of ended processes; safe beside running writers.

        Returns:
            What was done.

        Raises:
            WriteFailed: The file system refused.
        """
        try:
            return commit.recover(self.layout)
        except OSError as error:
            raise WriteFailed(
                "recovery could not change the lake", where={"root": self.root, "error": error.strerror}
            ) from error

    def stage(self, table: str, date: dt.date | str, *, lineage: Lineage, schema: pa.Schema) -> Stage:
        """Begin to write a table's trade date.

        Args:
            table: Dataset key ``layer.product.table``.
            date: Trade date.
            lineage: What it is made of.
            schema: The contract's arrow schema.

        Returns:
            A stage, private until ``Stage.publish``.
        """
        return Stage(
            self.layout, table, date, lineage=lineage, schema=schema, lock_timeout_s=self._lock_timeout_s
        )

    @overload
    def read(self, table: str, date: dt.date | str, symbol: str, *, verify: Verify = "once") -> Partition: ...
    @overload
    def read(
        self, table: str, date: dt.date | str, symbol: None = None, *, verify: Verify = "once"
    ) -> Snapshot: ...

    def read(
        self, table: str, date: dt.date | str, symbol: str | None = None, *, verify: Verify = "once"
    ) -> Partition | Snapshot:
        """Pin a partition, or every symbol of the newest publication.

        Args:
            table: Dataset key.
            date: Trade date.
            symbol: Contract symbol; every symbol of the newest publication where ``None``.
            verify: What is compared with the manifest: sizes, hashes once a process and generation, or hashes.

        Returns:
            The pinned partition, or the pinned set of them.

        Raises:
            PartitionMissing: It is not published.
            PartitionTorn: Marker, manifest and files do not belong together.
            PartitionCorrupt: A file's hash is not the manifest's.
        """
        if symbol is None:
            return reader.open_newest(self.layout, table, date, verify)
        return reader.open_partition(self.layout, table, date, symbol, verify)

    def symbols(self, table: str, date: dt.date | str) -> list[str]:
        """Symbols of the newest publication, sorted; empty where nothing is published."""
        return sorted(self.manifests(table, date))

    def manifests(self, table: str, date: dt.date | str) -> dict[str, Manifest]:
        """Symbol to manifest of the newest publication; empty where nothing is published."""
        return reader.newest_manifests(self.layout, table, date)

    def dates(self, table: str) -> list[dt.date]:
        """Trade dates of a table that are in the lake, sorted."""
        return self.layout.dates(table)

    def tables(self) -> list[str]:
        """Dataset keys that are in the lake, sorted."""
        return self.layout.tables()

    def is_current(self, table: str, date: dt.date | str, lineage: Lineage, fingerprint: str) -> bool:
        """Whether what is published is what this lineage and contract would give again.

        Existence proves nothing: an input may have been rewritten since. Contract, code version, configuration, input
        generations and source hashes must be equal, and every file present in its size.

        Args:
            table: Dataset key.
            date: Trade date.
            lineage: What the partition would be made of now; its run does not count.
            fingerprint: Fingerprint of the contract now.

        Returns:
            True where the work can be skipped.
        """
        try:
            manifests = self.manifests(table, date)
        except PartitionUnreadable:
            return False
        return bool(manifests) and all(
            manifest.contract.fingerprint == fingerprint
            and manifest.lineage.identity() == lineage.identity()
            and self._files_present(manifest)
            for manifest in manifests.values()
        )

    def scrub(
        self, tables: Iterable[str] | None = None, start: dt.date | None = None, end: dt.date | None = None
    ) -> Iterator[scrub.Finding]:
        """Compare every byte with the manifests; see ``lake.scrub``.

        Args:
            tables: Dataset keys; all where ``None``.
            start: First trade date; no bound where ``None``.
            end: Last trade date; no bound where ``None``.

        Yields:
            One finding a file that is damaged, missing or unlisted.
        """
        return scrub.scrub(self.layout, tables, start, end)

    def _files_present(self, manifest: Manifest) -> bool:
        directory = self.layout.partition(manifest.table, manifest.dt, manifest.symbol)
        try:
            return all((directory / entry.name).stat().st_size == entry.bytes for entry in manifest.all_files)
        except FileNotFoundError:
            return False
