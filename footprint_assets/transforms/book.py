"""The clean book: deliveries merged, rows in event order, every change of size told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.calendar import Session
from footprint_assets.kernels.book_events import F_LAST, LEVELS, UNDEF_PRICE, BookEventState
from footprint_assets.kernels.book_flow import book_flow
from footprint_assets.transforms.deliveries import DeliveryTally, EventOrder, merge_deliveries
from footprint_assets.transforms.sessions import session_columns

PRICES, SIZES = (
    [f"{side}_{what}_{level:02d}" for side in ("bid", "ask") for level in range(LEVELS)]
    for what in ("px", "sz")
)
Int64 = NDArray[np.int64]
BLOCK_ROWS = 4_096
"""Rows whose ladders are laid side by side at a time: 1 MB, which the second-level cache holds."""


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
    stream = CleanStream(session, tally)
    for batch in merge_deliveries(parts, tally):
        yield from stream.push(batch)
    yield from stream.finish()


class CleanStream:
    """``silver.future.market_by_price_10_clean`` of one contract, batch by batch.

    Args:
        session: The trade date's session.
        tally: Receives the rows that did not pass.
    """

    CARRIED: ClassVar[tuple[str, ...]] = ("_order", "_state")

    def __init__(self, session: Session, tally: DeliveryTally) -> None:
        self._session = session
        self._order = EventOrder(tally)
        self._state = BookEventState()

    def push(self, batch: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Take bronze rows in, and hand out the clean ones no later row may come before.

        Args:
            batch: At least one row of ``bronze.future.market_by_price_10`` in receive order.

        Yields:
            Clean rows, sorted by ``ts_event``.
        """
        yield from map(self._clean, self._order.push(batch))

    def finish(self) -> Iterator[pl.DataFrame]:
        """The rows that wait when the stream is over."""
        yield from map(self._clean, self._order.rest())

    def _clean(self, rows: pl.DataFrame) -> pl.DataFrame:
        return with_book_events(session_columns(rows, self._session), self._state)


def with_book_events(batch: pl.DataFrame, state: BookEventState) -> pl.DataFrame:
    """Add event groups, locked and crossed flags, the aggressor's sign and the split of every size change.

    Args:
        batch: Book rows in event order, columns of the bronze contract.
        state: What the rows before this batch left behind; advanced in place.

    Returns:
        The batch with ``event_group_id``, ``is_locked``, ``is_crossed``, ``aggressor_sign``, ``filled_qty``,
        ``pulled_qty`` and ``added_qty``.
    """
    event: list[NDArray[Any]] = [_codes(batch["action"]), _codes(batch["side"])]
    event += [_numbers(batch[name]) for name in ("flags", "price", "size")]
    prices, sizes = ([_numbers(batch[name]) for name in names] for names in (PRICES, SIZES))
    found = np.empty((4, batch.height), np.int64)
    for start in range(0, batch.height, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        action, side, flags, price, size = (column[rows] for column in event)
        found[:, rows] = book_events(
            action, side, flags, price, size, _ladder(prices, rows), _ladder(sizes, rows), state
        )
    group, filled, pulled, added = found
    return batch.with_columns(
        pl.Series("event_group_id", group),
        (pl.col("bid_px_00") == pl.col("ask_px_00")).fill_null(value=False).alias("is_locked"),
        (pl.col("bid_px_00") > pl.col("ask_px_00")).fill_null(value=False).alias("is_crossed"),
        aggressor_sign().alias("aggressor_sign"),
        pl.Series("filled_qty", filled),
        pl.Series("pulled_qty", pulled),
        pl.Series("added_qty", added),
    )


def book_events(
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    price: Int64,
    size: Int64,
    ladder_price: Int64,
    ladder_size: NDArray[np.int32],
    state: BookEventState,
) -> tuple[Int64, Int64, Int64, Int64]:
    """Split every change of the resting size into added, filled and pulled quantity.

    A trade (``T``) leaves the book as it is; the records that follow it in the same event group, up to ``F_LAST``,
    remove the liquidity it took. The two ladders around a record are compared at every price both of them show, so a
    modify that moves an order, and a record that closes a sweep of several prices, count at each price they changed. A
    removal is a fill as far as the group's trades at that price are not yet matched, and a pull beyond that. A price
    that enters or leaves the ten visible levels is unknown: no flow. Snapshot rows restate the book, and the first
    record after a clear (``R``) has nothing to compare with: no flow either.

    Args:
        action: ASCII codes of the DBN action, shape ``(n,)``.
        side: ASCII codes of the DBN side, shape ``(n,)``; the aggressor for trades, the resting side otherwise.
        flags: DBN flag bits, shape ``(n,)``.
        price: Event price, 1e-9 points, ``UNDEF_PRICE`` where absent.
        size: Event size, contracts.
        ladder_price: Post-event prices, shape ``(2, 10, n)``, bids first, 1e-9 points,
            ``UNDEF_PRICE`` where absent.
        ladder_size: Post-event sizes, shape ``(2, 10, n)``, contracts.
        state: Carried state, advanced in place.

    Returns:
        ``(event_group_id, filled, pulled, added)``, int64 arrays of shape ``(n,)``; quantities in contracts.

    The rule is that of the exchange's event structure: one matching event is one group closed by ``F_LAST``.
    """
    last = (flags & F_LAST) != 0
    group = state.counters[0] + np.cumsum(last) - last
    flow = book_flow(action, side, flags, price, size, ladder_price, ladder_size, state)
    # Sums of contracts are exact in float64, the one type numpy sums by row.
    filled, pulled, added = (
        np.bincount(flow.row, quantity, len(action)).astype(np.int64)
        for quantity in (flow.filled, flow.pulled, flow.added)
    )
    return group, filled, pulled, added


def aggressor_sign() -> pl.Expr:
    """+1 where a trade's buyer lifted the ask (side B), -1 where its seller hit the bid (A), 0 otherwise."""
    trade, side = pl.col("action") == "T", pl.col("side")
    return (
        pl.when(trade & (side == "B")).then(1).when(trade & (side == "A")).then(-1).otherwise(0).cast(pl.Int8)
    )  # fmt: skip


def _ladder(levels: list[NDArray[Any]], rows: slice) -> NDArray[Any]:
    """Some rows of the ten levels of both sides, ``(2, 10, n)``."""
    return np.stack([column[rows] for column in levels]).reshape(2, LEVELS, -1)


def _numbers(column: pl.Series) -> NDArray[Any]:
    """An integer column, absent prices as UNDEF_PRICE."""
    return (column.fill_null(int(UNDEF_PRICE)) if column.null_count() else column).to_numpy()


def _codes(column: pl.Series) -> NDArray[np.uint8]:
    """ASCII codes of a one-letter Enum column."""
    assert isinstance(column.dtype, pl.Enum)
    letters = np.array([ord(letter) for letter in column.dtype.categories], np.uint8)
    codes: NDArray[np.uint8] = letters[column.to_physical().to_numpy()]
    return codes
