"""Assignment of the trades of one session to bars.

Bars are contiguous runs of trades in file order, so a bar is two offsets. Every function starts afresh: a caller that
passes one session at a time gets bars that reset at the 18:00 ET open. A trade is never split between two bars.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray


@dataclass(frozen=True)
class Bars:
    """The bars of one session and one bar type.

    Args:
        offsets: Bar ``b`` holds the trades ``offsets[b]:offsets[b + 1]``; int64[bars + 1].
        start_ns: Left boundary of a time bar, first trade of an event bar; int64[bars], ns since the epoch.
        end_ns: Right boundary of a time bar, last trade of an event bar; int64[bars], ns since the epoch.
        is_complete: Whether the bar met its own closing rule; bool[bars].
    """

    offsets: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    is_complete: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def bar_id(self) -> NDArray[np.int64]:
        """Bar of every trade, counted from 0; int64[trades]."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))


def _event_bars(ts_ns: NDArray[np.int64], starts: NDArray[np.int64], is_complete: NDArray[np.bool_]) -> Bars:
    offsets = np.append(starts, len(ts_ns)).astype(np.int64)
    return Bars(offsets, ts_ns[offsets[:-1]], ts_ns[offsets[1:] - 1], is_complete)


@njit(cache=True, nogil=True)
def _time_bar_starts(ts_ns: NDArray[np.int64], width_ns: int, origin_ns: int) -> NDArray[np.int64]:
    """First trade of each bar; a division a bar, not one a trade."""
    starts = np.empty(ts_ns.shape[0], np.int64)
    bars = 0
    until_ns = np.int64(np.iinfo(np.int64).min)
    for i in range(ts_ns.shape[0]):
        if ts_ns[i] >= until_ns:
            starts[bars] = i
            bars += 1
            until_ns = origin_ns + ((ts_ns[i] - origin_ns) // width_ns + 1) * width_ns
    return starts[:bars].copy()


def time_bars(ts_ns: NDArray[np.int64], width_ns: int, origin_ns: int, close_ns: int) -> Bars:
    """Bars of equal duration whose boundaries are ``origin_ns + k * width_ns``; an interval without a trade has none.

    A trade exactly on a boundary opens the new bar. A bar is complete when its right boundary lies within trading
    hours: a bar the close cuts short, and anything printed after the close, is not.

    Args:
        ts_ns: Trade times in ascending order; int64[trades], ns since the epoch.
        width_ns: Bar duration, ns.
        origin_ns: Open of the session, ns since the epoch.
        close_ns: Close of the session, ns since the epoch.

    Returns:
        The bars that hold at least one trade.
    """
    starts = _time_bar_starts(ts_ns, width_ns, origin_ns)
    start_ns = origin_ns + (ts_ns[starts] - origin_ns) // width_ns * width_ns
    end_ns = start_ns + width_ns
    return Bars(np.append(starts, len(ts_ns)).astype(np.int64), start_ns, end_ns, end_ns <= close_ns)


@njit(cache=True, nogil=True)
def _range_bar_starts(tick: NDArray[np.int64], range_ticks: int) -> NDArray[np.int64]:
    starts = np.empty(tick.shape[0], np.int64)
    bars = 0
    high = np.int64(0)
    low = np.int64(0)
    for i in range(tick.shape[0]):
        price = tick[i]
        if bars == 0 or max(high, price) - min(low, price) > range_ticks:
            starts[bars] = i
            bars += 1
            high = price
            low = price
        else:
            high = max(high, price)
            low = min(low, price)
    return starts[:bars].copy()


@njit(cache=True, nogil=True)
def _volume_bar_starts(size: NDArray[np.int64], contracts: int) -> tuple[NDArray[np.int64], np.int64]:
    starts = np.empty(size.shape[0], np.int64)
    bars = 0
    filled = np.int64(contracts)
    for i in range(size.shape[0]):
        if filled >= contracts:
            starts[bars] = i
            bars += 1
            filled = np.int64(0)
        filled += size[i]
    return starts[:bars].copy(), filled


def range_bars(ts_ns: NDArray[np.int64], tick: NDArray[np.int64], range_ticks: int) -> Bars:
    """Bars whose high - low never exceeds ``range_ticks``; the trade that would exceed it opens the next bar.

    The last bar is incomplete: no trade has broken it yet.

    Args:
        ts_ns: Trade times in ascending order; int64[trades], ns since the epoch.
        tick: Trade prices; int64[trades], ticks.
        range_ticks: Largest high - low of a bar, ticks.

    Returns:
        The bars.
    """
    starts = _range_bar_starts(tick, range_ticks)
    return _event_bars(ts_ns, starts, np.arange(1, len(starts) + 1) < len(starts))


def volume_bars(ts_ns: NDArray[np.int64], size: NDArray[np.int64], contracts: int) -> Bars:
    """Bars that close with the trade that brings their volume to ``contracts`` or more.

    A trade is never split, so a bar may overshoot; the overshoot is its volume minus ``contracts``.

    Args:
        ts_ns: Trade times in ascending order; int64[trades], ns since the epoch.
        size: Trade sizes; int64[trades], contracts.
        contracts: Volume that closes a bar, contracts.

    Returns:
        The bars; the last is complete only if it reached ``contracts``.
    """
    starts, last_volume = _volume_bar_starts(size, contracts)
    is_complete = np.ones(len(starts), np.bool_)
    is_complete[-1:] = last_volume >= contracts
    return _event_bars(ts_ns, starts, is_complete)


def tick_bars(ts_ns: NDArray[np.int64], trades: int) -> Bars:
    """Bars of ``trades`` trades each.

    Args:
        ts_ns: Trade times in ascending order; int64[trades], ns since the epoch.
        trades: Trades that make a bar.

    Returns:
        The bars; the last is complete only if it holds ``trades`` trades.
    """
    starts = np.arange(0, len(ts_ns), trades, dtype=np.int64)
    return _event_bars(ts_ns, starts, starts + trades <= len(ts_ns))
