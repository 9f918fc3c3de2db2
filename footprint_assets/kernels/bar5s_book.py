"""What five-second bars say of the book beyond ``bar5s``: shape, cost and order-flow imbalance of the ten levels.

Arrays in, arrays out, no look-back beyond the book that a record meets; the carried state makes any chunking of a day
give the same bits as one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
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
    NONE,
    SELLER,
    TRADE,
    UNDEF_PRICE,
)
from footprint_assets.kernels.book_flow import BookFlow
from footprint_assets.kernels.fits import STOIKOV_BUCKETS, STOIKOV_SPREADS, STOIKOV_STATES

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

TICK_BANDS = 5
TICK_EDGES = np.array([1, 2, 4, 8, 10], np.int64)
"""Last tick of every band, counted from the side's own best price as tick 1."""
SWEEP_CONTRACTS = np.array([50, 100, 200], np.int64)
SWEEPS = 3
REPLENISH_NS = 1_000_000_000
F_BAD_TS, F_BAD_BOOK = 0x08, 0x04

# Layout of a bar's counts: what is added up record by record.
MSG, SNAPSHOT, BAD_TS, BAD_BOOK, CLEAR_VOL, TRANSITIONS = range(6)
TICK_FLOW = 6  # [add, fill, pull][bid, ask][tick band]
FLOW = TICK_FLOW + 3 * 2 * TICK_BANDS  # [add, fill, pull][bid, ask]
BEST_FLOW = FLOW + 3 * 2  # [add, fill, pull][bid, ask], at a best price that the record left where it was
REPLENISH = BEST_FLOW + 3 * 2  # [bid, ask]
TICK_CNT = REPLENISH + 2  # [add, cancel][bid, ask][tick band]
ACTIVITY = TICK_CNT + 2 * 2 * TICK_BANDS  # contracts added and pulled, times distance, times its square
OFI = ACTIVITY + 3  # [level]
COUNTS = OFI + LEVELS
ADD, FILL, PULL = range(3)

# Layout of a bar's dwell times, ns.
KNOWN, LOCKED, CROSSED, ONE_SIDED, TWO_SIDED, WIDE, QUOTED = range(7)
STOIKOV = 7  # [bucket * 2 + spread class], half nanoseconds: a balanced book is in both middle buckets
DWELLS = STOIKOV + STOIKOV_STATES

# Layout of a state: what is averaged over time. NaN is "not visible" or "not defined".
MID, MICROPRICE = range(2)
OBI = 2  # [first 1, 3, 5 levels]
OCI = OBI + 3  # [first 1, 10 levels]
MICRO_ADJ, WMID_ADJ, VAMP_ADJ, WDOBP_ADJ = range(OCI + 2, OCI + 6)
ORDER_SIZE = OCI + 6  # [bid, ask]
TICK_QTY = ORDER_SIZE + 2  # [bid, ask][tick band]
COM = TICK_QTY + 2 * TICK_BANDS  # [bid, ask], like the next four
SLOPE, CONVEXITY, HHI, ENTROPY = COM + 2, COM + 4, COM + 6, COM + 8
SWEEP = COM + 10  # [buy, sell][contracts]
VISIBLE = SWEEP + 2 * SWEEPS  # [bid, ask]
IS_WIDE = VISIBLE + 2
STATES = IS_WIDE + 1

_ADD, _CANCEL = ord("A"), ord("C")
_ABSENT = -UNDEF_PRICE  # ladders are kept by priority, as in ``bar5s``
_LARGEST_RECENT = 512  # prices a side was filled at within one second; a market order sweeps some tens
_BAR, _SINCE, _LADDER, _LAST_EVENT = range(4)
# Rows of the book, + side: what the next record meets.
_PRIORITY, _SIZE, _SIDE = range(0, 6, 2)
_BEST_ORDERS, _ALL_ORDERS = range(2)
# Rows of what is kept of the ladder's shape, + side: it follows from the book and most records leave it alone.
_CENTRED, _DISTANCE, _UP_TO, _BAND_END, _SUMS = range(0, 10, 2)
# Sums of a side. Distances are multiples of half a tick: sums of size times distance are exact in any order.
_PRESENT, _VISIBLE_BANDS, _X2, _X3, _X4, _MOMENT, _MOMENT_5, _CROSS, _PAIRED = range(9)
# Where the time goes that the ladder lasts: whether it is two-sided, locked, crossed, wide; its two Stoikov states.
_TWO, _SPREAD, _ONE_STATE, _OTHER_STATE = range(4)
# What runs once a record is forced inline: each array handed to a function costs two atomic reference counts.
# Rows of the averages, in one stretch of memory: the loop over the states runs in vector registers.
_VALUE, _WEIGHT, _FIRST, _SUM, _LOW, _HIGH = range(0, 6 * STATES, STATES)


