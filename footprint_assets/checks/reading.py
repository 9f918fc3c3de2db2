"""How checks read the lake: a few columns of one trade date, roots of contracts, instants a person can read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.lake import Manifest
from footprint_assets.resources import Workbench
from footprint_assets.settings import NANOS_PER_SECOND
from footprint_assets.tables import Scope, TableInput, sessions_before

Row = Mapping[str, object]
"""Where a row is: its number in the partition from 0, its time, and what is wrong with it."""


@dataclass
class Tally:
    """How many rows break a rule, and where the first of them is."""

    count: int = 0
    first: Row | None = None

    def add(self, broken: NDArray[np.bool_], row: Callable[[int], Row]) -> None:
        """Count the rows of a batch.

        Args:
            broken: bool ``(n,)``, true where a row of the batch breaks the rule.
            row: Where the i-th row of the batch is.
        """
        found = int(np.count_nonzero(broken))
        if found and self.first is None:
            self.first = row(int(broken.argmax()))
        self.count += found


def instant(ns: int) -> str:
    """An instant as ISO 8601 in UTC, to the nanosecond.

    Args:
        ns: Nanoseconds since the epoch, UTC.
    """
    seconds, nanos = divmod(int(ns), NANOS_PER_SECOND)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def table(bench: Workbench, key: str, day: dt.date) -> TableInput:
    """A table at one trade date."""
    return TableInput(bench.lake, key, (day,))


def symbols(bench: Workbench, key: str, day: dt.date) -> list[str]:
    """The contracts a table is published for."""
    return table(bench, key, day).symbols()


def frame(bench: Workbench, key: str, day: dt.date, symbol: str, columns: Sequence[str]) -> pl.DataFrame:
    """Some columns of one contract."""
    return table(bench, key, day).frame(symbol, columns)


def root_of(bench: Workbench, day: dt.date, symbol: str) -> str:
    """The product root of a contract."""
    return Scope.of(day, bench).of_contract(symbol).root


def manifests_before(
    bench: Workbench, key: str, day: dt.date, root: str, sessions: int
) -> dict[dt.date, Manifest]:
    """What a root's contract of a table was on the sessions before, from the manifests alone.

    Args:
        bench: The lake.
        key: Dataset key.
        day: The trade date after them.
        root: Product root; its front month may have rolled in between.
        sessions: How many sessions of the calendar to look back.

    Returns:
        Trade date to manifest, the oldest first; sessions that are not published are left out.
    """
    found = {}
    for earlier in sessions_before(day, sessions):
        for symbol, manifest in bench.lake.manifests(key, earlier).items():
            if root_of(bench, earlier, symbol) == root:
                found[earlier] = manifest
    return found
