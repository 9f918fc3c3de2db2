"""The approach table as a whole: its columns, its rows, and that no row knows what came after it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint_assets import contracts
from footprint_assets.transforms.approach import INPUT_COLUMNS, PRIOR_COLUMNS, TABLE
from footprint_assets.transforms.approach_rows import StaleEpisodes
from footprint_assets.transforms.episodes import FORWARD_COLUMNS
from footprint_assets.transforms.grid import GridsDiffer
from footprint_assets_tests.transforms.approach_markets import BARS, START, inputs, made, table, then, until
from footprint_assets_tests.transforms.level_markets import BAR

CONTRACT = contracts.load(TABLE)
CATALOGUE = Path(__file__).parents[3] / "shared" / "spec" / "features_catalog.csv"
SEEDS = range(4)


@pytest.mark.skipif(not CATALOGUE.exists(), reason="the feature catalogue is not beside the repository")
def test_the_columns_are_those_of_the_catalogue_in_its_order():
    with CATALOGUE.open() as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"].endswith("10_pm_high_approach")]
    assert [field.name for field in CONTRACT.fields] == [row["column"] for row in rows]
    kinds = {field.name: field.kind for field in CONTRACT.fields}
    assert {row["column"] for row in rows if row["kind"] == "feature"} == {
        name for name, kind in kinds.items() if kind == "feature"
    }


def test_nothing_of_the_labels_or_of_the_forward_window_is_a_feature():
    labels = {
        field.name
        for field in contracts.load("silver.future.market_by_price_10_level_outcomes").fields
        if field.kind == "label"
    }
    names = {field.name for field in CONTRACT.fields}
    assert not names & (labels | set(FORWARD_COLUMNS))


def test_an_attempt_has_a_row_for_every_bar_from_its_lookback_through_its_forward_window():
    for seed in SEEDS:
        given, rows = inputs(seed), table(seed)
        assert given.episodes.height > 1
        counted = rows.group_by("episode_id", maintain_order=True).agg(
            (pl.col("bars_to_trigger") < 0).sum().alias("back"),
            pl.col("is_trigger_bar").sum().alias("trigger"),
            (pl.col("bars_to_trigger") > 0).sum().alias("ahead"),
            (pl.col("bar_ts").filter("is_trigger_bar").first()).alias("at"),
            pl.col("bar_index_in_episode").diff().drop_nulls().eq(1).all().alias("is_counted"),
        )
        assert counted["episode_id"].to_list() == given.episodes["episode_id"].to_list()
        assert counted["back"].to_list() == given.episodes["lookback_bars"].to_list()
        assert counted["ahead"].to_list() == given.episodes["forward_bars"].to_list()
        assert (counted["trigger"] == 1).all()
        assert counted["is_counted"].all()
        assert (counted["at"] == given.episodes["trigger_bar_ts"]).all()


def test_no_episode_gives_no_row():
    given = inputs(0)
    nothing = made(replace(given, episodes=given.episodes.clear(), outcomes=given.outcomes.clear()))
    assert nothing.is_empty()
    assert nothing.schema == CONTRACT.polars_schema


@pytest.mark.parametrize("level", ["PM_HIGH", "SMA_90"])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_comes_after_a_bar_changes_no_row_up_to_it(seed, level):
    given, whole = inputs(seed, level), table(seed, level)
    rng = np.random.default_rng(seed)
    compared = 0
    for cut in (int(x) for x in START + BAR * rng.integers([350, 550], [550, BARS])):
        for other in (until(given, cut, level), then(given, inputs(seed + 100, level), cut, level)):
            known = other.episodes.filter(pl.col("decision_ts").to_physical() <= cut)["episode_id"].implode()
            is_past = (pl.col("bar_ts").to_physical() + BAR <= cut) & pl.col("episode_id").is_in(known)
            assert_frame_equal(whole.filter(is_past), made(other, level).filter(is_past), check_exact=True)
            compared += whole.filter(is_past).height
    assert compared > 500


def test_two_runs_give_the_same_table():
    assert_frame_equal(made(inputs(1)), table(1), check_exact=True)


def test_only_the_declared_columns_are_read():
    given = inputs(2)
    fewer = replace(
        given,
        bars=given.bars.select(INPUT_COLUMNS),
        prior_sessions=given.prior_sessions.select(PRIOR_COLUMNS),
    )
    assert_frame_equal(made(fewer), table(2), check_exact=True)


def test_a_book_of_other_bars_is_refused():
    given = inputs(0)
    with pytest.raises(GridsDiffer):
        made(replace(given, book=given.book.head(-1)))


def test_episodes_of_other_bars_or_outcomes_are_refused():
    given = inputs(0)
    shifted = given.episodes.with_columns(pl.col("trigger_bar_ts").dt.offset_by("1s"))
    with pytest.raises(StaleEpisodes, match="five-second bars"):
        made(replace(given, episodes=shifted))
    with pytest.raises(StaleEpisodes, match="outcomes"):
        made(replace(given, outcomes=given.outcomes.head(-1)))


def test_option_columns_are_null_until_there_are_options():
    columns = [name for name in table(0).columns if name.startswith("bar5s_lvlgex_")]
    assert len(columns) == 23
    assert table(0).select(pl.col(columns).is_null().all()).row(0) == (True,) * 23


def test_the_constants_of_a_level_are_metadata():
    constants = ("level_polarity", "is_pm_high", "is_pm_low", "is_or_high", "is_or_low", "is_sma_90")
    row = table(0).row(0, named=True)
    assert [row[f"bar5s_approach_{name}"] for name in constants] == [1, 1, 0, 0, 0, 0]
    kinds = {field.name: field.kind for field in CONTRACT.fields}
    assert {kinds[f"bar5s_approach_{name}"] for name in constants} == {"meta"}
