"""Event order of a stream: rows after a later event, rows too late to be put in place, equal rows of one event."""

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


@njit(cache=True, nogil=True)
def earlier_equals(
    ts_event: Int64, sequence: Int64, price: Int64, size: Int64, side: NDArray[np.uint8]
) -> Int64:
    """Count the equal rows before each row.

    Args:
        ts_event: Event times, ns, shape ``(n,)``.
        sequence: Sequence numbers of the venue, shape ``(n,)``; with the times ascending.
        price: Prices, shape ``(n,)``.
        size: Sizes, contracts, shape ``(n,)``.
        side: Codes of the side, shape ``(n,)``.

    Returns:
        For each row how many rows before it are equal in every column, int64 ``(n,)``.
    """
    found = np.zeros(len(ts_event), np.int64)
    for i in range(1, len(ts_event)):
        j = i - 1
        while j >= 0 and ts_event[j] == ts_event[i] and sequence[j] == sequence[i]:
            if price[j] == price[i] and size[j] == size[i] and side[j] == side[i]:
                found[i] = found[j] + 1
                break
            j -= 1
    return found
