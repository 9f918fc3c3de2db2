"""Rolling windows, volatility, impact, VPIN and resiliency: published numbers, and slow references."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels import rolling
from footprint_assets.kernels.impact import amihud, signed_root_volume
from footprint_assets.kernels.resiliency import resiliency
from footprint_assets.kernels.volatility import parkinson, volatility
from footprint_assets.kernels.vpin import VpinState, vpin

SECOND = 1_000_000_000
maybe = st.one_of(st.just(math.nan), st.floats(-1e3, 1e3, allow_subnormal=False))
series = st.lists(maybe, min_size=1, max_size=40).map(np.array)


# --- published numbers ---------------------------------------------------------------------------------------------


def test_realised_and_bipower_variation_of_the_published_prices():
    prices = np.array([101, 100.5, 101.5, 101, 102, 101.25])
    found = volatility(np.log(prices[1:] / prices[:-1]), 5)
    assert found.rv[-1] == pytest.approx(2.9858083914615773e-4, rel=1e-14)
    assert math.sqrt(found.rv[-1]) == pytest.approx(0.017279491865970994, rel=1e-14)
    assert found.bv[-1] == pytest.approx(4.3078230453845933e-4, rel=1e-14)
    assert found.bv[-1] * 4 / 5 == pytest.approx(3.446258436307675e-4, rel=1e-14)


def test_the_roll_spread_of_the_published_prices_is_about_the_mean_return():
    returns = np.diff(np.array([100, 100.25, 100, 100, 100.25, 100, 100.25]))
    assert volatility(returns, 6).roll_spread[-1] == pytest.approx(0.37822685726367394, rel=1e-14)


def test_kyles_lambda_of_the_published_example_has_an_intercept():
    slope, _ = rolling.least_squares(
        np.array([20, -30, 10, 40, -20.0]), np.array([0.25, -0.5, 0.125, 0.5, -0.25]), 5
    )
    assert slope[-1] == pytest.approx(0.013780120481927711, rel=1e-14)


def test_vpin_of_the_published_trades_splits_a_trade_over_buckets():
    buys, sells = np.array([30, 0, 60, 0, 0, 100]), np.array([0, 20, 0, 40, 50, 0])
    row, value = vpin(buys, sells, 100, VpinState.empty(2))
    assert row.tolist() == [2, 4, 5]
    assert np.isnan(value[0])
    assert value[1:].tolist() == [0.7, 0.9]


# --- oracles -------------------------------------------------------------------------------------------------------


wickra = pytest.importorskip("wickra", reason="an independent package of the test extra")


def random_trades(seed, count=400):
    rng = np.random.default_rng(seed)
    mid = 100 + np.cumsum(rng.choice([-0.25, 0, 0.25], size=count))
    is_buy = rng.random(count) < 0.5
    return mid, rng.integers(1, 30, size=count), is_buy, np.where(is_buy, mid + 0.125, mid - 0.125)


@pytest.mark.parametrize("seed", range(5))
def test_vpin_agrees_with_wickra_wherever_a_trade_completes_a_bucket(seed):
    _, size, is_buy, price = random_trades(seed)
    oracle = wickra.Vpin(100.0, 5)
    theirs = [oracle.update(p, float(v), bool(b)) for p, v, b in zip(price, size, is_buy, strict=True)]
    row, value = vpin(np.where(is_buy, size, 0), np.where(is_buy, 0, size), 100, VpinState.empty(5))
    compared = [(theirs[i], v) for i, v in zip(row, value, strict=True) if not np.isnan(v)]
    assert len(compared) > 40
    for their, our in compared:
        assert our == pytest.approx(their, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_kyles_lambda_agrees_with_wickra(seed):
    mid, size, is_buy, price = random_trades(seed)
    oracle = wickra.KylesLambda(50)
    theirs = [
        oracle.update(p, float(v), bool(b), m) for p, v, b, m in zip(price, size, is_buy, mid, strict=True)
    ]
    signed = np.where(is_buy, size, -size).astype(float)
    ours, _ = rolling.least_squares(signed, rolling.change(mid, 1), 50)
    compared = [(their, our) for their, our in zip(theirs, ours, strict=True) if their is not None]
    assert len(compared) > 300
    for their, our in compared[1:]:
        assert our == pytest.approx(their, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_bipower_variation_agrees_with_wickra(seed):
    mid, *_ = random_trades(seed)
    oracle = wickra.BipowerVariation(20)
    theirs = [oracle.update(float(price)) for price in mid]
    returns = np.concatenate([[np.nan], np.log(mid[1:] / mid[:-1])])
    ours = volatility(returns, 20)
    compared = [(their, t) for t, their in enumerate(theirs) if their is not None]
    assert len(compared) > 300
    for their, t in compared[2:]:
        assert ours.bv[t] * 19 / 20 == pytest.approx(their, rel=1e-6)


# --- references ----------------------------------------------------------------------------------------------------


def windows(values, length):
    """Every full window without an unknown member, by its last bar."""
    for t in range(length - 1, len(values)):
        window = values[t - length + 1 : t + 1]
        if not np.isnan(window).any():
            yield t, window


@given(series, st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_sums_and_extremes_are_those_of_every_full_window(values, length):
    expected = {t: (sum(w.tolist()), max(w), min(w)) for t, w in windows(values, length)}
    total, high, low = (
        f(values, length) for f in (rolling.rolling_sum, rolling.rolling_max, rolling.rolling_min)
    )
    for t in range(len(values)):
        if t in expected:
            assert total[t] == expected[t][0]
            assert (high[t], low[t]) == expected[t][1:]
        else:
            assert np.isnan([total[t], high[t], low[t]]).all()


@given(series, st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_difference_quotients_look_back_one_and_two_windows(values, lag):
    first, second = rolling.slope_per_bar(values, lag)
    for t in range(len(values)):
        if t >= lag:
            np.testing.assert_equal(first[t], (values[t] - values[t - lag]) / lag)
        else:
            assert np.isnan(first[t])
        if t < 2 * lag:
            assert np.isnan(second[t])


def test_least_squares_is_numpys_and_says_nothing_about_a_constant():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=60), rng.normal(size=60)
    x[20:31] = 7.0
    slope, r2 = rolling.least_squares(x, y, 10)
    for t in range(9, 60):
        part = slice(t - 9, t + 1)
        if np.ptp(x[part]) == 0:
            assert np.isnan([slope[t], r2[t]]).all()
            continue
        assert slope[t] == pytest.approx(np.polyfit(x[part], y[part], 1)[0], rel=1e-9)
        assert r2[t] == pytest.approx(np.corrcoef(x[part], y[part])[0, 1] ** 2, rel=1e-9)


@given(st.lists(st.integers(-8, 8), min_size=6, max_size=40), st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_volatility_is_the_sum_of_its_definitions(ticks, length):
    returns = np.array(ticks) * 0.25
    found = volatility(returns, length)
    for t, window in windows(returns, length):
        r = window.tolist()
        mean = statistics.fmean(r)
        assert found.rs_plus[t] == sum(x * x for x in r if x > 0)
        assert found.rs_minus[t] == sum(x * x for x in r if x < 0)
        assert found.rs_plus[t] + found.rs_minus[t] == found.rv[t]
        pairs = list(itertools.pairwise(r))
        assert found.bv[t] == pytest.approx(
            math.pi / 2 * length / (length - 1) * sum(abs(a) * abs(b) for a, b in pairs)
        )
        assert found.jump[t] == max(found.rv[t] - found.bv[t], 0)
        assert found.rq[t] == pytest.approx(length / 3 * sum(x**4 for x in r))
        covariance = sum((a - mean) * (b - mean) for a, b in pairs) / (length - 1)
        assert found.autocov1[t] == pytest.approx(covariance, abs=1e-12)
        assert found.roll_spread[t] == pytest.approx(2 * math.sqrt(max(-covariance, 0)), abs=1e-6)


def test_parkinson_needs_only_the_range():
    assert parkinson(np.array([102.0]), np.array([100.0]))[0] == 4 / (4 * math.log(2))


def test_amihud_averages_the_bars_that_traded_and_knows_nothing_of_an_unknown_one():
    returns = np.array([1.0, -2.0, 3.0, np.nan, 1.0, 1.0])
    volume = np.array([2.0, 0.0, 3.0, 4.0, 0.0, 0.0])
    found = amihud(returns, volume, 2)
    np.testing.assert_equal(found, [np.nan, 0.5, 1.0, np.nan, np.nan, np.nan])


def test_signed_root_volume_adds_up_by_bar():
    found = signed_root_volume(np.array([0, 0, 2]), np.array([1, -1, 1], np.int8), np.array([4, 9, 16]), 3)
    assert found.tolist() == [-1.0, 0.0, 4.0]


prints = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=60)


def slow_vpin(trades, volume, buckets):
    """Contract by contract: a trade is all one side, so its contracts go into buckets one at a time."""
    open_bucket, done, out = [], [], []
    for i, (buy, sell) in enumerate(trades):
        for side in [1] * buy + [-1] * sell:
            open_bucket.append(side)
            if len(open_bucket) == volume:
                done.append(abs(sum(open_bucket)))
                open_bucket = []
                enough = len(done) >= buckets
                out.append((i, sum(done[-buckets:]) / (buckets * volume) if enough else None))
    return out


@given(prints, st.integers(1, 50), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_vpin_puts_every_contract_of_a_trade_in_one_bucket(pairs, volume, buckets):
    trades = [(b, 0) if b >= s else (0, s) for b, s in pairs]
    buys, sells = np.array(trades, np.int64).T
    row, value = vpin(buys, sells, volume, VpinState.empty(buckets))
    expected = slow_vpin(trades, volume, buckets)
    assert row.tolist() == [i for i, _ in expected]
    for got, (_, want) in zip(value, expected, strict=True):
        assert np.isnan(got) if want is None else got == want


@given(prints, st.integers(1, 50), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_vpin_goes_on_from_where_it_stopped(pairs, volume, cut):
    buys, sells = np.array(pairs, np.int64).T.copy()
    whole = vpin(buys, sells, volume, VpinState.empty(3))
    state = VpinState.empty(3)
    first = vpin(buys[:cut], sells[:cut], volume, state)
    rest = vpin(buys[cut:], sells[cut:], volume, state)
    np.testing.assert_equal(np.concatenate([first[0], rest[0] + min(cut, len(buys))]), whole[0])
    np.testing.assert_equal(np.concatenate([first[1], rest[1]]), whole[1])
    assert all(0 <= v <= 1 for v in whole[1][~np.isnan(whole[1])])


def test_a_span_of_trades_that_straddles_two_buckets_keeps_its_share_of_buys():
    row, value = vpin(np.array([150]), np.array([50]), 100, VpinState.empty(1))
    assert row.tolist() == [0, 0]
    assert value.tolist() == [0.5, 0.5]


def test_a_shock_counts_when_it_happens_and_its_recovery_when_it_is_known():
    end = np.array([5, 10, 15, 20], np.int64) * SECOND
    ts = np.array([4, 9], np.int64) * SECOND
    never = np.iinfo(np.int64).max
    found = resiliency(
        end,
        10 * SECOND,
        ts,
        ts + 2 * SECOND,
        np.array([0.5, 1.5]),
        np.array([12 * SECOND, never]),
        np.array([8000.0, np.nan]),
    )
    assert found.shock_cnt.tolist() == [1, 2, 1, 0]
    np.testing.assert_equal(found.recovery_ratio_1s, [np.nan, 0.5, 1.5, np.nan])
    np.testing.assert_equal(found.half_life_ms, [np.nan, np.nan, np.nan, np.nan])


def test_the_half_life_is_the_median_of_the_recovered():
    end = np.array([10 * SECOND])
    ts = np.array([1, 2, 3], np.int64) * SECOND
    found = resiliency(
        end, 20 * SECOND, ts, ts, np.ones(3), np.array([4, 5, 99]) * SECOND, np.array([30.0, 10.0, 1.0])
    )
    assert found.half_life_ms.tolist() == [20.0]


@given(st.integers(10, 40), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_no_window_reads_beyond_its_bar(cut, seed):
    rng = np.random.default_rng(seed)
    values, other = rng.normal(size=50), rng.normal(size=50)

    def all_of(x, y):
        found = volatility(x, 7)
        return [
            rolling.rolling_sum(x, 7),
            rolling.rolling_max(x, 7),
            *rolling.slope_per_bar(x, 3),
            *rolling.least_squares(x, y, 7),
            amihud(x, np.abs(y), 7),
            *(getattr(found, name) for name in found.__dataclass_fields__),
        ]

    for whole, part in zip(all_of(values, other), all_of(values[:cut], other[:cut]), strict=True):
        np.testing.assert_equal(whole[:cut], part)
