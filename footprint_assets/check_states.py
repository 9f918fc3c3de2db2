"""In which partitions each check passed: what the graph of the UI asks of all of them at once.

Dagster adds one partition after the other to the answer, 2.5 s for a check of a thousand partitions. Here the partitions of one
status are added in one piece, and checks with the same partitions share it. What has not ended yet is left to Dagster's own
rules. Private APIs of Dagster, pinned by `test_check_states`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import dagster as dg
from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckExecutionResolvedStatus,
    AssetCheckPartitionInfo,
)
from dagster._core.storage.asset_check_state import AssetCheckState
from dagster._core.storage.dagster_run import FINISHED_STATUSES

Definition = dg.PartitionsDefinition[str]

_PASSED_OR_NOT = {
    AssetCheckExecutionRecordStatus.SUCCEEDED: AssetCheckExecutionResolvedStatus.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED: AssetCheckExecutionResolvedStatus.FAILED,
}
_REMEMBERED = 16
"""Sets of partitions: the checks of a graph differ in few of them."""


def check_states(
    instance: dg.DagsterInstance, checks: Sequence[tuple[dg.AssetCheckKey, Definition | None]]
) -> dict[dg.AssetCheckKey, AssetCheckState]:
    """The states of partitioned checks now.

    Args:
        instance: Where their records are.
        checks: Each check with its partitions.

    Returns:
        What Dagster's own `bulk_update_asset_check_state` gives from an empty state.
    """
    infos: dict[Any, list[AssetCheckPartitionInfo]] = defaultdict(list)
    for info in instance.event_log_storage.get_asset_check_partition_info([key for key, _ in checks]):
        infos[info.check_key].append(info)
    runs = _finished_runs(instance, [info for some in infos.values() for info in some if _is_open(info)])
    return {
        key: _ended(key, definition, infos[key]).with_updates(
            key, definition, [info for info in infos[key] if _is_open(info)], runs
        )
        for key, definition in checks
    }


def _ended(
    key: dg.AssetCheckKey, definition: Definition | None, infos: Sequence[AssetCheckPartitionInfo]
) -> AssetCheckState:
    """The state by the evaluations of the newest materialisations."""
    partitions: dict[AssetCheckExecutionResolvedStatus, set[str]] = defaultdict(set)
    for info in infos:
        status = _PASSED_OR_NOT.get(info.latest_execution_status)
        if status is not None and info.is_current and info.partition_key is not None:
            partitions[status].add(info.partition_key)
    return AssetCheckState(
        latest_storage_id=max((_newest(info) for info in infos), default=0),
        subsets={
            status: SerializableEntitySubset(key, _subset(definition, frozenset(keys)))
            for status, keys in partitions.items()
            if definition is not None
        },
        in_progress_runs={},
    )


@lru_cache(_REMEMBERED)
def _subset(definition: Definition, keys: frozenset[str]) -> Any:
    """Partitions as Dagster keeps a set of them; keys the definition no longer has are left out."""
    return definition.subset_with_partition_keys(keys & frozenset(definition.get_partition_keys()))


def _newest(info: AssetCheckPartitionInfo) -> int:
    return max(info.latest_check_event_storage_id, info.latest_materialization_storage_id or 0)


def _is_open(info: AssetCheckPartitionInfo) -> bool:
    return info.latest_execution_status == AssetCheckExecutionRecordStatus.PLANNED


def _finished_runs(
    instance: dg.DagsterInstance, infos: Sequence[AssetCheckPartitionInfo]
) -> Mapping[str, dg.DagsterRunStatus]:
    """The runs that planned an evaluation and ended without it."""
    run_ids = sorted({info.latest_planned_run_id for info in infos})
    if not run_ids:
        return {}
    runs = instance.get_runs(dg.RunsFilter(run_ids=run_ids, statuses=list(FINISHED_STATUSES)))
    return {run.run_id: run.status for run in runs}
