"""Clean book rows as arrays, made once a frame for every table of the book pass.

Here rows are checked (one contract, one trade date, event order) and unpacked; what a table makes of them is its own
room's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.book_events import LEVELS, UNDEF_PRICE, BookEventState
from footprint_assets.kernels.book_flow import BookFlow, book_flow

SOURCE = "silver.future.market_by_price_10_clean"
SIDES = ("bid", "ask")
INPUT_COLUMNS = (
    "ts_event", "action", "side", "flags", "price", "size", "symbol",
    *(f"{side}_{what}_{level:02d}" for what in ("px", "sz", "ct") for side in SIDES for level in range(LEVELS)),
)  # fmt: skip
"""What the book pass needs of ``silver.future.market_by_price_10_clean``."""

FRAME_ROWS = 65_536
"""Rows handed out together at least, but at the end: a frame of a dozen columns costs as much as thousands of rows."""

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]

_LADDERS = {"px": np.int64, "sz": np.int32, "ct": np.int32}


class BookRowsRefused(FootprintError):  # noqa: N818 - names the fact a reader meets
    """Book rows no table can be made of: out of order, of another session or contract, or off the tick grid."""


@dataclass(frozen=True)
class BookBatch:
    """Some consecutive book records of one contract; ``n`` records.

    The ladders are valid until their reader reads the second next frame.

    Args:
        symbol: Raw symbol of the contract.
        ts: Event times, ascending, ns since the epoch; int64[n].
        action: ASCII codes of the DBN action; uint8[n].
        side: ASCII codes of the DBN side: the aggressor for trades, the resting side otherwise; uint8[n].
        flags: DBN flag bits; int16[n].
        price: Event price, 1e-9 points, ``UNDEF_PRICE`` where absent; int64[n].
        size: Event size, contracts; int64[n].
        px: Post-event prices by column, bids first, 1e-9 points, ``UNDEF_PRICE`` where absent; int64[2, 10, n].
        sz: Post-event sizes, contracts, 0 where absent; int32[2, 10, n].
        ct: Post-event order counts, 0 where absent; int32[2, 10, n].
        flow: What the records changed, price by price.
    """

    symbol: str
    ts: Int64
    action: NDArray[np.uint8]
    side: NDArray[np.uint8]
    flags: NDArray[np.int16]
    price: Int64
    size: Int64
    px: Int64
    sz: Int32
    ct: Int32
    flow: BookFlow

    def __len__(self) -> int:
        return len(self.ts)

    def last_ns(self, before: int) -> int:
        """Time of the last record, ns since the epoch; that of the records before where the batch has none."""
        return int(self.ts[-1]) if len(self.ts) else before


def bar_end(last_ns: int) -> int:
    """End of the five-second bar a record lies in; ns since the epoch.

    Args:
        last_ns: Time of the record, ns since the epoch.
    """
    return (last_ns // BAR_NS + 1) * BAR_NS


class BookReader:
    """Turns the frames of one contract and trade date into batches; carries the book from one to the next.

    Args:
        session: The trade date's session.
        symbol: Raw symbol of the contract; that of the first row where ``None``.
    """

    CARRIED: ClassVar[tuple[str, ...]] = ("_last_ns", "_symbol", "_state")

    def __init__(self, session: Session, symbol: str | None = None) -> None:
        self._session = session
        self._last_ns = session.window_ns[0]
        self._symbol = symbol
        self._state = BookEventState()
        # Memory touched for the first time costs twice the copying: two sets take turns, one read, one made ahead.
        self._blocks = [{what: np.empty(0, kind) for what, kind in _LADDERS.items()} for _ in range(2)]

    def read(self, frame: pl.DataFrame) -> BookBatch:
        """Unpack one frame.

        Args:
            frame: At least one row of ``silver.future.market_by_price_10_clean``, at least ``INPUT_COLUMNS``; never
                before the rows of an earlier frame.

        Returns:
            The rows as arrays.

        Raises:
            BookRowsRefused: If rows are out of order or of another session or contract.
        """
        ts = frame["ts_event"].cast(pl.Int64).to_numpy()
        symbol = self._check(frame, ts)
        action, side, flags = _codes(frame["action"]), _codes(frame["side"]), frame["flags"].to_numpy()
        price = _filled(frame["price"]).to_numpy()
        size = frame["size"].to_numpy()
        self._blocks.reverse()
        px, sz, ct = (self._ladder(frame, what) for what in _LADDERS)
        return BookBatch(
            symbol=symbol,
            ts=ts,
            action=action,
            side=side,
            flags=flags,
            price=price,
            size=size,
            px=px,
            sz=sz,
            ct=ct,
            flow=book_flow(action, side, flags, price, size, px, sz, self._state),
        )

    def _ladder(self, frame: pl.DataFrame, what: str) -> NDArray[Any]:
        """The ten levels of both sides, in the block whose turn it is; a larger one where it is too small."""
        blocks, cells = self._blocks[0], 2 * LEVELS * frame.height
        if len(blocks[what]) < cells:
            blocks[what] = np.empty(cells, _LADDERS[what])
        out = blocks[what][:cells].reshape(2, LEVELS, frame.height)
        fill_ladder(frame, what, out)
        return out

    def _check(self, frame: pl.DataFrame, ts: Int64) -> str:
        first, last = self._session.window_ns
        if self._symbol is None:
            self._symbol = str(frame["symbol"][0])
        where: dict[str, object] = {
            "table": SOURCE,
            "dt": self._session.trade_date,
            "symbol": self._symbol,
        }
        if ts[0] < first or ts[-1] >= last:
            raise BookRowsRefused("book rows lie outside the trade date", where=where)
        if ts[0] < self._last_ns or np.any(ts[1:] < ts[:-1]):
            raise BookRowsRefused(
                "book rows are not in event order", where=where, remedy="sort by the contract's sort columns"
            )
        if (frame["symbol"] != self._symbol).any():
            raise BookRowsRefused(
                "book rows are of several contracts", where=where, remedy="cut one contract at a time"
            )
        self._last_ns = int(ts[-1])
        return self._symbol


def book_batches(frames: Iterable[pl.DataFrame], session: Session) -> Iterator[BookBatch]:
    """Turn one contract's book of one trade date into batches.

    Args:
        frames: Rows of ``silver.future.market_by_price_10_clean`` in event order, at least ``INPUT_COLUMNS``.
        session: The trade date's session.

    Yields:
        One batch a frame; none for a frame without rows.

    Raises:
        BookRowsRefused: If rows are out of order or of another session or contract.
    """
    reader = BookReader(session)
    for frame in frames:
        if frame.height:
            yield reader.read(frame)


class RowStream(Protocol):
    """One table in the making: rows come out as batches go in, the rest at the end."""

    def push(self, batch: BookBatch) -> pl.DataFrame:
        """The rows a batch completes, once they are worth a frame."""
        ...

    def finish(self) -> pl.DataFrame:
        """The rows that only the end of the book completes."""
        ...


def followed(stream: RowStream, frames: Iterable[pl.DataFrame], session: Session) -> Iterator[pl.DataFrame]:
    """The rows of one table, made of one contract's book of one trade date; no frame is empty."""
    for batch in book_batches(frames, session):
        frame = stream.push(batch)
        if frame.height:
            yield frame
    frame = stream.finish()
    if frame.height:
        yield frame


