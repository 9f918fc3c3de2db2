"""From a model's probabilities to honest ones: maps of two or three numbers, and intervals that hold whatever the model.

A map is fitted on predictions of rows the model has not seen. Isotonic maps are not offered: at the sizes of a lake of
episodes (up to some thousand rows) they score worst of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from footprint_assets.errors import FootprintError
from footprint_assets.ml.scores import isotonic

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Kind = Literal["platt", "beta"]

_SMALLEST = 1e-7
_STEPS = 100
_CLOSE = 1e-10


class OneClass(FootprintError):  # noqa: N818 - names the fact a reader meets
    """All rows have the same outcome, so nothing can be learned from them."""


@dataclass(frozen=True)
class Calibrator:
    """``1 / (1 + exp(-(slope_log_p * ln p - slope_log_q * ln(1 - p) + intercept)))``.

    Args:
        kind: ``platt`` (both slopes are equal: logistic on the log odds; Platt 1999) or ``beta`` (Kull, Silva Filho, Flach
            2017).
        slope_log_p: Of ``ln p``, at least 0.
        slope_log_q: Of ``-ln(1 - p)``, at least 0.
        intercept: Log odds.
    """

    kind: Kind
    slope_log_p: float
    slope_log_q: float
    intercept: float

    def __call__(self, p: Float64) -> Float64:
        """Calibrated probabilities; float64[rows]."""
        log_p, log_q = _logs(p)
        odds = self.slope_log_p * log_p - self.slope_log_q * log_q + self.intercept
        calibrated: Float64 = 1.0 / (1.0 + np.exp(-odds))
        return calibrated


def fit(p: Float64, y: Int64, kind: Kind = "platt", weight: Float64 | None = None) -> Calibrator:
    """Fit a map by maximum likelihood.

    Outcomes are drawn in by one row a class, as Platt does, so that a perfect separation stays finite. A slope that would
    turn the order of the probabilities is 0.

    Args:
        p: Probabilities of rows the model has not seen; float64[rows].
        y: What happened, 0 or 1; int64[rows].
        kind: The map.
        weight: Weight of each row; float64[rows], 1 where ``None``.

    Raises:
        OneClass: Only one outcome is there.
    """
    w = np.ones(p.shape[0]) if weight is None else weight
    ones, zeros = float(w[y == 1].sum()), float(w[y == 0].sum())
    if not ones or not zeros:
        raise OneClass(
            "All rows have one outcome.",
            where={"rows": p.shape[0], "outcome": int(y[0]) if y.size else "none"},
            remedy="calibrate on more trade dates.",
        )
    target = np.where(y == 1, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    log_p, log_q = _logs(p)
    columns = [log_p - log_q] if kind == "platt" else [log_p, -log_q]
    slopes, intercept = _logistic(columns, target, w)
    if kind == "platt":
        return Calibrator(kind, slopes[0], slopes[0], intercept)
    return Calibrator(kind, slopes[0], slopes[1], intercept)


def venn_abers(p_known: Float64, y_known: Int64, p: Float64) -> tuple[Float64, Float64]:
    """Lower and upper probability of 1 of each row, valid whatever the model (inductive Venn-Abers; Vovk, Petej 2014).

    The row joins the known ones once as a 0 and once as a 1; each time the isotonic fit gives it a probability.

    Args:
        p_known: Probabilities of rows with known outcome; float64[known].
        y_known: Their outcomes, 0 or 1; int64[known].
        p: Probabilities of other rows; float64[rows].

    Returns:
        ``(lower, upper)``, each float64[rows].
    """
    scores, place = np.unique(p, return_inverse=True)
    bounds = np.array([_with(p_known, y_known, score) for score in scores]).reshape(-1, 2)
    return bounds[place, 0], bounds[place, 1]


def _with(p_known: Float64, y_known: Int64, score: float) -> tuple[float, float]:
    joined = np.append(p_known, score)
    lower, upper = (float(isotonic(joined, np.append(y_known, outcome))[-1]) for outcome in (0, 1))
    return lower, upper


def _logs(p: Float64) -> tuple[Float64, Float64]:
    kept = np.clip(p, _SMALLEST, 1.0 - _SMALLEST)
    return np.log(kept), np.log1p(-kept)


def _logistic(columns: list[Float64], target: Float64, weight: Float64) -> tuple[list[float], float]:
    """Slopes, at least 0, and intercept of a logistic regression on soft targets, by Newton's method."""
    kept = list(range(len(columns)))
    while True:
        x = np.column_stack([*(columns[k] for k in kept), np.ones(target.shape[0])])
        found = _newton(x, target, weight)
        turned = [k for k, slope in zip(kept, found, strict=False) if slope < 0]
        if not turned:
            slopes = dict(zip(kept, found.tolist(), strict=False))
            return [slopes.get(k, 0.0) for k in range(len(columns))], float(found[-1])
        kept.remove(min(turned, key=lambda k: found[kept.index(k)]))


def _newton(x: Float64, target: Float64, weight: Float64) -> Float64:
    """Sums over rows are NumPy's own: those of the linear algebra library depend on its number of threads."""
    beta = np.zeros(x.shape[1])
    loss = _loss(x, target, weight, beta)
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.einsum("rk,k->r", x, beta)))
        gradient = np.einsum("rk,r->k", x, weight * (p - target))
        curvature = np.einsum("rk,r,rl->kl", x, weight * p * (1.0 - p), x) + 1e-12 * np.eye(x.shape[1])
        step = np.linalg.solve(curvature, gradient)
        while (new := _loss(x, target, weight, beta - step)) > loss + _CLOSE * abs(loss):
            step /= 2.0
        beta, gained, loss = beta - step, loss - new, new
        if abs(gained) <= _CLOSE * abs(loss):
            break
    return beta


def _loss(x: Float64, target: Float64, weight: Float64, beta: Float64) -> float:
    odds = np.einsum("rk,k->r", x, beta)
    return float(np.sum(weight * (np.logaddexp(0.0, odds) - target * odds)))
