"""The report of neighbours where an edge is planted, and where there is none."""

import numpy as np
import polars as pl
import pytest

from footprint_assets.ml.features import FeaturesDiffer
from footprint_assets.ml.retrieval import build_index, fit_space, lift
from footprint_assets.ml.retrieval_report import retrieval_report
from footprint_assets.ml.retrieval_rows import index_of, index_rows, space_of, space_rows
from footprint_assets.settings import JudgingSettings, RetrievalSettings
from footprint_assets_tests.ml.known_edge import FEATURES, rows

SETTINGS = JudgingSettings(draws=100)
MONTH = 100
"""First trade date of the month that is judged; those before are known."""


def market(edge, seed=0):
    """An index of 100 trade dates, and the rows of 20 more."""
    known = rows(sessions=120, edge=edge, seed=seed)
    before = known.filter(pl.col("session") < MONTH)
    index = build_index(before, fit_space(before, FEATURES), RetrievalSettings())
    return known.filter(pl.col("session") >= MONTH), index


@pytest.fixture(scope="module")
def known():
    return market(edge=3.0)


@pytest.fixture(scope="module")
def made(known):
    return retrieval_report(*known, SETTINGS)


def told(made, measure, split="all", segment="all"):
    found = made.filter(measure=measure, split=split, segment=segment)
    assert found.height == 1
    return found.row(0, named=True)


def test_neighbours_of_a_planted_edge_are_beyond_chance(known, made):
    asked, index = known
    seen = told(made, "lift")
    assert seen["value"] == pytest.approx(lift(index, asked, index.ask_all(asked)))
    assert seen["null_low"] < 1 < seen["null_high"] < seen["low"] < seen["value"]
    assert seen["is_beyond_null"]
    assert (seen["rows"], seen["sessions"]) == (600, 20)
    assert told(made, "lift", "level_type", "PM_HIGH")["rows"] == 300
    assert told(made, "lift", "outcome", "BREAK")["is_beyond_null"]


@pytest.mark.parametrize("seed", [0, 1])
def test_neighbours_of_no_edge_are_not(seed):
    made = retrieval_report(*market(edge=0.0, seed=seed), SETTINGS)
    assert told(made, "lift")["is_beyond_null"] is False
    assert told(made, "precision_at_k", "k", "050")["is_beyond_null"] is False


def test_outcomes_of_other_trade_dates_are_within_chance(known):
    asked, index = known
    elsewhere = asked.with_columns(outcome=pl.concat([asked["outcome"][30:], asked["outcome"][:30]]))
    assert told(retrieval_report(elsewhere, index, SETTINGS), "lift")["is_beyond_null"] is False


def test_precision_is_the_share_of_the_nearest_with_the_outcome(known, made):
    asked, index = known
    outcome = dict(enumerate(index.rows["outcome"]))
    for k in (1, 10, 50):
        shares = [
            np.mean([outcome[n] == own for n in answer.rows[:k]])
            for own, answer in zip(asked["outcome"], index.ask_all(asked), strict=True)
        ]
        assert told(made, "precision_at_k", "k", f"{k:03d}")["value"] == pytest.approx(np.mean(shares))


def test_coverage_counts_rows_with_enough_neighbours(known, made):
    asked, index = known
    assert told(made, "coverage")["value"] == 1.0
    demanding = SETTINGS.model_copy(update={"min_effective": 49.0})
    assert told(retrieval_report(asked, index, demanding), "coverage")["value"] < 0.5
    assert told(made, "effective_neighbours")["value"] <= told(made, "neighbours")["value"] == 50
    assert told(made, "hubness")["value"] > 1


def test_a_kind_of_level_nobody_has_seen_has_no_neighbours_and_no_lift(known):
    asked, index = known
    new = retrieval_report(asked.with_columns(level_type=pl.lit("VWAP")), index, SETTINGS)
    assert told(new, "coverage")["value"] == 0.0
    assert told(new, "lift")["value"] is None
    few = retrieval_report(asked.head(20), index, SETTINGS)
    assert few["value"].null_count() == few.height


def test_space_and_index_come_back_from_their_rows_as_they_were(known):
    asked, index = known
    space, table = space_rows(index.space), index_rows(index)
    again = index_of(space, table, index.settings)
    for before, after in zip(index.ask_all(asked[:40]), again.ask_all(asked[:40]), strict=True):
        assert before.rows.tolist() == after.rows.tolist()
        assert before.chances.tolist() == after.chances.tolist()
    unknown = rows(sessions=5).with_columns(pl.lit(None, pl.Float32).alias("bar5s_ofi_x0"))
    silent = fit_space(unknown, FEATURES)
    assert space_rows(silent)["knots"][0].is_empty()
    assert np.isnan(space_of(space_rows(silent)).knots[0]).all()
    assert index_of(space.head(0), table.head(0), index.settings) is None
    assert index_of(space, table.head(0), index.settings).ask(asked[0]).rows.size == 0


def test_an_index_of_another_space_is_refused(known):
    _, index = known
    space, table = space_rows(index.space), index_rows(index)
    other = table.with_columns(features_sha256=pl.lit("cd" * 32))
    with pytest.raises(FeaturesDiffer, match=r"another space.*Remedy: make the month's retrieval tables"):
        index_of(space, other, index.settings)
    with pytest.raises(FeaturesDiffer, match="features=11"):
        index_of(space.head(11), table, index.settings)


def test_asking_together_is_asking_one_by_one(known):
    asked, index = known
    together = index.ask_all(asked[:30])
    for number, answer in enumerate(together):
        alone = index.ask(asked[number])
        assert answer.rows.tolist() == alone.rows.tolist()
        assert answer.weight.tolist() == alone.weight.tolist()
