"""The clean book as records come: event order within the batch's horizon, groups, fills and pulls.

Rows wait until none received later may come before them, as in the batch: ten seconds. Who cannot wait feeds the driver
with rows as they come, and has what comes late counted and left out.
"""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.streaming.checkpoint import load, save
from footprint_assets.streaming.code import code
from footprint_assets.streaming.intake import LATE
from footprint_assets.transforms.book import CleanStream
from footprint_assets.transforms.deliveries import DeliveryTally

TABLE = "silver.future.market_by_price_10_clean"


class Cleaner:
    """Makes the clean book of one contract and trade date as its records come.

    Args:
        session: The trade date's session.
        symbol: Raw symbol of the contract.

    Attributes:
        opened: These arguments, for ``restore``.
    """

    CARRIED: ClassVar[tuple[str, ...]] = ("_stream", "_late")

    def __init__(self, session: Session, symbol: str) -> None:
        self.opened = session, symbol
        self._session, self._symbol = self.opened
        self._tally = DeliveryTally()
        self._stream = CleanStream(session, self._tally)
        self._late = 0

    @property
    def left_out(self) -> dict[str, int]:
        """Rows that came too late to be put in place, by the name of the batch."""
        return {LATE: self._late}

    def push(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Take some records in.

        Args:
            rows: Rows of ``bronze.future.market_by_price_10`` in receive order; one row or many.

        Returns:
            The clean rows that are complete now.
        """
        found = list(self._stream.push(rows)) if rows.height else []
        self._late += sum(late.height for late in self._tally.late)
        self._tally.late.clear()
        return _joined(found)

    def finish(self) -> pl.DataFrame:
        """The rows that wait when the session is over."""
        return _joined(list(self._stream.finish()))

    def checkpoint(self) -> bytes:
        """Everything the cleaner knows, the rows that wait among it; see ``Driver.checkpoint``."""
        return save(self, self._facts())

    @classmethod
    def restore(cls, data: bytes, session: Session, symbol: str) -> Cleaner:
        """Go on from a checkpoint; see ``Driver.restore``."""
        cleaner = cls(session, symbol)
        load(cleaner, cleaner._facts(), data)
        return cleaner

    def _facts(self) -> dict[str, Any]:
        return {
            "code": code(CleanStream.push, Cleaner.push),
            "symbol": self._symbol,
            "trade_date": self._session.trade_date.isoformat(),
            "contracts": {TABLE: contracts.load(TABLE).version},
        }


def _joined(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames) if frames else contracts.load(TABLE).polars_schema.to_frame()
