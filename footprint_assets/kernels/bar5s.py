"""Five-second bars of the book: flows, time-weighted states, and where each bar's last state stands.

Arrays in, arrays out; the carried state makes any chunking of a day give the same bits as one pass. What is a function
of a bar's last ladder alone lives in ``bar5s_ladder``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numba import njit
from numpy.typing import NDArray

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

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

BAR_NS = 5_000_000_000
POINT_NANOS = 1_000_000_000
BAND_EDGES = np.array([1, 2, 3, 5, 10], np.int64) * POINT_NANOS
"""Upper edges of the distance bands, included; 1e-9 points."""
BANDS = 5
NO_STATE, CARRIED = -2, -1
"""Values of ``ClosedBars.last_row`` that are no row of the chunk."""

# Layout of a bar's counts: what is added up record by record.
MSG, CLEARS, ADDS, CANCELS, MODIFIES, TRADES = range(6)
TRADE_CNT, TRADE_VOL, TRADE_BUY, TRADE_SELL, TRADE_SIGNED = range(6, 11)
FLOW = 11  # [added, removed][bid, ask][band]
FLOW_CNT = FLOW + 2 * 2 * BANDS  # [add, cancel, modify][bid, ask][band]
COUNTS = FLOW_CNT + 3 * 2 * BANDS

# Layout of a state: what is averaged over time. NaN is "not visible" or "not defined".
SPREAD, OBI0, OBI10 = range(3)
CDI = 3  # [band]
DEPTH = CDI + BANDS  # [bid, ask]
BAND_QTY = DEPTH + 2  # [bid, ask][band]
BAND_FRAC = BAND_QTY + 2 * BANDS  # [bid, ask][band]
STATES = BAND_FRAC + 2 * BANDS

_ADD, _CANCEL, _MODIFY = ord("A"), ord("C"), ord("M")
# Ladders are kept by priority: the price of a bid, minus the price of an ask. Best is largest on both sides, so one
# code serves both, and an absent level is worse than any price.
_ABSENT = -UNDEF_PRICE
# Rows of the book, + side. Bands and sums follow from the ladder; they are kept because most records leave them alone.
_PRIORITY, _SIZE, _LEVEL_BAND, _INSIDE, _BOUND, _SIDE = range(0, 12, 2)
_DEPTH, _FROM, _TO = range(
    3
)  # of a side: its size, and the first bounds (excluded, included) that keep its bands
_BAR, _SINCE, _KNOWN, _HAS_REFERENCE, _VISIBLE, _SEEN = range(6)
# What runs once a record is forced inline: each array handed to a function costs two atomic reference counts.
# Rows of the averages, in one stretch of memory: the loop over the states runs in vector registers.
_VALUE, _WEIGHT, _FIRST, _SUM, _LOW, _HIGH = range(0, 6 * STATES, STATES)


def _unknown_book() -> Int64:
    book = np.zeros((12, LEVELS), np.int64)
    book[_PRIORITY : _PRIORITY + 2] = _ABSENT
    return book


def _no_averages() -> Float64:
    averages = np.zeros(6 * STATES, np.float64)
    averages[:STATES] = np.nan
    return averages


@dataclass(frozen=True)
class BarState:
    """The open bar, and the book that the next record meets."""

    book: Int64 = field(default_factory=_unknown_book)
    # [start of the open bar or -1, the averages run up to here, ladder known, both sides quoted,
    #  bands in sight, bands in sight at some time of the bar: bit ``side * BANDS + band``]
    clock: Int64 = field(default_factory=lambda: np.array([-1, 0, 0, 0, 0, 0], np.int64))
    counts: Int64 = field(default_factory=lambda: np.zeros(COUNTS, np.int64))
    averages: Float64 = field(default_factory=_no_averages)


@dataclass(frozen=True)
class ClosedBars:
    """Consecutive bars whose end has passed.

    Args:
        start_ns: Start of the bar; int64[bars], ns since the epoch, multiples of ``BAR_NS``.
        counts: Flows and counts by the module's layout; int64[bars, COUNTS].
        seen: Whether a band of a side was in sight at some time of the bar; bool[bars, 2, BANDS].
        average: Time-weighted average of the state; float64[bars, STATES], NaN where never defined.
        last: State at the end of the bar; float64[bars, STATES], NaN where not defined.
        last_row: Row of the chunk that left the last state; ``CARRIED`` from an earlier chunk, ``NO_STATE``; int64[bars].
    """

    start_ns: Int64
    counts: Int64
    seen: NDArray[np.bool_]
    average: Float64
    last: Float64
    last_row: Int64

    def __len__(self) -> int:
        return len(self.start_ns)

    @classmethod
    def empty(cls, bars: int) -> ClosedBars:
        """Room for some bars."""
        return cls(
            np.empty(bars, np.int64),
            np.empty((bars, COUNTS), np.int64),
            np.empty((bars, 2, BANDS), np.bool_),
            np.empty((bars, STATES), np.float64),
            np.empty((bars, STATES), np.float64),
            np.empty(bars, np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence[ClosedBars]) -> ClosedBars:
        """Some runs of consecutive bars as one."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _band(priority, book, side):  # type: ignore[no-untyped-def]
    """Distance band of a price; BANDS when it is farther than the last one."""
    for k in range(BANDS):
        if priority >= book[_BOUND + side, k]:
            return k
    return BANDS


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _priority(price, side):  # type: ignore[no-untyped-def]
    return -price if side == ASK or price == UNDEF_PRICE else price


