"""The tables of the graph follow from the settings: a level more is one line of configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from footprint_assets import assets, contracts
from footprint_assets.assets import levels, tables
from footprint_assets.build import build_definitions
from footprint_assets.contracts import Contract, LevelNameTaken
from footprint_assets.demo import summary
from footprint_assets.jobs import LAKE_DAILY, LAKE_FIRST_PASS, second_pass
from footprint_assets.lake_asset import lake_asset
from footprint_assets.resources import Workbench
from footprint_assets.runs import is_current
from footprint_assets.settings import HistorySettings, LevelSettings, Settings
from footprint_assets.status import status
from footprint_assets.table_docs import table_page
from footprint_assets.tables import LakeTable, Scope
from footprint_assets_tests.small_market import BY_KEY, DAY, TABLES, settings_of

OHLCV = "silver.future.ohlcv"
LEVELS = "silver.future.session_levels"


def of_levels(root: Path, *names: str) -> Settings:
    return settings_of(root, levels=LevelSettings(pipelines=names))


@pytest.fixture
def with_a_table_each(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every level has one table: bars of its own, from the levels of the session."""

    def level_tables(level: str) -> tuple[LakeTable, ...]:
        @lake_asset(f"silver.future.{level.lower()}_bars", inputs={"bars": OHLCV, "session_levels": LEVELS})
        def bars_of_level(scope: Scope, bars: pl.DataFrame, session_levels: pl.DataFrame) -> pl.DataFrame:
            """The bars near a level."""
            return bars

        bars_of_level.__dict__["contract"] = dataclasses.replace(
            contracts.load(OHLCV), name=bars_of_level.key
        )
        return (bars_of_level,)

    monkeypatch.setattr(levels, "level_tables", level_tables)
    assets.tables_with.cache_clear()
    yield
    assets.tables_with.cache_clear()


def test_the_same_settings_give_the_same_tables(tmp_path: Path) -> None:
    assert tables(settings_of(tmp_path)) is tables(settings_of(tmp_path / "other"))
    assert tables(settings_of(tmp_path)) is TABLES


@pytest.mark.usefixtures("with_a_table_each")
def test_a_level_of_the_settings_is_in_the_graph_the_jobs_the_status_and_the_summary(
    tmp_path: Path, built_market: Settings
) -> None:
    settings = of_levels(built_market.lake_root.parent, "PD_HIGH", "SMA_90")
    keys = {"silver.future.pd_high_bars", "silver.future.sma_90_bars"}
    plain = {table.key for table in tables(of_levels(tmp_path))}

    definitions = build_definitions(settings)
    graph = {".".join(key.path) for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    jobs = {
        job: {
            ".".join(key.path) for key in definitions.resolve_job_def(job).asset_layer.executable_asset_keys
        }
        for job in (LAKE_DAILY, LAKE_FIRST_PASS)
    }

    assert graph == plain | keys
    assert jobs[LAKE_DAILY] == graph
    assert not jobs[LAKE_FIRST_PASS] & keys
    assert second_pass(tables(settings)) >= keys
    assert {key: status(Workbench(settings), DAY, DAY)[DAY][key] for key in keys} == dict.fromkeys(
        keys, "missing"
    )
    assert not is_current(Workbench(settings), DAY)
    assert is_current(Workbench(of_levels(built_market.lake_root.parent)), DAY)
    assert keys <= {row[0] for row in summary(settings)[1]}


@pytest.mark.usefixtures("with_a_table_each")
def test_the_tables_come_in_the_order_of_the_levels_each_after_its_inputs(tmp_path: Path) -> None:
    seen: list[str] = []
    for table in tables(of_levels(tmp_path, "SMA_90", "PD_HIGH")):
        assert set(table.inputs.values()) <= set(seen)
        seen.append(table.key)
    assert seen.index("silver.future.sma_90_bars") < seen.index("silver.future.pd_high_bars")


def test_another_level_recomputes_no_table_there_is(built_market: Settings) -> None:
    more = of_levels(built_market.lake_root.parent, "PM_HIGH", "PD_HIGH")
    scope = Scope.of(DAY, Workbench(more))
    assert BY_KEY[LEVELS].is_current(scope)
    assert all(table.is_current(scope) for table in TABLES)


def test_a_levels_tables_are_named_after_it() -> None:
    assert levels.keys_of("PM_HIGH") == {
        "silver.future.market_by_price_10_level_episodes": "silver.future.market_by_price_10_pm_high_episodes",
        "silver.future.market_by_price_10_level_approach": "silver.future.market_by_price_10_pm_high_approach",
        "silver.future.market_by_price_10_level_outcomes": "silver.future.market_by_price_10_pm_high_outcomes",
        "gold.future.level_features": "gold.future.pm_high_features",
    }


def test_a_level_whose_table_would_be_another_table_stops_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(template: str, level: str) -> str:
        raise LevelNameTaken("taken")

    monkeypatch.setattr(levels, "level_key", taken)
    with pytest.raises(LevelNameTaken):
        build_definitions(of_levels(tmp_path, "MARKET_OF_TEST"))


def test_the_graph_looks_back_as_far_as_the_settings_say(tmp_path: Path) -> None:
    definitions = build_definitions(settings_of(tmp_path, history=HistorySettings(sessions=7)))
    mappings = {
        dep.partition_mapping
        for asset in definitions.assets or ()
        for spec in asset.specs
        for dep in spec.deps
        if dep.partition_mapping is not None
    }
    assert mappings == {dg.TimeWindowPartitionMapping(start_offset=-7, end_offset=-1)}


def test_the_page_of_a_shared_contract_says_which_tables_have_it() -> None:
    table = dataclasses.replace(BY_KEY[OHLCV], key="silver.future.level_bars")
    shared: Contract = dataclasses.replace(
        contracts.load(OHLCV), name=table.key, per_level=("feature", "label")
    )
    table.__dict__["contract"] = shared

    page = table_page(table)

    assert page.startswith("# silver.future.level_bars\n")
    assert "Every level of `FOOTPRINT_LEVELS__PIPELINES` has a table of this contract" in page
    assert "`silver.future.pm_high_bars`" in page
    assert "Columns of kind feature or label carry the level's name: `pm_high_...`." in page
    assert "FOOTPRINT_LEVELS__PIPELINES" not in table_page(BY_KEY[OHLCV])
