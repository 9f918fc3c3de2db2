"""Exponential means and runs of equal values, against the definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint_assets.kernels.level_series import exponential_mean, last_changes

ticks = st.lists(st.integers(20_000, 22_000), max_size=60)


def mean_by_hand(values: list[int], length: int) -> list[float]:
    out = [float("nan")] * len(values)
    for t in range(length - 1, len(values)):
        seed = sum(values[:length]) / length
        weight = 2 / (length + 1)
        later = values[length : t + 1]
        out[t] = seed * (1 - weight) ** len(later) + sum(
            weight * (1 - weight) ** (len(later) - 1 - i) * value for i, value in enumerate(later)
        )
    return out


def test_the_published_ten_period_example() -> None:
    """StockCharts ChartSchool, "Moving Averages": Intel closes of March and April 2010, 10-day EMA."""
    cents = [2227, 2219, 2208, 2217, 2218, 2213, 2223, 2243, 2224, 2229, 2215, 2239, 2238, 2261, 2336]
    found = exponential_mean(np.array(cents, np.int64), 10)
    assert np.isnan(found[:9]).all()
    assert found[9:].round().tolist() == [2222, 2221, 2224, 2227, 2233, 2252]


@given(ticks, st.integers(1, 20))
def test_it_is_the_weighted_sum_of_its_definition(values: list[int], length: int) -> None:
    found = exponential_mean(np.array(values, np.int64), length)
    assert found == pytest.approx(mean_by_hand(values, length), rel=1e-12, nan_ok=True)


@given(ticks, st.integers(1, 20), st.integers(0, 60))
def test_later_values_change_no_earlier_mean(values: list[int], length: int, cut: int) -> None:
    whole = exponential_mean(np.array(values, np.int64), length)
    part = exponential_mean(np.array(values[:cut], np.int64), length)
    assert np.array_equal(whole[: len(part)], part, equal_nan=True)


@given(st.lists(st.sampled_from([1.0, 2.0, float("nan")]), max_size=30))
def test_a_run_starts_where_the_value_before_differs(values: list[float]) -> None:
    found = last_changes(np.array(values, np.float64))
    for t, start in enumerate(found):
        assert len({values[i] for i in range(start, t + 1)}) == 1 or np.isnan(values[t])
        assert start == 0 or values[start - 1] != values[start]
