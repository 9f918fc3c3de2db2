"""Event order of a stream: which rows come after a later event, and which of them come too late to be put in place."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _event_order(ts_event, sequence, index, ts_recv, horizon_ns, newest, late):  # type: ignore[no-untyped-def]
    backwards = 0
    for i in range(len(ts_event)):
        ts, number, at = ts_event[i], sequence[i], index[i]
        ahead = ts > newest[0] or (
            ts == newest[0] and (number > newest[1] or (number == newest[1] and at >= newest[2]))
        )
        late[i] = not ahead and ts < ts_recv[i] - horizon_ns
        if ahead:
            newest[0], newest[1], newest[2] = ts, number, at
        elif not late[i]:
            backwards += 1
    return backwards


def event_order(
    ts_event: Int64, sequence: Int64, index: Int64, ts_recv: Int64, horizon_ns: int, newest: Int64
) -> tuple[NDArray[np.bool_], int]:
    """Find the rows of a chunk that come after a later event.

    Args:
        ts_event: Event times, ns, shape ``(n,)``.
        sequence: Sequence numbers of the venue, shape ``(n,)``.
        index: Positions in the file, shape ``(n,)``.
        ts_recv: Receive times, ns, shape ``(n,)``.
        horizon_ns: How far an event's time may lie behind its receive time and still be put in place, ns.
        newest: ``(ts_event, sequence, index)`` of the latest event so far; ``newest_of_none()`` at first, advanced in
            place.

    Returns:
        ``(late, backwards)``: bool ``(n,)``, true for a row after a later event and beyond the horizon; and how many rows
        come after a later event but within it.
    """
    late = np.empty(len(ts_event), np.bool_)
    backwards = _event_order(ts_event, sequence, index, ts_recv, horizon_ns, newest, late)
    return late, int(backwards)


def newest_of_none() -> Int64:
    """The latest event before the first row."""
    return np.full(3, np.iinfo(np.int64).min)
