"""The columns of the book at a level, made of what the kernels measured: names, ratios and null.

One function a family of the approach table; ``transforms/level_book.py`` puts them in order.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from footprint_assets.kernels import level_book as kernel
from footprint_assets.kernels import level_depth as depth
from footprint_assets.kernels import level_flow as flow
from footprint_assets.kernels import level_liquidity as liquidity
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.book_events import ASK, BID
from footprint_assets.settings import LevelLiquiditySettings
from footprint_assets.transforms.bar5s import BANDS
from footprint_assets.transforms.book_batch import SIDES

LIQUIDITY_WINDOWS = (3, 12, 36)
IMBALANCE_WINDOWS = (6, 12, 24, 60)
WINDOWS = (*LIQUIDITY_WINDOWS, *IMBALANCE_WINDOWS)

_NEAR_BANDS = BANDS[:3]
_WHERE = ("below", "above")
_REL = tuple(
    "z0" if k == 0 else f"{'m' if k < 0 else 'p'}{abs(k)}"
    for k in range(-depth.REL_REACH, depth.REL_REACH + 1)
)
_LIQUIDITY = (
    "added_qty", "pulled_qty", "filled_qty", "net_qty", "replenishment_ratio", "pull_share", "churn_qty",
    "depth_in_zone_qty", "depth_vs_baseline", "refill_latency_ms", "iceberg_ratio", "absorption_ratio",
)  # fmt: skip
_ADD, _PULL, _FILL, _ADDS, _CANCELS, _MODIFIES = range(flow.FLOWS)

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Columns = dict[str, Float64]


def _share(part: Float64, whole: Float64) -> Float64:
    """``part / whole``; NaN where the whole is 0 or either is not known."""
    share: Float64 = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole != 0)
    return share


def _imbalance(first: Float64, second: Float64) -> Float64:
    """``(first - second) / (|first| + |second|)``; 0 where both are 0, NaN where either is not known."""
    size = np.abs(first) + np.abs(second)
    balance: Float64 = np.divide(first - second, size, out=np.where(size == 0, 0.0, np.nan), where=size > 0)
    return balance


def depth_columns(at: Float64) -> Columns:
    """Size by band below and above the level, and at single ticks."""
    columns: Columns = {}
    for (w, where), (k, band) in product(enumerate(_WHERE), enumerate(BANDS)):
        average, eob = (
            at[:, depth.BAND_AVERAGE + w * len(BANDS) + k],
            at[:, depth.BAND_EOB + w * len(BANDS) + k],
        )
        columns |= {
            f"lvldepth_{where}_{band}_qty_twa": average,
            f"lvldepth_{where}_{band}_qty_eob": eob,
            f"lvldepth_{where}_{band}_frac_twa": _share(average, at[:, depth.ALL_AVERAGE]),
            f"lvldepth_{where}_{band}_frac_eob": _share(eob, at[:, depth.ALL_EOB]),
        }
    for band in BANDS:
        columns[f"lvldepth_cdi_{band}_eob"] = _imbalance(
            columns[f"lvldepth_below_{band}_qty_eob"], columns[f"lvldepth_above_{band}_qty_eob"]
        )
    below, above = at[:, depth.SIDE_EOB + depth.BELOW], at[:, depth.SIDE_EOB + depth.ABOVE]
    columns |= {
        "lvldepth_below_total_qty_eob": below,
        "lvldepth_above_total_qty_eob": above,
        "lvldepth_imbal_eob": _imbalance(below, above),
    }
    return columns | {f"lvldepth_rel_{name}_eob": at[:, depth.REL + k] for k, name in enumerate(_REL)}


def level_columns(at: Float64) -> Columns:
    """Size, orders and queue at the level's own price."""
    bid, ask, orders = at[:, depth.BID_SIZE], at[:, depth.ASK_SIZE], at[:, depth.ORDER_COUNT]
    return {
        "lvl_bid_size_at_level_eob": bid,
        "lvl_ask_size_at_level_eob": ask,
        "lvl_total_size_at_level_eob": bid + ask,
        "lvl_size_at_level_imbal_eob": _imbalance(bid, ask),
        "lvl_level_is_visible": at[:, depth.IS_VISIBLE],
        "lvl_level_book_index_bid": at[:, depth.BOOK_INDEX + BID],
        "lvl_level_book_index_ask": at[:, depth.BOOK_INDEX + ASK],
        "lvl_wall_at_level": at[:, depth.IS_WALL],
        "lvl_order_count_at_level_eob": orders,
        "lvl_avg_order_at_level_eob": _share(bid + ask, orders),
        "lvl_queue_ahead_qty_eob": at[:, depth.QUEUE_AHEAD],
        "lvl_size_at_level_d1_w3": at[:, depth.CHANGE_3],
        "lvl_size_at_level_d1_w12": at[:, depth.CHANGE_12],
        "lvl_size_at_level_d2_w12": at[:, depth.CHANGE_OF_CHANGE_12],
    }


