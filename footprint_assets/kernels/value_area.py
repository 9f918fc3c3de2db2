"""Point of control and value area of one volume profile.

One function, because footprint bars, developing profiles and session profiles must agree on the same rows. The
published variants differ only in how many rows each expansion step compares, so that is the one parameter.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

PERCENT = 100


@njit(cache=True, nogil=True)
def point_of_control(volumes: NDArray[np.int64]) -> int:
    """Row with the most volume.

    A tie goes to the row nearest the midpoint of the range, then to the lower price (CBOT Market Profile manual;
    mypivots for the last rule).

    Args:
        volumes: Volume of every row from low to high, missing rows 0; int64[rows], contracts.

    Returns:
        The row index, or -1 where the profile has no volume.
    """
    n = volumes.shape[0]
    best = -1
    for row in range(n):
        volume = volumes[row]
        if volume <= 0:
            continue
        # Distances to the midpoint are compared doubled, so that an even number of rows needs no fraction.
        if (
            best < 0
            or volume > volumes[best]
            or (volume == volumes[best] and abs(2 * row - (n - 1)) < abs(2 * best - (n - 1)))
        ):
            best = row
    return best


@njit(cache=True, nogil=True)
def value_area(volumes: NDArray[np.int64], pct: int, step_rows: int) -> tuple[int, int, int]:
    """Point of control and the smallest greedy range around it that holds ``pct`` percent of the volume.

    Starting at the point of control, each step compares the sums of the next ``step_rows`` rows above and below and
    takes the larger. A tie goes to the side whose boundary is nearer the point of control, then up. An exhausted side
    is never chosen. The arithmetic is integer throughout, so a target met exactly stops the expansion.

    Args:
        volumes: Volume of every row from low to high, missing rows 0; int64[rows], contracts.
        pct: Share of the volume inside the value area, 1 to 100 %.
        step_rows: 2 for the CBOT/Steidlmayer rule (Dalton, *Mind over Markets*, appendix 1), 1 for the one-row rule.

    Returns:
        Row indices ``(poc, val, vah)``, or ``(-1, -1, -1)`` where the profile has no volume.
    """
    n = volumes.shape[0]
    poc = point_of_control(volumes)
    if poc < 0:
        return -1, -1, -1
    total = np.int64(0)
    for row in range(n):
        total += volumes[row]
    low = poc
    high = poc
    inside = volumes[poc]
    while PERCENT * inside < pct * total and (low > 0 or high < n - 1):
        above_end = min(high + step_rows, n - 1)
        below_end = max(low - step_rows, 0)
        above = np.int64(0)
        for row in range(high + 1, above_end + 1):
            above += volumes[row]
        below = np.int64(0)
        for row in range(below_end, low):
            below += volumes[row]
        if high == n - 1:
            take_above = False
        elif low == 0 or above > below:
            take_above = True
        elif above < below:
            take_above = False
        else:
            take_above = high - poc <= poc - low
        if take_above:
            high = above_end
            inside += above
        else:
            low = below_end
            inside += below
    return poc, low, high
