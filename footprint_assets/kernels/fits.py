"""What one session is fitted to, for the sessions that follow: order-flow weights and the microprice table.

A fit is a pure function of what it is shown and reads whole sessions only, so that a later session never learns from
itself. Sums run in row order and the small matrices are worked by plain loops: the same rows give the same bits, on
any machine and with any linear-algebra library installed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

LEVELS: Final = 10
MIN_FIT_BARS: Final = 120
"""Ten minutes of five-second bars: fewer cannot carry a covariance of ten levels."""
STOIKOV_BUCKETS: Final = 10
STOIKOV_SPREADS: Final = 2
STOIKOV_STATES: Final = STOIKOV_BUCKETS * STOIKOV_SPREADS
STOIKOV_JUMPS_TICKS: Final = (-1.0, -0.5, 0.5, 1.0)
STOIKOV_TERMS: Final = 6
UNDEFINED_BUCKET: Final = -1
_SQUARINGS: Final = 60
_MIRROR: Final = np.array(
    [
        (STOIKOV_BUCKETS - 1 - bucket) * STOIKOV_SPREADS + spread
        for bucket in range(STOIKOV_BUCKETS)
        for spread in range(STOIKOV_SPREADS)
    ]
)


def ofi_principal_component(ofi_norm: Float64) -> Float64 | None:
    """Direction along which the order-flow imbalances of the ten levels vary most.

    Args:
        ofi_norm: Normalised order-flow imbalance by bar and level, float64[bars, 10]; bars with a NaN are left out.

    Returns:
        Unit vector float64[10] with a sum >= 0, or None with fewer than ``MIN_FIT_BARS`` usable bars or no variance.

    First principal component of multi-level OFI (Cont, Cucuringu and Zhang 2023), of the covariance matrix.
    """
    complete = ofi_norm[~np.isnan(ofi_norm).any(axis=1)]
    if len(complete) < MIN_FIT_BARS:
        return None
    weights: Float64 = _dominant(_covariance(np.ascontiguousarray(complete)))
    if np.isnan(weights[0]):
        return None
    return -weights if weights.sum() < 0.0 else weights


def explained_share(ofi_norm: Float64, weights: Float64) -> float:
    """Share of the variance of the ten levels that lies along a direction.

    Args:
        ofi_norm: As for ``ofi_principal_component``.
        weights: Direction, float64[10], any length.

    Returns:
        w'Cw / (w'w tr C), in [0, 1]; NaN without variance.
    """
    complete = ofi_norm[~np.isnan(ofi_norm).any(axis=1)]
    covariance: Float64 = _covariance(np.ascontiguousarray(complete))
    variance = float(np.trace(covariance))
    if variance <= 0.0:
        return float("nan")
    return float(weights @ covariance @ weights) / (float(weights @ weights) * variance)


def imbalance_bucket(bid_size: Int64, ask_size: Int64) -> Int64:
    """Which tenth of the imbalance of the best quote a book is in, the same from either side of the book.

    Args:
        bid_size: Size at the best bid, contracts, int64[n].
        ask_size: Size at the best ask, contracts, int64[n].

    Returns:
        Bucket of bid / (bid + ask), int64[n]: 0 (all asks) to 9 (all bids), an edge in the bucket farther from the
        middle, a balanced book in 5; ``UNDEFINED_BUCKET`` without any size.

    A balanced book lies between the buckets 4 and 5; ``stoikov_adjustment`` sees it in both, by its symmetry.
    """
    whole = bid_size + ask_size
    share = STOIKOV_BUCKETS * np.maximum(bid_size, ask_size) // np.maximum(whole, 1)
    heavy = np.minimum(share, STOIKOV_BUCKETS - 1)
    bucket = np.where(bid_size >= ask_size, heavy, STOIKOV_BUCKETS - 1 - heavy)
    out: Int64 = np.where(whole > 0, bucket, UNDEFINED_BUCKET)
    return out


def stoikov_counts(bucket: Int64, spread: Int64, mid_ticks2: Int64) -> tuple[Int64, Int64, Int64]:
    """Count the steps of the best quote between consecutive samples.

    Args:
        bucket: ``imbalance_bucket`` of the best quote, ``UNDEFINED_BUCKET`` where it is not two-sided; int64[samples].
            A step from or to an undefined sample is not counted.
        spread: Spread in ticks, int64[samples]; 1, or more for the second class. A locked or crossed sample (< 1) is
            undefined too.
        mid_ticks2: Mid in half ticks, int64[samples].

    Returns:
        ``stay`` int64[20, 20] (steps by state before and after, mid unchanged), ``move`` int64[20, 20] (mid changed)
        and ``jump`` int64[20, 4] (mid change by state before: ``STOIKOV_JUMPS_TICKS``; farther moves count as a tick).
        State = bucket * 2 + (0 at a spread of one tick, else 1).
    """
    stay = np.zeros((STOIKOV_STATES, STOIKOV_STATES), np.int64)
    move = np.zeros((STOIKOV_STATES, STOIKOV_STATES), np.int64)
    jump = np.zeros((STOIKOV_STATES, len(STOIKOV_JUMPS_TICKS)), np.int64)
    defined = (bucket != UNDEFINED_BUCKET) & (spread >= 1)
    state = bucket * STOIKOV_SPREADS + (spread > 1)
    step = np.flatnonzero(defined[:-1] & defined[1:])
    change = np.clip(mid_ticks2[step + 1] - mid_ticks2[step], -2, 2)
    before, after = state[step], state[step + 1]
    still = change == 0
    np.add.at(stay, (before[still], after[still]), 1)
    np.add.at(move, (before[~still], after[~still]), 1)
    # -2, -1, 1, 2 half ticks are the columns 0 to 3.
    np.add.at(jump, (before[~still], change[~still] + np.where(change[~still] < 0, 2, 1)), 1)
    return stay, move, jump


def stoikov_adjustment(stay: Int64, move: Int64, jump: Int64) -> Float64:
    """Expected drift of the mid from each state of the best quote, the microprice table.

    Args:
        stay: Steps without a change of mid by state before and after, int64[20, 20] or flat [400].
        move: Steps with a change of mid, same shape.
        jump: Changes of mid by state before, int64[20, 4] or flat [80].

    Returns:
        G* in ticks by state, float64[20], antisymmetric in the imbalance bucket; NaN for a state that was never seen,
        or from which the mid was never seen to move.

    Stoikov (2018), "The micro-price": G1 = (I - Q)^-1 R K, B = (I - Q)^-1 T, G* = sum of B^j G1 over the first six
    terms, on counts symmetrised by swapping the sides of the book.
    """
    shape = (STOIKOV_STATES, STOIKOV_STATES)
    still, moved = (_symmetrised(counts.reshape(shape)) for counts in (stay, move))
    jumped = jump.reshape(STOIKOV_STATES, -1)
    jumped = jumped + jumped[_MIRROR][:, ::-1]
    table = _microprice_table(still, moved, jumped)
    # Symmetric counts make the table antisymmetric but for rounding.
    antisymmetric: Float64 = (table - table[_MIRROR]) / 2.0
    return antisymmetric


def _symmetrised(counts: Int64) -> Int64:
    """The counts, together with those of the market seen with bids and asks swapped."""
    both: Int64 = counts + counts[_MIRROR][:, _MIRROR]
    return both


@njit(cache=True, nogil=True)
def _covariance(rows):  # type: ignore[no-untyped-def]
    """Population covariance, summed in row order."""
    n, k = rows.shape
    mean = np.zeros(k)
    for i in range(n):
        for a in range(k):
            mean[a] += rows[i, a]
    mean /= max(n, 1)
    out = np.zeros((k, k))
    for i in range(n):
        for a in range(k):
            for b in range(a + 1):
                out[a, b] += (rows[i, a] - mean[a]) * (rows[i, b] - mean[b])
    for a in range(k):
        for b in range(a + 1):
            out[a, b] /= n
            out[b, a] = out[a, b]
    return out


@njit(cache=True, nogil=True)
def _dominant(matrix):  # type: ignore[no-untyped-def]
    """Unit eigenvector of the largest eigenvalue of a symmetric positive matrix; NaN of a zero matrix.

    Squaring the matrix squares the ratio of its eigenvalues: what is left is the projection on the largest.
    """
    k = matrix.shape[0]
    power = matrix.copy()
    product = np.empty((k, k))
    for _ in range(_SQUARINGS):
        trace = 0.0
        for a in range(k):
            trace += power[a, a]
        if not trace > 0.0:
            return np.full(k, np.nan)
        power /= trace
        for a in range(k):
            for b in range(a + 1):
                total = 0.0
                for c in range(k):
                    total += power[a, c] * power[b, c]
                product[a, b] = product[b, a] = total
        power[:] = product
    largest = 0
    for a in range(k):
        if power[a, a] > power[largest, largest]:
            largest = a
    vector = power[largest].copy()
    length = 0.0
    for a in range(k):
        length += vector[a] * vector[a]
    return vector / np.sqrt(length)


def _microprice_table(stay: Int64, move: Int64, jump: Int64) -> Float64:
    moves = _leads_to_a_move(stay > 0, move.sum(axis=1) > 0)
    # States from which the mid never moves have no drift, and would make I - Q singular: they stand aside.
    left = np.where(moves, stay.sum(axis=1) + move.sum(axis=1), 1)[:, None]
    quiet = np.where(moves[:, None], stay / left, 0.0)
    moved = np.where(moves[:, None], move / left, 0.0)
    drift = np.zeros((STOIKOV_STATES, 1))
    for column, ticks in enumerate(STOIKOV_JUMPS_TICKS):
        drift[:, 0] += jump[:, column] * ticks
    drift /= left
    # One elimination gives B (first columns) and G1 (last column).
    solved = _solve(np.eye(STOIKOV_STATES) - quiet, np.hstack([moved, drift]))
    table: Float64 = _powers_sum(solved[:, :-1].copy(), solved[:, -1].copy())
    return np.where(moves, table, np.nan)


def _leads_to_a_move(stays: NDArray[np.bool_], moves: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """States from which a move of the mid was seen to follow, at once or after quiet steps."""
    for _ in range(STOIKOV_STATES):
        moves = moves | (stays & moves).any(axis=1)
    return moves


@njit(cache=True, nogil=True)
def _solve(a, b):  # type: ignore[no-untyped-def]
    """Gaussian elimination of a diagonally dominant system, which needs no pivoting; both arguments are used up."""
    n = a.shape[0]
    for s in range(n):
        for r in range(s + 1, n):
            factor = a[r, s] / a[s, s]
            a[r, s:] -= factor * a[s, s:]
            b[r] -= factor * b[s]
    for s in range(n - 1, -1, -1):
        for r in range(s + 1, n):
            b[s] -= a[s, r] * b[r]
        b[s] /= a[s, s]
    return b


@njit(cache=True, nogil=True)
def _powers_sum(matrix, vector):  # type: ignore[no-untyped-def]
    """Sum of matrix^j vector over the first terms."""
    total, term = vector.copy(), vector
    for _ in range(STOIKOV_TERMS - 1):
        following = np.zeros(len(term))
        for s in range(len(term)):
            for t in range(len(term)):
                following[s] += matrix[s, t] * term[t]
        term = following
        total += term
    return total
