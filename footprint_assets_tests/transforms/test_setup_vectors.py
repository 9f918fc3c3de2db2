"""Setup vectors: slots in their places, scaled by earlier sessions only."""

from __future__ import annotations

import datetime as dt
import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import contracts
from footprint_assets.settings import VectorSettings
from footprint_assets.transforms.setup_vectors import (
    AT_TRIGGER,
    FIT_COLUMNS,
    SLOT_GROUPS,
    SLOTS,
    TABLE,
    VECTOR,
    WIDTH,
    SetupVectors,
    known_slots,
    setup_vectors,
    vector_id,
)
from footprint_assets_tests.transforms.level_tables import signals_of

DAY = dt.date(2024, 6, 14)
BEFORE = (dt.date(2024, 6, 11), dt.date(2024, 6, 12), dt.date(2024, 6, 13))
RULES = VectorSettings(min_rows=20)
SIGNALS = signals_of(DAY, 5, 1)
PRIOR = pl.concat([signals_of(day, 8, 100 + i) for i, day in enumerate(BEFORE)])


def vectors_of(
    signals: pl.DataFrame = SIGNALS, prior: pl.DataFrame = PRIOR, rules: VectorSettings = RULES
) -> SetupVectors:
    made = setup_vectors(signals, prior.select(FIT_COLUMNS), "ES", DAY, rules)
    contracts.Validator(contracts.load(TABLE)).validate(made.frame)
    return made


MADE = vectors_of()


def test_the_slots_are_36_snapshot_40_derivative_30_profile_30_shape_and_12_momentum_features():
    sizes = {group: len(names) for group, names in SLOT_GROUPS.items()}
    assert sizes == {"snapshot": 36, "derivative": 40, "profile": 30, "shape": 30, "momentum": 12}
    assert len(set(SLOTS)) == len(SLOTS) == 148
    assert WIDTH == len(VECTOR) == 256


def test_every_slot_is_a_feature_known_at_the_decision():
    features = contracts.load("gold.future.levels_signals").columns_of_kind("feature")
    assert set(SLOTS) <= set(features)
    assert set(AT_TRIGGER.values()) <= set(features)


def test_the_contract_names_the_feature_of_each_slot():
    contract = contracts.load(TABLE)
    for slot, name in zip(VECTOR, SLOTS, strict=False):
        assert contract.field(slot).doc.startswith(f"{name} (")


def test_a_slot_is_the_distance_from_the_median_in_interquartile_ranges():
    level = "OR_HIGH"
    window = PRIOR.filter(pl.col("level_type") == level)
    assert MADE.fits[level].scope == "LEVEL"
    for episode in SIGNALS.filter(pl.col("level_type") == level).to_dicts():
        (row,) = MADE.frame.filter(pl.col("episode_id") == episode["episode_id"]).to_dicts()
        for slot, name in zip(VECTOR, SLOTS, strict=False):
            history = window[name].drop_nulls().cast(pl.Float64).to_numpy()
            quarter, middle, three = np.quantile(history, [0.25, 0.5, 0.75])
            width = (three - quarter) or (history.max() - history.min())
            if episode[name] is None or width == 0:
                expected = 0.0
            else:
                expected = np.clip((float(episode[name]) - middle) / width, -5, 5)
            assert row[slot] == pytest.approx(expected, rel=1e-6, abs=1e-6), name


def test_the_slots_after_the_last_feature_are_zero():
    assert (MADE.frame.select(VECTOR[len(SLOTS) :]).to_numpy() == 0).all()


def test_the_window_of_the_fit_is_told():
    fit = MADE.fits["PM_LOW"]
    assert (fit.scope, fit.rows, fit.first_session, fit.last_session) == ("LEVEL", 24, BEFORE[0], BEFORE[-1])
    notes = MADE.notes()
    assert notes["normaliser"]["PM_LOW"] == {
        "scope": "LEVEL", "rows": 24, "first_session": "2024-06-11", "last_session": "2024-06-13",
    }  # fmt: skip
    assert notes["slots"] == list(SLOTS)


def test_a_level_with_few_episodes_is_scaled_by_all_levels():
    prior = PRIOR.filter((pl.col("level_type") == "PM_LOW") | (pl.col("session_date") == BEFORE[0]))
    made = vectors_of(prior=prior)
    assert (made.fits["OR_HIGH"].scope, made.fits["OR_HIGH"].rows) == ("ALL_LEVELS", 32)
    own = pl.col("level_type") == "PM_LOW"
    assert made.frame.filter(own).equals(MADE.frame.filter(own))


def test_without_enough_earlier_episodes_there_are_no_vectors():
    made = vectors_of(prior=PRIOR[:19])
    assert made.fits["OR_HIGH"].scope == "NONE"
    assert made.frame.height == SIGNALS.height
    assert made.frame.select(pl.col(VECTOR).null_count()).sum_horizontal()[0] == WIDTH * SIGNALS.height
    none = vectors_of(prior=PRIOR.clear()).fits["PM_LOW"]
    assert none.as_note() == {"scope": "NONE", "rows": 0, "first_session": None, "last_session": None}