@njit(cache=True, nogil=True, error_model="numpy")
def _place(book, side):  # type: ignore[no-untyped-def]
    """Sort the levels of one side into bands; note how far the bounds may move before one of them changes its band."""
    lowest, highest = np.int64(_ABSENT), np.int64(UNDEF_PRICE)
    level = 0
    for k in range(BANDS):
        inside, width = np.int64(0), BAND_EDGES[k] - BAND_EDGES[0]
        while level < LEVELS and book[_PRIORITY + side, level] >= book[_BOUND + side, k]:
            inside += book[_SIZE + side, level]
            book[_LEVEL_BAND + side, level] = k
            highest = min(highest, book[_PRIORITY + side, level] + width)
            level += 1
        book[_INSIDE + side, k] = inside
        if level < LEVELS:
            lowest = max(lowest, book[_PRIORITY + side, level] + width)
    for beyond in range(level, LEVELS):
        book[_LEVEL_BAND + side, beyond] = BANDS
    book[_SIDE + side, _FROM], book[_SIDE + side, _TO] = lowest, highest


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _refer(book, clock, moved):  # type: ignore[no-untyped-def]
    """Measure bands anew, from the microprice as an exact fraction of the spread above the bid.

    ``moved`` has a bit for each side whose prices changed. Returns a bit for each side whose bands were filled anew.
    """
    before = clock[_HAS_REFERENCE]
    bid, ask = book[_PRIORITY + BID, 0], -book[_PRIORITY + ASK, 0]
    clock[_HAS_REFERENCE] = 1 if bid != _ABSENT and ask != UNDEF_PRICE else 0
    if clock[_HAS_REFERENCE] == 0:
        return 0
    share, whole = book[_SIZE + BID, 0], book[_SIZE + BID, 0] + book[_SIZE + ASK, 0]
    if whole == 0:
        share, whole = np.int64(1), np.int64(2)
    above_bid = (ask - bid) * share
    floor = above_bid // whole
    ceil = floor if floor * whole == above_bid else floor + 1
    for k in range(BANDS):
        book[_BOUND + BID, k] = bid + ceil - BAND_EDGES[k]
        book[_BOUND + ASK, k] = -(bid + floor + BAND_EDGES[k])
    placed = 0
    for side in range(2):
        within = book[_SIDE + side, _FROM] < book[_BOUND + side, 0] <= book[_SIDE + side, _TO]
        if before == 0 or (moved >> side) & 1 != 0 or not within:
            _place(book, side)
            placed |= 1 << side
    return placed


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _imbalance(bid, ask):  # type: ignore[no-untyped-def]
    return (bid - ask) / (bid + ask) if bid + ask > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _measure(book, clock, sides, averages):  # type: ignore[no-untyped-def]
    """Every averaged quantity of the ladder; ``sides`` has a bit for each side that changed."""
    clock[_VISIBLE] = 0
    if clock[_KNOWN] == 0:
        for j in range(STATES):
            averages[j] = np.nan
        return
    bid, ask = book[_SIDE + BID, _DEPTH], book[_SIDE + ASK, _DEPTH]
    averages[DEPTH + BID], averages[DEPTH + ASK] = bid, ask
    averages[OBI0] = _imbalance(book[_SIZE + BID, 0], book[_SIZE + ASK, 0])
    averages[OBI10] = _imbalance(float(bid), float(ask))
    if clock[_HAS_REFERENCE] == 0:
        averages[SPREAD] = np.nan
        for j in range(BANDS):
            averages[CDI + j] = np.nan
        for j in range(BAND_QTY, STATES):
            averages[j] = np.nan
        return
    averages[SPREAD] = (-book[_PRIORITY + ASK, 0] - book[_PRIORITY + BID, 0]) / POINT_NANOS
    for side in range(2):
        # A full ladder hides what lies beyond its last level.
        visible = min(book[_LEVEL_BAND + side, LEVELS - 1] + 1, BANDS)
        clock[_VISIBLE] |= ((1 << visible) - 1) << (side * BANDS)
        if (sides >> side) & 1 == 0:
            continue
        depth = float(book[_SIDE + side, _DEPTH])
        whole = depth if depth > 0.0 else np.nan
        for k in range(BANDS):
            quantity = float(book[_INSIDE + side, k]) if k < visible else np.nan
            averages[BAND_QTY + side * BANDS + k] = quantity
            averages[BAND_FRAC + side * BANDS + k] = quantity / whole
    for k in range(BANDS):
        below, above = averages[BAND_QTY + k], averages[BAND_QTY + BANDS + k]
        averages[CDI + k] = (below - above) / (below + above) if below + above != 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _hold(until, clock, averages):  # type: ignore[no-untyped-def]
    """Let the current state count for the time since the last one, up to an instant."""
    lasted = until - clock[_SINCE]
    clock[_SINCE] = until
    if clock[_KNOWN] == 0 or lasted <= 0:
        return
    clock[_SEEN] |= clock[_VISIBLE]
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


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _add_flow(change, priority, side, book, clock, counts):  # type: ignore[no-untyped-def]
    """Add a change of size at one price, by band."""
    k = _band(priority, book, side)
    if change != 0 and k < BANDS:
        counts[FLOW + ((0 if change > 0 else 2) + side) * BANDS + k] += abs(change)
        clock[_SEEN] |= 1 << (side * BANDS + k)


