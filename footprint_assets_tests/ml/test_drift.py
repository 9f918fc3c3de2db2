"""The stability index against its distribution without drift, and with one."""

import numpy as np
import pytest

from footprint_assets.ml.drift import drift


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


def test_a_shift_and_a_growing_silence_are_alarms():
    random = np.random.default_rng(1)
    before = random.normal(size=2000)
    assert drift(before, random.normal(0.3, size=500)).is_alarm
    silent = np.where(random.random(500) < 0.1, np.nan, random.normal(size=500))
    assert drift(before, silent).is_alarm
    assert drift(silent, np.full(50, np.nan)).is_alarm
    assert not drift(np.full(50, np.nan), np.full(50, np.nan)).is_alarm
