"""The columns of a footprint bar that compare it with the world around it.

Where its close stands to every level known at its end, and how one-sided it is among the bars of earlier sessions. A
level is read as of the bar's end: running values after the bar's last trade, static levels from ``valid_from_ts`` on,
moving averages from the last five-second bar that had closed. What is not known is null.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.calendar import Session
from footprint_assets.kernels.session_context import NO_TICK, last_swing_high
from footprint_assets.settings import NANOS_PER_SECOND, FootprintSettings
from footprint_assets.transforms import prior
from footprint_assets.transforms.running import (
    Counts,
    Developing,
    Floats,
    Tape,
    as_of,
    developing_profile,
    extremes_so_far,
    last_node_so_far,
    level_at,
    vwap_so_far,
)
from footprint_assets.transforms.windows import points

SWING_STRENGTH = 5
"""Bars on each side of a swing; NinjaTrader's default."""
SERIES_STEP_NS = 5 * NANOS_PER_SECOND
"""A row of ``level_series_5s`` is known this long after its ``bar_ts``."""
STATIC_LEVELS = {
    "prev_day_vwap": "PD_VWAP",
    "prev_day_poc": "PD_POC",
    "prev_day_vah": "PD_VAH",
    "prev_day_val": "PD_VAL",
    "ib_high": "IB_HIGH",
    "ib_low": "IB_LOW",
    "prev_day_high": "PDH",
    "prev_day_low": "PDL",
    "prev_day_close": "PDC",
    "overnight_high": "OVERNIGHT_HIGH",
    "overnight_low": "OVERNIGHT_LOW",
    "pm_high": "PM_HIGH",
    "pm_low": "PM_LOW",
    "or_high": "OR_HIGH",
    "or_low": "OR_LOW",
}
"""What ``close_to_<key>_pts`` is measured to: a name in ``session_levels``."""


RANK = "delta_per_volume_rank"
SERIES_COLUMNS = ("bar_ts", "level_name", "level_price_raw")
"""Columns read from the moving levels."""


def is_context_column(name: str) -> bool:
    """Whether a column of ``silver.future.footprint_bar`` is one of those made here."""
    return name == RANK or name.startswith("close_to_") or name.endswith("_value_area")


@dataclass(frozen=True)
class LevelInputs:
    """What is known about levels outside the trades of the date.

    Args:
        session_levels: Rows of ``silver.future.session_levels`` of the contract and date; may be empty.
        level_series: ``SERIES_COLUMNS`` of ``silver.future.level_series_5s`` of the contract and date; may be empty.
        prior_sessions: Rows of ``silver.future.prior_sessions`` of the contract and date; may be empty.
    """

    session_levels: pl.DataFrame
    level_series: pl.DataFrame
    prior_sessions: pl.DataFrame


def context_columns(
    bars: pl.DataFrame,
    tape: Tape,
    inputs: LevelInputs,
    session: Session,
    rules: FootprintSettings,
) -> list[pl.Series]:
    """The look-back and level columns of footprint bars.

    Args:
        bars: Bars of every type in the order of the contract, at least ``symbol``, ``bar_type``, ``bar_end_ts``,
            ``trades``, ``open`` to ``close``, ``delta``, ``volume`` and the Bollinger bands. The bars of each type hold
            all trades of the tape.
        tape: The trades the bars were cut from.
        inputs: Levels and earlier sessions.
        session: The trade date's session.
        rules: Row height and value area.

    Returns:
        ``delta_per_volume_rank``, every ``close_to_<level>_pts`` and the two value-area flags.
    """
    ends = np.array(bars.select(pl.col("trades").cum_sum().over("bar_type"))["trades"], np.int64)
    end_ns = np.array(bars["bar_end_ts"].to_physical(), np.int64)
    own = prior.of_contract(inputs.prior_sessions, bars["symbol"][0])
    # Bars of several types end at the same trade; each distinct count is worked out once.
    counts, bar = np.unique(ends, return_inverse=True)
    developing = developing_profile(tape, counts, rules)
    close = np.array(bars["close"], np.float64)
    reference = (
        _vwaps(tape, counts, bar, own, session)
        | {f"dev_{name}": getattr(developing, name)[bar] for name in ("poc", "vah", "val")}
        | {key: level_at(inputs.session_levels, name, end_ns) for key, name in STATIC_LEVELS.items()}
        | _weeks(tape, counts, bar, own, session)
        | _swings(bars, tape.tick_nanos)
        | {
            "last_hvn": last_node_so_far(tape, counts, rules)[bar],
            "sma_90": _series_level(inputs.level_series, "SMA_90", end_ns),
            "naked_poc": _nearest_naked(tape, ends, own, close, rules),
            "bb_upper": _column(bars, "bb_upper_20_2"),
            "bb_lower": _column(bars, "bb_lower_20_2"),
            "bb_middle": _column(bars, "bb_middle_20"),
        }
    )
    return [
        _delta_rank(bars, inputs.prior_sessions),
        *(
            pl.Series(f"close_to_{name}_pts", close - price, nan_to_null=True)
            for name, price in reference.items()
        ),
        *_value_area_flags(close, developing, bar, reference, tape, rules),
    ]


def _column(bars: pl.DataFrame, name: str) -> Floats:
    return np.array(bars[name].fill_null(np.nan), np.float64)


