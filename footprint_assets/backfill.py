"""A backfill: which trade dates and tables it takes, and the plan on disk by which a killed one goes on.

What is finished is not written down anywhere: a partition that is current and whose rules held is not made again, whoever
made it. The plan keeps only what was asked for.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import uuid
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from footprint_assets import calendar as cme
from footprint_assets.assets import tables
from footprint_assets.errors import FootprintError
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings

Layer = Literal["bronze", "silver", "gold"]
BACKFILL_TAG = "footprint/backfill"
"""Run tag with the id of the backfill. Not Dagster's own: the UI hides runs of backfills it did not start."""


@dataclass(frozen=True)
class Command:
    """A command that can be gone on with.

    Args:
        file: Name of its plan in the Dagster home.
        begin: How it is begun.
    """

    file: str
    begin: str


BACKFILL = Command("backfill.json", "footprint-assets backfill --start YYYY-MM-DD --end YYYY-MM-DD")


class NoSuchTable(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A name or pattern selects no table."""


class NothingToResume(FootprintError):  # noqa: N818 - names the fact a reader meets
    """This Dagster instance has no backfill of this lake to go on with."""


@dataclass(frozen=True)
class Plan:
    """What a backfill was asked for.

    Args:
        start: First trade date.
        end: Last trade date.
        layers: Layers, as given.
        patterns: Table names and patterns, as given.
        workers: Processes.
        lake: Root of the lake.
        id: Name of the backfill.
    """

    start: dt.date
    end: dt.date
    layers: tuple[Layer, ...] = ()
    patterns: tuple[str, ...] = ()
    workers: int = 1
    lake: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def save(self, home: Path, command: Command = BACKFILL) -> None:
        """Write the plan into the Dagster home, where it takes the place of the last one."""
        text = json.dumps(asdict(self), default=str, indent=2) + "\n"
        draft = home / f"{command.file}.{os.getpid()}"
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(home / command.file)

    @classmethod
    def load(cls, home: Path, settings: Settings, command: Command = BACKFILL) -> Plan:
        """Read the last plan of a command.

        Raises:
            NothingToResume: There is none, it cannot be read, or it is of another lake.
        """
        path, begin = home / command.file, command.begin
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            plan = cls(
                start=dt.date.fromisoformat(found["start"]),
                end=dt.date.fromisoformat(found["end"]),
                layers=tuple(found["layers"]),
                patterns=tuple(found["patterns"]),
                workers=int(found["workers"]),
                lake=str(found["lake"]),
                id=str(found["id"]),
            )
        except FileNotFoundError as error:
            raise NothingToResume("Nothing was begun here.", where={"file": path}, remedy=begin) from error
        except (ValueError, KeyError, TypeError) as error:
            raise NothingToResume(
                "The plan on disk cannot be read.", where={"file": path}, remedy=begin
            ) from error
        if plan.lake != str(settings.lake_root.resolve()):
            raise NothingToResume(
                "The plan on disk is of another lake.",
                where={"its_lake": plan.lake, "lake": settings.lake_root.resolve()},
                remedy=f"set FOOTPRINT_LAKE_ROOT={plan.lake}, or {begin}",
            )
        return plan


@dataclass(frozen=True)
class Scope:
    """What a plan comes to today.

    Args:
        dates: The trade dates to run, oldest first.
        skipped: The days of the range that are not run, and why; weekends are not told.
        tables: Dataset keys to make, each after its inputs; whole passes.
        is_whole: Whether these are all tables of the lake.
    """

    dates: list[dt.date]
    skipped: dict[dt.date, str]
    tables: tuple[str, ...]
    is_whole: bool


def scope_of(settings: Settings, plan: Plan) -> Scope:
    """The trade dates and tables of a plan.

    A trade date whose files are not there is left as it is where bronze tables are made: without them it would be
    published empty.

    Args:
        settings: The settings.
        plan: What was asked for.

    Raises:
        NoSuchTable: A pattern selects no table.
    """
    selected = select(settings, plan.layers, plan.patterns)
    dates = cme.sessions(plan.start, plan.end)
    skipped = dict(cme.closures(plan.start, plan.end))
    if any(key.startswith("bronze.") for key in selected):
        covered = set(Workbench(settings).covered_dates(plan.start, plan.end))
        skipped |= {day: "no trades or MBP-10 file in the drop folder" for day in dates if day not in covered}
        dates = [day for day in dates if day in covered]
    whole = len(selected) == len(tables(settings))
    return Scope(dates, dict(sorted(skipped.items())), selected, whole)


def select(settings: Settings, layers: Collection[Layer], patterns: Sequence[str]) -> tuple[str, ...]:
    """The tables of some layers and names.

    Args:
        settings: Names the levels, which have tables of their own.
        layers: Layers; all where there is none.
        patterns: Dataset keys, or shell patterns of them; all where there is none.

    Returns:
        Dataset keys, each after its inputs, with those that come of the same pass. Nothing they are made of is added.

    Raises:
        NoSuchTable: A pattern selects none.
    """
    every = tables(settings)
    in_layers = [table for table in every if not layers or table.key.partition(".")[0] in layers]
    chosen = {table.key for table in in_layers} if not patterns else set[str]()
    for pattern in patterns:
        found = {table.key for table in in_layers if fnmatchcase(table.key, pattern)}
        if not found:
            raise NoSuchTable(
                f"{pattern!r} is no table" + (f" of {', '.join(layers)}." if layers else "."),
                remedy="footprint-assets status lists every table.",
            )
        chosen |= found
    chosen |= {key for table in every if table.key in chosen for key in table.pass_keys}
    return tuple(table.key for table in every if table.key in chosen)
