"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.market import Data
from benchmarks.process import READY, run_here, side_of

RECORDS, FULL_RECORDS = 2_000_000, 10_000_000
SESSIONS, FULL_SESSIONS = (4, 50_000), (20, 500_000)
OUT = Path("build/bench")


def main() -> None:
    """Run what was asked for."""
    if sys.argv[1:2] == ["side"]:
        _side(sys.argv[2:])
        return
    arguments = _parser().parse_args()
    commands = {
        "run": _run,
        "growth": _growth,
        "graph-load": _graph_load,
        "known-edge": _known_edge,
        "learning": _learning,
        "report": _report,
    }
    commands[arguments.command](arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="Measure the project beside its peers."
    )
    parser.add_argument(
        "command",
        nargs="?",
        default="run",
        choices=("run", "growth", "graph-load", "known-edge", "learning", "report"),
    )
    parser.add_argument("--full", action="store_true", help=f"{FULL_RECORDS:,} records, and the backfill")
    parser.add_argument(
        "--records", type=_number, nargs="*", help="MBP-10 records of the session; growth: several"
    )
    parser.add_argument("--sessions", type=_number, nargs="*", help="sessions of a backfill; growth: several")
    parser.add_argument("--session-records", type=_number, help="MBP-10 records of each of them")
    parser.add_argument(
        "--partitions", type=_number, default=1_000, help="graph-load: partitions of each table"
    )
    parser.add_argument(
        "--mode", choices=("known-edge", "null"), default="known-edge", help="known-edge: which market"
    )
    parser.add_argument("--seed", type=int, default=1, help="known-edge: of the market")
    parser.add_argument("--months", type=_number, default=24, help="learning: months")
    parser.add_argument("--episodes", type=_number, default=25_000, help="learning: episodes in all of them")
    parser.add_argument("--threads", type=_number, default=1, help="learning: threads of the boosted trees")
    parser.add_argument("--rounds", type=int, default=3, help="how often every side is run")
    parser.add_argument(
        "--only", nargs="*", default=(), choices=[c.name for c in CASES], metavar="CASE", help="these cases"
    )
    parser.add_argument(
        "--data", type=Path, default=Path("data/bench"), help="where the data are made, and found again"
    )
    parser.add_argument(
        "--out", type=Path, default=OUT, help="where results.json, results.md and growth.json go"
    )
    parser.add_argument("--into", type=Path, help="report: the page to fill between its markers")
    return parser


def _number(text: str) -> int:
    return int(float(text.replace("_", "")))


def _run(arguments: argparse.Namespace) -> None:
    from benchmarks import report
    from benchmarks.run import prepare, run

    records = (arguments.records or [FULL_RECORDS if arguments.full else RECORDS])[0]
    sessions, session_records = FULL_SESSIONS if arguments.full else SESSIONS
    data = Data(
        arguments.data,
        records,
        (arguments.sessions or [sessions])[0],
        arguments.session_records or session_records,
    )
    wanted = arguments.only or [case.name for case in CASES if arguments.full or not case.only_full]
    cases = [case for case in CASES if case.name in wanted]
    prepare(cases, data, _tell)
    document = report.as_json(run(cases, data, arguments.rounds, _tell), data, arguments.rounds)
    report.write(document, arguments.out)
    print(report.markdown(document))


def _growth(arguments: argparse.Namespace) -> None:
    from benchmarks import growth

    document = growth.measure(
        arguments.data,
        arguments.records or growth.RECORDS,
        arguments.sessions or growth.SESSIONS,
        arguments.session_records or growth.SESSION_RECORDS,
        _tell,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "growth.json").write_text(json.dumps(document, indent=1))
    print(growth.markdown(document))


def _graph_load(arguments: argparse.Namespace) -> None:
    from benchmarks import graph_load

    document = graph_load.measure(arguments.data, arguments.partitions, arguments.rounds, _tell)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "graph-load.json").write_text(json.dumps(document, indent=1))
    print(graph_load.markdown(document))


def _known_edge(arguments: argparse.Namespace) -> None:
    from benchmarks import known_edge

    document = known_edge.measure(
        arguments.data,
        arguments.mode,
        (arguments.sessions or [known_edge.SESSIONS])[0],
        arguments.session_records or known_edge.RECORDS,
        arguments.seed,
        _tell,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{arguments.mode}.json").write_text(json.dumps(document, indent=1))
    print(known_edge.markdown(document))


def _learning(arguments: argparse.Namespace) -> None:
    from benchmarks import learning

    document = learning.measure(
        arguments.data, arguments.months, arguments.episodes, arguments.threads, _tell
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "learning.json").write_text(json.dumps(document, indent=1))
    print(learning.markdown(document))


def _report(arguments: argparse.Namespace) -> None:
    from benchmarks import growth, learning, report

    learned = arguments.out / "learning.json"
    if learned.exists():
        text = learning.markdown(json.loads(learned.read_text()))
        report.put_into(arguments.into, "learning", text) if arguments.into else print(text)
    results, grown = arguments.out / "results.json", arguments.out / "growth.json"
    if results.exists():
        for section, document in report.sections(json.loads(results.read_text())).items():
            text = report.markdown(document)
            report.put_into(arguments.into, section, text) if arguments.into else print(text)
    if grown.exists():
        document = json.loads(grown.read_text())
        text = growth.markdown(document)
        report.put_into(arguments.into, "growth", text) if arguments.into else print(text)
        if arguments.into:
            growth.draw(document, arguments.into.parent / "pictures")


def _side(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")  # the peers' own deprecations are nobody's result

    def wait() -> None:
        if "BENCH_WAIT" in os.environ:
            print(READY, flush=True)
            sys.stdin.readline()

    print(json.dumps(run_here(*side_of(CASES, arguments), wait), default=float))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