def _unknown_book() -> Int64:
    book = np.zeros((6, LEVELS), np.int64)
    book[_PRIORITY : _PRIORITY + 2] = _ABSENT
    return book


@dataclass(frozen=True)
class BookBarState:
    """The open bar, the book that the next record meets, and the prices filled within the last second."""

    book: Int64 = field(default_factory=_unknown_book)
    # [start of the open bar or -1, the averages run up to here, ladder known, last event or -1]
    clock: Int64 = field(default_factory=lambda: np.array([-1, 0, 0, -1], np.int64))
    counts: Int64 = field(default_factory=lambda: np.zeros(COUNTS, np.int64))
    dwell: Int64 = field(default_factory=lambda: np.zeros(DWELLS, np.int64))
    averages: Float64 = field(default_factory=lambda: np.zeros(6 * STATES, np.float64))
    # [bid, ask][price, time of the last fill]
    filled: Int64 = field(default_factory=lambda: np.zeros((2, 2, _LARGEST_RECENT), np.int64))
    filled_count: Int64 = field(default_factory=lambda: np.zeros(2, np.int64))


@dataclass(frozen=True)
class ClosedBookBars:
    """Consecutive bars whose end has passed.

    Args:
        start_ns: Start of the bar; int64[bars], ns since the epoch, multiples of ``BAR_NS``.
        counts: Flows and counts by the module's layout; int64[bars, COUNTS].
        dwell: Time in which something was the case; int64[bars, DWELLS], ns (half ns for ``STOIKOV``).
        average: Time-weighted average of the state; float64[bars, STATES], NaN where never defined.
        last: State at the end of the bar; float64[bars, STATES], NaN where not defined.
        mid: First, lowest and highest mid that lasted, points; float64[bars, 3].
        stale_ns: Time from the last event to the end of the bar; int64[bars], ns.
        known: Whether the book is known at the end of the bar; bool[bars].
    """

    start_ns: Int64
    counts: Int64
    dwell: Int64
    average: Float64
    last: Float64
    mid: Float64
    stale_ns: Int64
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start_ns)

    @classmethod
    def empty(cls, bars: int) -> ClosedBookBars:
        """Room for some bars."""
        return cls(
            np.empty(bars, np.int64),
            np.empty((bars, COUNTS), np.int64),
            np.empty((bars, DWELLS), np.int64),
            np.empty((bars, STATES), np.float64),
            np.empty((bars, STATES), np.float64),
            np.empty((bars, 3), np.float64),
            np.empty(bars, np.int64),
            np.empty(bars, np.bool_),
        )

    @classmethod
    def joined(cls, parts: Sequence[ClosedBookBars]) -> ClosedBookBars:
        """Some runs of consecutive bars as one."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _imbalance(bid, ask):  # type: ignore[no-untyped-def]
    return (bid - ask) / (bid + ask) if bid + ask > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _tick_band(distance, tick):  # type: ignore[no-untyped-def]
    """Band of a distance from the own best price, 0 at it or better; TICK_BANDS beyond the last band."""
    for k in range(TICK_BANDS):
        if distance < TICK_EDGES[k] * tick:
            return k
    return TICK_BANDS


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _priority(price, side):  # type: ignore[no-untyped-def]
    return -price if side == ASK or price == UNDEF_PRICE else price


@njit(cache=True, nogil=True, error_model="numpy")
def _reshape(book, tick, side, shape):  # type: ignore[no-untyped-def]
    """Where the levels of one side lie, from its own best price."""
    best, present = book[_PRIORITY + side, 0], 0
    for k in range(LEVELS):
        if book[_PRIORITY + side, k] != _ABSENT:
            present += 1
    shape[_SUMS + side, _PRESENT] = present
    if present == 0:
        return
    level = visible = 0
    for k in range(TICK_BANDS):
        while level < present and best - book[_PRIORITY + side, level] < TICK_EDGES[k] * tick:
            level += 1
        shape[_BAND_END + side, k] = level
        low = TICK_EDGES[k - 1] if k > 0 else 0
        # A full ladder hides what lies beyond its last level.
        if present < LEVELS or best - book[_PRIORITY + side, LEVELS - 1] >= low * tick:
            visible += 1
    shape[_SUMS + side, _VISIBLE_BANDS] = visible
    mean = 0.0
    for k in range(present):
        mean += (best - book[_PRIORITY + side, k]) / tick
    mean /= present
    x2 = x3 = x4 = 0.0
    for k in range(present):
        x = (best - book[_PRIORITY + side, k]) / tick - mean
        shape[_CENTRED + side, k] = x
        x2 += x * x
        x3 += x * x * x
        x4 += x * x * x * x
    shape[_SUMS + side, _X2], shape[_SUMS + side, _X3], shape[_SUMS + side, _X4] = x2, x3, x4


@njit(cache=True, nogil=True, error_model="numpy")
def _place(book, tick, shape, averages):  # type: ignore[no-untyped-def]
    """Measure the prices of a ladder anew; no other state is defined yet."""
    for j in range(STATES):
        averages[j] = np.nan
    for side in range(2):
        _reshape(book, tick, side, shape)
        if shape[_SUMS + side, _PRESENT] == LEVELS:
            first, last = book[_PRIORITY + side, 0], book[_PRIORITY + side, LEVELS - 1]
            averages[VISIBLE + side] = (first - last) / tick
    bid, ask = book[_PRIORITY + BID, 0], book[_PRIORITY + ASK, 0]
    if bid == _ABSENT or ask == _ABSENT:
        return
    middle = (bid - ask) / 2.0
    averages[MID] = middle / POINT_NANOS
    averages[IS_WIDE] = 1.0 if -ask - bid > tick else 0.0
    for k in range(LEVELS):
        shape[_DISTANCE + BID, k] = (middle - book[_PRIORITY + BID, k]) / tick
        shape[_DISTANCE + ASK, k] = (-middle - book[_PRIORITY + ASK, k]) / tick


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _concentrate(book, shape, side, averages):  # type: ignore[no-untyped-def]
    """Herfindahl index and entropy (in units of ten equal levels) of the shares of the side's size."""
    present, depth = int(shape[_SUMS + side, _PRESENT]), shape[_UP_TO + side, LEVELS - 1]
    if depth <= 0.0:
        averages[HHI + side] = averages[ENTROPY + side] = np.nan
        return
    squares = entropy = 0.0
    for k in range(present):
        share = book[_SIZE + side, k] / depth
        squares += share * share
        if share > 0.0:
            entropy -= share * np.log(share)
    averages[HHI + side], averages[ENTROPY + side] = squares, entropy / np.log(float(LEVELS))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _measure_side(book, shape, tick, side, two_sided, averages):  # type: ignore[no-untyped-def]
    """How the size of one side lies: by ticks from the touch, and by distance from the mid where there is one."""
    present = int(shape[_SUMS + side, _PRESENT])
    paired = min(present, int(shape[_SUMS + 1 - side, _PRESENT])) if two_sided else 0
    total = mean = moment = moment_5 = cross = shown = 0.0
    for k in range(LEVELS):
        quantity = float(book[_SIZE + side, k])
        total += quantity
        shape[_UP_TO + side, k] = total
        if k < present:
            mean += total
            moment += quantity * shape[_DISTANCE + side, k]
            if k < 5:
                moment_5 = moment
        if k < paired:
            cross += quantity * shape[_DISTANCE + 1 - side, k]
            shown += quantity
    shape[_SUMS + side, _MOMENT], shape[_SUMS + side, _MOMENT_5] = moment, moment_5
    shape[_SUMS + side, _CROSS], shape[_SUMS + side, _PAIRED] = cross, shown
    if present == 0:
        return
    before, bands = 0.0, int(shape[_SUMS + side, _VISIBLE_BANDS])
    for k in range(TICK_BANDS):
        end = int(shape[_BAND_END + side, k])
        until = shape[_UP_TO + side, end - 1] if end > 0 else 0.0
        averages[TICK_QTY + side * TICK_BANDS + k] = until - before if k < bands else np.nan
        before = until
    _concentrate(book, shape, side, averages)
    if two_sided:
        averages[COM + side] = moment / total if total > 0.0 else np.nan
        _fit_cumulative(shape, present, mean / present, tick, side, averages)
        _measure_sweep(book, shape, present, side, averages)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _fit_cumulative(shape, present, mean, tick, side, averages):  # type: ignore[no-untyped-def]
    """Least squares of the cumulative size on the distance: slope of the line, square term of the parabola."""
    if present < 2:
        return
    points = tick / POINT_NANOS
    x2, x3, x4 = shape[_SUMS + side, _X2], shape[_SUMS + side, _X3], shape[_SUMS + side, _X4]
    xy = x2y = 0.0
    for k in range(present):
        x, y = shape[_CENTRED + side, k], shape[_UP_TO + side, k] - mean
        xy += x * y
        x2y += x * x * y
    averages[SLOPE + side] = xy / x2 / points
    if present > 2:
        curved = x2 * (x4 - x2 * x2 / present) - x3 * x3
        averages[CONVEXITY + side] = (x2 * x2y - x3 * xy) / curved / (points * points)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _measure_sweep(book, shape, present, side, averages):  # type: ignore[no-untyped-def]
    """Mean distance from the mid at which one side fills an order of some contracts, ticks."""
    at, level, cost = SWEEP + (SWEEPS if side == BID else 0), 0, 0.0
    for j in range(SWEEPS):
        wanted = float(SWEEP_CONTRACTS[j])
        while level < present and shape[_UP_TO + side, level] < wanted:
            cost += book[_SIZE + side, level] * shape[_DISTANCE + side, level]
            level += 1
        if level == present:
            averages[at + j] = np.nan
        else:
            left = wanted - (shape[_UP_TO + side, level - 1] if level > 0 else 0.0)
            averages[at + j] = (cost + left * shape[_DISTANCE + side, level]) / wanted


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _measure_prices(book, shape, tick, averages):  # type: ignore[no-untyped-def]
    """Prices that the sizes point to, as distances from the mid, points."""
    points = tick / POINT_NANOS
    half_spread = (-book[_PRIORITY + ASK, 0] - book[_PRIORITY + BID, 0]) / tick / 2.0
    averages[MICRO_ADJ] = half_spread * _imbalance(book[_SIZE + BID, 0], book[_SIZE + ASK, 0]) * points
    averages[MICROPRICE] = averages[MID] + averages[MICRO_ADJ]
    size = shape[_SUMS + BID, _PAIRED] + shape[_SUMS + ASK, _PAIRED]
    cross = shape[_SUMS + BID, _CROSS] - shape[_SUMS + ASK, _CROSS]
    averages[VAMP_ADJ] = cross / size * points if size > 0.0 else 0.0
    size = shape[_UP_TO + BID, LEVELS - 1] + shape[_UP_TO + ASK, LEVELS - 1]
    moment = shape[_SUMS + ASK, _MOMENT] - shape[_SUMS + BID, _MOMENT]
    averages[WDOBP_ADJ] = moment / size * points if size > 0.0 else 0.0
    bid, ask = shape[_UP_TO + BID, 4], shape[_UP_TO + ASK, 4]
    averages[WMID_ADJ] = np.nan
    if bid > 0.0 and ask > 0.0:
        mean_bid, mean_ask = -shape[_SUMS + BID, _MOMENT_5] / bid, shape[_SUMS + ASK, _MOMENT_5] / ask
        averages[WMID_ADJ] = (mean_bid * ask + mean_ask * bid) / (bid + ask) * points


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _stand(book, tick, standing):  # type: ignore[no-untyped-def]
    """What the time counts for that the best quotes last."""
    standing[_TWO] = standing[_SPREAD] = 0
    standing[_ONE_STATE] = standing[_OTHER_STATE] = -1
    if book[_PRIORITY + BID, 0] == _ABSENT or book[_PRIORITY + ASK, 0] == _ABSENT:
        return
    standing[_TWO] = 1
    spread = -book[_PRIORITY + ASK, 0] - book[_PRIORITY + BID, 0]
    standing[_SPREAD] = LOCKED if spread == 0 else CROSSED if spread < 0 else WIDE if spread > tick else 0
    bid, ask = book[_SIZE + BID, 0], book[_SIZE + ASK, 0]
    if spread <= 0 or bid + ask == 0:
        return
    # An edge belongs to the bucket farther from the middle: bids and asks may be swapped.
    heavy = min(STOIKOV_BUCKETS * max(bid, ask) // (bid + ask), STOIKOV_BUCKETS - 1)
    light = STOIKOV_BUCKETS - 1 - heavy
    wide = 1 if spread > tick else 0
    standing[_ONE_STATE] = STOIKOV + (heavy if bid >= ask else light) * STOIKOV_SPREADS + wide
    standing[_OTHER_STATE] = STOIKOV + (heavy if bid > ask else light) * STOIKOV_SPREADS + wide


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _dwell(standing, lasted, dwell):  # type: ignore[no-untyped-def]
    """Add the time a ladder lasted to everything it was."""
    dwell[KNOWN] += lasted
    dwell[TWO_SIDED if standing[_TWO] == 1 else ONE_SIDED] += lasted
    if standing[_SPREAD] > 0:
        dwell[standing[_SPREAD]] += lasted
    if standing[_ONE_STATE] >= 0:
        dwell[QUOTED] += lasted
        dwell[standing[_ONE_STATE]] += lasted
        dwell[standing[_OTHER_STATE]] += lasted


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _measure(book, tick, changed, moved, shape, averages):  # type: ignore[no-untyped-def]
    """Every averaged quantity of a known ladder.

    ``changed`` has a bit for each side that is not as it was last measured; ``moved`` tells that prices are not.
    """
    if moved:
        _place(book, tick, shape, averages)
        changed = 3
    two_sided = book[_PRIORITY + BID, 0] != _ABSENT and book[_PRIORITY + ASK, 0] != _ABSENT
    for side in range(2):
        if (changed >> side) & 1 != 0:
            _measure_side(book, shape, tick, side, two_sided, averages)
        orders = book[_SIDE + side, _BEST_ORDERS]
        averages[ORDER_SIZE + side] = book[_SIZE + side, 0] / orders if orders > 0 else np.nan
    averages[OCI] = _imbalance(book[_SIDE + BID, _BEST_ORDERS], book[_SIDE + ASK, _BEST_ORDERS])
    averages[OCI + 1] = _imbalance(book[_SIDE + BID, _ALL_ORDERS], book[_SIDE + ASK, _ALL_ORDERS])
    if changed != 0:
        for j in range(3):
            averages[OBI + j] = _imbalance(shape[_UP_TO + BID, 2 * j], shape[_UP_TO + ASK, 2 * j])
        if two_sided:
            _measure_prices(book, shape, tick, averages)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _hold(until, clock, standing, averages, dwell):  # type: ignore[no-untyped-def]
    """Let the current state count for the time since the last one, up to an instant."""
    lasted = until - clock[_SINCE]
    clock[_SINCE] = until
    if clock[_LADDER] == 0 or lasted <= 0:
        return
    _dwell(standing, lasted, dwell)
    time = float(lasted)
    for j in range(STATES):
        value, weight = averages[_VALUE + j], averages[_WEIGHT + j]
        known = value == value  # not so of a NaN; ``np.isnan`` keeps the loop out of vector registers
        opens = known & (weight == 0.0)
        first = value if opens else averages[_FIRST + j]
        low, high = averages[_LOW + j], averages[_HIGH + j]
        averages[_WEIGHT + j] = weight + (time if known else 0.0)
        averages[_FIRST + j] = first
        # Sums run over the difference to the bar's first value: a book that rests averages to itself, to the bit.
        averages[_SUM + j] += (value - first) * time if known else 0.0
        averages[_LOW + j] = value if opens | (value < low) else low
        averages[_HIGH + j] = value if opens | (value > high) else high


@njit(cache=True, nogil=True, error_model="numpy")
def _remember_fill(price, now, side, filled, count):  # type: ignore[no-untyped-def]
    """Note when a price of one side was last filled; what is older than a second is forgotten."""
    kept = 0
    for j in range(count):
        if filled[side, 0, j] != price and now - filled[side, 1, j] <= REPLENISH_NS:
            filled[side, 0, kept], filled[side, 1, kept] = filled[side, 0, j], filled[side, 1, j]
            kept += 1
    if kept == _LARGEST_RECENT:  # entries stand in the order of their time: the oldest goes
        for j in range(1, _LARGEST_RECENT):
            filled[side, 0, j - 1], filled[side, 1, j - 1] = filled[side, 0, j], filled[side, 1, j]
        kept -= 1
    filled[side, 0, kept], filled[side, 1, kept] = price, now
    return kept + 1


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _was_filled(price, now, side, filled, count):  # type: ignore[no-untyped-def]
    for j in range(count):
        if filled[side, 0, j] == price:
            return now - filled[side, 1, j] <= REPLENISH_NS
    return False


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _count(act, flags, known, book, counts):  # type: ignore[no-untyped-def]
    """Count a record by its flags, and the depth that a clear wipes out."""
    counts[MSG] += 1
    if flags & (F_SNAPSHOT | F_BAD_TS | F_BAD_BOOK) != 0:
        counts[SNAPSHOT] += 1 if (flags & F_SNAPSHOT) != 0 else 0
        counts[BAD_TS] += 1 if (flags & F_BAD_TS) != 0 else 0
        counts[BAD_BOOK] += 1 if (flags & F_BAD_BOOK) != 0 else 0
    if act == CLEAR and known == 1:
        for side in range(2):
            for level in range(LEVELS):
                counts[CLEAR_VOL] += book[_SIZE + side, level]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _count_in_band(act, side, price, book, tick, counts):  # type: ignore[no-untyped-def]
    """Count an add or a cancel in the tick band of its own price."""
    if (act != _ADD and act != _CANCEL) or price == UNDEF_PRICE or (side != BUYER and side != SELLER):
        return
    resting = BID if side == BUYER else ASK
    best = book[_PRIORITY + resting, 0]
    k = _tick_band(0 if best == _ABSENT else best - (price if resting == BID else -price), tick)
    if k < TICK_BANDS:
        counts[TICK_CNT + ((0 if act == _ADD else 1) * 2 + resting) * TICK_BANDS + k] += 1


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _away(best, price, side, tick):  # type: ignore[no-untyped-def]
    """Ticks from a best price into the book, 0 at it, better than it, or where there is none."""
    if best == UNDEF_PRICE or price == best:
        return 0
    return max((best - price if side == BID else price - best) // tick, 0)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _flow(  # type: ignore[no-untyped-def]
    now, side, price, best, best_after, opening, added, taken, pulled, tick, counts, filled, filled_count
):
    """Add one change of size at one price: what was added, filled and pulled."""
    away = _away(best, price, side, tick)
    fixed = price == best and price == best_after
    for what, quantity in ((ADD, added), (FILL, taken), (PULL, pulled)):
        if quantity != 0:
            # A sweep takes one best price after the other: its fills are as deep as they lay before it.
            k = _tick_band(_away(opening, price, side, tick) if what == FILL else away, 1)
            counts[FLOW + what * 2 + side] += quantity
            if k < TICK_BANDS:
                counts[TICK_FLOW + (what * 2 + side) * TICK_BANDS + k] += quantity
            if fixed:
                counts[BEST_FLOW + what * 2 + side] += quantity
    moved = added + pulled
    counts[ACTIVITY] += moved
    counts[ACTIVITY + 1] += moved * away
    counts[ACTIVITY + 2] += moved * away * away
    if taken > 0:
        filled_count[side] = _remember_fill(price, now, side, filled, filled_count[side])
    elif added > 0 and _was_filled(price, now, side, filled, filled_count[side]):
        counts[REPLENISH + side] += added


@njit(cache=True, nogil=True, error_model="numpy")
def _close(  # type: ignore[no-untyped-def]
    b, clock, standing, counts, dwell, averages,
    out_start, out_counts, out_dwell, out_average, out_last, out_mid, out_stale, out_known,
):  # fmt: skip
    """Write the open bar as bar ``b`` and open the next one."""
    end = clock[_BAR] + BAR_NS
    _hold(end, clock, standing, averages, dwell)
    out_start[b] = clock[_BAR]
    out_stale[b] = end - clock[_LAST_EVENT]
    out_known[b] = clock[_LADDER] == 1
    for j in range(COUNTS):
        out_counts[b, j] = counts[j]
        counts[j] = 0
    for j in range(DWELLS):
        out_dwell[b, j] = dwell[j]
        dwell[j] = 0
    seen = averages[_WEIGHT + MID] > 0.0
    out_mid[b, 0] = averages[_FIRST + MID] if seen else np.nan
    out_mid[b, 1] = averages[_LOW + MID] if seen else np.nan
    out_mid[b, 2] = averages[_HIGH + MID] if seen else np.nan
    for j in range(STATES):
        out_last[b, j] = averages[_VALUE + j]
        weight, low, high = averages[_WEIGHT + j], averages[_LOW + j], averages[_HIGH + j]
        mean = averages[_FIRST + j] + averages[_SUM + j] / weight if weight > 0.0 else np.nan
        out_average[b, j] = min(max(mean, low), high) if weight > 0.0 else np.nan
        averages[_WEIGHT + j] = averages[_FIRST + j] = averages[_SUM + j] = 0.0
        averages[_LOW + j] = averages[_HIGH + j] = 0.0
    clock[_BAR] = end


@njit(cache=True, nogil=True, error_model="numpy")
def _total_orders(ladder_orders, total):  # type: ignore[no-untyped-def]
    """Add up the orders of all ten levels; level by level, so that it runs in vector registers."""
    for side in range(2):
        for level in range(LEVELS):
            for i in range(total.shape[1]):
                total[side, i] += ladder_orders[side, level, i]


@njit(cache=True, nogil=True, error_model="numpy")
def _scan(  # type: ignore[no-untyped-def]  # noqa: C901 - a call with a dozen arrays costs more than a record
    ts, action, side, flags, price, ladder_price, ladder_size, ladder_orders, total_orders, differs,
    item_row, item_side, item_price, item_best, item_opening, item_added, item_filled, item_pulled, until, tick,
    book, shape, clock, standing, counts, dwell, averages, filled, filled_count,
    out_start, out_counts, out_dwell, out_average, out_last, out_mid, out_stale, out_known,
):  # fmt: skip
    n, b, item = ts.shape[0], 0, 0
    # What is not as it was last measured: sides (a bit each), prices, best levels, anything.
    changed, moved, touched, measured = 3, True, True, False
    i = 0
    while True:
        if not measured:  # states that last no time are never measured
            if clock[_LADDER] == 1:
                if touched:
                    _stand(book, tick, standing)
                _measure(book, tick, changed, moved, shape, averages)
                changed, moved, touched = 0, False, False
            else:
                for j in range(STATES):
                    averages[j] = np.nan
                changed, moved, touched = 3, True, True
            measured = True
        stop = ts[i] if i < n else until
        while clock[_BAR] + BAR_NS <= stop:
            _close(
                b, clock, standing, counts, dwell, averages,
                out_start, out_counts, out_dwell, out_average, out_last, out_mid, out_stale, out_known,
            )  # fmt: skip
            b += 1
        if i >= n:
            break
        _hold(stop, clock, standing, averages, dwell)
        clock[_LAST_EVENT] = stop
        while i < n and ts[i] == stop:
            act = action[i]
            _count(act, flags[i], clock[_LADDER], book, counts)
            if act != TRADE and act != NONE:
                flows = act != CLEAR and (flags[i] & F_SNAPSHOT) == 0 and clock[_LADDER] == 1
                if flows:
                    counts[TRANSITIONS] += 1
                    _count_in_band(act, side[i], price[i], book, tick, counts)
                for s in range(2):
                    book[_SIDE + s, _BEST_ORDERS] = ladder_orders[s, 0, i]
                    book[_SIDE + s, _ALL_ORDERS] = total_orders[s, i]
                    mask, level = np.int64(differs[s, i]), 0
                    if mask == 0:
                        continue
                    changed |= 1 << s
                    touched |= mask & 1 != 0
                    while mask >> level != 0:
                        if (mask >> level) & 1 != 0:
                            old, new = book[_PRIORITY + s, level], _priority(ladder_price[s, level, i], s)
                            old_size, new_size = book[_SIZE + s, level], np.int64(ladder_size[s, level, i])
                            book[_PRIORITY + s, level], book[_SIZE + s, level] = new, new_size
                            moved |= new != old
                            if flows:  # order-flow imbalance; an absent level is the worst price, size 0
                                gain = (new_size if new >= old else 0) - (old_size if new <= old else 0)
                                counts[OFI + level] += gain if s == BID else -gain
                        level += 1
                while item < item_row.shape[0] and item_row[item] == i:
                    own = item_side[item]
                    _flow(
                        stop, own, item_price[item], item_best[item], ladder_price[own, 0, i], item_opening[item],
                        item_added[item], item_filled[item], item_pulled[item],
                        tick, counts, filled, filled_count,
                    )  # fmt: skip
                    item += 1
                clock[_LADDER] = 0 if act == CLEAR else 1
                measured = False
            i += 1
    return b


def scan(
    ts: Int64,
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    price: Int64,
    ladder_price: Int64,
    ladder_size: NDArray[np.int32],
    ladder_orders: NDArray[np.int32],
    flow: BookFlow,
    tick_size_nanos: int,
    state: BookBarState,
) -> ClosedBookBars:
    """Run book records through the open bar and hand out the bars they close.

    Time-weighted averages, the empty bar and the unknown book are those of ``bar5s``. A tick band counts ticks from the
    side's own best price: of the state itself for depth, before the event for flow. Order-flow imbalance runs over
    every record that shows a ladder after a known one; snapshot rows and clears are no flow.

    Args:
        ts: Event times, ascending, ns since the epoch, shape ``(n,)``; never before an earlier chunk's last.
        action: ASCII codes of the DBN action, shape ``(n,)``.
        side: ASCII codes of the DBN side, shape ``(n,)``.
        flags: DBN flag bits, shape ``(n,)``.
        price: Event price, 1e-9 points, ``UNDEF_PRICE`` where absent, shape ``(n,)``.
        ladder_price: Post-event prices by column, shape ``(2, 10, n)``, bids first, 1e-9 points, ``UNDEF_PRICE``
            where absent.
        ladder_size: Post-event sizes by column, shape ``(2, 10, n)``, contracts.
        ladder_orders: Post-event order counts by column, shape ``(2, 10, n)``.
        flow: What these records changed, price by price.
        tick_size_nanos: Minimum price increment, 1e-9 points.
        state: Carried state, advanced in place.

    Returns:
        The bars that end at or before the last record, bars without a record included.

    Order-flow imbalance: Cont, Kukanov and Stoikov (2014); at every level: Xu, Gould and Howison (2018).
    """
    if len(ts) == 0:
        return ClosedBookBars.empty(0)
    if state.clock[_BAR] < 0:
        state.clock[_BAR] = state.clock[_SINCE] = ts[0] // BAR_NS * BAR_NS
    total_orders = np.zeros((2, len(ts)), np.int64)
    _total_orders(ladder_orders, total_orders)
    return _run(
        (
            ts,
            action,
            side,
            flags,
            price,
            ladder_price,
            ladder_size,
            ladder_orders,
            total_orders,
            flow.differs,
        ),
        (flow.row, flow.side, flow.price, flow.best, flow.opening, flow.added, flow.filled, flow.pulled),
        int(ts[-1]),
        tick_size_nanos,
        state,
    )


def finish(tick_size_nanos: int, state: BookBarState) -> ClosedBookBars:
    """Close the open bar at its own end, the last state held until there.

    Args:
        tick_size_nanos: Minimum price increment, 1e-9 points.
        state: Carried state; must not be used again.

    Returns:
        One bar, or none when no record was ever seen.
    """
    if state.clock[_BAR] < 0:
        return ClosedBookBars.empty(0)
    none, letters = np.empty(0, np.int64), np.empty(0, np.uint8)
    sizes = np.empty((2, LEVELS, 0), np.int32)
    return _run(
        (none, letters, letters, np.empty(0, np.int16), none, np.empty((2, LEVELS, 0), np.int64), sizes, sizes,
         np.empty((2, 0), np.int64), np.empty((2, 0), np.uint16)),
        (none, np.empty(0, np.int8), none, none, none, none, none, none),
        int(state.clock[_BAR]) + BAR_NS,
        tick_size_nanos,
        state,
    )  # fmt: skip


def _run(
    records: tuple[NDArray[Any], ...],
    items: tuple[NDArray[Any], ...],
    until: int,
    tick_size_nanos: int,
    state: BookBarState,
) -> ClosedBookBars:
    out = ClosedBookBars.empty((until - int(state.clock[_BAR])) // BAR_NS)
    closed = _scan(  # type: ignore[call-arg]  # the arguments come in tuples
        *records, *items, until, tick_size_nanos,
        state.book, np.zeros((10, LEVELS)), state.clock, np.zeros(4, np.int64), state.counts, state.dwell, state.averages,
        state.filled, state.filled_count,
        out.start_ns, out.counts, out.dwell, out.average, out.last, out.mid, out.stale_ns, out.known,
    )  # fmt: skip
    assert closed == len(out), "every bar of the grid is closed once"
    return out
