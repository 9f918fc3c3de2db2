"""Volume profiles: volume by price row, its developing value area, its high and low volume nodes.

A row is ``tick // ticks_per_row``. A profile is dense: every row from the lowest to the highest traded one, so that a
row nobody traded at counts with volume 0.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.value_area import value_area

PER_MILLE = 1000


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
def smoothed(volumes: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Centred sums of a profile; beyond its ends the volume is 0.

    Args:
        volumes: Volume of every row from low to high; int64[rows], contracts.
        width: Rows summed, odd.

    Returns:
        int64[rows], ``width`` times the smoothed profile, contracts.
    """
    n = volumes.shape[0]
    half = width // 2
    out = np.zeros(n, np.int64)
    for i in range(n):
        for j in range(max(i - half, 0), min(i + half, n - 1) + 1):
            out[i] += volumes[j]
    return out


@njit(cache=True, nogil=True)
def volume_nodes(
    volumes: NDArray[np.int64], width: int = 5, high_per_mille: int = 1200, low_per_mille: int = 500
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """High and low volume nodes of a profile.

    A high node is a local maximum of the smoothed profile that reaches a multiple of its median, a low node a local
    minimum that stays under another. All rows of a plateau are marked. A low node lies between two higher rows: the
    thin ends of a profile are no node.

    Args:
        volumes: Volume of every row from low to high, missing rows 0; int64[rows], contracts.
        width: Rows of the centred smoothing window, odd.
        high_per_mille: Smallest high node, 1/1000 of the median.
        low_per_mille: Largest low node, 1/1000 of the median.

    Returns:
        ``(is_high_node, is_low_node)``, bool[rows] each.
    """
    n = volumes.shape[0]
    is_high = np.zeros(n, np.bool_)
    is_low = np.zeros(n, np.bool_)
    if n == 0:
        return is_high, is_low
    profile = smoothed(volumes, width)
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
        scaled = 2 * PER_MILLE * value
        if value > below and value > above and scaled >= high_per_mille * median_twice:
            is_high[start : end + 1] = True
        if value < below and value < above and scaled <= low_per_mille * median_twice:
            is_low[start : end + 1] = True
        start = end + 1
    return is_high, is_low


@njit(cache=True, nogil=True)
def has_two_distributions(is_high: NDArray[np.bool_], is_low: NDArray[np.bool_]) -> bool:
    """Whether a low volume node lies between two high ones.

    Args:
        is_high: High volume nodes from low to high; bool[rows].
        is_low: Low volume nodes; bool[rows].

    Returns:
        True for a double distribution.
    """
    found = 0
    for i in range(is_high.shape[0]):
        if is_high[i] and found == 2:
            return True
        if is_high[i]:
            found = 1
        elif is_low[i] and found == 1:
            found = 2
    return False
