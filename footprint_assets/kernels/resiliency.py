"""Resiliency: how fast the best quote comes back after trades took half of it.

A shock counts from the bar it fell in; what became of it counts only once it is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Resiliency:
    """What the shocks of a trailing window came to, by bar; float64[bars] each.

    Args:
        recovery_ratio_1s: Mean depth one second later over depth before, of shocks one second old; NaN without one.
        half_life_ms: Median time to half recovery of the shocks that have recovered; NaN without one.
        shock_cnt: Shocks.
    """

    recovery_ratio_1s: Float64
    half_life_ms: Float64
    shock_cnt: Float64


@njit(cache=True, nogil=True)
def _resiliency(end, span, ts, known, ratio, recovered, half_life, mean, median, count):  # type: ignore[no-untyped-def]
    first = past = 0
    # Half lives of the shocks of the window that have recovered, ascending: kept in order, so that no bar sorts them.
    times = np.empty(ts.shape[0])
    done = 0
    is_in = np.zeros(ts.shape[0], np.bool_)
    for b in range(end.shape[0]):
        while past < ts.shape[0] and ts[past] < end[b]:
            past += 1
        while first < past and ts[first] < end[b] - span:
            if is_in[first]:
                place = np.searchsorted(times[:done], half_life[first])
                for i in range(place, done - 1):
                    times[i] = times[i + 1]
                done -= 1
            first += 1
        total, seen = 0.0, 0
        for i in range(first, past):
            if known[i] <= end[b] and not np.isnan(ratio[i]):
                total += ratio[i]
                seen += 1
            if not is_in[i] and recovered[i] <= end[b] and not np.isnan(half_life[i]):
                place = np.searchsorted(times[:done], half_life[i])
                for j in range(done, place, -1):
                    times[j] = times[j - 1]
                times[place] = half_life[i]
                is_in[i] = True
                done += 1
        count[b] = past - first
        mean[b] = total / seen if seen > 0 else np.nan
        median[b] = (times[(done - 1) // 2] + times[done // 2]) / 2 if done > 0 else np.nan


def resiliency(
    bar_end_ns: Int64,
    window_ns: int,
    ts_ns: Int64,
    known_ns: Int64,
    recovery_ratio: Float64,
    recovered_ns: Int64,
    half_life_ms: Float64,
) -> Resiliency:
    """Shocks of the window that ends with every bar.

    Args:
        bar_end_ns: End of every bar, ascending, ns since the epoch, shape ``(bars,)``.
        window_ns: Length of the window, ns.
        ts_ns: Time of every shock, ascending, shape ``(shocks,)``.
        known_ns: When its recovery ratio was known; beyond every bar where it never is.
        recovery_ratio: Depth one second later / before; NaN where not known.
        recovered_ns: When half of what was taken was back; beyond every bar where it never was.
        half_life_ms: Time until then, ms; NaN where it never was.

    Returns:
        The measures, by bar.
    """
    mean, median, count = (np.empty(len(bar_end_ns)) for _ in range(3))
    _resiliency(
        bar_end_ns, window_ns, ts_ns, known_ns, recovery_ratio, recovered_ns, half_life_ms,
        mean, median, count,
    )  # fmt: skip
    return Resiliency(mean, median, count)
