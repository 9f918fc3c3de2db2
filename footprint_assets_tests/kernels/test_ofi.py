"""Order-flow imbalance by the trailing mean size of a level: the reference, unknown books, truncation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.ofi import LEVELS, TRAILING_BARS, normalised_ofi


def random_bars(seed: int, bars: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    bid, ask = rng.integers(0, 500, (2, bars)).astype(float)
    bid[rng.random(bars) < 0.2] = np.nan
    return rng.normal(size=(bars, LEVELS)), bid, ask


def test_the_size_of_a_level_is_the_mean_of_both_sides_over_ten_levels() -> None:
    ofi = np.arange(10.0).reshape(1, 10)
    assert normalised_ofi(ofi, np.array([300.0]), np.array([100.0]))[0].tolist() == (ofi[0] / 20).tolist()


@given(st.integers(0, 10**6), st.integers(1, 800))
@settings(max_examples=15, deadline=None)
def test_it_is_the_imbalance_by_the_mean_of_the_known_bars_of_half_an_hour(seed: int, bars: int) -> None:
    ofi, bid, ask = random_bars(seed, bars)
    found = normalised_ofi(ofi, bid, ask)
    for t in {0, bars // 2, bars - 1}:
        sizes = (bid + ask)[max(0, t - TRAILING_BARS + 1) : t + 1] / 2 / LEVELS
        mean = np.nanmean(sizes) if not np.isnan(sizes).all() else np.nan
        expected = ofi[t] / mean if mean > 0 else np.full(LEVELS, np.nan)
        assert found[t] == pytest.approx(expected, rel=1e-12, nan_ok=True)


@given(st.integers(0, 10**6), st.integers(0, 600))
@settings(max_examples=15, deadline=None)
def test_later_bars_change_no_earlier_value(seed: int, cut: int) -> None:
    ofi, bid, ask = random_bars(seed, 600)
    part = normalised_ofi(ofi[:cut], bid[:cut], ask[:cut])
    assert np.array_equal(normalised_ofi(ofi, bid, ask)[:cut], part, equal_nan=True)


def test_a_book_that_was_never_known_or_always_empty_has_no_unit() -> None:
    ofi = np.ones((2, LEVELS))
    for bid in (np.full(2, np.nan), np.zeros(2)):
        assert np.isnan(normalised_ofi(ofi, bid, np.zeros(2))).all()
