"""How one price stands in a volume profile that grows trade by trade.

A row is ``tick // ticks_per_row``; a profile is dense from its lowest to its highest traded row, as everywhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.profile import volume_nodes
from footprint_assets.kernels.value_area import value_area

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

RANK, SHARE, IS_HIGH_NODE, IS_LOW_NODE, IN_VALUE_AREA, POC = range(6)
STANDINGS = 6
"""Columns of :func:`profile_standing`."""


@njit(cache=True, nogil=True)
def volume_rank(volumes: Int64, here: np.int64) -> float:
    """Mid-rank of a volume among the rows of a profile: the share of rows below it, equal ones counted half.

    Args:
        volumes: Volume of every row from low to high; int64[rows >= 1], contracts.
        here: The volume, contracts.

    Returns:
        In [0, 1].
    """
    below, equal = 0, 0
    for volume in volumes:
        below += volume < here
        equal += volume == here
    share: float = (2 * below + equal) / (2 * volumes.shape[0])
    return share


@njit(cache=True, nogil=True)
def profile_standing(
    row: Int64,
    size: Int64,
    first: int,
    ends: Int64,
    level: int,
    lowest: int,
    highest: int,
    pct: int,
    step_rows: int,
    width: int,
    high_per_mille: int,
    low_per_mille: int,
) -> Float64:
    """The standing of one row after each of several trade counts.

    Args:
        row: Price row of each trade; int64[trades].
        size: Contracts, above 0; int64[trades].
        first: First trade of the profile.
        ends: Ascending trade counts, above ``first``; int64[values].
        level: The row of the level.
        lowest: Lowest row of the level's neighbourhood.
        highest: Highest row of it.
        pct: Share of the volume inside the value area, %.
        step_rows: Rows compared at each step of the value-area expansion.
        width: Rows of the smoothed profile nodes are looked for in.
        high_per_mille: Smallest high node, 1/1000 of the smoothed profile's median.
        low_per_mille: Largest low node, likewise.

    Returns:
        float64[values, STANDINGS]: mid-rank of the level's volume, share of the volume in the neighbourhood, whether the
        level is a high node, a low node, inside the value area (1 or 0; 0 beyond the profile), and the row of the point
        of control.
    """
    n = ends.shape[0]
    out = np.full((n, STANDINGS), np.nan)
    if n == 0:
        return out
    base = row[first : ends[n - 1]].min()
    ladder = np.zeros(row[first : ends[n - 1]].max() - base + 1, np.int64)
    low, high = row[first] - base, row[first] - base
    total, near, here = np.int64(0), np.int64(0), np.int64(0)
    at = first
    for k in range(n):
        while at < ends[k]:
            place = row[at] - base
            ladder[place] += size[at]
            low, high = min(low, place), max(high, place)
            total += size[at]
            if lowest <= row[at] <= highest:
                near += size[at]
            if row[at] == level:
                here += size[at]
            at += 1
        profile = ladder[low : high + 1]
        centre, bottom, top = value_area(profile, pct, step_rows)
        is_high, is_low = volume_nodes(profile, width, high_per_mille, low_per_mille)
        place = level - base - low
        inside = 0 <= place < profile.shape[0]
        out[k, RANK] = volume_rank(profile, here)
        out[k, SHARE] = near / total
        out[k, IS_HIGH_NODE] = inside and is_high[place]
        out[k, IS_LOW_NODE] = inside and is_low[place]
        out[k, IN_VALUE_AREA] = bottom <= place <= top
        out[k, POC] = base + low + centre
    return out
