"""Five-second bars of the book: clean book rows in, one row a bar of the grid out, in one streaming pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels import bar5s as kernel
from footprint_assets.kernels import bar5s_ladder as ladder_kernel
from footprint_assets.kernels.bar5s import BarState, ClosedBars, finish, scan
from footprint_assets.kernels.book_events import LEVELS, NONE, TRADE, UNDEF_PRICE
from footprint_assets.settings import PRICE_SCALE
from footprint_assets.transforms.book_batch import (
    INPUT_COLUMNS,
    SIDES,
    BookBatch,
    BookRowsRefused,
    book_batches,
    off_grid,
)

__all__ = ["INPUT_COLUMNS", "TABLE", "BarStream", "BookRowsRefused", "bar5s"]

TABLE = "silver.future.market_by_price_10_bar5s"
FRAME_BARS = 2048
"""Bars handed out together at least, but at the end: a frame of hundreds of columns costs as much as the bars in it."""
BANDS = ("p0_1", "p1_2", "p2_3", "p3_5", "p5_10")

_FLOW_COLUMNS = tuple(product(SIDES, BANDS))
_STATE_COLUMNS = (
    "state_spread_pts", "state_obi0", "state_obi10",
    *(f"state_cdi_{band}" for band in BANDS),
    "depth_bid10_qty", "depth_ask10_qty",
    *(f"depth_{where}_{band}_qty" for where in ("below", "above") for band in BANDS),
    *(f"depth_{where}_{band}_frac" for where in ("below", "above") for band in BANDS),
)  # fmt: skip
_COUNT_COLUMNS = (
    *(f"meta_{what}_cnt" for what in ("msg", "clear", "add", "cancel", "modify", "trade")),
    *(f"trade_{what}" for what in ("cnt", "vol", "aggbuy_vol", "aggsell_vol", "signed_vol")),
)

Columns = dict[str, NDArray[np.float64]]


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
        frame = bars.push(batch)
        if frame.height:
            yield frame
    frame = bars.finish()
    if frame.height:
        yield frame


class BarStream:
    """What one batch leaves behind for the next: the bars to hand out, the open one, the last ladder of the book."""

    def __init__(self, tick_size_nanos: int) -> None:
        self._tick_size_nanos = tick_size_nanos
        self._schema = contracts.load(TABLE).polars_schema
        self._state = BarState()
        self._closed: list[tuple[ClosedBars, dict[str, NDArray[np.int64]]]] = []
        self._ladder = {what: np.zeros((2, LEVELS), np.int64) for what in ("px", "sz", "ct")}
        self._symbol: str | None = None

    def push(self, batch: BookBatch) -> pl.DataFrame:
        """Take a batch in, and hand out the bars closed so far if there are ``FRAME_BARS`` of them.

        Args:
            batch: Records in event order, never before those of an earlier batch.

        Returns:
            Rows of ``silver.future.market_by_price_10_bar5s`` that follow those handed out before.

        Raises:
            BookRowsRefused: If a bar's last ladder is off the tick grid.
        """
        self._symbol = batch.symbol
        closed = scan(
            batch.ts,
            batch.action,
            batch.side,
            batch.flags,
            batch.price,
            batch.size,
            batch.px,
            batch.sz,
            batch.flow.differs,
            self._state,
        )
        self._keep(closed, batch)
        shown = np.flatnonzero((batch.action != TRADE) & (batch.action != NONE))
        if len(shown):
            self._ladder = {what: ladder[:, :, 0] for what, ladder in _rows(batch, shown[-1:]).items()}
        return self._frame(FRAME_BARS)

    def finish(self) -> pl.DataFrame:
        """The bars not handed out yet, the open one included; the stream must not be used again."""
        self._keep(finish(self._state), None)
        return self._frame(0)

    def _keep(self, closed: ClosedBars, batch: BookBatch | None) -> None:
        """Note some closed bars and their last ladders until they are handed out."""
        ladder = {
            what: np.repeat(last[:, :, None], len(closed), axis=2) for what, last in self._ladder.items()
        }
        inside = np.flatnonzero(closed.last_row >= 0)
        if batch is not None and len(inside):
            for what, found in _rows(batch, closed.last_row[inside]).items():
                ladder[what][:, :, inside] = found
        self._check_ticks(ladder["px"][:, :, closed.last_row != kernel.NO_STATE])
        self._closed.append((closed, ladder))

    def _frame(self, least: int) -> pl.DataFrame:
        """The closed bars, none while they are fewer than ``least``."""
        if sum(len(closed) for closed, _ in self._closed) < least:
            return self._schema.to_frame()
        closed = ClosedBars.joined([closed for closed, _ in self._closed])
        ladder = {
            what: np.concatenate([part[what] for _, part in self._closed], axis=2) for what in self._ladder
        }
        self._closed.clear()
        known = closed.last_row != kernel.NO_STATE
        columns = _count_columns(closed) | _state_columns(closed) | _ladder_columns(ladder, known)
        data: dict[str, pl.Series] = {
            "bar_ts": pl.Series(closed.start_ns),
            "symbol": pl.repeat(self._symbol, len(closed), dtype=pl.String, eager=True),
            **{f"bar5s_{name}": pl.Series(values, nan_to_null=True) for name, values in columns.items()},
        }
        return pl.DataFrame(data).select(self._schema.names()).cast(self._schema)

    def _check_ticks(self, price: NDArray[np.int64]) -> None:
        off = (price != UNDEF_PRICE) & (price % self._tick_size_nanos != 0)
        if off.any():
            raise off_grid(int(price[off][0]), self._tick_size_nanos, self._symbol)


def _count_columns(closed: ClosedBars) -> Columns:
    """Counts and flows; a band that was never in sight has no flow to speak of: null, not 0."""
    bars, counts = len(closed), closed.counts.astype(np.float64)
    columns = {f"{name}_sum": counts[:, j] for j, name in enumerate(_COUNT_COLUMNS)}
    unseen = ~closed.seen.reshape(bars, 2 * kernel.BANDS)
    flow = counts[:, kernel.FLOW : kernel.FLOW_CNT].reshape(bars, 2, 2 * kernel.BANDS)
    added, removed = (np.where(unseen, np.nan, flow[:, j]) for j in range(2))
    events = counts[:, kernel.FLOW_CNT :].reshape(bars, 3, 2 * kernel.BANDS)
    depth = closed.average[:, kernel.BAND_QTY : kernel.BAND_FRAC]
    net_by_depth = (added - removed) / np.maximum(depth, 1.0)
    for j, (side, band) in enumerate(_FLOW_COLUMNS):
        columns[f"flow_add_vol_{side}_{band}_sum"] = added[:, j]
        columns[f"flow_rem_vol_{side}_{band}_sum"] = removed[:, j]
        columns[f"flow_net_vol_{side}_{band}_sum"] = added[:, j] - removed[:, j]
        columns[f"flow_net_volnorm_{side}_{band}_sum"] = net_by_depth[:, j]
        for k, what in enumerate(("add", "cancel", "modify")):
            columns[f"flow_cnt_{what}_{side}_{band}_sum"] = np.where(unseen[:, j], np.nan, events[:, k, j])
    return columns


def _state_columns(closed: ClosedBars) -> Columns:
    """Averages over the bar and values at its end."""
    columns = {f"{name}_twa": closed.average[:, j] for j, name in enumerate(_STATE_COLUMNS)}
    return columns | {f"{name}_eob": closed.last[:, j] for j, name in enumerate(_STATE_COLUMNS)}


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
