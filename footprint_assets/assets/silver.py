"""Silver: clean rows, and what is built from one contract's trades of one trade date."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
from pydantic import BaseModel

from footprint_assets.lake_asset import lake_asset, lake_stream_asset
from footprint_assets.settings import Roots, Settings
from footprint_assets.tables import Batch, Scope, TableInput
from footprint_assets.transforms.bar5s import INPUT_COLUMNS, bar5s
from footprint_assets.transforms.book import clean_book
from footprint_assets.transforms.deliveries import DeliveryTally
from footprint_assets.transforms.footprint import footprint
from footprint_assets.transforms.levels import session_levels as levels_of_session
from footprint_assets.transforms.ohlcv import ohlcv as ohlcv_bars
from footprint_assets.transforms.profile import volume_profile_price as profile_rows
from footprint_assets.transforms.profile import volume_profile_session as profile_summary
from footprint_assets.transforms.trades import TRADE_IDENTITY, clean_trades

TRADES_CLEAN = {"trades_clean": "silver.future.trades_clean"}


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


@lake_stream_asset(
    "silver.future.market_by_price_10_bar5s",
    inputs={"book": "silver.future.market_by_price_10_clean"},
    config=lambda settings: (Roots(settings.roots),),
)
def market_by_price_10_bar5s(scope: Scope, book: TableInput) -> Iterator[Batch]:
    """Five-second bars of the book: depth, ladder, shape, flow, trades and walls, at bar end and over its time.

    Grain: one row a five-second bar of the grid from the first to the last record. Input: the clean book. Streams.
    """
    for symbol in book.symbols():
        yield Batch(symbol)
        with book.open(symbol) as partition:
            batches = partition.frames(columns=list(INPUT_COLUMNS))
            for bars in bar5s(batches, scope.session, scope.of_contract(symbol).tick_size_nanos):
                yield Batch(symbol, bars)


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
    """The ``T`` records of the clean book, read batch by batch: pre-event quotes and event groups."""
    columns = [*TRADE_IDENTITY, "action", "event_group_id", "bid_px_00", "ask_px_00"]
    with book.open(symbol) as partition:
        batches = [batch.filter(pl.col("action") == "T") for batch in partition.frames(columns=columns)]
    return pl.concat(batches) if batches else book.frame(symbol, columns)


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


def footprint_config(settings: Settings) -> tuple[BaseModel, ...]:
    """The settings footprints depend on."""
    return settings.bars, settings.footprint, Roots(settings.roots)


@lake_asset("silver.future.ohlcv", inputs=TRADES_CLEAN, config=lambda settings: (settings.bars,))
def ohlcv(scope: Scope, trades_clean: pl.DataFrame) -> pl.DataFrame:
    """Open, high, low, close, volume by aggressor, VWAP, true range and ATR from one second to the trade date.

    Grain: one row an interval with trades. Input: clean trades.
    """
    return ohlcv_bars(trades_clean, scope.session, scope.settings.bars)


@lake_asset("silver.future.footprint_price", inputs=TRADES_CLEAN, config=footprint_config)
def footprint_price(scope: Scope, trades_clean: pl.DataFrame) -> pl.DataFrame:
    """The footprint: volume at price by aggressor inside every bar, with imbalances, POC and value area.

    Grain: one row a bar and price row. Input: clean trades. Time, range, volume and tick bars.
    """
    settings = scope.settings
    return footprint(trades_clean, scope.session, settings.bars, settings.footprint, scope.tick_size)[0]


@lake_asset("silver.future.footprint_bar", inputs=TRADES_CLEAN, config=footprint_config)
def footprint_bar(scope: Scope, trades_clean: pl.DataFrame) -> pl.DataFrame:
    """The summary of every footprint bar: delta and its extremes, cumulative delta, stacks, VWAP, indicators.

    Grain: one row a bar. Input: clean trades.
    """
    settings = scope.settings
    return footprint(trades_clean, scope.session, settings.bars, settings.footprint, scope.tick_size)[1]


@lake_asset(
    "silver.future.volume_profile_price", inputs=TRADES_CLEAN, config=lambda settings: (settings.footprint,)
)
def volume_profile_price(scope: Scope, trades_clean: pl.DataFrame) -> pl.DataFrame:
    """Volume at price of the regular, the overnight and the full session.

    Grain: one row a profile and price. Input: clean trades.
    """
    return profile_rows(trades_clean, scope.session, scope.settings.footprint)


@lake_asset(
    "silver.future.volume_profile_session",
    inputs={
        "volume_profile_price": "silver.future.volume_profile_price",
        **TRADES_CLEAN,
        "statistics": "bronze.future.statistics",
    },
)
def volume_profile_session(
    scope: Scope, volume_profile_price: pl.DataFrame, trades_clean: pl.DataFrame, statistics: pl.DataFrame
) -> pl.DataFrame:
    """The summary of every profile: POC, value area, VWAP, moments, session prices and settlement.

    Grain: one row a profile. Inputs: the profile's rows, clean trades, the exchange's statistics.
    """
    return profile_summary(volume_profile_price, trades_clean, statistics, scope.session)


@lake_asset(
    "silver.future.session_levels",
    inputs=TRADES_CLEAN,
    lookback={"prior_sessions": "silver.future.volume_profile_session"},
    config=lambda settings: (settings.levels, Roots(settings.roots)),
)
def session_levels(scope: Scope, trades_clean: pl.DataFrame, prior_sessions: pl.DataFrame) -> pl.DataFrame:
    """The level universe of the trade date: what every price level is, and from when on it is known.

    Grain: one row a level. Inputs: clean trades; the profiles of the sessions before, of the same contract only. A level
    that does not exist (no cash session, no history) has no row. The one look-back asset of the graph.
    """
    return levels_of_session(
        trades_clean, scope.session, scope.settings.levels, prior_sessions, scope.tick_size
    )


TABLES = (
    market_by_price_10_clean,
    market_by_price_10_bar5s,
    trades_clean,
    ohlcv,
    footprint_price,
    footprint_bar,
    volume_profile_price,
    volume_profile_session,
    session_levels,
)
