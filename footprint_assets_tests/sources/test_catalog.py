"""The catalogue lists every file, good or bad, and reads each header once."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from pathlib import Path

import pytest

from footprint_assets.settings import IngestSettings
from footprint_assets.sources import catalog as catalog_module
from footprint_assets.sources.catalog import covering, fingerprint, scan
from footprint_assets.sources.errors import DbnRefused, EnvelopeRefused
from footprint_assets.sources.metadata import DbnHeader, read_header
from footprint_assets_tests.sources.dbn_files import (
    DAY_NS,
    END,
    INGEST,
    START,
    metadata,
    plain,
    records,
    write,
    zst,
)


def folder_of_files(tmp_path: Path) -> Path:
    folder = tmp_path / "dbn"
    (folder / "2024" / ".partial").mkdir(parents=True)
    write(folder, zst(plain()), "b.mbp-10.dbn.zst")
    write(folder / "2024", plain("trades", start=START + DAY_NS, end=END + DAY_NS), "a.trades.dbn")
    write(folder, zst(plain())[:30], "cut.mbp-10.dbn.zst")
    write(folder, b"\x50\x2a\x4d\x18" + b"\x08\0\0\0DBZ\x01", "old.trades.dbz")
    write(folder, records("trades").tobytes(), "piece.dbn.frag")
    write(folder, b"a,b", "notes.csv")
    write(folder, plain(), ".hidden.dbn")
    write(folder / "2024" / ".partial", plain(), "x.dbn")
    return folder


def test_every_dbn_file_is_listed_and_a_bad_one_does_not_hide_the_others(tmp_path: Path) -> None:
    catalog = scan(folder_of_files(tmp_path), INGEST)
    found = {
        entry.name: (entry.schema, entry.problem.rule if entry.problem else None) for entry in catalog.entries
    }
    assert found == {
        "2024/a.trades.dbn": ("trades", None),
        "b.mbp-10.dbn.zst": ("mbp-10", None),
        "cut.mbp-10.dbn.zst": (None, "truncated_frame"),
        "old.trades.dbz": (None, "dbz"),
        "piece.dbn.frag": (None, "fragment"),
    }
    assert [entry.name for entry in catalog.problems] == [
        "cut.mbp-10.dbn.zst",
        "old.trades.dbz",
        "piece.dbn.frag",
    ]


def test_a_folder_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert scan(tmp_path / "absent", INGEST).entries == ()


def test_an_entry_carries_the_facts_of_its_header(tmp_path: Path) -> None:
    path = write(tmp_path, plain(), "a.dbn")
    os.utime(path, ns=(START, START))
    (entry,) = scan(tmp_path, INGEST).entries
    assert (entry.start_ns, entry.end_ns, entry.version, entry.dataset) == (START, END, 3, "GLBX.MDP3")
    assert (entry.symbols, entry.pulled, entry.bytes) == (
        ("ESM4", "ESU4"),
        dt.date(2024, 6, 10),
        len(plain()),
    )


def test_headers_are_read_once_for_each_size_and_modification_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = folder_of_files(tmp_path), tmp_path / "cache" / "catalog.json"
    read: list[str] = []

    def counted(path: Path, ingest: IngestSettings) -> DbnHeader:
        read.append(path.name)
        return read_header(path, ingest)

    monkeypatch.setattr(catalog_module, "read_header", counted)
    first = scan(folder, INGEST, cache)
    assert len(read) == 5
    again = scan(folder, INGEST, cache)
    assert len(read) == 5
    for before, after in zip(first.entries, again.entries, strict=True):
        assert str(before.problem) == str(after.problem)
        assert (before.name, before.start_ns, before.symbols) == (after.name, after.start_ns, after.symbols)
    os.utime(folder / "b.mbp-10.dbn.zst", ns=(START, START))
    scan(folder, INGEST, cache)
    assert read[5:] == ["b.mbp-10.dbn.zst"]
    scan(folder, IngestSettings(max_compression_ratio=99), cache)
    assert len(read) == 11


def test_a_folder_is_listed_where_nothing_can_be_remembered(tmp_path: Path) -> None:
    folder, file = folder_of_files(tmp_path), tmp_path / "file"
    file.touch()  # a directory cannot be made under it, whoever asks
    for cache in (file / "catalog.json", tmp_path):
        assert len(scan(folder, INGEST, cache).entries) == 5
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}.*"))


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"version": 1}', '{"version": 1, "ingest": 0, "files": {"a": 1}}']
)
def test_a_damaged_cache_is_rebuilt(tmp_path: Path, damage: str) -> None:
    folder, cache = folder_of_files(tmp_path), tmp_path / "catalog.json"
    cache.write_text(damage)
    assert len(scan(folder, INGEST, cache).entries) == 5
    assert len(scan(folder, INGEST, cache).entries) == 5


def test_a_link_out_of_the_folder_and_a_name_that_cannot_be_printed_are_not_opened(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "dbn", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "link.dbn").symlink_to(write(elsewhere, plain(), "a.dbn"))
    inside = write(folder, plain(), "a.dbn")
    (folder / "alias.dbn").symlink_to(inside)
    write(folder, plain(), "a\nb.dbn")
    (tmp_path / "by_link").symlink_to(folder)

    for place in (folder, tmp_path / "by_link"):  # the folder itself may be a link
        found = {e.name: e.problem.rule if e.problem else None for e in scan(place, INGEST).entries}
        assert found == {"a.dbn": None, "alias.dbn": None, "link.dbn": "outside_folder", "a\nb.dbn": "name"}


def test_a_file_that_left_is_forgotten(tmp_path: Path) -> None:
    folder, cache = folder_of_files(tmp_path), tmp_path / "catalog.json"
    scan(folder, INGEST, cache)
    (folder / "b.mbp-10.dbn.zst").unlink()
    assert "b.mbp-10.dbn.zst" not in {entry.name for entry in scan(folder, INGEST, cache).entries}
    assert "b.mbp-10" not in cache.read_text()


def names(tmp_path: Path, schema: str, start: int, end: int) -> list[str]:
    return [entry.name for entry in covering(scan(tmp_path, INGEST), schema, start, end)]


def test_files_cover_the_windows_their_headers_overlap(tmp_path: Path) -> None:
    for number in (2, 1, 0):
        content = plain("trades", start=START + number * DAY_NS, end=END + number * DAY_NS)
        write(tmp_path, content, f"{9 - number}.trades.dbn")
    write(tmp_path, plain(), "0.mbp-10.dbn")
    write(tmp_path, b"DBN", "1.trades.dbn")
    assert names(tmp_path, "trades", START, START + 2 * DAY_NS) == ["9.trades.dbn", "8.trades.dbn"]
    assert names(tmp_path, "trades", END - 1, END) == ["9.trades.dbn"]
    assert names(tmp_path, "trades", END, END + 1) == ["8.trades.dbn"]
    assert names(tmp_path, "mbp-10", START, END) == ["0.mbp-10.dbn"]
    assert names(tmp_path, "statistics", START, END) == []


def test_a_recording_without_an_end_covers_until_it_was_last_written(tmp_path: Path) -> None:
    header = metadata(None, stype_in=None, end=None, symbols=(), mappings=())
    path = write(tmp_path, header, "live.dbn")
    os.utime(path, ns=(END, END))
    for schema in ("mbp-10", "trades"):
        assert names(tmp_path, schema, START, END) == ["live.dbn"]
    assert names(tmp_path, "trades", START - DAY_NS, START) == []
    assert names(tmp_path, "trades", END, END + DAY_NS) == []
    os.utime(path, ns=(START - DAY_NS, START - DAY_NS))
    assert names(tmp_path, "trades", END, END + DAY_NS) == ["live.dbn"]


def test_the_sha256_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = folder_of_files(tmp_path), tmp_path / "catalog.json"
    entry = scan(folder, INGEST, cache).entries[1]
    assert entry.sha256 is None
    digest = hashlib.sha256(zst(plain())).hexdigest()
    assert fingerprint(entry, INGEST, cache) == digest
    monkeypatch.delattr(catalog_module, "_hash")
    assert fingerprint(entry, INGEST, cache) == digest
    assert scan(folder, INGEST, cache).entries[1].sha256 == digest


def test_a_file_that_changed_since_it_was_listed_gets_no_fingerprint(tmp_path: Path) -> None:
    path = write(tmp_path, plain(), "a.dbn")
    (entry,) = scan(tmp_path, INGEST).entries
    path.write_bytes(plain()[:-1])
    with pytest.raises(EnvelopeRefused, match="when it was listed"):
        fingerprint(entry, INGEST)
    path.unlink()
    with pytest.raises(DbnRefused) as refused:
        fingerprint(entry, INGEST)
    assert refused.value.rule == "unreadable"
