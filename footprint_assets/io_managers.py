"""The lake as a Dagster IO manager: records what a step published, opens what a step reads. Thin over ``lake/``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import polars as pl

from footprint_assets.background import aside
from footprint_assets.errors import FootprintError
from footprint_assets.lake import Lake, Manifest
from footprint_assets.materialization import materialization_facts
from footprint_assets.resources import Workbench
from footprint_assets.retries import failure_of
from footprint_assets.side_by_side import Published
from footprint_assets.tables import TableInput, Unchanged


class HivePartitionedParquetIOManager(dg.IOManager):
    """Records one (table, dt) a materialisation, one directory a contract, and reads it back.

    An input annotated ``pl.DataFrame`` or ``pl.LazyFrame`` receives the rows of every contract (with their ``symbol``
    column); any other annotation receives a :class:`~footprint_assets.tables.TableInput`, opened only when read.

    Args:
        bench: The lake and its settings.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def handle_output(self, context: dg.OutputContext, obj: Published | Unchanged) -> None:
        """Record what was published, or that the published partition is current."""
        if not isinstance(obj, Published | Unchanged):
            raise TypeError(
                f"{context.asset_key.to_user_string()} gave a {type(obj).__name__}; declare it with lake_asset"
            )
        day = dt.date.fromisoformat(context.partition_key)
        table = ".".join(context.asset_key.path)
        manifests = self._bench.lake.manifests(table, day)
        seconds = obj.seconds if isinstance(obj, Published) else 0.0
        context.add_output_metadata(
            {
                **published_metadata(self._bench.lake, manifests),
                **aside(lambda: materialization_facts(self._bench, table, day, manifests, seconds)),
                "written": "unchanged" if isinstance(obj, Unchanged) else "published",
            }
        )

    def load_input(self, context: dg.InputContext) -> TableInput | pl.DataFrame | pl.LazyFrame:
        """Open the input at the step's partitions, in the form its annotation asks for."""
        days = tuple(dt.date.fromisoformat(key) for key in context.asset_partition_keys)
        lookback = len(days) != 1 or context.asset_partition_keys != [context.partition_key]
        table = TableInput(self._bench.lake, ".".join(context.asset_key.path), days, optional=lookback)
        wanted = context.dagster_type.typing_type
        if wanted not in (pl.DataFrame, pl.LazyFrame):
            return table
        with _refusing():
            frame = table.frame()
        return frame if wanted is pl.DataFrame else frame.lazy()


def published_metadata(lake: Lake, manifests: dict[str, Manifest]) -> dict[str, Any]:
    """What Dagster is told of a published table and trade date.

    Args:
        lake: The lake.
        manifests: What is published of it, by contract.
    """
    return {
        "dagster/partition_row_count": sum(m.rows for m in manifests.values()),
        "bytes": sum(m.bytes for m in manifests.values()),
        "symbols": ", ".join(sorted(manifests)),
        "generations": {symbol: m.generation for symbol, m in sorted(manifests.items())},
        "conservation": dg.MetadataValue.md(_conservation(manifests)),
        "dagster/uri": str(lake.root),
        "dagster/storage_kind": "parquet",
    }


@contextmanager
def _refusing() -> Iterator[None]:
    """A refusal of the lake fails the run in its own words, or asks for another try, as one inside the step does."""
    try:
        yield
    except (FootprintError, OSError) as error:
        raise failure_of(error, 0) from error


def _conservation(manifests: dict[str, Manifest]) -> str:
    """Rows in = rows out + quarantined + filtered, as a Markdown table."""
    lines = ["| contract | rows in | rows out | quarantined | filtered by rule |", "|---|---|---|---|---|"]
    lines += [
        f"| {symbol} | {m.rows_in} | {m.rows} | {m.quarantined} | "
        + (", ".join(f"{rule} {count}" for rule, count in sorted(m.filtered.items())) or "none")
        + " |"
        for symbol, m in sorted(manifests.items())
    ]
    return "\n".join(lines)
