"""Where the level stands among the other levels of the bar and in the volume profiles.

Distances are between unrounded prices. A bar sees the levels that are known at its end, and the trades before it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from footprint_assets.calendar import PARTITION_START, previous_session
from footprint_assets.calendar import session as session_of
from footprint_assets.kernels import confluence as around
from footprint_assets.kernels import level_profile as kernel
from footprint_assets.kernels.profile import PER_MILLE
from footprint_assets.kernels.rolling import quotient
from footprint_assets.settings import ApproachSettings, ConfluenceWeights, FootprintSettings, ProfileSettings
from footprint_assets.transforms import prior
from footprint_assets.transforms.approach_rows import Attempt, Columns, Day, MovingLevels
from footprint_assets.transforms.running import Counts, Floats, level_at
from footprint_assets.transforms.windows import points

COUNT_TICKS = (4, 8, 20)
ROUND_POINTS = (25, 100)
NAKED_TICKS = 8
NEAR_TICKS = 4
"""Distances the column names state."""
NAMED = {
    "pm_high": "PM_HIGH",
    "pm_low": "PM_LOW",
    "or_high": "OR_HIGH",
    "or_low": "OR_LOW",
    "sma_90": "SMA_90",
    "overnight_high": "OVERNIGHT_HIGH",
    "overnight_low": "OVERNIGHT_LOW",
    "prev_day_high": "PDH",
    "prev_day_low": "PDL",
    "prev_day_close": "PDC",
    "globex_vwap": "GLOBEX_VWAP",
    "rth_vwap": "RTH_VWAP",
    "dev_poc": "DEV_POC",
    "prev_day_poc": "PD_POC",
    "prev_day_vah": "PD_VAH",
    "prev_day_val": "PD_VAL",
    "call_wall": "CALL_WALL",
    "put_wall": "PUT_WALL",
    "gamma_flip": "GAMMA_FLIP",
}
"""``bar5s_conf_dist_to_<key>_pts`` and the level it measures to."""
MOVING_CLASSES = (
    ("SMA", "moving_average"),
    ("EMA", "moving_average"),
    ("DEV", "profile"),
    ("SESSION", "session"),
    ("CURRENT_WEEK", "session"),
)
"""Classes of moving levels by the beginning of their names; the others are VWAPs."""


@dataclass(frozen=True)
class OtherLevels:
    """The levels beside the one that is approached.

    Args:
        names: Their names, ascending.
        weight: How much each counts; float64[levels], 0 for one that takes no part but in its own distance.
        raw: Unrounded prices at the end of each bar, NaN where not known; float64[levels, bars], points.
    """

    names: tuple[str, ...]
    weight: Floats
    raw: Floats


def other_levels(
    day: Day,
    session_levels: pl.DataFrame,
    moving: MovingLevels,
    level: str,
    weights: ConfluenceWeights,
) -> OtherLevels:
    """The levels of the day beside one of them.

    An extreme that one trade made in several windows is one level, such as ``OR_HIGH``, ``OR15_HIGH`` and perhaps
    ``IB_HIGH``; so is a price that one window gave twice, such as a node at the point of control. The one known first
    counts, of those known together the heaviest. Twins of the level itself have weight 0.

    Args:
        day: The market.
        session_levels: Rows of ``silver.future.session_levels``.
        moving: The levels that move.
        level: Name of the level that is approached.
        weights: Weights by class.

    Returns:
        The levels but the level itself.
    """
    found = sorted(
        [*_standing(day, session_levels, level, weights), *_moving(moving, level, weights)],
        key=lambda other: other[0],
    )
    return OtherLevels(
        tuple(name for name, _, _ in found),
        np.array([weight for _, weight, _ in found], np.float64),
        np.array([raw for _, _, raw in found], np.float64).reshape(len(found), len(day.end_ns)),
    )


def _standing(
    day: Day, session_levels: pl.DataFrame, level: str, weights: ConfluenceWeights
) -> Iterator[tuple[str, float, Floats]]:
    found = session_levels.with_columns(
        pl.col("level_class").cast(pl.String),
        pl.col("formation_start_ts", "valid_from_ts", "extreme_ts").to_physical(),
    )
    seen = {_origin(row) for row in found.filter(pl.col("level_name") == level).iter_rows(named=True)}
    rows = list(found.filter(pl.col("level_name") != level).iter_rows(named=True))
    for row in rows:
        row["weight"] = float(getattr(weights, row["level_class"].lower()))
    # A twin that is known later must not take the place of an earlier one: earlier bars would know of it.
    for row in sorted(rows, key=lambda row: (row["valid_from_ts"], -row["weight"], row["level_name"])):
        weight = 0.0 if _origin(row) in seen else row["weight"]
        seen.add(_origin(row))
        yield row["level_name"], weight, level_at(session_levels, row["level_name"], day.end_ns)


def _origin(row: Mapping[str, object]) -> tuple[object, ...]:
    """What two levels have in common that are the same level under two names."""
    of_trade = ("level_polarity", "level_price_raw", "extreme_ts")
    of_window = ("level_polarity", "level_price_raw", "level_class", "formation_start_ts", "valid_from_ts")
    return tuple(row[name] for name in (of_window if row["extreme_ts"] is None else of_trade))


def _moving(
    moving: MovingLevels, level: str, weights: ConfluenceWeights
) -> Iterator[tuple[str, float, Floats]]:
    for name, raw in moving.raw.items():
        if name != level:
            classes = [kind for start, kind in MOVING_CLASSES if name.startswith(start)]
            yield name, float(getattr(weights, classes[0] if classes else "vwap")), raw


def confluence_columns(
    day: Day, attempt: Attempt, others: OtherLevels, settings: ApproachSettings
) -> Columns:
    """The other levels around the frozen level at the end of each bar of an attempt.

    Args:
        day: The market.
        attempt: The attempt.
        others: The other levels of the day.
        settings: The band.

    Returns:
        The columns.
    """
    takes_part = others.weight != 0
    found = around.levels_around(
        others.raw[takes_part, attempt.rows],
        others.weight[takes_part],
        attempt.raw,
        attempt.direction,
        settings.confluence_band_pts,
        day.tick_size / 2,
        points(np.array(COUNT_TICKS), day.tape.tick_nanos),
    )
    unknown = np.full(attempt.height, np.nan)
    prices = dict(zip(others.names, others.raw[:, attempt.rows], strict=True))
    columns = {
        **{f"count_{ticks}t": found[around.COUNTS + k] for k, ticks in enumerate(COUNT_TICKS)},
        "weighted_score": found[around.SCORE],
        "min_dist_pts": found[around.NEAREST],
        "pressure": quotient(found[around.SCORE], found[around.WEIGHT]),
        "alignment": quotient(found[around.BEYOND], found[around.SCORE]),
        "runway_through_pts": found[around.AHEAD],
        "runway_back_pts": found[around.BACK],
        **{
            f"round{step}_dist_pts": np.full(attempt.height, _to_multiple(attempt.price, step))
            for step in ROUND_POINTS
        },
        **{f"dist_to_{key}_pts": attempt.raw - prices.get(name, unknown) for key, name in NAMED.items()},
    }
    return {f"bar5s_conf_{name}": values for name, values in columns.items()}


def _to_multiple(price: float, step: int) -> float:
    """Distance of the nearest multiple."""
    past = price % step
    return min(past, step - past)


@dataclass(frozen=True)
class PriorProfiles:
    """What earlier sessions of the contract say about prices.

    Args:
        cash_volume: Dense volumes of the last cash session by price row; None where that session is not held.
        cash_lowest: Row of the first of them.
        naked: Untouched points of control as of today's open, rows; int64[naked].
        is_held: Whether any earlier session of the contract is held.
    """

    cash_volume: Counts | None
    cash_lowest: int
    naked: Counts
    is_held: bool

    @classmethod
    def of(cls, day: Day, prior_sessions: pl.DataFrame, ticks_per_row: int) -> PriorProfiles:
        """Read the profiles of the earlier sessions of the day's contract."""
        own = prior.of_contract(prior_sessions, day.bars["symbol"][0])
        naked = prior.naked_points_of_control(own, ticks_per_row, day.tape.tick_nanos)
        last = _last_cash_date(day.session.trade_date)
        held = own.filter(pl.col("source_session_date") == last, pl.col("rth_profile_tick").is_not_null())
        if held.is_empty() or not held["rth_profile_tick"].list.len()[0]:
            return cls(None, 0, naked, own.height > 0)
        row = held.row(0, named=True)
        rows = np.array(row["rth_profile_tick"], np.int64) // ticks_per_row
        volumes = np.zeros(int(rows.max() - rows.min()) + 1, np.int64)
        for side in ("bid", "ask", "unknown"):
            np.add.at(volumes, rows - rows.min(), np.array(row[f"rth_profile_{side}_volume"], np.int64))
        return cls(volumes, int(rows.min()), naked, own.height > 0)


