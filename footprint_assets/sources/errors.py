"""Why a source file is refused: one tree of errors, each with the file, the byte offset, the rule and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from footprint_assets.errors import FootprintError

PULL_AGAIN = "download the file again and compare its sha256 with the vendor's manifest"


class SourceError(FootprintError):
    """A source file cannot be used as it was asked for."""


class DbnRefused(SourceError):  # noqa: N818  (a refusal is what the file meets, not what the reader does wrong)
    """A DBN file is not what it claims to be; nothing read from it may be published.

    Args:
        rule: Name of the rule that refused, as in the table of ``docs/sources.md``.
        message: What is wrong, in one sentence.
        path: The file.
        offset: Byte offset of the fault, in the bytes named by ``stream``.
        remedy: What mends it.
        facts: Further facts that locate the fault.
    """

    stream: ClassVar[str] = "decompressed"
    """Which bytes ``offset`` counts: those of the file, or those of the DBN stream inside its zstd frames."""

    def __init__(
        self,
        rule: str,
        message: str,
        *,
        path: Path,
        offset: int,
        remedy: str = PULL_AGAIN,
        **facts: object,
    ) -> None:
        self.rule = rule
        self.offset = offset
        where = {"file": str(path), "offset": offset, "stream": self.stream, "rule": rule, **facts}
        super().__init__(message, where=where, remedy=remedy)


class EnvelopeRefused(DbnRefused):
    """The file as a container: its size, its magic, its zstd frames."""

    stream = "file"


class MetadataRefused(DbnRefused):
    """The DBN header: version, dataset, range, symbols, mappings."""


class RecordRefused(DbnRefused):
    """The record stream: lengths, record types, the end of the file."""
