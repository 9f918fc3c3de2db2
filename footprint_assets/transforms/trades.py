"""Clean trades: deliveries merged, the quote just before each trade, aggressor orders and the levels they swept."""

from __future__ import annotations

import polars as pl

from footprint_assets.calendar import Session
from footprint_assets.kernels.book_events import UNDEF_PRICE
from footprint_assets.kernels.event_order import earlier_equals
from footprint_assets.transforms.book import aggressor_sign
from footprint_assets.transforms.deliveries import EVENT_ORDER, DeliveryTally, merge_deliveries
from footprint_assets.transforms.sessions import session_columns
from footprint_assets.transforms.windows import fixed_to_points

TRADE_RTYPE = 0
TRADE_IDENTITY = ("ts_event", "sequence", "price", "size", "side")
"""What makes a trades row and a book ``T`` record the same fill; equal fills are told apart by their order."""


def trades_from_book(book: pl.DataFrame) -> pl.DataFrame:
    """The trades of a book: its ``T`` records, in the columns of ``bronze.future.trades``.

    Args:
        book: Rows of ``bronze.future.market_by_price_10`` of one contract.

    Returns:
        Rows of ``bronze.future.trades``; ``ts_in_delta`` is null because the book table does not carry it.
    """
    return book.filter(pl.col("action") == "T").with_columns(
        pl.lit(TRADE_RTYPE, pl.Int16).alias("rtype"), pl.lit(None, pl.Int32).alias("ts_in_delta")
    )


def clean_trades(
    parts: list[pl.DataFrame],
    book_trades: pl.DataFrame,
    session: Session,
    tick_size_nanos: int,
    tally: DeliveryTally,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Clean one contract's trades of one trade date.

    Args:
        parts: ``bronze.future.trades`` rows, one frame a delivery, each in receive order.
        book_trades: The ``T`` rows of ``silver.future.market_by_price_10_clean`` (may be empty) with the identity
            columns, ``event_group_id``, ``bid_px_00`` and ``ask_px_00``. A ``T`` row carries the pre-event book.
        session: The trade date's session.
        tick_size_nanos: Minimum price increment, 1e-9 points.
        tally: Receives the number of re-delivered copies.

    Returns:
        ``(trades, off_tick)``: rows of ``silver.future.trades_clean`` sorted by ``ts_event``, and the bronze rows whose
        price is no multiple of the tick (they have no place in a price ladder).
    """
    rows = pl.concat(list(merge_deliveries([[part] for part in parts], tally)) or [parts[0].clear()])
    rows = rows.sort(*EVENT_ORDER, maintain_order=True)
    on_tick = pl.col("price") % tick_size_nanos == 0
    off_tick, rows = rows.filter(~on_tick), rows.filter(on_tick)
    quotes = _numbered(book_trades).select(
        *TRADE_IDENTITY,
        "_copy",
        "event_group_id",
        pl.col("bid_px_00").alias("bid"),
        pl.col("ask_px_00").alias("ask"),
    )
    joined = _numbered(rows).join(
        quotes, on=[*TRADE_IDENTITY, "_copy"], how="left", maintain_order="left", nulls_equal=True
    )
    order = pl.struct("ts_event", "side", "event_group_id").rle_id()
    frame = session_columns(joined, session).with_columns(
        fixed_to_points(joined["price"]),
        (pl.col("price") // tick_size_nanos).cast(pl.Int32).alias("price_tick"),
        aggressor_sign().alias("aggressor_sign"),
        fixed_to_points(joined["bid"]).alias("bid_px"),
        fixed_to_points(joined["ask"]).alias("ask_px"),
        (fixed_to_points(joined["bid"] + joined["ask"]) / 2).alias("mid_px"),
        order.cast(pl.Int64).alias("aggressor_order_id"),
        (pl.col("side") == "N").alias("is_spread_leg"),
    )
    frame = frame.with_columns(
        pl.col("price_tick").n_unique().over("aggressor_order_id").cast(pl.Int16).alias("levels_swept")
    )
    return frame, off_tick


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Number equal fills of one event in their order; rows stand in event order."""
    known = rows.select(TRADE_IDENTITY).with_columns(pl.col("price").fill_null(int(UNDEF_PRICE)))
    columns = (column.to_physical().to_numpy() for column in known)
    return rows.with_columns(pl.Series("_copy", earlier_equals(*columns)))
