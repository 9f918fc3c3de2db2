"""What this process knows of the content of files: hashes it computed itself, while it wrote them or read them.

A hash stays known until somebody touches the file: its inode, size and times are part of the key. What a disk does to
bytes that nobody touched is found by a new process, by ``verify="sha256"`` and by the scrub.
"""

from __future__ import annotations

import os

Identity = tuple[int, int, int, int, int]

_known: dict[Identity, str] = {}


def identity(fd: int) -> Identity:
    """What an open file is known by until somebody touches it."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def remember(file: Identity, sha256: str) -> None:
    """Keep the hash of a file.

    Args:
        file: Its identity, taken before it was read or after it was written.
        sha256: Hash of its whole content, hexadecimal, computed by this process.
    """
    _known[file] = sha256


def is_known(fd: int, sha256: str) -> bool:
    """Whether this process found this hash for the open file, and nobody has touched it since."""
    return _known.get(identity(fd)) == sha256
