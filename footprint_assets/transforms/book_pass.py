"""The book pass: the clean book of one contract is read once, and every table made of it record by record follows it.

The book is by far the largest table; its decompression and unpacking are paid once for all tables that need each record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import polars as pl

from footprint_assets.background import ahead
from footprint_assets.calendar import Session
from footprint_assets.transforms import bar5s, bar5s_book, bbo, price5s, shocks
from footprint_assets.transforms.book_batch import BookBatch, book_batches


class BookStream(Protocol):
    """A table in the making: rows come out as batches go in, the rest at the end."""

    def push(self, batch: BookBatch) -> pl.DataFrame:
        """The rows a batch completes."""
        ...

    def finish(self) -> pl.DataFrame:
        """The rows that only the end of the book completes."""
        ...


STREAMS: dict[str, Callable[[int], BookStream]] = {
    bar5s.TABLE: bar5s.BarStream,
    bar5s_book.TABLE: bar5s_book.BookBarStream,
    price5s.TABLE: price5s.Price5sStream,
    shocks.TABLE: shocks.ShockStream,
    bbo.TABLE: bbo.BboStream,
}
"""What the pass makes: by table key, how a stream for one contract is opened, given its tick size in 1e-9 points."""


def book_pass(
    batches: Iterable[pl.DataFrame], session: Session, tick_size_nanos: int
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Make every table of one contract's book of one trade date in one pass.

    Memory is bounded by two batches and the rows that wait for a frame; any cut into batches gives the same rows.

    Args:
        batches: Rows of ``silver.future.market_by_price_10_clean`` in event order, at least
            ``book_batch.INPUT_COLUMNS``.
        session: The trade date's session.
        tick_size_nanos: Minimum price increment, 1e-9 points.

    Yields:
        ``(table key, rows)``; the rows of one table come in its order, those of several tables interleave. No frame is
        empty.

    Raises:
        BookRowsRefused: If rows are out of order, of another session or contract, or off the tick grid.
    """
    streams = {key: opened(tick_size_nanos) for key, opened in STREAMS.items()}
    # Unpacking and the split of the flow go with the reading: on the second core.
    with contextlib.closing(ahead(book_batches(batches, session))) as unpacked:
        for batch in unpacked:
            for key, stream in streams.items():
                rows = stream.push(batch)
                if rows.height:
                    yield key, rows
    for key, stream in streams.items():
        rows = stream.finish()
        if rows.height:
            yield key, rows
