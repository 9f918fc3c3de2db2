"""Bronze: Databento files as columns, front-month outrights of the configured roots only, nothing changed.

Each trade date opens the UTC-day files that cover its window; each file's rows go to a Parquet part of their own. A
file that breaks a structural rule fails the date and names file, offset and rule; a faulty row is set aside with its
reason. A schema the drop folder does not have for the date gives an empty partition that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial

import polars as pl
from pydantic import BaseModel

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.background import ahead
from footprint_assets.errors import FootprintError
from footprint_assets.lake import SourceRef
from footprint_assets.lake.parquet import ROW_GROUP_ROWS
from footprint_assets.lake_asset import lake_stream_asset
from footprint_assets.settings import Roots, Settings
from footprint_assets.sources.catalog import FileEntry, covering, fingerprint, unreadable
from footprint_assets.sources.columns import BookBuffer, BookMemory, Columns, to_columns
from footprint_assets.sources.dbn import DbnReader, QuarantinedRecord
from footprint_assets.sources.frames import to_frame
from footprint_assets.sources.instruments import InstrumentMap
from footprint_assets.sources.volumes import NO_VOLUME, outright_volumes, volume_rows
from footprint_assets.tables import Batch, Scope, TableInput
from footprint_assets.transforms.deliveries import DeliveryTally, merge_deliveries
from footprint_assets.transforms.roll import front_month as rank_by_volume
from footprint_assets.transforms.trades import trades_from_book

FRONT_MONTH = "bronze.future.front_month"
BOOK = "bronze.future.market_by_price_10"
ROLL = {"front_month": FRONT_MONTH}
ROLL_SOURCES = {"trades": "trades", "mbp-10": "market_by_price_10", "ohlcv-1d": "ohlcv_1d"}
"""Schemas that tell a trade date's volume, best first, and their name in the roll map."""