class WaitingRows:
    """Rows of a table, column by column, until they are worth a frame."""

    def __init__(self, columns: int) -> None:
        self._parts = [np.empty((columns, 0), np.int64)]

    def add(self, rows: Int64) -> None:
        """Add rows, int64[columns, rows], that follow those added before."""
        if rows.shape[1]:
            self._parts.append(rows)

    def take(self, least: int = FRAME_ROWS) -> Int64:
        """All rows, int64[columns, rows], which wait no longer; none while they are fewer than ``least``."""
        if sum(part.shape[1] for part in self._parts) < least:
            return self._parts[0]
        taken, self._parts = np.concatenate(self._parts, axis=1), self._parts[:1]
        return taken


def ticks(price: Int64, tick_size_nanos: int, symbol: str | None) -> Int64:
    """Prices in ticks.

    Args:
        price: Prices, 1e-9 points, none absent.
        tick_size_nanos: Minimum price increment, 1e-9 points.
        symbol: Contract, for the message.

    Returns:
        ``price / tick size``, int64.

    Raises:
        BookRowsRefused: If a price is no multiple of the tick.
    """
    off = price % tick_size_nanos != 0
    if off.any():
        raise off_grid(int(price[off][0]), tick_size_nanos, symbol)
    found: Int64 = price // tick_size_nanos
    return found


def off_grid(price: int, tick_size_nanos: int, symbol: str | None) -> BookRowsRefused:
    """The refusal of a price that is no multiple of the tick."""
    return BookRowsRefused(
        "a book price is off the tick grid",
        where={"table": SOURCE, "symbol": symbol, "price": price, "tick_size": tick_size_nanos},
        remedy="check the root's tick size in the settings",
    )


def fill_ladder(frame: pl.DataFrame, what: str, out: NDArray[Any]) -> None:
    """Write the ten levels of both sides, every level's values side by side; absent prices as UNDEF_PRICE.

    Args:
        frame: Rows with the columns of ``what``.
        what: ``px``, ``sz`` or ``ct``.
        out: Where to, shape ``(2, 10, n)``.
    """
    for s, side in enumerate(SIDES):
        for level in range(LEVELS):
            out[s, level] = _filled(frame[f"{side}_{what}_{level:02d}"]).to_numpy()


def _filled(column: pl.Series) -> pl.Series:
    """Nulls as ``UNDEF_PRICE``; without any, filling would still cost more than the copy."""
    return column.fill_null(int(UNDEF_PRICE)) if column.null_count() else column


def _codes(column: pl.Series) -> NDArray[np.uint8]:
    """ASCII codes of a one-letter Enum column."""
    assert isinstance(column.dtype, pl.Enum)
    letters = np.array([ord(letter) for letter in column.dtype.categories], np.uint8)
    codes: NDArray[np.uint8] = letters.take(column.to_physical().to_numpy())
    return codes
