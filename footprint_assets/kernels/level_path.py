"""The path towards a level over trailing windows of bars.

Every window is computed anew from its members, oldest first, as in :mod:`footprint_assets.kernels.rolling`; the windows of
all rows side by side, so that the processor adds several at once.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

VELOCITY, ACCELERATION, EFFICIENCY, IN_BAND, CLOSEST, TOWARD, ROUGHNESS = range(7)
"""Measures of :func:`path_windows`."""
MEASURES = 7


@njit(cache=True, nogil=True)
def _sums(values, first, window, out):  # type: ignore[no-untyped-def]
    """Sum of the last ``window`` values at ``first``, ``first + 1``, ..."""
    out[:] = 0.0
    for begin in range(first - window + 1, first + 1):
        member = values[begin : begin + out.shape[0]]
        for t in range(out.shape[0]):
            out[t] += member[t]


@njit(cache=True, nogil=True)
def _slopes(values, first, window, out):  # type: ignore[no-untyped-def]
    """Least-squares slope on the bar number over the last ``window`` values at ``first``, ``first + 1``, ..."""
    n = out.shape[0]
    mean = np.empty(n)
    _sums(values, first, window, mean)
    for t in range(n):
        mean[t] /= window
    out[:] = 0.0
    xx = 0.0
    for i in range(window):
        begin = first - window + 1 + i
        member = values[begin : begin + n]
        x = i - (window - 1) / 2
        xx += x * x
        for t in range(n):
            out[t] += x * (member[t] - mean[t])
    for t in range(n):
        out[t] /= xx


@njit(cache=True, nogil=True)
def _smallest(values, first, window, out):  # type: ignore[no-untyped-def]
    """Smallest of the last ``window`` values at ``first``, ``first + 1``, ...; NaN where one of them is."""
    n = out.shape[0]
    unknown = np.zeros(n, np.bool_)
    out[:] = np.inf
    for begin in range(first - window + 1, first + 1):
        member = values[begin : begin + n]
        for t in range(n):
            unknown[t] |= np.isnan(member[t])
            out[t] = member[t] if member[t] < out[t] else out[t]
    for t in range(n):
        if unknown[t]:
            out[t] = np.nan


@njit(cache=True, nogil=True)
def path_windows(signed: Float64, before: int, windows: Int64, bars_per_minute: int, band: float) -> Float64:
    """Measures of the path over trailing windows of bars.

    Args:
        signed: Distance from the level at the end of each bar; float64[bars], NaN where not known.
        before: Bars before the first row.
        windows: Lengths, at least two; int64[windows], bars.
        bars_per_minute: Bars of a minute.
        band: Farthest distance that is inside the band.

    Returns:
        float64[windows, MEASURES, bars - before], NaN until the window is full and where a member is NaN:
        ``VELOCITY`` by least squares, a minute; ``ACCELERATION``, its change from one window ago, a minute;
        ``EFFICIENCY``, the distance gained over the way gone, NaN without a way; share of the bars ``IN_BAND``;
        ``CLOSEST`` distance; share of the bars ``TOWARD`` the level, nearer than the bar before; ``ROUGHNESS``, the root
        of the summed squares of the steps.
    """
    bars = signed.shape[0]
    out = np.full((windows.shape[0], MEASURES, bars - before), np.nan)
    away = np.abs(signed)
    step, square = np.full(bars, np.nan), np.full(bars, np.nan)
    inside, toward = np.full(bars, np.nan), np.full(bars, np.nan)
    for t in range(bars):
        if not np.isnan(away[t]):
            inside[t] = away[t] <= band
        if t > 0 and not np.isnan(signed[t] - signed[t - 1]):
            step[t] = abs(signed[t] - signed[t - 1])
            square[t] = (signed[t] - signed[t - 1]) * (signed[t] - signed[t - 1])
            toward[t] = away[t] - away[t - 1] < 0
    for k in range(windows.shape[0]):
        w = windows[k]
        # A velocity is wanted a window before the rows too: theirs is compared with it.
        full = max(before - w, w - 1)
        if full < bars:
            velocity = np.full(bars, np.nan)
            _slopes(signed, full, w, velocity[full:])
            velocity *= bars_per_minute
            out[k, VELOCITY] = velocity[before:]
            for t in range(max(before, w), bars):
                out[k, ACCELERATION, t - before] = (velocity[t] - velocity[t - w]) / (w / bars_per_minute)
        full = max(before, w - 1)
        if full < bars:
            _sums(inside, full, w, out[k, IN_BAND, full - before :])
            _smallest(away, full, w, out[k, CLOSEST, full - before :])
        full = max(before, w)
        if full < bars:
            _sums(toward, full, w, out[k, TOWARD, full - before :])
            _sums(square, full, w, out[k, ROUGHNESS, full - before :])
            way = out[k, EFFICIENCY, full - before :]
            _sums(step, full, w, way)
            for t in range(full, bars):
                gone = way[t - full]
                way[t - full] = abs(signed[t] - signed[t - w]) / gone if gone != 0.0 else np.nan
    for k in range(windows.shape[0]):
        for t in range(bars - before):
            out[k, IN_BAND, t] /= windows[k]
            out[k, TOWARD, t] /= windows[k]
            out[k, ROUGHNESS, t] = np.sqrt(out[k, ROUGHNESS, t])
    return out


@njit(cache=True, nogil=True)
def run_of_toward_bars(signed: Float64, before: int) -> Float64:
    """How many bars in a row, up to each, ended closer to the level than the bar before.

    Args:
        signed: Distance from the level at the end of each bar; float64[bars], NaN where not known.
        before: Bars before the first row.

    Returns:
        float64[bars - before]; NaN where the distance is not known.
    """
    out = np.full(signed.shape[0] - before, np.nan)
    run = 0
    for t in range(signed.shape[0]):
        run = run + 1 if t > 0 and abs(signed[t]) - abs(signed[t - 1]) < 0 else 0
        if t >= before and not np.isnan(signed[t]):
            out[t - before] = run
    return out
