"""How good probabilities are: proper scores, calibration with its noise floor, discrimination with its null band.

Rows of a trade date share its path, so chance is judged by whole trade dates; shuffling single rows would give a null band
several times too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from footprint_assets.ml.resampling import Band, copies, middle, null_band, widened

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

BINS = 15
"""Bins of equal mass of a calibration error."""
_SMALLEST = 1e-15


def log_loss(y: Int64, p: Float64) -> float:
    """Mean of ``-ln`` of the probability given to what happened, nats.

    Args:
        y: What happened, 0 or 1; int64[rows].
        p: Probability of 1; float64[rows].
    """
    return float(np.mean(log_losses(y, p)))


def log_losses(y: Int64, p: Float64) -> Float64:
    """``-ln`` of the probability given to what happened, nats; float64[rows].

    Args:
        y: What happened, 0 or 1; int64[rows].
        p: Probability of 1; float64[rows].
    """
    losses: Float64 = -np.log(np.clip(np.where(y == 1, p, 1.0 - p), _SMALLEST, 1.0))
    return losses


def pinball_losses(y: Float64, said: Float64, quantiles: Sequence[float]) -> Float64:
    """Mean loss of the quantiles of each row (Koenker and Bassett 1978); float64[rows].

    Args:
        y: What happened; float64[rows].
        said: The quantiles; float64[rows, quantiles].
        quantiles: Share of outcomes below each.
    """
    above, share = y[:, None] - said, np.asarray(quantiles)
    losses: Float64 = np.mean(np.maximum(share * above, (share - 1.0) * above), axis=1)
    return losses


def brier(y: Int64, p: Float64) -> float:
    """Mean squared difference between probability and outcome (Brier 1950).

    Args:
        y: What happened, 0 or 1; int64[rows].
        p: Probability of 1; float64[rows].
    """
    return float(np.mean((p - y) ** 2))


def auc(y: Int64, score: Float64) -> float:
    """Chance that a row with outcome 1 has the higher score than one with 0; equal scores count half.

    Mann-Whitney U over its largest value.

    Args:
        y: What happened, 0 or 1; int64[rows].
        score: Any number that grows with the chance of 1; float64[rows].

    Returns:
        0 to 1; NaN where one of the outcomes is missing.
    """
    return _auc(y, _ranks(score))


def _ranks(score: Float64) -> Float64:
    """Rank of each row from 1; equal scores share the middle of theirs."""
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks: Float64 = (np.cumsum(count) - (count - 1) / 2.0)[place]
    return ranks


def _auc(y: Int64, rank: Float64) -> float:
    ones = int(y.sum())
    zeros = y.shape[0] - ones
    if not ones or not zeros:
        return float("nan")
    return float((rank[y == 1].sum() - ones * (ones + 1) / 2.0) / (ones * zeros))


@dataclass(frozen=True)
class Reliability:
    """Rows in bins of equal mass by their probability.

    Args:
        rows: Rows of each bin; int64[bins].
        predicted: Mean probability; float64[bins].
        observed: Share of outcome 1; float64[bins].
    """

    rows: Int64
    predicted: Float64
    observed: Float64


def reliability(y: Int64, p: Float64, bins: int = BINS) -> Reliability:
    """Put rows into bins of equal mass; equal probabilities share a bin.

    Args:
        y: What happened, 0 or 1; int64[rows], at least one.
        p: Probability of 1; float64[rows].
        bins: Most bins.
    """
    place = bins_of(p, bins)
    rows = np.bincount(place)
    return Reliability(rows, np.bincount(place, p) / rows, np.bincount(place, y) / rows)


def bins_of(p: Float64, bins: int = BINS) -> Int64:
    """The bin of equal mass of each row, from 0; int64[rows].

    Args:
        p: Probability of 1; float64[rows], at least one.
        bins: Most bins.
    """
    edges = np.unique(np.quantile(p, np.linspace(0.0, 1.0, bins + 1)[1:-1], method="lower"))
    _, place = np.unique(np.searchsorted(edges, p, side="left"), return_inverse=True)
    return place.astype(np.int64)


def calibration_error(y: Int64, p: Float64, bins: int = BINS) -> float:
    """Root mean squared distance of predicted and observed frequency, less what chance alone gives.

    The debiased estimator of Kumar, Liang, Ma, *Verified Uncertainty Calibration* (2019), by bins of equal mass; the plain
    one of a perfect model is above 0 by chance, 0.1 at 200 rows.

    Args:
        y: What happened, 0 or 1; int64[rows].
        p: Probability of 1; float64[rows].
        bins: Most bins.

    Returns:
        0 or more; 0 too where the distance is less than chance gives.
    """
    return _error(reliability(y, p, bins))


def _error(table: Reliability) -> float:
    chance = table.observed * (1.0 - table.observed) / np.maximum(table.rows - 1, 1)
    squared = (table.predicted - table.observed) ** 2 - np.where(table.rows > 1, chance, 0.0)
    return float(np.sqrt(max(0.0, float(np.average(squared, weights=table.rows)))))


def calibration_noise(p: Float64, *, draws: int, seed: int, share: float = 0.95, bins: int = BINS) -> float:
    """The calibration error that a perfect model with these probabilities stays below with a given chance.

    Outcomes are drawn from the probabilities themselves (consistency resampling: Broecker and Smith, *Increasing the
    Reliability of Reliability Diagrams*, 2007).

    Args:
        p: Probabilities; float64[rows].
        draws: Outcomes drawn of all rows.
        seed: Of the draws.
        share: The chance.
        bins: Most bins.
    """
    random = np.random.default_rng(seed)
    place = bins_of(p, bins)
    rows = np.bincount(place)
    predicted = np.bincount(place, p) / rows
    errors = [
        _error(Reliability(rows, predicted, np.bincount(place, random.random(p.shape[0]) < p) / rows))
        for _ in range(draws)
    ]
    return float(np.quantile(errors, share))


def auc_null_band(
    y: Int64, score: Float64, session: Int64, *, draws: int, seed: int, share: float = 0.95
) -> tuple[float, float]:
    """The band that holds the AUC of a score that knows nothing of the outcomes, with a given chance.

    Whole trade dates of outcomes are put into another order beside the scores.

    Args:
        y: What happened, 0 or 1; int64[rows].
        score: The score; float64[rows].
        session: Trade date of each row as a number, rows of one together; int64[rows].
        draws: Orders drawn.
        seed: Of the draws.
        share: The chance.

    Returns:
        Lower and upper end.
    """
    rank = _ranks(score)
    band = null_band(lambda orders: _auc(y[orders], rank), session, draws=draws, seed=seed, share=share)
    return band.low, band.high


def auc_band(y: Int64, score: Float64, session: Int64, *, draws: int, seed: int, share: float = 0.95) -> Band:
    """Where the AUC lies with a given chance, by histories drawn from the trade dates.

    Args:
        y: What happened, 0 or 1; int64[rows].
        score: The score; float64[rows].
        session: Trade date of each row as a number; int64[rows].
        draws: Histories drawn.
        seed: Of the draws.
        share: The chance.
    """
    place, drawn = copies(session, draws, seed)
    _, level = np.unique(score, return_inverse=True)
    found = np.array([_weighted_auc(y, level, copy[place]) for copy in drawn])
    return middle(found, widened(share, drawn.shape[1]))


def _weighted_auc(y: Int64, level: Int64, weight: Float64) -> float:
    """AUC of rows that are there several times; ``level`` is the place of the score among all scores."""
    ones, zeros = np.bincount(level, weight * y), np.bincount(level, weight * (1 - y))
    pairs = ones.sum() * zeros.sum()
    return float(np.sum(ones * (np.cumsum(zeros) - zeros / 2.0)) / pairs) if pairs else float("nan")


@dataclass(frozen=True)
class Decomposition:
    """The Brier score in parts: ``miscalibration - discrimination + uncertainty``.

    Args:
        miscalibration: What recalibration would gain.
        discrimination: What the recalibrated forecast gains on the base rate.
        uncertainty: The score of the base rate.
    """

    miscalibration: float
    discrimination: float
    uncertainty: float


def decompose(y: Int64, p: Float64) -> Decomposition:
    """Take a Brier score apart by isotonic recalibration (CORP: Dimitriadis, Gneiting, Jordan, 2021).

    Args:
        y: What happened, 0 or 1; int64[rows].
        p: Probability of 1; float64[rows].
    """
    recalibrated, base = isotonic(p, y), np.full(p.shape[0], float(y.mean()))
    uncertainty = brier(y, base)
    best = brier(y, recalibrated)
    return Decomposition(brier(y, p) - best, uncertainty - best, uncertainty)


def isotonic(score: Float64, y: Int64) -> Float64:
    """The rising function of a score that is closest to the outcomes in squares.

    Pool adjacent violators; equal scores get one value.

    Args:
        score: The score; float64[rows].
        y: What happened, 0 or 1; int64[rows].

    Returns:
        Its value at each row; float64[rows].
    """
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    totals = np.bincount(place, y)
    value: list[float] = []
    rows: list[int] = []
    pooled: list[int] = []
    for total, n in zip(totals.tolist(), count.tolist(), strict=True):
        mean, weight, scores = total / n, n, 1
        while value and value[-1] >= mean:
            mean = (value[-1] * rows[-1] + mean * weight) / (rows[-1] + weight)
            weight += rows.pop()
            scores += pooled.pop()
            value.pop()
        value.append(mean)
        rows.append(weight)
        pooled.append(scores)
    fitted: Float64 = np.repeat(value, pooled)[place]
    return fitted
