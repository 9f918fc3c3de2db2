"""The tables of the graph follow from the settings: a level more is one line of configuration."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import dagster as dg
import pytest

from footprint_assets import contracts
from footprint_assets.assets import levels, tables
from footprint_assets.build import build_definitions
from footprint_assets.contracts import Contract, LevelNameTaken
from footprint_assets.demo import summary
from footprint_assets.jobs import LAKE_DAILY, LAKE_PASSES, pass_of
from footprint_assets.partitions import LAKE_PARTITIONS
from footprint_assets.resources import Workbench
from footprint_assets.runs import is_current
from footprint_assets.settings import HistorySettings, LevelSettings, Settings
from footprint_assets.status import status
from footprint_assets.table_docs import table_page
from footprint_assets.tables import Scope, Staged
from footprint_assets_tests.small_market import BY_KEY, DAY, TABLES, settings_of

OHLCV = "silver.future.ohlcv"
LEVELS = "silver.future.session_levels"


def of_levels(root: Path, *names: str) -> Settings:
    return settings_of(root, levels=LevelSettings(pipelines=names))


def test_the_same_settings_give_the_same_tables(tmp_path: Path) -> None:
    assert tables(settings_of(tmp_path)) is tables(settings_of(tmp_path / "other"))
    assert tables(settings_of(tmp_path)) is TABLES


def test_a_level_of_the_settings_is_in_the_graph_the_jobs_the_status_and_the_summary(
    tmp_path: Path, built_market: Settings
) -> None:
    settings = of_levels(built_market.lake_root.parent, "PDH", "SMA_90")
    keys = {*levels.keys_of("PDH").values(), *levels.keys_of("SMA_90").values()}
    plain = {table.key for table in tables(of_levels(tmp_path))}

    definitions = build_definitions(settings)
    assets = {".".join(key.path) for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    graph = {key for key in assets if not key.startswith("page.")}
    jobs = {
        job: {
            ".".join(key.path) for key in definitions.resolve_job_def(job).asset_layer.executable_asset_keys
        }
        for job in (LAKE_DAILY, LAKE_PASSES[0])
    }

    assert graph == plain | keys | set(contracts.month_keys())
    assert jobs[LAKE_DAILY] == plain | keys
    assert not jobs[LAKE_PASSES[0]] & keys
    assert all(pass_of(tables(settings))[key] == 1 for key in keys)
    missing = levels.keys_of("PDH").values()
    assert {key: status(Workbench(settings), DAY, DAY)[DAY][key] for key in missing} == dict.fromkeys(
        missing, "missing"
    )
    assert not is_current(Workbench(settings), DAY)
    assert keys <= {row[0] for row in summary(settings)[1]}


def test_the_tables_come_in_the_order_of_the_levels_each_after_its_inputs(tmp_path: Path) -> None:
    seen: list[str] = []
    for table in tables(of_levels(tmp_path, "SMA_90", "PDH")):
        assert set(table.inputs.values()) <= set(seen)
        seen.append(table.key)
    assert seen.index(levels.keys_of("SMA_90")[levels.FEATURES]) < seen.index(
        levels.keys_of("PDH")[levels.EPISODES]
    )


@pytest.mark.slow
def test_a_level_that_is_one_more_line_of_configuration_is_computed_without_new_code(
    own_market: Settings,
) -> None:
    settings = own_market.model_copy(update={"levels": LevelSettings(pipelines=("GLOBEX_OPEN",))})
    scope = Scope.of(DAY, Workbench(settings))
    made = {}
    for table in levels.level_tables("GLOBEX_OPEN"):
        staged = table.stage(scope, table.open_inputs(scope), "run")
        assert isinstance(staged, Staged)
        staged.stage.publish()
        made[table.key] = staged.rows
    assert set(made) == set(levels.keys_of("GLOBEX_OPEN").values())
    contract = contracts.load("gold.future.globex_open_features")
    assert all(name.startswith("globex_open_") for name in contract.columns_of_kind("feature"))


def test_another_level_recomputes_no_table_of_the_others(built_market: Settings) -> None:
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
        if dep.partition_mapping is not None and asset.partitions_def == LAKE_PARTITIONS
    }
    assert mappings == {dg.TimeWindowPartitionMapping(start_offset=-7, end_offset=end) for end in (-1, 0)}


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
