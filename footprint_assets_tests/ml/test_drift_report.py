"""Drift by whole trade dates: what moved is told, what trade dates do by themselves is not."""

import numpy as np
import polars as pl
import pytest

from footprint_assets.ml.drift import drift, drift_by_session
from footprint_assets.ml.drift_report import drift_report
from footprint_assets.settings import JudgingSettings
from footprint_assets_tests.ml.known_answers import out_of_fold, without_trees
from footprint_assets_tests.ml.known_edge import FEATURES

SETTINGS = JudgingSettings(draws=100)


def days(count, seed, first=0, columns=40):
    """Features of which each trade date has most in common, as those of a market."""
    random = np.random.default_rng(seed)
    values = np.repeat(random.normal(size=(count, columns)), 25, axis=0)
    return values + 0.3 * random.normal(size=values.shape), np.repeat(np.arange(count) + first, 25)


def test_trade_dates_that_differ_are_no_drift_though_single_rows_say_so():
    (before, session_before), (now, session_now) = days(80, 0), days(20, 1, first=80)
    found = drift_by_session(before, now, session_before, session_now, draws=100, seed=2)
    assert found.is_alarm.mean() < 0.05
    assert np.mean([drift(before[:, k], now[:, k]).is_alarm for k in range(40)]) > 0.8
    moved = drift_by_session(before, now + 1.5, session_before, session_now, draws=100, seed=2)
    assert moved.is_alarm.mean() > 0.9


def test_the_index_is_that_of_the_rows():
    (before, session_before), (now, session_now) = days(80, 3), days(20, 4, first=80)
    now[::7] = np.nan
    found = drift_by_session(before, now, session_before, session_now, draws=5, seed=2)
    assert found.index == pytest.approx([drift(before[:, k], now[:, k]).index for k in range(40)])


def told(made, subject, measure, split="all", segment="all"):
    found = made.filter(subject=subject, measure=measure, split=split, segment=segment)
    assert found.height == 1
    return found.row(0, named=True)


@pytest.fixture(scope="module")
def before():
    return out_of_fold(sessions=60)


@pytest.fixture(scope="module")
def now():
    return out_of_fold(sessions=20, seed=1).with_columns(session=pl.col("session") + 60)


def report(now, before):
    return drift_report(now, before, now, before, FEATURES, SETTINGS)


def test_a_quiet_month_has_not_moved(now, before):
    made = report(now, before)
    assert told(made, "features", "share_moved")["is_beyond_null"] is False
    assert told(made, "p_break", "stability_index")["is_beyond_null"] is False
    assert told(made, "outcomes", "rate", segment="BREAK")["is_beyond_null"] is False
    rate = told(made, "outcomes", "rate", segment="CHOP")
    assert rate["value"] == pytest.approx((now["outcome"] == "CHOP").mean())
    assert rate["reference"] == pytest.approx((before["outcome"] == "CHOP").mean())
    assert told(made, "features", "missing_rate", "family", "ofi")["value"] == pytest.approx(0.05, abs=0.02)


def test_a_family_that_moved_is_named(now, before):
    moved = now.with_columns(pl.col("^bar5s_ofi_.*$") + 1.5)
    made = report(moved, before)
    assert told(made, "features", "share_moved", "family", "ofi")["value"] == 1.0
    assert told(made, "features", "share_moved", "family", "ofi")["is_beyond_null"]
    assert told(made, "features", "share_moved", "family", "flow")["value"] <= 1 / 8  # one of them by chance
    assert told(made, "features", "stability_index", "feature", "bar5s_ofi_x2")["is_beyond_null"]


def test_a_silent_feature_other_outcomes_and_other_predictions_are_told(now, before):
    turned = now.with_columns(
        bar5s_flow_x3=pl.lit(None, pl.Float32),
        outcome=pl.when(pl.col("outcome") == "CHOP").then(pl.lit("BREAK")).otherwise("outcome"),
        p_break=pl.col("p_break") ** 3,
    )
    made = report(turned, before)
    assert told(made, "features", "stability_index", "feature", "bar5s_flow_x3")["is_beyond_null"]
    silent = told(made, "features", "missing_rate", "family", "flow")
    assert silent["value"] > silent["reference"] + 0.1
    assert told(made, "outcomes", "rate", segment="BREAK")["is_beyond_null"]
    assert told(made, "outcomes", "rate", "level_type", "PM_HIGH BREAK")["is_beyond_null"]
    assert told(made, "p_break", "stability_index")["is_beyond_null"]
    assert told(made, "p_tradeable", "stability_index")["is_beyond_null"] is False


def test_predictions_that_moved_at_one_kind_of_level_are_told_there_alone(now, before):
    at_one = pl.col("level_type").cast(pl.String) == "PM_HIGH"
    turned = now.with_columns(p_break=pl.when(at_one).then(pl.col("p_break") ** 4).otherwise("p_break"))
    made = report(turned, before).filter(subject="p_break", split="level_type")
    moved = dict(made.select("segment", "is_beyond_null").iter_rows())
    assert len(moved) > 1
    assert [level for level, is_beyond in moved.items() if is_beyond] == ["PM_HIGH"]


def test_without_history_or_trees_there_are_no_numbers(now, before):
    first = report(now, before.head(0))
    assert first["value"].null_count() == first.height
    bare = report(without_trees(now), without_trees(before))
    assert told(bare, "p_break", "stability_index")["value"] is None
    assert told(bare, "retrieval_p_tradeable", "stability_index")["value"] is not None
