"""Boosted heads on rows whose chances are known."""

import dataclasses

import numpy as np
import polars as pl
import pytest

pytest.importorskip("lightgbm", reason="boosted trees come with the [ml] extra")

from footprint_assets.ml.calibration import OneClass
from footprint_assets.ml.features import FeaturesDiffer, NothingKnown
from footprint_assets.ml.heads import BIN_ENDS, HEADS, Model, train
from footprint_assets.ml.scores import auc
from footprint_assets.ml.splits import TooFewSessions
from footprint_assets.settings import ModelSettings
from footprint_assets_tests.ml.known_edge import FEATURES, rows

SETTINGS = ModelSettings(max_rounds=150, feature_fraction=1.0, hazard_features=12)
SHA = FEATURES.sha256


@pytest.fixture(scope="module")
def known():
    return rows()


@pytest.fixture(scope="module")
def judged():
    return rows(sessions=100, seed=1)


@pytest.mark.parametrize("name", ["tradeability", "direction"])
def test_a_planted_edge_is_found_nearly_as_well_as_by_who_planted_it(known, judged, name):
    head = HEADS[name]
    model = train(head, known, FEATURES, SETTINGS)
    asked = judged.filter(head.rows)
    y = asked.select(head.target.cast(pl.Int64).alias("y"))["y"].to_numpy()
    truth = asked["true_tradeable" if name == "tradeability" else "true_break"].to_numpy()
    said = model.predict(asked, SHA).to_series().to_numpy()
    # 1,800 rows teach: what is lost is the price of learning, and shrinks with more.
    assert auc(y, truth) - 0.03 < auc(y, said) <= auc(y, truth) + 0.01


def test_nothing_is_found_where_nothing_was_planted():
    model = train(HEADS["direction"], rows(edge=0.0), FEATURES, SETTINGS)
    asked = rows(sessions=100, seed=1, edge=0.0).filter(HEADS["direction"].rows)
    y = (asked["outcome"] == "BREAK").cast(pl.Int64).to_numpy()
    assert abs(auc(y, model.predict(asked, SHA).to_series().to_numpy()) - 0.5) < 0.03


@pytest.mark.parametrize("name", list(HEADS))
def test_the_same_rows_give_the_same_text_whatever_their_order_and_the_threads(known, name):
    short = SETTINGS.model_copy(update={"max_rounds": 8})
    shuffled = known.sample(fraction=1.0, shuffle=True, seed=3)
    models = [
        train(HEADS[name], table, FEATURES, short.model_copy(update={"num_threads": threads}))
        for table, threads in ((known, 1), (shuffled, 2))
    ]
    assert models[0] == models[1]
    assert "parameters:" not in "".join(models[0].boosters.values())


