"""Maps as rows of a table, and what they make of what models say."""

import numpy as np
import polars as pl
import pytest

from footprint_assets.ml.calibrators import (
    COVERAGE,
    adapted_coverage,
    calibrate,
    conformal_width,
    fit_calibrators,
)
from footprint_assets.ml.features import FeaturesDiffer
from footprint_assets.ml.heads import BIN_ENDS
from footprint_assets.ml.questions import QUESTIONS, answers
from footprint_assets.ml.scores import calibration_error, calibration_noise, log_loss
from footprint_assets.settings import JudgingSettings
from footprint_assets_tests.ml.known_answers import SHA, out_of_fold, without_trees

SETTINGS = JudgingSettings()


def bold(x):
    return 2.5 * x + 0.5


@pytest.fixture(scope="module")
def fitted():
    return fit_calibrators(out_of_fold(distort=bold), SHA, SETTINGS)


@pytest.fixture(scope="module")
def said():
    return out_of_fold(seed=1, distort=bold)


@pytest.fixture(scope="module")
def honest(said, fitted):
    return calibrate(said, fitted, SHA, SETTINGS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_what_a_bold_model_says_is_made_honest_on_rows_no_map_has_seen(question, honest):
    mapped, raw = answers(question, honest), answers(question, honest, f"{question.name}_raw")
    assert log_loss(mapped.y, mapped.p) < log_loss(raw.y, raw.p)
    noise = calibration_noise(mapped.p, draws=50, seed=3)
    assert calibration_error(raw.y, raw.p) > noise
    assert calibration_error(mapped.y, mapped.p) < calibration_error(raw.y, raw.p) / 2


def test_three_chances_add_up_to_one_and_curves_keep_their_order(honest):
    for name in ("chance", "retrieval_p"):
        three = honest.select(f"{name}_{outcome}" for outcome in ("break", "bounce", "chop"))
        assert three.sum_horizontal().to_numpy() == pytest.approx(1.0)
    for side in ("break", "bounce"):
        curve = honest.select(f"p_{side}_by_b{k:02d}" for k in range(1, BIN_ENDS.size + 1)).to_numpy()
        assert (np.diff(curve, axis=1) >= 0).all()
        assert curve[:, -1] == pytest.approx(honest[f"p_{side}_by_b12"].to_numpy())
    both = honest["p_break_by_b12"] + honest["p_bounce_by_b12"]
    assert both.max() <= 1 + 1e-12


def test_an_interval_lies_around_the_truth_and_is_narrow_where_much_is_known(honest):
    low, high = (honest[f"p_break_{end}"].to_numpy() for end in ("low", "high"))
    truth = honest["true_break"].to_numpy()
    assert (low <= high).all()
    assert 0 < (high - low).mean() < 0.1
    inner = (truth > 0.2) & (truth < 0.8)
    assert np.abs((low + high) / 2 - truth)[inner].mean() < 0.06


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (out_of_fold().head(0), "no earlier predictions"),
        (out_of_fold(sessions=12, a_day=10), "too few rows: "),
        (out_of_fold(sessions=5, a_day=120), "too few trade dates: 5 of 10"),
        (out_of_fold().with_columns(outcome=pl.lit("BREAK")), "one outcome only"),
        (without_trees(out_of_fold()), "no earlier predictions"),
    ],
)
def test_a_map_without_enough_to_go_by_changes_nothing_and_says_why(rows, reason, said):
    maps = fit_calibrators(rows, SHA, SETTINGS)
    row = maps.row(by_predicate=pl.col("name") == "p_break", named=True)
    assert row["method"] == "identity"
    assert row["reason"].startswith(reason)
    made = calibrate(said, maps, SHA, SETTINGS)
    assert made["p_break"].equals(said["p_break"])
    assert made["p_break_low"].null_count() == made.height


