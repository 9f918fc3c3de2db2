"""The report of probabilities where it is known what it must say."""

import numpy as np
import polars as pl
import pytest

from footprint_assets.ml.calibration_report import calibration_report
from footprint_assets.ml.calibrators import calibrate, fit_calibrators
from footprint_assets.ml.scores import auc, brier, log_loss
from footprint_assets.settings import JudgingSettings
from footprint_assets_tests.ml.known_answers import SHA, out_of_fold, without_trees

SETTINGS = JudgingSettings(draws=60)
MAPS = fit_calibrators(out_of_fold(sessions=200), SHA, SETTINGS)
NO_MAPS = fit_calibrators(out_of_fold().head(0), SHA, SETTINGS)


def report(rows, maps=NO_MAPS):
    return calibration_report(calibrate(rows, maps, SHA, SETTINGS), SETTINGS)


def row(made, subject, measure, split="all", segment="all"):
    where = pl.struct("subject", "measure", "split", "segment")
    wanted = {"subject": subject, "measure": measure, "split": split, "segment": segment}
    return made.row(by_predicate=where == pl.lit(pl.Series([wanted])).first(), named=True)


@pytest.fixture(scope="module")
def known():
    return out_of_fold(sessions=60, seed=3)


@pytest.fixture(scope="module")
def made(known):
    return report(known, MAPS)


@pytest.mark.parametrize("name", ["p_tradeable", "p_break", "p_break_by_b12", "retrieval_p_tradeable"])
def test_a_model_that_knows_is_beyond_chance_and_calibrated(made, name):
    seen = row(made, name, "auc")
    assert seen["is_beyond_null"]
    assert seen["null_low"] < 0.5 < seen["null_high"] < seen["low"] < seen["value"] < seen["high"]
    assert row(made, name, "calibration_error")["is_beyond_null"] is False
    assert row(made, name, "log_loss_skill")["low"] > 0


def test_the_numbers_are_those_of_the_scores(known):
    made = report(known)
    decided = known.filter(pl.col("outcome") != "CHOP")
    y, p = (decided["outcome"] == "BREAK").cast(pl.Int64).to_numpy(), decided["p_break"].to_numpy()
    assert row(made, "p_break", "log_loss")["value"] == pytest.approx(log_loss(y, p))
    assert row(made, "p_break", "brier")["value"] == pytest.approx(brier(y, p))
    assert row(made, "p_break", "auc")["value"] == pytest.approx(auc(y, p))
    high = decided.filter(pl.col("level_type") == "PM_HIGH").height
    assert row(made, "p_break", "auc", "level_type", "PM_HIGH")["rows"] == high
    parts = [
        row(made, "p_break", name)["value"] for name in ("miscalibration", "discrimination", "uncertainty")
    ]
    assert parts[0] - parts[1] + parts[2] == pytest.approx(brier(y, p))


def test_a_bold_model_is_told_from_a_calibrated_one(known):
    bold = out_of_fold(sessions=60, seed=3, distort=lambda x: 2.5 * x)
    made = report(bold, fit_calibrators(out_of_fold(distort=lambda x: 2.5 * x), SHA, SETTINGS))
    raw, mapped = row(made, "p_break_raw", "calibration_error"), row(made, "p_break", "calibration_error")
    assert raw["is_beyond_null"]
    assert raw["value"] > 2 * raw["null_high"]
    assert mapped["is_beyond_null"] is False
    unmapped = report(bold).filter((pl.col("subject") == "p_break") & (pl.col("measure") == "reliability"))
    assert unmapped["is_beyond_null"].sum() > unmapped.height / 2


def test_nothing_is_beyond_chance_where_outcomes_are_those_of_other_trade_dates(known):
    random = np.random.default_rng(0)
    turned = known.with_columns(outcome=pl.concat([known["outcome"][30:], known["outcome"][:30]]))
    made = report(turned)
    for name in ("p_tradeable", "p_break"):
        assert row(made, name, "auc")["is_beyond_null"] is False
        assert row(made, name, "log_loss_skill")["value"] < 0
    guess = known.with_columns(p_break=pl.Series(random.random(known.height)))
    assert row(report(guess), "p_break", "auc")["is_beyond_null"] is False


def test_bins_of_reliability_hold_every_row_between_their_bands(made, known):
    bins = made.filter((pl.col("subject") == "p_break") & (pl.col("measure") == "reliability"))
    assert bins["rows"].sum() == known.filter(pl.col("outcome") != "CHOP").height
    assert bins["reference"].is_sorted()
    assert (bins["null_low"] <= bins["reference"]).all()
    assert (bins["reference"] <= bins["null_high"]).all()
    assert bins["is_beyond_null"].sum() <= 2


def test_trees_are_compared_with_the_neighbours_on_the_same_rows(known):
    vague = known.with_columns(retrieval_p_break=0.4, retrieval_p_bounce=0.4, retrieval_p_chop=0.2)
    better = row(report(vague), "p_break", "less_than_retrieval")
    assert better["high"] < 0
    alike = row(report(known), "p_break", "less_than_retrieval")
    assert alike["value"] == pytest.approx(0.0, abs=1e-12)


def test_the_coverage_of_strength_is_told_beside_what_it_should_be(made):
    seen = row(made, "strength", "interval_coverage")
    assert seen["reference"] == pytest.approx(0.8)
    assert seen["low"] < 0.8 < seen["high"]


def test_too_few_rows_are_told_without_numbers(known):
    made = report(known.filter(pl.col("session") < 3))
    assert made.filter(pl.col("measure") != "reliability")["value"].null_count() == made.height
    months = report(known).filter((pl.col("split") == "month") & (pl.col("segment") == "2024-02"))
    assert months.height > 0


def test_without_trees_only_the_neighbours_have_numbers(known):
    made = report(without_trees(known))
    told = made.filter(pl.col("value").is_not_null())
    assert set(told["subject"].str.head(9)) == {"retrieval"}
    assert row(made, "p_break", "auc")["rows"] == 0


def test_one_outcome_has_no_auc():
    made = report(out_of_fold().with_columns(outcome=pl.lit("BREAK")))
    assert row(made, "p_break", "auc")["value"] is None
    assert row(made, "p_break", "auc")["is_beyond_null"] is None


def test_the_same_rows_in_another_order_give_the_same_report(known, made):
    shuffled = known.sample(fraction=1.0, shuffle=True, seed=1)
    assert report(shuffled, MAPS).equals(made)
