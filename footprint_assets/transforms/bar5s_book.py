"""What five-second bars say of the book beyond ``bar5s``: book batches in, one row a bar of the same grid out."""

from __future__ import annotations

from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.kernels import bar5s_book as kernel
from footprint_assets.kernels.bar5s_book import BookBarState, ClosedBookBars, finish, scan
from footprint_assets.kernels.book_events import LEVELS
from footprint_assets.kernels.fits import STOIKOV_BUCKETS, STOIKOV_SPREADS
from footprint_assets.transforms.bar5s import FRAME_BARS
from footprint_assets.transforms.book_batch import SIDES, BookBatch

TABLE = "silver.future.market_by_price_10_bar5s_book"
TICK_BANDS = ("t1", "t2", "t3_4", "t5_8", "t9_10")

STOIKOV_COLUMNS = tuple(
    f"state_stoikov_i{bucket}_s{spread + 1}_frac_twa"
    for bucket in range(STOIKOV_BUCKETS)
    for spread in range(STOIKOV_SPREADS)
)
"""Shares of the bar's time by state of the best quote, in the order of the states of ``kernels.fits``."""

_STATE_COLUMNS = {
    kernel.OBI: "state_obi1",
    kernel.OBI + 1: "state_obi3",
    kernel.OBI + 2: "state_obi5",
    kernel.OCI: "state_oci0",
    kernel.OCI + 1: "state_oci10",
    kernel.MICRO_ADJ: "state_microprice_adj_pts",
    kernel.WMID_ADJ: "state_wmid5_adj_pts",
    kernel.VAMP_ADJ: "state_vamp10_adj_pts",
    kernel.WDOBP_ADJ: "state_wdobp10_adj_pts",
    **{kernel.ORDER_SIZE + s: f"state_avg_order_{side}0" for s, side in enumerate(SIDES)},
    **{
        kernel.TICK_QTY + j: f"depth_{side}_{band}_qty"
        for j, (side, band) in enumerate(product(SIDES, TICK_BANDS))
    },
    **{
        at + s: f"depth_{side}_{what}"
        for at, what in (
            (kernel.COM, "com_ticks"),
            (kernel.SLOPE, "slope"),
            (kernel.CONVEXITY, "convexity"),
            (kernel.HHI, "hhi"),
            (kernel.ENTROPY, "entropy"),
        )
        for s, side in enumerate(SIDES)
    },
    **{
        kernel.SWEEP + j: f"depth_sweep_{order}_q{contracts_}_ticks"
        for j, (order, contracts_) in enumerate(product(("buy", "sell"), kernel.SWEEP_CONTRACTS))
    },
}
_FLOWS = ("add", "fill", "pull")

Columns = dict[str, NDArray[np.float64]]


class BookBarStream:
    """The bars of one contract's book to hand out, and the open one; carries them from one batch to the next."""

    def __init__(self, tick_size_nanos: int) -> None:
        self._tick_size_nanos = tick_size_nanos
        self._schema = contracts.load(TABLE).polars_schema
        self._state = BookBarState()
        self._closed: list[ClosedBookBars] = []
        self._symbol: str | None = None

    def push(self, batch: BookBatch) -> pl.DataFrame:
        """Take a batch in, and hand out the bars closed so far if there are ``FRAME_BARS`` of them.

        Args:
            batch: Records in event order, never before those of an earlier batch.

        Returns:
            Rows of ``silver.future.market_by_price_10_bar5s_book`` that follow those handed out before.
        """
        self._symbol = batch.symbol
        closed = scan(
            batch.ts,
            batch.action,
            batch.side,
            batch.flags,
            batch.price,
            batch.px,
            batch.sz,
            batch.ct,
            batch.flow,
            self._tick_size_nanos,
            self._state,
        )
        self._closed.append(closed)
        return self._frame(FRAME_BARS)

    def finish(self) -> pl.DataFrame:
        """The bars not handed out yet, the open one included; the stream must not be used again."""
        self._closed.append(finish(self._tick_size_nanos, self._state))
        return self._frame(0)

    def _frame(self, least: int) -> pl.DataFrame:
        """The closed bars, none while they are fewer than ``least``."""
        if sum(len(closed) for closed in self._closed) < least:
            return self._schema.to_frame()
        closed = ClosedBookBars.joined(self._closed)
        self._closed.clear()
        columns = (
            _meta_columns(closed) | _state_columns(closed) | _dwell_columns(closed) | _flow_columns(closed)
        )  # fmt: skip
        data = {
            "bar_ts": pl.Series(closed.start_ns),
            "symbol": pl.repeat(self._symbol, len(closed), dtype=pl.String, eager=True),
            **{f"bar5s_{name}": pl.Series(values, nan_to_null=True) for name, values in columns.items()},
        }
        return pl.DataFrame(data).select(self._schema.names()).cast(self._schema)


