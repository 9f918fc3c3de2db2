"""The basic set of five-second bars by the method of the project's kernels: column by column over tiles, weights shared.

No table of the project holds just this set: it is what every engine of the comparison can make. It takes the arrays of
``transforms.book_batch.BookBatch``. Every column of a bar is a slice, so that loops run in vector registers; sums of
sizes are whole numbers, so their order does not matter; weights are worked out once for all columns of a tile.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.bar5s import BAR_NS, POINT_NANOS
from footprint_assets.kernels.book_events import (
    ASK,
    BID,
    BUYER,
    CLEAR,
    F_SNAPSHOT,
    LEVELS,
    SELLER,
    TRADE,
    UNDEF_PRICE,
)

PRICES = 3
COUNTS = 8
_ADD, _CANCEL, _MODIFY = ord("A"), ord("C"), ord("M")


_TILE = 16_384
"""Rows, about, that go through all columns before the next ones do: what they need stays in the cache."""


# The compiled functions carry no types (no-untyped-def): numba infers them, as in the project's kernels.
@njit(cache=True, nogil=True, error_model="numpy")
def _starts(ts):  # type: ignore[no-untyped-def]
    """Row at which each bar that holds a record begins, and the number of rows behind the last."""
    starts = np.empty(ts.shape[0] + 1, np.int64)
    bars, end = 0, np.int64(-1)
    for i in range(ts.shape[0]):
        if ts[i] >= end:
            starts[bars] = i
            bars += 1
            end = (ts[i] // BAR_NS + 1) * BAR_NS
    starts[bars] = ts.shape[0]
    return starts[: bars + 1]


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(ts, starts, first, last, weight, time):  # type: ignore[no-untyped-def]
    """How long each state of some bars lasts, ns; and of each bar the wait before its first record, and the rest."""
    row = starts[first]
    for b in range(first, last):
        a, e = starts[b], starts[b + 1]
        begin = ts[a] // BAR_NS * BAR_NS
        end = min(begin + BAR_NS, ts[e]) if e < ts.shape[0] else begin + BAR_NS
        for i in range(a, e - 1):
            weight[i - row] = ts[i + 1] - ts[i]
        weight[e - 1 - row] = end - ts[e - 1]
        time[b, 0], time[b, 1] = ts[a] - begin if b > 0 else 0, end - ts[a]


@njit(cache=True, nogil=True, error_model="numpy")
def _quantities(values, side, starts, first, last, weight, time, at, averages):  # type: ignore[no-untyped-def]
    """Averages of ten columns, five at a time: they share the weights."""
    row = starts[first]
    for level in range(0, LEVELS, 5):
        for b in range(first, last):
            a, e = starts[b], starts[b + 1]
            w = weight[a - row : e - row]
            c0, c1 = values[side, level, a:e], values[side, level + 1, a:e]
            c2, c3 = values[side, level + 2, a:e], values[side, level + 3, a:e]
            c4 = values[side, level + 4, a:e]
            t0 = t1 = t2 = t3 = t4 = np.int64(0)
            for i in range(w.shape[0]):
                t0 += c0[i] * w[i]
                t1 += c1[i] * w[i]
                t2 += c2[i] * w[i]
                t3 += c3[i] * w[i]
                t4 += c4[i] * w[i]
            waited, whole = time[b, 0], time[b, 0] + time[b, 1]
            held = max(a - 1, 0)  # the state before the bar's first record lasts until then
            averages[b, at + level] = (t0 + values[side, level, held] * waited) / whole
            averages[b, at + level + 1] = (t1 + values[side, level + 1, held] * waited) / whole
            averages[b, at + level + 2] = (t2 + values[side, level + 2, held] * waited) / whole
            averages[b, at + level + 3] = (t3 + values[side, level + 3, held] * waited) / whole
            averages[b, at + level + 4] = (t4 + values[side, level + 4, held] * waited) / whole


@njit(cache=True, nogil=True, error_model="numpy")
def _prices(px, sz, starts, first, last, weight, time, averages):  # type: ignore[no-untyped-def]
    """Averages of spread, mid and microprice, points, over the time both sides were quoted."""
    row = starts[first]
    for b in range(first, last):
        a, e = starts[b], starts[b + 1]
        spread = mid = micro = 0.0
        known = np.int64(0)
        for i in range(max(a - 1, 0), e):
            bid, ask = px[BID, 0, i], px[ASK, 0, i]
            if bid != UNDEF_PRICE and ask != UNDEF_PRICE:
                lasted = weight[i - row] if i >= a else time[b, 0]
                below, above, known = float(bid), float(ask), known + lasted
                spread += (above - below) * lasted
                mid += (above + below) * lasted
                at_bid, at_ask = sz[BID, 0, i], sz[ASK, 0, i]
                micro += (below * at_ask + above * at_bid) / (at_bid + at_ask) * lasted
        averages[b, 4 * LEVELS] = spread / known / POINT_NANOS
        averages[b, 4 * LEVELS + 1] = mid / known / (2 * POINT_NANOS)
        averages[b, 4 * LEVELS + 2] = micro / known / POINT_NANOS


@njit(cache=True, nogil=True, error_model="numpy")
def _gain(side, price, before, size, size_before):  # type: ignore[no-untyped-def]
    """What a side gained at a level: the better price is the larger bid or the smaller ask, none is the worst."""
    # Adding one wraps the absent price, the largest integer, to the smallest; an absent ask is the worst as it is.
    better = price + 1 >= before + 1 if side == BID else price <= before
    worse = price + 1 <= before + 1 if side == BID else price >= before
    return np.int64(size) * np.int64(better) - np.int64(size_before) * np.int64(worse)


@njit(cache=True, nogil=True, error_model="numpy")
def _imbalances(px, sz, starts, first, last, imbalance):  # type: ignore[no-untyped-def]
    """Order-flow imbalance of every level."""
    for level in range(LEVELS):
        for b in range(first, last):
            a, e = max(starts[b], 1), starts[b + 1]  # nothing flows into the first record
            price, before = px[BID, level, a:e], px[BID, level, a - 1 : e - 1]
            size, size_before = sz[BID, level, a:e], sz[BID, level, a - 1 : e - 1]
            total = np.int64(0)
            for i in range(price.shape[0]):
                total += _gain(BID, price[i], before[i], size[i], size_before[i])
            price, before = px[ASK, level, a:e], px[ASK, level, a - 1 : e - 1]
            size, size_before = sz[ASK, level, a:e], sz[ASK, level, a - 1 : e - 1]
            for i in range(price.shape[0]):
                total -= _gain(ASK, price[i], before[i], size[i], size_before[i])
            imbalance[b, level] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _without_snapshots(action, flags, px, sz, starts, first, last, imbalance):  # type: ignore[no-untyped-def]
    """Take back what snapshots and clears seemed to change: they are no flow."""
    for b in range(first, last):
        a, e = max(starts[b], 1), starts[b + 1]
        marked = np.int64(0)
        for i in range(a, e):
            marked |= (flags[i] & F_SNAPSHOT) | (1 if action[i] == CLEAR else 0)
        if marked == 0:
            continue
        for i in range(a, e):
            if (flags[i] & F_SNAPSHOT) != 0 or action[i] == CLEAR:
                for k in range(LEVELS):
                    gains = [
                        _gain(s, px[s, k, i], px[s, k, i - 1], sz[s, k, i], sz[s, k, i - 1]) for s in range(2)
                    ]
                    imbalance[b, k] -= gains[BID] - gains[ASK]


@njit(cache=True, nogil=True, error_model="numpy")
def _count(action, side, flags, size, starts, first, last, counts):  # type: ignore[no-untyped-def]
    """Records, records by action, and traded volume: all, bought, sold."""
    for b in range(first, last):
        a, e = starts[b], starts[b + 1]
        act, own, flag, contracts = action[a:e], side[a:e], flags[a:e], size[a:e]
        adds = cancels = modifies = trades = volume = bought = sold = np.int64(0)
        for i in range(act.shape[0]):
            adds += np.int64(act[i] == _ADD)
            cancels += np.int64(act[i] == _CANCEL)
            modifies += np.int64(act[i] == _MODIFY)
            trades += np.int64(act[i] == TRADE)
        if trades > 0:
            for i in range(act.shape[0]):
                if act[i] == TRADE and (flag[i] & F_SNAPSHOT) == 0:
                    volume += contracts[i]
                    bought += contracts[i] if own[i] == BUYER else 0
                    sold += contracts[i] if own[i] == SELLER else 0
        counts[b, 0], counts[b, 1], counts[b, 2], counts[b, 3] = e - a, adds, cancels, modifies
        counts[b, 4], counts[b, 5], counts[b, 6], counts[b, 7] = trades, volume, bought, sold


@njit(cache=True, nogil=True, error_model="numpy")
def _basic_set(ts, action, side, flags, size, px, sz, ct):  # type: ignore[no-untyped-def]
    starts = _starts(ts)
    bars = starts.shape[0] - 1
    longest = np.max(starts[1:] - starts[:-1])
    weight, time = np.empty(_TILE + longest, np.int64), np.empty((bars, 2), np.int64)
    averages = np.empty((bars, 4 * LEVELS + PRICES))
    imbalance, counts = np.empty((bars, LEVELS), np.int64), np.empty((bars, COUNTS), np.int64)
    first = 0
    while first < bars:
        last = first + 1
        while last < bars and starts[last] - starts[first] < _TILE:
            last += 1
        _weigh(ts, starts, first, last, weight, time)
        for s in range(2):
            _quantities(sz, s, starts, first, last, weight, time, s * LEVELS, averages)
            _quantities(ct, s, starts, first, last, weight, time, (2 + s) * LEVELS, averages)
        _prices(px, sz, starts, first, last, weight, time, averages)
        _imbalances(px, sz, starts, first, last, imbalance)
        _without_snapshots(action, flags, px, sz, starts, first, last, imbalance)
        _count(action, side, flags, size, starts, first, last, counts)
        first = last
    return averages, imbalance, counts


def basic_set(
    ts: NDArray[np.int64],
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    size: NDArray[np.int64],
    px: NDArray[np.int64],
    sz: NDArray[np.int32],
    ct: NDArray[np.int32],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """The basic set of every bar that holds a record.

    Args:
        ts: Event times, ascending, ns since the epoch; int64[n].
        action: ASCII codes of the DBN action; uint8[n].
        side: ASCII codes of the DBN side; uint8[n].
        flags: DBN flag bits; int16[n].
        size: Event size, contracts; int64[n].
        px: Prices, 1e-9 points, ``UNDEF_PRICE`` where absent; int64[2, 10, n].
        sz: Sizes, contracts; int32[2, 10, n].
        ct: Order counts; int32[2, 10, n].

    Returns:
        Averages over time float64[bars, 43] (sizes and counts by side and level, spread, mid, microprice), order-flow
        imbalance int64[bars, 10], counts int64[bars, 8] (records, adds, cancels, modifies, trades, volume, bought, sold).
    """
    found: tuple[Any, Any, Any] = _basic_set(ts, action, side, flags, size, px, sz, ct)
    return found
