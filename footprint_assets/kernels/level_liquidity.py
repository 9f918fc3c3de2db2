"""How the side that defends a level behaves in its zone: added, pulled and filled size over trailing windows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.book_events import ASK, BID
from footprint_assets.kernels.level_book import (
    ADDED,
    FIELDS,
    FILLED,
    NO_TICK,
    PULLED,
    QTY,
    SEEN,
    VISIBLE,
    BookGrid,
    Float64,
    Int64,
    Rows,
    span,
    total,
)

ADDED_QTY, PULLED_QTY, FILLED_QTY, REFILL_MS, ICEBERG_RATIO, ABSORPTION_RATIO = range(6)
WINDOW_FIELDS = 6

NEUTRAL, VACUUM, WALL, CONSUMED, ABSORPTION, WEAK = range(6)
UNKNOWN = -1


class Shocks(NamedTuple):
    """Heavy fills, in order of time.

    Args:
        ts: When the fill happened, ns since the epoch, int64[shocks].
        side: Resting side, ``BID`` or ``ASK``, int64[shocks].
        tick: Price that was filled, ticks, int64[shocks].
        recovered: When half of the size was shown again, ns since the epoch, -1 where not, int64[shocks].
        refill_ms: That instant less ``ts``, ms, float64[shocks].
    """

    ts: Int64
    side: Int64
    tick: Int64
    recovered: Int64
    refill_ms: Float64


class Thresholds(NamedTuple):
    """What the states of a zone are told by; see ``LevelLiquiditySettings``."""

    vacuum_ratio: float
    wall_ratio: float
    strong_flow: float
    absorption_ratio: float
    weak_depth: float
    balanced_flow: float
    churn: float


@njit(cache=True, nogil=True)
def _median(values):  # type: ignore[no-untyped-def]
    """Middle of the values, mean of the middle two; NaN of none. The values are put in another order."""
    n = values.shape[0]
    if n == 0:
        return np.nan
    middle, low, high = n // 2, 0, n - 1
    # Only the side the middle lies on is divided further (Hoare's selection).
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            break
    return values[middle] if n % 2 else (values[:middle].max() + values[middle]) / 2.0


@njit(cache=True, nogil=True)
def _depth(grid, bar, first, last, side):  # type: ignore[no-untyped-def]
    """Size of a side at the end of a bar; NaN where none of the ticks is in sight."""
    if total(grid, bar, first, last, VISIBLE) == 0:
        return np.nan
    return float(total(grid, bar, first, last, side * FIELDS + QTY))


@njit(cache=True, nogil=True)
def _fill_past(grid, bar, side, away, zone, past, held):  # type: ignore[no-untyped-def]
    """Hold the size around ``best + away`` at the ends of the bars before a bar, each at its bar modulo their number.

    Args:
        grid: The book by price.
        bar: The bar.
        side: The side.
        away: Distance from the side's best price, ticks.
        zone: Reach around it, ticks.
        past: The sizes, float64[bars]; NaN where not known.
        held: What they are of: distance, side, first and end of the bars held. Only what is missing is read.
    """
    bars = past.shape[0]
    first = max(bar - bars, 0)
    if held[0] != away or held[1] != side or not (held[2] <= first <= held[3] <= bar):
        held[0], held[1], held[3] = away, side, first
    for j in range(held[3], bar):
        best = grid.best[j, side]
        past[j % bars] = (
            np.nan if best == NO_TICK else _depth(grid, j, best + away - zone, best + away + zone, side)
        )
    held[2], held[3] = first, bar


_KEPT = 64
"""Distances from the best price whose past is kept from row to row: price moves to and fro between a few."""


@njit(cache=True, nogil=True)
def _baseline(grid, bar, level, side, zone, past, held, scratch):  # type: ignore[no-untyped-def]
    """Median size at the same distance from the best price, at the ends of the bars before."""
    now = grid.best[bar, side]
    if now == NO_TICK:
        return np.nan
    slot = (level - now) % _KEPT
    _fill_past(grid, bar, side, level - now, zone, past[slot], held[slot])
    n = 0
    for size in past[slot, : min(past.shape[1], bar)]:
        if not np.isnan(size):
            scratch[n] = size
            n += 1
    return _median(scratch[:n])


@njit(cache=True, nogil=True)
def _refill(shocks, start, end, level, side, zone):  # type: ignore[no-untyped-def]
    """Median recovery of the fills of a window; one that recovers later is not known yet."""
    first, last = np.searchsorted(shocks.ts, start), np.searchsorted(shocks.ts, end)
    waits = np.empty(last - first)
    n = 0
    for i in range(first, last):
        if shocks.side[i] == side and abs(shocks.tick[i] - level) <= zone and 0 <= shocks.recovered[i] < end:
            waits[n] = shocks.refill_ms[i]
            n += 1
    return _median(waits[:n])


@njit(cache=True, nogil=True)
def _progress(grid, start, bar, level, direction, side, zone):  # type: ignore[no-untyped-def]
    """Ticks the side's best price moved in the direction of the approach inside the zone; NaN where not known."""
    if grid.best[start, side] == NO_TICK or grid.best[bar, side] == NO_TICK:
        return np.nan
    then = min(max(direction * (grid.best[start, side] - level), -zone), zone)
    now = min(max(direction * (grid.best[bar, side] - level), -zone), zone)
    return float(max(now - then, 0))


