"""Makes Dagster's record of the partitions agree with the lake, where the record was lost or is of another instance.

The lake's manifests are the truth. What they hold and Dagster does not know is reported to it; what Dagster claims and
the lake lacks can only be told.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

import dagster as dg

from footprint_assets.io_managers import published_metadata
from footprint_assets.lake import PartitionUnreadable
from footprint_assets.records import asset_key, latest_materializations, materialization_records
from footprint_assets.resources import Workbench
from footprint_assets.tables import AnyTable

GENERATIONS = "generations"
"""Metadata of a materialisation: the generation of each contract's partition, which names its content."""

Dates = dict[str, list[dt.date]]
"""Trade dates by dataset key."""


@dataclass(frozen=True)
class Comparison:
    """How Dagster's record and the lake differ.

    Args:
        agreed: Partitions recorded with the generations that are published.
        reported: Published, and not recorded as they are.
        claimed: Recorded, and not in the lake.
        unreadable: In the lake, but torn.
    """

    agreed: int = 0
    reported: Dates = field(default_factory=dict)
    claimed: Dates = field(default_factory=dict)
    unreadable: Dates = field(default_factory=dict)


def synchronise(
    instance: dg.DagsterInstance, bench: Workbench, tables: Iterable[AnyTable], *, report: bool = True
) -> Comparison:
    """Report every published partition whose content Dagster has not recorded.

    Checks are not reported: none was made. The next backfill judges the rules of these trade dates.

    Args:
        instance: The instance.
        bench: The lake.
        tables: The tables of the lake.
        report: Whether to report, or only to compare.

    Returns:
        What was found, and reported where asked to.
    """
    agreed = 0
    reported, claimed, unreadable = Dates(), Dates(), Dates()
    for table in tables:
        recorded = _recorded(instance, table.key)
        published = bench.lake.dates(table.key)
        for day in published:
            try:
                metadata = published_metadata(bench.lake, bench.lake.manifests(table.key, day))
            except PartitionUnreadable:
                unreadable.setdefault(table.key, []).append(day)
                continue
            if recorded.get(day) == metadata[GENERATIONS]:
                agreed += 1
                continue
            reported.setdefault(table.key, []).append(day)
            if report:
                instance.report_runless_asset_event(
                    dg.AssetMaterialization(
                        asset_key(table.key),
                        description="Found in the lake.",
                        partition=day.isoformat(),
                        metadata=metadata | {"written": "found in the lake"},
                    )
                )
        if missing := sorted(set(recorded) - set(published)):
            claimed[table.key] = missing
    return Comparison(agreed, reported, claimed, unreadable)


def _recorded(instance: dg.DagsterInstance, table: str) -> dict[dt.date, object]:
    """The generations of the latest materialisation of each partition, as recorded."""
    numbers = latest_materializations(instance, asset_key(table))
    found: dict[dt.date, object] = {}
    for record in materialization_records(instance, asset_key(table), numbers.values()):
        made = record.asset_materialization
        assert made is not None
        assert made.partition is not None
        value = made.metadata.get(GENERATIONS)
        found[dt.date.fromisoformat(made.partition)] = value.value if value is not None else None
    return found
