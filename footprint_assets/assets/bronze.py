"""Bronze: Databento files as columns, front-month outrights of the configured roots only, nothing changed.

Each trade date opens the UTC-day files that cover its window; each file's rows go to a Parquet part of their own. A
file that breaks a structural rule fails the date and names file, offset and rule; a faulty row is set aside with its
reason. A schema the drop folder does not have for the date gives an empty partition that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.errors import FootprintError
from footprint_assets.lake import SourceRef
from footprint_assets.lake_asset import lake_stream_asset
from footprint_assets.settings import Settings
from footprint_assets.sources.catalog import FileEntry, covering, fingerprint
from footprint_assets.sources.columns import BookBuffer, Columns, to_columns
from footprint_assets.sources.dbn import DEFAULT_CHUNK_RECORDS, Chunk, DbnReader, QuarantinedRecord
from footprint_assets.sources.frames import to_frame
from footprint_assets.sources.instruments import InstrumentMap, Outright
from footprint_assets.sources.trade_rows import daily_volumes, trade_rows
from footprint_assets.tables import Batch, Scope, TableInput
from footprint_assets.transforms.deliveries import DeliveryTally, merge_deliveries
from footprint_assets.transforms.roll import front_month as rank_by_volume
from footprint_assets.transforms.trades import trades_from_book

FRONT_MONTH = "bronze.future.front_month"
BOOK = "bronze.future.market_by_price_10"
ROLL_SOURCES = {"trades": "trades", "mbp-10": "market_by_price_10", "ohlcv-1d": "ohlcv_1d"}
"""Schemas that tell a trade date's volume, best first, and their name in the roll map."""


class NoSource(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The drop folder has no file a trade date needs."""


def files_of(scope: Scope, *schemas: str) -> list[FileEntry]:
    """The drop folder's readable files of some schemas that cover the trade date's window, in time order."""
    catalog = scope.bench.catalog()
    found = {e.name: e for schema in schemas for e in covering(catalog, schema, *scope.session.window_ns)}
    return sorted(found.values(), key=lambda entry: (entry.start_ns, entry.name))


def source_refs(*schemas: str) -> Callable[[Scope], tuple[SourceRef, ...]]:
    """The lineage of the files of some schemas."""

    def refs(scope: Scope) -> tuple[SourceRef, ...]:
        ingest, cache = scope.settings.ingest, scope.bench.catalog_cache
        return tuple(
            SourceRef(name=e.name, sha256=fingerprint(e, ingest, cache), bytes=e.bytes, pulled=e.pulled)
            for e in files_of(scope, *schemas)
        )

    return refs


def ingest_config(settings: Settings) -> tuple[object, ...]:
    """The settings that decide what enters bronze."""
    return (settings.ingest, *(settings.roots[root] for root in sorted(settings.roots)))


@lake_stream_asset(FRONT_MONTH, config=ingest_config, sources=source_refs(*ROLL_SOURCES, "definition"))
def front_month(scope: Scope) -> Iterator[Batch]:
    """The roll map: volume of every outright on the trade date, and the one chosen as its root's front month.

    Grain: one row an outright; the directory is the root's. Source: the best present of trades, the book's trade
    records, daily bars (of the UTC day). A pure function of the date's files. Fails where no file tells a volume.
    """
    volumes = next((found for schema in ROLL_SOURCES if (found := _volumes(scope, schema)) is not None), None)
    if volumes is None or volumes.is_empty():
        raise NoSource(
            f"No file tells a volume of {', '.join(sorted(scope.settings.roots))} outrights.",
            where={"dt": scope.trade_date, "folder": scope.settings.dbn_dir},
            remedy="put the trades or mbp-10 files of the UTC days "
            f"{', '.join(map(str, cme.utc_days(scope.trade_date)))} into the drop folder.",
        )
    roll = rank_by_volume(volumes)
    schema = contracts.load(FRONT_MONTH).polars_schema
    for root in sorted(roll["root"].unique()):
        rows = roll.filter(pl.col("root") == root).sort("symbol")
        yield Batch(root, rows.select(schema.names()).cast(dict(schema)))


def _volumes(scope: Scope, schema: str) -> pl.DataFrame | None:
    """Volume by outright from the files of one schema; None where there are none."""
    start, end = scope.session.window_ns
    if schema == "ohlcv-1d":  # a daily bar is stamped with the midnight that opens its UTC day
        start = cme.utc_midnight_ns(scope.trade_date)
        end = start + 1
    files = [entry for entry in covering(scope.bench.catalog(), schema, start, end)]
    if not files:
        return None
    instruments, parts = _definitions(scope), []
    for entry in files:
        with DbnReader(entry.path, scope.settings.ingest) as reader:
            instruments.add_header(reader.header)
            parts.append([trade_rows(chunk, schema, start, end) for chunk in reader.chunks(schema)])
            instruments.add_live(reader.live_mappings)
    return outright_volumes(merge_deliveries(parts, DeliveryTally()), instruments, scope, ROLL_SOURCES[schema])


def _definitions(scope: Scope) -> InstrumentMap:
    """What the definition files of the window say about instruments."""
    instruments = InstrumentMap()
    for entry in files_of(scope, "definition"):
        with DbnReader(entry.path, scope.settings.ingest) as reader:
            instruments.add_header(reader.header)
            for chunk in reader.chunks("definition"):
                instruments.add_definitions(chunk.records)
    return instruments
