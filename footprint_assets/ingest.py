"""Verifies DBN files record by record, and puts accepted ones into the drop folder whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from footprint_assets.errors import FootprintError
from footprint_assets.settings import IngestSettings
from footprint_assets.sources.catalog import scan
from footprint_assets.sources.dbn import Verdict, verify


class NameTaken(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The drop folder holds another file of the same name."""


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


def verdicts(paths: Iterable[Path], ingest: IngestSettings) -> Iterator[FileVerdict]:
    """Verify files, and the DBN files of folders.

    Args:
        paths: Files or folders.
        ingest: What is accepted.

    Yields:
        One verdict a file; a refused file is a verdict, not an error.
    """
    for path in paths:
        for file in [entry.path for entry in scan(path, ingest).entries] if path.is_dir() else [path]:
            yield _flat(verify(file, ingest))


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
        sha256=totals.sha256 if totals else None,
    )


def register_file(path: Path, folder: Path) -> Path:
    """Copy an accepted file into the drop folder; a reader of the folder sees all of it or nothing.

    Args:
        path: The verified file.
        folder: The drop folder.

    Returns:
        Where it lies now. A file that already is there unchanged stays as it is.

    Raises:
        NameTaken: Another file of that name is there: deliveries are never overwritten.
    """
    target = folder / path.name
    if target.exists():
        if target.read_bytes() == path.read_bytes():
            return target
        raise NameTaken(
            "The drop folder holds another file of that name.",
            where={"file": path, "folder": folder},
            remedy="give the new delivery a name or a sub-folder of its own; overlapping deliveries are merged.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{path.name}.part"
    with path.open("rb") as source, hidden.open("wb") as copy:
        shutil.copyfileobj(source, copy, 2**20)
        copy.flush()
        os.fsync(copy.fileno())
    hidden.replace(target)
    return target
