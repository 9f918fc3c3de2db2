"""Whether a feature, a prediction or an outcome is still spread as it was: the population stability index with its noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

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
    """Compare a sample with an earlier one, in bins of equal mass of the earlier one; the unknown is a bin of its own.

    Without drift the index times ``n m / (n + m)`` follows a chi-squared distribution with one degree of freedom fewer than
    there are bins.

    Args:
        before: Earlier values, NaN where unknown; float64[n], n > 0.
        now: Values to judge; float64[m], m > 0.
        bins: Most bins of known values.
    """
    known = before[np.isfinite(before)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if known.size else known
    p, q = (_shares(values, edges) for values in (before, now))
    there = (p + q) > 0
    n, m = before.shape[0], now.shape[0]
    # Half a row where a sample has none, as the logarithm asks for.
    p, q = np.maximum(p[there], 0.5 / n), np.maximum(q[there], 0.5 / m)
    freedom = int(there.sum()) - 1
    noise = 1.0 / n + 1.0 / m
    return Drift(float(np.sum((q - p) * np.log(q / p))), freedom * noise, float(np.sqrt(2 * freedom)) * noise)


def _shares(values: Float64, edges: Float64) -> Float64:
    """Share of each bin, that of unknown values last."""
    place = np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), edges.size + 1)
    shares: Float64 = np.bincount(place, minlength=edges.size + 2) / values.shape[0]
    return shares
