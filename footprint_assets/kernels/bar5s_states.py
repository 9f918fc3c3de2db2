"""What five-second bars average over time: every state of the book as a function of one ladder, column by column.

Arrays in, arrays out, nothing carried: a state says of one ladder what it is, whatever stands beside it. Ladders come in
tiles that stay in the cache. All rows of a tile lie in one stretch of memory at fixed distances, and loops run over the
whole tile: so they run in vector registers. NaN is "not visible" or "not defined".
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.bar5s import (
    BAND_POINTS,
    BANDS,
    POINT_NANOS,
    SWEEP_CONTRACTS,
    SWEEPS,
    TICK_BANDS,
    TICK_EDGES,
)
from footprint_assets.kernels.book_events import ASK, BID, LEVELS, UNDEF_PRICE
from footprint_assets.kernels.fits import STOIKOV_BUCKETS, STOIKOV_SPREADS

Float64 = NDArray[np.float64]

TILE = 248
"""Ladders of a tile: 31 cache lines, as rows an even number of lines apart would share the sets of the cache."""

# Layout of the averaged states. Prices in ticks, mid in half ticks, slopes per tick; [side] is [bid, ask].
SPREAD, MID = range(2)
OBI = 2  # [first 1, 3, 5, 10 levels]
OCI = OBI + 4  # [first 1, 10 levels]
MICRO_ADJ, WMID_ADJ, VAMP_ADJ, WDOBP_ADJ = range(OCI + 2, OCI + 6)
ORDER_SIZE = OCI + 6  # [side], like the next six
DEPTH, COM, SLOPE, CONVEXITY, HHI, ENTROPY = range(ORDER_SIZE + 2, ORDER_SIZE + 14, 2)
SWEEP = ENTROPY + 2  # [buy, sell][contracts]
CDI = SWEEP + 2 * SWEEPS  # [band]
BAND_QTY = CDI + BANDS  # [side][band]
BAND_FRAC = BAND_QTY + 2 * BANDS  # [side][band]
TICK_QTY = BAND_FRAC + 2 * BANDS  # [side][tick band]
IS_WIDE, IS_LOCKED, IS_CROSSED, IS_ONE_SIDED = range(TICK_QTY + 2 * TICK_BANDS, TICK_QTY + 2 * TICK_BANDS + 4)
AVERAGED = IS_ONE_SIDED + 1
# Wanted of single ladders only: ticks from the first to the last level of a full ladder [side], and the state of the best
# quote in the table of ``fits``, twice: a balanced book is half in both middle buckets.
VISIBLE, STOIKOV = AVERAGED, AVERAGED + 2
STATES = STOIKOV + 2

# Rows of a tile before its states: [side][level], then [side].
_SIZE, _TICKS, _UP_TO = 0, 2 * LEVELS, 4 * LEVELS
# _REACH: ticks to the last level of a full ladder, infinite where nothing is hidden
_REACH, _PRESENT, _BEST_ORDERS, _ORDERS, ENTROPIES = range(6 * LEVELS, 6 * LEVELS + 10, 2)
_STATES = ENTROPIES + 2
ROWS = _STATES + STATES
FIRST_STATE = _STATES * TILE
"""Where the states of a tile begin; state ``j`` of ladder ``i`` is at ``FIRST_STATE + j * TILE + i``."""


def new_tile() -> Float64:
    """Room for a tile, with a vector register's length to spare behind it."""
    return np.zeros(ROWS * TILE + 8, np.float64)


