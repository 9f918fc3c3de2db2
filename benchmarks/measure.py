"""What a piece of work costs: wall time, processor time of the process and its children, growth of resident memory."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KB_A_MB = 1024
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Cost:
    """What a piece of work cost.

    Args:
        wall_s: Wall time, s; the median where the work was repeated.
        cpu_s: User and system time of every thread and of ended child processes, s; the median.
        growth_mb: Highest resident memory during the work above that right before it, MB; of the first time.
    """

    wall_s: float
    cpu_s: float
    growth_mb: float


def measured(work: Callable[[], Any], repeats: int = 1) -> tuple[Cost, Any]:
    """Do some work and say what it cost.

    Args:
        work: What to do.
        repeats: How often it is done; time is the median, memory that of the first time.

    Returns:
        The cost, and what the work gave the last time.
    """
    reset_peak()
    before = _memory("VmRSS")
    walls, cpus = [], []
    growth, result = 0.0, None
    for turn in range(repeats):
        result = None  # what the turn before gave is no part of the memory of the next
        wall, cpu = time.perf_counter(), _cpu()
        result = work()
        cpus.append(_cpu() - cpu)
        walls.append(time.perf_counter() - wall)
        if turn == 0:
            growth = _memory("VmHWM") - before
    return Cost(statistics.median(walls), statistics.median(cpus), growth), result


def reset_peak() -> None:
    """Forget the highest resident memory so far; ``ru_maxrss`` cannot, and begins with that of the parent process."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Highest resident memory of this process since the last reset, MB."""
    return _memory("VmHWM")


def available_gb() -> float:
    """Memory that a new process could have now, GB."""
    return _kilobytes(Path("/proc/meminfo"), "MemAvailable") / 1e6


def _memory(field: str) -> float:
    return _kilobytes(_STATUS, field) / _KB_A_MB


def _kilobytes(file: Path, field: str) -> int:
    (line,) = (line for line in file.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1])


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
