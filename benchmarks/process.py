"""One side in a process of its own: how it is started, what it does there, what it tells."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.market import Data
from benchmarks.measure import measured
from benchmarks.model import Case, Facts, Side

READY = "ready"


def side_command(case: str, side: str, data: Data) -> list[str]:
    """The command line that runs one side."""
    numbers = map(str, (data.records, data.sessions, data.session_records))
    return [sys.executable, "-m", "benchmarks", "side", case, side, str(data.root), *numbers]


def told_by(output: str) -> Facts:
    """What a side told, from its output."""
    facts: Facts = json.loads(output.splitlines()[-1])
    return facts


def side_of(cases: tuple[Case, ...], arguments: list[str]) -> tuple[Side, Data]:
    """The side and the data that the arguments after ``side`` name."""
    case_name, side_name, root, *numbers = arguments
    (side,) = (
        side for case in cases if case.name == case_name for side in case.sides if side.name == side_name
    )
    return side, Data(Path(root), *map(int, numbers))


def run_here(side: Side, data: Data, wait: Callable[[], object]) -> Facts:
    """Run one side in this process.

    Args:
        side: The side.
        data: The data, prepared.
        wait: Called when everything but the work is done.

    Returns:
        What it cost, and what it says of its result.
    """
    if side.warm:
        with side.prepare(data.tiny) as (work, _):
            work()
    with side.prepare(data) as (work, facts_of):
        wait()
        cost, result = measured(work, side.repeats)
        return asdict(cost) | facts_of(result)
