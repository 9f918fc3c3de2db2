"""What five-second bars say of the book beyond ``bar5s``: closed bars in, the columns of their table out."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from footprint_assets.kernels import bar5s as words
from footprint_assets.kernels import bar5s_states as states
from footprint_assets.kernels.bar5s_scan import ClosedBars
from footprint_assets.kernels.book_events import LEVELS
from footprint_assets.kernels.fits import STOIKOV_BUCKETS, STOIKOV_SPREADS
from footprint_assets.transforms.book_batch import SIDES

TABLE = "silver.future.market_by_price_10_bar5s_book"
TICK_BANDS = ("t1", "t2", "t3_4", "t5_8", "t9_10")

STOIKOV_COLUMNS = tuple(
    f"state_stoikov_i{bucket}_s{spread + 1}_frac_twa"
    for bucket in range(STOIKOV_BUCKETS)
    for spread in range(STOIKOV_SPREADS)
)
"""Shares of the bar's time by state of the best quote, in the order of the states of ``kernels.fits``."""

_STATE_COLUMNS = {
    states.OBI: "state_obi1",
    states.OBI + 1: "state_obi3",
    states.OBI + 2: "state_obi5",
    states.OCI: "state_oci0",
    states.OCI + 1: "state_oci10",
    states.MICRO_ADJ: "state_microprice_adj_pts",
    states.WMID_ADJ: "state_wmid5_adj_pts",
    states.VAMP_ADJ: "state_vamp10_adj_pts",
    states.WDOBP_ADJ: "state_wdobp10_adj_pts",
    **{states.ORDER_SIZE + s: f"state_avg_order_{side}0" for s, side in enumerate(SIDES)},
    **{
        states.TICK_QTY + j: f"depth_{side}_{band}_qty"
        for j, (side, band) in enumerate(product(SIDES, TICK_BANDS))
    },
    **{
        at + s: f"depth_{side}_{what}"
        for at, what in (
            (states.COM, "com_ticks"),
            (states.SLOPE, "slope"),
            (states.CONVEXITY, "convexity"),
            (states.HHI, "hhi"),
            (states.ENTROPY, "entropy"),
        )
        for s, side in enumerate(SIDES)
    },
    **{
        states.SWEEP + j: f"depth_sweep_{order}_q{contracts_}_ticks"
        for j, (order, contracts_) in enumerate(product(("buy", "sell"), words.SWEEP_CONTRACTS))
    },
}
_FLOWS = ("add", "fill", "pull")

Columns = dict[str, NDArray[np.float64]]


def book_columns(
    closed: ClosedBars, average: NDArray[np.float64], last: NDArray[np.float64], mid: NDArray[np.float64]
) -> Columns:
    """The columns of some closed bars by name, without ``bar5s_``.

    Args:
        closed: The bars.
        average: Their average states as published, see ``bar5s_states.published``.
        last: Their last states as published.
        mid: First, lowest and highest mid, points; float64[bars, 3].

    Returns:
        float64[bars] each; NaN where null.
    """
    return (
        _meta_columns(closed)
        | _state_columns(average, last, mid)
        | _dwell_columns(closed, average, last)
        | _flow_columns(closed)
    )


def _meta_columns(closed: ClosedBars) -> Columns:
    counts = closed.counts.astype(np.float64)
    return {
        "meta_is_empty_eob": (closed.counts[:, words.MSG] == 0).astype(np.float64),
        "meta_stale_ns_eob": closed.stale_ns.astype(np.float64),
        "meta_snapshot_cnt_sum": counts[:, words.SNAPSHOT],
        "meta_bad_ts_cnt_sum": counts[:, words.BAD_TS],
        "meta_bad_book_cnt_sum": counts[:, words.BAD_BOOK],
        "meta_clear_vol_sum": counts[:, words.CLEAR_VOL],
    }


