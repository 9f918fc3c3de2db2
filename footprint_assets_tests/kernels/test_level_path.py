"""The path towards a level over trailing windows, against the rolling windows of any series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from footprint_assets.kernels import level_path as kernel
from footprint_assets.kernels.rolling import change, least_squares, quotient, rolling_min, rolling_sum

BAND = 0.5
WINDOWS = (3, 8)
A_MINUTE = 12
PATHS = st.lists(
    st.one_of(st.just(np.nan), st.integers(-12, 12).map(lambda k: k / 7)), min_size=1, max_size=60
)


def expected(signed: np.ndarray, window: int) -> list[np.ndarray]:
    away, step = np.abs(signed), change(signed, 1)
    toward = np.where(np.isnan(step), np.nan, change(away, 1) < 0)
    inside = np.where(np.isnan(away), np.nan, away <= BAND)
    velocity = least_squares(np.arange(len(signed), dtype=float), signed, window)[0] * A_MINUTE
    return [
        velocity,
        change(velocity, window) / (window / A_MINUTE),
        quotient(np.abs(change(signed, window)), rolling_sum(np.abs(step), window)),
        rolling_sum(inside, window) / window,
        rolling_min(away, window),
        rolling_sum(toward, window) / window,
        np.sqrt(rolling_sum(step * step, window)),
    ]


@settings(deadline=None)
@given(PATHS, st.data())
def test_every_measure_is_that_of_the_rolling_windows_to_the_last_bit(path, data):
    signed = np.array(path)
    before = data.draw(st.integers(0, len(path) - 1))
    found = kernel.path_windows(signed, before, np.array(WINDOWS), A_MINUTE, BAND)
    for window, measures in zip(WINDOWS, found, strict=True):
        for got, wanted in zip(measures, expected(signed, window), strict=True):
            assert_array_equal(got, wanted[before:])


@pytest.mark.parametrize("before", [0, 4])
def test_a_run_of_nearer_bars_ends_with_a_bar_that_is_not_nearer(before):
    signed = np.array([-4.0, -3, -2, 2, 1, np.nan, -1, 0.5, 0])
    runs = np.array([0, 1, 2, 0, 1, np.nan, 0, 1, 2])
    assert_array_equal(kernel.run_of_toward_bars(signed, before), runs[before:])
