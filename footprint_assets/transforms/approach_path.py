"""How price approaches a level: distances, speeds, derivatives, sums since the approach began, the setup so far.

Distances are microprice at bar end minus the frozen level. "Signed" ones are times the approach direction: negative before
the level, positive beyond it. "Toward" is a bar that ends closer to the level than the one before, on whichever side.
A window of w bars is null until w bars (of changes: w + 1) are known; sums since the approach began or since the
lookback began expand bar by bar and never read a later one.
"""

from __future__ import annotations

import numpy as np

from footprint_assets.kernels import level_path as kernel
from footprint_assets.kernels.level_tape import NO_PRINT, nearest_and_deepest
from footprint_assets.kernels.rolling import change, quotient, slope_per_bar
from footprint_assets.settings import NANOS_PER_SECOND
from footprint_assets.transforms.approach_rows import BOOK_COLUMNS, MICROPRICE, Attempt, Columns, Day
from footprint_assets.transforms.running import Counts, Floats, as_of
from footprint_assets.transforms.windows import points

PATH_WINDOWS = (12, 36, 72, 180)
DERIVATIVE_WINDOWS = (3, 12, 36, 72)
"""Bars of five seconds."""
HISTORY = 2 * max(PATH_WINDOWS) + 1
"""Bars before a row that its windows can reach."""
BARS_PER_MINUTE = 12
SPEED_WINDOW = 12
LONGEST_ETA_S = 3600.0
SLOWEST_PTS_PER_S = 1e-9
BPS = 10_000.0
PERCENT = 100.0
STRONG_WALL_Z = 2.0
RECENT_BARS = 12
LEVEL_SIZE = "bar5s_lvl_total_size_at_level_eob"
TOWARD_FLOW = "bar5s_lvl_flow_toward_net_sum"
DERIVATIVES = {
    "lvlimbal": "bar5s_lvldepth_imbal_eob",
    "sizeatlvl": LEVEL_SIZE,
    "lvlcdi01": "bar5s_lvldepth_cdi_p0_1_eob",
    "lvltoward": TOWARD_FLOW,
}
"""Bases of the derivatives beside the distance, columns of the book half."""
CUMULATED = {
    "trade_vol": "bar5s_trade_vol_sum",
    "signed_trade_vol": "bar5s_trade_signed_vol_sum",
    "aggbuy_vol": "bar5s_trade_aggbuy_vol_sum",
    "aggsell_vol": "bar5s_trade_aggsell_vol_sum",
    "flow_net_bid": "bar5s_flow_net_vol_bid_sum",
    "flow_net_ask": "bar5s_flow_net_vol_ask_sum",
    "msg_cnt": "bar5s_meta_msg_cnt_sum",
    "trade_cnt": "bar5s_trade_cnt_sum",
    "add_cnt": "bar5s_meta_add_cnt_sum",
    "cancel_cnt": "bar5s_meta_cancel_cnt_sum",
    **{
        f"flow_net_{side}_{band}": f"bar5s_flow_net_vol_{side}_{band}_sum"
        for side in ("bid", "ask")
        for band in ("p0_1", "p1_2", "p2_3")
    },
}
"""Sums since the approach began, and what they add up."""
_WINDOW_NAMES = (
    "velocity_pts_per_min", "accel_pts_per_min2", "path_efficiency", "time_in_band_frac", "min_abs_dist_pts",
    "toward_bar_frac", "realized_vol_pts",
)  # fmt: skip
"""Measures of ``kernel.path_windows``, in its order."""
STATES = ("obi0", "obi10")
PATH_INPUTS = (
    MICROPRICE,
    *(source for source in CUMULATED.values() if source not in BOOK_COLUMNS),
    *(f"bar5s_state_{name}_eob" for name in STATES),
    *(f"bar5s_wall_{side}_maxz_eob" for side in ("bid", "ask")),
)
"""What the path reads of ``silver.future.market_by_price_10_bar5s``."""