def liquidity_columns(
    grid: kernel.BookGrid,
    asked: kernel.Rows,
    shocks: liquidity.Shocks,
    end: Int64,
    settings: LevelLiquiditySettings,
) -> Columns:
    """What the defending side added, lost and shows in the zone."""
    shown, usual, measures = liquidity.level_liquidity(
        grid, asked, shocks, end, BAR_NS, np.array(LIQUIDITY_WINDOWS), settings.zone_ticks, settings.baseline_bars
    )  # fmt: skip
    columns: Columns = {}
    for k, w in enumerate(LIQUIDITY_WINDOWS):
        field = measures[:, k]
        added, pulled = field[:, liquidity.ADDED_QTY], field[:, liquidity.PULLED_QTY]
        filled = field[:, liquidity.FILLED_QTY]
        lost = pulled + filled
        values = (
            added,
            pulled,
            filled,
            added - lost,
            added / np.maximum(lost, 1),
            _share(pulled, lost),
            added + lost,
            shown,
            _share(shown, usual),
            field[:, liquidity.REFILL_MS],
            field[:, liquidity.ICEBERG_RATIO],
            field[:, liquidity.ABSORPTION_RATIO],
        )
        columns |= {f"lvlliq_{name}_w{w}": v for name, v in zip(_LIQUIDITY, values, strict=True)}
    return {
        f"lvlliq_{name}_w{w}": columns[f"lvlliq_{name}_w{w}"]
        for name, w in product(_LIQUIDITY, LIQUIDITY_WINDOWS)
    }


def state_columns(liquidity_measures: Columns, settings: LevelLiquiditySettings) -> Columns:
    """What the zone is called over each window; NaN where it was not in sight."""
    limits = liquidity.Thresholds(
        vacuum_ratio=settings.vacuum_ratio,
        wall_ratio=settings.wall_ratio,
        strong_flow=settings.strong_flow_contracts,
        absorption_ratio=settings.absorption_ratio,
        weak_depth=settings.weak_depth_contracts,
        balanced_flow=settings.balanced_flow_contracts,
        churn=settings.churn_contracts,
    )
    columns: Columns = {}
    for w in LIQUIDITY_WINDOWS:
        added, pulled, filled, shown = (
            liquidity_measures[f"lvlliq_{name}_w{w}"]
            for name in ("added_qty", "pulled_qty", "filled_qty", "depth_in_zone_qty")
        )
        state = liquidity.zone_state(added, pulled, filled, shown, limits)
        columns[f"lvlliq_state_w{w}"] = np.where(state == liquidity.UNKNOWN, np.nan, state)
    return columns


def flow_columns(around: flow.LevelFlow) -> Columns:
    """Flow and records of the bar by side and band."""
    amount = np.where(around.seen[:, None, :, None], around.band, np.nan)
    added, pulled, filled = amount[..., _ADD], amount[..., _PULL], amount[..., _FILL]
    removed = pulled + filled
    net = added - removed
    columns: Columns = {}
    for name, values in (("add", added), ("rem", removed), ("net", net)):
        columns |= {f"lvlflow_{name}_vol_{key}_sum": v for key, v in _by_side_and_band(values)}
    for name, kind in (("add", _ADDS), ("cancel", _CANCELS), ("modify", _MODIFIES)):
        columns |= {f"lvlflow_cnt_{name}_{key}_sum": v for key, v in _by_side_and_band(amount[..., kind])}
    relative = net / np.maximum(around.average, 1)
    columns |= {f"lvlflow_net_volnorm_{key}_sum": v for key, v in _by_side_and_band(relative)}
    balances = {
        "add": added, "pull": pulled, "fill": filled, "net": net,
        "cnt_add": amount[..., _ADDS], "cnt_cancel": amount[..., _CANCELS],
    }  # fmt: skip
    for name, values in balances.items():
        for k, band in enumerate(_NEAR_BANDS):
            columns[f"lvlflow_{name}_imbal_{band}"] = _imbalance(values[:, BID, k], values[:, ASK, k])
    return columns


