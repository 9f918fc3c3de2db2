"""How many other levels stand around a level, how heavy they are, and how far the next one is."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

SCORE, BEYOND, WEIGHT, NEAREST, AHEAD, BACK = range(6)
COUNTS = 6
"""Rows of :func:`levels_around`; the counts follow."""


@njit(cache=True, nogil=True)
def levels_around(
    raw: Float64,
    weight: Float64,
    level: float,
    direction: int,
    band: float,
    half_tick: float,
    within: Float64,
) -> Float64:
    """What stands around a level at every bar.

    Levels are added one by one in their order, so that one which is not known yet changes no sum.

    Args:
        raw: Prices of the other levels, NaN where not known; float64[levels, bars], points.
        weight: How much each counts; float64[levels].
        level: The level, points.
        direction: +1 for an approach from below, -1 from above.
        band: Distance at which a level counts nothing any more, points.
        half_tick: Within it a level is on neither side, points.
        within: Distances levels are counted within; float64[distances], points.

    Returns:
        float64[COUNTS + distances, bars]: weight by nearness, the same signed by the side it is on (+1 beyond the level),
        weight of the known levels; distance of the nearest level, of the nearest beyond and of the nearest before it,
        NaN without one; then the counts.
    """
    out = np.zeros((COUNTS + within.shape[0], raw.shape[1]))
    out[NEAREST : BACK + 1] = np.nan
    for i in range(raw.shape[0]):
        for bar in range(raw.shape[1]):
            signed = (raw[i, bar] - level) * direction
            if np.isnan(signed):
                continue
            away = abs(signed)
            share = weight[i] * max(1 - away / band, 0.0)
            out[SCORE, bar] += share
            out[WEIGHT, bar] += weight[i]
            out[NEAREST, bar] = np.fmin(out[NEAREST, bar], away)
            if signed > half_tick:
                out[BEYOND, bar] += share
                out[AHEAD, bar] = np.fmin(out[AHEAD, bar], signed)
            elif signed < -half_tick:
                out[BEYOND, bar] -= share
                out[BACK, bar] = np.fmin(out[BACK, bar], -signed)
            for k in range(within.shape[0]):
                out[COUNTS + k, bar] += away <= within[k]
    return out
