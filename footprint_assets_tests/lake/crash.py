"""Stop a publication at every call that changes the disk, and look at what is left.

A process that has imported everything and used nothing forks one child a point. The child publishes and is stopped, by
a SIGKILL or by an error, at exactly that point; a second child looks with a reader's eyes, recovers, looks again and
publishes anew. ``python -m footprint_assets_tests.lake.crash SCENARIO MODE FOLDER`` prints one JSON line a point.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas  # noqa: F401 - pyarrow imports it at its first array, which here would be once a child

from footprint_assets.lake import (
    Lake,
    PartitionMissing,
    PartitionTorn,
    PublishInterrupted,
    WriteFailed,
    commit,
    fsops,
    reader,
)
from footprint_assets_tests.lake.support import DAY, TABLE, publish, published

SCENARIOS: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "first write": ({}, {"ESM5": 2}),
    "replace": ({"ESM5": 1}, {"ESM5": 2}),
    "roll": ({"ESM5": 1, "NQM5": 1}, {"ESU5": 2, "NQM5": 2}),
}
RENAMES = ("rename", "rename_noreplace", "rename_exchange")
NEEDS_ROOM = ("mkdir", "create", "write", *RENAMES)
SYSCALLS = ("mkdir", "openat", "write", "fsync", "rename", "renameat2", "unlink", "rmdir")


def main(scenario: str, mode: str, folder: Path) -> None:
    reader._WAIT_S = 0.02
    name, _, option = scenario.partition(", ")
    if option == "naive":
        commit._Roll._place = _place_naively  # type: ignore[assignment, method-assign]
    before, after = SCENARIOS[name]
    template = folder / "template"
    if before:
        _in_child(lambda: publish(Lake(template), before) and None)
    else:
        template.mkdir()
    points = {"kill": _killed, "error": _failed, "strace": _straced, "recover": _killed_recovering}[mode]
    for point, outcome, lake in points(template, after, option == "fallback"):
        seen = _in_child(lambda lake=lake, outcome=outcome: _examine(lake, before, after, outcome))
        print(json.dumps({"point": point, "outcome": outcome, **seen}), flush=True)
        shutil.rmtree(lake.root)


def _killed(template: Path, after: dict[str, int], fallback: bool) -> Iterator[tuple[str, str, Lake]]:
    """SIGKILL just before every call of the seam."""
    for n in itertools.count(1):
        lake = _copy(template, n)
        status = _fork(lambda lake=lake, n=n: _publish(lake, after, fallback, n, _kill))
        if not os.WIFSIGNALED(status):
            return
        yield f"call {n}", "killed", lake


def _failed(template: Path, after: dict[str, int], fallback: bool) -> Iterator[tuple[str, str, Lake]]:
    """An error from every call of the seam: no space where room is needed, a failing disk elsewhere."""
    for n in itertools.count(1):
        lake = _copy(template, n)
        seen = _in_child(lambda lake=lake, n=n: _publish(lake, after, fallback, n, _fail))
        if not seen["reached"]:
            return
        yield f"call {n}", str(seen["outcome"]), lake


def _killed_recovering(
    template: Path, after: dict[str, int], fallback: bool
) -> Iterator[tuple[str, str, Lake]]:
    """SIGKILL at every call of the recovery that follows a SIGKILL before every rename of a publication."""
    for first in itertools.count(1):
        lake = _copy(template, f"probe-{first}")
        stopped = _fork(lambda lake=lake, n=first: _publish(lake, after, fallback, n, _kill, RENAMES))
        if not os.WIFSIGNALED(stopped):
            return
        for second in itertools.count(1):
            again = _copy(lake.root, f"{first}-{second}")

            def stop(again: Lake = again, second: int = second) -> None:
                _arm(fallback, second, _kill)
                again.recover()

            if not os.WIFSIGNALED(_fork(stop)):
                break
            yield f"rename {first}, then call {second} of recovery", "killed", again


def _straced(template: Path, after: dict[str, int], fallback: bool) -> Iterator[tuple[str, str, Lake]]:
    """SIGKILL at the entry of every system call that changes the disk."""
    log = template.parent / "calls"
    lake = _copy(template, "count")
    inject = ["-e", "inject=renameat2:error=EINVAL"] if fallback else []
    _under_strace(lake, after, ["-e", f"trace={','.join(SYSCALLS)}", *inject, "-o", str(log)])
    counts: dict[str, int] = {}
    for line in log.read_text().splitlines():
        found = re.search(r"\b(\w+)\(", line)
        if not found or found[1] not in SYSCALLS:
            continue
        call = found[1]
        counts[call] = n = counts.get(call, 0) + 1
        if (call == "openat" and "O_CREAT" not in line) or (fallback and call == "renameat2"):
            continue
        lake = _copy(template, f"{call}-{n}")
        kill = [
            "-e",
            f"trace={call},renameat2",
            *inject,
            "-e",
            f"inject={call}:signal=SIGKILL:when={n}",
            "-o",
            os.devnull,
        ]
        status = _under_strace(lake, after, kill)
        if not os.WIFSIGNALED(status):
            raise RuntimeError(f"{call} number {n} was not reached")
        yield f"{call} {n}", "killed", lake


def _under_strace(lake: Lake, after: dict[str, int], options: list[str]) -> int:
    go, send = os.pipe()

    def work() -> None:
        # The tracer is a sibling, which Yama allows only when asked (PR_SET_PTRACER, any process).
        __import__("ctypes").CDLL(None).prctl(0x59616D61, -1)
        os.read(go, 1)
        publish(lake, after)

    child = os.fork()
    if child == 0:
        _run(work)
    tracer = subprocess.Popen(
        ["strace", "-f", *options, "-p", str(child)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if "attached" not in said:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise SystemExit(f"strace cannot attach: {said}")
    os.write(send, b"!")
    _, status = os.waitpid(child, 0)
    tracer.wait()
    tracer.stderr.close()
    os.close(go)
    os.close(send)
    return status


def _publish(
    lake: Lake,
    after: dict[str, int],
    fallback: bool,
    n: int,
    act: Callable[[str], None],
    names: tuple[str, ...] = fsops.MUTATING,
) -> dict[str, object]:
    reached = _arm(fallback, n, act, names)
    try:
        publish(lake, after)
        outcome = "published"
    except WriteFailed:
        outcome = "refused"
    except PublishInterrupted:
        outcome = "interrupted"
    return {"outcome": outcome, "reached": reached()}


def _arm(
    fallback: bool, n: int, act: Callable[[str], None], names: tuple[str, ...] = fsops.MUTATING
) -> Callable[[], bool]:
    """Act before the n-th of the named calls; let the special renames fail where they must not exist."""
    calls = itertools.count(1)
    last = 0

    def wrap(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            nonlocal last
            if name in names:
                last = next(calls)
                if last == n:
                    act(name)
            if fallback and name in ("rename_noreplace", "rename_exchange"):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            return function(*args, **kwargs)

        return wrapped

    for name in fsops.MUTATING:
        setattr(fsops, name, wrap(name, getattr(fsops, name)))
    return lambda: last >= n


def _examine(lake: Lake, before: dict[str, int], after: dict[str, int], outcome: str) -> dict[str, object]:
    torn = _torn_directories(lake)
    seen = _read(lake)
    recovery = lake.recover()
    torn += _torn_directories(lake)
    recovered = _read(lake)
    left = sorted(path.name for path in lake.layout.staging.glob("*"))
    allowed = [after] if outcome == "published" else [before, after]
    publish(lake, after)
    return {
        "torn": torn,
        "state": "waits"
        if seen is None
        else "before"
        if seen == before
        else "after"
        if seen == after
        else "mixed",
        "recovered": recovered in allowed and not recovery.unfinished,
        "staging": left + sorted(path.name for path in lake.layout.staging.glob("*")),
        "rerun": published(lake) == after,
        "scrub": [finding.file for finding in lake.scrub()],
    }


def _read(lake: Lake) -> dict[str, int] | None:
    """What a reader of every symbol sees; ``None`` where he is told to recover."""
    try:
        return published(lake)
    except PartitionMissing:
        return {}
    except PartitionTorn:
        return None


def _torn_directories(lake: Lake) -> list[str]:
    """Symbols whose directory is not a whole partition."""
    torn = []
    for symbol in lake.layout.symbols(TABLE, DAY):
        try:
            lake.read(TABLE, DAY, symbol, verify="sha256").close()
        except PartitionTorn:
            torn.append(symbol)
    return torn


def _copy(template: Path, name: object) -> Lake:
    root = template.parent / f"lake-{name}"
    shutil.copytree(template, root)
    return Lake(root)


def _kill(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail(name: str) -> None:
    code = errno.ENOSPC if name in NEEDS_ROOM else errno.EIO
    raise OSError(code, os.strerror(code), name)


def _place_naively(roll: object, symbol: str, target: Path) -> None:
    """The way of a writer without a protocol: remove the old files, move the new ones in one by one."""
    staged = roll.layout.staged(roll.intent.stage, symbol)  # type: ignore[attr-defined]
    fsops.remove_tree(target)
    fsops.mkdir(target)
    for path in sorted(staged.iterdir()):
        fsops.rename(path, target / path.name)


def _fork(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        _run(work)
    return os.waitpid(child, 0)[1]


def _in_child(work: Callable[[], dict[str, object] | None]) -> dict[str, object]:
    receive, send = os.pipe()
    status = _fork(lambda: os.write(send, json.dumps(work()).encode()))
    os.close(send)
    answer = os.read(receive, 1 << 16)
    os.close(receive)
    if status:
        raise RuntimeError("a child failed; its traceback is above")
    return json.loads(answer) or {}


def _run(work: Callable[[], object]) -> None:
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
