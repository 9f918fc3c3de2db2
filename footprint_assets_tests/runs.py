"""Dagster runs over a small lake, and what they recorded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache

import dagster as dg

from footprint_assets.io_managers import HivePartitionedParquetIOManager
from footprint_assets.lake import Lake
from footprint_assets.lake_asset import CONTRACT_CHECK, IO_MANAGER, WORKBENCH, build_assets
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tables import LakeTable
from footprint_assets_tests.small_market import DAY, TABLES

RETRYING = dg.RetryPolicy(max_retries=1)


def resources(settings: Settings) -> dict[str, object]:
    """The resources of the graph."""
    bench = Workbench(settings)
    return {WORKBENCH: bench, IO_MANAGER: HivePartitionedParquetIOManager(bench)}


@cache
def graph() -> tuple[dg.AssetsDefinition, ...]:
    """Every asset of the project."""
    return tuple(build_assets(TABLES))


def run(
    settings: Settings,
    assets: Sequence[LakeTable | dg.AssetsDefinition],
    *selected: str,
    day: dt.date = DAY,
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialize assets of one trade date under a job that would retry whatever may be retried.

    Args:
        settings: The lake.
        assets: Lake tables, or assets that read them; they take the place of the graph's own.
        selected: Dataset keys to materialize; those of ``assets`` where none.
        day: Trade date.
        instance: Where the run is recorded; an ephemeral one where ``None``.
    """
    own = build_assets(asset for asset in assets if isinstance(asset, LakeTable))
    own += [asset for asset in assets if isinstance(asset, dg.AssetsDefinition)]
    made = [key for asset in own for key in asset.keys]
    keys = [dg.AssetKey(key.split(".")) for key in selected] or made
    built = [*own, *(asset for asset in graph() if asset.keys.isdisjoint(made))]
    job = dg.define_asset_job("run", dg.AssetSelection.assets(*keys), op_retry_policy=RETRYING)
    definitions = dg.Definitions(built, jobs=[job], resources=resources(settings))
    return definitions.resolve_job_def("run").execute_in_process(
        partition_key=day.isoformat(), instance=instance, raise_on_error=False
    )


def failure_of(result: dg.ExecuteInProcessResult) -> dg.StepFailureData:
    """The one step failure of a run."""
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data


def was_retried(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a step was tried a second time."""
    return any(event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY for event in result.all_events)


def materialized(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, object]]:
    """Metadata of every materialization of a run, by dataset key."""
    return {
        ".".join(event.asset_key.path): {
            name: value.value
            for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def contract_checks(instance: dg.DagsterInstance, table: str) -> list[tuple[str, str | None]]:
    """Status and partition of every recorded evaluation of a table's contract, oldest first."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(table.split(".")), CONTRACT_CHECK), limit=100
    )
    return [(record.status.value, record.partition) for record in reversed(records)]


def generations_of(lake: Lake, table: str, day: dt.date) -> dict[str, str]:
    """The generation of each contract's partition."""
    return {symbol: manifest.generation for symbol, manifest in sorted(lake.manifests(table, day).items())}
