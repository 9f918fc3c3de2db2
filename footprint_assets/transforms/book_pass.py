"""The book pass: the clean book of one contract is read once, and every table made of it record by record follows it.

The book is by far the largest table; its decompression and unpacking are paid once for all tables that need each record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Protocol

import polars as pl

from footprint_assets.background import ahead
from footprint_assets.calendar import Session
from footprint_assets.transforms import bar5s, bar5s_book, bbo, price5s, shocks
from footprint_assets.transforms.book_batch import BookBatch, book_batches

Frames = pl.DataFrame | tuple[pl.DataFrame, ...]


class BookStream(Protocol):
    """Tables in the making: rows come out as batches go in, the rest at the end; one frame a table.

    Attributes:
        CARRIED: What it hands on from one batch to the next once ``close`` has handed out the rows: names of arrays,
            numbers, words, and dataclasses or dictionaries of them.
    """

    CARRIED: ClassVar[tuple[str, ...]]

    def push(self, batch: BookBatch) -> Frames:
        """The rows a batch completes, once they are worth a frame."""
        ...

    def close(self, until_ns: int) -> Frames:
        """The rows that are complete as no record before an instant is to come, however few.

        Bars end with that of the last record: whether an empty one follows is known with the next record.
        """
        ...

    def finish(self) -> Frames:
        """The rows that only the end of the book completes."""
        ...


STREAMS: dict[tuple[str, ...], Callable[[int], BookStream]] = {
    (bar5s.TABLE, bar5s_book.TABLE): bar5s.BarStream,
    (price5s.TABLE,): price5s.Price5sStream,
    (shocks.TABLE,): shocks.ShockStream,
    (bbo.TABLE,): bbo.BboStream,
}
"""What the pass makes: by table keys, how a stream for one contract is opened, given its tick size in 1e-9 points."""
TABLES = tuple(key for keys in STREAMS for key in keys)
"""Table keys of the pass."""


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
    streams = {keys: opened(tick_size_nanos) for keys, opened in STREAMS.items()}
    # Unpacking and the split of the flow go with the reading: on the second core.
    with contextlib.closing(ahead(book_batches(batches, session))) as unpacked:
        for batch in unpacked:
            for keys, stream in streams.items():
                yield from _rows(keys, stream.push(batch))
    for keys, stream in streams.items():
        yield from _rows(keys, stream.finish())


def _rows(keys: tuple[str, ...], frames: Frames) -> Iterator[tuple[str, pl.DataFrame]]:
    """The frames of a stream that have rows, each with its table."""
    for key, frame in zip(keys, (frames,) if isinstance(frames, pl.DataFrame) else frames, strict=True):
        if frame.height:
            yield key, frame
