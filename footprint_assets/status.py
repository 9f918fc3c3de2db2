"""Which partitions exist, are stale, or are missing."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from footprint_assets.assets import MONTH_TABLES, tables
from footprint_assets.audit import published_dates
from footprint_assets.lake import PartitionUnreadable
from footprint_assets.months import MonthScope
from footprint_assets.resources import Workbench
from footprint_assets.tables import S, Scope, Table

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
    return {
        day: {table.key: _state(table, Scope.of(day, bench)) for table in tables(bench.settings)}
        for day in dates
    }


def month_status(
    bench: Workbench, start: dt.date | None = None, end: dt.date | None = None
) -> dict[dt.date, dict[str, State]]:
    """The state of every table of months at every month of which one is published.

    Args:
        bench: The lake.
        start: Any day of the first month; no bound where ``None``.
        end: Any day of the last month; no bound where ``None``.

    Returns:
        First day of the month to table key to state, as in :func:`status`.
    """
    published = sorted({month for table in MONTH_TABLES for month in bench.lake.dates(table.key)})
    months = [
        month
        for month in published
        if (start is None or month >= start.replace(day=1)) and (end is None or month <= end)
    ]
    return {
        month: {table.key: _state(table, MonthScope(month, bench)) for table in MONTH_TABLES}
        for month in months
    }


def _state(table: Table[S], scope: S) -> State:
    try:
        manifests = scope.bench.lake.manifests(table.key, scope.partition_date)
    except PartitionUnreadable:  # a run computes it again
        return "stale"
    if not manifests:
        return "missing"
    if not table.is_current(scope):
        return "stale"
    return "current" if any(manifest.rows for manifest in manifests.values()) else "empty"
