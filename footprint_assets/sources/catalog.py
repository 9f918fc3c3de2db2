"""The catalogue of a drop folder: what every DBN file in it claims to hold, without reading more than its header.

A file that cannot be read is an entry with a problem, never an exception: one bad download must not hide the others.
Headers and hashes are remembered in a JSON cache by relative path, size and modification time.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from footprint_assets.calendar import utc_midnight_ns
from footprint_assets.settings import IngestSettings
from footprint_assets.sources.errors import DbnRefused, EnvelopeRefused, MetadataRefused, RecordRefused
from footprint_assets.sources.metadata import read_header

_SUFFIXES: Final = (".dbn", ".dbn.zst", ".dbz", ".frag", ".frag.zst")
_CACHE_VERSION: Final = 1
_HASH_BYTES: Final = 2**20
_REFUSALS: Final = {cls.__name__: cls for cls in (EnvelopeRefused, MetadataRefused, RecordRefused)}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the folder.

    ``name`` is the path relative to the folder. ``start_ns`` and ``end_ns`` are the header's range, ``[start, end)``
    of the receive time in UTC ns; ``end_ns`` is None where a live recording names none. ``schema`` is None for a
    recording of several schemas and, like the other header fields, where ``problem`` says why there is no header.
    ``sha256`` is known once ``fingerprint`` has read the file; ``pulled`` is the UTC date of the last modification.
    """

    path: Path
    name: str
    bytes: int
    mtime_ns: int
    schema: str | None
    dataset: str | None
    start_ns: int | None
    end_ns: int | None
    version: int | None
    symbols: tuple[str, ...]
    sha256: str | None
    pulled: dt.date
    problem: DbnRefused | None


@dataclass(frozen=True, slots=True)
class Catalog:
    """The files of a folder, sorted by name. ``cache`` is where headers and hashes are remembered, if anywhere."""

    folder: Path
    entries: tuple[FileEntry, ...]
    cache: Path | None

    @property
    def problems(self) -> tuple[FileEntry, ...]:
        """The entries that no table can use."""
        return tuple(entry for entry in self.entries if entry.problem is not None)


def scan(folder: Path, ingest: IngestSettings, cache: Path | None = None) -> Catalog:
    """List the DBN files of a folder and of the folders in it.

    Args:
        folder: The drop folder; one that does not exist is empty. Hidden files and folders are left out.
        ingest: What is accepted.
        cache: JSON file to remember headers in; None remembers nothing.

    Returns:
        The catalogue, unreadable files included.
    """
    known = _load(cache, ingest)
    remembered: dict[str, dict[str, Any]] = {}
    entries = []
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        try:
            stat = path.stat()
        except OSError:
            continue  # deleted while the folder was listed
        facts = known.get(name)
        if facts is None or (facts["bytes"], facts["mtime_ns"]) != (stat.st_size, stat.st_mtime_ns):
            facts = {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, **_describe(path, folder, ingest)}
        if facts["problem"] is None or facts["problem"]["rule"] != "unreadable":
            remembered[name] = facts  # a missing permission is mended without a new modification time
        entries.append(_entry(path, name, facts))
    if cache is not None and remembered != known:
        _save(cache, ingest, remembered)
    return Catalog(folder, tuple(sorted(entries, key=lambda entry: entry.name)), cache)


def covering(catalog: Catalog, schema: str, start_ns: int, end_ns: int) -> list[FileEntry]:
    """Readable files that may hold records of a schema in a window.

    A live recording without an end covers everything from its start to its last modification.

    Args:
        catalog: Result of ``scan``.
        schema: Such as ``mbp-10``. Recordings of several schemas count for each.
        start_ns: First instant, UTC ns.
        end_ns: First instant after the window, UTC ns.

    Returns:
        Entries sorted by (start, name).
    """
    found = [
        entry
        for entry in catalog.entries
        if entry.problem is None
        and entry.start_ns is not None
        and entry.schema in (None, schema)
        and entry.start_ns < end_ns
        and start_ns < _known_end(entry, entry.start_ns)
    ]
    return sorted(found, key=lambda entry: (entry.start_ns, entry.name))


def unreadable(catalog: Catalog, dataset: str, schema: str, start_ns: int, end_ns: int) -> list[FileEntry]:
    """Files that cannot be opened although their vendor name says they hold a schema in a window.

    A download that broke off may not even show its header; its name, ``glbx-mdp3-20240610.trades.dbn.zst``, still
    says where it belongs. Whoever builds the window without it would lose its rows without a word.

    Args:
        catalog: Result of ``scan``.
        dataset: Such as ``GLBX.MDP3``; the vendor writes it as ``glbx-mdp3``.
        schema: Such as ``mbp-10``.
        start_ns: First instant, UTC ns.
        end_ns: First instant after the window, UTC ns.

    Returns:
        Entries whose container or header is damaged, sorted by name.
    """
    slug = re.escape(dataset.lower().replace(".", "-"))
    form = re.compile(rf"{slug}-(\d{{8}})(?:-(\d{{8}}))?[^.]*\.{re.escape(schema)}\.dbn")
    found = []
    for entry in catalog.problems:
        if not isinstance(entry.problem, EnvelopeRefused) or not (
            named := form.match(entry.path.name.lower())
        ):
            continue
        first, last = (_named_day(text) for text in (named[1], named[2] or named[1]))
        if (
            first
            and last
            and utc_midnight_ns(first) < end_ns
            and start_ns < utc_midnight_ns(last + dt.timedelta(days=1))
        ):
            found.append(entry)
    return found


