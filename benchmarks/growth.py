"""How the cost grows: with the records of a session, and with the number of sessions."""

from __future__ import annotations

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
_STAGES = {
    "bronze": ("bronze.",),
    "clean": ("silver.future.market_by_price_10_clean", "silver.future.trades_clean"),
    "book pass": ("silver.future.market_by_price_10_bar5s (", "silver.future.market_by_price_10_bar5s_book"),
}
"""Stage to how its passes' first tables begin; every other pass belongs to the rest of its layer."""


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
        stages: dict[str, float] = {}
        for row in passes["passes"]:
            stages[_stage(row["table"])] = stages.get(_stage(row["table"]), 0.0) + row["cpu_s"]
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


def _stage(table_name: str) -> str:
    for stage, begins in _STAGES.items():
        if table_name.startswith(begins):
            return stage
    return "gold" if table_name.startswith("gold.") else "levels" if "level" in table_name else "other silver"


def markdown(document: Mapping[str, Any]) -> str:
    """The two tables of a document of :func:`measure`."""
    stages = list(document["records"][-1]["stages"]) if document["records"] else []
    by_records = [
        [
            f"{row['records']:,}",
            f"{row['wall_s']:.1f}",
            f"{row['wall_s'] / row['records'] * 1e6:.2f}",
            f"{row['cpu_s']:.1f}",
            f"{row['peak_mb']:,.0f}",
            *(f"{row['stages'].get(stage, 0.0):.2f}" for stage in stages),
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
    """Draw ``growth-records.svg`` and ``growth-sessions.svg`` in the looks of the documentation's other pictures."""
    import sys

    sys.path.insert(0, str(folder))
    import style

    source = "the simulated market of the benchmarks"
    figure, (time, memory) = style.canvas(5.2, (2, 1), "A trade date against its records", source)
    rows = document["records"]
    x = [row["records"] / 1e6 for row in rows]
    for label, name, values in (
        ("whole command", "ink", [row["wall_s"] for row in rows]),
        *(
            (stage, colour, [row["stages"].get(stage, 0.0) for row in rows])
            for stage, colour in zip(
                rows[-1]["stages"], ("buy", "sell", "depth", "vwap", "range", "prior"), strict=False
            )
        ),
    ):
        time.plot(x, values, color=style.colour(name), linewidth=1.4, marker="o", markersize=3.5)
        style.note(time, values[-1], label, name)
    memory.plot(
        x,
        [row["peak_mb"] for row in rows],
        color=style.colour("ink"),
        linewidth=1.4,
        marker="o",
        markersize=3.5,
    )
    style.note(memory, rows[-1]["peak_mb"], "peak")
    for panel, words in ((time, "seconds"), (memory, "MB")):
        panel.set_ylabel(words)
        panel.set_xscale("log")
    time.set_yscale("log")
    memory.set_ylim(bottom=0)
    memory.set_xlabel("million MBP-10 records of the session")
    style.save(figure, folder / "growth-records.svg")

    figure, (time, memory) = style.canvas(4.2, (1, 1), "A backfill against its sessions", source)
    rows = document["sessions"]
    x = [row["sessions"] for row in rows]
    for panel, values, words, label in (
        (time, [row["wall_s"] / row["sessions"] for row in rows], "seconds", "a session"),
        (memory, [row["peak_mb"] for row in rows], "MB", "peak"),
    ):
        panel.plot(x, values, color=style.colour("ink"), linewidth=1.4, marker="o", markersize=3.5)
        style.note(panel, values[-1], label)
        panel.set_ylabel(words)
        panel.set_xscale("log")
        panel.set_ylim(bottom=0)
    memory.set_xlabel(f"sessions of {document['session_records']:,} records")
    style.save(figure, folder / "growth-sessions.svg")
