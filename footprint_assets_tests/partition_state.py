"""What the lake holds and what Dagster has recorded of each partition, to compare two ways of getting there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import dagster as dg

from footprint_assets.catalog import GENERATIONS
from footprint_assets.lake import Lake
from footprint_assets.records import asset_key, check_keys, latest_materializations, materialization_records
from footprint_assets.settings import Settings
from footprint_assets_tests.runs import generations_of

State = dict[tuple[str, str], object]


def in_the_lake(settings: Settings, tables: Iterable[str]) -> State:
    """Generations by contract of every published table and trade date."""
    lake = Lake(settings.lake_root)
    return {
        (table, day.isoformat()): generations_of(lake, table, day)
        for table in tables
        for day in lake.dates(table)
    }


def recorded(instance: dg.DagsterInstance, tables: Iterable[str]) -> State:
    """Generations by contract of the latest materialisation of every table and trade date."""
    found: State = {}
    for table in tables:
        key = asset_key(table)
        numbers = latest_materializations(instance, key).values()
        for record in materialization_records(instance, key, numbers):
            made = record.asset_materialization
            assert made is not None
            found[table, str(made.partition)] = made.metadata[GENERATIONS].value
    return found


def checked(instance: dg.DagsterInstance, settings: Settings) -> State:
    """Status of the latest record of every check and trade date."""
    return {
        (f"{'.'.join(info.check_key.asset_key.path)}:{info.check_key.name}", str(info.partition_key)): (
            info.latest_execution_status.value
        )
        for info in instance.event_log_storage.get_asset_check_partition_info(check_keys(settings))
    }


def run_statuses(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """Status of every run, oldest first, by trade date."""
    found: dict[str, list[str]] = {}
    for run in reversed(instance.get_runs()):
        found.setdefault(run.tags["dagster/partition"], []).append(run.status.value)
    return found


def days(*numbers: int) -> list[dt.date]:
    """Trade dates of June 2025."""
    return [dt.date(2025, 6, number) for number in numbers]
