"""The exact scan against a slow one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.nearest import nearest, pack


def slow(vectors, query, first, stop, group, excluded, k, per_group):
    """All distances, sorted; of each group the first ``per_group``."""
    taken, kept = {}, []
    squared = ((vectors.astype(float) - query) ** 2).sum(axis=1)
    for row in sorted(range(first, stop), key=lambda i: (squared[i], i)):
        if group[row] != excluded and taken.get(group[row], 0) < per_group:
            taken[group[row]] = taken.get(group[row], 0) + 1
            kept.append(row)
    return kept[:k], squared[kept[:k]]


def look(vectors, query, *rest):
    packed = pack(vectors)
    padded = np.zeros(packed.shape[1], np.float32)
    padded[: len(query)] = query
    return nearest(packed, padded, *rest)


@given(
    st.integers(0, 90), st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(1, 3)
)
@settings(max_examples=200, deadline=None)
def test_the_scan_finds_what_a_sort_finds(rows, width, seed, k, per_group):
    """Small whole numbers: distances are exact, and ties are many."""
    random = np.random.default_rng(seed)
    vectors = random.integers(-2, 3, (rows, width)).astype(np.float32)
    group = random.integers(0, 8, rows)
    first, stop = sorted(random.integers(0, rows + 1, 2).tolist())
    query = random.integers(-2, 3, width).astype(np.float32)
    got, squared = look(vectors, query, first, stop, group, 3, k, per_group)
    expected, distances = slow(vectors, query, first, stop, group, 3, k, per_group)
    assert got.tolist() == expected
    assert squared.tolist() == distances.tolist()


def test_real_numbers_within_the_precision_of_a_float():
    random = np.random.default_rng(4)
    vectors, query = (
        random.normal(size=(3000, 147)).astype(np.float32),
        random.normal(size=147).astype(np.float32),
    )
    group = random.integers(0, 60, 3000)
    got, squared = look(vectors, query, 100, 2900, group, 7, 50, 2)
    expected, distances = slow(vectors, query, 100, 2900, group, 7, 50, 2)
    assert squared == pytest.approx(distances, rel=1e-5)
    assert (((vectors[got].astype(float) - query) ** 2).sum(axis=1)) == pytest.approx(distances, rel=1e-5)
    assert sorted(got.tolist()) == sorted(expected)


def test_two_of_a_session_stand_for_it():
    vectors = np.arange(6, dtype=np.float32)[:, None]
    group = np.array([1, 1, 1, 2, 3, 9])
    got, squared = look(vectors, np.zeros(1, np.float32), 0, 6, group, 9, 3, 2)
    assert got.tolist() == [0, 1, 3]
    assert squared.tolist() == [0, 1, 9]


def test_a_distance_is_one_written_sum_to_the_bit():
    """Eight terms pairwise, then onto the sum: float32 at every step, so that no machine may add up otherwise."""
    random = np.random.default_rng(5)
    vectors, query = (random.normal(size=shape).astype(np.float32) for shape in ((100, 43), 43))
    squares = np.zeros((100, 48), np.float32)
    squares[:, :43] = (vectors - query) ** 2
    expected = np.zeros(100, np.float32)
    for run in np.split(squares, 6, axis=1):
        pairs = run[:, ::2] + run[:, 1::2]
        fours = pairs[:, ::2] + pairs[:, 1::2]
        expected += fours[:, 0] + fours[:, 1]
    got, squared = look(vectors, query, 0, 100, np.arange(100), -1, 100, 1)
    assert squared.tolist() == expected[got].tolist()
