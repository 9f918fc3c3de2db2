"""The stability index against its distribution without drift, and with one."""

import numpy as np
import pytest

from footprint_assets.ml.drift import drift, drift_by_session


def test_two_bins_by_hand():
    before, now = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])
    assert drift(before, now, bins=2).index == pytest.approx((0.25 - 0.5) * np.log(0.5) + 0.25 * np.log(1.5))


@pytest.mark.parametrize(("n", "m", "mean"), [(500, 500, 0.0360), (5000, 200, 0.0468)])
def test_chance_alone_gives_what_is_expected(n, m, mean):
    random = np.random.default_rng(0)
    found = [drift(random.normal(size=n), random.normal(size=m)) for _ in range(400)]
    assert found[0].expected == pytest.approx(mean, abs=1e-4)
    assert np.mean([d.index for d in found]) == pytest.approx(found[0].expected, rel=0.1)
    assert np.std([d.index for d in found]) == pytest.approx(found[0].deviation, rel=0.15)
    assert np.mean([d.is_alarm for d in found]) < 0.03


@pytest.mark.parametrize(("was", "is_"), [(0.05, 1.0), (0.95, 0.0), (0.08, 0.8), (0.0, 0.3)])
def test_a_feature_that_leaves_the_value_it_nearly_always_had_is_an_alarm(was, is_):
    random = np.random.default_rng(2)
    before, now, again = (
        np.where(random.random(rows) < share, random.exponential(size=rows), 0.0)
        for rows, share in ((2000, was), (500, is_), (500, was))
    )
    session = np.arange(2500) // 50
    for feature in (lambda values: values, lambda values: (values > 0).astype(np.float64)):  # a count, a flag
        assert drift(feature(before), feature(now)).is_alarm
        assert not drift(feature(before), feature(again)).is_alarm
        columns = (feature(values)[:, None] for values in (before, now))
        found = drift_by_session(*columns, session[:2000], session[2000:], draws=50, seed=1)
        assert found.is_alarm.all()


def test_a_sample_without_a_row_of_a_bin_counts_half_a_row_there():
    before, now = np.zeros(40), np.ones(10)
    by_hand = (0.5 / 10 - 1) * np.log(0.5 / 10) + (1 - 0.5 / 40) * np.log(40 / 0.5)
    assert drift(before, now).index == pytest.approx(by_hand)
    found = drift_by_session(before[:, None], now[:, None], np.arange(40), np.arange(40, 50), draws=5, seed=1)
    assert found.index == pytest.approx([by_hand])


def test_a_shift_and_a_growing_silence_are_alarms():
    random = np.random.default_rng(1)
    before = random.normal(size=2000)
    assert drift(before, random.normal(0.3, size=500)).is_alarm
    silent = np.where(random.random(500) < 0.1, np.nan, random.normal(size=500))
    assert drift(before, silent).is_alarm
    assert drift(silent, np.full(50, np.nan)).is_alarm
    assert not drift(np.full(50, np.nan), np.full(50, np.nan)).is_alarm