@njit(cache=True, nogil=True)
def _window(grid, bar, start, level, side, zone, out):  # type: ignore[no-untyped-def]
    """Sums of the zone over the bars ``start`` to ``bar``."""
    seen = added = pulled = filled = traded = largest = 0
    at = side * FIELDS
    for j in range(start, bar + 1):
        a, b = span(grid, j, level - zone, level + zone)
        seen += grid.sums[b, SEEN] - grid.sums[a, SEEN]
        added += grid.sums[b, at + ADDED] - grid.sums[a, at + ADDED]
        pulled += grid.sums[b, at + PULLED] - grid.sums[a, at + PULLED]
        filled += grid.sums[b, at + FILLED] - grid.sums[a, at + FILLED]
        a, b = span(grid, j, level, level)
        if b > a:
            traded += grid.sums[b, at + FILLED] - grid.sums[a, at + FILLED]
            largest = max(largest, grid.largest[a, side])
    if seen > 0:
        out[ADDED_QTY], out[PULLED_QTY], out[FILLED_QTY] = added, pulled, filled
    if largest > 0:
        out[ICEBERG_RATIO] = traded / largest


@njit(cache=True, nogil=True)
def _run(  # type: ignore[no-untyped-def]
    grid, rows, shocks, bar_end, bar_ns, windows, zone, baseline_bars, depth, baseline, out
):
    past, scratch = np.empty((_KEPT, baseline_bars)), np.empty(baseline_bars)
    held = np.full((_KEPT, 4), -1, np.int64)
    for r in range(rows.bar.shape[0]):
        bar, level, direction = rows.bar[r], rows.level[r], rows.direction[r]
        side = ASK if direction > 0 else BID
        depth[r] = _depth(grid, bar, level - zone, level + zone, side)
        baseline[r] = _baseline(grid, bar, level, side, zone, past, held, scratch)
        for k in range(windows.shape[0]):
            w = windows[k]
            field = out[r, k]
            _window(grid, bar, max(bar - w + 1, 0), level, side, zone, field)
            end = bar_end[bar]
            field[REFILL_MS] = _refill(shocks, end - w * bar_ns, end, level, side, zone)
            progress = _progress(grid, max(bar - w, 0), bar, level, direction, side, zone)
            if not np.isnan(progress):
                field[ABSORPTION_RATIO] = field[FILLED_QTY] / max(progress, 1.0)


def level_liquidity(
    grid: BookGrid,
    rows: Rows,
    shocks: Shocks,
    bar_end_ns: Int64,
    bar_ns: int,
    windows: Int64,
    zone_ticks: int,
    baseline_bars: int,
) -> tuple[Float64, Float64, Float64]:
    """The defending side within ``zone_ticks`` of a level.

    Args:
        grid: The book by price.
        rows: Levels and bars.
        shocks: Heavy fills of the date.
        bar_end_ns: End of every bar, ns since the epoch, int64[bars].
        bar_ns: Length of a bar, ns.
        windows: Trailing windows, bars; a window has the bars there are.
        zone_ticks: Reach of the zone.
        baseline_bars: Bars before this one the usual size is the median of.

    Returns:
        ``(depth, baseline, measures)``: size in the zone at the end of the bar and its usual value, contracts,
        float64[rows]; float64[rows, windows, WINDOW_FIELDS] by the module's layout. NaN where not known.
    """
    n = len(rows.bar)
    depth, baseline = np.empty(n), np.empty(n)
    out = np.full((n, len(windows), WINDOW_FIELDS), np.nan, order="F")
    _run(grid, rows, shocks, bar_end_ns, bar_ns, windows, zone_ticks, baseline_bars, depth, baseline, out)
    return depth, baseline, out


def zone_state(
    added: Float64, pulled: Float64, filled: Float64, depth: Float64, limits: Thresholds
) -> NDArray[np.int8]:
    """What the zone is called; the first state that holds, in this order.

    ``VACUUM`` ratio < vacuum and net < -strong; ``WALL`` ratio > wall and net > strong; ``CONSUMED`` net < -strong and
    filled > pulled; ``ABSORPTION`` net > 0 and ratio > absorption; ``WEAK`` depth < weak; ``ABSORPTION`` |net| < balanced
    and churn > its limit; else ``NEUTRAL``. net = added - pulled - filled, ratio = added / max(pulled + filled, 1).

    Args:
        added: Size added in the zone, contracts, float64[n]; NaN where the zone was not in sight.
        pulled: Size cancelled, likewise.
        filled: Size filled, likewise.
        depth: Size in the zone now, contracts; NaN where not in sight, which is not weak.
        limits: Thresholds.

    Returns:
        int8[n]; ``UNKNOWN`` where ``added`` is NaN.
    """
    lost = pulled + filled
    net, churn = added - lost, added + lost
    ratio = added / np.maximum(lost, 1)
    drains, fills = net < -limits.strong_flow, net > limits.strong_flow
    conditions = (
        (np.isnan(added), UNKNOWN),
        ((ratio < limits.vacuum_ratio) & drains, VACUUM),
        ((ratio > limits.wall_ratio) & fills, WALL),
        (drains & (filled > pulled), CONSUMED),
        ((net > 0) & (ratio > limits.absorption_ratio), ABSORPTION),
        (depth < limits.weak_depth, WEAK),
        ((np.abs(net) < limits.balanced_flow) & (churn > limits.churn), ABSORPTION),
    )
    state = np.select([holds for holds, _ in conditions], [code for _, code in conditions], NEUTRAL)
    return state.astype(np.int8)
