"""Builds the definitions from the settings: the only place where the graph is put together."""

from __future__ import annotations

import dagster as dg

from footprint_assets import contracts
from footprint_assets.asset_checks import build_asset_check
from footprint_assets.assets import MONTH_TABLES, tables
from footprint_assets.checks import CHECKS, MONTH_CHECKS
from footprint_assets.io_managers import HivePartitionedParquetIOManager
from footprint_assets.jobs import build_jobs, build_month_job
from footprint_assets.lake_asset import IO_MANAGER, WORKBENCH, build_assets, build_month_assets
from footprint_assets.month_page_assets import build_month_page_assets
from footprint_assets.page_assets import build_page_assets
from footprint_assets.partitions import lookback
from footprint_assets.resources import Workbench
from footprint_assets.schedules import build_schedules, with_deadline
from footprint_assets.scrub_job import lake_scrub
from footprint_assets.sensors import build_sensors
from footprint_assets.settings import Settings
from footprint_assets.side_by_side import Runs


def build_definitions(
    settings: Settings, *, resource_overrides: dict[str, object] | None = None, runs: Runs | None = None
) -> dg.Definitions:
    """Put the asset graph together.

    Args:
        settings: Where the lake and the drop folder are, and every constant.
        resource_overrides: Resources by key that replace the default ones.
        runs: Where a run may begin its passes before Dagster does.

    Returns:
        Assets, checks, jobs, sensors, schedules and resources; steps run in process.

    Raises:
        LevelNameTaken: A level of the settings is named so that one of its tables would be another table.
        ValidationDisabled: The environment switches contract validation off.
    """
    contracts.refuse_if_disabled()
    bench = Workbench(settings)
    resources: dict[str, object] = {WORKBENCH: bench, IO_MANAGER: HivePartitionedParquetIOManager(bench)}
    return dg.Definitions(
        assets=[
            with_deadline(asset, settings.quality.fresh_by)
            for asset in build_assets(tables(settings), lookback(settings.history), runs)
        ]
        + build_month_assets(MONTH_TABLES, settings, runs)
        + build_page_assets(settings)
        + build_month_page_assets(),
        asset_checks=[build_asset_check(check) for check in (*CHECKS, *MONTH_CHECKS)],
        jobs=[*build_jobs(tables(settings)), build_month_job(MONTH_TABLES), lake_scrub],
        sensors=build_sensors(settings.automation),
        schedules=build_schedules(settings.automation),
        resources=resources | (resource_overrides or {}),
        executor=dg.in_process_executor,
    )
