"""The clean book: deliveries merged, rows in event order, every change of size told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.calendar import Session
from footprint_assets.kernels.book_events import LEVELS, UNDEF_PRICE, BookEventState, book_events
from footprint_assets.transforms.deliveries import DeliveryTally, in_event_order, merge_deliveries
from footprint_assets.transforms.sessions import session_columns

SIDES = ("bid", "ask")


def clean_book(
    parts: Sequence[Iterable[pl.DataFrame]], session: Session, tally: DeliveryTally
) -> Iterator[pl.DataFrame]:
    """Clean one contract's book of one trade date, batch by batch.

    Args:
        parts: One stream of ``bronze.future.market_by_price_10`` batches a delivery.
        session: The trade date's session.
        tally: Receives the rows that did not pass.

    Yields:
        Batches of ``silver.future.market_by_price_10_clean``, sorted by ``ts_event``.
    """
    state = BookEventState()
    for batch in in_event_order(merge_deliveries(parts, tally), tally):
        yield with_book_events(session_columns(batch, session), state)


def with_book_events(batch: pl.DataFrame, state: BookEventState) -> pl.DataFrame:
    """Add event groups, locked and crossed flags, the aggressor's sign and the split of every size change.

    Args:
        batch: Book rows in event order, columns of the bronze contract.
        state: What the rows before this batch left behind; advanced in place.

    Returns:
        The batch with ``event_group_id``, ``is_locked``, ``is_crossed``, ``aggressor_sign``, ``filled_qty``,
        ``pulled_qty`` and ``added_qty``.
    """
    group, added, filled, pulled = book_events(
        _codes(batch["action"]),
        _codes(batch["side"]),
        batch["flags"].to_numpy(),
        batch["price"].fill_null(int(UNDEF_PRICE)).to_numpy(),
        batch["size"].to_numpy(),
        _ladder(batch, "px"),
        _ladder(batch, "sz"),
        state,
    )
    return batch.with_columns(
        pl.Series("event_group_id", group),
        (pl.col("bid_px_00") == pl.col("ask_px_00")).fill_null(value=False).alias("is_locked"),
        (pl.col("bid_px_00") > pl.col("ask_px_00")).fill_null(value=False).alias("is_crossed"),
        aggressor_sign().alias("aggressor_sign"),
        pl.Series("filled_qty", filled),
        pl.Series("pulled_qty", pulled),
        pl.Series("added_qty", added),
    )


def aggressor_sign() -> pl.Expr:
    """+1 where a trade's buyer lifted the ask (side B), -1 where its seller hit the bid (A), 0 otherwise."""
    trade, side = pl.col("action") == "T", pl.col("side")
    return (
        pl.when(trade & (side == "B")).then(1).when(trade & (side == "A")).then(-1).otherwise(0).cast(pl.Int8)
    )  # fmt: skip


def _codes(column: pl.Series) -> NDArray[np.uint8]:
    """ASCII codes of a one-letter Enum column."""
    assert isinstance(column.dtype, pl.Enum)
    letters = np.array([ord(letter) for letter in column.dtype.categories], np.uint8)
    codes: NDArray[np.uint8] = letters[column.to_physical().to_numpy()]
    return codes


def _ladder(batch: pl.DataFrame, what: str) -> NDArray[np.int64]:
    """The ten levels of both sides as int64 ``(n, 2, 10)``, absent prices as UNDEF_PRICE."""
    out = np.empty((batch.height, 2, LEVELS), np.int64)
    for s, side in enumerate(SIDES):
        for level in range(LEVELS):
            column = batch[f"{side}_{what}_{level:02d}"]
            out[:, s, level] = (
                column.fill_null(int(UNDEF_PRICE)) if column.null_count() else column
            ).to_numpy()
    return out
