"""What the vendor says of a delivery: ``manifest.json`` with size and hash of each file, ``condition.json`` of each day.

Both lie in the folder of a batch download. Loose files have neither. A file of this name that says something else is
not the vendor's and says nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MANIFEST: Final = "manifest.json"
CONDITION: Final = "condition.json"
_LARGEST_BYTES: Final = 2**24
_HASH: Final = "sha256:"


@dataclass(frozen=True, slots=True)
class Promise:
    """What the vendor's manifest says of a file: its size, bytes, and its sha256, hexadecimal, if told."""

    bytes: int
    sha256: str | None


def promised(path: Path) -> Promise | None:
    """What the manifest beside a file says of it.

    Args:
        path: A file of the drop folder.

    Returns:
        Size and hash; ``None`` where no manifest lies beside it or names it.
    """
    listed = _json(path.parent / MANIFEST)
    files = listed.get("files") if isinstance(listed, dict) else None
    for entry in files if isinstance(files, list) else []:
        if (
            isinstance(entry, dict)
            and entry.get("filename") == path.name
            and isinstance(entry.get("size"), int)
        ):
            told = str(entry.get("hash", ""))
            return Promise(entry["size"], told.removeprefix(_HASH) if told.startswith(_HASH) else None)
    return None


def condition(folder: Path, day: dt.date) -> str | None:
    """What the vendor says of the data of a day.

    Args:
        folder: Folder of a batch download.
        day: UTC day.

    Returns:
        ``available``, ``degraded``, ``pending`` or ``missing``; ``None`` where nothing is said.
    """
    days = _json(folder / CONDITION)
    for entry in days if isinstance(days, list) else []:
        if isinstance(entry, dict) and entry.get("date") == day.isoformat():
            return str(entry.get("condition"))
    return None


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            return None
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
