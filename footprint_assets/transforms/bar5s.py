"""Five-second bars of the book: clean book rows in, one row a bar of the grid out, in one streaming pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.kernels import bar5s as kernel
from footprint_assets.kernels import bar5s_ladder as ladder_kernel
from footprint_assets.kernels.bar5s import BarState, ClosedBars, finish, scan
from footprint_assets.kernels.book_events import LEVELS, NONE, TRADE, UNDEF_PRICE
from footprint_assets.settings import PRICE_SCALE

TABLE = "silver.future.market_by_price_10_bar5s"
BANDS = ("p0_1", "p1_2", "p2_3", "p3_5", "p5_10")
SIDES = ("bid", "ask")
INPUT_COLUMNS = (
    "ts_event", "action", "side", "flags", "price", "size", "symbol",
    *(f"{side}_{what}_{level:02d}" for what in ("px", "sz", "ct") for side in SIDES for level in range(LEVELS)),
)  # fmt: skip
"""What the bars need of ``silver.future.market_by_price_10_clean``."""

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


class BookRowsRefused(FootprintError):  # noqa: N818 - names the fact a reader meets
    """Book rows that cannot be cut into bars: out of order, of another session or contract, or off the tick grid."""


def bar5s(batches: Iterable[pl.DataFrame], session: Session, tick_size_nanos: int) -> Iterator[pl.DataFrame]:
    """Cut one contract's book of one trade date into five-second bars.

    Bars lie on multiples of five seconds since the epoch, from the first record's bar to the last one's, bars without
    a record included. Values of a bar are known at ``bar_ts`` + 5 s. Memory is bounded by a batch and its bars.

    Args:
        batches: Rows of ``silver.future.market_by_price_10_clean`` in event order, at least ``INPUT_COLUMNS``.
        session: The trade date's session.
        tick_size_nanos: Minimum price increment, 1e-9 points.

    Yields:
        Batches of ``silver.future.market_by_price_10_bar5s``; none without a record.

    Raises:
        BookRowsRefused: If rows are out of order, of another session or contract, or off the tick grid.
    """
    bars = _BarStream(session, tick_size_nanos)
    for batch in batches:
        if batch.height:
            frame = bars.push(batch)
            if frame.height:
                yield frame
    frame = bars.finish()
    if frame.height:
        yield frame


class _BarStream:
    """What one batch leaves behind for the next: the open bar, the last ladder, the last instant."""

    def __init__(self, session: Session, tick_size_nanos: int) -> None:
        self._session = session
        self._tick_size_nanos = tick_size_nanos
        self._schema = contracts.load(TABLE).polars_schema
        self._state = BarState()
        self._ladder = {what: np.zeros((2, LEVELS), np.int64) for what in ("px", "sz", "ct")}
        self._last_ns = session.window_ns[0]
        self._symbol: str | None = None

    def push(self, batch: pl.DataFrame) -> pl.DataFrame:
        """The bars a batch closes."""
        ts = batch["ts_event"].to_physical().to_numpy()
        self._check(batch, ts)
        action = _codes(batch["action"])
        price, size = _columns(batch, "px", np.int64), _columns(batch, "sz", np.int32)
        closed = scan(
            ts,
            action,
            _codes(batch["side"]),
            batch["flags"].to_numpy(),
            batch["price"].fill_null(int(UNDEF_PRICE)).to_numpy(),
            batch["size"].to_numpy(),
            price,
            size,
            self._state,
        )
        frame = self._frame(closed, batch, price, size)
        shown = np.flatnonzero((action != TRADE) & (action != NONE))
        if len(shown):
            row = shown[-1:]
            self._ladder = {what: ladder[:, :, 0] for what, ladder in _rows(batch, price, size, row).items()}
        return frame

    def finish(self) -> pl.DataFrame:
        """The last bar."""
        closed = finish(self._state)
        return self._frame(closed, None, None, None)

    def _frame(
        self,
        closed: ClosedBars,
        batch: pl.DataFrame | None,
        price: NDArray[np.int64] | None,
        size: NDArray[np.int32] | None,
    ) -> pl.DataFrame:
        ladder = {
            what: np.repeat(last[:, :, None], len(closed), axis=2) for what, last in self._ladder.items()
        }
        inside = np.flatnonzero(closed.last_row >= 0)
        if batch is not None and price is not None and size is not None and len(inside):
            for what, found in _rows(batch, price, size, closed.last_row[inside]).items():
                ladder[what][:, :, inside] = found
        known = closed.last_row != kernel.NO_STATE
        self._check_ticks(ladder["px"][:, :, known])
        columns = _count_columns(closed) | _state_columns(closed) | _ladder_columns(ladder, known)
        data: dict[str, pl.Series] = {
            "bar_ts": pl.Series(closed.start_ns),
            "symbol": pl.repeat(self._symbol, len(closed), dtype=pl.String, eager=True),
            **{f"bar5s_{name}": pl.Series(values, nan_to_null=True) for name, values in columns.items()},
        }
        return pl.DataFrame(data).select(self._schema.names()).cast(self._schema)

    def _check(self, batch: pl.DataFrame, ts: NDArray[np.int64]) -> None:
        first, last = self._session.window_ns
        if self._symbol is None:
            self._symbol = batch["symbol"][0]
        where: dict[str, object] = {"table": TABLE, "dt": self._session.trade_date, "symbol": self._symbol}
        if ts[0] < first or ts[-1] >= last:
            raise BookRowsRefused("book rows lie outside the trade date", where=where)
        if ts[0] < self._last_ns or np.any(ts[1:] < ts[:-1]):
            raise BookRowsRefused(
                "book rows are not in event order", where=where, remedy="sort by the contract's sort columns"
            )
        if (batch["symbol"] != self._symbol).any():
            raise BookRowsRefused(
                "book rows are of several contracts", where=where, remedy="cut one contract at a time"
            )
        self._last_ns = int(ts[-1])

    def _check_ticks(self, price: NDArray[np.int64]) -> None:
        off = (price != UNDEF_PRICE) & (price % self._tick_size_nanos != 0)
        if off.any():
            raise BookRowsRefused(
                "a book price is off the tick grid",
                where={
                    "table": TABLE,
                    "dt": self._session.trade_date,
                    "symbol": self._symbol,
                    "price": int(price[off][0]),
                    "tick_size": self._tick_size_nanos,
                },
                remedy="check the root's tick size in the settings",
            )


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


def _codes(column: pl.Series) -> NDArray[np.uint8]:
    """ASCII codes of a one-letter Enum column."""
    assert isinstance(column.dtype, pl.Enum)
    letters = np.array([ord(letter) for letter in column.dtype.categories], np.uint8)
    codes: NDArray[np.uint8] = letters[column.to_physical().to_numpy()]
    return codes


def _columns(batch: pl.DataFrame, what: str, dtype: type[np.generic]) -> NDArray[Any]:
    """The ten levels of both sides, ``(2, 10, n)``, every level's values side by side; absent prices as UNDEF_PRICE."""
    out = np.empty((2, LEVELS, batch.height), dtype)
    for s, side in enumerate(SIDES):
        for level in range(LEVELS):
            column = batch[f"{side}_{what}_{level:02d}"]
            filled = column.fill_null(int(UNDEF_PRICE)) if column.null_count() else column
            out[s, level] = filled.to_numpy()
    return out


def _rows(
    batch: pl.DataFrame, price: NDArray[np.int64], size: NDArray[np.int32], rows: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """The ladders of some rows, ``(2, 10, rows)`` each; order counts are read for these rows only."""
    counts = [f"{side}_ct_{level:02d}" for side in SIDES for level in range(LEVELS)]
    return {
        "px": price[:, :, rows],
        "sz": size[:, :, rows].astype(np.int64),
        "ct": _columns(batch.select(counts)[rows], "ct", np.int64),
    }
