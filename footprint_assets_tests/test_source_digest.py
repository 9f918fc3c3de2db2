"""What is remembered of a source is what parsing it again would say, whatever happened to it or to the memory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from footprint_assets import source_digest
from footprint_assets.source_digest import SourceDigests, digest

SOURCE = b'"""A module."""\nfrom a.b import c, d as e\nimport f.g\n\nSTEP = 2  # two\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "source_digests.json"


def remembered(file: Path, source: bytes = SOURCE) -> source_digest.SourceDigest:
    digests = SourceDigests(file)
    found = digests.of(source)
    digests.save()
    return found


def test_what_is_remembered_is_not_parsed_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = remembered(file)
    monkeypatch.setattr(source_digest, "digest", None)

    assert remembered(file) == first == digest(SOURCE)
    assert first.imports == {"a.b": ["c", "d"], "f.g": []}


def test_an_edit_that_leaves_size_and_time_is_seen(file: Path, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_bytes(SOURCE)
    first = remembered(file, module.read_bytes())
    times = module.stat()
    module.write_bytes(SOURCE.replace(b"STEP = 2", b"STEP = 3"))
    os.utime(module, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert remembered(file, module.read_bytes()).code != first.code


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"method": 1}', b"\xff\xfe"])
def test_a_broken_memory_is_made_anew(file: Path, broken: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(broken)

    assert remembered(file) == digest(SOURCE)
    assert len(json.loads(file.read_text())["sources"]) == 1


def test_a_memory_of_another_method_is_not_believed(file: Path) -> None:
    remembered(file)
    found = json.loads(file.read_text())
    (name,) = found["sources"]
    file.write_text(json.dumps({"method": "another", "sources": {name: ["0", {}]}}))

    assert remembered(file) == digest(SOURCE)


def test_a_directory_nobody_may_write_to_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()  # a file where the directory would be

    assert remembered(tmp_path / "cache" / "source_digests.json") == digest(SOURCE)


def test_only_what_was_used_stays_of_a_memory_grown_large(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_digest, "KEPT", 2)
    for number in range(3):
        remembered(file, SOURCE + b"NUMBER = %d\n" % number)

    assert len(json.loads(file.read_text())["sources"]) == 1
