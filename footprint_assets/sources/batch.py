"""The files the vendor puts beside the data of a batch download, and what they say of it.

A batch folder holds ``manifest.json`` (size and hash of each file), ``condition.json`` (the quality of each day),
``metadata.json`` and ``symbology.json``. The last two repeat what each DBN header says and are not read. Everything read
here came over the network: a name that is no plain file name, or a hash that is none, is left out and said.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from footprint_assets.settings import IngestSettings
from footprint_assets.sources.catalog import FileEntry, fingerprint
from footprint_assets.sources.errors import PULL_AGAIN, EnvelopeRefused, SourceError

MANIFEST: Final = "manifest.json"
CONDITION: Final = "condition.json"
MAX_BYTES: Final = 2**26
"""Largest of these files that is read: a line a file, for years of files, is a hundredth of it."""
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")


class BatchFileUnreadable(SourceError):  # noqa: N818 - names the fact a reader meets
    """A file of the vendor about a batch is not what it should be."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the vendor says of one file: its size in bytes and its hexadecimal sha256."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class BatchManifest:
    """The manifest of a batch folder.

    Args:
        claims: File name to what the vendor says of it.
        refused: Names of entries that cannot be meant, as they stand in the file.
    """

    claims: Mapping[str, Claim] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


def read_manifest(folder: Path) -> BatchManifest:
    """Read the vendor's manifest of a folder.

    Args:
        folder: A batch folder, or any other.

    Returns:
        The claims; none where there is no ``manifest.json``, or it is another program's.

    Raises:
        BatchFileUnreadable: The file is no JSON, too large, or a link.
    """
    document = _read(folder / MANIFEST)
    files = document.get("files") if isinstance(document, dict) else None
    claims, refused = {}, []
    for entry in files if isinstance(files, list) else []:
        name, claim = _claim(entry)
        if claim is None:
            refused.append(name)
        else:
            claims[name] = claim
    return BatchManifest(claims, tuple(refused))


def read_conditions(folder: Path) -> dict[dt.date, str]:
    """Read the vendor's judgement of the days of a batch.

    Args:
        folder: A batch folder, or any other.

    Returns:
        UTC day to ``degraded``, ``pending`` or ``missing``; the days that are ``available`` are left out.

    Raises:
        BatchFileUnreadable: The file is no JSON, too large, or a link.
    """
    document = _read(folder / CONDITION)
    found = {}
    for entry in document if isinstance(document, list) else []:
        if isinstance(entry, dict) and entry.get("condition") in ("degraded", "pending", "missing"):
            try:
                found[dt.date.fromisoformat(str(entry.get("date")))] = str(entry["condition"])
            except ValueError:
                continue  # a day nobody can name concerns no file
    return found


def compare(entry: FileEntry, claim: Claim, ingest: IngestSettings) -> None:
    """Compare a file with what the vendor says of it, byte for byte.

    Args:
        entry: The file, as the catalogue lists it.
        claim: What the manifest of its folder says.
        ingest: The settings the catalogue was scanned with.

    Raises:
        EnvelopeRefused: Its size or its hash is another, or it changed meanwhile.
    """
    if entry.bytes != claim.bytes:
        raise EnvelopeRefused(
            "manifest_size",
            f"the file has {entry.bytes} bytes and the vendor's manifest says {claim.bytes}",
            path=entry.path,
            offset=min(entry.bytes, claim.bytes),
            remedy=PULL_AGAIN,
        )
    if (actual := fingerprint(entry, ingest)) != claim.sha256:
        raise EnvelopeRefused(
            "manifest_hash",
            f"the sha256 is {actual} and the vendor's manifest says {claim.sha256}",
            path=entry.path,
            offset=0,
            remedy=PULL_AGAIN,
        )


def _claim(entry: object) -> tuple[str, Claim | None]:
    """The name of a manifest's entry, and what it claims where that can be meant."""
    if not isinstance(entry, dict):
        return repr(entry)[:80], None
    name, size = entry.get("filename"), entry.get("size")
    digest = _HASH.fullmatch(str(entry.get("hash")))
    plain = isinstance(name, str) and name == os.path.basename(name) and name not in ("", ".", "..")  # noqa: PTH119 - text, not a path yet
    if not plain or type(size) is not int or size < 0 or digest is None:
        return str(name)[:80], None
    return str(name), Claim(size, digest[1])


def _read(path: Path) -> Any:
    """The JSON of a file; ``None`` where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from error
    with os.fdopen(descriptor, "rb") as file:
        try:
            text = file.read(MAX_BYTES + 1)
            if len(text) > MAX_BYTES:
                raise _unreadable(path, f"more than {MAX_BYTES} bytes")
            return json.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            raise _unreadable(path, str(error)[:200]) from error


def _unreadable(path: Path, why: str) -> BatchFileUnreadable:
    return BatchFileUnreadable(
        f"The vendor's {path.name} cannot be read: {why}.",
        where={"file": str(path)},
        remedy="download it again; until then the files beside it are taken without it.",
    )
