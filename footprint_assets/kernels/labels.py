"""What price did after a touch: first passage, excursions, a judged trade, and how labels crowd each other.

A path is two arrays: nanoseconds since the decision, ascending, and the signed distance from the level in ticks,
positive beyond the level in the direction of the approach. Horizons are half-open: a trade at the horizon is outside.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

NOT_HIT = -1
STOPPED, EXPIRED, ON_TARGET, NO_TRADE = -1, 0, 1, 2
"""How a judged trade ended; ``NO_TRADE`` where nothing printed that could have ended it."""


@njit(cache=True, nogil=True)
def first_passage(elapsed_ns: Int64, distance: Int64, barrier: int, horizon_ns: int) -> tuple[int, int]:
    """When a path first reached ``+barrier`` and when ``-barrier``.

    The two horizontal barriers of the triple-barrier method: M. Lopez de Prado, *Advances in Financial Machine
    Learning* (2018), ch. 3; here on the distance from a level.

    Args:
        elapsed_ns: Time since the decision; int64[n], ns.
        distance: Signed distance from the level; int64[n], ticks.
        barrier: Distance of both barriers, ticks.
        horizon_ns: Horizon, excluded, ns.

    Returns:
        Positions in the path of the first distance ``>= barrier`` and of the first ``<= -barrier``; ``NOT_HIT`` where
        there is none before the horizon.
    """
    above = NOT_HIT
    below = NOT_HIT
    for i in range(elapsed_ns.shape[0]):
        if elapsed_ns[i] >= horizon_ns or (above >= 0 and below >= 0):
            break
        if above < 0 and distance[i] >= barrier:
            above = i
        if below < 0 and distance[i] <= -barrier:
            below = i
    return above, below


@njit(cache=True, nogil=True)
def excursions(elapsed_ns: Int64, distance: Int64, horizon_ns: int) -> tuple[int, int, int]:
    """The extremes of a path and its last point.

    Args:
        elapsed_ns: Time since the decision; int64[n], ns.
        distance: Signed distance from the level; int64[n], ticks.
        horizon_ns: Horizon, excluded, ns.

    Returns:
        Positions in the path of the first maximum, the first minimum and the last point; ``NOT_HIT`` on an empty path.
    """
    top = NOT_HIT
    bottom = NOT_HIT
    last = NOT_HIT
    for i in range(elapsed_ns.shape[0]):
        if elapsed_ns[i] >= horizon_ns:
            break
        if top < 0 or distance[i] > distance[top]:
            top = i
        if bottom < 0 or distance[i] < distance[bottom]:
            bottom = i
        last = i
    return top, bottom, last


@njit(cache=True, nogil=True)
def weighted_distance(elapsed_ns: Int64, distance: Int64, size: Int64, start_ns: int, end_ns: int) -> float:
    """Volume-weighted mean of a path in ``[start_ns, end_ns)``.

    Without volume there, price stood still: the mean over time is the last distance before ``end_ns``.

    Args:
        elapsed_ns: Time since the decision; int64[n], ns.
        distance: Signed distance from the level; int64[n], ticks.
        size: Contracts; int64[n], 0 where the point is no trade of the path.
        start_ns: Start of the window, ns.
        end_ns: End of the window, excluded, ns.

    Returns:
        Ticks; NaN where the path has no point before ``end_ns``.
    """
    weighted = np.int64(0)
    volume = np.int64(0)
    held = np.nan
    for i in range(elapsed_ns.shape[0]):
        if elapsed_ns[i] >= end_ns:
            break
        held = float(distance[i])
        if elapsed_ns[i] >= start_ns:
            weighted += distance[i] * size[i]
            volume += size[i]
    return weighted / volume if volume > 0 else held


@njit(cache=True, nogil=True)
def return_to_level(elapsed_ns: Int64, distance: Int64, after: int, horizon_ns: int) -> int:
    """How far a path came back after a point, the nearest to or farthest through the level.

    Args:
        elapsed_ns: Time since the decision; int64[n], ns.
        distance: Signed distance from the level; int64[n], ticks.
        after: Position in the path after which to look.
        horizon_ns: Horizon, excluded, ns.

    Returns:
        Smallest distance after that point, ticks; the distance of the point itself where nothing follows.
    """
    lowest = distance[after]
    for i in range(after + 1, elapsed_ns.shape[0]):
        if elapsed_ns[i] >= horizon_ns:
            break
        lowest = min(lowest, distance[i])
    return int(lowest)


@njit(cache=True, nogil=True)
def bracket(
    elapsed_ns: Int64, gain: Int64, stop_ticks: int, target_ticks: int, horizon_ns: int
) -> tuple[int, int]:
    """How a trade with a stop, a target and an expiry ended.

    The target is a resting order and fills at its own price. The stop becomes a market order and fills at the price of
    the trade that reached it. An expiring trade leaves at the last trade before the horizon.

    Args:
        elapsed_ns: Time of each trade of the market since the entry; int64[n], ns.
        gain: What leaving at that trade's price would have made; int64[n], ticks.
        stop_ticks: Loss that stops the trade, ticks.
        target_ticks: Gain that ends it, ticks.
        horizon_ns: Expiry, excluded, ns.

    Returns:
        ``(end, gain)``: ``STOPPED``, ``EXPIRED``, ``ON_TARGET`` or ``NO_TRADE``, and what the trade made, ticks.
    """
    end = NO_TRADE
    made = np.int64(0)
    for i in range(elapsed_ns.shape[0]):
        if elapsed_ns[i] >= horizon_ns:
            break
        if gain[i] >= target_ticks:
            return ON_TARGET, target_ticks
        if gain[i] <= -stop_ticks:
            return STOPPED, int(gain[i])
        end = EXPIRED
        made = gain[i]
    return end, int(made)


def average_uniqueness(start_ns: Int64, end_ns: Int64) -> Float64:
    """Mean over each label's life of one divided by the number of labels alive.

    M. Lopez de Prado, *Advances in Financial Machine Learning* (2018), ch. 4.4, in continuous time: exact, by a running sum
    over the instants at which a label starts or ends.

    Args:
        start_ns: Start of each label; int64[labels], ns.
        end_ns: End of each label, excluded, at or after its start; int64[labels], ns.

    Returns:
        float64[labels] in (0, 1]; of a label that ends where it starts, one divided by the labels alive then, itself
        included.
    """
    edges = np.unique(np.concatenate((start_ns, end_ns)))
    first, last = np.searchsorted(edges, start_ns), np.searchsorted(edges, end_ns)
    n = edges.shape[0]
    alive = np.cumsum(np.bincount(first, minlength=n) - np.bincount(last, minlength=n))
    shared = np.diff(edges) / np.maximum(alive[:-1], 1)
    total = np.concatenate(([0.0], np.cumsum(np.where(alive[:-1] > 0, shared, 0.0))))
    life = end_ns - start_ns
    mean = (total[last] - total[first]) / np.maximum(life, 1)
    unique: Float64 = np.where(life > 0, np.minimum(mean, 1.0), 1.0 / (alive[first] + 1))
    return unique
