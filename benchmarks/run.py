"""Runs the sides of the cases in turn, each in a process of its own: A B C, A B C, so that a busy minute hits all."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence

from benchmarks import market
from benchmarks.market import Data
from benchmarks.measure import available_gb
from benchmarks.model import Case, Facts, Result, Results, Side
from benchmarks.process import side_command, told_by

Tell = Callable[[str], None]
_PREPARE: dict[str, Callable[[Data], object]] = {
    "lake": market.make_lake,
    "small": lambda data: market.make_lake(data.small),
    "whole": market.make_whole,
    "sessions": market.make_sessions,
}
"""What a case may need, and how it is made."""


class PeersDisagree(Exception):  # noqa: N818 - names the fact a reader meets
    """Two sides that do the same work gave different results."""


def prepare(cases: Sequence[Case], data: Data, tell: Tell) -> None:
    """Make the data some cases need, where they are not there yet."""
    wanted = {need for case in cases for need in case.needs}
    market.make_lake(data.tiny)
    for need, make in _PREPARE.items():
        if need in wanted:
            tell(f"making the data: {need}")
            make(data)


def run(cases: Sequence[Case], data: Data, times: int, tell: Tell) -> dict[str, Results]:
    """Run every side of some cases round by round.

    Args:
        cases: The cases.
        data: The data, prepared.
        times: How often every side is run.
        tell: Called with one line a process.

    Returns:
        Case to side to result.

    Raises:
        PeersDisagree: Two sides of a case gave different results.
    """
    found: dict[str, Results] = {}
    for case in cases:
        sides = [side for side in case.sides if _is_there(side, tell) and _fits(side, data, tell)]
        rounds: dict[str, dict[int, Facts]] = {side.name: {} for side in sides}
        for turn in range(times):
            for side in sides:
                if turn < side.rounds:
                    told = rounds[side.name][turn] = run_side(case, side, data)
                    tell(f"{case.name} {turn + 1}/{times} {side.name}: {told['wall_s']:.3f} s")
        found[case.name] = {name: Result(told) for name, told in rounds.items()}
        compare(case, found[case.name])
    return found


def run_side(case: Case, side: Side, data: Data) -> Facts:
    """Run one side in a process of its own: its cost, and what it says of its result."""
    done = subprocess.run(
        side_command(case.name, side.name, data),
        env=os.environ | dict(side.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"{case.name}, {side.name}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return told_by(done.stdout)


def compare(case: Case, results: Results) -> None:
    """Hold the sides of a case against each other.

    Raises:
        PeersDisagree: A fact they must agree on differs by more than rounding.
    """
    for name in case.agree:
        told = {side: float(result.last[name]) for side, result in results.items() if name in result.last}
        for side, fact in told.items():
            reference = next(iter(told.values()))
            if abs(fact - reference) > 1e-9 * max(abs(reference), 1.0):
                raise PeersDisagree(
                    f"{case.name}: {name} is {fact!r} for {side} and {reference!r} for the first"
                )


def _is_there(side: Side, tell: Tell) -> bool:
    if not side.is_installed:
        tell(f"not measured: {side.name} needs {side.package}, which is not installed")
    return side.is_installed


def _fits(side: Side, data: Data, tell: Tell) -> bool:
    needed = side.needs_gb * data.records / 10_000_000
    free = available_gb()
    if needed > free:
        tell(f"left out: {side.name} needs {needed:.0f} GB of memory, {free:.0f} GB are free")
    return needed <= free
