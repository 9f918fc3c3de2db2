"""Values as Gaussian scores of their ranks, by quantiles that were learned before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_BLOCK = 256
"""Rows whose values of a column are looked up together: its quantiles stay near, and so do the rows."""


@njit(cache=True, nogil=True)
def gauss_ranks(values: Float32, knots: Float32, scores: Float64, weight: Float32) -> Float32:
    """The score of each value's rank among the quantiles of its column, times the column's weight.

    Between two quantiles rank and score are interpolated linearly; beyond the ends they are those of the end. A value that
    equals several quantiles has the middle of their ranks.

    Args:
        values: float32[rows, columns]; NaN where unknown.
        knots: Quantiles of each column, rising; float32[columns, ranks]; NaN for a column without any.
        scores: Score of each rank; float64[ranks].
        weight: Of each column; float32[columns].

    Returns:
        float32[rows, columns]; 0 where the value or its column is unknown.
    """
    rows, columns = values.shape
    ranks = knots.shape[1]
    out = np.zeros((rows, columns), np.float32)
    for start in range(0, rows, _BLOCK):
        for column in range(columns):
            if not np.isfinite(knots[column, 0]):
                continue
            known = knots[column]
            for row in range(start, min(start + _BLOCK, rows)):
                value = values[row, column]
                if not np.isfinite(value):
                    continue
                first = np.searchsorted(known, value)
                last = first
                while last < ranks and known[last] == value:
                    last += 1
                if last > first:
                    rank = (first + last - 1) / 2.0
                elif first == 0:
                    rank = 0.0
                elif first == ranks:
                    rank = ranks - 1.0
                else:
                    low = np.float64(known[first - 1])
                    slope = 1.0 / (np.float64(known[first]) - low)
                    rank = slope * (np.float64(value) - low) + (first - 1)
                whole = int(rank)
                score = scores[whole]
                if whole < ranks - 1 and rank > whole:
                    score = (scores[whole + 1] - scores[whole]) * (rank - whole) + scores[whole]
                out[row, column] = np.float32(score * weight[column])
    return out
