"""Best bid and offer: clean book batches in, one row per change of either price out, in one streaming pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels.book_events import ASK, BID, CLEAR, UNDEF_PRICE
from footprint_assets.settings import PRICE_SCALE
from footprint_assets.transforms.book_batch import SIDES, BookBatch, WaitingRows, followed, ticks

TABLE = "silver.future.bbo"


class BboStream:
    """``silver.future.bbo`` batch by batch.

    Args:
        tick_size_nanos: Minimum price increment, 1e-9 points.
    """

    CARRIED: ClassVar[tuple[str, ...]] = ("_last", "_symbol")

    def __init__(self, tick_size_nanos: int) -> None:
        self._tick_size_nanos = tick_size_nanos
        self._schema = contracts.load(TABLE).polars_schema
        self._none = self._schema.to_frame()
        self._waiting = WaitingRows(1 + len(SIDES))
        self._last = np.full((2, 1), UNDEF_PRICE, np.int64)
        self._symbol: str | None = None

    def push(self, batch: BookBatch) -> pl.DataFrame:
        """Take a batch in, and hand out the changes so far if there are ``FRAME_ROWS`` of them.

        Args:
            batch: The records that follow those of the last batch.

        Returns:
            Rows in event order.

        Raises:
            BookRowsRefused: If a best price is off the tick grid.
        """
        self._symbol = batch.symbol
        shown = batch.flow.moved
        best = np.where(batch.action[shown] == CLEAR, UNDEF_PRICE, batch.px[:, 0, shown])
        before = np.concatenate((self._last, best[:, :-1]), axis=1)[:, : len(shown)]
        change = np.flatnonzero((best != before).any(axis=0))
        if len(shown):
            self._last = best[:, -1:].copy()
        self._waiting.add(np.concatenate((batch.ts[None, shown[change]], best[:, change])))
        return self._frame(self._waiting.take())

    def close(self, until_ns: int) -> pl.DataFrame:  # noqa: ARG002 - a change waits for nothing
        """The changes not handed out yet."""
        return self.finish()

    def finish(self) -> pl.DataFrame:
        """The changes not handed out yet."""
        return self._frame(self._waiting.take(least=0))

    def _frame(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        if not rows.shape[1]:
            return self._none
        ts, best = rows[0], rows[1:]
        known = best != UNDEF_PRICE
        tick = np.zeros_like(best)
        tick[known] = ticks(best[known], self._tick_size_nanos, self._symbol)
        data = {
            "ts_event": pl.Series(ts),
            "symbol": pl.repeat(self._symbol, len(ts), dtype=pl.String, eager=True),
        }
        for s, side in ((BID, SIDES[BID]), (ASK, SIDES[ASK])):
            absent = pl.Series(~known[s])
            data[f"{side}_tick"] = pl.Series(tick[s]).set(absent, None)
            data[f"{side}_px"] = pl.Series(best[s] / PRICE_SCALE).set(absent, None)
        return pl.DataFrame(data).select(self._schema.names()).cast(self._schema)


def bbo(frames: Iterable[pl.DataFrame], session: Session, tick_size_nanos: int) -> Iterator[pl.DataFrame]:
    """Follow the best prices of one contract's book of one trade date.

    Prices hold from a row's ``ts_event`` to the next row's; of rows with one ``ts_event`` only the last one lasts. A
    clear leaves no price on either side until a record shows one.

    Args:
        frames: Rows of ``silver.future.market_by_price_10_clean`` in event order, at least ``INPUT_COLUMNS``.
        session: The trade date's session.
        tick_size_nanos: Minimum price increment, 1e-9 points.

    Returns:
        Batches of ``silver.future.bbo``.

    Raises:
        BookRowsRefused: If rows are out of order, of another session or contract, or off the tick grid.
    """
    return followed(BboStream(tick_size_nanos), frames, session)
