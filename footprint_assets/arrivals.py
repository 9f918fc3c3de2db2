"""What has arrived in the drop folder since the last look, as trade dates to run. No Dagster.

A look compares the folder with what the looks before remembered (:class:`Progress`) and decides, file by file:

| the file                                                 | what becomes of it                                |
|----------------------------------------------------------|---------------------------------------------------|
| has changed since the last look                          | arriving: looked at again                         |
| has the size and hash its batch manifest says            | taken, at once                                    |
| stands in no manifest and is as it was at the last look  | taken                                             |
| cannot be read, or is not what its manifest says         | refused: shown once, until it changes             |

A taken file touches the trade dates whose rows it may hold. A touched date is requested once nothing it needs is on its
way. What is remembered is a digest of name, size and modification time of each file, never a clock: a file that is late,
out of order, or delivered again is one that is not remembered, and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

from footprint_assets import calendar as cme
from footprint_assets.errors import FootprintError
from footprint_assets.lake import Lake, PartitionUnreadable
from footprint_assets.resources import VOLUME_SCHEMAS, Workbench, covers, utc_date
from footprint_assets.settings import NANOS_PER_SECOND, IngestSettings, Settings
from footprint_assets.sources.batch import (
    MANIFEST,
    BatchFileUnreadable,
    BatchManifest,
    Claim,
    compare,
    read_conditions,
    read_manifest,
)
from footprint_assets.sources.catalog import Catalog, FileEntry, unreadable
from footprint_assets.sources.errors import DbnRefused

READ_SCHEMAS: Final = (*VOLUME_SCHEMAS, "ohlcv-1d", "definition", "statistics")
"""The schemas the bronze tables open."""
CURSOR_VERSION: Final = 1
LAKE_QUESTIONS: Final = 200
"""Most trade dates one look asks the lake about: a look has to end long before Dagster gives it up, after 60 s."""
TEXT_LIMIT: Final = 600
"""Longest text of a note: a path alone can have 4,096 characters."""


class CursorUnknown(FootprintError):  # noqa: N818 - names the fact a reader meets
    """What was remembered of the drop folder cannot be understood."""


@dataclass(frozen=True)
class Progress:
    """What one look leaves to the next.

    Files are remembered as eight characters each, since Dagster keeps the text with every tick.

    Args:
        series: Told apart from every other beginning: a forgotten cursor begins anew.
        requests: How many trade dates were requested so far.
        seen: Files that were there at the last look and are not taken.
        done: Files that were taken.
        shown: Refusals that were shown, with what they were about.
        waiting: Trade dates with taken files that were not requested yet.
    """

    series: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    requests: int = 0
    seen: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()
    waiting: frozenset[dt.date] = frozenset()

    def as_cursor(self) -> str:
        """The progress as the text of a sensor's cursor."""
        document = {
            "version": CURSOR_VERSION,
            "series": self.series,
            "requests": self.requests,
            **{name: " ".join(sorted(getattr(self, name))) for name in ("seen", "done", "shown")},
            "waiting": sorted(map(str, self.waiting)),
        }
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def of_cursor(cls, text: str | None) -> Progress:
        """Read a cursor of this version or an older one; nothing is remembered where there is none.

        Raises:
            CursorUnknown: It is damaged, or of a newer version.
        """
        if not text:
            return cls()
        try:
            document = json.loads(text)
            if "version" not in document:
                return cls(done=_of_plain_files(document))
            if document["version"] != CURSOR_VERSION:
                raise ValueError(f"version {document['version']!r}")
            return cls(
                series=str(document["series"]),
                requests=int(document["requests"]),
                waiting=frozenset(map(dt.date.fromisoformat, document["waiting"])),
                **{name: frozenset(document[name].split()) for name in ("seen", "done", "shown")},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CursorUnknown(
                f"The cursor is none of version {CURSOR_VERSION} or older ({type(error).__name__}: {error}).",
                remedy="reset the sensor's cursor in the UI; every date of the drop folder is then looked at anew.",
            ) from error


@dataclass(frozen=True)
class DateRequest:
    """One trade date to run.

    Args:
        trade_date: The partition.
        run_key: Other for every delivery, so that none is taken for an earlier one.
        files: How many files it is made of.
    """

    trade_date: dt.date
    run_key: str
    files: int


@dataclass(frozen=True)
class Note:
    """Something to be said once, on one line; ``is_refusal`` where a file is not used."""

    text: str
    is_refusal: bool = False


@dataclass(frozen=True)
class Look:
    """What one look at the drop folder found.

    Args:
        requests: The trade dates to run, oldest first.
        waiting: The trade dates that have files and are not requested yet, each with its reason.
        arriving: Names of files that are not whole yet, as far as one can tell.
        notes: What is new and worth saying.
        progress: What the next look must be given.
    """

    requests: tuple[DateRequest, ...]
    waiting: Mapping[dt.date, str]
    arriving: tuple[str, ...]
    notes: tuple[Note, ...]
    progress: Progress


def look(bench: Workbench, before: Progress, is_partition: Callable[[dt.date], bool]) -> Look:
    """Look at the drop folder once.

    Unchanged files are neither opened nor hashed.

    Args:
        bench: The drop folder and the settings.
        before: What the look before left.
        is_partition: Whether a trade date can be run already.

    Returns:
        What to request and to say. Nothing has been changed: the same look can be repeated.
    """
    catalog, settings = bench.catalog(), bench.settings
    files = _sort(catalog, before, settings)
    touched = before.waiting.union(*(trade_dates(entry) for entry in files.fresh))
    by_date, held = _by_date(files.taken, touched), _Held(files, touched, settings.ingest.dataset)
    ready: list[dt.date] = []
    waiting: dict[dt.date, str] = {}
    notes, lake = list(files.notes), _Made(bench.lake)
    for day, entries in sorted(by_date.items()):
        if not covers(Catalog(catalog.folder, entries, None), day):
            continue  # only an evening, or no trades: what makes it a trade date will touch it again
        gap = missing_hours(entries, day)
        if reason := held.reason(day):
            waiting[day] = reason
        elif not is_partition(day):
            waiting[day] = "its partition begins at midnight in New York"
        elif gap and files.arriving:
            waiting[day] = f"no file holds {gap} yet"
        elif len(ready) == settings.automation.requests_per_tick or lake.asked == LAKE_QUESTIONS:
            waiting[day] = "it is requested at a later tick"
        elif not lake.is_made_of(day, entries):
            ready.append(day)
            if gap:
                notes.append(Note(f"{day} is run although no file holds {gap}."))
    if lake.made:
        notes.append(Note(f"{len(lake.made)} trade dates are in the lake, made of these very files: no run."))
    requests = tuple(
        DateRequest(day, _run_key(day, by_date[day], before, number), len(by_date[day]))
        for number, day in enumerate(ready, before.requests + 1)
    )
    progress = Progress(
        series=before.series,
        requests=before.requests + len(requests),
        seen=frozenset(map(signature, [*files.arriving, *files.refused])),
        done=frozenset(map(signature, files.taken)),
        shown=frozenset(files.shown),
        waiting=frozenset(waiting),
    )
    return Look(requests, waiting, tuple(one_line(e.name) for e in files.arriving), tuple(notes), progress)


def signature(entry: FileEntry) -> str:
    """Eight characters that change with a file's name, size or modification time."""
    return _digest(entry.name, entry.bytes, entry.mtime_ns)


def trade_dates(entry: FileEntry) -> list[dt.date]:
    """The trade dates a readable file may hold rows of: those the bronze tables open it for.

    A UTC-day file has two: the end of its day belongs to the next session, over weekends and closures too.
    """
    if entry.start_ns is None or entry.schema not in (None, *READ_SCHEMAS):
        return []
    first, last = _calendar_ns()
    start_ns, end_ns = max(entry.start_ns, first), min(_end_ns(entry), last)
    if start_ns >= end_ns:
        return []
    return cme.sessions(cme.trade_date_of(start_ns), cme.trade_date_of(end_ns - 1))


def missing_hours(entries: Iterable[FileEntry], day: dt.date) -> str:
    """The first trading hours of a date that no file holds, in the schema it can be built from that holds most.

    Args:
        entries: Readable files that may hold rows of the date.
        day: Trade date.

    Returns:
        Such as ``2025-06-03 22:00 to 2025-06-04 00:00 UTC``; empty where one schema covers all of them.
    """
    session = cme.session(day)
    gaps = []
    for schema in VOLUME_SCHEMAS:
        reached = session.open_ns
        ranges = sorted((e.start_ns or 0, _end_ns(e)) for e in entries if e.schema in (None, schema))
        for start_ns, end_ns in ranges:
            if start_ns > reached:
                gaps.append((reached, min(start_ns, session.close_ns)))
                break
            reached = max(reached, end_ns)
        else:
            gaps.append((reached, session.close_ns))
    if any(start_ns >= end_ns for start_ns, end_ns in gaps):
        return ""
    start_ns, end_ns = min(gaps, key=lambda gap: gap[1] - gap[0])
    return f"{_clock(start_ns)} to {_clock(end_ns)} UTC"


def damaged_files(catalog: Catalog, day: dt.date, dataset: str) -> list[FileEntry]:
    """Files that cannot be opened although by their names they belong to a trade date: a run of it would fail."""
    window = cme.session(day).window_ns
    return [entry for schema in READ_SCHEMAS for entry in unreadable(catalog, dataset, schema, *window)]


def one_line(text: str) -> str:
    """A text as one printable line of bounded length: file names come from anywhere."""
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return printable if len(printable) <= TEXT_LIMIT else f"{printable[:TEXT_LIMIT]}..."


@dataclass
class _Files:
    """The files of one look, by what becomes of them; ``fresh`` are those of ``taken`` that were not before."""

    taken: list[FileEntry] = field(default_factory=list)
    fresh: list[FileEntry] = field(default_factory=list)
    arriving: list[FileEntry] = field(default_factory=list)
    refused: list[FileEntry] = field(default_factory=list)
    shown: set[str] = field(default_factory=set)
    notes: list[Note] = field(default_factory=list)


def _sort(catalog: Catalog, before: Progress, settings: Settings) -> _Files:
    """Tell the files of a folder apart."""
    files, batches, compared = _Files(), _Batches(), 0
    for entry in catalog.entries:
        sign = signature(entry)
        if sign in before.done and entry.problem is None:
            files.taken.append(entry)
            continue
        claim = batches.manifest(entry.path.parent).claims.get(entry.path.name)
        key = _digest(sign, claim, entry.problem and entry.problem.rule)
        if key in before.shown:
            files.refused.append(entry)
            files.shown.add(key)
            continue
        if claim is not None and entry.problem is None:
            if compared and compared + entry.bytes > settings.automation.compared_bytes_per_tick:
                files.arriving.append(entry)  # compared at a later look
                continue
            compared += entry.bytes
        refusal, is_stable = _refusal(entry, claim, settings.ingest), sign in before.seen
        if refusal is None and (is_stable or claim is not None):
            files.taken.append(entry)
            files.fresh.append(entry)
        elif refusal is not None and is_stable:
            files.refused.append(entry)
            files.shown.add(key)
            files.notes.append(Note(one_line(f"{entry.name} is refused: {refusal}"), is_refusal=True))
        else:
            files.arriving.append(entry)
    files.notes += _oddities(files.fresh, batches)
    files.notes += [note for key, note in batches.notes.items() if key not in before.shown]
    files.shown.update(batches.notes)
    return files


def _refusal(entry: FileEntry, claim: Claim | None, ingest: IngestSettings) -> DbnRefused | None:
    """Why a file cannot be used as it is now, if it cannot."""
    if entry.problem is not None or claim is None:
        return entry.problem
    try:
        compare(entry, claim, ingest)
    except DbnRefused as refusal:
        return refusal
    return None


class _Batches:
    """The vendor's files about the batches of one look, each read once; one that cannot be read says nothing.

    ``notes`` holds what is wrong with them, by a key of its own.
    """

    def __init__(self) -> None:
        self.notes: dict[str, Note] = {}
        self._manifests: dict[Path, BatchManifest] = {}
        self._conditions: dict[Path, dict[dt.date, str]] = {}

    def manifest(self, folder: Path) -> BatchManifest:
        """What the vendor says of the files of a folder."""
        if folder not in self._manifests:
            try:
                found = read_manifest(folder)
            except BatchFileUnreadable as error:
                found = BatchManifest()
                self._note(str(error))
            for name in found.refused:
                self._note(f"{folder / MANIFEST} names {name!r}, which is no file with a size and a sha256.")
            self._manifests[folder] = found
        return self._manifests[folder]

    def conditions(self, folder: Path) -> dict[dt.date, str]:
        """The UTC days of a batch the vendor has doubts about."""
        if folder not in self._conditions:
            try:
                self._conditions[folder] = read_conditions(folder)
            except BatchFileUnreadable as error:
                self._conditions[folder] = {}
                self._note(str(error))
        return self._conditions[folder]

    def _note(self, text: str) -> None:
        self.notes[_digest(text)] = Note(one_line(text), is_refusal=True)


def _oddities(fresh: Iterable[FileEntry], batches: _Batches) -> Iterator[Note]:
    """What a person may wonder about files that were taken."""
    doubts: dict[dt.date, str] = {}
    for entry in fresh:
        if reason := why_it_has_no_date(entry):
            yield Note(one_line(f"{entry.name} makes no trade date: {reason}."))
        utc_days = _utc_days(entry)
        conditions = batches.conditions(entry.path.parent)
        doubts |= {day: word for day, word in conditions.items() if utc_days[0] <= day <= utc_days[1]}
    for day, word in sorted(doubts.items()):
        yield Note(f"The vendor calls the data of UTC day {day} {word}.")


def why_it_has_no_date(entry: FileEntry) -> str:
    """Why no session's own UTC day lies in a file; empty where one does."""
    if entry.schema not in (None, *READ_SCHEMAS):
        return f"no table is made of schema {entry.schema}"
    dates = trade_dates(entry)
    if not dates:
        return f"its range lies outside the calendar, {cme.PARTITION_START} to {cme.CALENDAR_END}"
    first, last = _utc_days(entry)
    if any(first <= day <= last for day in dates):
        return ""
    try:
        cme.session(first)
    except FootprintError as closed:
        return f"{first} is no session ({closed.where.get('reason', 'outside the calendar')})"
    return "it is empty"


def _utc_days(entry: FileEntry) -> tuple[dt.date, dt.date]:
    """The first and the last UTC day of a readable file."""
    start_ns = entry.start_ns or 0
    return utc_date(start_ns), utc_date(max(start_ns, _end_ns(entry) - 1))


def _by_date(
    entries: Iterable[FileEntry], wanted: frozenset[dt.date]
) -> dict[dt.date, tuple[FileEntry, ...]]:
    """The files that may hold rows of some trade dates."""
    found: dict[dt.date, list[FileEntry]] = {day: [] for day in wanted}
    for entry in entries if wanted else ():
        for day in trade_dates(entry):
            if day in found:
                found[day].append(entry)
    return {day: tuple(some) for day, some in found.items()}


class _Held:
    """Files that are not whole yet or were refused, and the trade dates that wait for them."""

    def __init__(self, files: _Files, touched: frozenset[dt.date], dataset: str) -> None:
        self._dataset = dataset
        self._kinds = [
            (
                what,
                _by_date(entries, touched),
                Catalog(Path(), tuple(e for e in entries if e.problem is not None), None),
            )
            for entries, what in ((files.arriving, "is still arriving"), (files.refused, "was refused"))
        ]

    def reason(self, day: dt.date) -> str:
        """The first file a trade date waits for, in words; empty where there is none."""
        window = cme.session(day).window_ns
        for what, by_date, damaged in self._kinds:
            named = (
                e for schema in READ_SCHEMAS for e in unreadable(damaged, self._dataset, schema, *window)
            )
            for entry in (*by_date[day], *named):
                return one_line(f"{entry.name} {what}")
        return ""


class _Made:
    """Which trade dates the lake already has of the files that lie there, so that a first look starts no run in vain.

    Args:
        lake: The lake.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self.asked = 0
        self.made: list[dt.date] = []

    def is_made_of(self, day: dt.date, entries: Iterable[FileEntry]) -> bool:
        """Whether every table has the date, and the bronze tables are made of these files with these hashes.

        The hash of an unchanged file is known from the run that read it. Where one is not known, the answer is no.
        """
        files = {(entry.name, entry.sha256) for entry in entries}
        if any(sha256 is None for _, sha256 in files):
            return False
        self.asked += 1
        if day not in self._whole_dates or not files <= self._sources(day):
            return False
        self.made.append(day)
        return True

    @cached_property
    def _whole_dates(self) -> set[dt.date]:
        dates = [set(self._lake.dates(table)) for table in self._lake.tables()]
        return set.intersection(*dates) if dates else set()

    def _sources(self, day: dt.date) -> set[tuple[str, str | None]]:
        found: set[tuple[str, str | None]] = set()
        for table in self._lake.tables():
            if table.startswith("bronze."):
                with contextlib.suppress(PartitionUnreadable):
                    for manifest in self._lake.manifests(table, day).values():
                        found.update((source.name, source.sha256) for source in manifest.lineage.sources)
        return found


def _run_key(day: dt.date, entries: Iterable[FileEntry], before: Progress, number: int) -> str:
    return f"{day}:{_digest(*map(signature, entries))}:{before.series}-{number}"


def _digest(*facts: object) -> str:
    """48 bits of facts as eight characters: of 10,000 files a new one is taken for a known one once in 10^10 times."""
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=6).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _end_ns(entry: FileEntry) -> int:
    """The first instant after a readable file, as far as one can tell."""
    start_ns = entry.start_ns or 0
    return entry.end_ns if entry.end_ns is not None else max(entry.mtime_ns, start_ns + 1)


@cache
def _calendar_ns() -> tuple[int, int]:
    """The instants trade dates exist for, ``[start, end)``, UTC ns."""
    dates = cme.sessions(cme.PARTITION_START, cme.CALENDAR_END)
    return cme.session(dates[0]).window_ns[0], cme.session(dates[-1]).window_ns[1]


def _clock(ns: int) -> str:
    return f"{dt.datetime.fromtimestamp(ns // NANOS_PER_SECOND, dt.UTC):%Y-%m-%d %H:%M}"


def _of_plain_files(document: Mapping[str, Any]) -> frozenset[str]:
    """The files of a cursor without a version: a plain object of name to ``<modification time in ns>-<bytes>``."""
    found = set()
    for name, text in document.items():
        mtime_ns, size = re.fullmatch(r"(\d+)-(\d+)", text).groups()  # type: ignore[union-attr]  # caught above
        found.add(_digest(name, int(size), int(mtime_ns)))
    return frozenset(found)
