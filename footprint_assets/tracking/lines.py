"""Runs as JSON lines: one file, one line a run, readable with any tool."""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from footprint_assets.lake import fsops
from footprint_assets.tracking.run import TrackedRun, turn

FILE = "runs.jsonl"


@dataclass(frozen=True)
class JsonLinesTracker:
    """Appends runs to ``runs.jsonl``.

    A line is written whole and made durable before the next process has its turn. What a killed process left of a line is
    cut off by the next one.

    Args:
        folder: Where the file lies.
    """

    folder: Path

    def record(self, run: TrackedRun) -> bool:
        """Append a run, unless it is there already."""
        run = run.published()
        line = {"id": run.identity, "recorded_at": _now(), **asdict(run)}
        text = json.dumps(line, sort_keys=True, allow_nan=False) + "\n"
        with turn(self.folder):
            fd = fsops.create(self.folder / FILE, exclusive=False)
            try:
                whole = _whole_lines(fd)
                if any(run.identity == json.loads(known)["id"] for known in whole.splitlines()):
                    return False
                os.ftruncate(fd, len(whole))
                os.lseek(fd, 0, os.SEEK_END)
                fsops.write(fd, text.encode())
                fsops.fsync(fd)
            finally:
                os.close(fd)
            fsops.fsync_dir(self.folder)
        return True


def _whole_lines(fd: int) -> bytes:
    """The file up to its last line end."""
    content = os.pread(fd, os.fstat(fd).st_size, 0)
    return content[: content.rfind(b"\n") + 1]


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