def _named_day(text: str) -> dt.date | None:
    try:
        return dt.datetime.strptime(text, "%Y%m%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        return None


def fingerprint(entry: FileEntry, ingest: IngestSettings, cache: Path | None = None) -> str:
    """The sha256 of a file, read once for each size and modification time.

    Args:
        entry: An entry of a catalogue.
        ingest: The settings the catalogue was scanned with.
        cache: The catalogue's cache.

    Returns:
        Hexadecimal sha256.

    Raises:
        EnvelopeRefused: The file cannot be read, or changed since it was listed.
    """
    if entry.sha256 is not None:
        return entry.sha256
    known = _load(cache, ingest)
    facts = known.get(entry.name)
    if facts and facts["sha256"] and (facts["bytes"], facts["mtime_ns"]) == (entry.bytes, entry.mtime_ns):
        return str(facts["sha256"])
    digest = _hash(entry)
    if cache is not None and facts is not None:
        _save(cache, ingest, {**known, entry.name: {**facts, "sha256": digest}})
    return digest


def _known_end(entry: FileEntry, start_ns: int) -> float:
    if entry.end_ns is not None:
        return entry.end_ns
    # A copy may carry a modification time from before its own data; that says nothing.
    return entry.mtime_ns if entry.mtime_ns > start_ns else float("inf")


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(_SUFFIXES):
                yield Path(root) / name


def _describe(path: Path, folder: Path, ingest: IngestSettings) -> dict[str, Any]:
    try:
        _refuse_misplaced(path, folder)
        header = read_header(path, ingest)
    except DbnRefused as refusal:
        problem = {
            "kind": type(refusal).__name__,
            "rule": refusal.rule,
            "message": refusal.message,
            "offset": refusal.offset,
            "remedy": refusal.remedy,
        }
        return {"problem": problem, "sha256": None}
    return {
        "problem": None,
        "sha256": None,
        "schema": header.schema,
        "dataset": header.dataset,
        "start_ns": header.start_ns,
        "end_ns": header.end_ns,
        "version": header.version,
        "symbols": list(header.symbols),
    }


def _refuse_misplaced(path: Path, folder: Path) -> None:
    """Refuse a file that whoever can write into the folder must not make us read, or print."""
    if not path.relative_to(folder).as_posix().isprintable():
        raise EnvelopeRefused(
            "name",
            "the name has characters that cannot be printed",
            path=path,
            offset=0,
            remedy="give the file another name",
        )
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise EnvelopeRefused(
            "outside_folder",
            "the file is a link that leads out of the drop folder",
            path=path,
            offset=0,
            remedy="copy the file into the folder, or set FOOTPRINT_DBN_DIR to where the files lie",
        )


def _entry(path: Path, name: str, facts: dict[str, Any]) -> FileEntry:
    problem = facts["problem"]
    return FileEntry(
        path=path,
        name=name,
        bytes=facts["bytes"],
        mtime_ns=facts["mtime_ns"],
        schema=facts.get("schema"),
        dataset=facts.get("dataset"),
        start_ns=facts.get("start_ns"),
        end_ns=facts.get("end_ns"),
        version=facts.get("version"),
        symbols=tuple(facts.get("symbols", ())),
        sha256=facts["sha256"],
        pulled=dt.datetime.fromtimestamp(facts["mtime_ns"] // 10**9, dt.UTC).date(),
        problem=None
        if problem is None
        else _REFUSALS[problem["kind"]](
            problem["rule"], problem["message"], path=path, offset=problem["offset"], remedy=problem["remedy"]
        ),
    )


def _hash(entry: FileEntry) -> str:
    digest, size = hashlib.sha256(), 0
    try:
        with entry.path.open("rb", buffering=0) as file:
            while data := file.read(_HASH_BYTES):
                digest.update(data)
                size += len(data)
    except OSError as error:
        raise EnvelopeRefused(
            "unreadable",
            f"the file cannot be read ({error.strerror})",
            path=entry.path,
            offset=size,
            remedy="check that the file exists and may be read",
        ) from error
    if size != entry.bytes:
        raise EnvelopeRefused(
            "changed_while_read",
            f"the file had {entry.bytes} bytes when it was listed and {size} now",
            path=entry.path,
            offset=size,
            remedy="wait until the download has finished and list the folder again",
        )
    return digest.hexdigest()


def _load(cache: Path | None, ingest: IngestSettings) -> dict[str, dict[str, Any]]:
    """What the cache remembers; nothing where it is absent, damaged, or from other settings."""
    if cache is None:
        return {}
    try:
        stored = json.loads(cache.read_text("utf-8"))
        if stored["version"] != _CACHE_VERSION or stored["ingest"] != ingest.model_dump(mode="json"):
            return {}
        files: dict[str, dict[str, Any]] = stored["files"]
        for name, facts in files.items():
            _entry(Path(name), name, facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # a cache may always be rebuilt from the files
    return files


def _save(cache: Path, ingest: IngestSettings, files: dict[str, dict[str, Any]]) -> None:
    text = json.dumps({"version": _CACHE_VERSION, "ingest": ingest.model_dump(mode="json"), "files": files})
    # What cannot be remembered is read again: a full or read-only disk must not stop who only looks.
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=cache.parent, prefix=f".{cache.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(cache)
        finally:
            Path(name).unlink(missing_ok=True)
