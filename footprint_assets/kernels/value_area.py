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
def leads(volume: int, row: int, most: int, leader: int, rows: int) -> bool:
    """Whether a row takes the point of control from the one that has it so far.

    A tie goes to the row nearest the midpoint of the range, then to the lower price (CBOT Market Profile manual;
    mypivots for the last rule).

    Args:
        volume: Volume of the row, contracts.
        row: The row; rows are compared from low to high.
        most: Volume of the leader, 0 without one.
        leader: The leader's row, -1 without one.
        rows: Rows of the profile.
    """
    # Distances to the midpoint are compared doubled, so that an even number of rows needs no fraction.
    is_nearer = abs(2 * row - (rows - 1)) < abs(2 * leader - (rows - 1))
    return bool((volume > most) | ((volume == most) & (volume > 0) & is_nearer))


@njit(cache=True, nogil=True)
def point_of_control(volumes: NDArray[np.int64]) -> int:
    """Row with the most volume.

    Args:
        volumes: Volume of every row from low to high, missing rows 0; int64[rows], contracts.

    Returns:
        The row index, or -1 where the profile has no volume.
    """
    n = volumes.shape[0]
    best = -1
    most = 0
    for row in range(n):
        if leads(volumes[row], row, most, best, n):
            best, most = row, volumes[row]
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
    poc = point_of_control(volumes)
    if poc < 0:
        return -1, -1, -1
    total = 0
    for row in range(volumes.shape[0]):
        total += volumes[row]
    low, high, _ = expanded(volumes, poc, total, pct, step_rows)
    return poc, low, high


@njit(cache=True, nogil=True)
def expanded(
    volumes: NDArray[np.int64], poc: int, total: int, pct: int, step_rows: int
) -> tuple[int, int, int]:
    """The value area around a point of control that is known; see ``value_area``.

    Args:
        volumes: Volume of every row from low to high, missing rows 0; int64[rows], contracts.
        poc: The row of the point of control.
        total: Volume of all rows.
        pct: Share of the volume inside the value area, 1 to 100 %.
        step_rows: Rows a step compares.

    Returns:
        Row indices of its low and its high, and the volume inside.
    """
    n = volumes.shape[0]
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
    return low, high, inside
