"""Takes old runs out of Dagster's storage, and keeps every run that still says something about a partition.

Deleting a run deletes its materialisations too, and a partition whose latest one goes turns "missing" in the UI. So only
runs that failed or were superseded are taken out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES
from dagster._core.storage.compute_log_manager import ComputeLogManager
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.tags import BACKFILL_ID_TAG

from footprint_assets.records import latest_materializations, materialization_records


@dataclass(frozen=True)
class Pruned:
    """What was taken out, or would be.

    Args:
        runs: Runs taken out.
        kept: Runs as old that are the latest word on a partition or a check.
        bytes: Size of the files that belonged to runs that are gone.
    """

    runs: int
    kept: int
    bytes: int


def prune_runs(
    instance: dg.DagsterInstance,
    checks: Collection[dg.AssetCheckKey],
    before: dt.datetime,
    *,
    dry_run: bool = False,
) -> Pruned:
    """Delete finished runs that no partition needs any more, with their event files and captured output.

    Args:
        instance: The instance.
        checks: Every asset check of the graph.
        before: Runs that ended before this instant are old enough.
        dry_run: Whether to delete nothing and only count.

    Returns:
        What was taken out.
    """
    old = [
        record.dagster_run.run_id
        for record in instance.get_run_records(dg.RunsFilter(statuses=list(FINISHED_STATUSES)))
        if record.end_time is None or record.end_time < before.timestamp()
    ]
    needed = set(_needed(instance, checks)) | set(_of_backfills_in_progress(instance))
    gone = [run_id for run_id in old if run_id not in needed]
    if dry_run:
        return Pruned(len(gone), len(old) - len(gone), sum(_size(p) for p in _files_of(instance, set(gone))))
    for run_id in gone:
        instance.delete_run(run_id)
        manager: ComputeLogManager[dg.DagsterInstance] = instance.compute_log_manager
        manager.delete_logs(prefix=[run_id])
    freed = 0
    for path in _files_of_no_run(instance):
        freed += _size(path)
        path.unlink(missing_ok=True)
    return Pruned(len(gone), len(old) - len(gone), freed)


def _needed(instance: dg.DagsterInstance, checks: Collection[dg.AssetCheckKey]) -> Iterator[str]:
    """The runs of the latest materialisation of every partition and of the latest record of every check."""
    for key in instance.all_asset_keys():
        numbers = latest_materializations(instance, key).values()
        yield from (record.run_id for record in materialization_records(instance, key, numbers))
        latest = instance.get_latest_materialization_event(key)
        if latest is not None:
            yield latest.run_id
    for info in instance.event_log_storage.get_asset_check_partition_info(list(checks)):
        yield info.latest_planned_run_id


def _of_backfills_in_progress(instance: dg.DagsterInstance) -> Iterator[str]:
    """The daemon decides by the runs of a backfill what is still to do."""
    for backfill in instance.get_backfills():
        if backfill.status not in BULK_ACTION_TERMINAL_STATUSES:
            tags = {BACKFILL_ID_TAG: backfill.backfill_id}
            yield from (run.run_id for run in instance.get_runs(dg.RunsFilter(tags=tags)))


def _files_of_no_run(instance: dg.DagsterInstance) -> list[Path]:
    """Event files whose run is not in the storage: Dagster leaves them where they are.

    The files are listed before the runs are: a run is stored before its file.
    """
    files = _event_files(instance)
    known = {run.run_id for run in instance.get_runs()} if files else set()
    return [path for path in files if _run_of(path) not in known]


def _files_of(instance: dg.DagsterInstance, run_ids: set[str]) -> list[Path]:
    return [path for path in _event_files(instance) if _run_of(path) in run_ids]


def _event_files(instance: dg.DagsterInstance) -> list[Path]:
    """The SQLite files that hold the events of one run each; none where runs are kept elsewhere."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return []
    index = Path(storage.path_for_shard("index"))
    return [path for path in index.parent.glob("*.db*") if _run_of(path) != index.stem]


def _run_of(path: Path) -> str:
    return path.name.partition(".db")[0]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
