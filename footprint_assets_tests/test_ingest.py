"""Deliveries: every file gets a verdict, and the drop folder only ever holds whole, verified files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from footprint_assets.ingest import IngestRefused, files_of, register, verdict_of
from footprint_assets.settings import IngestSettings
from footprint_assets_tests.small_market import DAY, records_by_schema, write_drop, write_file

INGEST = IngestSettings()


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    return write_drop(tmp_path / "delivery", [DAY], ["trades"])


def a_file(folder: Path) -> Path:
    return sorted(folder.glob("*.trades.dbn.zst"))[-1]


def test_a_sound_file_is_accepted_with_its_counts(delivery: Path) -> None:
    path = a_file(delivery)
    verdict = verdict_of(path, INGEST)
    assert verdict.status == "accepted"
    assert verdict.schema == "trades"
    assert verdict.records == verdict.yielded
    assert verdict.records
    assert (verdict.rule, verdict.offset, verdict.quarantined) == (None, None, {})
    assert verdict.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_row_without_a_valid_side_is_set_aside_and_located(tmp_path: Path) -> None:
    rows = records_by_schema([DAY])["trades"].copy()
    rows["side"][len(rows) // 2] = b"?"
    path = write_file(tmp_path, "trades", rows, DAY, DAY.replace(day=DAY.day + 1))
    verdict = verdict_of(path, INGEST)
    assert verdict.status == "quarantined"
    assert sum(verdict.quarantined.values()) == 1
    assert verdict.rule in verdict.quarantined
    assert verdict.offset is not None
    assert verdict.records == (verdict.yielded or 0) + 1


def test_a_damaged_file_is_refused_with_rule_offset_and_remedy(delivery: Path) -> None:
    path = a_file(delivery)
    path.write_bytes(path.read_bytes()[:-10])
    verdict = verdict_of(path, INGEST)
    assert verdict.status == "refused"
    assert verdict.rule == "truncated_frame"
    assert verdict.offset is not None
    assert verdict.offset > 0
    assert "Remedy" in str(verdict.message)
    assert str(path) in str(verdict.message)


def test_a_verdict_is_plain_json(delivery: Path) -> None:
    verdict = verdict_of(a_file(delivery), INGEST)
    plain = json.loads(json.dumps(verdict.as_json()))
    assert plain["path"] == str(verdict.path)
    assert plain["records"] == verdict.records


def test_folders_are_searched_and_files_taken_as_they_are(delivery: Path, tmp_path: Path) -> None:
    (delivery / "manifest.json").write_text("{}")
    odd = tmp_path / "delivery.bin"
    odd.write_bytes(b"no DBN file")
    inside = sorted(delivery.glob("*.dbn.zst"))
    assert files_of([delivery, odd, inside[0]], INGEST) == [*inside, odd]
    assert verdict_of(odd, INGEST).status == "refused"
    (tmp_path / "empty").mkdir()
    with pytest.raises(IngestRefused, match="no DBN file"):
        files_of([tmp_path / "empty"], INGEST)


def test_a_registered_file_is_a_whole_copy_and_registering_it_again_changes_nothing(
    delivery: Path, tmp_path: Path
) -> None:
    path, drop = a_file(delivery), tmp_path / "drop"
    verdict = verdict_of(path, INGEST)
    target = register(verdict, drop)
    assert target.read_bytes() == path.read_bytes()
    written = target.stat().st_mtime_ns
    assert register(verdict, drop) == target
    assert target.stat().st_mtime_ns == written
    assert list(drop.iterdir()) == [target]


def test_another_file_of_the_same_name_is_never_overwritten(delivery: Path, tmp_path: Path) -> None:
    path, drop = a_file(delivery), tmp_path / "drop"
    drop.mkdir()
    (drop / path.name).write_bytes(b"an earlier delivery")
    with pytest.raises(IngestRefused, match="another file of that name"):
        register(verdict_of(path, INGEST), drop)
    assert (drop / path.name).read_bytes() == b"an earlier delivery"


def test_a_file_that_changed_after_its_verdict_is_not_registered(delivery: Path, tmp_path: Path) -> None:
    verdict = replace(verdict_of(a_file(delivery), INGEST), sha256="0" * 64)
    with pytest.raises(IngestRefused, match="changed since it was verified"):
        register(verdict, tmp_path / "drop")
    assert not list((tmp_path / "drop").iterdir())
