"""Scores of probabilities against definitions, and against what chance alone gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.ml.scores import (
    auc,
    auc_band,
    auc_null_band,
    brier,
    calibration_error,
    calibration_noise,
    decompose,
    isotonic,
    log_loss,
    reliability,
)


def draw(rows, seed=0):
    random = np.random.default_rng(seed)
    p = random.beta(2, 3, rows)
    return (random.random(rows) < p).astype(np.int64), p


def test_log_loss_and_brier_of_four_rows():
    y, p = np.array([1, 0, 1, 0]), np.array([0.8, 0.4, 0.5, 0.0])
    assert log_loss(y, p) == pytest.approx(-(np.log(0.8) + np.log(0.6) + np.log(0.5)) / 4)
    assert brier(y, p) == pytest.approx((0.04 + 0.16 + 0.25) / 4)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=40))
@settings(max_examples=100, deadline=None)
def test_auc_is_the_share_of_ordered_pairs(rows):
    y, score = np.array(rows).T
    pairs = [(a > b) + (a == b) / 2 for a in score[y == 1] for b in score[y == 0]]
    expected = np.mean(pairs) if pairs else np.nan
    assert auc(y, score.astype(float)) == pytest.approx(expected, nan_ok=True)
    one_date = auc_band(y, score.astype(float), np.zeros(y.size, np.int64), draws=2, seed=0)
    assert [one_date.low, one_date.high] == pytest.approx([expected] * 2, nan_ok=True)


def test_bins_hold_equal_mass_and_every_row():
    y, p = draw(1000)
    table = reliability(y, p, 10)
    assert table.rows.tolist() == [100] * 10
    assert table.rows @ table.observed == pytest.approx(y.sum())
    assert (np.diff(table.predicted) > 0).all()
    assert reliability(y, np.round(p, 1), 10).rows.sum() == 1000


def test_a_perfect_model_stays_in_its_noise_and_a_bold_one_does_not():
    y, p = draw(2000)
    noise = calibration_noise(p, draws=200, seed=1)
    assert 0.01 < noise < 0.03
    assert calibration_error(y, p) <= noise
    bold = p**3 / (p**3 + (1 - p) ** 3)
    assert calibration_error(y, bold) > 4 * noise


def test_the_noise_shrinks_with_the_rows():
    few, many = (calibration_noise(draw(rows)[1], draws=100, seed=2) for rows in (200, 10_000))
    assert few > 4 * many


def test_whole_trade_dates_give_the_wider_band():
    """Outcomes that hold all day long: a score that holds all day long is right or wrong all day long."""
    random = np.random.default_rng(5)
    session = np.repeat(np.arange(40), 25)
    y, score = np.repeat(random.integers(0, 2, 40), 25), np.repeat(random.normal(size=40), 25)
    low, high = auc_null_band(y, score, session, draws=300, seed=6)
    assert low < 0.40
    assert high > 0.60
    one_by_one = auc_null_band(y, score, np.arange(1000), draws=300, seed=6)
    assert one_by_one[1] - one_by_one[0] < (high - low) / 3


def test_a_brier_score_in_its_parts():
    y, p = draw(500)
    parts = decompose(y, p)
    assert parts.miscalibration - parts.discrimination + parts.uncertainty == pytest.approx(brier(y, p))
    assert parts.miscalibration >= 0
    assert parts.discrimination >= 0


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=1, max_size=30))
@settings(max_examples=150, deadline=None)
def test_isotonic_fit_by_the_min_max_formula(rows):
    """f(x) = max over a <= x of min over b >= x of the mean outcome of scores in [a, b]."""
    score, y = (np.array(column) for column in zip(*rows, strict=True))
    levels = np.unique(score)

    def mean(a, b):
        return y[(score >= a) & (score <= b)].mean()

    expected = [max(min(mean(a, b) for b in levels[levels >= x]) for a in levels[levels <= x]) for x in score]
    assert isotonic(score.astype(float), y) == pytest.approx(expected)
