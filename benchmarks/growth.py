"""How the cost grows: with the records of a session, and with the number of sessions."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import day, parallel
from benchmarks.market import Data, make_market, make_sessions
from benchmarks.model import Case, Facts
from benchmarks.report import machine, table
from benchmarks.run import run_side

RECORDS = (100_000, 500_000, 2_000_000, 5_000_000)
SESSIONS = (1, 5, 20)
SESSION_RECORDS = 20_000
PICTURES = ("growth-records", "growth-sessions")
"""The pictures that ``draw`` draws."""
_STAGES = {
    "bronze": r"bronze\.",
    "clean": r"silver\.future\.(market_by_price_10|trades)_clean",
    "book pass": r"silver\.future\.market_by_price_10_bar5s \(",
    "levels": r"silver\..*(level|_approach|_episodes|_outcomes)",
    "other silver": r"silver\.",
    "gold": r"gold\.",
}
"""Stage to the passes it holds; the first that fits."""


def measure(
    root: Path,
    records: Sequence[int],
    sessions: Sequence[int],
    session_records: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Measure one session of several sizes, and several numbers of sessions of one size.

    Args:
        root: Where the data are made.
        records: MBP-10 records of the session.
        sessions: Numbers of sessions.
        session_records: MBP-10 records of each of them.
        tell: Called with one line a measurement.

    Returns:
        What was measured, for ``growth.json``.
    """
    by_records = []
    for count in records:
        data = Data(root, count)
        make_market(data)
        whole, passes = _of(day.WHOLE, "ours", data), _of(day.ACCOUNTS, "ours", data)
        stages = dict.fromkeys(_STAGES, 0.0)
        for row in passes["passes"]:
            stages[stage_of(row["table"])] += row["cpu_s"]
        by_records.append(
            {
                "records": count,
                "wall_s": whole["wall_s"],
                "cpu_s": whole["cpu_s"],
                "peak_mb": whole["peak_mb"],
                "stages": stages,
            }
        )
        tell(f"{count:,} records: {whole['wall_s']:.1f} s")
    by_sessions = []
    for count in sessions:
        data = Data(root, session_records, count, session_records)
        make_sessions(data)
        told = _of(parallel.BACKFILL, "1 worker", data)
        by_sessions.append(
            {"sessions": count, **{name: told[name] for name in ("wall_s", "cpu_s", "peak_mb")}}
        )
        tell(f"{count} sessions: {told['wall_s']:.1f} s")
    return {
        "machine": machine(),
        "session_records": session_records,
        "records": by_records,
        "sessions": by_sessions,
    }


def _of(case: Case, name: str, data: Data) -> Facts:
    (side,) = (side for side in case.sides if side.name == name)
    return run_side(case, side, data)


def stage_of(table: str) -> str:
    """The stage of a pass, by the label ``cases.day`` gives it."""
    return next(stage for stage, names in _STAGES.items() if re.match(names, table))


def markdown(document: Mapping[str, Any]) -> str:
    """The two tables of a document of :func:`measure`."""
    stages = list(_STAGES)
    by_records = [
        [
            f"{row['records']:,}",
            f"{row['wall_s']:.1f}",
            f"{row['wall_s'] / row['records'] * 1e6:.2f}",
            f"{row['cpu_s']:.1f}",
            f"{row['peak_mb']:,.0f}",
            *(f"{row['stages'][stage]:.2f}" for stage in stages),
        ]
        for row in document["records"]
    ]
    by_sessions = [
        [
            f"{row['sessions']}",
            f"{row['wall_s']:.1f}",
            f"{row['wall_s'] / row['sessions']:.2f}",
            f"{row['cpu_s'] / row['sessions']:.2f}",
            f"{row['peak_mb']:,.0f}",
        ]
        for row in document["sessions"]
    ]
    headings = [
        "records",
        "wall, s",
        "s a million",
        "CPU, s",
        "peak, MB",
        *(f"{stage}, CPU s" for stage in stages),
    ]
    return "\n".join(
        [
            *table(headings, by_records),
            "",
            f"Sessions of {document['session_records']:,} records, one worker:",
            "",
            *table(["sessions", "wall, s", "s a session", "CPU s a session", "peak, MB"], by_sessions),
        ]
    )


def draw(document: Mapping[str, Any], folder: Path) -> None:
    """Draw ``PICTURES`` into the folder of the documentation's pictures, in the looks of the others."""
    sys.path.insert(0, str(folder))
    import style

    rows, source = document["records"], "A session of ES of the simulated market, by the benchmarks"
    figure, (time, memory) = style.canvas(5.2, (2, 1), "A trade date against its records", source)
    x = [row["records"] for row in rows]
    lines = {"whole command": [row["wall_s"] for row in rows]} | {
        stage: [row["stages"][stage] for row in rows] for stage in _STAGES
    }
    places = _apart({label: values[-1] for label, values in lines.items()}, 1.55)
    for name, (label, values) in zip(_COLOURS, lines.items(), strict=False):
        _plot(style, time, x, values, name)
        style.note(time, places[label], label, name)
    time.set_yscale("log")
    time.set_ylim(top=2 * max(places.values()))
    time.set_ylabel("seconds")
    time.yaxis.set_major_formatter("{x:g}")
    time.minorticks_off()
    _plot(style, memory, x, [row["peak_mb"] for row in rows], "ink")
    memory.set_xlabel("MBP-10 records of the session")
    _finish(style, memory, x, [f"{count / 1e6:g} M" for count in x])
    style.save(figure, folder / f"{PICTURES[0]}.svg")

    rows, source = document["sessions"], f"Sessions of {document['session_records']:,} records, one worker"
    figure, (time, memory) = style.canvas(4.2, (1, 1), "A backfill against its sessions", source)
    x = [row["sessions"] for row in rows]
    each = [row["wall_s"] / row["sessions"] for row in rows]
    _plot(style, time, x, each, "ink")
    style.note(time, each[-1], "a session")
    time.set_ylabel("seconds")
    time.set_ylim(0, 1.2 * max(each))
    _plot(style, memory, x, [row["peak_mb"] for row in rows], "ink")
    memory.set_xlabel("sessions")
    _finish(style, memory, x, [str(count) for count in x])
    style.save(figure, folder / f"{PICTURES[1]}.svg")


_COLOURS = ("ink", "buy", "sell", "depth", "vwap", "range", "prior", "average")


def _plot(style: Any, panel: Any, x: Sequence[float], y: Sequence[float], name: str) -> None:
    panel.plot(x, y, color=style.colour(name), linewidth=1.4, marker="o", markersize=3.5)


def _finish(style: Any, memory: Any, x: Sequence[float], labels: Sequence[str]) -> None:
    """The panel of memory, and the axis both panels share."""
    (line,) = memory.lines
    peak = list(line.get_ydata())
    style.note(memory, peak[-1], "peak")
    memory.set_ylabel("MB")
    memory.set_ylim(0, 1.2 * max(peak))
    memory.set_xscale("log")
    memory.set_xticks(x, labels=labels)
    memory.minorticks_off()


def _apart(places: Mapping[str, float], factor: float) -> dict[str, float]:
    """Heights on a logarithmic axis moved up until no two labels touch."""
    moved: dict[str, float] = {}
    lowest = 0.0
    for label, place in sorted(places.items(), key=lambda item: item[1]):
        moved[label] = max(place, lowest)
        lowest = moved[label] * factor
    return moved
