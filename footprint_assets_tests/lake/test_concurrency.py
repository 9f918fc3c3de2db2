"""Several processes on one partition: readers never see a mixture, writers never block each other for ever."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy
import pyarrow as pa
import pytest

from footprint_assets.lake import Lake, PartitionBusy, WriteFailed, fsops
from footprint_assets_tests.lake.support import DAY, LINEAGE, SCHEMA, TABLE, publish, published, rows

SPAWN = multiprocessing.get_context("spawn")
COMMITS = 40
READS = 40
REPLACEMENTS = 20
WRITERS = 6


def _write_until(root: Path, stop: Event, enough: Event) -> None:
    lake, size = Lake(root), 0
    while not stop.is_set():
        size += 1
        # The row count follows the size, so that rows of one generation under the footer of another would show.
        publish(lake, {"ESU5": size, "NQU5": size}, count=100 + size % 7)
        if size == REPLACEMENTS:
            enough.set()


def _read_until(root: Path, stop: Event, enough: Event, results: multiprocessing.Queue[list[str]]) -> None:
    lake, reads, wrong = Lake(root), 0, []
    while not stop.is_set():
        try:
            with lake.read(TABLE, DAY, verify="size" if reads % 2 else "sha256") as snapshot:
                frame = snapshot.frame(["symbol", "size"])
                lazy = snapshot.scan(["size"]).collect()
            sizes = set(frame["size"])
            if len(sizes) != 1 or set(lazy["size"]) != sizes or frame.height != 2 * (100 + sizes.pop() % 7):
                wrong.append(f"{frame.height} rows of sizes {set(frame['size'])}")
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
        reads += 1
        if reads == READS:
            enough.set()
    results.put(wrong)


def test_readers_never_see_a_wrong_row_while_a_writer_replaces_without_pause(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    publish(Lake(root), {"ESU5": 7, "NQU5": 7}, count=100)
    stop, results, enough = SPAWN.Event(), SPAWN.Queue(), [SPAWN.Event() for _ in range(3)]
    writer = SPAWN.Process(target=_write_until, args=(root, stop, enough[0]))
    readers = [SPAWN.Process(target=_read_until, args=(root, stop, done, results)) for done in enough[1:]]
    for process in (writer, *readers):
        process.start()
    often = [done.wait(120) for done in enough]
    stop.set()
    found = [results.get(timeout=60) for _ in readers]
    for process in (writer, *readers):
        process.join(60)
        assert process.exitcode == 0
    assert found == [[], []]
    assert often == [True, True, True]


def _commit_often(root: Path, first: int) -> None:
    lake = Lake(root)
    lake.recover()
    for size in range(first, first + COMMITS):
        publish(lake, {"ESU5": size}, count=5)


def test_six_processes_publish_one_partition_in_turn(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    starts = [1000 * writer for writer in range(1, WRITERS + 1)]
    writers = [SPAWN.Process(target=_commit_often, args=(lake.root, first)) for first in starts]
    for process in writers:
        process.start()
    for process in writers:
        process.join(120)
        assert process.exitcode == 0
    assert published(lake)["ESU5"] in {first + COMMITS - 1 for first in starts}
    assert lake.manifests(TABLE, DAY)["ESU5"].publication.sequence == WRITERS * COMMITS
    assert list(lake.layout.staging.iterdir()) == []
    assert list(lake.scrub()) == []


def test_a_partition_held_by_another_process_is_busy_after_the_timeout(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", lock_timeout_s=0.05)
    publish(lake, {"ESU5": 1})
    holder = os.open(lake.layout.table_date_lock(TABLE, DAY), os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.write("ESU5", rows("ESU5", size=2))
        with pytest.raises(PartitionBusy, match=r"timeout_s=0\.05"):
            stage.publish()
    os.close(holder)
    assert published(lake) == {"ESU5": 1}
    assert list(lake.layout.staging.iterdir()) == []
    publish(lake, {"ESU5": 2})
    assert published(lake) == {"ESU5": 2}


@pytest.mark.parametrize("room", [0, 3_000, 1_500_000], ids=["first byte", "at the end", "in a row group"])
def test_a_full_disk_names_the_partition_and_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    lake = Lake(tmp_path / "lake")
    publish(lake, {"ESU5": 1})
    count = 300_000 if room > 10_000 else 5_000
    chance = numpy.random.default_rng(1)
    table = rows("ESU5", count).set_column(
        4, SCHEMA.field("price"), pa.array(chance.integers(0, 1 << 60, count))
    )

    def write(fd: int, data: bytes) -> None:
        nonlocal room
        room -= len(data)
        if room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.write(fd, data)

    monkeypatch.setattr(fsops, "write", write)
    stage = lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA)

    def write_and_publish() -> None:
        with stage:
            stage.write("ESU5", table)
            stage.publish()

    with pytest.raises(WriteFailed, match=r"table=silver\.future\.trades_clean, dt=2025-06-05.*error=ENOSPC"):
        write_and_publish()
    monkeypatch.undo()
    assert published(lake) == {"ESU5": 1}
    assert list(lake.layout.staging.iterdir()) == []
