"""Whether a feature, a prediction or an outcome is still spread as it was: the population stability index with its noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32] | Float64

BINS = 10
ALARM_DEVIATIONS = 3.0
"""Standard deviations beyond the mean of no drift that are an alarm."""


@dataclass(frozen=True)
class Drift:
    """The distance of two samples of one feature.

    Args:
        index: Population stability index: the sum over bins of ``(q - p) ln(q / p)``.
        expected: Its mean without drift, at these sample sizes.
        deviation: Its standard deviation without drift.
    """

    index: float
    expected: float
    deviation: float

    @property
    def is_alarm(self) -> bool:
        """Whether chance alone hardly gives this distance. Fixed bounds such as 0.1 and 0.25 are noise at small samples."""
        return self.index > self.expected + ALARM_DEVIATIONS * self.deviation


def drift(before: Float64, now: Float64, bins: int = BINS) -> Drift:
    """Compare a sample with an earlier one, in bins of equal mass of the earlier one.

    The unknown is a bin of its own, and so is a value that many rows share.
    Without drift the index times ``n m / (n + m)`` follows a chi-squared distribution with one degree of freedom fewer than
    there are bins.

    Args:
        before: Earlier values, NaN where unknown; float64[n], n > 0.
        now: Values to judge; float64[m], m > 0.
        bins: Most bins of known values, those of shared values not counted.
    """
    edges = _edges(before, bins)
    p, q = (_shares(values, edges) for values in (before, now))
    there = (p + q) > 0
    n, m = before.shape[0], now.shape[0]
    # Half a row where a sample has none, as the logarithm asks for.
    p, q = np.maximum(p[there], 0.5 / n), np.maximum(q[there], 0.5 / m)
    freedom = int(there.sum()) - 1
    noise = 1.0 / n + 1.0 / m
    return Drift(float(np.sum((q - p) * np.log(q / p))), freedom * noise, float(np.sqrt(2 * freedom)) * noise)


def _edges(before: Floats, bins: int) -> Float64:
    """Ends of the bins. A value that is several quantiles, such as the 0 of a count, is a bin of its own.

    With what lies above it in one bin, a feature could leave that value altogether and its index would stay 0.
    """
    known = before[np.isfinite(before)].astype(np.float64)
    if not known.size:
        return known
    edges, count = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]), return_counts=True)
    return np.union1d(edges, np.nextafter(edges[count > 1], np.inf))


def _bins(values: Floats, edges: Float64) -> Int64:
    """The bin of each value, that of unknown values last."""
    place = np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), edges.size + 1)
    return place.astype(np.int64)


def _shares(values: Float64, edges: Float64) -> Float64:
    """Share of each bin, that of unknown values last."""
    shares: Float64 = np.bincount(_bins(values, edges), minlength=edges.size + 2) / values.shape[0]
    return shares


@dataclass(frozen=True)
class SessionDrift:
    """Stability indices of many columns, with what they are where trade dates change sides by chance.

    Args:
        index: Stability index of each column; float64[columns].
        null: Indices with the trade dates in another order; float64[columns, draws].
    """

    index: Float64
    null: Float64

    @cached_property
    def expected(self) -> Float64:
        """Mean of each column without drift; float64[columns]."""
        mean: Float64 = self.null.mean(axis=1)
        return mean

    @cached_property
    def bound(self) -> Float64:
        """Where an alarm begins; float64[columns]."""
        bound: Float64 = self.expected + ALARM_DEVIATIONS * self.null.std(axis=1)
        return bound

    @cached_property
    def is_alarm(self) -> npt.NDArray[np.bool_]:
        """Which columns have moved; bool[columns]."""
        return self.index > self.bound

    @cached_property
    def null_alarms(self) -> npt.NDArray[np.bool_]:
        """Which columns each other order would have called moved; bool[columns, draws]."""
        return self.null > self.bound[:, None]


def drift_by_session(
    before: Floats,
    now: Floats,
    session_before: Int64,
    session_now: Int64,
    *,
    draws: int,
    seed: int,
    bins: int = BINS,
) -> SessionDrift:
    """Compare columns of two samples of rows that come by trade date.

    As ``drift``, but chance is judged by dealing whole trade dates to the two sides: rows of a trade date resemble each
    other, and the chi-squared law of single rows would call nearly every feature of the market moved. All columns share
    the orders drawn, so that what several of them do together is judged too.

    Args:
        before: Earlier values, NaN where unknown; float[n, columns], n > 0.
        now: Values to judge; float[m, columns], m > 0.
        session_before: Trade date of each earlier row as a number; int64[n].
        session_now: Trade date of each row to judge; int64[m]; none of them among the earlier ones.
        draws: Orders of the trade dates drawn.
        seed: Of the draws.
        bins: Most bins of known values, those of shared values not counted.
    """
    dates, place = np.unique(np.concatenate([session_before, session_now]), return_inverse=True)
    later = np.unique(session_now).size
    random = np.random.default_rng(seed)
    is_now = np.zeros((draws + 1, dates.size))
    is_now[0] = np.isin(dates, session_now)
    for draw in is_now[1:]:
        draw[random.permutation(dates.size)[:later]] = 1.0
    indices = np.array(
        [
            _indices(_counts(before[:, k], now[:, k], place, dates.size, bins), is_now)
            for k in range(before.shape[1])
        ]
    ).reshape(before.shape[1], draws + 1)
    return SessionDrift(indices[:, 0], indices[:, 1:])


def _counts(before: Floats, now: Floats, place: Int64, dates: int, bins: int) -> Float64:
    """Rows of each trade date in each bin; float64[dates, bins]."""
    edges = _edges(before, bins)
    of_row = _bins(np.concatenate([before, now]), edges)
    counts = np.bincount(place * (edges.size + 2) + of_row, minlength=dates * (edges.size + 2))
    return counts.reshape(dates, edges.size + 2).astype(np.float64)


def _indices(counts: Float64, is_now: Float64) -> Float64:
    """Stability index of each way to deal the trade dates; float64[ways]."""
    # A product of so small matrices costs threads of the linear algebra library more to share than to do.
    now = np.einsum("wd,db->wb", is_now, counts)
    before = counts.sum(axis=0) - now
    n, m = before.sum(axis=1, keepdims=True), now.sum(axis=1, keepdims=True)
    p, q = np.maximum(before / n, 0.5 / n), np.maximum(now / m, 0.5 / m)
    there = counts.sum(axis=0) > 0
    indices: Float64 = np.sum(np.where(there, (q - p) * np.log(q / p), 0.0), axis=1)
    return indices
