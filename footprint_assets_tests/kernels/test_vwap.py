"""Anchored VWAP and its deviation: published number, exact reference, causality."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint_assets.kernels.vwap import anchored_vwap

trade_lists = st.lists(st.tuples(st.integers(-300, 300), st.integers(1, 500)), min_size=1, max_size=40)


def vwap_of(
    trades: list[tuple[int, int]], first: int = 0, ends: list[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    tick, size = np.array(trades, np.int64).T.copy()
    return anchored_vwap(tick, size, first, np.array([len(trades)] if ends is None else ends, np.int64))


def exact(trades: list[tuple[int, int]]) -> tuple[Fraction, Fraction]:
    """Mean and variance with fractions, from the definition."""
    volume = sum(size for _, size in trades)
    mean = Fraction(sum(tick * size for tick, size in trades), volume)
    return mean, sum(((tick - mean) ** 2 * size for tick, size in trades), Fraction(0)) / volume


def test_the_published_example_has_a_deviation_of_0_7312() -> None:
    half_points = [(200, 10), (202, 20), (201, 10), (204, 20)]
    vwap, std = vwap_of(half_points)
    assert vwap[0] / 2 == pytest.approx(101.083333333333333, abs=1e-12)
    assert std[0] / 2 == pytest.approx(0.731247032282677, abs=1e-15)


@given(trade_lists, st.integers(-(10**7), 10**7))
def test_mean_and_deviation_equal_exact_fractions_however_far_from_zero(
    trades: list[tuple[int, int]], level: int
) -> None:
    far = [(level + tick, size) for tick, size in trades]
    vwap, std = vwap_of(far)
    mean, variance = exact(far)
    assert vwap[0] == pytest.approx(float(mean), rel=1e-15, abs=1e-12)
    assert std[0] == pytest.approx(math.sqrt(variance), rel=1e-12, abs=1e-9)


@given(trade_lists)
def test_every_running_value_is_that_of_the_trades_so_far(trades: list[tuple[int, int]]) -> None:
    ends = list(range(1, len(trades) + 1))
    vwap, std = vwap_of(trades, ends=ends)
    for end in ends:
        alone = vwap_of(trades[:end])
        assert (vwap[end - 1], std[end - 1]) == (alone[0][0], alone[1][0])


@given(trade_lists)
def test_the_mean_lies_between_the_lowest_and_highest_price(trades: list[tuple[int, int]]) -> None:
    vwap, _ = vwap_of(trades)
    assert min(tick for tick, _ in trades) <= vwap[0] <= max(tick for tick, _ in trades)


@given(trade_lists)
def test_mirrored_prices_mirror_the_mean_and_keep_the_deviation(trades: list[tuple[int, int]]) -> None:
    (vwap,), (std,) = vwap_of(trades)
    (mirrored,), (mirrored_std,) = vwap_of([(-tick, size) for tick, size in trades])
    assert mirrored == pytest.approx(-vwap, abs=1e-9)
    assert mirrored_std == pytest.approx(std, abs=1e-9)


def test_trades_before_the_anchor_do_not_count() -> None:
    trades = [(5000, 99), (100, 1), (104, 1)]
    vwap, std = vwap_of(trades, first=1, ends=[1, 2, 2, 3])
    assert np.isnan(vwap[0])
    assert np.isnan(std[0])
    assert vwap[1:].tolist() == [100, 100, 102]
    assert std[1:].tolist() == [0, 0, 2]


def test_a_five_million_contract_day_of_two_thousand_ticks_does_not_overflow() -> None:
    trades = [(20_000, 2_500_000), (22_000, 2_500_000)]
    vwap, std = vwap_of(trades)
    assert (vwap[0], std[0]) == (21_000, 1_000)


def test_an_anchor_far_from_the_later_prices_costs_no_precision() -> None:
    trades = [(0, 1), (30_000, 500_000_000), (30_001, 500_000_000)]
    vwap, std = vwap_of(trades)
    mean, variance = exact(trades)
    assert vwap[0] == pytest.approx(float(mean), rel=1e-15)
    assert std[0] == pytest.approx(math.sqrt(variance), rel=1e-12)
