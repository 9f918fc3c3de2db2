"""Calibration maps against simulated truth, and Venn-Abers against its definition."""

import os
import subprocess
import sys

import numpy as np
import pytest

from footprint_assets.ml.calibration import Calibrator, OneClass, fit, venn_abers
from footprint_assets.ml.scores import calibration_error, calibration_noise, isotonic, log_loss


def odds(p):
    return np.log(p / (1 - p))


def chance(x):
    return 1 / (1 + np.exp(-x))


def draw(rows, distort, seed=0):
    """True probabilities, outcomes, and what a model that is wrong in a known way says."""
    random = np.random.default_rng(seed)
    p = random.beta(2, 2, rows)
    return p, (random.random(rows) < p).astype(np.int64), chance(distort(odds(p)))


@pytest.mark.parametrize("kind", ["platt", "beta"])
def test_a_map_undoes_overconfidence_and_bias(kind):
    p, y, said = draw(20_000, lambda x: 2.0 * x + 0.7)
    calibrator = fit(said, y, kind)
    assert calibrator(said) == pytest.approx(p, abs=0.03)
    judged = draw(5_000, lambda x: 2.0 * x + 0.7, seed=1)
    mapped = calibrator(judged[2])
    assert calibration_error(judged[1], mapped) <= calibration_noise(mapped, draws=100, seed=2)
    assert log_loss(judged[1], mapped) < log_loss(judged[1], judged[2]) - 0.05


def test_a_fit_is_the_same_to_the_bit_whatever_the_threads_of_the_linear_algebra():
    fits = """
import numpy as np
from footprint_assets.ml.calibration import fit
random = np.random.default_rng(200_000)
p = random.beta(2, 3, 200_000)
print(fit(p, (random.random(p.size) < p**1.3).astype(np.int64), "beta"))
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", fits],
            env=os.environ | {"OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(said) == 1


def test_platt_finds_the_inverse_line():
    _, y, said = draw(200_000, lambda x: 2.0 * x + 0.7)
    calibrator = fit(said, y)
    assert calibrator.slope_log_p == calibrator.slope_log_q == pytest.approx(0.5, abs=0.01)
    assert calibrator.intercept == pytest.approx(-0.35, abs=0.02)


def test_the_gradient_is_zero_at_the_fit():
    """The likelihood equations of Platt's soft targets."""
    _, y, said = draw(400, lambda x: 0.5 * x - 1)
    calibrator = fit(said, y, "beta")
    ones = y.sum()
    target = np.where(y == 1, (ones + 1) / (ones + 2), 1 / (len(y) - ones + 2))
    residual = calibrator(said) - target
    assert residual.sum() == pytest.approx(0, abs=1e-4)
    assert (residual * np.log(said)).sum() == pytest.approx(0, abs=1e-3)


def test_a_model_that_is_wrong_way_round_becomes_the_base_rate():
    _, y, said = draw(2_000, lambda x: -x)
    for kind in ("platt", "beta"):
        calibrator = fit(said, y, kind)
        assert calibrator(np.array([0.1, 0.9])) == pytest.approx([y.mean()] * 2, abs=1e-3)


def test_a_weight_counts_as_copies_of_a_row():
    _, y, said = draw(300, lambda x: x + 1)
    weight = np.random.default_rng(1).integers(1, 4, 300)
    weighted = fit(said, y, weight=weight.astype(float))
    copied = fit(np.repeat(said, weight), np.repeat(y, weight))
    assert weighted.intercept == pytest.approx(copied.intercept)
    assert weighted.slope_log_p == pytest.approx(copied.slope_log_p)


def test_perfect_separation_stays_finite():
    calibrator = fit(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1]))
    assert np.isfinite([calibrator.slope_log_p, calibrator.intercept]).all()
    assert ((calibrator(np.array([0.0, 1.0])) > 0) & (calibrator(np.array([0.0, 1.0])) < 1)).all()


def test_one_outcome_teaches_nothing():
    with pytest.raises(OneClass, match=r"rows=3, outcome=1.*Remedy: calibrate on more"):
        fit(np.array([0.2, 0.3, 0.4]), np.array([1, 1, 1]))


def test_venn_abers_is_two_isotonic_fits():
    _, y, said = draw(200, lambda x: x)
    known, outcomes, asked = said[:180], y[:180], said[180:]
    lower, upper = venn_abers(known, outcomes, asked)
    for i, score in enumerate(asked):
        joined = np.append(known, score)
        assert lower[i] == isotonic(joined, np.append(outcomes, 0))[-1]
        assert upper[i] == isotonic(joined, np.append(outcomes, 1))[-1]
    assert (lower <= upper).all()


def test_the_interval_shrinks_with_what_is_known():
    def width(rows):
        _, y, said = draw(rows, lambda x: x, seed=3)
        lower, upper = venn_abers(said, y, np.linspace(0.1, 0.9, 9))
        return (upper - lower).mean()

    assert width(2_000) < width(100) / 2


def test_a_map_of_ones_and_zero_changes_nothing():
    p = np.array([0.01, 0.5, 0.99])
    assert Calibrator("platt", 1.0, 1.0, 0.0)(p) == pytest.approx(p)
