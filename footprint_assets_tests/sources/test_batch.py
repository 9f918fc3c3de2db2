"""The vendor's files about a batch: what they say is taken where it can be meant, and nothing outside is touched."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pytest

from footprint_assets.sources.batch import (
    BatchFileUnreadable,
    Claim,
    compare,
    read_conditions,
    read_manifest,
)
from footprint_assets.sources.catalog import scan
from footprint_assets.sources.errors import EnvelopeRefused
from footprint_assets_tests.sources.dbn_files import INGEST, plain, write

SHA = "ab" * 32
GOOD = {
    "filename": "a.dbn.zst",
    "size": 12,
    "hash": f"sha256:{SHA}",
    "urls": {"https": "https://example.org"},
}


def manifest(folder: Path, *entries: object) -> None:
    (folder / "manifest.json").write_text(json.dumps({"job_id": "GLBX-1", "files": list(entries)}))


def test_a_folder_without_a_manifest_claims_nothing(tmp_path: Path) -> None:
    assert read_manifest(tmp_path).claims == {}
    assert read_conditions(tmp_path) == {}


def test_a_manifest_claims_size_and_hash_of_each_file(tmp_path: Path) -> None:
    manifest(tmp_path, GOOD)

    assert read_manifest(tmp_path).claims == {"a.dbn.zst": Claim(12, SHA)}


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"files": 1}', '{"version": 1, "files": {}}'])
def test_a_manifest_of_another_program_claims_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)

    assert read_manifest(tmp_path).claims == {}
    assert read_manifest(tmp_path).refused == ()


@pytest.mark.parametrize(
    "change",
    [
        {"filename": "../a.dbn.zst"},
        {"filename": "/etc/passwd"},
        {"filename": ".."},
        {"filename": ""},
        {"filename": None},
        {"size": -1},
        {"size": "12"},
        {"size": True},
        {"hash": SHA},
        {"hash": "sha256:" + "AB" * 32},
        {"hash": f"md5:{SHA}"},
        {"hash": None},
    ],
)
def test_an_entry_that_cannot_be_meant_is_left_out_and_said(
    tmp_path: Path, change: dict[str, object]
) -> None:
    manifest(tmp_path, GOOD | change, GOOD)

    found = read_manifest(tmp_path)
    assert found.claims == {"a.dbn.zst": Claim(12, SHA)}
    assert found.refused == (str((GOOD | change)["filename"]),)


def test_a_manifest_that_is_a_link_a_pipe_or_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real.json").write_text("{}")
    path = tmp_path / "manifest.json"
    path.symlink_to(tmp_path / "real.json")
    with pytest.raises(BatchFileUnreadable, match="cannot be read"):
        read_manifest(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BatchFileUnreadable):  # and does not wait for a writer
        read_manifest(tmp_path)
    path.unlink()
    monkeypatch.setattr("footprint_assets.sources.batch.MAX_BYTES", 10)
    path.write_text("[" + "0," * 10 + "0]")
    with pytest.raises(BatchFileUnreadable, match="more than 10 bytes"):
        read_manifest(tmp_path)


def test_the_days_the_vendor_doubts_are_named(tmp_path: Path) -> None:
    days = [
        {"date": "2025-06-03", "condition": "available", "last_modified_date": "2025-06-04"},
        {"date": "2025-06-04", "condition": "degraded", "last_modified_date": "2025-06-05"},
        {"date": "2025-06-05", "condition": "missing"},
        {"date": "2025-13-01", "condition": "missing"},
        {"condition": "pending"},
        "2025-06-06",
    ]
    (tmp_path / "condition.json").write_text(json.dumps(days))

    assert read_conditions(tmp_path) == {dt.date(2025, 6, 4): "degraded", dt.date(2025, 6, 5): "missing"}


@pytest.mark.parametrize(("claimed", "rule"), [(Claim(1, SHA), "manifest_size"), (None, "manifest_hash")])
def test_a_file_that_is_not_what_is_claimed_is_refused(
    tmp_path: Path, claimed: Claim | None, rule: str
) -> None:
    write(tmp_path, plain(), "a.dbn")
    (entry,) = scan(tmp_path, INGEST).entries

    with pytest.raises(EnvelopeRefused) as caught:
        compare(entry, claimed or Claim(entry.bytes, SHA), INGEST)
    assert caught.value.rule == rule
    assert caught.value.remedy
