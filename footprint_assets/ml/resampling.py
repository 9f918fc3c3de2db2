"""What chance alone does to a number, judged by whole trade dates: rows of one trade date share its path.

Bands come from drawing trade dates with replacement (the cluster bootstrap: Davison and Hinkley, *Bootstrap Methods and
their Application*, 1997, ch. 3.8), null bands from putting whole trade dates of outcomes into another order. Nothing here
draws single rows: such bands are several times too narrow. Those of a few trade dates are too narrow by themselves, and are
widened by what Student's t says of as many (Hesterberg, *What Teachers Should Know About the Bootstrap*, 2015, section 5.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

SHARE = 0.95
"""The chance that a band holds what it is a band of."""
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Band:
    """Two ends; NaN where nothing is known.

    Args:
        low: Lower end.
        high: Upper end.
    """

    low: float
    high: float


def copies(session: Int64, draws: int, seed: int) -> tuple[Int64, Float64]:
    """How often each trade date is there in each of many histories drawn from them.

    Args:
        session: Trade date of each row as a number; int64[rows].
        draws: Histories.
        seed: Of the draws.

    Returns:
        The place of each row's trade date among all, int64[rows], and the copies of each trade date,
        float64[draws, trade dates].
    """
    dates, place = np.unique(session, return_inverse=True)
    return place.astype(np.int64), _drawn(dates.size, draws, seed)


@lru_cache(maxsize=64)
def _drawn(dates: int, draws: int, seed: int) -> Float64:
    """The same histories serve every measure of as many trade dates; float64[draws, trade dates], not to be written."""
    random = np.random.default_rng(seed)
    drawn: Float64 = random.multinomial(dates, np.full(dates, 1.0 / dates), size=draws).astype(np.float64)
    drawn.setflags(write=False)
    return drawn


def ratio_draws(above: Float64, below: Float64, session: Int64, *, draws: int, seed: int) -> Float64:
    """Ratio of two sums over rows in each of many histories drawn from the trade dates.

    Args:
        above: What is summed above the line; float64[rows].
        below: What is summed below it; float64[rows].
        session: Trade date of each row as a number; int64[rows], at least one row.
        draws: Histories.
        seed: Of the draws.

    Returns:
        float64[draws]; NaN where the sum below is 0.
    """
    place, drawn = copies(session, draws, seed)
    # One order of summation a draw, whatever library multiplies matrices.
    above, below = (np.sum(drawn * np.bincount(place, values), axis=1) for values in (above, below))
    ratio: Float64 = np.divide(above, below, out=np.full(draws, np.nan), where=below != 0)
    return ratio


def ratio_band(
    above: Float64, below: Float64, session: Int64, *, draws: int, seed: int, share: float = SHARE
) -> Band:
    """Where the ratio of two sums over rows lies with a given chance; arguments as in ``ratio_draws``."""
    drawn = ratio_draws(above, below, session, draws=draws, seed=seed)
    return middle(drawn, widened(share, np.unique(session).size))


def mean_band(values: Float64, session: Int64, *, draws: int, seed: int, share: float = SHARE) -> Band:
    """Where a mean over rows lies with a given chance.

    Args:
        values: What is averaged; float64[rows].
        session: Trade date of each row as a number; int64[rows], at least one row.
        draws: Histories.
        seed: Of the draws.
        share: The chance.
    """
    return ratio_band(values, np.ones(values.shape[0]), session, draws=draws, seed=seed, share=share)


def chance_not_below_zero(values: Float64, session: Int64, *, draws: int, seed: int) -> float:
    """How often a mean over rows is not below 0: a one-sided p-value of its being below.

    Args:
        values: Such as the loss of one model less that of another, row by row; float64[rows].
        session: Trade date of each row as a number; int64[rows], at least one row.
        draws: Histories.
        seed: Of the draws.

    Returns:
        Above 0: what was seen counts as one of the draws.
    """
    drawn = ratio_draws(values, np.ones(values.shape[0]), session, draws=draws, seed=seed)
    found = (1 + np.count_nonzero(drawn >= 0)) / (draws + 1)
    dates = np.unique(session).size
    if dates < 2 or found == 1.0:
        return 1.0
    deviations = _NORMAL.inv_cdf(found) * math.sqrt((dates - 1) / dates)
    return 0.5 * (1.0 + math.copysign(_within(abs(deviations), dates - 1), deviations))


def null_band(
    measured: Callable[[Int64], float], session: Int64, *, draws: int, seed: int, share: float = SHARE
) -> Band:
    """Where a measure lies if outcomes have nothing to do with what stands beside them.

    Args:
        measured: The measure when the outcome of row ``order[i]`` stands at row ``i``; ``order`` is int64[rows].
        session: Trade date of each row as a number, rows of one together; int64[rows], at least one row.
        draws: Orders of the trade dates drawn.
        seed: Of the draws.
        share: The chance.
    """
    random = np.random.default_rng(seed)
    blocks = np.split(np.arange(session.shape[0]), np.flatnonzero(np.diff(session)) + 1)
    orders = (np.concatenate([blocks[i] for i in random.permutation(len(blocks))]) for _ in range(draws))
    return middle(np.array([measured(order) for order in orders]), share)


@lru_cache(maxsize=64)
def widened(share: float, dates: int) -> float:
    """The share of histories drawn from some trade dates whose band holds a mean with a given chance.

    Args:
        share: The chance.
        dates: Trade dates.

    Returns:
        ``share`` of very many, nearly 1 of a few; 1 of fewer than two.
    """
    if dates < 2:
        return 1.0
    low, high = 0.0, 1e3
    for _ in range(80):
        between = (low + high) / 2.0
        low, high = (between, high) if _within(between, dates - 1) < share else (low, between)
    return 2.0 * _NORMAL.cdf(high * math.sqrt(dates / (dates - 1))) - 1.0


def _within(deviations: float, freedom: int) -> float:
    """Chance that Student's t lies so many deviations from 0 at most (Abramowitz, Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(deviations / math.sqrt(freedom))
    is_odd = freedom % 2
    term = math.cos(angle) if is_odd else 1.0
    total = 0.0
    for k in range(2 + is_odd, freedom + 1, 2):
        total += term
        term *= (k - 1) / k * math.cos(angle) ** 2
    if is_odd:
        return 2.0 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def middle(drawn: Float64, share: float = SHARE) -> Band:
    """The band that holds the given share of draws.

    Args:
        drawn: A number a draw; float64[draws], NaN where it could not be had.
        share: The share.
    """
    known = drawn[np.isfinite(drawn)]
    if not known.size:
        return Band(np.nan, np.nan)
    low, high = np.quantile(known, [(1 - share) / 2, (1 + share) / 2])
    return Band(float(low), float(high))