def test_labels_that_are_judged_over_the_same_time_count_as_one(known):
    """Ten at once are breaks, ten one after the other bounces: they count one to ten."""
    group, start = known["session"].cast(pl.Int64), np.arange(known.height)
    is_crowd = start // 10 % 2 == 0
    at = 86_400 * group + 100 * np.where(is_crowd, start // 10 * 10, start)
    crowded = known.with_columns(
        outcome=pl.Series(np.where(is_crowd, "BREAK", "BOUNCE")), decision_ts=at, label_end_ts=at + 50
    )
    few = SETTINGS.model_copy(update={"max_rounds": 5, "learning_rate": 0.01})
    said = train(HEADS["direction"], crowded, FEATURES, few).predict(known, SHA)["p_break"]
    assert said.mean() == pytest.approx(1 / 11, abs=0.02)


def test_quantiles_do_not_cross_and_hold_their_share(known, judged):
    model = train(HEADS["strength"], known, FEATURES, SETTINGS)
    said = model.predict(judged, SHA)
    crossed = dict(zip(model.boosters, reversed(model.boosters.values()), strict=True))
    assert dataclasses.replace(model, boosters=crossed).predict(judged, SHA).equals(said)
    low, middle, high = (said[name].to_numpy() for name in said.columns)
    assert said.columns == ["strength_q10_pts", "strength_q50_pts", "strength_q90_pts"]
    assert ((low <= middle) & (middle <= high)).all()
    truth = judged["strength_signed_pts"].to_numpy()
    assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(0.8, abs=0.05)


def test_chances_of_both_barriers_grow_with_time_and_leave_room_for_neither(known, judged):
    said = train(HEADS["time_to_threshold"], known, FEATURES, SETTINGS).predict(judged, SHA).to_numpy()
    breaks, bounces = said[:, : BIN_ENDS.size], said[:, BIN_ENDS.size :]
    assert (np.diff(breaks, axis=1) >= 0).all()
    assert (np.diff(bounces, axis=1) >= 0).all()
    assert (breaks[:, -1] + bounces[:, -1] <= 1 + 1e-12).all()
    for k, end in enumerate(BIN_ENDS):
        passed = (judged["first_passage_share"] > 0) & (judged["first_passage_share"] <= end)
        assert breaks[:, k].mean() == pytest.approx(passed.fill_null(value=False).mean(), abs=0.04)


def test_break_bounce_and_neither_add_up_to_one_in_every_time_bin():
    from footprint_assets.ml.heads import BOUNCE, BREAK, NOTHING, _incidence

    hazard = np.random.default_rng(0).dirichlet([8, 1, 1], (5, BIN_ENDS.size))
    breaks, bounces = np.split(_incidence(hazard), 2, axis=1)
    assert breaks[:, 0] == pytest.approx(hazard[:, 0, BREAK])
    assert bounces[:, 1] - bounces[:, 0] == pytest.approx(hazard[:, 0, NOTHING] * hazard[:, 1, BOUNCE])
    assert breaks + bounces == pytest.approx(1.0 - np.cumprod(hazard[:, :, NOTHING], axis=1))


def test_a_later_row_teaches_nothing_of_an_earlier_time_bin():
    """Rows by bin: one per bin until the barrier, the barrier in the last of them."""
    from footprint_assets.ml.heads import BOUNCE, BREAK, NOTHING, _Lesson

    lesson = _Lesson(np.zeros((3, 1), np.float32), np.array([0.0105, -0.02, np.nan]), np.ones(3)).by_bin()
    assert lesson.y.tolist() == [NOTHING, BREAK, NOTHING, BOUNCE, *[NOTHING] * 12]
    assert lesson.x[:, 1].tolist() == pytest.approx([*BIN_ENDS[:2], *BIN_ENDS[:2], *BIN_ENDS])


def test_the_trade_dates_that_trees_are_counted_on_do_not_choose_what_they_read(known):
    moves = pl.col("first_passage_share").is_not_null().cast(pl.Float32)
    is_late = pl.col("session") > known["session"].max() * (1 - SETTINGS.holdout_share)
    names = FEATURES.names[:2]
    noise = known.sample(fraction=1.0, shuffle=True, seed=3).select(moves).to_series()
    planted = known.with_columns(
        pl.when(pl.int_range(pl.len()) % 8 == 0).then(moves).otherwise(noise).alias(names[0]),
        pl.when(is_late).then(moves).otherwise(noise).alias(names[1]),
    )
    one = SETTINGS.model_copy(update={"max_rounds": 3, "hazard_features": 1})
    assert train(HEADS["time_to_threshold"], planted, FEATURES.only(names), one).features == names[:1]


def test_rows_that_follow_each_other_teach_without_a_copy():
    from footprint_assets.ml.heads import _Lesson

    lesson = _Lesson(np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(4.0), np.ones(4))
    assert np.shares_memory(lesson.of(np.array([1, 2])).x, lesson.x)
    assert lesson.of(np.array([0, 1, 3])).y.tolist() == [0.0, 1.0, 3.0]


def test_a_model_says_what_it_cannot_do(known):
    head, few = HEADS["direction"], known.filter(pl.col("session") < 5)
    with pytest.raises(TooFewSessions, match=r"too little history.*trade_dates=5, needed=20"):
        train(head, few, FEATURES, SETTINGS)
    apart = SETTINGS.model_copy(update={"embargo_sessions": known["session"].n_unique() - 1})
    with pytest.raises(TooFewSessions, match="too few trade dates with rows to split"):
        train(head, known, FEATURES, apart)  # the trees are counted behind an embargo
    with pytest.raises(OneClass, match="head=direction"):
        train(head, known.filter(pl.col("outcome") != "BOUNCE"), FEATURES, SETTINGS)
    for nothing in (None, 1.0):
        empty = known.with_columns(pl.lit(nothing, pl.Float32).alias(name) for name in FEATURES.names)
        with pytest.raises(NothingKnown):
            train(head, empty, FEATURES, SETTINGS)
    with pytest.raises(FeaturesDiffer, match="first=bar5s_ofi_x2"):
        train(head, known.drop("bar5s_ofi_x2"), FEATURES, SETTINGS)


def test_a_model_reads_only_the_features_it_was_made_for(known):
    model = train(HEADS["direction"], known, FEATURES, SETTINGS.model_copy(update={"max_rounds": 5}))
    with pytest.raises(FeaturesDiffer, match="another list of features"):
        model.predict(known, "cd" * 32)
    reordered = known.select(reversed(known.columns))
    assert model.predict(reordered, SHA).equals(model.predict(known, SHA))
    assert dataclasses.asdict(Model(**dataclasses.asdict(model))) == dataclasses.asdict(model)
