"""Liquidity shocks of the book: clean book batches in, one row a heavy fill out, in one streaming pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels import shocks as kernel
from footprint_assets.settings import PRICE_SCALE
from footprint_assets.transforms.book_batch import BookBatch, WaitingRows, bar_end, followed, ticks

TABLE = "silver.future.market_by_price_10_shocks"
RECOVERY_LIMIT_NS = 60_000_000_000
"""How long a recovery is waited for by default: the half-life of ES depth is well below a second."""

_SIDES = ("BID", "ASK")
_NANOS_PER_MS = 1_000_000


class ShockStream:
    """``silver.future.market_by_price_10_shocks`` batch by batch.

    Args:
        tick_size_nanos: Minimum price increment, 1e-9 points.
        recovery_limit_ns: Longest time a recovery is waited for, included, ns. Rows wait as long for those before them.
    """

    CARRIED: ClassVar[tuple[str, ...]] = ("_state", "_symbol", "_last_ns")

    def __init__(self, tick_size_nanos: int, recovery_limit_ns: int = RECOVERY_LIMIT_NS) -> None:
        self._tick_size_nanos = tick_size_nanos
        self._limit_ns = recovery_limit_ns
        self._schema = contracts.load(TABLE).polars_schema
        self._none = self._schema.to_frame()
        self._state = kernel.ShockState()
        self._waiting = WaitingRows(kernel.COLUMNS)
        self._symbol: str | None = None
        self._last_ns = 0

    def push(self, batch: BookBatch) -> pl.DataFrame:
        """Take a batch in, and hand out the shocks that wait for nothing more if there are ``FRAME_ROWS`` of them.

        Args:
            batch: The records that follow those of the last batch.

        Returns:
            Rows in order of ``ts_event``, all after those handed out before.

        Raises:
            BookRowsRefused: If a filled price is off the tick grid.
        """
        self._symbol, self._last_ns = batch.symbol, batch.last_ns(self._last_ns)
        found = kernel.shocks(
            batch.ts, batch.action, batch.flags, batch.px, batch.sz, batch.flow,
            self._tick_size_nanos, self._limit_ns, self._state,
        )  # fmt: skip
        self._waiting.add(found)
        return self._frame(self._waiting.take())

    def close(self, until_ns: int) -> pl.DataFrame:
        """The shocks not handed out yet that wait for nothing more, as no record before an instant is to come."""
        until_ns = min(until_ns, bar_end(self._last_ns))
        self._waiting.add(kernel.settled(until_ns, self._tick_size_nanos, self._limit_ns, self._state))
        return self._frame(self._waiting.take(least=0))

    def waiting(self) -> pl.DataFrame:
        """The shocks that still wait, with what is known of them so far; they will be handed out later."""
        return self._frame(kernel.waiting(self._state))

    def finish(self) -> pl.DataFrame:
        """The shocks not handed out yet; what they wait for beyond the last bar is null. The stream is not used again.

        The book of the last record stands to the end of its bar, as in every five-second table: a session cut there
        knows of a shock what the bar knew.
        """
        self._waiting.add(kernel.finish(bar_end(self._last_ns), self._tick_size_nanos, self._state))
        return self._frame(self._waiting.take(least=0))

    def _frame(self, found: NDArray[np.int64]) -> pl.DataFrame:
        if not found.shape[1]:
            return self._none
        ts, price, recovered = found[kernel.TS], found[kernel.PRICE], found[kernel.RECOVERED_TS]
        before, after = found[kernel.DEPTH_BEFORE], found[kernel.DEPTH_AFTER]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where((before > 0) & (after >= 0), after / before, np.nan)
        refill = np.where(recovered >= 0, (recovered - ts) / _NANOS_PER_MS, np.nan)
        data = {
            "ts_event": pl.Series(ts),
            "symbol": pl.repeat(self._symbol, len(ts), dtype=pl.String, eager=True),
            "resting_side": pl.Series(np.array(_SIDES)[found[kernel.SIDE]], dtype=pl.String),
            "price_tick": pl.Series(ticks(price, self._tick_size_nanos, self._symbol)),
            "price": pl.Series(price / PRICE_SCALE),
            "is_best": pl.Series(found[kernel.IS_BEST] == 1),
            "qty_before": pl.Series(found[kernel.BEFORE]),
            "fill_vol": pl.Series(found[kernel.FILLED]),
            "qty_after": _known(found[kernel.AFTER]),
            "depth_before": pl.Series(before),
            "depth_after_1s": _known(after),
            "recovery_ratio_1s": pl.Series(ratio, nan_to_null=True),
            "known_1s_ts": _known(found[kernel.KNOWN_TS]),
            "recovered_ts": _known(recovered),
            "refill_ms": pl.Series(refill, nan_to_null=True),
        }
        return pl.DataFrame(data).select(self._schema.names()).cast(self._schema)


def shocks(
    frames: Iterable[pl.DataFrame],
    session: Session,
    tick_size_nanos: int,
    recovery_limit_ns: int = RECOVERY_LIMIT_NS,
) -> Iterator[pl.DataFrame]:
    """Find the liquidity shocks of one contract's book of one trade date.

    A row may be used from its ``ts_event`` on, its depth from ``known_1s_ts`` and its recovery from ``recovered_ts`` on.

    Args:
        frames: Rows of ``silver.future.market_by_price_10_clean`` in event order, at least ``INPUT_COLUMNS``.
        session: The trade date's session.
        tick_size_nanos: Minimum price increment, 1e-9 points.
        recovery_limit_ns: Longest time a recovery is waited for, included, ns.

    Returns:
        Batches of ``silver.future.market_by_price_10_shocks``.

    Raises:
        BookRowsRefused: If rows are out of order, of another session or contract, or a filled price off the tick grid.
    """
    return followed(ShockStream(tick_size_nanos, recovery_limit_ns), frames, session)


def _known(values: NDArray[np.int64]) -> pl.Series:
    """The values, null where not known."""
    series = pl.Series(values)
    return series.set(series == kernel.NO_VALUE, None)
