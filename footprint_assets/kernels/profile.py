"""Volume profiles: volume by price row, its developing value area, its high and low volume nodes.

A row is ``tick // ticks_per_row``. A profile is dense: every row from the lowest to the highest traded one, so that a
row nobody traded at counts with volume 0.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.value_area import value_area

SMOOTHING_HALF_WIDTH = 2
"""Rows on each side of the centred moving sum nodes are looked for in: five rows."""
HIGH_NODE_FACTOR_TENTHS = 12
"""A high volume node holds at least 1.2 x the median of the smoothed profile."""
LOW_NODE_FACTOR_TENTHS = 5
"""A low volume node holds at most 0.5 x the median of the smoothed profile."""


@njit(cache=True, nogil=True)
def developing_value_area(
    row: NDArray[np.int64],
    size: NDArray[np.int64],
    first: int,
    ends: NDArray[np.int64],
    pct: int,
    step_rows: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Point of control and value area of a growing profile, in one pass over the trades.

    Only the rows between the lowest and the highest trade so far make the profile, because the tie rule of the point
    of control asks for the middle of the range.

    Args:
        row: Price row of each trade in event order; int64[trades].
        size: Trade sizes, above 0; int64[trades], contracts.
        first: Index of the first trade of the profile.
        ends: Ascending trade counts, above ``first``; value ``b`` covers the trades ``first:ends[b]``; int64[values].
        pct: Share of the volume inside the value area, 1 to 100 %.
        step_rows: Rows compared at each step of the value-area expansion, 1 or 2.

    Returns:
        ``(poc, val, vah)``, int64[values] each, rows.
    """
    n = ends.shape[0]
    poc = np.empty(n, np.int64)
    val = np.empty(n, np.int64)
    vah = np.empty(n, np.int64)
    if n == 0:
        return poc, val, vah
    base = row[first : ends[n - 1]].min()
    volumes = np.zeros(row[first : ends[n - 1]].max() - base + 1, np.int64)
    low = row[first] - base
    high = low
    at = first
    for b in range(n):
        while at < ends[b]:
            place = row[at] - base
            volumes[place] += size[at]
            low = min(low, place)
            high = max(high, place)
            at += 1
        centre, bottom, top = value_area(volumes[low : high + 1], pct, step_rows)
        poc[b] = base + low + centre
        val[b] = base + low + bottom
        vah[b] = base + low + top
    return poc, val, vah


@njit(cache=True, nogil=True)
def smoothed(volumes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Centred five-row sums of a profile; beyond its ends the volume is 0.

    Args:
        volumes: Volume of every row from low to high; int64[rows], contracts.

    Returns:
        int64[rows], five times the smoothed profile, contracts.
    """
    n = volumes.shape[0]
    out = np.zeros(n, np.int64)
    for i in range(n):
        for j in range(max(i - SMOOTHING_HALF_WIDTH, 0), min(i + SMOOTHING_HALF_WIDTH, n - 1) + 1):
            out[i] += volumes[j]
    return out


@njit(cache=True, nogil=True)
def volume_nodes(volumes: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """High and low volume nodes of a profile.

    A high node is a local maximum of the five-row smoothed profile of at least 1.2 x its median, a low node a local
    minimum of at most 0.5 x its median. All rows of a plateau are marked. A low node lies between two higher rows:
    the thin ends of a profile are no node.

    Args:
        volumes: Volume of every row from low to high, missing rows 0; int64[rows], contracts.

    Returns:
        ``(is_high_node, is_low_node)``, bool[rows] each.
    """
    n = volumes.shape[0]
    is_high = np.zeros(n, np.bool_)
    is_low = np.zeros(n, np.bool_)
    if n == 0:
        return is_high, is_low
    profile = smoothed(volumes)
    ordered = np.sort(profile)
    # Twice the median, so that an even number of rows needs no fraction.
    median_twice = ordered[(n - 1) // 2] + ordered[n // 2]
    start = 0
    while start < n:
        end = start
        while end + 1 < n and profile[end + 1] == profile[start]:
            end += 1
        value = profile[start]
        below = profile[start - 1] if start > 0 else np.int64(0)
        above = profile[end + 1] if end + 1 < n else np.int64(0)
        scaled = 20 * value
        if value > below and value > above and scaled >= HIGH_NODE_FACTOR_TENTHS * median_twice:
            is_high[start : end + 1] = True
        if value < below and value < above and scaled <= LOW_NODE_FACTOR_TENTHS * median_twice:
            is_low[start : end + 1] = True
        start = end + 1
    return is_high, is_low
