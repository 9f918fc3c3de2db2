"""The commit protocol: how staged directories become public, and how a crash in the middle is finished.

A publication is a list of renames. One rename is atomic by itself. More than one (several symbols, a stale symbol to
take out, a file system without RENAME_EXCHANGE) is preceded by an *intent*: a durable record of what will be done.
Everything an intent points at is complete and durable before it is written, so that recovery always rolls forward.
A stage belongs to the process that holds its lock file; only a stage whose lock is free is ever swept.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from footprint_assets.lake import fsops
from footprint_assets.lake.errors import PartitionBusy, PartitionTorn, PublishInterrupted
from footprint_assets.lake.layout import MANIFEST, SUCCESS, Layout, is_stage_id, remedy_for
from footprint_assets.lake.manifest import canonical_json, parse_manifest

RECOVER = "footprint-assets run finishes it before anything else"
_RACES = 100


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Step:
    """One directory of a publication.

    Args:
        action: ``place`` puts the staged directory in the table, ``remove`` takes a stale one out.
        symbol: The symbol of the directory.
        manifest_sha256: Hash of the staged manifest; empty for ``remove``.
    """

    action: Literal["place", "remove"]
    symbol: str
    manifest_sha256: str = ""


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Intent:
    """A publication about to happen.

    Args:
        stage: Stage the directories come from.
        table: Dataset key.
        dt: Trade date.
        sequence: Number of the publication.
        steps: Directories to place, new symbols first, then those to remove.
    """

    stage: str
    table: str
    dt: dt.date
    sequence: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Recovery:
    """What recovery did.

    Args:
        finished: Interrupted publications rolled forward, as (table, dt).
        unfinished: Interrupted publications whose staged directories are gone, as (table, dt).
        swept: Stages of ended processes removed.
    """

    finished: tuple[tuple[str, dt.date], ...] = ()
    unfinished: tuple[tuple[str, dt.date], ...] = ()
    swept: tuple[str, ...] = ()


_INTENT = TypeAdapter(Intent)


class OwnedStage:
    """A private directory under the staging area, locked for as long as its process works on it.

    Args:
        layout: Paths of the lake.
    """

    def __init__(self, layout: Layout) -> None:
        fsops.make_dirs(layout.staging)
        self._layout = layout
        while True:
            self.id = uuid.uuid4().hex
            lock = layout.stage_lock(self.id)
            fd = fsops.lock(lock, timeout_s=0)
            # A sweep may take the new lock file between its creation and its locking; another id is then free.
            if fd is not None and fsops.is_same_file(fd, lock):
                break
            if fd is not None:
                os.close(fd)
        # A file object, not a descriptor: it is closed even where nobody discards the stage.
        self._lock = os.fdopen(fd, "rb")
        self.path = layout.stage(self.id)
        fsops.mkdir(self.path)

    def release(self) -> None:
        """Remove the directory and the lock, unless an intent still needs them."""
        if self._lock.closed:
            return
        try:
            if not self._layout.intent(self.id).exists():
                fsops.remove_tree(self.path)
                with contextlib.suppress(FileNotFoundError):
                    fsops.unlink(self._layout.stage_lock(self.id))
        finally:
            self._lock.close()


@contextlib.contextmanager
def table_date_locked(layout: Layout, table: str, date: dt.date, timeout_s: float) -> Iterator[None]:
    """Hold the lock of a table's trade date.

    Args:
        layout: Paths of the lake.
        table: Dataset key.
        date: Trade date.
        timeout_s: How long to wait, s.

    Raises:
        PartitionBusy: Another process held it for longer.
    """
    fsops.make_dirs(layout.locks)
    fd = fsops.lock(layout.table_date_lock(table, date), timeout_s)
    if fd is None:
        raise PartitionBusy(
            "another process is publishing this partition",
            where={"table": table, "dt": date, "timeout_s": timeout_s},
            remedy="Run it again when the other run is over.",
        )
    try:
        yield
    finally:
        os.close(fd)


def published_manifest_sha256(directory: Path) -> str | None:
    """Hash in the marker of a published directory; ``None`` where there is no directory, empty without a marker."""
    if not directory.is_dir():
        return None
    try:
        return (directory / SUCCESS).read_text("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def published_sequence(directory: Path) -> int:
    """Number of the publication a directory belongs to; 0 where it cannot be read, for then anything is newer."""
    try:
        return parse_manifest((directory / MANIFEST).read_bytes()).publication.sequence
    except (OSError, PartitionTorn):
        return 0


def commit(layout: Layout, intent: Intent) -> None:
    """Make a publication public. The caller holds the lock of the table's trade date.

    Args:
        layout: Paths of the lake.
        intent: What to do; every staged directory is complete and durable.

    Raises:
        OSError: Nothing became public.
        PublishInterrupted: Some directories became public; recovery will place the others.
    """
    for step in intent.steps:
        if step.action == "place":
            fsops.make_dirs(layout.partition(intent.table, intent.dt, step.symbol).parent)
    if len(intent.steps) > 1 or not _commit_one(layout, intent):
        _write_intent(layout, intent)
        roll = _Roll(layout, intent)
        try:
            roll.forward()
            _drop_intent(layout, intent)
        except OSError as error:
            if roll.renames:
                raise _interrupted(intent, "the publication stopped in the middle", error) from error
            _drop_intent(layout, intent)
            raise


def _commit_one(layout: Layout, intent: Intent) -> bool:
    """Place a single directory by one atomic rename; False where the file system has no such call."""
    roll = _Roll(layout, intent, fallback=False)
    try:
        roll.forward()
    except OSError as error:
        if roll.renames:
            message = "the partition is in place, but the disk did not confirm it"
            raise _interrupted(intent, message, error) from error
        if not fsops.is_unsupported(error):
            raise
        return False
    return True


def _interrupted(intent: Intent, message: str, error: OSError) -> PublishInterrupted:
    where = {
        "table": intent.table,
        "dt": intent.dt,
        "error": errno.errorcode.get(error.errno or 0, str(error)),
    }
    return PublishInterrupted(message, where=where, remedy=f"Mend the disk; {RECOVER}.")


def finish_interrupted(layout: Layout, table: str, date: dt.date) -> None:
    """Roll earlier publications of a table's trade date forward, before another begins. The caller holds its lock.

    One that cannot be finished is dropped: the publication that follows replaces every directory.
    """
    for intent in intents(layout):
        if (intent.table, intent.dt) == (table, date):
            with contextlib.suppress(PartitionTorn):
                roll_forward(layout, intent)
            _drop_intent(layout, intent)


def roll_forward(layout: Layout, intent: Intent) -> None:
    """Finish an interrupted publication. The caller holds the lock of the table's trade date.

    Raises:
        PartitionTorn: A staged directory is gone although it was never placed.
    """
    targets = {step.symbol: layout.partition(intent.table, intent.dt, step.symbol) for step in intent.steps}
    if all(published_sequence(target) <= intent.sequence for target in targets.values()):
        for step in intent.steps:
            there = step.manifest_sha256 in (
                published_manifest_sha256(targets[step.symbol]),
                published_manifest_sha256(layout.staged(intent.stage, step.symbol)),
            )
            if step.action == "place" and not there:
                raise PartitionTorn(
                    "an interrupted publication has lost its staged directory",
                    where={
                        "table": intent.table,
                        "dt": intent.dt,
                        "symbol": step.symbol,
                        "stage": intent.stage,
                    },
                    remedy=remedy_for(intent.table, intent.dt),
                )
        _Roll(layout, intent).forward()


def intents(layout: Layout) -> list[Intent]:
    """The publications under way or interrupted.

    An unreadable record was never made durable, so nothing it meant to do has begun: it does not count.
    """
    found = []
    for path in sorted(layout.staging.glob("*.intent.json")):
        with contextlib.suppress(FileNotFoundError, ValidationError):
            found.append(_INTENT.validate_json(path.read_bytes()))
    return found


def recover(layout: Layout) -> Recovery:
    """Finish interrupted publications and remove the stages of processes that ended.

    Safe beside running writers: a publication whose lock is held, or a stage whose owner lives, is left alone.

    Args:
        layout: Paths of the lake.

    Returns:
        What was done.
    """
    finished, unfinished = [], []
    for intent in intents(layout):
        key = (intent.table, intent.dt)
        with contextlib.suppress(PartitionBusy), table_date_locked(layout, *key, timeout_s=0):
            if not layout.intent(intent.stage).exists():
                continue
            try:
                roll_forward(layout, intent)
                finished.append(key)
            except PartitionTorn:
                unfinished.append(key)
            _drop_intent(layout, intent)
    return Recovery(tuple(finished), tuple(unfinished), tuple(_sweep(layout)))


@dataclass
class _Roll:
    """The renames of an intent, each skipped where it has been done."""

    layout: Layout
    intent: Intent
    fallback: bool = True
    renames: int = 0
    touched: set[Path] = field(default_factory=set)

    def forward(self) -> None:
        """Do what is left of every step, then make all renames durable."""
        for step in self.intent.steps:
            target = self.layout.partition(self.intent.table, self.intent.dt, step.symbol)
            self.touched |= {target.parent, self.layout.stage(self.intent.stage)}
            if step.action == "remove":
                self._take_out(step.symbol, target)
            elif published_manifest_sha256(target) != step.manifest_sha256:
                self._place(step.symbol, target)
        for directory in sorted(self.touched):
            if directory.is_dir():
                fsops.fsync_dir(directory)

    def _place(self, symbol: str, target: Path) -> None:
        staged = self.layout.staged(self.intent.stage, symbol)
        for _ in range(_RACES):
            try:
                if target.exists():
                    fsops.rename_exchange(staged, target)
                else:
                    fsops.rename_noreplace(staged, target)
            except (FileExistsError, FileNotFoundError):
                # Somebody outside the protocol made or removed the target between the look and the rename.
                if not staged.is_dir():
                    raise
                continue
            except OSError as error:
                if not (self.fallback and fsops.is_unsupported(error)):
                    raise
                self._take_out(symbol, target)
                fsops.rename(staged, target)
            self.renames += 1
            return
        raise OSError(f"{target} keeps appearing and disappearing")

    def _take_out(self, symbol: str, target: Path) -> None:
        if target.is_dir():
            aside = self.layout.aside(self.intent.stage, symbol)
            fsops.remove_tree(aside)
            fsops.rename(target, aside)
            self.renames += 1


def _write_intent(layout: Layout, intent: Intent) -> None:
    path = layout.intent(intent.stage)
    try:
        fsops.write_file(path, canonical_json(_INTENT.dump_python(intent, mode="json")))
        fsops.fsync_dir(layout.staging)
    except OSError:
        # Nothing has been renamed yet; a record left behind would only make recovery publish what was refused.
        with contextlib.suppress(OSError):
            fsops.unlink(path)
        raise


def _drop_intent(layout: Layout, intent: Intent) -> None:
    with contextlib.suppress(FileNotFoundError):
        fsops.unlink(layout.intent(intent.stage))
    fsops.fsync_dir(layout.staging)


def _sweep(layout: Layout) -> Iterator[str]:
    names = (path.name.partition(".")[0] for path in layout.staging.glob("*"))
    for stage_id in sorted({name for name in names if is_stage_id(name)}):
        fd = fsops.lock(layout.stage_lock(stage_id), timeout_s=0)
        if fd is None:
            continue
        try:
            if not _has_intent(layout, stage_id):
                fsops.remove_tree(layout.stage(stage_id))
                for leftover in (layout.intent(stage_id), layout.stage_lock(stage_id)):
                    with contextlib.suppress(FileNotFoundError):
                        fsops.unlink(leftover)
                yield stage_id
        finally:
            os.close(fd)


def _has_intent(layout: Layout, stage_id: str) -> bool:
    return any(intent.stage == stage_id for intent in intents(layout))