def _meta_columns(closed: ClosedBookBars) -> Columns:
    counts = closed.counts.astype(np.float64)
    return {
        "meta_is_empty_eob": (closed.counts[:, kernel.MSG] == 0).astype(np.float64),
        "meta_stale_ns_eob": closed.stale_ns.astype(np.float64),
        "meta_snapshot_cnt_sum": counts[:, kernel.SNAPSHOT],
        "meta_bad_ts_cnt_sum": counts[:, kernel.BAD_TS],
        "meta_bad_book_cnt_sum": counts[:, kernel.BAD_BOOK],
        "meta_clear_vol_sum": counts[:, kernel.CLEAR_VOL],
    }


def _state_columns(closed: ClosedBookBars) -> Columns:
    """Averages over the bar and values at its end."""
    columns = {f"{name}_twa": closed.average[:, j] for j, name in _STATE_COLUMNS.items()}
    columns |= {f"{name}_eob": closed.last[:, j] for j, name in _STATE_COLUMNS.items()}
    columns |= {f"mid_{name}_px": closed.mid[:, j] for j, name in enumerate(("open", "low", "high"))}
    columns |= {
        "mid_close_px": closed.last[:, kernel.MID],
        "microprice_twa_px": closed.average[:, kernel.MICROPRICE],
    }
    for s, side in enumerate(SIDES):
        visible = closed.last[:, kernel.VISIBLE + s]
        columns[f"ladder_{side}_visible_ticks_eob"] = visible
        columns[f"ladder_{side}_missing_ticks_eob"] = visible - (LEVELS - 1)
    return columns


def _dwell_columns(closed: ClosedBookBars) -> Columns:
    """Shares of the bar's time: of the time the book was known, two-sided, or quoted with a positive spread."""
    dwell = closed.dwell
    columns = {
        f"meta_{name}_frac_twa": _share(dwell[:, j], dwell[:, kernel.KNOWN])
        for j, name in (
            (kernel.LOCKED, "locked"),
            (kernel.CROSSED, "crossed"),
            (kernel.ONE_SIDED, "one_sided"),
        )
    }
    columns["state_spread_gt1_frac_twa"] = _share(dwell[:, kernel.WIDE], dwell[:, kernel.TWO_SIDED])
    columns["state_spread_gt1_frac_eob"] = closed.last[:, kernel.IS_WIDE]
    for j, name in enumerate(STOIKOV_COLUMNS):
        columns[name] = _share(dwell[:, kernel.STOIKOV + j], 2 * dwell[:, kernel.QUOTED])
    return columns


def _flow_columns(closed: ClosedBookBars) -> Columns:
    """Flows and order-flow imbalance; of a bar in which the book was not known at any time they are not known either."""
    seen = (closed.dwell[:, kernel.KNOWN] > 0) | (closed.counts[:, kernel.TRANSITIONS] > 0)
    counts = np.where(seen[:, None], closed.counts, np.nan)
    bars = len(closed)
    banded = counts[:, kernel.TICK_FLOW : kernel.FLOW].reshape(bars, 3, 2, kernel.TICK_BANDS)
    total = counts[:, kernel.FLOW : kernel.BEST_FLOW].reshape(bars, 3, 2)
    best = counts[:, kernel.BEST_FLOW : kernel.REPLENISH].reshape(bars, 3, 2)
    events = counts[:, kernel.TICK_CNT : kernel.ACTIVITY].reshape(bars, 2, 2, kernel.TICK_BANDS)
    columns = {}
    for (w, what), (s, side) in product(enumerate(_FLOWS), enumerate(SIDES)):
        columns[f"flow_{what}_vol_{side}_sum"] = total[:, w, s]
        columns[f"ofi_{side}_{what}_sum"] = best[:, w, s]
        for k, band in enumerate(TICK_BANDS):
            columns[f"flow_{what}_vol_{side}_{band}_sum"] = banded[:, w, s, k]
    for s, side in enumerate(SIDES):
        columns[f"flow_net_vol_{side}_sum"] = (
            total[:, kernel.ADD, s] - total[:, kernel.PULL, s] - total[:, kernel.FILL, s]
        )
        columns[f"flow_replenish_vol_{side}_sum"] = counts[:, kernel.REPLENISH + s]
        for (w, what), (k, band) in product(enumerate(("add", "cancel")), enumerate(TICK_BANDS)):
            columns[f"flow_cnt_{what}_{side}_{band}_sum"] = events[:, w, s, k]
    volume, first, second = (counts[:, kernel.ACTIVITY + j] for j in range(3))
    volume = np.where(volume > 0, volume, np.nan)
    columns["flow_activity_centroid_ticks"] = first / volume
    columns["flow_activity_dispersion_ticks"] = (
        np.sqrt(np.maximum(volume * second - first * first, 0.0)) / volume
    )
    for level in range(LEVELS):
        columns[f"ofi_m{level:02d}_sum"] = counts[:, kernel.OFI + level]
    return columns


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Part of a whole, NaN where there is no whole."""
    share: NDArray[np.float64] = part / np.where(whole > 0, whole, np.nan)
    return share
