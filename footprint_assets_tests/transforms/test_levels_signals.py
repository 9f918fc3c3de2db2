"""Level features and signals: one row an episode, as known at the decision."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from footprint_assets import contracts
from footprint_assets.transforms.level_features import level_features
from footprint_assets.transforms.levels_signals import TABLE, EpisodeUnmatched, LevelTables, levels_signals
from footprint_assets_tests.transforms.level_tables import approach_of, episode_rows, level_tables, market_of

LEVELS = [level_tables("OR_HIGH", 5, 1), level_tables("PM_LOW", 4, 20)]
MARKET = market_of(LEVELS)
EPISODES = episode_rows("OR_HIGH", 5, 1)
APPROACH = approach_of(EPISODES, 2)
SIGNALS = levels_signals(LEVELS, MARKET)
GENERIC = contracts.load("gold.future.level_features").columns_of_kind("feature")
MARKET_NAMES = contracts.load("gold.future.market_features").columns_of_kind("feature")


def test_an_episode_is_one_row_with_metadata_features_and_labels():
    contracts.Validator(contracts.load(TABLE)).validate(SIGNALS)
    assert SIGNALS.height == 9
    for tables in LEVELS:
        for episode in tables.episodes.to_dicts():
            (row,) = SIGNALS.filter(pl.col("episode_id") == episode["episode_id"]).to_dicts()
            trigger = tables.features.filter(pl.col("episode_id") == episode["episode_id"])
            bar = MARKET.filter(pl.col("bar_ts") == episode["trigger_bar_ts"])
            outcome = tables.outcomes.filter(pl.col("episode_id") == episode["episode_id"])
            assert {name: row[name] for name in episode} == episode
            assert {name: row[name] for name in GENERIC} == {
                name: trigger[f"{tables.level.lower()}_{name}"][0] for name in GENERIC
            }
            assert {name: row[name] for name in MARKET_NAMES} == bar.select(MARKET_NAMES).row(0, named=True)
            assert row["outcome"] == outcome["outcome"][0]
            assert row["label_end_ts"] == outcome["label_end_ts"][0]


def test_every_label_of_the_outcomes_is_a_label_here():
    outcomes = contracts.load("silver.future.market_by_price_10_level_outcomes")
    assert contracts.load(TABLE).columns_of_kind("label") == outcomes.columns_of_kind("label")


def test_what_happens_after_the_trigger_bar_changes_no_feature():
    later = pl.col("bars_to_trigger") > 0
    another_future = APPROACH.with_columns(
        pl.when(later).then(None).otherwise(pl.col(name)).alias(name) for name in GENERIC
    )
    assert level_features(another_future, "OR_HIGH").equals(level_features(APPROACH, "OR_HIGH"))
    triggers = pl.concat([tables.episodes.select(bar_ts="trigger_bar_ts") for tables in LEVELS])
    assert levels_signals(LEVELS, MARKET.join(triggers, on="bar_ts", how="semi")).equals(SIGNALS)


@pytest.mark.parametrize("count", range(1, 6))
def test_later_episodes_change_no_earlier_row(count: int):
    tables = LEVELS[0]
    known = tables.episodes[:count]
    held = [
        replace(
            tables,
            episodes=known,
            features=tables.features.join(known, on="episode_id", how="semi"),
            outcomes=tables.outcomes.join(known, on="episode_id", how="semi"),
        )
    ]
    last = known["trigger_bar_ts"].max()
    table = levels_signals(held, MARKET.filter(pl.col("bar_ts") <= last))
    assert table.equals(SIGNALS.join(known, on="episode_id", how="semi"))


def test_the_order_of_the_levels_does_not_matter():
    assert levels_signals(LEVELS[::-1], MARKET).equals(SIGNALS)


def test_a_level_without_episodes_adds_no_row():
    loud = LEVELS[0]
    quiet = LevelTables(loud.level, loud.episodes.clear(), loud.features.clear(), loud.outcomes.clear())
    assert levels_signals([quiet, LEVELS[1]], MARKET).height == 4
    assert levels_signals([], MARKET).schema == contracts.load(TABLE).polars_schema


@pytest.mark.parametrize("lost", ["features", "outcomes", "market_features"])
def test_an_episode_that_a_table_does_not_know_is_an_error(lost: str):
    tables, market = LEVELS[0], MARKET
    if lost == "market_features":
        market = MARKET.filter(pl.col("bar_ts") != tables.episodes["trigger_bar_ts"][0])
    else:
        tables = replace(tables, **{lost: getattr(tables, lost)[1:]})
    with pytest.raises(EpisodeUnmatched, match=lost):
        levels_signals([tables], market)


def test_level_features_carry_the_level_and_metadata_does_not():
    table = level_features(APPROACH, "OR_HIGH")
    contract = contracts.load("gold.future.or_high_features")
    contracts.Validator(contract).validate(table)
    assert all(name.startswith("or_high_bar5s_") for name in contract.columns_of_kind("feature"))
    trigger = APPROACH.filter(pl.col("bars_to_trigger") == 0).sort("episode_id")
    assert table.select(contract.columns_of_kind("feature")).rows() == trigger.select(GENERIC).rows()
    assert table["level_type"].unique().to_list() == ["OR_HIGH"]
    assert (table["decision_ts"] - table["bar_ts"]).dt.total_seconds().unique().to_list() == [5]


def test_level_features_have_one_row_an_episode():
    table = level_features(APPROACH, "OR_HIGH")
    assert table["episode_id"].to_list() == EPISODES["episode_id"].to_list()
