"""Silver of one trade date alone: clean rows, the tables of the book pass, bars and footprints."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from footprint_assets.lake_asset import lake_asset, lake_stream_asset, lake_stream_assets
from footprint_assets.settings import Roots
from footprint_assets.tables import Batch, Scope, TableInput
from footprint_assets.transforms.book import clean_book
from footprint_assets.transforms.book_batch import INPUT_COLUMNS
from footprint_assets.transforms.book_pass import TABLES as TABLES_OF_BOOK
from footprint_assets.transforms.book_pass import book_pass as tables_of_book
from footprint_assets.transforms.deliveries import DeliveryTally
from footprint_assets.transforms.dwell import BBO_COLUMNS
from footprint_assets.transforms.footprint import footprint_price as price_rows
from footprint_assets.transforms.ohlcv import ohlcv as ohlcv_bars
from footprint_assets.transforms.trades import TRADE_IDENTITY, clean_trades
from footprint_assets.transforms.windows import TRADE_COLUMNS

TRADES_CLEAN = {"trades_clean": "silver.future.trades_clean"}
PRINTS = {"trades_clean": TRADE_COLUMNS}
"""The columns of the clean trades that prices and volumes are made of."""


@lake_stream_asset(
    "silver.future.market_by_price_10_clean",
    inputs={"market_by_price_10": "bronze.future.market_by_price_10"},
)
def market_by_price_10_clean(scope: Scope, market_by_price_10: TableInput) -> Iterator[Batch]:
    """The book in event order, each event once, every size change split into added, filled and pulled.

    Grain: one row a book record. Input: the bronze book. Re-delivered copies are filtered, rows that come more than
    ten seconds late in event time are quarantined; nothing else leaves. Streams: memory does not grow with the day.
    """
    for symbol in market_by_price_10.symbols():
        tally = DeliveryTally()
        with market_by_price_10.open(symbol) as partition:
            deliveries = [partition.frames(part=part) for part in partition.parts]
            for frame in clean_book(deliveries, scope.session, tally):
                yield Batch(symbol, frame)
            yield accounts(symbol, partition.manifest.rows, tally)


@lake_stream_assets(
    *TABLES_OF_BOOK,
    inputs={"book": "silver.future.market_by_price_10_clean"},
    config=lambda settings: (Roots(settings.roots),),
)
def book_pass(scope: Scope, book: TableInput) -> Iterator[Batch]:
    """One pass over the clean book for every table that follows it record by record. Streams.

    Input: the clean book. Five-second tables have one row a bar of the grid from the first to the last record.
    """
    for symbol in book.symbols():
        yield Batch(symbol, table=TABLES_OF_BOOK[0])
        with book.open(symbol) as partition:
            batches = partition.frames(columns=list(INPUT_COLUMNS))
            for table, rows in tables_of_book(
                batches, scope.session, scope.of_contract(symbol).tick_size_nanos
            ):
                yield Batch(symbol, rows, table)


@lake_stream_asset(
    "silver.future.trades_clean",
    inputs={"trades": "bronze.future.trades", "book": "silver.future.market_by_price_10_clean"},
    config=lambda settings: (Roots(settings.roots),),
)
def trades_clean(scope: Scope, trades: TableInput, book: TableInput) -> Iterator[Batch]:
    """Every fill once, with the quote just before it, its aggressor's order and the levels that order swept.

    Grain: one row a fill. Inputs: bronze trades, and the clean book's ``T`` records for quotes and event groups (null
    where there is no book). Re-delivered copies are filtered; a price off the tick grid is quarantined.
    """
    for symbol in trades.symbols():
        tally = DeliveryTally()
        with trades.open(symbol) as partition:
            deliveries = [pl.concat(partition.frames(part=part)) for part in partition.parts]
            rows_in = partition.manifest.rows
        frame, off_tick = clean_trades(
            deliveries or [trades.frame(symbol)],
            trade_records(book, symbol),
            scope.session,
            scope.of_contract(symbol).tick_size_nanos,
            tally,
        )
        yield Batch(symbol, frame)
        yield accounts(symbol, rows_in, tally, off_tick)


def trade_records(book: TableInput, symbol: str) -> pl.DataFrame:
    """The ``T`` records of the clean book, filtered while it is read: pre-event quotes and event groups."""
    columns = [*TRADE_IDENTITY, "action", "event_group_id", "bid_px_00", "ask_px_00"]
    return book.frame(symbol, columns, where=pl.col("action") == "T")


def accounts(symbol: str, rows_in: int, tally: DeliveryTally, off_tick: pl.DataFrame | None = None) -> Batch:
    """The conservation facts of a cleaned contract."""
    aside = [("late_event", frame) for frame in tally.late]
    if off_tick is not None:
        aside.append(("off_tick", off_tick))
    return Batch(
        symbol,
        rows_in=rows_in,
        filtered={"redelivered_copy": tally.redelivered_copies} if tally.redelivered_copies else {},
        quarantined=tuple(
            {"rule": rule, **row} for rule, frame in aside for row in frame.iter_rows(named=True)
        ),
    )


@lake_asset(
    "silver.future.ohlcv",
    inputs=TRADES_CLEAN,
    columns=PRINTS,
    config=lambda settings: (settings.bars,),
)
def ohlcv(scope: Scope, trades_clean: pl.DataFrame) -> pl.DataFrame:
    """Open, high, low, close, volume by aggressor, VWAP, true range and ATR from one second to the trade date.

    Grain: one row an interval with trades. Input: clean trades.
    """
    return ohlcv_bars(trades_clean, scope.session, scope.settings.bars)


@lake_asset(
    "silver.future.footprint_price",
    inputs={**TRADES_CLEAN, "bbo": "silver.future.bbo"},
    columns={**PRINTS, "bbo": BBO_COLUMNS},
    config=lambda settings: (settings.bars, settings.footprint, Roots(settings.roots)),
)
def footprint_price(scope: Scope, trades_clean: pl.DataFrame, bbo: pl.DataFrame) -> pl.DataFrame:
    """The footprint: volume at price by aggressor inside every bar, with imbalances, POC, value area and dwell time.

    Grain: one row a bar and price row. Inputs: clean trades; the best bid and offer, for the time spent at a price. Time,
    range, volume and tick bars.
    """
    settings = scope.settings
    return price_rows(trades_clean, bbo, scope.session, settings.bars, settings.footprint, scope.tick_size)


TABLES = (market_by_price_10_clean, *book_pass, trades_clean, ohlcv, footprint_price)
