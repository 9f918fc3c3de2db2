"""The graph in plain text: a change of an asset, an input, a check or a job shows in the diff of this file."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path

import dagster as dg
import pytest
from pandera.config import config_context

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.build import build_definitions
from footprint_assets.checks import MONTH_CHECKS
from footprint_assets.contracts import ValidationDisabled
from footprint_assets.lake_asset import IO_MANAGER, WORKBENCH
from footprint_assets.partitions import LOOKBACK, MONTH_PARTITIONS
from footprint_assets.resources import Workbench
from footprint_assets.settings import LevelSettings
from footprint_assets_tests.small_market import TABLES, settings_of

GRAPH = """
bronze.future.definition <- bronze.future.front_month
bronze.future.front_month <-
bronze.future.market_by_price_10 <- bronze.future.front_month
bronze.future.statistics <- bronze.future.front_month
bronze.future.trades <- bronze.future.front_month, bronze.future.market_by_price_10
gold.future.footprint_bars <- silver.future.footprint_bar, silver.future.trades_clean
gold.future.levels_signals <- gold.future.market_features, gold.future.or_high_features, gold.future.or_low_features, gold.future.pm_high_features, gold.future.pm_low_features, gold.future.sma_90_features, silver.future.market_by_price_10_or_high_episodes, silver.future.market_by_price_10_or_high_outcomes, silver.future.market_by_price_10_or_low_episodes, silver.future.market_by_price_10_or_low_outcomes, silver.future.market_by_price_10_pm_high_episodes, silver.future.market_by_price_10_pm_high_outcomes, silver.future.market_by_price_10_pm_low_episodes, silver.future.market_by_price_10_pm_low_outcomes, silver.future.market_by_price_10_sma_90_episodes, silver.future.market_by_price_10_sma_90_outcomes
gold.future.market_by_price_10_bar5s_filtered <- silver.future.market_by_price_10_bar5s
gold.future.market_by_price_10_first3h <- silver.future.market_by_price_10_clean, silver.future.session_levels
gold.future.market_features <- silver.future.footprint_bar, silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_bar5s_ext, silver.future.market_rolling_5s, silver.future.session_context_5s
gold.future.or_high_features <- silver.future.market_by_price_10_or_high_approach
gold.future.or_low_features <- silver.future.market_by_price_10_or_low_approach
gold.future.pm_high_features <- silver.future.market_by_price_10_pm_high_approach
gold.future.pm_low_features <- silver.future.market_by_price_10_pm_low_approach
gold.future.setup_vectors <- gold.future.levels_signals
gold.future.sma_90_features <- silver.future.market_by_price_10_sma_90_approach
ml.future.ablation <- ml.future.model_direction, ml.future.training_set
ml.future.calibration_report <- ml.future.predictions
ml.future.calibrator <- ml.future.model_direction, ml.future.out_of_fold
ml.future.champion <- ml.future.champion, ml.future.model_direction, ml.future.model_strength, ml.future.model_time_to_threshold, ml.future.model_tradeability, ml.future.training_set
ml.future.drift_report <- ml.future.out_of_fold, ml.future.training_set
ml.future.model_card <- ml.future.ablation, ml.future.calibration_report, ml.future.calibrator, ml.future.champion, ml.future.drift_report, ml.future.model_direction, ml.future.model_strength, ml.future.model_time_to_threshold, ml.future.model_tradeability, ml.future.retrieval_report, ml.future.training_set
ml.future.model_direction <- ml.future.training_set
ml.future.model_strength <- ml.future.training_set
ml.future.model_time_to_threshold <- ml.future.training_set
ml.future.model_tradeability <- ml.future.training_set
ml.future.out_of_fold <- ml.future.model_direction, ml.future.model_strength, ml.future.model_time_to_threshold, ml.future.model_tradeability, ml.future.retrieval_index, ml.future.retrieval_space, ml.future.training_set
ml.future.predictions <- ml.future.calibrator, ml.future.out_of_fold
ml.future.retrieval_index <- ml.future.retrieval_space, ml.future.training_set
ml.future.retrieval_report <- ml.future.retrieval_index, ml.future.retrieval_space, ml.future.training_set
ml.future.retrieval_space <- ml.future.model_direction, ml.future.training_set
ml.future.training_set <- gold.future.levels_signals
page.future.footprint <- silver.future.footprint_bar, silver.future.footprint_price, silver.future.session_levels
page.future.models <- ml.future.ablation, ml.future.calibration_report, ml.future.champion, ml.future.drift_report, ml.future.model_card, ml.future.model_direction, ml.future.model_strength, ml.future.model_tradeability, ml.future.predictions, ml.future.retrieval_report, ml.future.training_set
page.future.quality <- gold.future.setup_vectors
page.future.session <- silver.future.footprint_bar, silver.future.level_series_5s, silver.future.market_by_price_10_or_high_episodes, silver.future.market_by_price_10_or_high_outcomes, silver.future.market_by_price_10_or_low_episodes, silver.future.market_by_price_10_or_low_outcomes, silver.future.market_by_price_10_pm_high_episodes, silver.future.market_by_price_10_pm_high_outcomes, silver.future.market_by_price_10_pm_low_episodes, silver.future.market_by_price_10_pm_low_outcomes, silver.future.market_by_price_10_price5s, silver.future.market_by_price_10_sma_90_episodes, silver.future.market_by_price_10_sma_90_outcomes, silver.future.session_context_5s, silver.future.session_levels, silver.future.volume_profile_price
page.future.setups <- ml.future.retrieval_index, ml.future.retrieval_space, ml.future.training_set
page.future.tracked_runs <- ml.future.calibration_report, ml.future.champion, ml.future.model_card, ml.future.model_direction, ml.future.model_strength, ml.future.model_time_to_threshold, ml.future.model_tradeability
silver.future.bbo <- silver.future.market_by_price_10_clean
silver.future.footprint_bar <- silver.future.level_series_5s, silver.future.prior_sessions, silver.future.session_levels, silver.future.trades_clean
silver.future.footprint_price <- silver.future.bbo, silver.future.trades_clean
silver.future.level_series_5s <- silver.future.market_by_price_10_bar5s, silver.future.prior_sessions, silver.future.trades_clean
silver.future.market_by_price_10_bar5s <- silver.future.market_by_price_10_clean
silver.future.market_by_price_10_bar5s_book <- silver.future.market_by_price_10_clean
silver.future.market_by_price_10_bar5s_ext <- silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_bar5s_book, silver.future.prior_sessions, silver.future.trades_clean
silver.future.market_by_price_10_clean <- bronze.future.market_by_price_10
silver.future.market_by_price_10_or_high_approach <- silver.future.level_series_5s, silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_bar5s_book, silver.future.market_by_price_10_or_high_episodes, silver.future.market_by_price_10_or_high_outcomes, silver.future.market_by_price_10_price5s, silver.future.market_by_price_10_shocks, silver.future.ohlcv, silver.future.prior_sessions, silver.future.session_levels, silver.future.trades_clean
silver.future.market_by_price_10_or_high_episodes <- silver.future.level_series_5s, silver.future.market_by_price_10_bar5s, silver.future.session_levels, silver.future.trades_clean
silver.future.market_by_price_10_or_high_outcomes <- silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_or_high_episodes, silver.future.ohlcv, silver.future.trades_clean
silver.future.market_by_price_10_or_low_approach <- silver.future.level_series_5s, silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_bar5s_book, silver.future.market_by_price_10_or_low_episodes, silver.future.market_by_price_10_or_low_outcomes, silver.future.market_by_price_10_price5s, silver.future.market_by_price_10_shocks, silver.future.ohlcv, silver.future.prior_sessions, silver.future.session_levels, silver.future.trades_clean
silver.future.market_by_price_10_or_low_episodes <- silver.future.level_series_5s, silver.future.market_by_price_10_bar5s, silver.future.session_levels, silver.future.trades_clean
silver.future.market_by_price_10_or_low_outcomes <- silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_or_low_episodes, silver.future.ohlcv, silver.future.trades_clean
silver.future.market_by_price_10_pm_high_approach <- silver.future.level_series_5s, silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_bar5s_book, silver.future.market_by_price_10_pm_high_episodes, silver.future.market_by_price_10_pm_high_outcomes, silver.future.market_by_price_10_price5s, silver.future.market_by_price_10_shocks, silver.future.ohlcv, silver.future.prior_sessions, silver.future.session_levels, silver.future.trades_clean
silver.future.market_by_price_10_pm_high_episodes <- silver.future.level_series_5s, silver.future.market_by_price_10_bar5s, silver.future.session_levels, silver.future.trades_clean
silver.future.market_by_price_10_pm_high_outcomes <- silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_pm_high_episodes, silver.future.ohlcv, silver.future.trades_clean
silver.future.market_by_price_10_pm_low_approach <- silver.future.level_series_5s, silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_bar5s_book, silver.future.market_by_price_10_pm_low_episodes, silver.future.market_by_price_10_pm_low_outcomes, silver.future.market_by_price_10_price5s, silver.future.market_by_price_10_shocks, silver.future.ohlcv, silver.future.prior_sessions, silver.future.session_levels, silver.future.trades_clean
silver.future.market_by_price_10_pm_low_episodes <- silver.future.level_series_5s, silver.future.market_by_price_10_bar5s, silver.future.session_levels, silver.future.trades_clean
silver.future.market_by_price_10_pm_low_outcomes <- silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_pm_low_episodes, silver.future.ohlcv, silver.future.trades_clean
silver.future.market_by_price_10_price5s <- silver.future.market_by_price_10_clean
silver.future.market_by_price_10_shocks <- silver.future.market_by_price_10_clean
silver.future.market_by_price_10_sma_90_approach <- silver.future.level_series_5s, silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_bar5s_book, silver.future.market_by_price_10_price5s, silver.future.market_by_price_10_shocks, silver.future.market_by_price_10_sma_90_episodes, silver.future.market_by_price_10_sma_90_outcomes, silver.future.ohlcv, silver.future.prior_sessions, silver.future.session_levels, silver.future.trades_clean
silver.future.market_by_price_10_sma_90_episodes <- silver.future.level_series_5s, silver.future.market_by_price_10_bar5s, silver.future.session_levels, silver.future.trades_clean
silver.future.market_by_price_10_sma_90_outcomes <- silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_sma_90_episodes, silver.future.ohlcv, silver.future.trades_clean
silver.future.market_rolling_5s <- silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_bar5s_ext, silver.future.market_by_price_10_shocks, silver.future.prior_sessions, silver.future.trades_clean, silver.future.volume_profiles
silver.future.ohlcv <- silver.future.trades_clean
silver.future.prior_sessions <- bronze.future.front_month, silver.future.session_summary
silver.future.session_context_5s <- silver.future.market_by_price_10_bar5s, silver.future.ohlcv, silver.future.prior_sessions, silver.future.session_levels, silver.future.trades_clean
silver.future.session_levels <- silver.future.prior_sessions, silver.future.trades_clean
silver.future.session_summary <- bronze.future.statistics, silver.future.footprint_price, silver.future.market_by_price_10_bar5s, silver.future.market_by_price_10_bar5s_book, silver.future.trades_clean
silver.future.trades_clean <- bronze.future.trades, silver.future.market_by_price_10_clean
silver.future.volume_profile_price <- silver.future.bbo, silver.future.prior_sessions, silver.future.trades_clean
silver.future.volume_profile_session <- bronze.future.statistics, silver.future.prior_sessions, silver.future.trades_clean, silver.future.volume_profile_price
silver.future.volume_profiles <- silver.future.prior_sessions
"""

CHECKS = """
bronze.future.definition: contract, tick_size_agrees
bronze.future.front_month: contract, roll_never_goes_back
bronze.future.market_by_price_10: contract, receive_delays, record_flags, sequence_gaps
bronze.future.statistics: contract
bronze.future.trades: book_trades_match, contract, files_as_recorded, frames_checksummed, one_instrument, row_counts, sources_present
gold.future.footprint_bars: contract
gold.future.levels_signals: attempts_in_order, contract, features_of_decision, labels_balanced, labels_whole, outcomes_reach_barriers
gold.future.market_by_price_10_bar5s_filtered: contract
gold.future.market_by_price_10_first3h: contract, rows_conserved
gold.future.market_features: contract, feature_names
gold.future.or_high_features: contract
gold.future.or_low_features: contract
gold.future.pm_high_features: contract
gold.future.pm_low_features: contract
gold.future.setup_vectors: contract, inputs_current
gold.future.sma_90_features: contract
ml.future.ablation: contract
ml.future.calibration_report: contract
ml.future.calibrator: contract
ml.future.champion: contract
ml.future.drift_report: contract
ml.future.model_card: contract
ml.future.model_direction: contract
ml.future.model_strength: contract
ml.future.model_time_to_threshold: contract
ml.future.model_tradeability: contract
ml.future.out_of_fold: contract, earlier_features_lose, episodes_judged_once, learned_before, models_read_features
ml.future.predictions: calibrated_before, contract
ml.future.retrieval_index: contract, neighbours_were_over
ml.future.retrieval_report: contract
ml.future.retrieval_space: contract
ml.future.training_set: contract, episodes_in_time, no_feature_tells_all, only_features_read, shuffled_outcomes_tell_nothing
silver.future.bbo: contract
silver.future.footprint_bar: bars_invariant, contract
silver.future.footprint_price: contract, footprints_add_up
silver.future.level_series_5s: contract
silver.future.market_by_price_10_bar5s: bars_hold_trades, contract, grid_complete
silver.future.market_by_price_10_bar5s_book: contract
silver.future.market_by_price_10_bar5s_ext: contract, flows_conserved
silver.future.market_by_price_10_clean: book_not_crossed, contract, copies_delivered, ladder_order, no_long_pause, prices_on_tick, records_once
silver.future.market_by_price_10_or_high_approach: contract
silver.future.market_by_price_10_or_high_episodes: contract
silver.future.market_by_price_10_or_high_outcomes: contract
silver.future.market_by_price_10_or_low_approach: contract
silver.future.market_by_price_10_or_low_episodes: contract
silver.future.market_by_price_10_or_low_outcomes: contract
silver.future.market_by_price_10_pm_high_approach: contract
silver.future.market_by_price_10_pm_high_episodes: contract
silver.future.market_by_price_10_pm_high_outcomes: contract
silver.future.market_by_price_10_pm_low_approach: contract
silver.future.market_by_price_10_pm_low_episodes: contract
silver.future.market_by_price_10_pm_low_outcomes: contract
silver.future.market_by_price_10_price5s: contract
silver.future.market_by_price_10_shocks: contract
silver.future.market_by_price_10_sma_90_approach: contract
silver.future.market_by_price_10_sma_90_episodes: contract
silver.future.market_by_price_10_sma_90_outcomes: contract
silver.future.market_rolling_5s: contract
silver.future.ohlcv: contract, returns_correlate
silver.future.prior_sessions: contract
silver.future.session_context_5s: contract, vwaps_in_range
silver.future.session_levels: contract, ranges_are_extremes
silver.future.session_summary: contract
silver.future.trades_clean: contract, sessions_aligned, trade_distribution
silver.future.volume_profile_price: contract, volume_conserved
silver.future.volume_profile_session: contract
silver.future.volume_profiles: contract
"""

THROUGH_TODAY = dg.TimeWindowPartitionMapping(start_offset=LOOKBACK.start_offset, end_offset=0)
JOBS = [
    *("lake_audit", "lake_daily", "lake_first_pass", "lake_scrub", "lake_second_pass", "lake_third_pass"),
    "ml_monthly",
]
PAGES_OF_MONTHS = {"page.future.models", "page.future.setups", "page.future.tracked_runs"}
SENSORS = {"dbn_files": "lake_daily"}
SCHEDULES = {
    "lake_daily_schedule": ("lake_daily", "30 6 * * TUE-SAT", "America/New_York"),
    "lake_scrub_schedule": ("lake_scrub", "0 12 * * SAT", "America/New_York"),
    "ml_monthly_schedule": ("ml_monthly", "0 10 * * *", "America/New_York"),
}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_definitions(settings_of(tmp_path_factory.mktemp("graph")))


def dotted(key: dg.AssetKey) -> str:
    return ".".join(key.path)


def test_the_assets_and_what_each_is_made_of(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()

    lines = [
        f"{dotted(key)} <- {', '.join(sorted(map(dotted, graph.get(key).parent_keys)))}".rstrip()
        for key in sorted(graph.get_all_asset_keys())
    ]

    assert lines == GRAPH.strip().splitlines()


def test_the_checks_of_every_asset(definitions: dg.Definitions) -> None:
    names: dict[str, list[str]] = {}
    for key in sorted(definitions.resolve_asset_graph().asset_check_keys):
        names.setdefault(dotted(key.asset_key), []).append(key.name)

    assert [f"{table}: {', '.join(checks)}" for table, checks in names.items()] == CHECKS.strip().splitlines()


def test_the_jobs(definitions: dg.Definitions) -> None:
    jobs = {job.name for job in definitions.get_repository_def().get_all_jobs()}

    assert sorted(name for name in jobs if not name.startswith("__")) == JOBS


def test_the_sensors_and_schedules(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()

    assert {sensor.name: sensor.job_name for sensor in repository.sensor_defs} == SENSORS
    assert {
        schedule.name: (schedule.job_name, schedule.cron_schedule, schedule.execution_timezone)
        for schedule in repository.schedule_defs
    } == SCHEDULES


def test_every_table_has_a_contract_and_every_contract_a_table() -> None:
    assert sorted(table.key for table in TABLES) == contracts.table_keys(LevelSettings().pipelines)


def test_every_table_comes_after_its_inputs() -> None:
    seen: set[str] = set()
    for table in TABLES:
        assert set(table.inputs.values()) <= seen, table.key
        seen.add(table.key)


def test_the_market_looks_back_at_one_place_and_the_vectors_at_their_own(definitions: dg.Definitions) -> None:
    looking_back = [
        (dotted(spec.key), dotted(upstream.asset_key), upstream.partition_mapping)
        for asset in definitions.assets or ()
        for spec in asset.specs
        for upstream in spec.deps
        if upstream.partition_mapping is not None and not contracts.is_monthly(dotted(spec.key))
    ]

    assert looking_back == [
        ("silver.future.prior_sessions", "silver.future.session_summary", LOOKBACK),
        # Today's signals and those before, which are one input to Dagster.
        ("gold.future.setup_vectors", "gold.future.levels_signals", THROUGH_TODAY),
    ]


def test_every_asset_and_check_of_the_lake_is_partitioned_by_the_sessions_of_the_calendar(
    definitions: dg.Definitions,
) -> None:
    june = [day.isoformat() for day in cme.sessions(dt.date(2025, 6, 1), dt.date(2025, 6, 30))]

    definitions_used = partitions_of(definitions, monthly=False)

    assert len(definitions_used) == 51 + 3 + 87
    assert len({partitions.get_serializable_unique_identifier() for partitions in definitions_used}) == 1
    keys = definitions_used[0].get_partition_keys(
        current_time=dt.datetime(2025, 7, 1, 12, tzinfo=cme.NEW_YORK)
    )
    assert [key for key in keys if key.startswith("2025-06")] == june


def test_what_is_learned_is_partitioned_by_the_months_of_the_calendar(definitions: dg.Definitions) -> None:
    definitions_used = partitions_of(definitions, monthly=True)

    assert len(definitions_used) == 2 * len(contracts.month_keys()) + len(MONTH_CHECKS) + len(PAGES_OF_MONTHS)
    assert set(definitions_used) == {MONTH_PARTITIONS}


def partitions_of(definitions: dg.Definitions, *, monthly: bool) -> list[dg.PartitionsDefinition]:
    """The partitions of every asset and check of trade dates, or of months."""
    graph = definitions.resolve_asset_graph()
    assets = [key for key in graph.get_all_asset_keys() if is_of_months(key) == monthly]
    checks = [key for key in graph.asset_check_keys if is_of_months(key.asset_key) == monthly]
    return [graph.get(key).partitions_def for key in (*assets, *checks)]


def is_of_months(key: dg.AssetKey) -> bool:
    """Whether an asset is a table of months, or a page of one."""
    return contracts.is_monthly(dotted(key)) or dotted(key) in PAGES_OF_MONTHS


def test_every_asset_says_what_it_is_whose_and_in_which_layer(definitions: dg.Definitions) -> None:
    for asset in definitions.assets or ():
        for spec in asset.specs:
            assert spec.description, spec.key
            assert spec.owners == ["team:market-data"]
            layer = spec.key.path[0]
            assert spec.tags["layer"] == layer
            assert spec.group_name.startswith(layer)
            assert spec.kinds & {"html", "tracking"} if layer == "page" else "parquet" in spec.kinds


def test_no_preview_or_deprecated_api_warns_when_the_graph_is_put_together(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        for category in (dg.PreviewWarning, dg.BetaWarning, DeprecationWarning):
            warnings.simplefilter("error", category)
        build_definitions(settings_of(tmp_path)).get_repository_def()


def test_steps_run_in_the_process_of_the_run(definitions: dg.Definitions) -> None:
    assert definitions.executor is dg.in_process_executor


def test_resources_can_be_replaced(tmp_path: Path) -> None:
    other = Workbench(settings_of(tmp_path / "other"))

    resources = build_definitions(settings_of(tmp_path), resource_overrides={WORKBENCH: other}).resources

    assert resources is not None
    assert resources[WORKBENCH] is other
    assert set(resources) == {WORKBENCH, IO_MANAGER}


def test_a_graph_without_validation_cannot_be_put_together(tmp_path: Path) -> None:
    with config_context(validation_enabled=False), pytest.raises(ValidationDisabled):
        build_definitions(settings_of(tmp_path))
