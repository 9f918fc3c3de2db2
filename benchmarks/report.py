"""Writes down what came out: JSON with every round, and Markdown with the lines, the costs and the machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.cases.day import SEALING, VALIDATION
from benchmarks.cases.learning import SECTION
from benchmarks.market import Data
from benchmarks.model import Case, Line, Result, Results, Spread

PACKAGES = (
    "databento",
    "databento-dbn",
    "duckdb",
    "numba",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "zstandard",
)
PEERS = ("faiss-cpu", "lightgbm", "purgedcv", "scikit-learn", "skfolio", "usearch")
"""Named where they are installed."""
_UNITS = {"wall_s": "s", "cpu_s": "s", "slowest_s": "s", "growth_mb": "MB", "bytes_a_row": "B"}


def machine() -> dict[str, str]:
    """What the figures depend on besides the code; nothing that tells whose machine it is."""
    fields = dict(
        line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if line.count(":") == 1
    )
    model = next(
        (text.strip() for name, text in fields.items() if name.strip() == "model name"), platform.machine()
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "processor": model,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
    } | {name: found for name in (*PACKAGES, *PEERS) if (found := _version(name))}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def as_json(found: Mapping[str, Results], data: Data, times: int) -> dict[str, Any]:
    """Everything that was measured."""
    return {
        "machine": machine(),
        "records": data.records,
        "sessions": data.sessions,
        "session_records": data.session_records,
        "rounds": times,
        "cases": {
            case: {side: list(result.rounds.values()) for side, result in results.items()}
            for case, results in found.items()
        },
    }


def markdown(document: Mapping[str, Any]) -> str:
    """The report of a document of ``as_json``."""
    found = {
        case: {side: Result(dict(enumerate(rounds))) for side, rounds in results.items()}
        for case, results in document["cases"].items()
    }
    cases = [case for case in CASES if case.name in found]
    words = [
        f"{_subject(document)}; {document['rounds']} rounds. "
        + ", ".join(f"{name} {text}" for name, text in document["machine"].items())
        + ".",
        "### The lines",
        *table(
            ("what", "ours", "peer", "median (lowest to highest)", "wanted", ""),
            [row for case in cases for line in case.lines for row in _line(line, found[case.name])],
        ),
    ]
    for case in cases:
        words += [f"### {case.title}", *_not_installed(case, found[case.name]), *_costs(found[case.name])]
    return "\n\n".join("\n".join(part) if isinstance(part, list) else part for part in _joined(words)) + "\n"


def sections(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The document of each part of the page whose cases were run, by its markers."""
    found: dict[str, dict[str, Any]] = {}
    for case in CASES:
        if case.name in document["cases"]:
            part = found.setdefault(case.section, {**document, "cases": {}})
            part["cases"][case.name] = document["cases"][case.name]
    return found


def _subject(document: Mapping[str, Any]) -> str:
    if all(case.section == SECTION for case in CASES if case.name in document["cases"]):
        return "Made-up rows of the sizes named"
    return f"One simulated session of ES with {document['records']:,} MBP-10 records"


def _not_installed(case: Case, results: Results) -> Iterator[str]:
    """Which peers were not measured, and why."""
    if absent := [side for side in case.sides if side.package and side.name not in results]:
        told = ", ".join(f"{side.name} (`{side.package}`)" for side in absent)
        yield f"Not measured, for want of the package: {told}."


def _joined(words: Sequence[str]) -> Iterator[str | list[str]]:
    """Paragraphs, the rows of a table together."""
    rows: list[str] = []
    for text in words:
        if text.startswith("|"):
            rows.append(text)
            continue
        if rows:
            yield rows
            rows = []
        yield text
    if rows:
        yield rows


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, a line a row."""
    return [
        "| " + " | ".join(headings) + " |",
        "|" + "---|" * len(headings),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _line(line: Line, results: Results) -> Iterator[list[str]]:
    spread = line.figure(results)
    if spread is None:
        yield [line.name, "", "", "not measured", _wanted(line), ""]
        return
    met = {True: "met", False: "**not met**", None: ""}[line.holds(spread)]
    yield [
        line.name,
        _told(line.ours, results),
        _told(line.peer, results),
        _spread(spread, line.unit),
        _wanted(line),
        met,
    ]


def _told(what: tuple[str, str] | None, results: Results) -> str:
    if what is None or what[0] not in results:
        return ""
    side, figure = what
    return _number(Spread.of(list(results[side].of(figure).values())).median, _UNITS[figure])


def _spread(spread: Spread, unit: str) -> str:
    scale, unit = _readable(spread.median, unit)
    middle, low, high = (_number(scale * value) for value in (spread.median, spread.low, spread.high))
    return f"{middle}{'' if low == high == middle else f' ({low} to {high})'} {unit}"


def _wanted(line: Line) -> str:
    return "" if line.wanted is None else f"{line.bound} {_number(line.wanted)} {line.unit}"


def _number(value: float, unit: str = "") -> str:
    scale, unit = _readable(value, unit)
    value *= scale
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    return f"{value:,.{digits}f} {unit}".strip()


def _readable(value: float, unit: str) -> tuple[float, str]:
    """What a value is multiplied by, and its unit then: short times are told in milliseconds and microseconds."""
    if unit != "s" or abs(value) >= 0.1:
        return 1.0, unit
    return (1e3, "ms") if abs(value) >= 1e-3 else (1e6, "us")


def _costs(results: Results) -> list[str]:
    rows = []
    for name, result in results.items():
        wall, cpu, growth = (Spread.of(list(result.of(f).values())) for f in ("wall_s", "cpu_s", "growth_mb"))
        facts = ", ".join(
            f"{fact.removesuffix('_mb')} {_number(told, 'MB')}"
            for fact, told in result.last.items()
            if fact in ("file_mb", "peak_mb", "decompressed_mb")
        )
        rows.append(
            [
                name,
                _spread(wall, "s"),
                _spread(cpu, "s"),
                _number(growth.median, "MB") if growth.median >= 0.5 else "",
                facts,
            ]
        )
    shown = table(("side", "wall", "CPU", "growth of memory", "more"), rows)
    passes = [row for result in results.values() for row in result.last.get("passes", ())]
    return [*shown, *(["The last round:", *_passes(passes)] if passes else [])]


def _passes(passes: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            f"`{row['table']}`",
            f"{row['rows']:,}",
            *(f"{row[name]:.3f}" for name in ("wall_s", "cpu_s")),
            *(f"{row[name] / row['wall_s']:.1%}" for name in (VALIDATION, SEALING)),
            f"{row['peak_mb']:,.0f}",
        ]
        for row in sorted(passes, key=lambda row: -row["wall_s"])
    ]
    return table(("pass", "rows", "wall, s", "CPU, s", VALIDATION, SEALING, "peak, MB"), rows)


def write(document: Mapping[str, Any], folder: Path) -> None:
    """Write ``results.json`` and ``results.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(document, indent=1))
    (folder / "results.md").write_text(markdown(document))


def put_into(page: Path, name: str, text: str) -> None:
    """Replace what stands between a page's markers ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: The page has no such markers.
    """
    before, begin, rest = page.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not begin or not end:
        raise ValueError(f"{page} has no place for {name}")
    page.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")
