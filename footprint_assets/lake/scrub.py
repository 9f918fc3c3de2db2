"""The scrub: every byte of the lake compared with what its manifests recorded.

polars, pyarrow and DuckDB read a flipped bit as other data in most cases, without a word. Only a hash finds it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from footprint_assets.lake.errors import PartitionTorn
from footprint_assets.lake.layout import MANIFEST, SUCCESS, Layout
from footprint_assets.lake.manifest import Manifest, parse_manifest
from footprint_assets.lake.reader import file_sha256, read_all

MISSING = "missing"
UNLISTED = "not in the manifest"


@dataclass(frozen=True)
class Finding:
    """A file that is not what was published.

    Args:
        table: Dataset key.
        dt: Trade date.
        symbol: Contract symbol.
        file: File name inside the partition.
        expected: sha256 recorded, or ``not in the manifest``.
        actual: sha256 found, or ``missing``.
    """

    table: str
    dt: dt.date
    symbol: str
    file: str
    expected: str
    actual: str


def scrub(
    layout: Layout,
    tables: Iterable[str] | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
) -> Iterator[Finding]:
    """Read every file of the lake and compare its hash with the manifest.

    Args:
        layout: Paths of the lake.
        tables: Dataset keys; all where ``None``.
        start: First trade date; no bound where ``None``.
        end: Last trade date; no bound where ``None``.

    Yields:
        One finding a file that is damaged, missing or unlisted. A partition replaced meanwhile is looked at again.
    """
    for table in layout.tables() if tables is None else tables:
        for day in layout.dates(table):
            if (start is None or day >= start) and (end is None or day <= end):
                for symbol in layout.symbols(table, day):
                    for file, expected, actual in _partition(layout.partition(table, day, symbol)):
                        yield Finding(table, day, symbol, file, expected, actual)


def _partition(path: Path) -> list[tuple[str, str, str]]:
    while True:
        try:
            inode = path.stat().st_ino
        except FileNotFoundError:
            return []
        findings = list(_differences(path))
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == inode:
                return findings


def _differences(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        names = set(os.listdir(directory))  # noqa: PTH208 - of the pinned descriptor, not of a path
        yield from _sidecars(directory, names)
        manifest = _manifest(directory)
        if manifest is None:
            return
        for entry in manifest.all_files:
            actual = _hash(directory, entry.name)
            if actual != entry.sha256:
                yield entry.name, entry.sha256, actual
        listed = {entry.name for entry in manifest.all_files} | {MANIFEST, SUCCESS}
        for name in sorted(names - listed):
            yield name, UNLISTED, _hash(directory, name)
    finally:
        os.close(directory)


def _sidecars(directory: int, names: set[str]) -> Iterator[tuple[str, str, str]]:
    absent = [name for name in (SUCCESS, MANIFEST) if name not in names]
    for name in absent:
        yield name, "present", MISSING
    if not absent:
        expected, actual = (
            _read(directory, SUCCESS).decode("ascii", "replace").strip(),
            _hash(directory, MANIFEST),
        )
        if expected != actual:
            yield MANIFEST, expected[:64], actual
        elif _manifest(directory) is None:
            yield MANIFEST, "a manifest", "unreadable"


def _manifest(directory: int) -> Manifest | None:
    try:
        return parse_manifest(_read(directory, MANIFEST))
    except (FileNotFoundError, PartitionTorn):
        return None


def _read(directory: int, name: str) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory)
    try:
        return read_all(fd)
    finally:
        os.close(fd)


def _hash(directory: int, name: str) -> str:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory)
    except OSError:
        return MISSING
    try:
        return file_sha256(fd)
    except IsADirectoryError:
        return "a directory"
    finally:
        os.close(fd)
