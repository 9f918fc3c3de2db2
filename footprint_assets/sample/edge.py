"""The law of the markets in which something is known about levels: what an attempt shows, and how likely it makes what follows.

An attempt shows three things until it is decided, all of which stand in the records of its contract:

* the **wall**: contracts at the level, of both sides, at the end of the last five-second bar;
* the **flow**: which way aggressors traded within ``TAPE_TICKS`` of the level in the last ``TAPE_S`` seconds;
* the **tempo**: the number of those trades.

What follows is drawn from the chances of ``KNOWN_EDGE``, functions of these three, or of ``NOTHING``, which look at none of them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

Float64 = npt.NDArray[np.float64]
Mode = Literal["plain", "known-edge", "null"]

TAPE_TICKS = 16
TAPE_S = 60
USUAL_SIZE = 43.0
"""Size a level of the front ES contract returns to in cash hours, contracts."""
USUAL_IMBALANCE = 0.65
"""Of aggressors towards a level while price comes to it."""
USUAL_TRADES = 3e-4
"""Trades near a level in ``TAPE_S`` seconds, a record of the contract in the session: 30 of 100,000."""
ATTEMPTS_FILE = "attempts.jsonl"
"""What was planted in a simulated market, beside its DBN files; one attempt a line."""


@dataclass(frozen=True)
class Shown:
    """What attempts show until they are decided; 0 is the usual.

    Args:
        wall: log2 of the contracts at the level over ``USUAL_SIZE``; float64. No contract counts as one.
        flow: Volume of aggressors towards the level less that of the others, over both, less ``USUAL_IMBALANCE``; float64. The
            usual where there is neither.
        tempo: log2 of the trades over ``USUAL_TRADES`` of the session's records; float64. No trade counts as one.
    """

    wall: Float64
    flow: Float64
    tempo: Float64

    @classmethod
    def of(cls, size: npt.ArrayLike, imbalance: npt.ArrayLike, trades: npt.ArrayLike, records: int) -> Shown:
        """From what is counted.

        Args:
            size: Contracts at the level; [attempts].
            imbalance: Of the aggressors, -1 to 1; NaN where none is known; [attempts].
            trades: Trades; [attempts].
            records: MBP-10 records of the contract in the session.
        """
        flow = np.asarray(imbalance, np.float64) - USUAL_IMBALANCE
        return cls(
            wall=np.log2(np.maximum(np.asarray(size, np.float64), 1.0) / USUAL_SIZE),
            flow=np.where(np.isnan(flow), 0.0, flow),
            tempo=np.log2(np.maximum(np.asarray(trades, np.float64), 1.0) / (USUAL_TRADES * records)),
        )


@dataclass(frozen=True)
class Edge:
    """How an outcome depends on what is seen before it; log odds.

    Args:
        decided: Of a break or bounce against neither, where all that is shown is usual.
        decided_wall: What ``wall`` adds to it.
        decided_flow: What ``flow`` adds to it.
        decided_tempo: What ``tempo`` adds to it.
        break_wall: What ``wall`` adds to the log odds of a break against a bounce, which are even where all is usual.
        break_flow: What ``flow`` adds to them.
        break_tempo: What ``tempo`` adds to them.
    """

    decided: float
    decided_wall: float = 0.0
    decided_flow: float = 0.0
    decided_tempo: float = 0.0
    break_wall: float = 0.0
    break_flow: float = 0.0
    break_tempo: float = 0.0

    def p_tradeable(self, shown: Shown) -> Float64:
        """Chance of a break or a bounce; float64[attempts]."""
        return _logistic(
            self.decided
            + self.decided_wall * shown.wall
            + self.decided_flow * shown.flow
            + self.decided_tempo * shown.tempo
        )

    def p_break(self, shown: Shown) -> Float64:
        """Chance that it is a break where it is one of the two; float64[attempts]."""
        return _logistic(
            self.break_wall * shown.wall + self.break_flow * shown.flow + self.break_tempo * shown.tempo
        )


KNOWN_EDGE = Edge(
    decided=1.5, decided_wall=-0.5, decided_flow=2.0, decided_tempo=1.7,
    break_wall=-0.6, break_flow=3.8, break_tempo=2.0,
)  # fmt: skip
"""Walls hold, aggressors push through, a fast tape decides and breaks: strong for a market, and yet no single feature tells so
much that it would pass for a leak."""
NOTHING = Edge(decided=1.5)
EDGES: dict[Mode, Edge] = {"known-edge": KNOWN_EDGE, "null": NOTHING}
"""The law of each mode but the plain one, in which nobody looks at levels."""


def draw_outcomes(random: np.random.Generator, edge: Edge, shown: Shown) -> npt.NDArray[np.str_]:
    """What follows attempts: ``BREAK``, ``BOUNCE`` or ``CHOP``."""
    rows = shown.wall.shape[0]
    decided = random.random(rows) < edge.p_tradeable(shown)
    breaks = random.random(rows) < edge.p_break(shown)
    return np.where(decided, np.where(breaks, "BREAK", "BOUNCE"), "CHOP")


@dataclass(frozen=True)
class Attempt:
    """One planted attempt at a level.

    Args:
        session_date: Trade date.
        symbol: Contract.
        level_type: The level, such as ``OR_HIGH``.
        level_price: Its price, points.
        approach_direction: +1 from below, -1 from above.
        decision_ns: End of the five-second bar with the first trade within the touch band, ns UTC.
        wall: What it showed until then, as in ``Shown``.
        flow: What it showed until then.
        tempo: What it showed until then.
        p_tradeable: Chance of a break or a bounce.
        p_break: Chance of a break where it is one of the two.
        outcome: What was drawn: ``BREAK``, ``BOUNCE`` or ``CHOP``.
    """

    session_date: dt.date
    symbol: str
    level_type: str
    level_price: float
    approach_direction: int
    decision_ns: int
    wall: float
    flow: float
    tempo: float
    p_tradeable: float
    p_break: float
    outcome: str


def write_attempts(path: Path, attempts: Iterable[Attempt]) -> None:
    """Write planted attempts, one JSON object a line, under the final name when complete."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(
        "".join(json.dumps(asdict(row), default=str) + "\n" for row in attempts), encoding="utf-8"
    )
    partial.replace(path)


def read_attempts(path: Path) -> pl.DataFrame:
    """Read planted attempts.

    Returns:
        The fields of ``Attempt``, ``decision_ns`` as ``decision_ts``, a Datetime ns UTC.
    """
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return pl.DataFrame(rows, infer_schema_length=None).select(
        pl.col("session_date").str.to_date(),
        pl.exclude("session_date", "decision_ns", "approach_direction"),
        pl.col("approach_direction").cast(pl.Int8),
        pl.from_epoch("decision_ns", time_unit="ns").dt.replace_time_zone("UTC").alias("decision_ts"),
    )


def _logistic(odds: Float64) -> Float64:
    chance: Float64 = 1.0 / (1.0 + np.exp(-odds))
    return chance