def distance_columns(day: Day, attempt: Attempt, polarity: int, atr: Floats) -> Columns:
    """Where price stands at the end of each bar, and its closest and deepest trade in the bar.

    Args:
        day: The market.
        attempt: The attempt.
        polarity: +1 the level is a high, -1 a low, 0 neither.
        atr: Average true range known at the end of each bar; float64[bars], points.

    Returns:
        The columns; a price within half a tick of the level stands on neither side.
    """
    eob = day.distance(attempt)[attempt.rows]
    twa = day.column("bar5s_microprice_twa_px")[attempt.rows] - attempt.price
    side = np.where(np.abs(eob) <= day.tick_size / 2, 0.0, np.sign(eob))
    side[np.isnan(eob)] = np.nan
    nearest, deepest = nearest_and_deepest(
        day.tape.tick,
        day.trades_before[attempt.rows],
        day.trades_so_far[attempt.rows],
        attempt.tick,
        attempt.direction,
    )
    return {
        "dist_to_level_pts": eob,
        "signed_dist_pts": eob * attempt.direction,
        "bar5s_approach_dist_to_level_pts_eob": eob,
        "bar5s_approach_dist_to_level_pts_twa": twa,
        "bar5s_approach_abs_dist_to_level_pts_eob": np.abs(eob),
        "bar5s_approach_dist_to_level_ticks_eob": eob / day.tick_size,
        "bar5s_approach_dist_to_level_atr_eob": quotient(eob, atr[attempt.rows]),
        "bar5s_approach_dist_to_level_bps_eob": BPS * eob / attempt.price,
        "bar5s_approach_trade_dist_min_ticks": np.where(nearest == NO_PRINT, np.nan, nearest),
        "bar5s_approach_trade_penetration_max_ticks": np.where(deepest == NO_PRINT, np.nan, deepest),
        "bar5s_approach_side_of_level_eob": side,
        # Adding zero turns the -0.0 of a level without polarity into 0.0.
        "bar5s_approach_alignment_eob": -side * polarity + 0.0,
    }


def minute_atr(day: Day, minute_end_ns: Counts, atr: Floats) -> Floats:
    """The average true range of the last one-minute bar that had ended.

    Args:
        day: The market.
        minute_end_ns: Ends of the minute bars, ascending; int64[minutes], ns since the epoch.
        atr: Their average true ranges; float64[minutes], points.

    Returns:
        float64[bars], points.
    """
    return as_of(minute_end_ns, atr, day.end_ns)


def speed_columns(day: Day, attempt: Attempt, touch_ticks: int) -> Columns:
    """Trailing windows of the path, and the path since the approach began.

    Args:
        day: The market.
        attempt: The attempt.
        touch_ticks: Half-width of the touch band, ticks.

    Returns:
        The columns.
    """
    low = max(attempt.first - HISTORY, 0)
    signed = (day.distance(attempt) * attempt.direction)[low : attempt.end]
    found = kernel.path_windows(
        signed,
        attempt.first - low,
        np.array(PATH_WINDOWS),
        BARS_PER_MINUTE,
        points(touch_ticks, day.tape.tick_nanos),
    )
    columns = {
        f"bar5s_approach_{name}_w{window}": measures[k]
        for window, measures in zip(PATH_WINDOWS, found, strict=True)
        for k, name in enumerate(_WINDOW_NAMES)
    }
    rows = signed[attempt.first - low :]
    speed = -np.sign(rows) * columns[f"bar5s_approach_velocity_pts_per_min_w{SPEED_WINDOW}"] / 60
    eta = np.minimum(np.abs(rows) / np.maximum(speed, SLOWEST_PTS_PER_S), LONGEST_ETA_S)
    return columns | {"bar5s_approach_eta_s": eta} | _since_start(day, attempt)


def _since_start(day: Day, attempt: Attempt) -> Columns:
    """The path from the end of the bar in which the approach began."""
    start = attempt.start
    signed = (day.distance(attempt) * attempt.direction)[: attempt.end]
    path = signed[start:]
    thirds = _thirds(path)
    retreat = np.fmax.accumulate(np.fmax.accumulate(path) - path)
    since_s = (day.end_ns[start : attempt.end] - day.start_ns[start]) / NANOS_PER_SECOND
    columns = {
        "duration_s": since_s,
        "distance_travelled_pts": np.abs(path - path[0]),
        "max_pullback_pts": retreat,
        "late_over_early_velocity": quotient(thirds["late"], thirds["early"]),
    }
    return {
        **{f"bar5s_approach_{name}": attempt.of_rows(values, start) for name, values in columns.items()},
        "bar5s_approach_consecutive_toward_bars": kernel.run_of_toward_bars(signed, attempt.first),
    }


