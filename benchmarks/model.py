"""What a benchmark is made of: sides that do the same work, the lines their costs must keep."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

from benchmarks.market import Data

Facts = dict[str, Any]
Work = Callable[[], Any]
Prepared = Iterator[tuple[Work, Callable[[Any], Facts]]]
"""What a side's function yields once: the work to be timed, and what is read from its result when the clock stands."""


@dataclass(frozen=True)
class Side:
    """One way to do the work of a case.

    Args:
        name: What the report calls it.
        prepare: Context manager over the data: sets up without the clock, yields the work and the reader of its result,
            cleans up.
        repeats: Times the work is done in one process (work of milliseconds).
        warm: Whether the process does the work over a tiny session first, so that imports and compiled kernels are loaded.
        environment: Environment variables of its process.
        rounds: Most rounds it takes part in; the slowest peers are measured less often.
        needs_gb: Free memory, GB for 10 M records, without which it is left out.
        package: What it imports that may not be installed; it is left out then, and named as not measured.
    """

    name: str
    prepare: Callable[[Data], AbstractContextManager[tuple[Work, Callable[[Any], Facts]]]]
    repeats: int = 1
    warm: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    rounds: int = 99
    needs_gb: float = 0.0
    package: str = ""

    @property
    def is_installed(self) -> bool:
        """Whether what it imports is there."""
        return not self.package or find_spec(self.package) is not None


@dataclass(frozen=True)
class Result:
    """One side of one case.

    Args:
        rounds: Round to ``wall_s``, ``cpu_s``, ``growth_mb`` and whatever the side says of its result.
    """

    rounds: Mapping[int, Facts]

    def of(self, figure: str) -> dict[int, float]:
        """A figure by round."""
        return {turn: float(told[figure]) for turn, told in self.rounds.items()}

    @property
    def last(self) -> Facts:
        """What the last round told."""
        return self.rounds[max(self.rounds)]


Results = Mapping[str, Result]
"""Side to result, of one case."""


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of some values, at least one."""
        return cls(statistics.median(values), min(values), max(values))


Figure = Callable[[Results], Spread | None]
"""What a line is about; ``None`` where a side it needs was not run."""


@dataclass(frozen=True)
class Line:
    """A line that the benchmark decides.

    Args:
        name: What is claimed.
        figure: The figure.
        wanted: The bound; ``None`` where the figure is only told.
        unit: Unit of the figure; ``x`` for a ratio.
        bound: Whether the figure must reach the bound or stay below it.
        ours: Side and cost shown beside it as ours, with its unit.
        peer: Side and cost shown beside it as the peer's.
    """

    name: str
    figure: Figure
    wanted: float | None = None
    unit: str = "x"
    bound: Literal["at least", "at most"] = "at least"
    ours: tuple[str, str] | None = None
    peer: tuple[str, str] | None = None

    def holds(self, spread: Spread) -> bool | None:
        """Whether the median keeps the bound; ``None`` where there is none."""
        if self.wanted is None:
            return None
        return spread.median >= self.wanted if self.bound == "at least" else spread.median <= self.wanted


@dataclass(frozen=True)
class Case:
    """Ours and its peers at one kind of work.

    Args:
        name: What ``--only`` selects.
        title: What the report calls it.
        sides: Ours first.
        lines: What it decides.
        agree: Facts that must be equal between all sides that tell them.
        needs: What must be made before: ``lake`` (bronze and clean tables), ``whole`` (the whole day by the real command),
            ``sessions`` (a market of several sessions).
        only_full: Whether it runs with ``--full`` or by name only.
        section: Part of the report, and markers of the page, it belongs to.
    """

    name: str
    title: str
    sides: tuple[Side, ...]
    lines: tuple[Line, ...] = ()
    agree: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("lake",)
    only_full: bool = False
    section: str = "results"


def ratio(over: tuple[str, str], under: tuple[str, str]) -> Figure:
    """The ratio of two figures, ``(side, figure)`` over ``(side, figure)``, over the rounds both took part in."""

    def figure(results: Results) -> Spread | None:
        if over[0] not in results or under[0] not in results:
            return None
        upper, lower = results[over[0]].of(over[1]), results[under[0]].of(under[1])
        # A process that fits into what it had already touched grows by nothing.
        return Spread.of([upper[turn] / max(lower[turn], 1e-9) for turn in upper if turn in lower])

    return figure


def value(side: str, figure: str, scale: float = 1.0) -> Figure:
    """A figure of one side, times ``scale``."""

    def read(results: Results) -> Spread | None:
        if side not in results:
            return None
        return Spread.of([scale * found for found in results[side].of(figure).values()])

    return read


def rate(side: str, figure: str, per: str = "wall_s") -> Figure:
    """A fact of one side over its time, in millions a second."""

    def read(results: Results) -> Spread | None:
        if side not in results:
            return None
        done, spent = results[side].of(figure), results[side].of(per)
        return Spread.of([done[turn] / 1e6 / spent[turn] for turn in done])

    return read


def best(figures: list[Figure]) -> Figure:
    """The figure with the lowest median: a ratio to the best of several peers."""

    def read(results: Results) -> Spread | None:
        found = [spread for figure in figures if (spread := figure(results)) is not None]
        return min(found, key=lambda spread: spread.median, default=None)

    return read


def faster(name: str, peer: str, wanted: float | None, ours: str = "ours", of: str = "wall_s") -> Line:
    """Ours is ``wanted`` times cheaper than a peer."""
    return Line(name, ratio((peer, of), (ours, of)), wanted, ours=(ours, of), peer=(peer, of))


def within(name: str, floor: str, wanted: float, ours: str = "ours", of: str = "wall_s") -> Line:
    """Ours takes at most ``wanted`` times what a floor takes."""
    return Line(
        name, ratio((ours, of), (floor, of)), wanted, bound="at most", ours=(ours, of), peer=(floor, of)
    )