@njit(cache=True, nogil=True, error_model="numpy")
def _replace(after, side, first, flows, book, clock, counts):  # type: ignore[no-untyped-def]
    """Replace one side from its first changed level on; add what it gained and lost at every price both ladders show."""
    i = j = first
    while flows and (i < LEVELS or j < LEVELS):
        old = book[_PRIORITY + side, i] if i < LEVELS else _ABSENT
        new = after[0, j] if j < LEVELS else _ABSENT
        price = max(old, new)
        if price == _ABSENT:
            break
        change = np.int64(0)
        if old > new:
            change = -book[_SIZE + side, i] if price >= after[0, LEVELS - 1] else np.int64(0)
            i += 1
        elif new > old:
            change = after[1, j] if price >= book[_PRIORITY + side, LEVELS - 1] else np.int64(0)
            j += 1
        else:
            change = after[1, j] - book[_SIZE + side, i]
            i += 1
            j += 1
        _add_flow(change, price, side, book, clock, counts)
    for k in range(first, LEVELS):
        book[_SIDE + side, _DEPTH] += after[1, k] - book[_SIZE + side, k]
        book[_PRIORITY + side, k], book[_SIZE + side, k] = after[0, k], after[1, k]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _count(act, side, size, snapshot, counts):  # type: ignore[no-untyped-def]
    """Count a record by its action, and a trade by its aggressor."""
    counts[MSG] += 1
    if act == CLEAR:
        counts[CLEARS] += 1
    elif act == _ADD:
        counts[ADDS] += 1
    elif act == _CANCEL:
        counts[CANCELS] += 1
    elif act == _MODIFY:
        counts[MODIFIES] += 1
    elif act == TRADE:
        counts[TRADES] += 1
        if not snapshot:
            counts[TRADE_CNT] += 1
            counts[TRADE_VOL] += size
            if side == BUYER:
                counts[TRADE_BUY] += size
                counts[TRADE_SIGNED] += size
            elif side == SELLER:
                counts[TRADE_SELL] += size
                counts[TRADE_SIGNED] -= size


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _count_in_band(act, side, price, book, clock, counts):  # type: ignore[no-untyped-def]
    """Count an add, cancel or modify in the band of its own price."""
    if price == UNDEF_PRICE or (side != BUYER and side != SELLER):
        return
    kind = 0 if act == _ADD else 1 if act == _CANCEL else 2 if act == _MODIFY else -1
    resting = BID if side == BUYER else ASK
    k = _band(price if resting == BID else -price, book, resting)
    if kind >= 0 and k < BANDS:
        counts[FLOW_CNT + (kind * 2 + resting) * BANDS + k] += 1
        clock[_SEEN] |= 1 << (resting * BANDS + k)


