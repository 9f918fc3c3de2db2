"""Nearest rows of a matrix by exact scan, with filters inside the scan.

Sixteen rows lie side by side (``pack``), so that a processor measures them at once while the sum of each keeps one written
order: distances, and with them ties, are the same on every machine. Up to about a million rows an exact scan needs no
approximate index beside it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from footprint_assets.kernels.lanes import ROWS, TERMS, squared_distances

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


def pack(vectors: Float32) -> Float32:
    """Lay the rows of a matrix side by side in blocks of sixteen.

    Args:
        vectors: float32[rows, dimensions].

    Returns:
        float32[blocks, dimensions rounded up to eight, 16], zeros where there is no row or dimension.
    """
    rows, width = vectors.shape
    blocks, terms = -(-rows // ROWS), -(-width // TERMS) * TERMS
    padded = np.zeros((blocks * ROWS, terms), np.float32)
    padded[:rows, :width] = vectors
    return np.ascontiguousarray(padded.reshape(blocks, ROWS, terms).transpose(0, 2, 1))


@njit(cache=True, nogil=True)
def nearest(
    packed: Float32,
    query: Float32,
    first: int,
    stop: int,
    group: Int64,
    excluded: int,
    k: int,
    per_group: int,
) -> tuple[Int64, Float32]:
    """The ``k`` nearest rows among ``first`` to ``stop``, of one group no more than ``per_group``.

    The closest ``per_group`` rows of each group stand for it; the limit holds while rows are gathered, so nothing is
    fetched in excess.

    Args:
        packed: The rows, by ``pack``; float32[blocks, dimensions, 16].
        query: What to look near to; float32[dimensions of ``packed``].
        first: First row number.
        stop: Row number after the last.
        group: Group of each row; int64[rows].
        excluded: A group that is left out.
        k: Most rows.
        per_group: Most rows of a group, at least 1.

    Returns:
        Row numbers, int64[found], and squared Euclidean distances, float32[found], the nearest first; of equal distances
        the lower row number.
    """
    rows = np.empty(k, np.int64)
    distances = np.empty(k, np.float32)
    sums = np.empty(ROWS, np.float32)
    found, limit = 0, np.float32(np.inf)
    for block in range(first // ROWS, -(-stop // ROWS) if k > 0 else 0):
        squared_distances(packed, block, query, sums)
        near = 0
        for lane in range(ROWS):
            near += sums[lane] < limit
        if near == 0:
            continue
        for lane in range(ROWS):
            row = block * ROWS + lane
            if sums[lane] < limit and first <= row < stop and group[row] != excluded:
                found = _gather(rows, distances, found, group, row, sums[lane], per_group)
                if found == k:
                    limit = distances[k - 1]
    return rows[:found].copy(), distances[:found].copy()


@njit(cache=True, nogil=True)
def _gather(
    rows: Int64, distances: Float32, found: int, group: Int64, row: int, distance: float, per_group: int
) -> int:
    """Put a row in its place among those found so far, for the farthest of its group or of all; how many there are then."""
    same, farthest = 0, found
    for place in range(found):
        if group[rows[place]] == group[row]:
            same += 1
            farthest = place
    if same < per_group:
        farthest = min(found, rows.shape[0] - 1)
        found = min(found + 1, rows.shape[0])
    elif distance >= distances[farthest]:
        return found
    place = farthest
    while place > 0 and distances[place - 1] > distance:
        rows[place], distances[place] = rows[place - 1], distances[place - 1]
        place -= 1
    rows[place], distances[place] = row, distance
    return found
