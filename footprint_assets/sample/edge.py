"""The law of the markets in which something is known about levels: what an attempt shows, and how likely it makes what follows.

Each attempt shows three things before it is decided, each drawn evenly from -1 to 1 and independent of everything else:

* ``wall``: the size that rests at the level on the side that defends it, ``USUAL_SIZE * 2 ** (WALL_DOUBLINGS * wall)`` contracts;
* ``flow``: how much oftener than not undirected aggressors trade towards the level, ``FLOW_SHARE * flow`` of their trades, each of
  ``AGGRESSOR_ORDERS`` orders;
* ``tempo``: the share of undirected events that are trades, ``TRADE_SHARE * 2 ** tempo``.

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

USUAL_SIZE = 43.0
"""Size a level of the front ES contract returns to in cash hours, contracts."""
WALL_DOUBLINGS = 2.0
FLOW_SHARE = 0.45
TRADE_SHARE = 0.3
AGGRESSOR_ORDERS = 2
ATTEMPTS_FILE = "attempts.jsonl"
"""What was planted in a simulated market, beside its DBN files; one attempt a line."""


@dataclass(frozen=True)
class Edge:
    """How an outcome depends on what is seen before it; log odds.

    Args:
        decided: Of a break or bounce against neither, where ``tempo`` is 0.
        decided_tempo: What ``tempo`` adds to it.
        break_flow: What ``flow`` adds to the log odds of a break against a bounce, which are even where all is 0.
        break_wall: What ``wall`` adds to them.
    """

    decided: float
    decided_tempo: float
    break_flow: float
    break_wall: float

    def p_tradeable(self, tempo: Float64) -> Float64:
        """Chance of a break or a bounce; float64, shape of ``tempo``."""
        return _logistic(self.decided + self.decided_tempo * tempo)

    def p_break(self, wall: Float64, flow: Float64) -> Float64:
        """Chance that it is a break where it is one of the two; float64, shape of ``wall``."""
        return _logistic(self.break_flow * flow + self.break_wall * wall)


KNOWN_EDGE = Edge(decided=1.5, decided_tempo=1.2, break_flow=1.4, break_wall=-1.4)
"""Strong for a market, and yet no single feature tells so much that it would pass for a leak."""
NOTHING = Edge(decided=1.5, decided_tempo=0.0, break_flow=0.0, break_wall=0.0)
EDGES: dict[Mode, Edge] = {"known-edge": KNOWN_EDGE, "null": NOTHING}
"""The law of each mode but the plain one, in which nobody looks at levels."""


@dataclass(frozen=True)
class Shown:
    """What attempts show before they are decided.

    Args:
        wall: Size that defends the level; float64, -1 to 1.
        flow: Aggressors towards the level; float64, -1 to 1.
        tempo: Trades among the events; float64, -1 to 1.
    """

    wall: Float64
    flow: Float64
    tempo: Float64


def draw_shown(random: np.random.Generator, rows: int) -> Shown:
    """What ``rows`` attempts show."""
    return Shown(*random.uniform(-1.0, 1.0, (3, rows)))


def draw_outcomes(random: np.random.Generator, edge: Edge, shown: Shown) -> npt.NDArray[np.str_]:
    """What follows attempts: ``BREAK``, ``BOUNCE`` or ``CHOP``."""
    rows = shown.wall.shape[0]
    decided = random.random(rows) < edge.p_tradeable(shown.tempo)
    breaks = random.random(rows) < edge.p_break(shown.wall, shown.flow)
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
        wall: What it showed, -1 to 1.
        flow: What it showed, -1 to 1.
        tempo: What it showed, -1 to 1.
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
