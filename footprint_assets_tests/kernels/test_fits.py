"""Fits on a session: the main direction of order-flow imbalance and the micro-price table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.fits import (
    MIN_FIT_BARS,
    STOIKOV_JUMPS_TICKS,
    STOIKOV_TERMS,
    UNDEFINED_BUCKET,
    explained_share,
    imbalance_bucket,
    ofi_principal_component,
    stoikov_adjustment,
    stoikov_counts,
)

MIRROR = np.array([(9 - i) * 2 + s for i in range(10) for s in range(2)])


def factor_bars(seed, bars=300, noise=0.5):
    """Ten levels that follow one factor, each with noise of its own."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(bars, 1)) * rng.uniform(0.5, 1.5, 10) + noise * rng.normal(size=(bars, 10))


def quote_walk(seed, samples=3000):
    """A market whose mid moves to the heavy side of the book, now and then undefined."""
    rng = np.random.default_rng(seed)
    bucket, spread = rng.integers(0, 10, samples), rng.integers(1, 4, samples)
    side = np.where(rng.random(samples) < (bucket + 0.5) / 10, 1, -1)
    step = np.where(rng.random(samples) < 0.4, side * rng.integers(1, 5, samples), 0)
    mid = 40_000 + np.concatenate(([0], np.cumsum(step[:-1])))
    return np.where(rng.random(samples) < 0.02, UNDEFINED_BUCKET, bucket), spread, mid


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_the_component_is_the_leading_eigenvector_of_the_covariance(seed):
    ofi = factor_bars(seed)
    values, vectors = np.linalg.eigh(np.cov(ofi.T))
    weights = ofi_principal_component(ofi)
    assert weights is not None
    assert abs(weights @ vectors[:, -1]) == pytest.approx(1.0, abs=1e-9)
    assert np.linalg.norm(weights) == pytest.approx(1.0)
    assert weights.sum() > 0
    assert explained_share(ofi, weights) == pytest.approx(values[-1] / values.sum())


@pytest.mark.parametrize("factor", [-1.0, 3.0])
def test_the_sign_and_the_scale_of_the_bars_do_not_turn_the_component(factor):
    ofi = factor_bars(5)
    assert ofi_principal_component(factor * ofi) == pytest.approx(ofi_principal_component(ofi))


def test_bars_without_a_known_book_are_left_out():
    ofi = factor_bars(1)
    gapped = np.insert(ofi, 40, np.nan, axis=0)
    gapped[3, 7] = np.nan
    kept = np.delete(ofi, 3, axis=0)
    assert np.array_equal(ofi_principal_component(gapped), ofi_principal_component(kept))


def test_too_few_bars_and_bars_without_variance_have_no_component():
    assert ofi_principal_component(factor_bars(1, MIN_FIT_BARS - 1)) is None
    assert ofi_principal_component(factor_bars(1, MIN_FIT_BARS)) is not None
    assert ofi_principal_component(np.ones((500, 10))) is None
    assert ofi_principal_component(np.empty((0, 10))) is None


def test_edges_of_the_imbalance_belong_to_the_bucket_farther_from_the_middle():
    bid = np.array([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 0])
    ask = np.array([10, 9, 8, 7, 6, 5, 4, 3, 1, 0, 0])
    assert imbalance_bucket(bid, ask).tolist() == [0, 0, 1, 2, 3, 5, 6, 7, 9, 9, UNDEFINED_BUCKET]


@given(st.integers(0, 400), st.integers(0, 400))
def test_swapping_the_sides_mirrors_the_bucket(bid, ask):
    one, other = (imbalance_bucket(np.array([a]), np.array([b]))[0] for a, b in ((bid, ask), (ask, bid)))
    assert one + other == 9 or bid == ask


def reference_counts(bucket, spread, mid):
    stay, move, jump = np.zeros((20, 20), int), np.zeros((20, 20), int), np.zeros((20, 4), int)
    for t in range(len(bucket) - 1):
        if UNDEFINED_BUCKET in (bucket[t], bucket[t + 1]) or min(spread[t], spread[t + 1]) < 1:
            continue
        before, after = (2 * bucket[k] + (0 if spread[k] == 1 else 1) for k in (t, t + 1))
        ticks = max(min((mid[t + 1] - mid[t]) / 2, 1.0), -1.0)
        if ticks == 0:
            stay[before, after] += 1
        else:
            move[before, after] += 1
            jump[before, STOIKOV_JUMPS_TICKS.index(ticks)] += 1
    return stay, move, jump


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_steps_are_counted_by_the_states_around_them(seed):
    walk = quote_walk(seed, 200)
    walk[1][::17] = 0  # locked
    for got, expected in zip(stoikov_counts(*walk), reference_counts(*walk), strict=True):
        assert np.array_equal(got, expected)


def test_no_samples_and_one_sample_have_no_steps():
    for n in (0, 1):
        counts = stoikov_counts(*(np.ones(n, np.int64) for _ in range(3)))
        assert [int(c.sum()) for c in counts] == [0, 0, 0]


def reference_table(stay, move, jump):
    """Stoikov (2018) written with matrices; every state must be able to move."""
    stay, move = (c + c[MIRROR][:, MIRROR] for c in (stay, move))
    jump = jump + jump[MIRROR][:, ::-1]
    left = (stay.sum(1) + move.sum(1))[:, None]
    inverse = np.linalg.inv(np.eye(20) - stay / left)
    first = inverse @ (jump / left) @ np.array(STOIKOV_JUMPS_TICKS)
    again = inverse @ (move / left)
    return sum(np.linalg.matrix_power(again, j) @ first for j in range(STOIKOV_TERMS))


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_the_table_is_that_of_the_paper_and_antisymmetric(seed):
    counts = stoikov_counts(*quote_walk(seed))
    table = stoikov_adjustment(*counts)
    assert table == pytest.approx(reference_table(*counts), abs=1e-9)
    assert np.array_equal(table, -table[MIRROR])


def test_the_table_leans_to_the_heavy_side_of_the_book():
    table = stoikov_adjustment(*stoikov_counts(*quote_walk(3, 50_000))).reshape(10, 2)
    assert (np.diff(table, axis=0) > 0).all()
    assert np.abs(table).max() < 1.0


def test_flat_counts_give_the_same_table():
    counts = stoikov_counts(*quote_walk(3))
    assert np.array_equal(stoikov_adjustment(*(c.ravel() for c in counts)), stoikov_adjustment(*counts))


def test_a_state_that_was_never_seen_or_never_moved_has_no_drift():
    stay, move, jump = (np.zeros(shape, np.int64) for shape in ((20, 20), (20, 20), (20, 4)))
    stay[0, 2] = 3  # bucket 0 leads to bucket 1, which moves down by a tick
    move[2, 0], jump[2, 0] = 5, 5
    stay[6, 6] = 9  # bucket 3 rests for ever
    table = stoikov_adjustment(stay, move, jump).reshape(10, 2)
    assert np.isfinite(table[[0, 1, 8, 9], 0]).all()
    assert table[1, 0] == -STOIKOV_TERMS
    assert np.isnan(table[2:8, 0]).all()
    assert np.isnan(table[:, 1]).all()