@njit(cache=True, nogil=True, error_model="numpy")
def load(first, ladder_price, ladder_size, ladder_orders, tick_size, tile):  # type: ignore[no-untyped-def]
    """Take over the ladders from row ``first`` on, whose prices are whole ticks."""
    count = min(TILE, ladder_price.shape[2] - first)
    end, per_tick = first + count, 1.0 / tick_size
    for s in range(2):
        best, sign = ladder_price[s, 0, first:end], 1 if s == ASK else -1
        for i in range(TILE):
            tile[(_ORDERS + s) * TILE + i] = tile[(_PRESENT + s) * TILE + i] = 0.0
        for k in range(LEVELS):
            price, size = ladder_price[s, k, first:end], ladder_size[s, k, first:end]
            orders = ladder_orders[s, k, first:end]
            for i in range(count):
                away = (price[i] - best[i]) * sign
                ticks = np.rint(away * per_tick)
                shown = price[i] != UNDEF_PRICE
                tile[(_TICKS + s * LEVELS + k) * TILE + i] = ticks if shown else 0.0
                tile[(_PRESENT + s) * TILE + i] += 1.0 if shown else 0.0
                tile[(_SIZE + s * LEVELS + k) * TILE + i] = size[i]
                tile[(_ORDERS + s) * TILE + i] += orders[i]
            if k == 0:
                for i in range(count):
                    tile[(_BEST_ORDERS + s) * TILE + i] = orders[i]
    bid, ask = ladder_price[BID, 0, first:end], ladder_price[ASK, 0, first:end]
    for i in range(count):
        below, above = np.rint(bid[i] * per_tick), np.rint(ask[i] * per_tick)
        two_sided = (bid[i] != UNDEF_PRICE) & (ask[i] != UNDEF_PRICE)
        tile[(_STATES + SPREAD) * TILE + i] = above - below if two_sided else np.nan
        tile[(_STATES + MID) * TILE + i] = above + below if two_sided else np.nan


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _imbalance(bid, ask):  # type: ignore[no-untyped-def]
    whole = bid + ask
    return (bid - ask) / whole if whole > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _sums(tile):  # type: ignore[no-untyped-def]
    """Size up to every level, what is hidden beyond the last one, and how concentrated the sizes are."""
    for s in range(2):
        for i in range(TILE):
            total = squares = 0.0
            for k in range(LEVELS):
                size = tile[(_SIZE + s * LEVELS + k) * TILE + i]
                squares += size * size
                total += size
                tile[(_UP_TO + s * LEVELS + k) * TILE + i] = total
            full = tile[(_PRESENT + s) * TILE + i] == LEVELS
            last = tile[(_TICKS + s * LEVELS + LEVELS - 1) * TILE + i]
            tile[(_REACH + s) * TILE + i] = last if full else np.inf
            tile[(_STATES + VISIBLE + s) * TILE + i] = last if full else np.nan
            tile[(_STATES + DEPTH + s) * TILE + i] = total
            tile[(_STATES + HHI + s) * TILE + i] = squares / (total * total) if total > 0.0 else np.nan
            tile[(_STATES + ENTROPY + s) * TILE + i] = (
                tile[(ENTROPIES + s) * TILE + i] if total > 0.0 else np.nan
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _lean(tile):  # type: ignore[no-untyped-def]
    """Imbalances and order sizes."""
    for i in range(TILE):
        tile[(_STATES + OBI) * TILE + i] = _imbalance(
            tile[_UP_TO * TILE + i], tile[(_UP_TO + LEVELS) * TILE + i]
        )
        tile[(_STATES + OBI + 1) * TILE + i] = _imbalance(
            tile[(_UP_TO + 2) * TILE + i], tile[(_UP_TO + LEVELS + 2) * TILE + i]
        )
        tile[(_STATES + OBI + 2) * TILE + i] = _imbalance(
            tile[(_UP_TO + 4) * TILE + i], tile[(_UP_TO + LEVELS + 4) * TILE + i]
        )
        tile[(_STATES + OBI + 3) * TILE + i] = _imbalance(
            tile[(_UP_TO + 9) * TILE + i], tile[(_UP_TO + LEVELS + 9) * TILE + i]
        )
    for i in range(TILE):
        tile[(_STATES + OCI) * TILE + i] = _imbalance(
            tile[_BEST_ORDERS * TILE + i], tile[(_BEST_ORDERS + 1) * TILE + i]
        )
        tile[(_STATES + OCI + 1) * TILE + i] = _imbalance(
            tile[_ORDERS * TILE + i], tile[(_ORDERS + 1) * TILE + i]
        )
    for s in range(2):
        for i in range(TILE):
            orders = tile[(_BEST_ORDERS + s) * TILE + i]
            tile[(_STATES + ORDER_SIZE + s) * TILE + i] = (
                tile[(_SIZE + s * LEVELS) * TILE + i] / orders if orders > 0.0 else np.nan
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _tick_bands(tile):  # type: ignore[no-untyped-def]
    """Size by ticks from the own best price; a level is at least as many ticks away as there are levels before it."""
    for s in range(2):
        for i in range(TILE):
            b0 = b1 = b2 = b3 = b4 = tile[(_SIZE + s * LEVELS) * TILE + i]
            for k in range(1, LEVELS):
                size, away = (
                    tile[(_SIZE + s * LEVELS + k) * TILE + i],
                    tile[(_TICKS + s * LEVELS + k) * TILE + i],
                )
                if k < TICK_EDGES[1]:
                    b1 += size if away < TICK_EDGES[1] else 0.0
                if k < TICK_EDGES[2]:
                    b2 += size if away < TICK_EDGES[2] else 0.0
                if k < TICK_EDGES[3]:
                    b3 += size if away < TICK_EDGES[3] else 0.0
                b4 += size if away < TICK_EDGES[4] else 0.0
            some = tile[(_PRESENT + s) * TILE + i] > 0.0
            reach = tile[(_REACH + s) * TILE + i] if some else -1.0
            tile[(_STATES + TICK_QTY + s * TICK_BANDS) * TILE + i] = b0 if reach >= 0.0 else np.nan
            tile[(_STATES + TICK_QTY + s * TICK_BANDS + 1) * TILE + i] = (
                b1 - b0 if reach >= TICK_EDGES[0] else np.nan
            )
            tile[(_STATES + TICK_QTY + s * TICK_BANDS + 2) * TILE + i] = (
                b2 - b1 if reach >= TICK_EDGES[1] else np.nan
            )
            tile[(_STATES + TICK_QTY + s * TICK_BANDS + 3) * TILE + i] = (
                b3 - b2 if reach >= TICK_EDGES[2] else np.nan
            )
            tile[(_STATES + TICK_QTY + s * TICK_BANDS + 4) * TILE + i] = (
                b4 - b3 if reach >= TICK_EDGES[3] else np.nan
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _point_bands(per_tick, per_point, tile):  # type: ignore[no-untyped-def]
    """Size by distance from the microprice, an exact fraction of the spread above the bid.

    All distances are times the size at the best prices, in the largest unit that tick and point are multiples of: whole
    numbers.
    """
    for s in range(2):
        for i in range(TILE):
            own, other = tile[(_SIZE + s * LEVELS) * TILE + i], tile[(_SIZE + (1 - s) * LEVELS) * TILE + i]
            spread = tile[(_STATES + SPREAD) * TILE + i] * per_tick
            empty = own + other == 0.0
            whole, best = 2.0 if empty else own + other, spread * (1.0 if empty else own)
            e0 = (per_point * BAND_POINTS[0]) * whole - best
            e1 = (per_point * BAND_POINTS[1]) * whole - best
            e2 = (per_point * BAND_POINTS[2]) * whole - best
            e3 = (per_point * BAND_POINTS[3]) * whole - best
            e4 = (per_point * BAND_POINTS[4]) * whole - best
            unit = whole * per_tick
            b0 = b1 = b2 = b3 = b4 = 0.0
            for k in range(LEVELS):
                size = tile[(_SIZE + s * LEVELS + k) * TILE + i]
                away = tile[(_TICKS + s * LEVELS + k) * TILE + i] * unit
                b0 += size if away <= e0 else 0.0
                b1 += size if away <= e1 else 0.0
                b2 += size if away <= e2 else 0.0
                b3 += size if away <= e3 else 0.0
                b4 += size if away <= e4 else 0.0
            # A full ladder hides what lies beyond its last level.
            reach = tile[(_REACH + s) * TILE + i] * unit
            q0 = b0 if spread == spread else np.nan
            q1 = b1 - b0 if reach > e0 else np.nan
            q2 = b2 - b1 if reach > e1 else np.nan
            q3 = b3 - b2 if reach > e2 else np.nan
            q4 = b4 - b3 if reach > e3 else np.nan
            tile[(_STATES + BAND_QTY + s * BANDS) * TILE + i] = q0
            tile[(_STATES + BAND_QTY + s * BANDS + 1) * TILE + i] = q1
            tile[(_STATES + BAND_QTY + s * BANDS + 2) * TILE + i] = q2
            tile[(_STATES + BAND_QTY + s * BANDS + 3) * TILE + i] = q3
            tile[(_STATES + BAND_QTY + s * BANDS + 4) * TILE + i] = q4
        for i in range(TILE):
            depth = tile[(_UP_TO + s * LEVELS + LEVELS - 1) * TILE + i]
            depth = depth if depth > 0.0 else np.nan
            for k in range(BANDS):
                tile[(_STATES + BAND_FRAC + s * BANDS + k) * TILE + i] = (
                    tile[(_STATES + BAND_QTY + s * BANDS + k) * TILE + i] / depth
                )
    for i in range(TILE):
        for k in range(BANDS):
            below = tile[(_STATES + BAND_QTY + k) * TILE + i]
            above = tile[(_STATES + BAND_QTY + BANDS + k) * TILE + i]
            tile[(_STATES + CDI + k) * TILE + i] = (
                (below - above) / (below + above) if below + above != 0.0 else 0.0
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _prices(tile):  # type: ignore[no-untyped-def]
    """Prices that the sizes point to, as distances from the mid, and the mean distance of a side's size from it."""
    for i in range(TILE):
        half = (
            tile[(_STATES + SPREAD) * TILE + i] / 2.0
        )  # NaN on a one-sided book, and so is what is made of it
        present_bid, present_ask = tile[(_PRESENT + BID) * TILE + i], tile[(_PRESENT + ASK) * TILE + i]
        bid = bid_5 = ask = ask_5 = cross = paired = 0.0
        for k in range(LEVELS):
            below, above = tile[(_SIZE + k) * TILE + i], tile[(_SIZE + LEVELS + k) * TILE + i]
            far_below, far_above = tile[(_TICKS + k) * TILE + i], tile[(_TICKS + LEVELS + k) * TILE + i]
            bid += below * far_below
            ask += above * far_above
            if k == 4:
                bid_5, ask_5 = bid, ask
            below, above = below if present_ask > k else 0.0, above if present_bid > k else 0.0
            cross += below * (far_above + half) - above * (far_below + half)
            paired += below + above
        bid_size, ask_size = (
            tile[(_UP_TO + LEVELS - 1) * TILE + i],
            tile[(_UP_TO + 2 * LEVELS - 1) * TILE + i],
        )
        whole = bid_size + ask_size
        centre_bid, centre_ask = bid / bid_size + half, ask / ask_size + half
        tile[(_STATES + COM + BID) * TILE + i] = centre_bid if bid_size > 0.0 else np.nan
        tile[(_STATES + COM + ASK) * TILE + i] = centre_ask if ask_size > 0.0 else np.nan
        tile[(_STATES + MICRO_ADJ) * TILE + i] = half * tile[(_STATES + OBI) * TILE + i]
        none = half * 0.0
        tile[(_STATES + VAMP_ADJ) * TILE + i] = cross / paired if paired > 0.0 else none
        moment = ask - bid + half * (ask_size - bid_size)
        tile[(_STATES + WDOBP_ADJ) * TILE + i] = moment / whole if whole > 0.0 else none
        bid_size, ask_size = tile[(_UP_TO + 4) * TILE + i], tile[(_UP_TO + LEVELS + 4) * TILE + i]
        mean = (ask_5 / ask_size + half) * bid_size - (bid_5 / bid_size + half) * ask_size
        both = (bid_size > 0.0) & (ask_size > 0.0)
        tile[(_STATES + WMID_ADJ) * TILE + i] = mean / (bid_size + ask_size) if both else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _shape(tile):  # type: ignore[no-untyped-def]
    """Least squares of the cumulative size on the distance: slope of the line, square term of the parabola."""
    for s in range(2):
        for i in range(TILE):
            present = tile[(_PRESENT + s) * TILE + i]
            ticks = height = 0.0
            for k in range(LEVELS):
                ticks += tile[(_TICKS + s * LEVELS + k) * TILE + i]
                height += tile[(_UP_TO + s * LEVELS + k) * TILE + i] if present > k else 0.0
            ticks, height = ticks / present, height / present
            x2 = x3 = x4 = xy = x2y = 0.0
            for k in range(LEVELS):
                x = tile[(_TICKS + s * LEVELS + k) * TILE + i] - ticks if present > k else 0.0
                y = tile[(_UP_TO + s * LEVELS + k) * TILE + i] - height
                x2 += x * x
                x3 += x * x * x
                x4 += (x * x) * (x * x)
                xy += x * y
                x2y += x * x * y
            two_sided = tile[(_STATES + SPREAD) * TILE + i] == tile[(_STATES + SPREAD) * TILE + i]
            curved = x2 * (x4 - x2 * x2 / present) - x3 * x3
            tile[(_STATES + SLOPE + s) * TILE + i] = xy / x2 if two_sided & (x2 > 0.0) else np.nan
            bend = (x2 * x2y - x3 * xy) / curved
            tile[(_STATES + CONVEXITY + s) * TILE + i] = (
                bend if two_sided & (present >= 3.0) & (curved > 0.0) else np.nan
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _sweeps(tile):  # type: ignore[no-untyped-def]
    """Mean distance from the mid at which one side fills an order of some contracts."""
    for s in range(2):
        at = _STATES + SWEEP + (SWEEPS if s == BID else 0)
        for i in range(TILE):
            # What is taken of a level is the step of min(size up to it, wanted): summed by parts.
            far = tile[(_TICKS + s * LEVELS + LEVELS - 1) * TILE + i]
            depth = tile[(_UP_TO + s * LEVELS + LEVELS - 1) * TILE + i]
            c0, c1, c2 = (
                far * min(depth, SWEEP_CONTRACTS[0]),
                far * min(depth, SWEEP_CONTRACTS[1]),
                far * min(depth, SWEEP_CONTRACTS[2]),
            )
            for k in range(LEVELS - 1):
                up_to = tile[(_UP_TO + s * LEVELS + k) * TILE + i]
                gap = (
                    tile[(_TICKS + s * LEVELS + k + 1) * TILE + i]
                    - tile[(_TICKS + s * LEVELS + k) * TILE + i]
                )
                c0 -= gap * min(up_to, SWEEP_CONTRACTS[0])
                c1 -= gap * min(up_to, SWEEP_CONTRACTS[1])
                c2 -= gap * min(up_to, SWEEP_CONTRACTS[2])
            half = tile[(_STATES + SPREAD) * TILE + i] / 2.0
            tile[at * TILE + i] = c0 / SWEEP_CONTRACTS[0] + half if depth >= SWEEP_CONTRACTS[0] else np.nan
            tile[(at + 1) * TILE + i] = (
                c1 / SWEEP_CONTRACTS[1] + half if depth >= SWEEP_CONTRACTS[1] else np.nan
            )
            tile[(at + 2) * TILE + i] = (
                c2 / SWEEP_CONTRACTS[2] + half if depth >= SWEEP_CONTRACTS[2] else np.nan
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _quote(tile):  # type: ignore[no-untyped-def]
    """Whether the best prices stand wide, locked, crossed or alone, and their state in the table of ``fits``."""
    for i in range(TILE):
        spread = tile[(_STATES + SPREAD) * TILE + i]
        tile[(_STATES + IS_WIDE) * TILE + i] = (1.0 if spread > 1.0 else 0.0) if spread == spread else np.nan
        tile[(_STATES + IS_LOCKED) * TILE + i] = 1.0 if spread == 0.0 else 0.0
        tile[(_STATES + IS_CROSSED) * TILE + i] = 1.0 if spread < 0.0 else 0.0
        tile[(_STATES + IS_ONE_SIDED) * TILE + i] = 0.0 if spread == spread else 1.0
    for i in range(TILE):
        spread = tile[(_STATES + SPREAD) * TILE + i]
        bid, ask = tile[_SIZE * TILE + i], tile[(_SIZE + LEVELS) * TILE + i]
        # An edge belongs to the bucket farther from the middle: bids and asks may be swapped.
        heavy = min(np.floor(STOIKOV_BUCKETS * max(bid, ask) / (bid + ask)), STOIKOV_BUCKETS - 1.0)
        light = STOIKOV_BUCKETS - 1.0 - heavy
        wide = 1.0 if spread > 1.0 else 0.0
        one = (heavy if bid >= ask else light) * STOIKOV_SPREADS + wide
        other = (heavy if bid > ask else light) * STOIKOV_SPREADS + wide
        quoted = (spread > 0.0) & (bid + ask > 0.0)
        tile[(_STATES + STOIKOV) * TILE + i] = one if quoted else np.nan
        tile[(_STATES + STOIKOV + 1) * TILE + i] = other if quoted else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def measure(per_tick, per_point, tile):  # type: ignore[no-untyped-def]
    """All states of the ladders of a tile."""
    _sums(tile)
    _lean(tile)
    _tick_bands(tile)
    _point_bands(per_tick, per_point, tile)
    _prices(tile)
    _shape(tile)
    _sweeps(tile)
    _quote(tile)


def published(values: Float64, tick_size_nanos: int) -> Float64:
    """States in the units of the tables: prices and distances in points, slopes per point.

    Args:
        values: States by the module's layout, or averages of them; float64[bars, >= AVERAGED].
        tick_size_nanos: Minimum price increment, 1e-9 points.

    Returns:
        The same shape; shares and imbalances within their bounds, which the average of floats may miss by its last bit.
    """
    out = values.copy()
    out[:, MID] *= tick_size_nanos / 2
    for state in (SPREAD, MICRO_ADJ, WMID_ADJ, VAMP_ADJ, WDOBP_ADJ):
        out[:, state] *= tick_size_nanos
    out[:, [SPREAD, MID, MICRO_ADJ, WMID_ADJ, VAMP_ADJ, WDOBP_ADJ]] /= POINT_NANOS
    points = tick_size_nanos / POINT_NANOS
    out[:, SLOPE : SLOPE + 2] /= points
    out[:, CONVEXITY : CONVEXITY + 2] /= points * points
    for first, end in ((OBI, OCI + 2), (CDI, CDI + BANDS)):
        out[:, first:end] = np.clip(out[:, first:end], -1.0, 1.0)
    for first, end in ((HHI, ENTROPY + 2), (BAND_FRAC, TICK_QTY), (IS_WIDE, AVERAGED)):
        out[:, first:end] = np.clip(out[:, first:end], 0.0, 1.0)
    return out
