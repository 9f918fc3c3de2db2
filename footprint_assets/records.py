"""What Dagster has recorded of the lake's partitions, asked for many trade dates in a few queries.

The event log numbers materialisations and check evaluations in one sequence, so that "after" is a comparison.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckPartitionInfo,
)
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

from footprint_assets.assets import MONTH_TABLES, tables
from footprint_assets.checks import CHECKS, MONTH_CHECKS, Check
from footprint_assets.lake_asset import CONTRACT_CHECK
from footprint_assets.settings import Settings
from footprint_assets.tables import AnyTable

UNFINISHED = (dg.DagsterRunStatus.NOT_STARTED, *IN_PROGRESS_RUN_STATUSES)
"""States a run is not supposed to stay in."""

SQL_VARIABLES = 500
"""Records asked for in one query: SQLite takes a bounded number of values."""


def asset_key(table: str) -> dg.AssetKey:
    """The asset of a dataset key."""
    return dg.AssetKey(table.split("."))


def contract_check(table: str) -> dg.AssetCheckKey:
    """The contract check of a dataset key."""
    return dg.AssetCheckKey(asset_key(table), CONTRACT_CHECK)


def rule_check(check: Check) -> dg.AssetCheckKey:
    """The asset check of a rule over several tables."""
    return dg.AssetCheckKey(asset_key(check.table), check.name)


def check_keys(settings: Settings) -> list[dg.AssetCheckKey]:
    """Every asset check of the graph.

    Args:
        settings: Names the levels, which have tables of their own.
    """
    every: tuple[AnyTable, ...] = (*tables(settings), *MONTH_TABLES)
    return [contract_check(table.key) for table in every] + [
        rule_check(rule) for rule in (*CHECKS, *MONTH_CHECKS)
    ]


def rules_over(selected: Collection[str], settings: Settings) -> list[Check]:
    """The rules that can be judged once some tables are made.

    Args:
        selected: Dataset keys of the tables that are made.
        settings: Names the levels.

    Returns:
        The rules of these tables that read nothing but these tables and what they are made of.
    """
    known = set(selected)
    for table in reversed(tables(settings)):
        if table.key in known:
            known |= {*table.inputs.values(), *table.lookback.values()}
    return [rule for rule in CHECKS if rule.table in selected and known.issuperset(rule.reads)]


def dates_that_held(
    instance: dg.DagsterInstance, rules: Collection[Check], dates: Collection[dt.date]
) -> set[dt.date]:
    """The trade dates whose rules were judged after their tables were last published, and held.

    Tables stay where a rule over several of them is broken, and where a run is killed before its checks: current tables
    alone do not make a date a good one.

    Args:
        instance: Where the runs are recorded.
        rules: The rules asked about.
        dates: The trade dates asked about.

    Returns:
        Those of the dates where no rule is open or broken; a warning breaks none.
    """
    days = {day.isoformat(): day for day in dates}
    published = {
        table: latest_materializations(instance, asset_key(table), set(days))
        for table in {table for rule in rules for table in rule.reads}
    }
    judged = {
        (info.check_key, info.partition_key): info
        for info in instance.event_log_storage.get_asset_check_partition_info(
            [rule_check(rule) for rule in rules], partition_keys=list(days)
        )
    }

    def holds(rule: Check, key: str) -> bool:
        info = judged.get((rule_check(rule), key))
        if info is None or any(
            published[table].get(key, 0) > info.latest_check_event_storage_id for table in rule.reads
        ):
            return False
        succeeded = info.latest_execution_status == AssetCheckExecutionRecordStatus.SUCCEEDED
        return succeeded or _only_warned(instance, info)

    return {day for key, day in days.items() if all(holds(rule, key) for rule in rules)}


def _only_warned(instance: dg.DagsterInstance, info: AssetCheckPartitionInfo) -> bool:
    if info.latest_execution_status != AssetCheckExecutionRecordStatus.FAILED:
        return False
    (record,) = instance.event_log_storage.get_asset_check_execution_history(
        info.check_key, limit=1, partition_filter=PartitionKeyFilter(key=info.partition_key)
    )
    return record.evaluation is not None and record.evaluation.severity == dg.AssetCheckSeverity.WARN


def latest_materializations(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: set[str] | None = None
) -> dict[str, int]:
    """Number of the latest materialisation of each partition of an asset, by partition."""
    found = instance.event_log_storage.get_latest_storage_id_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, partitions
    )
    return dict(found)


def materialization_records(
    instance: dg.DagsterInstance, key: dg.AssetKey, numbers: Collection[int]
) -> Iterator[dg.EventLogRecord]:
    """The materialisations of an asset with these numbers."""
    todo = sorted(numbers)
    for first in range(0, len(todo), SQL_VARIABLES):
        yield from instance.event_log_storage.get_event_records(
            dg.EventRecordsFilter(
                dg.DagsterEventType.ASSET_MATERIALIZATION,
                asset_key=key,
                storage_ids=todo[first : first + SQL_VARIABLES],
            )
        )