def test_an_unknown_feature_gives_zero_and_is_told_apart_by_the_mask():
    signals = SIGNALS.with_columns(pl.lit(None, pl.Float64).alias("bar5s_state_obi0_eob"))
    slot = VECTOR[SLOTS.index("bar5s_state_obi0_eob")]
    assert vectors_of(signals).frame[slot].to_list() == [0.0] * SIGNALS.height
    assert not known_slots(signals)[slot].any()
    assert vectors_of(signals).frame["obi0_at_trigger"].null_count() == SIGNALS.height


def test_a_feature_that_never_moved_says_nothing():
    name = "bar5s_state_obi0_eob"
    made = vectors_of(prior=PRIOR.with_columns(pl.lit(0.5).alias(name)))
    assert made.frame[VECTOR[SLOTS.index(name)]].to_list() == [0.0] * SIGNALS.height


def test_a_rare_feature_is_scaled_by_its_range():
    name = "bar5s_lvl_wall_at_level"
    column = pl.Series([1.0] + [0.0] * (PRIOR.height - 1)).cast(PRIOR.schema[name]).alias(name)
    signals = SIGNALS.with_columns(pl.lit(1.0).cast(PRIOR.schema[name]).alias(name))
    prior = PRIOR.sort("level_type", "episode_id").with_columns(column)
    made = vectors_of(signals, prior)
    first = pl.col("level_type") == prior["level_type"][0]
    assert made.frame.filter(first)[VECTOR[SLOTS.index(name)]].to_list() == [1.0] * 5


def test_no_slot_is_beyond_the_bound():
    far = SIGNALS.with_columns(pl.lit(1e9).alias("bar5s_approach_velocity_pts_per_min_w36"))
    slot = VECTOR[SLOTS.index("bar5s_approach_velocity_pts_per_min_w36")]
    assert vectors_of(far).frame[slot].to_list() == [5.0] * SIGNALS.height
    assert vectors_of(far, rules=VectorSettings(min_rows=20, clip=3)).frame[slot].max() == 3


@pytest.mark.parametrize("other", ["today", "later", "other root"])
def test_only_earlier_sessions_of_the_root_are_fitted(other: str):
    foreign = {
        "today": lambda: signals_of(DAY, 20, 900),
        "later": lambda: signals_of(dt.date(2024, 6, 17), 20, 901),
        "other root": lambda: signals_of(BEFORE[0], 20, 902, "NQM4"),
    }[other]()
    assert vectors_of(prior=pl.concat([PRIOR, foreign])).frame.equals(MADE.frame)


def test_the_contract_before_the_roll_is_of_the_same_root():
    earlier = PRIOR.with_columns(
        pl.when(pl.col("session_date") == BEFORE[0]).then(pl.lit("ESH4")).otherwise("symbol").alias("symbol")
    )
    assert vectors_of(prior=earlier).frame.equals(MADE.frame)


def test_the_order_of_history_does_not_matter():
    assert vectors_of(prior=PRIOR.sample(fraction=1, shuffle=True, seed=3)).frame.equals(MADE.frame)


@pytest.mark.parametrize("count", range(1, 11))
def test_other_episodes_of_the_date_change_no_vector(count: int):
    signals = SIGNALS.sort("decision_ts")[:count]
    expected = MADE.frame.join(signals, on="episode_id", how="semi")
    assert vectors_of(signals).frame.equals(expected)


@settings(max_examples=8, deadline=None)
@given(power=st.integers(-20, 20), slot=st.sampled_from(range(36)))
def test_the_unit_of_a_feature_does_not_matter(power: int, slot: int):
    name = SLOTS[slot]
    scaled = pl.col(name).cast(pl.Float64) * 2.0**power
    signals, prior = (table.with_columns(scaled) for table in (SIGNALS, PRIOR))
    made = setup_vectors(signals, prior.select(FIT_COLUMNS), "ES", DAY, RULES)
    assert made.frame.select("episode_id", VECTOR[slot]).equals(MADE.frame.select("episode_id", VECTOR[slot]))


def test_a_vector_has_the_number_of_its_episode():
    name = SIGNALS["episode_id"][0]
    assert vector_id(name) == int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) // 2
    assert 0 <= vector_id(name) < 2**63
    assert MADE.frame.filter(pl.col("episode_id") == name)["vector_id"][0] == vector_id(name)
    assert MADE.frame["dt"].unique().to_list() == [DAY]


def test_what_stands_beside_a_vector_is_not_scaled():
    joined = MADE.frame.join(SIGNALS, on="episode_id", how="inner", suffix="_signal")
    for shown, name in AT_TRIGGER.items():
        assert joined[shown].equals(joined[name], null_equal=True)
    assert joined["outcome"].equals(joined["outcome_signal"], null_equal=True)


def test_a_date_without_episodes_has_no_vectors():
    made = vectors_of(SIGNALS.clear())
    assert made.frame.height == 0
    assert made.fits == {}