def _last_cash_date(day: dt.date) -> dt.date | None:
    """The last trade date with a cash session before a date; None at the edge of the calendar."""
    while day > PARTITION_START + dt.timedelta(days=1):
        day = previous_session(day)
        if session_of(day).rth_open_ns is not None:
            return day
    return None


def profile_columns(
    day: Day,
    attempt: Attempt,
    earlier: PriorProfiles,
    footprint: FootprintSettings,
    profile: ProfileSettings,
) -> Columns:
    """The standing of the level's price in the developing and in the prior profile.

    The developing profile is the electronic session's until the first cash trade and the cash session's from there on.

    Args:
        day: The market.
        attempt: The attempt.
        earlier: What earlier sessions say.
        footprint: Row height and value area.
        profile: Definition of a volume node.

    Returns:
        The columns; null without a profile.
    """
    level = attempt.tick // footprint.ticks_per_row
    standing = _standings(day, attempt, level, footprint, profile)
    poc = points(standing[:, kernel.POC] * footprint.ticks_per_row, day.tape.tick_nanos)
    columns = {
        "session_vol_pctile": standing[:, kernel.RANK],
        "prev_day_vol_pctile": np.full(attempt.height, _prior_rank(earlier, level)),
        "vol_share_4t": standing[:, kernel.SHARE],
        "is_hvn": standing[:, kernel.IS_HIGH_NODE],
        "is_lvn": standing[:, kernel.IS_LOW_NODE],
        "is_in_value_area": standing[:, kernel.IN_VALUE_AREA],
        "dist_to_dev_poc_pts": attempt.price - poc,
        "naked_poc_within_8t": _naked_nearby(day, attempt, earlier, footprint.ticks_per_row),
    }
    return {f"bar5s_prof_{name}": values for name, values in columns.items()}