class NoSource(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The drop folder has no file a trade date needs."""


def files_of(scope: Scope, *schemas: str) -> list[FileEntry]:
    """The drop folder's files of some schemas that cover the trade date's window, in time order.

    Raises:
        DbnRefused: A file that by its name belongs to the window cannot be opened.
    """
    catalog, window = scope.bench.catalog(), scope.session.window_ns
    for schema in schemas:
        for entry in unreadable(catalog, scope.settings.ingest.dataset, schema, *window):
            assert entry.problem is not None
            raise entry.problem
    found = {e.name: e for schema in schemas for e in covering(catalog, schema, *window)}
    return sorted(found.values(), key=lambda entry: (entry.start_ns, entry.name))


def source_refs(*schemas: str) -> Callable[[Scope], tuple[SourceRef, ...]]:
    """The lineage of the files of some schemas."""

    def refs(scope: Scope) -> tuple[SourceRef, ...]:
        ingest, cache = scope.settings.ingest, scope.bench.catalog_cache
        return tuple(
            SourceRef(
                name=e.name,
                sha256=fingerprint(e, ingest, cache),
                bytes=e.bytes,
                pulled=str(e.pulled),
            )
            for e in files_of(scope, *schemas)
        )

    return refs


def ingest_config(settings: Settings) -> tuple[BaseModel, ...]:
    """The settings that decide what enters bronze."""
    return settings.ingest, Roots(settings.roots)


@lake_stream_asset(FRONT_MONTH, config=ingest_config, sources=source_refs(*ROLL_SOURCES, "definition"))
def front_month(scope: Scope) -> Iterator[Batch]:
    """The roll map: volume of every outright on the trade date, and the one chosen as its root's front month.

    Grain: one row an outright; the directory is the root's. Source: the best present of trades, the book's trade
    records, daily bars (of the UTC day). A pure function of the date's files. Fails where no file tells a volume.
    """
    volumes = next(
        (found for schema in ROLL_SOURCES if not (found := volumes_of(scope, schema)).is_empty()), None
    )
    if volumes is None:
        raise NoSource(
            f"No file tells a volume of {' or '.join(sorted(scope.settings.roots))} outrights.",
            where={"dt": scope.trade_date, "folder": scope.settings.dbn_dir},
            remedy="put the trades or mbp-10 files of the UTC days "
            f"{', '.join(map(str, cme.utc_days(scope.trade_date)))} into the drop folder.",
        )
    schema = contracts.load(FRONT_MONTH).polars_schema
    roll = rank_by_volume(volumes)
    for (root,), rows in sorted(roll.partition_by("symbol", as_dict=True).items()):
        yield Batch(str(root), rows.sort("contract").select(schema.names()).cast(schema))


def volumes_of(scope: Scope, schema: str) -> pl.DataFrame:
    """Volume by outright as the files of one schema tell it; no rows where there are no such files."""
    start, end = scope.session.window_ns
    if schema == "ohlcv-1d":  # a daily bar is stamped with the midnight that opens its UTC day
        start = cme.utc_midnight_ns(scope.trade_date)
        end = start + 1
    instruments = defined_instruments(scope)
    parts = []
    for entry in covering(scope.bench.catalog(), schema, start, end):
        with DbnReader(entry.path, scope.settings.ingest) as reader:
            instruments.add_header(reader.header)
            parts.append([volume_rows(chunk, schema, start, end) for chunk in reader.chunks(schema)])
            instruments.add_live(reader.live_mappings)
    rows = list(merge_deliveries(parts, DeliveryTally())) or [NO_VOLUME]
    return outright_volumes(rows, instruments, scope.settings.roots, scope.trade_date).with_columns(
        pl.lit(ROLL_SOURCES[schema]).alias("source")
    )


def defined_instruments(scope: Scope) -> InstrumentMap:
    """What the definition files of the trade date say about instruments."""
    instruments = InstrumentMap()
    for entry in files_of(scope, "definition"):
        with DbnReader(entry.path, scope.settings.ingest) as reader:
            instruments.add_header(reader.header)
            for chunk in reader.chunks("definition"):
                instruments.add_definitions(chunk.records)
    return instruments


@lake_stream_asset(BOOK, inputs=ROLL, config=ingest_config, sources=source_refs("mbp-10"))
def market_by_price_10(scope: Scope, front_month: TableInput) -> Iterator[Batch]:
    """The ten-level book as delivered, flag bits extracted, the file position kept.

    Grain: one row a book record of a front-month outright. Sources: mbp-10 files. Streams in bounded memory.
    """
    yield from rows_of_files(scope, front_month, "mbp-10", BOOK)


@lake_stream_asset(
    "bronze.future.trades",
    inputs=ROLL | {"market_by_price_10": BOOK},
    config=ingest_config,
    sources=source_refs("trades"),
)
def trades(scope: Scope, front_month: TableInput, market_by_price_10: TableInput) -> Iterator[Batch]:
    """Every trade as delivered; from the book's trade records where the drop folder has no trades file.

    Grain: one row a fill; byte-identical rows are distinct fills. Sources: trades files, else the bronze book. Fails
    where neither has a file.
    """
    if files_of(scope, "trades"):
        yield from rows_of_files(scope, front_month, "trades", "bronze.future.trades")
        return
    if not files_of(scope, "mbp-10"):
        raise NoSource(
            "Neither trades nor mbp-10 files cover the trade date.",
            where={"dt": scope.trade_date, "folder": scope.settings.dbn_dir},
            remedy="put one of them into the drop folder.",
        )
    for symbol in market_by_price_10.symbols():
        yield Batch(symbol, notes={"taken_from": BOOK})
        with market_by_price_10.open(symbol) as partition:
            for part in partition.parts:
                for batch in partition.frames(part=part):
                    frame = trades_from_book(batch)
                    yield Batch(symbol, frame, part=part, rows_in=frame.height)


@lake_stream_asset(
    "bronze.future.definition", inputs=ROLL, config=ingest_config, sources=source_refs("definition")
)
def definition(scope: Scope, front_month: TableInput) -> Iterator[Batch]:
    """The exchange's definitions of the front-month outrights, as delivered.

    Grain: one row a definition message received on the trade date. Sources: definition files.
    """
    yield from rows_of_files(scope, front_month, "definition", "bronze.future.definition")


@lake_stream_asset(
    "bronze.future.statistics", inputs=ROLL, config=ingest_config, sources=source_refs("statistics")
)
def statistics(scope: Scope, front_month: TableInput) -> Iterator[Batch]:
    """The exchange's statistics of the front-month outrights: settlement, open interest, cleared volume, extremes.

    Grain: one row a statistics message received on the trade date. Sources: statistics files.
    """
    yield from rows_of_files(scope, front_month, "statistics", "bronze.future.statistics")


@dataclass(frozen=True)
class _File:
    """One source file on its way into one table: its part, the wanted instruments, what it had to set aside."""

    entry: FileEntry
    schema: str
    contract: pl.Schema
    part: int
    window: tuple[int, int]
    ids: Mapping[str, frozenset[int]]
    quarantined: list[QuarantinedRecord] = field(default_factory=list)

    def batch(self, symbol: str, columns: Columns) -> Batch:
        return Batch(
            symbol, to_frame(columns, self.contract, symbol), part=self.part, filtered=columns.skipped
        )


def rows_of_files(scope: Scope, roll: TableInput, schema: str, table: str) -> Iterator[Batch]:
    """Stream the front-month rows of the files of one schema, one Parquet part a file, with every row accounted for.

    A file's quarantine goes with every contract taken from the file, so that each partition's accounts are whole.
    """
    front = {
        row["contract"]: row["instrument_id"] for row in roll.frame().filter("is_front").iter_rows(named=True)
    }
    files = files_of(scope, schema)
    for symbol in sorted(front):
        yield Batch(
            symbol, notes={} if files else {"absent": f"no {schema} file in the drop folder covers this date"}
        )
    contract, days = contracts.load(table).polars_schema, cme.utc_days(scope.trade_date)
    # One memory for all files: what the part of one has given back serves the next.
    stream = partial(_book_rows, BookMemory(ROW_GROUP_ROWS)) if schema == "mbp-10" else _rows
    for part, entry in enumerate(files):
        with DbnReader(entry.path, scope.settings.ingest) as reader:
            instruments = InstrumentMap.of(reader.header)
            ids = {s: instruments.instrument_ids(s, days) or frozenset({front[s]}) for s in sorted(front)}
            job = _File(entry, schema, contract, part, scope.session.window_ns, ids)
            yield from stream(job, reader)
            yield from _accounts(job, reader)


def _rows(job: _File, reader: DbnReader) -> Iterator[Batch]:
    """The rows of a small schema, chunk by chunk."""
    for chunk in reader.chunks(job.schema):
        job.quarantined.extend(chunk.quarantined)
        for symbol, wanted in job.ids.items():
            yield job.batch(symbol, to_columns(chunk, job.schema, wanted, *job.window))


def _book_rows(memory: BookMemory, job: _File, reader: DbnReader) -> Iterator[Batch]:
    """The rows of a book, a row group at a time: the writer takes them as they lie."""
    books = {symbol: BookBuffer(memory, wanted, *job.window) for symbol, wanted in job.ids.items()}
    with closing(ahead(reader.chunks(job.schema))) as chunks:
        for chunk in chunks:
            job.quarantined.extend(chunk.quarantined)
            for symbol, book in books.items():
                seen = 0
                while (seen := book.append(chunk, seen)) < len(chunk.records):
                    yield job.batch(symbol, book.take())
    for symbol, book in books.items():
        yield job.batch(symbol, book.take())


def _accounts(job: _File, reader: DbnReader) -> Iterator[Batch]:
    """What a file held and what left it, for each contract taken from it."""
    totals = reader.totals
    for symbol in job.ids:
        yield Batch(
            symbol,
            rows_in=totals.records,
            filtered={
                f"other_schema_{name.replace('-', '_')}": rows for name, rows in totals.other_schema.items()
            },
            quarantined=tuple(asdict(record) for record in job.quarantined),
            notes={
                job.entry.name: {
                    "records": totals.records,
                    "zstd_frames": totals.frames,
                    "zstd_frames_without_checksum": totals.frames_without_checksum,
                    "pulled": str(job.entry.pulled),
                }
            },
        )


TABLES = (front_month, market_by_price_10, trades, definition, statistics)
