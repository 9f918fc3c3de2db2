"""The standing of a price in a growing profile, against the profile of each count made from scratch."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels import level_profile as kernel
from footprint_assets.kernels.profile import volume_nodes
from footprint_assets.kernels.value_area import value_area

PRINTS = st.lists(st.tuples(st.integers(-12, 12), st.integers(1, 9)), min_size=1, max_size=60)


def slow(row, size, level, lowest, highest):
    volumes = np.array([size[row == k].sum() for k in range(row.min(), row.max() + 1)], np.int64)
    here, place = int(size[row == level].sum()), level - row.min()
    poc, val, vah = value_area(volumes, 70, 2)
    nodes = volume_nodes(volumes, 5, 1200, 500)
    inside = 0 <= place < len(volumes)
    return [
        sum((v < here) + (v == here) / 2 for v in volumes.tolist()) / len(volumes),
        size[(row >= lowest) & (row <= highest)].sum() / size.sum(),
        *(bool(inside and flag[place]) for flag in nodes),
        val <= place <= vah,
        row.min() + poc,
    ]


@settings(deadline=None)
@given(PRINTS, st.integers(-14, 14), st.integers(0, 10))
def test_every_count_stands_as_its_own_profile_says(prints, level, first):
    row, size = (np.array(column, np.int64) for column in zip(*prints, strict=True))
    first = min(first, len(row) - 1)
    ends = np.arange(first + 1, len(row) + 1)
    found = kernel.profile_standing(
        row + 900, size, first, ends, level + 900, level + 896, level + 904, 70, 2, 5, 1200, 500
    )
    expected = [slow(row[first:n] + 900, size[first:n], level + 900, level + 896, level + 904) for n in ends]
    np.testing.assert_array_equal(found, np.array(expected, float))


def test_without_a_trade_there_is_no_standing():
    nothing = np.zeros(0, np.int64)
    assert kernel.profile_standing(nothing, nothing, 0, nothing, 0, 0, 0, 70, 2, 5, 1200, 500).shape == (0, 6)