def _thirds(path: Floats) -> Columns:
    """Speed of the first, the middle and the last third of an expanding path, points per minute.

    Of n changes so far the first and the last third are ``n // 3`` each, the middle is the rest; NaN below three changes.
    """
    n = np.arange(len(path))
    third = n // 3
    known = third > 0
    length = np.where(known, third, 1)
    early = (path[third] - path[0]) / length
    middle = (path[n - third] - path[third]) / np.maximum(n - 2 * third, 1)
    late = (path - path[n - third]) / length
    return {
        name: np.where(known, BARS_PER_MINUTE * speed, np.nan)
        for name, speed in (("early", early), ("mid", middle), ("late", late))
    }


def derivative_columns(day: Day, attempt: Attempt, book_half: Columns) -> Columns:
    """First and second difference quotients over several lags.

    Args:
        day: The market.
        attempt: The attempt.
        book_half: The book half of the attempt's rows. Its derivatives begin with the lookback.

    Returns:
        The columns.
    """
    low = max(attempt.first - HISTORY, 0)
    bases = {"dist": (day.distance(attempt)[low : attempt.end], low)}
    bases |= {name: (book_half[source], attempt.first) for name, source in DERIVATIVES.items()}
    columns: Columns = {}
    for name, (values, first_bar) in bases.items():
        for lag in DERIVATIVE_WINDOWS:
            first, second = slope_per_bar(values, lag)
            columns[f"bar5s_deriv_{name}_d1_w{lag}"] = attempt.of_rows(first, first_bar)
            columns[f"bar5s_deriv_{name}_d2_w{lag}"] = attempt.of_rows(second, first_bar)
    return columns


def cumulated_columns(day: Day, attempt: Attempt) -> Columns:
    """Sums from the bar in which the approach began up to each bar; null before it.

    Args:
        day: The market.
        attempt: The attempt.

    Returns:
        The columns; a bar that does not know a flow adds nothing, a sum of no known flow is null.
    """
    since = slice(attempt.start, attempt.end)
    sums = {name: _running_sum(day.column(source)[since]) for name, source in CUMULATED.items()}
    bars = np.arange(1.0, attempt.end - attempt.start + 1)
    sums["flow_imbal"] = sums["flow_net_bid"] - sums["flow_net_ask"]
    sums["signed_trade_vol_rate"] = sums["signed_trade_vol"] / bars
    sums["flow_imbal_rate"] = sums["flow_imbal"] / bars
    return {f"bar5s_cumul_{name}": attempt.of_rows(values, attempt.start) for name, values in sums.items()}


def _running_sum(values: Floats) -> Floats:
    """Sum of the known values so far; NaN before the first. Whole numbers, so the sums are exact."""
    total = np.cumsum(np.where(np.isnan(values), 0.0, values))
    return np.where(np.isnan(np.fmax.accumulate(values)), np.nan, total)


def setup_columns(day: Day, attempt: Attempt, book_half: Columns) -> Columns:
    """What the attempt has shown so far: everything expands from the first bar of the lookback to this bar.

    Args:
        day: The market.
        attempt: The attempt.
        book_half: The book half of the attempt's rows.

    Returns:
        The columns.
    """
    columns = (
        _setup_path(day, attempt)
        | _setup_pressure(day, attempt)
        | _setup_level(book_half[LEVEL_SIZE], book_half[TOWARD_FLOW])
    )
    return {f"bar5s_setup_{name}": values for name, values in columns.items()}


def _setup_path(day: Day, attempt: Attempt) -> Columns:
    signed = day.distance(attempt)[attempt.rows] * attempt.direction
    away = np.abs(signed)
    closest, farthest = np.fmin.accumulate(away), np.fmax.accumulate(away)
    approach, retreat = (np.cumsum(sign * change(away, 1) > 0).astype(np.float64) for sign in (-1, 1))
    thirds = _thirds(signed)
    return {
        "start_dist_pts": _first_known(away),
        "min_dist_pts": closest,
        "max_dist_pts": farthest,
        "dist_range_pts": farthest - closest,
        "approach_bars": approach,
        "retreat_bars": retreat,
        "approach_ratio": quotient(approach, approach + retreat),
        **{f"{name}_velocity": speed for name, speed in thirds.items()},
        "velocity_trend": thirds["late"] - thirds["early"],
    }


