"""The tables that follow the five-second bars: order flow, rolling measures and moving levels, as bars are finished.

Their functions read a bar, the bars before it and the trades so far, never a later one, so they are asked again with what
there is so far, and the rows of the new bars are taken. Order flow remembers half an hour; the rest begins with the session.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.ofi import TRAILING_BARS
from footprint_assets.settings import PRICE_SCALE, FootprintSettings, OrderFlowSettings
from footprint_assets.streaming.checkpoint import load, save
from footprint_assets.streaming.code import code
from footprint_assets.streaming.driver import Finished
from footprint_assets.transforms import (
    bar5s,
    bar5s_book,
    bar5s_ext,
    level_series,
    market_rolling,
    shocks,
    windows,
)

TABLES = (bar5s_ext.TABLE, market_rolling.TABLE, level_series.TABLE)
"""What follows the bars."""
TRADES = "silver.future.trades_clean"
TRADE_COLUMNS = tuple(
    dict.fromkeys((*bar5s_ext.TRADE_COLUMNS, *market_rolling.TRADE_COLUMNS, *windows.TRADE_COLUMNS))
)
"""What is read of ``silver.future.trades_clean``."""
HISTORY_BARS = max(TRAILING_BARS, bar5s_ext.WALL_MEDIAN_BARS)
"""Bars that order flow looks back."""

_BAR_COLUMNS = tuple(dict.fromkeys((*bar5s_ext.BAR_COLUMNS, *market_rolling.BAR_COLUMNS)))
_AGES = tuple(f"bar5s_wall_{side}_age_bars_eob" for side in ("bid", "ask"))
_EXT_COLUMNS = (*market_rolling.EXT_COLUMNS, *_AGES)
HISTORY_COLUMNS = {bar5s.TABLE: _BAR_COLUMNS, bar5s_ext.TABLE: _EXT_COLUMNS, TRADES: TRADE_COLUMNS}
"""What followers that begin in the middle of a session read of published tables; all of the others."""


@dataclass(frozen=True)
class Before:
    """What is known of a contract before its session, and the settings its tables are made with.

    Args:
        prior_sessions: Rows of ``silver.future.prior_sessions`` of the contract and trade date.
        volume_profiles: Rows of ``silver.future.volume_profiles`` of the same.
        order_flow: Settings of the order flow.
        footprint: Settings of the developing profile.
    """

    prior_sessions: pl.DataFrame
    volume_profiles: pl.DataFrame
    order_flow: OrderFlowSettings
    footprint: FootprintSettings


class Followers:
    """Makes the tables that follow the bars of one contract and trade date, as its bars are finished.

    Args:
        session: The trade date's session.
        symbol: Raw symbol of the contract.
        tick_size_nanos: Minimum price increment, 1e-9 points.
        before: What is known before the session.

    Attributes:
        opened: These arguments, for ``restore``.
    """

    CARRIED: ClassVar[tuple[str, ...]] = ("_bars", "_book", "_ext", "_shocks", "_trades")

    def __init__(self, session: Session, symbol: str, tick_size_nanos: int, before: Before) -> None:
        self.opened = session, symbol, tick_size_nanos, before
        self._session, self._symbol, self._tick_size_nanos, self._before = self.opened
        self._bars = _none(bar5s.TABLE, _BAR_COLUMNS)
        self._book = _none(bar5s_book.TABLE)  # of the last half hour
        self._ext = _none(bar5s_ext.TABLE, _EXT_COLUMNS)
        self._shocks = _none(shocks.TABLE)
        self._trades = _none(TRADES, TRADE_COLUMNS)

    def push(self, finished: Mapping[str, pl.DataFrame], trades: pl.DataFrame) -> None:
        """Take in what a driver finished, and the trades of the same time.

        Args:
            finished: Rows of the bars, their book and the shocks that follow those taken in before.
            trades: Rows of ``silver.future.trades_clean``, at least ``TRADE_COLUMNS``, that follow those before.
        """
        self._bars = _and(self._bars, finished.get(bar5s.TABLE))
        self._book = _and(self._book, finished.get(bar5s_book.TABLE))
        self._shocks = _and(self._shocks, finished.get(shocks.TABLE))
        self._trades = _and(self._trades, trades)

    def begin(self, published: Mapping[str, pl.DataFrame]) -> None:
        """Begin in the middle of a session, behind what is published of it.

        Args:
            published: Rows by table key, at least ``HISTORY_COLUMNS``: of the bars and their order flow before an instant,
                of the book of the last ``HISTORY_BARS`` of them, and the shocks and trades before it.
        """
        self.push(published, published[TRADES])
        self._ext = _and(self._ext, published[bar5s_ext.TABLE])

    def follow(self, until_ns: int, waiting_shocks: pl.DataFrame) -> Finished:
        """The rows of the bars that are finished and not followed yet.

        Args:
            until_ns: Every record and trade before it was taken in; ns since the epoch. A bar that ends there still waits:
                a shock that recovers at that very instant counts.
            waiting_shocks: Shocks not handed out yet, as far as they are known.

        Returns:
            Rows by table key that follow those handed out before.
        """
        for name in self.CARRIED:
            setattr(self, name, getattr(self, name).rechunk())
        done = self._ext.height
        ends = self._bars["bar_ts"].to_physical() + BAR_NS
        bars = self._bars.head(int((ends < until_ns).sum()))
        new = bars.height - done
        if new <= 0:
            return {}
        ext = self._order_flow(bars, done)
        self._ext = _and(self._ext, ext)
        before = self._before
        rolling = market_rolling.market_rolling(
            bars.select(market_rolling.BAR_COLUMNS),
            self._ext.select(market_rolling.EXT_COLUMNS),
            before.volume_profiles,
            self._trades.select(market_rolling.TRADE_COLUMNS),
            pl.concat([self._shocks, waiting_shocks]),
            before.prior_sessions.select(market_rolling.PRIOR_COLUMNS),
            self._session,
        )
        levels = level_series.level_series_5s(
            self._trades.select(windows.TRADE_COLUMNS),
            bars.select("symbol", "bar_ts"),
            before.prior_sessions,
            self._session,
            before.footprint,
            self._tick_size_nanos / PRICE_SCALE,
        )
        self._book = self._book.tail(HISTORY_BARS + self._bars.height - bars.height)
        made = (ext, rolling.tail(new), levels.filter(pl.col("bar_ts") >= bars["bar_ts"][done]))
        return {key: rows for key, rows in zip(TABLES, made, strict=True) if rows.height}

    def checkpoint(self) -> bytes:
        """Everything the followers know, to go on in another process; see ``Driver.checkpoint``."""
        return save(self, self._facts())

    @classmethod
    def restore(
        cls, data: bytes, session: Session, symbol: str, tick_size_nanos: int, before: Before
    ) -> Followers:
        """Go on from a checkpoint.

        Args:
            data: The bytes of ``checkpoint``.
            session: The trade date's session.
            symbol: Raw symbol of the contract.
            tick_size_nanos: Minimum price increment, 1e-9 points.
            before: What is known before the session.

        Returns:
            Followers that go on as the others would have.

        Raises:
            CheckpointDamaged: If the bytes are not those of a checkpoint.
            CheckpointOfOtherCode: If other code or libraries wrote it.
            CheckpointOfOtherStream: If it is of another contract, trade date, or past.
        """
        followers = cls(session, symbol, tick_size_nanos, before)
        load(followers, followers._facts(), data)
        return followers

    def _order_flow(self, bars: pl.DataFrame, done: int) -> pl.DataFrame:
        """The order flow of the bars from ``done`` on."""
        first = max(done - HISTORY_BARS, 0)
        skipped = self._bars.height - self._book.height
        ext = bar5s_ext.bar5s_ext(
            bars.slice(first).select(bar5s_ext.BAR_COLUMNS),
            self._book.slice(first - skipped, bars.height - first),
            self._trades.select(bar5s_ext.TRADE_COLUMNS),
            self._before.prior_sessions,
            self._session,
            self._tick_size_nanos,
            self._before.order_flow,
        )
        if done:
            ext = ext.with_columns(_aged(ext[name], self._ext[name][first]) for name in _AGES)
        return ext.slice(done - first)

    def _facts(self) -> dict[str, Any]:
        before = self._before
        return {
            "code": code(
                bar5s_ext.bar5s_ext,
                market_rolling.market_rolling,
                level_series.level_series_5s,
                Followers.follow,
            ),
            "symbol": self._symbol,
            "trade_date": self._session.trade_date.isoformat(),
            "tick_size_nanos": self._tick_size_nanos,
            "settings": [before.order_flow.model_dump_json(), before.footprint.model_dump_json()],
            "before": [_sha256(before.prior_sessions), _sha256(before.volume_profiles)],
        }


def _aged(age: pl.Series, first: float | None) -> pl.Series:
    """Ages of a wall, in bars, where a wall of the first bar was older than the bars at hand."""
    values = age.to_numpy()
    stands_since_first = values == np.arange(1, len(values) + 1)
    older = (first or 1.0) - 1.0
    return pl.Series(age.name, np.where(stands_since_first, values + older, values), nan_to_null=True)


def _none(table: str, columns: tuple[str, ...] | None = None) -> pl.DataFrame:
    """No row of a table."""
    frame = contracts.load(table).polars_schema.to_frame()
    return frame if columns is None else frame.select(columns)


def _and(rows: pl.DataFrame, more: pl.DataFrame | None) -> pl.DataFrame:
    """Rows and those that follow them, in the columns of the former."""
    return rows if more is None or more.is_empty() else pl.concat([rows, more.select(rows.columns)])


def _sha256(frame: pl.DataFrame) -> str:
    out = io.BytesIO()
    frame.rechunk().write_ipc(out)
    return hashlib.sha256(out.getvalue()).hexdigest()
