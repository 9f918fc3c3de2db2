"""The driver: one contract's book of one trade date, record by record, into the tables of the book pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import polars as pl

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.streaming.checkpoint import load, save
from footprint_assets.streaming.code import code
from footprint_assets.streaming.intake import IDENTITY, Intake
from footprint_assets.transforms import shocks
from footprint_assets.transforms.book_batch import INPUT_COLUMNS, BookReader
from footprint_assets.transforms.book_pass import STREAMS, TABLES, BookStream, Frames

__all__ = ["COLUMNS", "TABLES", "Driver", "DriverFinished", "Finished"]

COLUMNS = tuple(dict.fromkeys((*INPUT_COLUMNS, *IDENTITY)))
"""What a row brings: columns of ``bronze.future.market_by_price_10``, and so of the clean book."""

Finished = dict[str, pl.DataFrame]
"""Rows that are complete, by table key; tables without any are left out. They follow all rows handed out before."""


class DriverFinished(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A driver was used after the end of its session."""


class Driver:
    """Makes the tables of the book pass of one contract and trade date as its records come.

    Rows may come one by one or many at a time: the rows handed out are, put together, those of ``book_pass`` over the
    whole date, bit for bit. After an error it has taken half a batch in: go on from the last checkpoint.

    Args:
        session: The trade date's session.
        symbol: Raw symbol of the contract.
        tick_size_nanos: Minimum price increment, 1e-9 points.

    Attributes:
        opened: These arguments, for ``restore``.
    """

    CARRIED: ClassVar[tuple[str, ...]] = ("_intake", "_reader", "_streams")

    def __init__(self, session: Session, symbol: str, tick_size_nanos: int) -> None:
        self.opened = session, symbol, tick_size_nanos
        self._session, self._symbol, self._tick_size_nanos = self.opened
        self._intake, self._reader = Intake(), BookReader(session, symbol)
        self._streams = _streams(tick_size_nanos)
        self._is_finished = False

    @property
    def left_out(self) -> dict[str, int]:
        """Rows that were not taken in, by the names of the batch: ``late_event``, ``redelivered_copy``."""
        return self._intake.counts

    def push(self, rows: pl.DataFrame) -> Finished:
        """Take some records in.

        Args:
            rows: At least ``COLUMNS``, as the gateway gives them or as the clean book holds them; one row or many. A row
                that comes after a later event, or a second time, is counted and left out.

        Returns:
            The rows that are complete now: bars that a record ended, changes of the best prices, shocks that wait for
            nothing more.

        Raises:
            BookRowsRefused: If rows are of another session or contract, or off the tick grid.
            DriverFinished: After ``finish``.
        """
        self._require_open()
        taken = self._intake.take(rows) if rows.height else rows
        if taken.is_empty():
            return {}
        batch = self._reader.read(taken)
        last_ns = batch.last_ns(0)
        return _joined(
            (keys, frames)
            for keys, stream in zip(STREAMS, self._streams.values(), strict=True)
            for frames in (stream.push(batch), stream.close(last_ns))
        )

    def watermark(self, until_ns: int) -> Finished:
        """Learn that no record before an instant is to come: at the end of a bar in a quiet market, or of a session.

        Args:
            until_ns: The instant, ns since the epoch. A row from before it that comes nevertheless is late.

        Returns:
            The rows that are complete now: the bar of the last record among them, if it ends by then. Whether an empty
            bar follows it is known with the next record.

        Raises:
            DriverFinished: After ``finish``.
        """
        self._require_open()
        self._intake.close(until_ns)
        return _joined(
            (keys, stream.close(until_ns))
            for keys, stream in zip(STREAMS, self._streams.values(), strict=True)
        )

    def waiting_shocks(self) -> pl.DataFrame:
        """The shocks not handed out yet, with what is known of them so far."""
        stream = self._streams[shocks.TABLE]
        assert isinstance(stream, shocks.ShockStream)
        return stream.waiting()

    def finish(self) -> Finished:
        """End the session.

        Returns:
            All rows not handed out yet; what they wait for beyond the last bar is null.

        Raises:
            DriverFinished: The second time.
        """
        self._require_open()
        self._is_finished = True
        return _joined(
            (keys, stream.finish()) for keys, stream in zip(STREAMS, self._streams.values(), strict=True)
        )

    def checkpoint(self) -> bytes:
        """Everything the driver knows, to go on in another process.

        Returns:
            The bytes of a checkpoint; the same records in the same pieces give the same bytes.

        Raises:
            DriverFinished: After ``finish``.
        """
        self._require_open()
        return save(self, self._facts())

    @classmethod
    def restore(cls, data: bytes, session: Session, symbol: str, tick_size_nanos: int) -> Driver:
        """Go on from a checkpoint.

        Args:
            data: The bytes of ``checkpoint``.
            session: The trade date's session.
            symbol: Raw symbol of the contract.
            tick_size_nanos: Minimum price increment, 1e-9 points.

        Returns:
            A driver that goes on as the other one would have.

        Raises:
            CheckpointDamaged: If the bytes are not those of a checkpoint.
            CheckpointOfOtherCode: If other kernels or libraries wrote it.
            CheckpointOfOtherStream: If it is of another contract, trade date, tick size or table contract.
        """
        driver = cls(session, symbol, tick_size_nanos)
        load(driver, driver._facts(), data)
        return driver

    def _facts(self) -> dict[str, Any]:
        return {
            "code": code(_streams, BookReader.read, Intake.take),
            "symbol": self._symbol,
            "trade_date": self._session.trade_date.isoformat(),
            "tick_size_nanos": self._tick_size_nanos,
            "contracts": {key: contracts.load(key).version for key in TABLES},
        }

    def _require_open(self) -> None:
        if self._is_finished:
            raise DriverFinished(
                "the driver has ended its session",
                where={"symbol": self._symbol, "dt": self._session.trade_date},
                remedy="open a driver for the next trade date",
            )


def _streams(tick_size_nanos: int) -> dict[str, BookStream]:
    """The streams of the pass, in its order, by the key of their first table."""
    return {keys[0]: opened(tick_size_nanos) for keys, opened in STREAMS.items()}


def _joined(found: Iterable[tuple[tuple[str, ...], Frames]]) -> Finished:
    """The frames that have rows, by table."""
    tables: dict[str, list[pl.DataFrame]] = {}
    for keys, frames in found:
        for key, frame in zip(keys, (frames,) if isinstance(frames, pl.DataFrame) else frames, strict=True):
            if frame.height:
                tables.setdefault(key, []).append(frame)
    return {key: pl.concat(parts) if len(parts) > 1 else parts[0] for key, parts in tables.items()}
