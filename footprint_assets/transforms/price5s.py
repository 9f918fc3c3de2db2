"""The book by price in five-second bars: clean book batches in, one row a bar and tick out, in one streaming pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels import price5s as kernel
from footprint_assets.settings import PRICE_SCALE
from footprint_assets.transforms.book_batch import (
    SIDES,
    BookBatch,
    BookRowsRefused,
    bar_end,
    followed,
    off_grid,
)

TABLE = "silver.future.market_by_price_10_price5s"

_SIDE_COLUMNS = (
    "qty_ns", "qty_eob", "ct_eob", "max_qty", "add_vol", "pull_vol", "fill_vol", "add_cnt", "cancel_cnt", "modify_cnt",
)  # fmt: skip
_COUNTED = ("ct_eob", "_cnt")
_NULLABLE = ("qty_eob", "ct_eob", "max_qty")
_KERNEL_FIELD = dict(
    zip(
        _SIDE_COLUMNS,
        (
            kernel.QTY_NS, kernel.QTY_EOB, kernel.CT_EOB, kernel.MAX_QTY,
            kernel.ADDED, kernel.PULLED, kernel.FILLED, kernel.ADDS, kernel.CANCELS, kernel.MODIFIES,
        ),
        strict=True,
    )
)  # fmt: skip


class Price5sStream:
    """``silver.future.market_by_price_10_price5s`` batch by batch.

    Args:
        tick_size_nanos: Minimum price increment, 1e-9 points.
    """

    CARRIED: ClassVar[tuple[str, ...]] = ("_state", "_symbol", "_last_ns")

    def __init__(self, tick_size_nanos: int) -> None:
        self._tick_size_nanos = tick_size_nanos
        self._schema = contracts.load(TABLE).polars_schema
        self._none = self._schema.to_frame()
        self._state = kernel.Price5sState()
        self._symbol: str | None = None
        self._last_ns = 0

    def push(self, batch: BookBatch) -> pl.DataFrame:
        """The rows that are to be handed out after a batch: those of closed bars, some tens of thousands at a time.

        Args:
            batch: The records that follow those of the last batch.

        Returns:
            Rows by bar and tick.

        Raises:
            BookRowsRefused: If a price is off the tick grid, or the book moved too far within one bar.
        """
        self._symbol, self._last_ns = batch.symbol, batch.last_ns(self._last_ns)
        try:
            return self._frame(kernel.price5s(
                batch.ts, batch.action, batch.side, batch.flags, batch.price, batch.px, batch.sz, batch.ct, batch.flow,
                self._tick_size_nanos, self._state,
            ))  # fmt: skip
        except kernel.OffTickGrid as error:
            raise off_grid(error.args[0], self._tick_size_nanos, batch.symbol) from error
        except kernel.TooWide as error:
            raise BookRowsRefused(
                f"the book moved over more than {kernel.WINDOW_TICKS} ticks within one bar",
                where={"table": TABLE, "symbol": batch.symbol, "bar_ts": error.args[0]},
                remedy="check the root's tick size in the settings",
            ) from error

    def close(self, until_ns: int) -> pl.DataFrame:
        """The rows not handed out yet, those included whose bar ends by an instant; bars end with the last record's."""
        until_ns = min(until_ns, bar_end(self._last_ns))
        return self._frame(kernel.close(until_ns, self._tick_size_nanos, self._state))

    def finish(self) -> pl.DataFrame:
        """The rows not handed out yet, the last bar's included, its ladder held to the bar's end."""
        return self.close(bar_end(self._last_ns))

    def _frame(self, parts: Iterable[NDArray[np.int64]]) -> pl.DataFrame:
        frames = [*map(self._part, parts)]
        return pl.concat(frames) if frames else self._none

    def _part(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        tick = rows[kernel.TICK]
        data: dict[str, pl.Series | pl.Expr] = {
            "bar_ts": pl.Series(rows[kernel.START]),
            "symbol": pl.repeat(self._symbol, len(tick), dtype=pl.String, eager=True),
            "price_tick": pl.Series(tick),
            "price": pl.Series(tick * self._tick_size_nanos / PRICE_SCALE),
            "visible_ns": pl.Series(rows[kernel.VISIBLE_NS]),
            "is_visible_eob": pl.Series(rows[kernel.IS_VISIBLE] == 1),
            "dwell_ns": pl.Series(rows[kernel.DWELL_NS]),
        }
        for s, side in enumerate(SIDES):
            for name in _SIDE_COLUMNS:
                numbers = rows[kernel.SIDE_FIELDS + s * kernel.FIELDS + _KERNEL_FIELD[name]]
                # Counts fit; a cast in polars, which looks at every value, takes five times as long.
                values = pl.Series(numbers.astype(np.int32) if name.endswith(_COUNTED) else numbers)
                known = values.set(values == kernel.NO_VALUE, None) if name in _NULLABLE else values
                data[f"{side}_{name}"] = known
        return pl.DataFrame(data).select(self._schema.names()).cast(self._schema)


def price5s(frames: Iterable[pl.DataFrame], session: Session, tick_size_nanos: int) -> Iterator[pl.DataFrame]:
    """Cut one contract's book of one trade date into bars and ticks.

    Bars are those of ``silver.future.market_by_price_10_bar5s``; a bar at no time of which the book is known has no
    row. Values of a bar are known at ``bar_ts`` + 5 s. Memory is bounded by a batch and its bars.

    Args:
        frames: Rows of ``silver.future.market_by_price_10_clean`` in event order, at least ``INPUT_COLUMNS``.
        session: The trade date's session.
        tick_size_nanos: Minimum price increment, 1e-9 points.

    Returns:
        Batches of ``silver.future.market_by_price_10_price5s``.

    Raises:
        BookRowsRefused: If rows are out of order, of another session or contract, off the tick grid, or move too far
            within one bar.
    """
    return followed(Price5sStream(tick_size_nanos), frames, session)