def _setup_pressure(day: Day, attempt: Attempt) -> Columns:
    """Order-book imbalance, traded volume, flow and walls."""
    columns: Columns = {}
    for name in STATES:
        values = day.column(f"bar5s_state_{name}_eob")[attempt.rows]
        columns |= _extent(name, values)
    volume = _running_sum(day.column(CUMULATED["trade_vol"])[attempt.rows])
    signed = _running_sum(day.column(CUMULATED["signed_trade_vol"])[attempt.rows])
    net = {side: day.column(CUMULATED[f"flow_net_{side}"])[attempt.rows] for side in ("bid", "ask")}
    wall = {side: day.column(f"bar5s_wall_{side}_maxz_eob")[attempt.rows] for side in ("bid", "ask")}
    strong = {side: np.cumsum(z >= STRONG_WALL_Z).astype(np.float64) for side, z in wall.items()}
    return columns | {
        "total_trade_vol": volume,
        "total_signed_vol": signed,
        "trade_imbal_pct": PERCENT * quotient(signed, volume),
        "flow_imbal_total": _running_sum(net["bid"]) - _running_sum(net["ask"]),
        **{f"{side}_wall_max_z": np.fmax.accumulate(z) for side, z in wall.items()},
        **{f"{side}_wall_bars": count for side, count in strong.items()},
        "wall_imbal": strong["bid"] - strong["ask"],
    }


def _extent(name: str, values: Floats) -> Columns:
    start = _first_known(values)
    return {
        f"{name}_start": start,
        f"{name}_end": values,
        f"{name}_delta": values - start,
        f"{name}_min": np.fmin.accumulate(values),
        f"{name}_max": np.fmax.accumulate(values),
    }


def _setup_level(size: Floats, toward: Floats) -> Columns:
    """Size resting at the level and flow on its defending side."""
    extent = _extent("size_at_level", size)
    return {
        **{
            f"size_at_level_{what}": extent[f"size_at_level_{what}"]
            for what in ("start", "end", "delta", "max")
        },
        **{
            f"{name}_{what}": values
            for name, known in (("size_at_level", size), ("flow_toward", toward))
            for what, values in (
                ("recent12_sum", _recent_sum(known)),
                ("early_late_ratio", _early_over_late(known)),
            )
        },
    }


def _first_known(values: Floats) -> Floats:
    """The first known value, from where it is known on."""
    known = np.flatnonzero(~np.isnan(values))
    out = np.full(len(values), np.nan)
    if len(known):
        out[known[0] :] = values[known[0]]
    return out


def _prefix_sums(values: Floats) -> tuple[Floats, Floats]:
    """Sum and number of the known values before each position; float64[n + 1] each, whole numbers."""
    known = ~np.isnan(values)
    zero = np.zeros(1)
    return (
        np.concatenate((zero, np.cumsum(np.where(known, values, 0.0)))),
        np.concatenate((zero, np.cumsum(known).astype(np.float64))),
    )


def _recent_sum(values: Floats) -> Floats:
    """Sum of the known values among the last twelve so far; NaN without one."""
    total, count = _prefix_sums(values)
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(end - RECENT_BARS, 0)
    return np.where(count[end] > count[begin], total[end] - total[begin], np.nan)


def _early_over_late(values: Floats) -> Floats:
    """Mean of the known values of the first third so far over that of the last third."""
    total, count = _prefix_sums(values)
    end = np.arange(1, len(values) + 1)
    third = end // 3
    early = quotient(total[third], count[third])
    late = quotient(total[end] - total[end - third], count[end] - count[end - third])
    return quotient(early, late)


def path_columns(day: Day, attempt: Attempt, polarity: int, atr: Floats, touch_ticks: int) -> Columns:
    """The columns of the path that need no book half: distances, speeds, sums since the approach began."""
    return (
        distance_columns(day, attempt, polarity, atr)
        | speed_columns(day, attempt, touch_ticks)
        | cumulated_columns(day, attempt)
    )
