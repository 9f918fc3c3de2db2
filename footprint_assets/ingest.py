"""Verifies DBN files record by record, and puts accepted ones into the drop folder whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from footprint_assets.errors import FootprintError
from footprint_assets.settings import IngestSettings
from footprint_assets.sources.catalog import scan
from footprint_assets.sources.dbn import Verdict, verify

BLOCK_BYTES = 2**20


class IngestRefused(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A file cannot be put into the drop folder, or there is none to look at."""


@dataclass(frozen=True)
class FileVerdict:
    """What ingest says of one file, flat.

    Args:
        path: The file.
        status: ``accepted``, ``quarantined`` (some rows are set aside) or ``refused``.
        schema: Schema of the header, where it could be read.
        records: Records in the file.
        yielded: Records accepted.
        quarantined: Records set aside, by rule.
        rule: The rule of the refusal or of the first row set aside.
        offset: Byte offset in the decompressed file where it applies.
        message: The refusal in words, with its remedy.
        warnings: What is legal but worth knowing, such as frames without a checksum.
        sha256: Hash of the file as it lies on disk.
    """

    path: Path
    status: Literal["accepted", "quarantined", "refused"]
    schema: str | None
    records: int | None
    yielded: int | None
    quarantined: dict[str, int]
    rule: str | None
    offset: int | None
    message: str | None
    warnings: tuple[str, ...]
    sha256: str | None

    def as_json(self) -> dict[str, object]:
        """The verdict as plain data."""
        return {**vars(self), "path": str(self.path), "warnings": list(self.warnings)}


def files_of(paths: Iterable[Path], ingest: IngestSettings) -> list[Path]:
    """The DBN files among files and folders.

    Args:
        paths: Files, taken as they are, or folders, searched for ``.dbn`` and ``.dbn.zst``.
        ingest: What is accepted.

    Returns:
        The files, each once, in the order they were named.

    Raises:
        IngestRefused: There is none.
    """
    named = list(paths)
    found = [
        file
        for path in named
        for file in ([entry.path for entry in scan(path, ingest).entries] if path.is_dir() else [path])
    ]
    if not found:
        raise IngestRefused(
            "There is no DBN file.",
            where={"folders": ", ".join(map(str, named))},
            remedy="name files or folders that hold .dbn or .dbn.zst files.",
        )
    return list(dict.fromkeys(found))


def verdict_of(path: Path, ingest: IngestSettings) -> FileVerdict:
    """Verify one file record by record; a refused file is a verdict, not an error."""
    return _flat(verify(path, ingest))


def _flat(verdict: Verdict) -> FileVerdict:
    totals = verdict.totals
    return FileVerdict(
        path=verdict.path,
        status=verdict.status,
        schema=verdict.header.schema if verdict.header else None,
        records=totals.records if totals else None,
        yielded=totals.yielded if totals else None,
        quarantined=dict(totals.quarantined) if totals else {},
        rule=verdict.rule,
        offset=verdict.offset,
        message=str(verdict.refusal) if verdict.refusal else None,
        warnings=verdict.warnings,
        sha256=verdict.sha256,
    )


def register(verdict: FileVerdict, folder: Path) -> Path:
    """Copy a verified file into the drop folder; a reader of the folder sees all of it or nothing.

    Args:
        verdict: The verdict of the file, not a refusal.
        folder: The drop folder.

    Returns:
        Where it lies now. A file that already is there unchanged stays as it is.

    Raises:
        IngestRefused: Another file of that name is there (deliveries are never overwritten), or the file is not the
            one that was verified.
    """
    target = folder / verdict.path.name
    if target.exists():
        if _sha256(target) == verdict.sha256:
            return target
        raise IngestRefused(
            "The drop folder holds another file of that name.",
            where={"file": verdict.path, "folder": folder},
            remedy="give the new delivery a name or a sub-folder of its own; overlapping deliveries are merged.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{target.name}.part"
    try:
        if _copy(verdict.path, hidden) != verdict.sha256:
            raise IngestRefused(
                "The file has changed since it was verified.",
                where={"file": verdict.path},
                remedy="wait until the download has finished and run ingest again.",
            )
        hidden.replace(target)
    finally:
        hidden.unlink(missing_ok=True)
    return target


def _copy(source: Path, target: Path) -> str:
    """Copy a file to the disk and give the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(BLOCK_BYTES):
            digest.update(block)
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
