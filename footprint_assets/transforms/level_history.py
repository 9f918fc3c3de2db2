"""What earlier attempts at the level left behind: how many there were, how they ended, how this one compares.

An earlier attempt is known from its ``decision_ts`` on, how it ended from its ``label_end_ts`` on. A bar reads neither
before its own end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from footprint_assets.calendar import Session
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.settings import NANOS_PER_SECOND
from footprint_assets.transforms.approach_rows import Attempt, Columns, Day, MovingLevels, stale_episodes
from footprint_assets.transforms.running import Counts, Floats, level_at

OUTCOME_CODES = {"BREAK": 1.0, "BOUNCE": -1.0, "CHOP": 0.0}
TRENDS = {
    "replenishment_trend": "bar5s_lvlliq_replenishment_ratio_w12",
    "delta_liq_trend": "bar5s_lvlliq_net_qty_w12",
    "imbal_trend": "bar5s_lvltrade_toward_imbal_w12",
    "velocity_trend": "bar5s_approach_velocity_pts_per_min_w12",
}
"""Columns that are compared with what they were at the decision of the first attempt."""


@dataclass(frozen=True)
class LevelFacts:
    """What is known of the level itself.

    Args:
        raw: Its value before rounding at the end of each bar, NaN where not known; float64[bars], points.
        since_ns: When each bar's value was taken, ns since the epoch; int64[bars], meaningless where not known.
    """

    raw: Floats
    since_ns: Counts

    @classmethod
    def of(cls, day: Day, session_levels: pl.DataFrame, moving: MovingLevels, level: str) -> LevelFacts:
        """Read one level.

        Args:
            day: The market.
            session_levels: Rows of ``silver.future.session_levels``.
            moving: The levels that move.
            level: Name of the level.

        Returns:
            Its facts. A level that stands still was taken when it became valid, a moving one in the bar in which it took
            its value.
        """
        static = session_levels.filter(pl.col("level_name") == level)
        if static.height:
            since_ns = np.full(len(day.end_ns), static["valid_from_ts"].to_physical()[0], np.int64)
            return cls(level_at(session_levels, level, day.end_ns), since_ns)
        unknown = np.full(len(day.end_ns), np.nan)
        age_ns = np.rint(np.nan_to_num(moving.age_s.get(level, unknown)) * NANOS_PER_SECOND)
        return cls(moving.raw.get(level, unknown), day.end_ns - age_ns.astype(np.int64))


@dataclass(frozen=True)
class Ending:
    """How an attempt began and ended.

    Args:
        touch_ns: Its touch, ns since the epoch.
        known_ns: When its outcome was known, ns since the epoch.
        outcome: BREAK, BOUNCE, CHOP or UNDEFINED.
    """

    touch_ns: int
    known_ns: int
    outcome: str

    @classmethod
    def of(cls, episodes: pl.DataFrame, outcomes: pl.DataFrame, session: Session) -> list[Ending]:
        """The endings of episodes, in their order.

        Raises:
            StaleEpisodes: If the outcomes are not those of the episodes.
        """
        if not episodes["episode_id"].equals(outcomes["episode_id"]):
            raise stale_episodes("the outcomes are not those of the episodes", session)
        rows = pl.DataFrame(
            [
                episodes["touch_event_ts"].to_physical(),
                outcomes["label_end_ts"].to_physical(),
                outcomes["outcome"].cast(pl.String),
            ]
        )
        return [cls(*row) for row in rows.iter_rows()]


def touch_columns(
    day: Day,
    attempt: Attempt,
    earlier: Sequence[tuple[Attempt, Ending]],
    facts: LevelFacts,
    now: Mapping[str, Floats],
    at_first: Mapping[str, float],
) -> Columns:
    """The history of the level at the end of each bar of an attempt.

    Args:
        day: The market.
        attempt: The attempt.
        earlier: The attempts before it and how they ended, the first one first.
        facts: The level itself.
        now: The attempt's columns, at least those ``TRENDS`` names; float64[rows] each.
        at_first: The same of the first attempt at its decision.

    Returns:
        The columns.
    """
    end_ns = day.end_ns[attempt.rows]
    return {
        f"bar5s_touch_{name}": values
        for name, values in (
            _counts(day, attempt, earlier, end_ns)
            | _since_last_touch(day, attempt, earlier, end_ns)
            | _level(attempt, facts, end_ns)
            | _trends(day, attempt, earlier, now, at_first, end_ns)
        ).items()
    }


def _decision_ns(day: Day, attempt: Attempt) -> int:
    return int(day.start_ns[attempt.trigger]) + BAR_NS


def _counts(day: Day, attempt: Attempt, earlier: Sequence[tuple[Attempt, Ending]], end_ns: Counts) -> Columns:
    touches, breaks, bounces = (np.zeros(attempt.height) for _ in range(3))
    last = np.full(attempt.height, np.nan)
    for before, ending in earlier:
        touches += end_ns >= _decision_ns(day, before)
        is_known = end_ns >= ending.known_ns
        breaks += is_known & (ending.outcome == "BREAK")
        bounces += is_known & (ending.outcome == "BOUNCE")
        if ending.outcome in OUTCOME_CODES:
            last[is_known] = OUTCOME_CODES[ending.outcome]
    return {
        "attempt_index": np.full(attempt.height, float(attempt.number)),
        "prior_touches_session": touches,
        "prior_breaks_session": breaks,
        "prior_bounces_session": bounces,
        "last_outcome_code": last,
        "is_first_touch": np.full(attempt.height, float(attempt.number == 1)),
    }


def _since_last_touch(
    day: Day, attempt: Attempt, earlier: Sequence[tuple[Attempt, Ending]], end_ns: Counts
) -> Columns:
    away = np.abs(day.distance(attempt))
    seconds, excursion = (np.full(attempt.height, np.nan) for _ in range(2))
    for before, ending in earlier:
        is_past = end_ns >= _decision_ns(day, before)
        seconds[is_past] = (end_ns[is_past] - ending.touch_ns) / NANOS_PER_SECOND
        since = np.fmax.accumulate(away[before.trigger : attempt.end])
        excursion[is_past] = attempt.of_rows(since, before.trigger)[is_past]
    return {"time_since_last_touch_s": seconds, "max_excursion_since_touch_pts": excursion}


def _level(attempt: Attempt, facts: LevelFacts, end_ns: Counts) -> Columns:
    """Age of the value the attempt froze, and how far the level has moved from it since."""
    age = (end_ns - facts.since_ns[attempt.start]) / NANOS_PER_SECOND
    return {
        "level_age_s": np.where(age >= 0, age, np.nan),
        "level_drift_pts": facts.raw[attempt.rows] - attempt.raw,
    }


def _trends(
    day: Day,
    attempt: Attempt,
    earlier: Sequence[tuple[Attempt, Ending]],
    now: Mapping[str, Floats],
    at_first: Mapping[str, float],
    end_ns: Counts,
) -> Columns:
    """Now minus the first attempt at its decision; NaN in the first attempt and before that decision."""
    if not earlier:
        return {name: np.full(attempt.height, np.nan) for name in TRENDS}
    is_known = end_ns >= _decision_ns(day, earlier[0][0])
    return {
        name: np.where(is_known, now[source] - at_first[source], np.nan) for name, source in TRENDS.items()
    }
