"""Scores of ranks against the same in numpy, column by column."""

from statistics import NormalDist

import numpy as np

from footprint_assets.kernels.ranks import gauss_ranks

RANKS = 257
SCORES = np.array([NormalDist().inv_cdf((rank + 0.5) / RANKS) for rank in range(RANKS)])


def by_numpy(values, knots, weight):
    placed = np.zeros(values.shape, np.float32)
    for column, of_column in enumerate(knots):
        known = np.isfinite(values[:, column]) & np.isfinite(of_column[0])
        value = values[known, column]
        first = np.searchsorted(of_column, value, side="left")
        last = np.searchsorted(of_column, value, side="right") - 1
        between = np.interp(value, of_column, np.arange(RANKS))
        rank = np.where(first <= last, (first + last) / 2, between)
        placed[known, column] = np.interp(rank, np.arange(RANKS), SCORES) * weight[column]
    return placed


def test_scores_are_those_of_numpy_to_the_last_bit():
    random = np.random.default_rng(3)
    columns = [
        random.standard_t(3, 700),
        random.integers(0, 4, 700),  # many values alike
        random.exponential(1e6, 700).round(),
        np.full(700, 2.0),
        np.full(700, np.nan),
    ]
    learned = np.column_stack(columns).astype(np.float32)
    knots = np.quantile(learned, np.linspace(0.0, 1.0, RANKS), axis=0).T.astype(np.float32)
    weight = random.random(len(columns)).astype(np.float32)
    asked = np.concatenate([learned, learned * 1.5 - 1.0, knots.T]).astype(np.float32)
    asked[random.random(asked.shape) < 0.05] = np.nan

    placed = gauss_ranks(asked, knots, SCORES, weight)

    assert placed.dtype == np.float32
    assert placed.tobytes() == by_numpy(asked, knots, weight).tobytes()
    assert not placed[:, 4].any()