@njit(cache=True, nogil=True, error_model="numpy")
def _close(  # type: ignore[no-untyped-def]
    b, row, clock, counts, averages, out_start, out_counts, out_seen, out_average, out_last, out_row
):
    """Write the open bar as bar ``b`` and open the next one."""
    end = clock[_BAR] + BAR_NS
    _hold(end, clock, averages)
    out_start[b] = clock[_BAR]
    for j in range(COUNTS):
        out_counts[b, j] = counts[j]
        counts[j] = 0
    for side in range(2):
        for k in range(BANDS):
            out_seen[b, side, k] = (clock[_SEEN] >> (side * BANDS + k)) & 1 != 0
    out_row[b] = row if clock[_KNOWN] == 1 else NO_STATE
    for j in range(STATES):
        out_last[b, j] = averages[_VALUE + j]
        weight, low, high = averages[_WEIGHT + j], averages[_LOW + j], averages[_HIGH + j]
        mean = averages[_FIRST + j] + averages[_SUM + j] / weight if weight > 0.0 else np.nan
        out_average[b, j] = min(max(mean, low), high) if weight > 0.0 else np.nan
        averages[_WEIGHT + j] = averages[_FIRST + j] = averages[_SUM + j] = 0.0
        averages[_LOW + j] = averages[_HIGH + j] = 0.0
    clock[_SEEN] = 0
    clock[_BAR] = end


@njit(cache=True, nogil=True, error_model="numpy")
def _scan(  # type: ignore[no-untyped-def]  # noqa: C901 - a call with a dozen arrays costs more than a record
    ts, action, side, flags, price, size, ladder_price, ladder_size, differs, until,
    book, after, clock, counts, averages,
    out_start, out_counts, out_seen, out_average, out_last, out_row,
):  # fmt: skip
    n, b, row = ts.shape[0], 0, CARRIED
    changed = 0  # a bit for each side to be measured anew; a state that lasts no time is never measured
    measured = True
    i = 0
    while True:
        if not measured:
            _measure(book, clock, changed, averages)
            changed, measured = 0, True
        stop = ts[i] if i < n else until
        while clock[_BAR] + BAR_NS <= stop:
            _close(
                b, row, clock, counts, averages,
                out_start, out_counts, out_seen, out_average, out_last, out_row,
            )  # fmt: skip
            b += 1
        if i >= n:
            break
        _hold(stop, clock, averages)
        while i < n and ts[i] == stop:
            act, snapshot = action[i], (flags[i] & F_SNAPSHOT) != 0
            _count(act, side[i], size[i], snapshot, counts)
            if act != TRADE and act != NONE:
                flows = (
                    act != CLEAR and not snapshot and clock[_KNOWN] == 1 and clock[_HAS_REFERENCE] == 1
                )  # fmt: skip
                if flows:
                    _count_in_band(act, side[i], price[i], book, clock, counts)
                moved, touched = 0, False
                for s in range(2):
                    mask = np.int64(differs[s, i])
                    if mask == 0:
                        continue
                    changed |= 1 << s
                    touched |= mask & 1 != 0
                    first = 0
                    while (mask >> first) & 1 == 0:
                        first += 1
                    shown = _priority(ladder_price[s, first, i], s)
                    if mask >> first == 1 and shown == book[_PRIORITY + s, first]:
                        # One level's size: nearly every record.
                        change = ladder_size[s, first, i] - book[_SIZE + s, first]
                        if flows:
                            _add_flow(change, shown, s, book, clock, counts)
                        book[_SIZE + s, first] += change
                        book[_SIDE + s, _DEPTH] += change
                        k = book[_LEVEL_BAND + s, first]
                        if k < BANDS:
                            book[_INSIDE + s, k] += change
                        continue
                    for level in range(first, LEVELS):
                        after[0, level] = _priority(ladder_price[s, level, i], s)
                        after[1, level] = ladder_size[s, level, i]
                    _replace(after, s, first, flows, book, clock, counts)
                    moved |= 1 << s
                if touched or moved != 0:
                    changed |= _refer(book, clock, moved)
                clock[_KNOWN] = 0 if act == CLEAR else 1
                row = i
                measured = False
            i += 1
    return b