def _by_side_and_band(values: Float64) -> list[tuple[str, Float64]]:
    return [
        (f"{side}_{band}", values[:, s, k])
        for (s, side), (k, band) in product(enumerate(SIDES), enumerate(BANDS))
    ]


def concentration_columns(around: flow.LevelFlow, tick_size: float) -> Columns:
    """How much of the flow happens near the level, where its middle lies, and which side of the price has more."""
    by_band = around.band.sum(axis=1)
    near = np.where(around.seen[:, :1], by_band[:, 0], np.nan)
    far = np.where(around.seen[:, 1:2] | around.seen[:, 2:3], by_band[:, 1] + by_band[:, 2], np.nan)
    whole = by_band.sum(axis=1).astype(np.float64)
    middle, spread = _centre(around.moments)
    below, above = (np.where(around.around_seen[:, w, None], around.around[:, w], np.nan) for w in range(2))
    net_below, net_above = (v[:, _ADD] - v[:, _PULL] - v[:, _FILL] for v in (below, above))
    return {
        "lvlflow_add_intensity_p0_1": _share(near[:, _ADD], whole[:, _ADD]),
        "lvlflow_pull_intensity_p0_1": _share(near[:, _PULL], whole[:, _PULL]),
        "lvlflow_centroid_pts": middle * tick_size,
        "lvlflow_dispersion_pts": spread * tick_size,
        "lvlflow_add_above_below_imbal": _imbalance(above[:, _ADD], below[:, _ADD]),
        "lvlflow_pull_above_below_imbal": _imbalance(above[:, _PULL], below[:, _PULL]),
        "lvlflow_net_above_below_imbal": _imbalance(net_above, net_below),
        "lvlflow_near_far_add_ratio": near[:, _ADD] / np.maximum(far[:, _ADD], 1),
        "lvlflow_near_far_pull_ratio": near[:, _PULL] / np.maximum(far[:, _PULL], 1),
    }


def _centre(moments: Int64) -> tuple[Float64, Float64]:
    """Weighted mean and population deviation, ticks; NaN without weight."""
    weight, first, second = (moments[:, k] for k in range(3))
    mean = _share(first.astype(np.float64), weight.astype(np.float64))
    # Moved, in exact integers, to the tick nearest the mean: the difference below then cancels nothing.
    origin = np.rint(np.nan_to_num(mean)).astype(np.int64)
    second = second - 2 * origin * first + origin * origin * weight
    first = first - origin * weight
    beside = _share(first.astype(np.float64), weight.astype(np.float64))
    variance = _share(second.astype(np.float64), weight.astype(np.float64)) - beside * beside
    return mean, np.sqrt(np.maximum(variance, 0.0))


def toward_columns(around: flow.LevelFlow, asked: kernel.Rows) -> Columns:
    """Net flow of the side that defends the level and of the side that pushes towards it."""
    by_side = around.band.sum(axis=2)
    net = by_side[..., _ADD] - by_side[..., _PULL] - by_side[..., _FILL]
    seen, from_below = around.seen.any(axis=1), asked.direction > 0
    toward = np.where(seen, np.where(from_below, net[:, ASK], net[:, BID]), np.nan)
    away = np.where(seen, np.where(from_below, net[:, BID], net[:, ASK]), np.nan)
    return {
        "lvl_flow_toward_net_sum": toward,
        "lvl_flow_away_net_sum": away,
        "lvl_flow_toward_away_imbal_sum": toward - away,
    }


def wall_columns(at: Float64, tick_size: float) -> Columns:
    """Distance of the nearest wall of each side from the level."""
    return {
        f"lvlwall_{side}_nearest_strong_dist_pts_eob": at[:, depth.WALL_TICKS + s] * tick_size
        for s, side in enumerate(SIDES)
    }


def imbalance_columns(grid: kernel.BookGrid, asked: kernel.Rows, settings: LevelLiquiditySettings) -> Columns:
    """Order flow imbalance near, above and below the level."""
    value, seen = flow.level_imbalance(grid, asked, np.array(IMBALANCE_WINDOWS), settings.ofi_ticks)
    known = np.where(seen, value, np.nan)
    areas = ((flow.NEAR, "near"), (flow.OVER, "above"), (flow.UNDER, "below"))
    return {
        f"lvlofi_{name}_w{w}": known[:, area, k]
        for (area, name), (k, w) in product(areas, enumerate(IMBALANCE_WINDOWS))
    }
