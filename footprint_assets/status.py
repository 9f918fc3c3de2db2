"""Which partitions exist, are stale, or are missing."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from footprint_assets.assets import tables
from footprint_assets.audit import published_dates
from footprint_assets.lake import PartitionUnreadable
from footprint_assets.resources import Workbench
from footprint_assets.tables import LakeTable, Scope

State = Literal["current", "stale", "missing", "empty"]


def status(
    bench: Workbench, start: dt.date | None = None, end: dt.date | None = None
) -> dict[dt.date, dict[str, State]]:
    """The state of every table at every trade date that is published or has trades or book files.

    Args:
        bench: The lake and the drop folder.
        start: First trade date; no bound where ``None``.
        end: Last trade date; no bound where ``None``.

    Returns:
        Trade date to table key to ``current``, ``empty`` (current, but its source is absent), ``stale`` (torn
        partitions too) or ``missing``.
    """
    dates = sorted({*published_dates(bench, start, end), *bench.covered_dates(start, end)})
    return {day: {table.key: _state(bench, table, day) for table in tables(bench.settings)} for day in dates}


def _state(bench: Workbench, table: LakeTable, day: dt.date) -> State:
    try:
        manifests = bench.lake.manifests(table.key, day)
    except PartitionUnreadable:  # a run computes it again
        return "stale"
    if not manifests:
        return "missing"
    if not table.is_current(Scope.of(day, bench)):
        return "stale"
    return "current" if any(manifest.rows for manifest in manifests.values()) else "empty"