def test_the_neighbours_answer_where_there_are_no_trees(fitted, said):
    made = calibrate(without_trees(said), fitted, SHA, SETTINGS)
    assert made["chances_from"].unique().to_list() == ["retrieval"]
    assert made["p_break"].null_count() == made["strength_low_pts"].null_count() == made.height
    assert made["chance_break"].null_count() == 0
    nothing = said.with_columns(pl.lit(None, pl.Float64).alias(n) for n in said.columns if "_p_" in n)
    asked = calibrate(without_trees(nothing), fitted, SHA, SETTINGS)
    assert asked["chances_from"].null_count() == asked["chance_chop"].null_count() == asked.height


def test_maps_of_another_list_of_features_are_refused(fitted, said):
    with pytest.raises(FeaturesDiffer, match=r"another list of features.*Remedy: make the calibrators"):
        calibrate(said, fitted, "cd" * 32, SETTINGS)


def test_the_order_of_rows_changes_no_map(fitted):
    shuffled = out_of_fold(distort=bold).sample(fraction=1.0, shuffle=True, seed=5)
    assert fit_calibrators(shuffled, SHA, SETTINGS).equals(fitted)


def test_a_width_holds_its_share_of_new_trade_dates():
    """Misses of a day have most in common: single rows would give too narrow a width."""
    random = np.random.default_rng(0)

    def misses(days):
        return np.repeat(random.normal(size=days), 10) + 0.2 * random.normal(size=10 * days)

    held = []
    for _ in range(300):
        width = conformal_width(misses(30), np.repeat(np.arange(30), 10), COVERAGE)
        held.append((misses(1) <= width).mean())
    assert np.mean(held) == pytest.approx(COVERAGE, abs=0.04)


def test_a_width_by_hand():
    """Three trade dates: each is a fourth of the mass, a new one the last."""
    miss, session = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 0, 1, 2])
    assert conformal_width(miss, session, 0.25) == 1.0
    assert conformal_width(miss, session, 0.5) == 2.0
    assert conformal_width(miss, session, 0.75) == 3.0
    assert conformal_width(miss, session, 0.8) == np.inf
    crowded = np.array([0, 0, 0, 1])  # a trade date of many rows counts no more than another
    assert conformal_width(miss, crowded, 0.5) == 3.0
    few = fit_calibrators(
        out_of_fold(sessions=3, a_day=80), SHA, SETTINGS.model_copy(update={"min_sessions": 2})
    )
    row = few.row(by_predicate=pl.col("name") == "strength", named=True)
    assert (row["method"], row["reason"]) == ("identity", "too few trade dates for a coverage of 0.8")


def test_where_outcomes_drift_an_adapted_interval_holds_what_is_wanted():
    def covered(gamma):
        held = []
        for seed in range(8):
            random = np.random.default_rng(seed)
            session = np.repeat(np.arange(180), 20)
            # The spread of outcomes doubles over the second half.
            miss = random.standard_normal(session.size) * np.where(session < 90, 1.0, 2.0)
            known = session < 160
            asked = adapted_coverage(miss[known], session[known], COVERAGE, gamma, first=10)
            width = conformal_width(miss[known], session[known], asked)
            held.append(np.mean(miss[~known] <= width))
        return np.mean(held)

    assert adapted_coverage(np.ones(30), np.repeat(np.arange(3), 10), COVERAGE, 0.0, first=1) == COVERAGE
    assert covered(0.0) < 0.74
    assert covered(0.02) == pytest.approx(COVERAGE, abs=0.02)


def test_the_interval_of_strength_is_widened_to_its_coverage(honest):
    """The model's own quantiles hold far less than they say."""
    truth = honest["strength_signed_pts"]
    assert truth.is_between(honest["strength_q10_pts"], honest["strength_q90_pts"]).mean() < 0.5
    held = truth.is_between(honest["strength_low_pts"], honest["strength_high_pts"]).mean()
    assert held == pytest.approx(COVERAGE, abs=0.04)
