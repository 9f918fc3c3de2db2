"""Indicators over bars: published numbers, references, causality."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels import indicators

series = st.lists(st.integers(-5000, 5000), max_size=60)


def ints(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def windows(values: list[int], length: int) -> list[list[int] | None]:
    return [values[t - length + 1 : t + 1] if t >= length - 1 else None for t in range(len(values))]


def assert_same(got: np.ndarray, expected: list[float]) -> None:
    np.testing.assert_allclose(got, np.array(expected, float), rtol=1e-9, atol=1e-9)


@settings(deadline=None)  # the first call compiles
@given(series, st.integers(1, 21))
def test_rolling_moments_are_the_mean_and_population_deviation_of_the_window(
    values: list[int], length: int
) -> None:
    mean, std = indicators.rolling_moments(ints(values), length)
    assert_same(mean, [statistics.fmean(w) if w else math.nan for w in windows(values, length)])
    assert_same(std, [statistics.pstdev(w) if w else math.nan for w in windows(values, length)])


def test_a_window_of_equal_prices_has_exactly_no_deviation() -> None:
    assert indicators.rolling_moments(np.full(20, 21_345, np.int64), 20)[1][-1] == 0.0


@settings(deadline=None)  # the first call compiles
@given(series, st.integers(2, 12))
def test_the_zscore_compares_the_bar_with_its_own_window(values: list[int], length: int) -> None:
    expected = [
        (w[-1] - statistics.fmean(w)) / statistics.pstdev(w) if w and len(set(w)) > 1 else math.nan
        for w in windows(values, length)
    ]
    assert_same(indicators.zscore(ints(values), length), expected)


@settings(deadline=None)  # the first call compiles
@given(series, st.integers(2, 12))
def test_the_rolling_slope_is_the_least_squares_slope(values: list[int], length: int) -> None:
    expected = [
        statistics.linear_regression(range(length), w).slope if w else math.nan
        for w in windows(values, length)
    ]
    assert_same(indicators.rolling_slope(ints(values), length), expected)


def slow_wilder(values: list[float], length: int) -> list[float]:
    """Null values are skipped and stay null."""
    out: list[float] = []
    kept: list[float] = []
    mean = math.nan
    for value in values:
        if math.isnan(value):
            out.append(math.nan)
            continue
        kept.append(value)
        if len(kept) == length:
            mean = statistics.fmean(kept)
        elif len(kept) > length:
            mean = ((length - 1) * mean + value) / length
        out.append(mean)
    return out


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.one_of(st.floats(-1e4, 1e4), st.just(math.nan)), max_size=60), st.integers(1, 20))
def test_the_wilder_mean_is_seeded_by_a_simple_mean(values: list[float], length: int) -> None:
    assert_same(indicators.wilder_mean(np.array(values, float), length), slow_wilder(values, length))


# The 14-day example of StockCharts' ChartSchool ("RSI", cs-rsi.xls), in units of 0.0001.
CHARTSCHOOL_CLOSES = [
    *(
        443389,
        440902,
        441497,
        436124,
        443278,
        448264,
        450955,
        454245,
        458433,
        460826,
        458931,
        460328,
        456140,
        462820,
    ),
    *(
        462820,
        460028,
        460328,
        464116,
        462222,
        456439,
        462122,
        462521,
        457137,
        464515,
        457835,
        453548,
        440288,
        441783,
    ),
    *(442181, 445672, 434205, 426628, 431314),
]
CHARTSCHOOL_RSI = [
    *(
        70.53,
        66.32,
        66.55,
        69.41,
        66.36,
        57.97,
        62.93,
        63.26,
        56.06,
        62.38,
        54.71,
        50.42,
        39.99,
        41.46,
        41.87,
        45.46,
    ),
    *(37.30, 33.08, 37.77),
]


def test_the_rsi_reproduces_the_published_fourteen_day_example() -> None:
    rsi = indicators.wilder_rsi(ints(CHARTSCHOOL_CLOSES), 14)
    assert np.isnan(rsi[:14]).all()
    np.testing.assert_allclose(rsi[14:], CHARTSCHOOL_RSI, atol=0.006)


@pytest.mark.parametrize(("step", "rsi"), [(1, 100.0), (-1, 0.0), (0, 50.0)])
def test_the_rsi_of_a_one_way_market(step: int, rsi: float) -> None:
    assert indicators.wilder_rsi(20_000 + step * np.arange(15), 14)[-1] == rsi


@settings(deadline=None)  # the first call compiles
@given(series, st.integers(2, 14))
def test_the_rsi_of_mirrored_prices_is_its_complement(values: list[int], length: int) -> None:
    rsi = indicators.wilder_rsi(ints(values), length)
    mirrored = indicators.wilder_rsi(-ints(values), length)
    np.testing.assert_allclose(rsi + mirrored, np.where(np.isnan(rsi), np.nan, 100.0))


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(19_000, 21_000), min_size=1, max_size=60), st.integers(2, 21))
def test_wilder_bollinger_is_the_moment_pair_of_the_exponential_weights(
    values: list[int], length: int
) -> None:
    mean, std = indicators.wilder_bollinger(ints(values), length)
    decay = 1 - 1 / length
    for t in range(len(values)):
        if t < length - 1:
            assert math.isnan(mean[t])
            assert math.isnan(std[t])
            continue
        weights = [decay**t] + [(1 - decay) * decay ** (t - i) for i in range(1, t + 1)]
        centre = math.fsum(w * v for w, v in zip(weights, values, strict=False))
        variance = math.fsum(w * (v - centre) ** 2 for w, v in zip(weights, values, strict=False))
        assert mean[t] == pytest.approx(centre, rel=1e-12)
        assert std[t] == pytest.approx(math.sqrt(variance), rel=1e-9, abs=1e-7)


def test_flow_and_price_rising_together_do_not_diverge() -> None:
    t = np.arange(10)
    out = indicators.price_flow_divergence(50 * t, 20_000 + 4 * t, np.full(10, 50), np.full(10, 4), 5, 10)
    assert np.isnan(out[:9]).all()
    assert out[9] == pytest.approx(0.0)


def test_flow_against_price_diverges_by_ninety_degrees() -> None:
    t = np.arange(10)
    out = indicators.price_flow_divergence(50 * t, 20_000 - 4 * t, np.full(10, 50), np.full(10, 4), 10, 10)
    assert out[9] == pytest.approx(90.0)


def test_the_scale_of_the_divergence_advances_once_a_bar() -> None:
    # The reference bot advanced its mean |delta| twice a bar, so the scale read bars that were not there.
    delta = ints([10 * i for i in range(1, 12)])
    cum_delta = np.cumsum(delta)
    flat = np.full(11, 20_000)
    out = indicators.price_flow_divergence(cum_delta, flat, delta, np.full(11, 4), 5, 10)
    slope = statistics.linear_regression(range(5), cum_delta[-5:].tolist()).slope
    assert out[10] == pytest.approx(math.degrees(math.atan(slope / statistics.fmean(range(20, 111, 10)))))


def test_no_traded_range_or_no_flow_has_no_divergence() -> None:
    ones = np.ones(10, np.int64)
    assert np.isnan(indicators.price_flow_divergence(ones, ones, ones, 0 * ones, 5, 10)).all()
    assert np.isnan(indicators.price_flow_divergence(ones, ones, 0 * ones, ones, 5, 10)).all()


def test_a_new_low_on_buying_is_a_positive_divergence() -> None:
    high, low, delta = ints([9, 9, 9, 9]), ints([5, 6, 4, 4]), ints([-1, -1, 1, 1])
    assert indicators.delta_divergence(high, low, delta, 2)[2:].tolist() == [1.0, 0.0]
    assert indicators.delta_divergence(-low, -high, -delta, 2)[2:].tolist() == [-1.0, 0.0]


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(-5, 5)), max_size=40))
def test_delta_divergence_equals_the_reference(bars: list[tuple[int, int, int]]) -> None:
    high, low, delta = ([*column] for column in zip(*bars, strict=True)) if bars else ([], [], [])
    expected = [
        math.nan
        if t < 5
        else (low[t] < min(low[t - 5 : t])) * (delta[t] > 0)
        - (high[t] > max(high[t - 5 : t])) * (delta[t] < 0)
        for t in range(len(bars))
    ]
    assert_same(indicators.delta_divergence(ints(high), ints(low), ints(delta), 5), expected)


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(-30, 30), max_size=40))
def test_a_delta_flip_needs_two_large_bars_of_opposite_sign(delta: list[int]) -> None:
    expected = [
        math.nan
        if t < 5
        else float(
            delta[t] * delta[t - 1] < 0
            and min(abs(delta[t]), abs(delta[t - 1])) >= statistics.pstdev(delta[t - 5 : t]) - 1e-9
        )
        for t in range(len(delta))
    ]
    assert_same(indicators.delta_flip(ints(delta), 5), expected)


CAUSAL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "moments": lambda x: indicators.rolling_moments(x, 5)[1],
    "zscore": lambda x: indicators.zscore(x, 5),
    "slope": lambda x: indicators.rolling_slope(x, 5),
    "rsi": lambda x: indicators.wilder_rsi(x, 5),
    "wilder_bollinger": lambda x: indicators.wilder_bollinger(x, 5)[1],
    "divergence": lambda x: indicators.price_flow_divergence(np.cumsum(x), x, x, np.abs(x), 5, 5),
    "delta_divergence": lambda x: indicators.delta_divergence(x, x, x, 5),
    "delta_flip": lambda x: indicators.delta_flip(x, 5),
}


@pytest.mark.parametrize("name", CAUSAL)
@settings(deadline=None)  # the first call compiles
@given(values=st.lists(st.integers(-500, 500), min_size=1, max_size=40), data=st.data())
def test_later_bars_never_change_an_earlier_value(name: str, values: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(values)))
    np.testing.assert_array_equal(CAUSAL[name](ints(values))[:cut], CAUSAL[name](ints(values[:cut])))


@pytest.mark.parametrize("name", CAUSAL)
def test_no_bars_have_no_values(name: str) -> None:
    assert CAUSAL[name](ints([])).shape == (0,)


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(0, 400), min_size=16, max_size=60))
def test_rsi_never_leaves_its_range_by_rounding(rises):
    closes = np.cumsum(np.array(rises, np.int64))
    rsi = indicators.wilder_rsi(closes, 14)
    assert np.nanmax(rsi) <= 100.0
    assert np.nanmin(rsi) >= 0.0
