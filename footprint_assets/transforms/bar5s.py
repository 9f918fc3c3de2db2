"""Five-second bars of the book: clean book rows in, one row a bar of the grid out, in one streaming pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels import bar5s as words
from footprint_assets.kernels import bar5s_ladder as ladder_kernel
from footprint_assets.kernels import bar5s_states as states
from footprint_assets.kernels.bar5s_flows import NO_STATE
from footprint_assets.kernels.bar5s_scan import BarState, ClosedBars, OffTickGrid, finish, scan
from footprint_assets.kernels.bar5s_states import published
from footprint_assets.kernels.book_events import LEVELS, NONE, TRADE, UNDEF_PRICE
from footprint_assets.settings import PRICE_SCALE
from footprint_assets.transforms.bar5s_book import TABLE as BOOK_TABLE
from footprint_assets.transforms.bar5s_book import Columns, book_columns
from footprint_assets.transforms.book_batch import (
    INPUT_COLUMNS,
    SIDES,
    BookBatch,
    BookRowsRefused,
    bar_end,
    book_batches,
    off_grid,
)

__all__ = ["INPUT_COLUMNS", "TABLE", "BarStream", "BookRowsRefused", "bar5s"]

TABLE = "silver.future.market_by_price_10_bar5s"
FRAME_BARS = 4096
"""Bars handed out together at least, but at the end: a frame of hundreds of columns costs as much as the bars in it."""
BANDS = ("p0_1", "p1_2", "p2_3", "p3_5", "p5_10")

_FLOW_COLUMNS = tuple(product(SIDES, BANDS))
_STATE_COLUMNS = {
    states.SPREAD: "state_spread_pts",
    states.OBI: "state_obi0",
    states.OBI + 3: "state_obi10",
    **{states.CDI + j: f"state_cdi_{band}" for j, band in enumerate(BANDS)},
    **{states.DEPTH + s: f"depth_{side}10_qty" for s, side in enumerate(SIDES)},
    **{
        at + j: f"depth_{where}_{band}_{what}"
        for at, what in ((states.BAND_QTY, "qty"), (states.BAND_FRAC, "frac"))
        for j, (where, band) in enumerate(product(("below", "above"), BANDS))
    },
}
_COUNT_COLUMNS = {
    **{
        f"meta_{what}_cnt": words.MSG + j
        for j, what in enumerate(("msg", "clear", "add", "cancel", "modify", "trade"))
    },
    **{
        f"trade_{what}": words.TRADE_CNT + j
        for j, what in enumerate(("cnt", "vol", "aggbuy_vol", "aggsell_vol"))
    },
}


def bar5s(batches: Iterable[pl.DataFrame], session: Session, tick_size_nanos: int) -> Iterator[pl.DataFrame]:
    """Cut one contract's book of one trade date into five-second bars.

    Bars lie on multiples of five seconds since the epoch, from the first record's bar to the last one's, bars without
    a record included. Values of a bar are known at ``bar_ts`` + 5 s. Memory is bounded by a batch, its bars, and
    ``FRAME_BARS`` more.

    Args:
        batches: Rows of ``silver.future.market_by_price_10_clean`` in event order, at least ``INPUT_COLUMNS``.
        session: The trade date's session.
        tick_size_nanos: Minimum price increment, 1e-9 points.

    Yields:
        Batches of ``silver.future.market_by_price_10_bar5s``; none without a record.

    Raises:
        BookRowsRefused: If rows are out of order, of another session or contract, or off the tick grid.
    """
    bars = BarStream(tick_size_nanos)
    for batch in book_batches(batches, session):
        frame, _ = bars.push(batch)
        if frame.height:
            yield frame
    frame, _ = bars.finish()
    if frame.height:
        yield frame


class BarStream:
    """Both tables of five-second bars of one contract's book, made together, batch by batch.

    Args:
        tick_size_nanos: Minimum price increment, 1e-9 points.
    """

    CARRIED: ClassVar[tuple[str, ...]] = ("_state", "_ladder", "_symbol", "_last_ns")

    def __init__(self, tick_size_nanos: int) -> None:
        self._tick_size_nanos = tick_size_nanos
        self._schemas = {key: contracts.load(key).polars_schema for key in (TABLE, BOOK_TABLE)}
        # A frame of hundreds of columns takes milliseconds even without a row.
        self._no_bars = (self._schemas[TABLE].to_frame(), self._schemas[BOOK_TABLE].to_frame())
        self._state = BarState()
        self._closed: list[tuple[ClosedBars, dict[str, NDArray[np.int64]]]] = []
        self._ladder = {what: np.zeros((2, LEVELS), np.int64) for what in ("px", "sz", "ct")}
        self._symbol: str | None = None
        self._last_ns = 0

    def push(self, batch: BookBatch) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Take a batch in, and hand out the bars closed so far if there are ``FRAME_BARS`` of them.

        Args:
            batch: Records in event order, never before those of an earlier batch.

        Returns:
            Rows of ``silver.future.market_by_price_10_bar5s`` and ``..._bar5s_book`` that follow those handed out before.

        Raises:
            BookRowsRefused: If a ladder is off the tick grid.
        """
        self._symbol, self._last_ns = batch.symbol, batch.last_ns(self._last_ns)
        try:
            closed = scan(
                batch.ts, batch.action, batch.side, batch.flags, batch.price, batch.size, batch.px, batch.sz, batch.ct,
                batch.flow, self._tick_size_nanos, self._state,
            )  # fmt: skip
        except OffTickGrid as error:
            off = (batch.px != UNDEF_PRICE) & (batch.px % self._tick_size_nanos != 0)
            raise off_grid(int(batch.px[off][0]), self._tick_size_nanos, self._symbol) from error
        self._keep(closed, batch)
        shown = np.flatnonzero((batch.action != TRADE) & (batch.action != NONE))
        if len(shown):
            self._ladder = {what: ladder[:, :, 0] for what, ladder in _rows(batch, shown[-1:]).items()}
        return self._frames(FRAME_BARS)

    def close(self, until_ns: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The bars not handed out yet, the open one included where it ends by an instant."""
        if until_ns >= bar_end(self._last_ns):
            self._keep(finish(self._state), None)
        return self._frames(0)

    def finish(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The bars not handed out yet, the open one included."""
        return self.close(bar_end(self._last_ns))

    def _keep(self, closed: ClosedBars, batch: BookBatch | None) -> None:
        """Note some closed bars and their last ladders until they are handed out."""
        if not len(closed):
            return
        ladder = {
            what: np.repeat(last[:, :, None], len(closed), axis=2) for what, last in self._ladder.items()
        }
        inside = np.flatnonzero(closed.last_row >= 0)
        if batch is not None and len(inside):
            for what, found in _rows(batch, closed.last_row[inside]).items():
                ladder[what][:, :, inside] = found
        self._closed.append((closed, ladder))

    def _frames(self, least: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The closed bars, none while they are fewer than ``least``."""
        if sum(len(closed) for closed, _ in self._closed) < max(least, 1):
            return self._no_bars
        closed = ClosedBars.joined([closed for closed, _ in self._closed])
        ladder = {
            what: np.concatenate([part[what] for _, part in self._closed], axis=2) for what in self._ladder
        }
        self._closed.clear()
        average, last = (published(values, self._tick_size_nanos) for values in (closed.average, closed.last))
        mid = closed.mid * (self._tick_size_nanos / 2) / PRICE_SCALE
        columns = (
            _count_columns(closed, average)
            | _state_columns(average, last)
            | _ladder_columns(ladder, closed.last_row != NO_STATE)
        )
        return (
            self._frame(TABLE, closed.start_ns, columns),
            self._frame(BOOK_TABLE, closed.start_ns, book_columns(closed, average, last, mid)),
        )

    def _frame(self, table: str, start_ns: NDArray[np.int64], columns: Columns) -> pl.DataFrame:
        """The columns of some bars as rows of a table."""
        data = {
            "bar_ts": pl.Series(start_ns),
            "symbol": pl.repeat(self._symbol, len(start_ns), dtype=pl.String, eager=True),
            **{f"bar5s_{name}": pl.Series(values, nan_to_null=True) for name, values in columns.items()},
        }
        return pl.DataFrame(data).select(self._schemas[table].names()).cast(self._schemas[table])


def _count_columns(closed: ClosedBars, average: NDArray[np.float64]) -> Columns:
    """Counts and flows; a band that was never in sight has no flow to speak of: null, not 0."""
    bars, counts = len(closed), closed.counts.astype(np.float64)
    columns = {f"{name}_sum": counts[:, j] for name, j in _COUNT_COLUMNS.items()}
    columns["trade_signed_vol_sum"] = counts[:, words.TRADE_BUY] - counts[:, words.TRADE_SELL]
    flow = counts[:, words.FLOW : words.FLOW_CNT].reshape(bars, 2, 2 * words.BANDS)
    events = counts[:, words.FLOW_CNT : words.TICK_FLOW].reshape(bars, 3, 2 * words.BANDS)
    depth = average[:, states.BAND_QTY : states.BAND_FRAC]
    unseen = np.isnan(depth) & (flow.sum(axis=1) + events.sum(axis=1) == 0)
    added, removed = (np.where(unseen, np.nan, flow[:, j]) for j in range(2))
    net_by_depth = (added - removed) / np.maximum(depth, 1.0)
    for j, (side, band) in enumerate(_FLOW_COLUMNS):
        columns[f"flow_add_vol_{side}_{band}_sum"] = added[:, j]
        columns[f"flow_rem_vol_{side}_{band}_sum"] = removed[:, j]
        columns[f"flow_net_vol_{side}_{band}_sum"] = added[:, j] - removed[:, j]
        columns[f"flow_net_volnorm_{side}_{band}_sum"] = net_by_depth[:, j]
        for k, what in enumerate(("add", "cancel", "modify")):
            columns[f"flow_cnt_{what}_{side}_{band}_sum"] = np.where(unseen[:, j], np.nan, events[:, k, j])
    return columns


def _state_columns(average: NDArray[np.float64], last: NDArray[np.float64]) -> Columns:
    """Averages over the bar and values at its end."""
    columns = {f"{name}_twa": average[:, j] for j, name in _STATE_COLUMNS.items()}
    return columns | {f"{name}_eob": last[:, j] for j, name in _STATE_COLUMNS.items()}


def _ladder_columns(ladder: dict[str, NDArray[np.int64]], known: NDArray[np.bool_]) -> Columns:
    """What the last ladder of every bar says; nothing where the book is not known."""
    shown = known & (ladder["px"] != UNDEF_PRICE)
    price = np.where(shown, ladder["px"] / PRICE_SCALE, np.nan)
    size, count = (np.where(known, ladder[what], np.nan) for what in ("sz", "ct"))
    reference = ladder_kernel.microprice(price[0, 0], price[1, 0], size[0, 0], size[1, 0])
    columns = {
        "microprice_eob": reference,
        "midprice_eob": ladder_kernel.midprice(price[0, 0], price[1, 0]),
    }
    for s, side in enumerate(SIDES):
        largest, mean = ladder_kernel.gaps(price[s])
        wall = ladder_kernel.walls(price[s], size[s], reference)
        columns |= {
            f"ladder_{side}_gap_max_pts_eob": largest,
            f"ladder_{side}_gap_mean_pts_eob": mean,
            f"wall_{side}_maxz_eob": wall.max_z,
            f"wall_{side}_maxz_levelidx_eob": wall.max_level,
            f"wall_{side}_nearest_strong_dist_pts_eob": wall.strong_distance,
            f"wall_{side}_nearest_strong_levelidx_eob": wall.strong_level,
        }
        for what, values in {
            "px": price[s],
            "sz": size[s],
            "ct": count[s],
            "sz_frac": ladder_kernel.shares(size[s]),
            "ct_frac": ladder_kernel.shares(count[s]),
        }.items():
            columns |= {f"shape_{side}_{what}_l{level:02d}_eob": values[level] for level in range(LEVELS)}
    return columns


def _rows(batch: BookBatch, rows: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """The ladders of some rows, ``(2, 10, rows)`` each."""
    return {
        "px": batch.px[:, :, rows],
        "sz": batch.sz[:, :, rows].astype(np.int64),
        "ct": batch.ct[:, :, rows].astype(np.int64),
    }