def _standings(
    day: Day, attempt: Attempt, level: int, footprint: FootprintSettings, profile: ProfileSettings
) -> Floats:
    tape, height = day.tape, footprint.ticks_per_row
    ends = day.trades_so_far[attempt.rows]
    out = np.full((attempt.height, kernel.STANDINGS), np.nan)
    is_cash = ends > tape.first_cash
    for chosen, first, counts in (
        ((ends > 0) & ~is_cash, 0, ends),
        (is_cash, tape.first_cash, np.minimum(ends, tape.after_cash)),
    ):
        out[chosen] = kernel.profile_standing(
            tape.tick // height,
            tape.size,
            first,
            counts[chosen],
            level,
            (attempt.tick - NEAR_TICKS) // height,
            (attempt.tick + NEAR_TICKS) // height,
            footprint.value_area_pct,
            footprint.value_area_rows,
            profile.smoothing_rows,
            round(profile.hvn_multiple * PER_MILLE),
            round(profile.lvn_multiple * PER_MILLE),
        )
    return out


def _prior_rank(earlier: PriorProfiles, level: int) -> float:
    if earlier.cash_volume is None:
        return float("nan")
    place = level - earlier.cash_lowest
    is_inside = 0 <= place < len(earlier.cash_volume)
    here = earlier.cash_volume[place] if is_inside else np.int64(0)
    return float(kernel.volume_rank(earlier.cash_volume, here))


def _naked_nearby(day: Day, attempt: Attempt, earlier: PriorProfiles, height: int) -> Floats:
    """Whether an untouched point of control is near: one that no trade of today has reached by the end of the bar."""
    if not earlier.is_held:
        return np.full(attempt.height, np.nan)
    ends = day.trades_so_far[attempt.rows]
    out = np.zeros(attempt.height)
    near = earlier.naked[np.abs(earlier.naked * height - attempt.tick) <= NAKED_TICKS]
    for row in near.tolist():
        touched = np.flatnonzero(day.tape.tick // height == row)
        out[ends <= (touched[0] if len(touched) else len(day.tape.tick))] = 1.0
    return out
