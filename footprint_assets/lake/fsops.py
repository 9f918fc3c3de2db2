"""The file-system calls the lake's protocol is made of: thin, named, without policy.

Every call that changes the disk goes through a function here that the rest of the room calls by module attribute, so
that a test can stop the process, or fail the call, at each of them in turn.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

MUTATING = (
    "mkdir",
    "create",
    "write",
    "fsync",
    "rename",
    "rename_noreplace",
    "rename_exchange",
    "unlink",
    "rmdir",
)
"""Names of the calls that change the disk (``create`` also opens lock files)."""

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_NO_SUCH_RENAME = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_POLL_S = 0.01


def mkdir(path: Path) -> None:
    """Create one directory; it must not exist."""
    os.mkdir(path)  # noqa: PTH102 - one plain system call a function


def create(path: Path, *, exclusive: bool = True) -> int:
    """Create a file for writing.

    Args:
        path: The file.
        exclusive: Refuse a file that exists.

    Returns:
        An open descriptor, closed on exec.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_EXCL if exclusive else 0), 0o644)


def write(fd: int, data: bytes | bytearray) -> None:
    """Write all of the data."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def fsync(fd: int) -> None:
    """Make a file's content or a directory's entries durable.

    A failed fsync is never repeated: the kernel marks the pages clean, so that a second one would succeed and lie
    (USENIX ATC 2020, "Can Applications Recover from fsync Failures?").
    """
    os.fsync(fd)


def rename(source: Path, target: Path) -> None:
    """Rename with POSIX semantics."""
    os.rename(source, target)  # noqa: PTH104 - one plain system call a function


def rename_noreplace(source: Path, target: Path) -> None:
    """Rename to a name that must be free.

    Raises:
        FileExistsError: The target exists.
        OSError: ``is_unsupported`` tells whether the file system has no such call.
    """
    _renameat2(source, target, _RENAME_NOREPLACE)


def rename_exchange(source: Path, target: Path) -> None:
    """Swap two names in one step.

    Raises:
        FileNotFoundError: One of them does not exist.
        OSError: ``is_unsupported`` tells whether the file system has no such call.
    """
    _renameat2(source, target, _RENAME_EXCHANGE)


def is_unsupported(error: OSError) -> bool:
    """Whether a failed rename says that kernel or file system lack the call (NFS, some FUSE)."""
    return error.errno in _NO_SUCH_RENAME


def unlink(path: Path) -> None:
    """Remove a file."""
    os.unlink(path)  # noqa: PTH108 - one plain system call a function


def rmdir(path: Path) -> None:
    """Remove an empty directory."""
    os.rmdir(path)  # noqa: PTH106 - one plain system call a function


def fsync_dir(path: Path) -> None:
    """Make a directory's entries durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fsync(fd)
    finally:
        os.close(fd)


def make_dirs(path: Path) -> None:
    """Create a directory and its parents, each entry durable before the next is made."""
    if path.is_dir():
        return
    make_dirs(path.parent)
    with contextlib.suppress(FileExistsError):
        mkdir(path)
    fsync_dir(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Create a file with the given content, durable but for its directory entry."""
    fd = create(path)
    try:
        write(fd, data)
        fsync(fd)
    finally:
        os.close(fd)


def remove_tree(path: Path) -> None:
    """Remove a directory and what is inside; links are removed, never followed."""
    try:
        entries = list(os.scandir(path))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove_tree(Path(entry.path))
        else:
            unlink(Path(entry.path))
    rmdir(path)


def lock(path: Path, timeout_s: float) -> int | None:
    """Take an exclusive lock on a file, creating it if needed.

    Args:
        path: The lock file; its directory exists.
        timeout_s: How long to wait, s; 0 tries once.

    Returns:
        The descriptor that holds the lock until closed, or ``None`` when the time is over.
    """
    fd = create(path, exclusive=False)
    deadline = time.monotonic() + timeout_s
    try:
        while not _try_lock(fd):
            if time.monotonic() >= deadline:
                os.close(fd)
                return None
            time.sleep(_POLL_S)
    except BaseException:  # an interrupt must not leak a descriptor that holds the lock
        os.close(fd)
        raise
    return fd


def is_same_file(fd: int, path: Path) -> bool:
    """Whether a path still names the open file or directory."""
    try:
        found = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - compared with fstat
    except FileNotFoundError:
        return False
    mine = os.fstat(fd)
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino) and not stat.S_ISLNK(found.st_mode)


def descriptor_path(fd: int) -> str:
    """A path that opens the file behind a descriptor anew, even after it was replaced or removed."""
    return f"/proc/self/fd/{fd}"


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _find_renameat2() -> Callable[..., int] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int
    found: Callable[..., int] = function
    return found


_RENAMEAT2 = _find_renameat2()


def _renameat2(source: Path, target: Path, flags: int) -> None:
    if _RENAMEAT2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(source), None, str(target))
    if _RENAMEAT2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(source), None, str(target))
