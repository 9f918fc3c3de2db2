"""Which fault of a step is worth a second try, and how long to wait for it.

A disk or a network file system that hiccups, and a partition another process is publishing, mend themselves. Faulty
rows, a refused source, a missing input and a full disk do not: somebody has to act, and the run fails at once.
"""

from __future__ import annotations

import errno
from typing import Final

import dagster as dg

from footprint_assets.lake import PartitionBusy, WriteFailed
from footprint_assets.redaction import redact

TRANSIENT: Final = frozenset(
    {
        errno.EIO,
        errno.EAGAIN,
        errno.EBUSY,
        errno.EINTR,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EREMOTEIO,
    }
)
"""Errors of the operating system that go away; a full disk (ENOSPC, EDQUOT) does not."""

MAX_RETRIES: Final = 3
FIRST_WAIT_S = 5.0
"""The wait before the first retry, s; each later one is three times the last."""


def is_transient(error: Exception) -> bool:
    """Whether an error may be gone a moment later."""
    if isinstance(error, PartitionBusy):
        return True
    fault = error.__cause__ if isinstance(error, WriteFailed) else error
    return isinstance(fault, OSError) and fault.errno in TRANSIENT


def failure_of(error: Exception, tried: int) -> dg.Failure | dg.RetryRequested:
    """What a step raises in the place of an error.

    No retry policy does this: under one, Dagster would try again whatever the error, an interrupt included.

    Args:
        error: What went wrong.
        tried: How often the step was tried again before.

    Returns:
        A request to try again later where that can help; else a failure in the error's own words.
    """
    if is_transient(error) and tried < MAX_RETRIES:
        return dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=FIRST_WAIT_S * 3**tried)
    return dg.Failure(redact(str(error)), allow_retries=False)
