"""Label kernels against slow statements of what they mean."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.labels import (
    EXPIRED,
    NO_TRADE,
    NOT_HIT,
    ON_TARGET,
    STOPPED,
    average_uniqueness,
    bracket,
    excursions,
    first_passage,
    return_to_level,
    weighted_distance,
)

paths = st.lists(st.tuples(st.integers(0, 5), st.integers(-12, 12), st.integers(1, 9)), max_size=30)
horizons = st.integers(1, 60)


def arrays(path: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elapsed time, distance and size; the draw gives steps of time."""
    steps, distance, size = (np.array([p[k] for p in path], np.int64) for k in range(3))
    return np.cumsum(steps), distance, size


def first(found: list[int]) -> int:
    return found[0] if found else NOT_HIT


@settings(deadline=None)
@given(paths, st.integers(1, 12), horizons)
def test_first_passage_is_the_first_point_at_or_beyond_each_barrier(path, barrier, horizon):
    elapsed, distance, _ = arrays(path)
    inside = [i for i, t in enumerate(elapsed) if t < horizon]
    wanted = (
        first([i for i in inside if distance[i] >= barrier]),
        first([i for i in inside if distance[i] <= -barrier]),
    )
    assert first_passage(elapsed, distance, barrier, horizon) == wanted


@settings(deadline=None)
@given(paths, horizons)
def test_excursions_are_the_first_extremes_and_the_last_point(path, horizon):
    elapsed, distance, _ = arrays(path)
    inside = distance[elapsed < horizon].tolist()
    wanted = (NOT_HIT,) * 3
    if inside:
        wanted = (inside.index(max(inside)), inside.index(min(inside)), len(inside) - 1)
    assert excursions(elapsed, distance, horizon) == wanted


@settings(deadline=None)
@given(paths, horizons, horizons)
def test_the_weighted_distance_is_the_volume_weighted_mean_or_the_last_price_held(path, a, b):
    elapsed, distance, size = arrays(path)
    start, end = sorted((a, b))
    rows = [(x, v) for t, x, v in zip(elapsed, distance, size, strict=True) if start <= t < end]
    earlier = distance[elapsed < end].tolist()
    got = weighted_distance(elapsed, distance, size, start, end)
    if rows:
        assert got == pytest.approx(sum(x * v for x, v in rows) / sum(v for _, v in rows), abs=1e-12)
    elif earlier:
        assert got == earlier[-1]
    else:
        assert np.isnan(got)


@settings(deadline=None)
@given(paths.filter(len), horizons, st.data())
def test_the_return_to_the_level_looks_only_after_the_hit(path, horizon, data):
    elapsed, distance, _ = arrays(path)
    hit = data.draw(st.integers(0, len(path) - 1))
    later = distance[hit + 1 :][elapsed[hit + 1 :] < horizon].tolist()
    assert return_to_level(elapsed, distance, hit, horizon) == min([int(distance[hit]), *later])


@settings(deadline=None)
@given(paths, st.integers(1, 6), st.integers(1, 9), horizons)
def test_a_judged_trade_ends_at_its_target_its_stop_or_its_expiry(path, stop, target, horizon):
    elapsed, gain, _ = arrays(path)
    inside = gain[elapsed < horizon].tolist()
    ends = [g for g in inside if g >= target or g <= -stop]
    if ends:
        wanted = (ON_TARGET, target) if ends[0] > 0 else (STOPPED, ends[0])
    else:
        wanted = (EXPIRED, inside[-1]) if inside else (NO_TRADE, 0)
    assert bracket(elapsed, gain, stop, target, horizon) == wanted


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), min_size=1, max_size=8))
def test_uniqueness_is_the_mean_of_one_over_the_labels_alive(labels):
    start = np.array([a for a, _ in labels], np.int64)
    end = start + np.array([length for _, length in labels])
    for j, got in enumerate(average_uniqueness(start, end)):
        alive = [int(((start <= t) & (t < end)).sum()) for t in range(start[j], end[j])]
        assert got == pytest.approx(float(sum(Fraction(1, c) for c in alive) / len(alive)), rel=1e-12)


def test_a_label_known_at_once_shares_its_instant_with_those_alive():
    start, end = np.array([0, 5, 5], np.int64), np.array([10, 5, 8], np.int64)
    assert average_uniqueness(start, end)[1] == pytest.approx(1 / 3)
    assert average_uniqueness(start[1:2], end[1:2]).tolist() == [1.0]


def test_labels_that_do_not_meet_are_unique():
    assert average_uniqueness(np.array([0, 10], np.int64), np.array([10, 30], np.int64)).tolist() == [1, 1]