def _vwaps(
    tape: Tape, counts: Counts, bar: NDArray[np.intp], own: pl.DataFrame, session: Session
) -> dict[str, Floats]:
    """VWAP of the trade date and of the week with their bands."""
    vwap, std = vwap_so_far(tape, counts)
    out = {
        "day_vwap": vwap,
        "day_vwap_u1": vwap + std,
        "day_vwap_u2": vwap + 2 * std,
        "day_vwap_l1": vwap - std,
        "day_vwap_l2": vwap - 2 * std,
    }
    earlier = prior.sums_of_week(own, session)
    vwap, std = (
        np.full((2, len(counts)), np.nan) if earlier is None else vwap_so_far(tape, counts, 0, earlier)
    )
    out |= {"week_vwap": vwap, "week_vwap_u1": vwap + std, "week_vwap_l1": vwap - std}
    return {name: values[bar] for name, values in out.items()}


def _weeks(
    tape: Tape, counts: Counts, bar: NDArray[np.intp], own: pl.DataFrame, session: Session
) -> dict[str, Floats]:
    """Extremes of this trading week so far and of the one before."""
    unknown = np.full(len(bar), np.nan)
    out = dict.fromkeys(("week_high", "week_low", "prev_week_high", "prev_week_low"), unknown)
    earlier, before = prior.this_week(own, session), prior.last_week(own, session)
    if earlier is not None:
        high, low = extremes_so_far(tape, counts)
        if earlier.height:
            top, bottom = prior.extremes_of(earlier)
            high, low = np.maximum(high, top), np.minimum(low, bottom)
        out |= {"week_high": high[bar], "week_low": low[bar]}
    if before is not None:
        top, bottom = prior.extremes_of(before)
        out |= {"prev_week_high": np.full(len(bar), top), "prev_week_low": np.full(len(bar), bottom)}
    return out


def _swings(bars: pl.DataFrame, tick_nanos: int) -> dict[str, Floats]:
    """Latest confirmed swing of the bars of each type."""
    high, low = [], []
    for part in bars.select("bar_type", "high", "low").partition_by("bar_type", maintain_order=True):
        high.append(last_swing_high(_ticks(part["high"], tick_nanos), SWING_STRENGTH))
        low.append(last_swing_high(-_ticks(part["low"], tick_nanos), SWING_STRENGTH))
    return {
        "swing_high": _price(np.concatenate(high), 1, tick_nanos),
        "swing_low": _price(np.concatenate(low), -1, tick_nanos),
    }


def _ticks(prices: pl.Series, tick_nanos: int) -> Counts:
    return np.asarray(np.rint(prices.to_numpy() * 1e9 / tick_nanos), np.int64)


def _price(ticks: Counts, sign: int, tick_nanos: int) -> Floats:
    exists = ticks != NO_TICK
    return np.where(exists, points(sign * np.where(exists, ticks, 0), tick_nanos), np.nan)


def _series_level(level_series: pl.DataFrame, name: str, end_ns: Counts) -> Floats:
    rows = level_series.filter(pl.col("level_name") == name).sort("bar_ts")
    known_ns = rows["bar_ts"].to_physical().to_numpy() + SERIES_STEP_NS
    return as_of(known_ns, _column(rows, "level_price_raw"), end_ns)


def _nearest_naked(
    tape: Tape, ends: Counts, own: pl.DataFrame, close: Floats, rules: FootprintSettings
) -> Floats:
    """The untouched point of control nearest to each close; the lower one of two equally near."""
    row = tape.tick // rules.ticks_per_row
    nearest = np.full(len(ends), np.nan)
    distance = np.full(len(ends), np.inf)
    for naked in prior.naked_points_of_control(own, rules.ticks_per_row, tape.tick_nanos):
        touches = np.flatnonzero(row == naked)
        untouched = ends <= (touches[0] if len(touches) else len(row))
        price = points(float(naked * rules.ticks_per_row), tape.tick_nanos)
        is_nearer = untouched & (np.abs(close - price) < distance)
        nearest[is_nearer] = price
        distance[is_nearer] = np.abs(close - price)[is_nearer]
    return nearest


def _delta_rank(bars: pl.DataFrame, prior_sessions: pl.DataFrame) -> pl.Series:
    ranks = [
        prior.delta_share_rank(
            prior_sessions,
            part["bar_type"][0],
            np.array(part["delta"], np.int64),
            np.array(part["volume"], np.int64),
        )
        for part in bars.select("bar_type", "delta", "volume").partition_by("bar_type", maintain_order=True)
    ]
    return pl.Series(RANK, np.concatenate(ranks), nan_to_null=True)


def _value_area_flags(
    close: Floats,
    developing: Developing,
    bar: NDArray[np.intp],
    reference: dict[str, Floats],
    tape: Tape,
    rules: FootprintSettings,
) -> list[pl.Series]:
    # A price row is named by its lowest tick; the top row of a value area reaches this much higher.
    row_span = points(rules.ticks_per_row - 1, tape.tick_nanos)
    areas = {
        "is_in_dev_value_area": (developing.val[bar], developing.vah[bar]),
        "is_in_prev_day_value_area": (reference["prev_day_val"], reference["prev_day_vah"]),
    }
    flags = []
    for name, (val, vah) in areas.items():
        inside = pl.Series(name, (close >= val) & (close <= vah + row_span))
        flags.append(inside.set(pl.Series(np.isnan(val) | np.isnan(vah)), None))
    return flags