def _state_columns(
    average: NDArray[np.float64], last: NDArray[np.float64], mid: NDArray[np.float64]
) -> Columns:
    """Averages over the bar and values at its end."""
    columns = {f"{name}_twa": average[:, j] for j, name in _STATE_COLUMNS.items()}
    columns |= {f"{name}_eob": last[:, j] for j, name in _STATE_COLUMNS.items()}
    columns |= {f"mid_{name}_px": mid[:, j] for j, name in enumerate(("open", "low", "high"))}
    columns |= {
        "mid_close_px": last[:, states.MID],
        "microprice_twa_px": average[:, states.MID] + average[:, states.MICRO_ADJ],
    }
    for s, side in enumerate(SIDES):
        visible = last[:, states.VISIBLE + s]
        columns[f"ladder_{side}_visible_ticks_eob"] = visible
        columns[f"ladder_{side}_missing_ticks_eob"] = visible - (LEVELS - 1)
    return columns


def _dwell_columns(closed: ClosedBars, average: NDArray[np.float64], last: NDArray[np.float64]) -> Columns:
    """Shares of the bar's time: of the time the book was known, two-sided, or quoted with a positive spread."""
    shares = {"locked": states.IS_LOCKED, "crossed": states.IS_CROSSED, "one_sided": states.IS_ONE_SIDED}
    columns = {f"meta_{name}_frac_twa": average[:, j] for name, j in shares.items()}
    columns["state_spread_gt1_frac_twa"] = average[:, states.IS_WIDE]
    columns["state_spread_gt1_frac_eob"] = last[:, states.IS_WIDE]
    return columns | {name: closed.quote[:, j] for j, name in enumerate(STOIKOV_COLUMNS)}


def _flow_columns(closed: ClosedBars) -> Columns:
    """Flows and order-flow imbalance; of a bar in which the book was not known at any time they are not known either."""
    seen = ~np.isnan(closed.average[:, states.OBI]) | (closed.counts[:, words.TRANSITIONS] > 0)
    counts = np.where(seen[:, None], closed.counts, np.nan)
    bars = len(closed)
    banded = counts[:, words.TICK_FLOW : words.TICK_CNT].reshape(bars, 3, 2, words.TICK_BANDS)
    total = counts[:, words.SIDE_FLOW : words.BEST_FLOW].reshape(bars, 3, 2)
    best = counts[:, words.BEST_FLOW : words.REPLENISH].reshape(bars, 3, 2)
    events = counts[:, words.TICK_CNT : words.SIDE_FLOW].reshape(bars, 2, 2, words.TICK_BANDS)
    columns = {}
    for (w, what), (s, side) in product(enumerate(_FLOWS), enumerate(SIDES)):
        columns[f"flow_{what}_vol_{side}_sum"] = total[:, w, s]
        columns[f"ofi_{side}_{what}_sum"] = best[:, w, s]
        for k, band in enumerate(TICK_BANDS):
            columns[f"flow_{what}_vol_{side}_{band}_sum"] = banded[:, w, s, k]
    for s, side in enumerate(SIDES):
        columns[f"flow_net_vol_{side}_sum"] = (
            total[:, words.ADD, s] - total[:, words.PULL, s] - total[:, words.FILL, s]
        )
        columns[f"flow_replenish_vol_{side}_sum"] = counts[:, words.REPLENISH + s]
        for (w, what), (k, band) in product(enumerate(("add", "cancel")), enumerate(TICK_BANDS)):
            columns[f"flow_cnt_{what}_{side}_{band}_sum"] = events[:, w, s, k]
    volume, first, second = (counts[:, words.ACTIVITY + j] for j in range(3))
    volume = np.where(volume > 0, volume, np.nan)
    columns["flow_activity_centroid_ticks"] = first / volume
    columns["flow_activity_dispersion_ticks"] = (
        np.sqrt(np.maximum(volume * second - first * first, 0.0)) / volume
    )
    for level in range(LEVELS):
        columns[f"ofi_m{level:02d}_sum"] = counts[:, words.OFI + level]
    return columns
