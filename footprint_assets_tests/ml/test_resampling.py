"""Bands by whole trade dates against what they are bands of."""

from statistics import NormalDist

import numpy as np
import pytest

from footprint_assets.ml.resampling import (
    chance_not_below_zero,
    copies,
    mean_band,
    null_band,
    ratio_band,
    widened,
)

SESSION = np.repeat(np.arange(40), 20)


def days_in_common(seed, shift=0.0):
    """Values of 40 trade dates, of which those of a day have most of their noise in common."""
    random = np.random.default_rng(seed)
    return shift + np.repeat(random.normal(size=40), 20) + 0.3 * random.normal(size=800)


def test_a_band_holds_the_mean_as_often_as_it_says_where_rows_share_a_day():
    bands = [mean_band(days_in_common(seed), SESSION, draws=200, seed=seed) for seed in range(150)]
    held = np.mean([band.low <= 0 <= band.high for band in bands])
    assert held == pytest.approx(0.94, abs=0.05)
    rows = [mean_band(days_in_common(seed), np.arange(800), draws=50, seed=seed) for seed in range(60)]
    assert np.mean([band.low <= 0 <= band.high for band in rows]) < 0.6  # single rows claim far too much


def test_histories_have_as_many_trade_dates_as_there_were():
    place, drawn = copies(np.array([7, 7, 9, 4]), 50, seed=1)
    assert place.tolist() == [1, 1, 2, 0]
    assert drawn.shape == (50, 3)
    assert (drawn.sum(axis=1) == 3).all()


def test_a_ratio_counts_rows_not_trade_dates():
    session = np.array([0, 1, 1, 1])
    band = ratio_band(np.array([1.0, 0, 0, 0]), np.ones(4), session, draws=500, seed=0)
    assert (band.low, band.high) == (0.0, 1.0)  # a history of one date twice


def test_the_chance_of_not_being_below_is_small_only_where_every_trade_date_agrees():
    better = days_in_common(0, shift=-1.0)
    assert chance_not_below_zero(better, SESSION, draws=500, seed=2) < 0.01
    assert chance_not_below_zero(-better, SESSION, draws=500, seed=2) > 0.99
    assert chance_not_below_zero(np.zeros(SESSION.size), SESSION, draws=500, seed=2) == 1.0
    one_day = np.where(SESSION == 0, -50.0, 0.05)  # better on a single day
    assert chance_not_below_zero(one_day, SESSION, draws=500, seed=2) > 0.05


@pytest.mark.parametrize("dates", [5, 21])
def test_bands_and_chances_of_few_trade_dates_are_as_wide_as_they_say(dates):
    """Without what Student's t adds, the bands of five trade dates hold the mean 84 times of 100."""
    session, random = np.repeat(np.arange(dates), 10), np.random.default_rng(0)
    values = [np.repeat(random.normal(size=dates), 10) + random.normal(size=session.size) for _ in range(200)]
    bands = [mean_band(one, session, draws=200, seed=k) for k, one in enumerate(values)]
    held = np.mean([band.low <= 0.0 <= band.high for band in bands])
    assert 0.89 < held < 0.98
    below = [chance_not_below_zero(one, session, draws=200, seed=k) < 0.05 for k, one in enumerate(values)]
    assert np.mean(below) < 0.08


def test_a_share_is_widened_by_the_quantile_of_students_t():
    for dates, quantile in ((5, 2.776), (6, 2.571), (22, 2.080)):  # of the tables, 0.975
        spread = NormalDist().inv_cdf((1 + widened(0.95, dates)) / 2)
        assert spread == pytest.approx(quantile * np.sqrt(dates / (dates - 1)), rel=1e-3)
    assert widened(0.95, 1) == 1.0
    assert widened(0.95, 10_000) == pytest.approx(0.95, abs=1e-4)


def test_a_null_band_puts_whole_trade_dates_of_outcomes_elsewhere():
    seen = []

    def measured(order):
        seen.append(order)
        return float((order // 20)[0])

    null_band(measured, SESSION, draws=20, seed=3)
    for order in seen:
        assert sorted(order.tolist()) == list(range(800))
        assert (np.diff(order.reshape(40, 20), axis=1) == 1).all()


def test_the_same_seed_gives_the_same_band():
    values = days_in_common(1)
    assert mean_band(values, SESSION, draws=50, seed=4) == mean_band(values, SESSION, draws=50, seed=4)