def scan(
    ts: Int64,
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    price: Int64,
    size: Int64,
    ladder_price: Int64,
    ladder_size: NDArray[np.int32],
    differs: NDArray[np.uint16],
    state: BarState,
) -> ClosedBars:
    """Run book records through the open bar and hand out the bars they close.

    A state holds on [t_k, t_k+1), from the record that left it to the next one; a time-weighted average runs over the
    whole bar, first and last interval included, as far as the value was defined. Bands are distances from the
    microprice: of the state itself for depth, of the state before the event for flow. The flow of an event is the
    change of size at every price both ladders show (the rule of ``book_events``); snapshot rows, clears, and the first
    ladder after a clear are no flow. After a clear there is no state until a record shows one.

    Args:
        ts: Event times, ascending, ns since the epoch, shape ``(n,)``; never before an earlier chunk's last.
        action: ASCII codes of the DBN action, shape ``(n,)``.
        side: ASCII codes of the DBN side, shape ``(n,)``; the aggressor for trades, the resting side otherwise.
        flags: DBN flag bits, shape ``(n,)``.
        price: Event price, 1e-9 points, ``UNDEF_PRICE`` where absent, shape ``(n,)``.
        size: Event size, contracts, shape ``(n,)``.
        ladder_price: Post-event prices by column, shape ``(2, 10, n)``, bids first, 1e-9 points, ``UNDEF_PRICE``
            where absent. Spread times best size must stay within int64.
        ladder_size: Post-event sizes by column, shape ``(2, 10, n)``, contracts.
        differs: Levels each record changed, as in ``BookFlow``, shape ``(2, n)``.
        state: Carried state, advanced in place.

    Returns:
        The bars that end at or before the last record, bars without a record included.

    TWA over [t0, t1) = (1/T) sum of state times duration; microprice (Gatheral and Oomen 2010) = (a0 qb0 + b0 qa0) /
    (qb0 + qa0); order-book imbalance = (qb - qa) / (qb + qa).
    """
    if len(ts) == 0:
        return ClosedBars.empty(0)
    if state.clock[_BAR] < 0:
        state.clock[_BAR] = state.clock[_SINCE] = ts[0] // BAR_NS * BAR_NS
    return _run(
        ts, action, side, flags, price, size, ladder_price, ladder_size, differs, int(ts[-1]), state
    )  # fmt: skip


def finish(state: BarState) -> ClosedBars:
    """Close the open bar at its own end, the last state held until there.

    Args:
        state: Carried state; must not be used again.

    Returns:
        One bar, or none when no record was ever seen.
    """
    if state.clock[_BAR] < 0:
        return ClosedBars.empty(0)
    none = np.empty(0, np.int64)
    letters = np.empty(0, np.uint8)
    return _run(
        none, letters, letters, np.empty(0, np.int16), none, none,
        np.empty((2, LEVELS, 0), np.int64), np.empty((2, LEVELS, 0), np.int32), np.empty((2, 0), np.uint16),
        int(state.clock[_BAR]) + BAR_NS, state,
    )  # fmt: skip


def _run(
    ts: Int64,
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    price: Int64,
    size: Int64,
    ladder_price: Int64,
    ladder_size: NDArray[np.int32],
    differs: NDArray[np.uint16],
    until: int,
    state: BarState,
) -> ClosedBars:
    out = ClosedBars.empty((until - int(state.clock[_BAR])) // BAR_NS)
    closed = _scan(
        ts, action, side, flags, price, size, ladder_price, ladder_size, differs, until,
        state.book, np.empty((2, LEVELS), np.int64), state.clock, state.counts, state.averages,
        out.start_ns, out.counts, out.seen, out.average, out.last, out.last_row,
    )  # fmt: skip
    assert closed == len(out), "every bar of the grid is closed once"
    return out
