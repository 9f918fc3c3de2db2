"""A publication stopped or failing at every call that changes the disk leaves the old rows or the new, never a mixture."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
AT_LEAST = [
    ("first write", 30),
    ("replace", 20),
    ("roll", 50),
    ("first write, fallback", 38),
    ("replace, fallback", 30),
    ("roll, fallback", 54),
]
Points = list[dict[str, object]]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a killed process leaves the same names and bytes there, without fsyncs."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def stopped(tmp_path: Path, memory: Path) -> Callable[[str, str], Points]:
    def run(scenario: str, mode: str) -> Points:
        folder = tmp_path if mode == "strace" else memory
        command = [sys.executable, "-m", "footprint_assets_tests.lake.crash", scenario, mode, str(folder)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
        if "strace cannot attach" in done.stderr:
            pytest.skip(f"strace may not attach to a process here: {done.stderr.strip()[-80:]}")
        assert done.returncode == 0, done.stderr[-2000:]
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def assert_never_torn(points: Points, at_least: int) -> None:
    assert len(points) >= at_least
    for point in points:
        assert point["torn"] == [], point
        assert point["state"] != "mixed", point
        assert point["recovered"], point
        assert point["staging"] == [], point
        assert point["rerun"], point
        assert point["scrub"] == [], point
        assert point["outcome"] != "published" or point["state"] == "after", point
        assert point["outcome"] != "refused" or point["state"] == "before", point


@pytest.mark.parametrize(("scenario", "at_least"), AT_LEAST)
def test_a_publication_killed_at_any_call_shows_the_old_rows_or_the_new(
    stopped: Callable[[str, str], Points], scenario: str, at_least: int
) -> None:
    points = stopped(scenario, "kill")
    assert_never_torn(points, at_least)
    states = Counter(point["state"] for point in points)
    assert states["before"]
    assert states["after"]
    if "fallback" not in scenario:
        # One exchange moves a reader from the old rows to the new; he never has to wait for recovery.
        assert not states["waits"]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed on this machine")
@pytest.mark.parametrize(
    ("scenario", "at_least"), [("first write", 30), ("replace", 20), ("roll", 50), ("roll, fallback", 50)]
)
def test_a_publication_killed_at_the_entry_of_any_system_call_shows_the_old_rows_or_the_new(
    stopped: Callable[[str, str], Points], scenario: str, at_least: int
) -> None:
    assert_never_torn(stopped(scenario, "strace"), at_least)


@pytest.mark.parametrize(("scenario", "at_least"), AT_LEAST)
def test_a_full_or_failing_disk_never_tears_a_partition_and_never_claims_success(
    stopped: Callable[[str, str], Points], scenario: str, at_least: int
) -> None:
    points = stopped(scenario, "error")
    assert_never_torn(points, at_least)
    assert {point["outcome"] for point in points} == {"refused", "interrupted", "published"}


@pytest.mark.parametrize(("scenario", "at_least"), [("roll", 20), ("roll, fallback", 40)])
def test_a_recovery_killed_at_any_call_can_be_repeated(
    stopped: Callable[[str, str], Points], scenario: str, at_least: int
) -> None:
    assert_never_torn(stopped(scenario, "recover"), at_least)


def test_the_harness_sees_a_writer_without_a_protocol_tear_partitions(
    stopped: Callable[[str, str], Points],
) -> None:
    assert any(point["torn"] for point in stopped("replace, naive", "kill"))
