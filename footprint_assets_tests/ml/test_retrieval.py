"""Neighbours against a slow search, and what they tell where an edge is known."""

import numpy as np
import polars as pl
import pytest

from footprint_assets.ml.features import FeaturesDiffer, NothingKnown
from footprint_assets.ml.retrieval import KNOTS, build_index, fit_space, lift
from footprint_assets.settings import RetrievalSettings
from footprint_assets_tests.ml.known_edge import FEATURES, rows

SETTINGS = RetrievalSettings()


@pytest.fixture(scope="module")
def known():
    return rows(sessions=80)


@pytest.fixture(scope="module")
def index(known):
    return build_index(known, fit_space(known, FEATURES), SETTINGS)


def test_neighbours_are_the_nearest_that_were_over_of_the_same_segment_and_other_trade_dates(known, index):
    for number in (300, 1200, 2399):
        asked = known[number]
        found = index.ask(asked)
        place = {name: k for k, name in enumerate(index.rows["episode_id"])}
        here = index.space.place(asked.select(FEATURES.names).to_numpy().astype(np.float32))[0]
        far = np.sqrt(((index.vectors.astype(float) - here) ** 2).sum(axis=1))
        allowed = known.filter(
            pl.col("level_type") == asked["level_type"].item(),
            pl.col("approach_direction") == asked["approach_direction"].item(),
            pl.col("label_end_ts") <= asked["decision_ts"].item(),
            pl.col("session") != asked["session"].item(),
        )
        expected, taken = [], {}
        for k in sorted((place[name] for name in allowed["episode_id"]), key=lambda k: far[k]):
            session = index.rows["session"][k]
            if taken.setdefault(session, 0) < SETTINGS.per_session:
                taken[session] += 1
                expected.append(k)
        assert found.rows.tolist() == expected[: SETTINGS.neighbours]
        assert found.distance == pytest.approx(far[found.rows], rel=1e-5)


def test_the_future_does_not_change_an_answer(known, index):
    asked = known[1500]
    later = pl.col("label_end_ts") > asked["decision_ts"].item()
    turned = known.with_columns(
        outcome=pl.when(later).then(pl.lit("BREAK")).otherwise("outcome"),
        bar5s_ofi_x0=pl.when(later).then(0.0).otherwise("bar5s_ofi_x0").cast(pl.Float32),
    )
    other = build_index(turned, index.space, SETTINGS).ask(asked)
    answer = index.ask(asked)
    assert other.distance.tolist() == answer.distance.tolist()
    assert other.chances.tolist() == answer.chances.tolist()


def test_neighbours_tell_where_there_is_something_to_tell():
    def told(edge):
        known = rows(sessions=120, edge=edge)
        index = build_index(known, fit_space(known, FEATURES), SETTINGS)
        asked = known.filter(pl.col("session") >= 80)
        return lift(index, asked, [index.ask(asked[k]) for k in range(asked.height)])

    assert told(3.0) > 1.06
    assert told(0.0) == pytest.approx(1.0, abs=0.03)


def test_chances_lie_between_the_neighbours_and_the_base_rate(known, index):
    found = index.ask(known[2000])
    assert found.chances.sum() == pytest.approx(1.0)
    assert 1 <= found.effective <= found.rows.size
    alone = build_index(known, index.space, SETTINGS.model_copy(update={"prior_rows": 1e9})).ask(known[2000])
    asked = known[2000]
    over = known.filter(
        pl.col("level_type") == asked["level_type"].item(),
        pl.col("approach_direction") == asked["approach_direction"].item(),
        pl.col("label_end_ts") <= asked["decision_ts"].item(),
    )
    assert alone.chances[0] == pytest.approx((over["outcome"] == "BREAK").mean())


def test_a_neighbour_counts_by_its_distance_and_its_age(known, index):
    asked = known[2000]
    found = index.ask(asked)
    age = asked["session"].item() - index.rows["session"].to_numpy()[found.rows]
    weight = np.exp(-0.5 * (found.distance / found.distance[-1]) ** 2) * 0.5 ** (age / 60.0)
    assert len(set(age.tolist())) > 10
    assert found.weight == pytest.approx(weight)
    assert found.effective == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    alone = build_index(known, index.space, SETTINGS.model_copy(update={"prior_rows": 0.0})).ask(asked)
    has_broken = (index.rows["outcome"].gather(found.rows.tolist()) == "BREAK").to_numpy()
    assert alone.chances[0] == pytest.approx(weight[has_broken].sum() / weight.sum())


def test_nobody_to_ask_on_the_first_day(known, index):
    found = index.ask(known[0])
    assert found.rows.size == 0
    assert found.effective == 0
    assert np.isnan(found.chances).all()


def test_the_space_spreads_every_feature_alike():
    random = np.random.default_rng(0)
    x = np.column_stack([random.standard_cauchy(4000), random.integers(0, 2, 4000), np.full(4000, 3.0)])
    table = pl.DataFrame({name: x[:, k] for k, name in enumerate(FEATURES.names[:3])})
    three = type(FEATURES)(FEATURES.names[:3], ("ofi",) * 3, FEATURES.sha256)
    space = fit_space(table, three)
    placed = space.place(x.astype(np.float32)) / space.weight
    assert placed[:, 0].std() == pytest.approx(1.0, abs=0.02)
    assert placed[:, 1].mean() == pytest.approx(0.0, abs=0.05)
    assert (placed[:, 2] == 0).all()
    unknown = space.place(np.full((1, 3), np.nan, np.float32))
    assert unknown.tolist() == [[0.0, 0.0, 0.0]]
    assert space.knots.shape == (3, KNOTS)


def test_families_count_alike_without_gains_and_by_gain_with_them(known):
    plain = fit_space(known, FEATURES).weight.astype(float) ** 2
    assert plain[:4].sum() == pytest.approx(0.5)
    assert plain[4:].sum() == pytest.approx(0.5)
    gained = fit_space(known, FEATURES, {"bar5s_ofi_x0": 3.0, "bar5s_flow_x1": 1.0}).weight.astype(float) ** 2
    assert gained[[0, 5]] == pytest.approx([0.75, 0.25])
    assert gained.sum() == pytest.approx(1.0)


def test_bad_rows_are_refused(known, index):
    with pytest.raises(FeaturesDiffer, match="first=bar5s_ofi_x1"):
        index.ask(known[5].drop("bar5s_ofi_x1"))
    with pytest.raises(NothingKnown):
        fit_space(known.with_columns(pl.lit(None, pl.Float32).alias(n) for n in FEATURES.names), FEATURES)
