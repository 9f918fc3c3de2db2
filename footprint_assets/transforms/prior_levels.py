"""Levels that earlier sessions leave for today: the last cash session's, the last week's, untouched points of control.

All are known at the Globex open and come from the same contract: another expiry's price would look right and be wrong.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.calendar import OutsideCalendar, Session, previous_session, sessions
from footprint_assets.calendar import session as session_of
from footprint_assets.kernels.profile import PER_MILLE, smoothed, volume_nodes
from footprint_assets.settings import (
    NANOS_PER_SECOND,
    PRICE_SCALE,
    FootprintSettings,
    LevelSettings,
    ProfileSettings,
)
from footprint_assets.transforms.level import Level, Window
from footprint_assets.transforms.prior import last_week, naked_points_of_control
from footprint_assets.transforms.windows import points

PRIOR_DAY_LEVELS = {
    "PDH": ("PRIOR_DAY", 1, "rth_high"),
    "PDL": ("PRIOR_DAY", -1, "rth_low"),
    "PDO": ("PRIOR_DAY", 0, "rth_open"),
    "PDC": ("PRIOR_DAY", 0, "rth_close"),
    "PD_SETTLE": ("PRIOR_DAY", 0, "settlement"),
    "PD_POC": ("PROFILE", 0, "rth_poc_price"),
    "PD_VAH": ("PROFILE", 1, "rth_vah_price"),
    "PD_VAL": ("PROFILE", -1, "rth_val_price"),
    "PD_VWAP": ("VWAP", 0, "rth_vwap"),
}
"""Levels read off the last cash session: class, polarity, column of ``prior_sessions``."""
EXTREME_TIMES = {"PDH": "rth_high_ts", "PDL": "rth_low_ts"}

Row = dict[str, Any]
"""A row of ``prior_sessions``; instants are ns since the epoch."""


def rows_by_date(own: pl.DataFrame) -> dict[dt.date, Row]:
    """A contract's rows of ``prior_sessions`` by their trade date, the latest first."""
    # Instants stay integers: a Python datetime has no nanoseconds.
    instants = pl.selectors.datetime().to_physical()
    return {row["source_session_date"]: row for row in own.with_columns(instants).iter_rows(named=True)}


def last_cash_session(rows: dict[dt.date, Row], session: Session) -> Row | None:
    """The row of the last trade date before today that had a cash session, or None where it is not held."""
    day = session.trade_date
    while True:
        try:
            day = previous_session(day)
        except OutsideCalendar:
            return None
        if session_of(day).rth_open_ns is not None:
            row = rows.get(day)
            return row if row and row["has_rth"] else None


def cash_window(row: Row, session: Session, levels: LevelSettings) -> Window:
    """The cash session of an earlier trade date as a window known at today's open."""
    source = session_of(row["source_session_date"])
    return Window(
        start_ns=source.rth_open_ns or source.open_ns,
        valid_from_ns=session.open_ns,
        source=source.trade_date,
        is_partial=row["rth_longest_gap_ns"] > levels.max_gap_seconds * NANOS_PER_SECOND,
        trades=row["rth_trades"],
        volume=row["rth_volume"],
        tick=np.array(row["rth_profile_tick"], np.int64),
        size=_volumes(row, "rth_profile"),
    )


def prior_day_levels(
    row: Row,
    session: Session,
    levels: LevelSettings,
    footprint: FootprintSettings,
    profile: ProfileSettings,
    tick_nanos: int,
) -> Iterator[Level]:
    """Prices, value area, VWAP and volume nodes of the last cash session.

    Args:
        row: The session.
        session: Today.
        levels: Longest hole, and nodes kept.
        footprint: Row height of the profile.
        profile: Definition of a volume node.
        tick_nanos: Minimum price increment, 1e-9 points.
    """
    window = cash_window(row, session, levels)
    for name, (level_class, polarity, column) in PRIOR_DAY_LEVELS.items():
        if row[column] is not None:
            extreme_ns = row[EXTREME_TIMES[name]] if name in EXTREME_TIMES else None
            yield Level(name, level_class, polarity, row[column], window, extreme_ns)
    yield Level("PD_MID", "PRIOR_DAY", 0, (row["rth_high"] + row["rth_low"]) / 2, window)
    high_nodes, low_nodes = _nodes(window, footprint.ticks_per_row, profile)
    for kind, nodes in (("HVN", high_nodes), ("LVN", low_nodes)):
        for k, node in enumerate(nodes[: levels.profile_nodes], start=1):
            yield Level(f"PD_{kind}_{k}", "PROFILE", 0, points(node, tick_nanos), window)


def prior_week_levels(own: pl.DataFrame, session: Session) -> Iterator[Level]:
    """High, low and close of the last trading week, Sunday 18:00 to Friday 17:00 ET; none where a session is missing.

    Args:
        own: Rows of ``prior_sessions`` of the contract itself.
        session: Today.
    """
    week = last_week(own, session)
    if week is None:
        return
    rows = list(rows_by_date(week.sort("source_session_date")).values())
    high = max(rows, key=lambda row: row["high"])
    low = min(rows, key=lambda row: row["low"])
    for name, polarity, row, column in (
        ("PWH", 1, high, "high"),
        ("PWL", -1, low, "low"),
        ("PWC", 0, rows[-1], "close"),
    ):
        window = Window(
            start_ns=session_of(rows[0]["source_session_date"]).open_ns,
            valid_from_ns=session.open_ns,
            source=row["source_session_date"],
            is_partial=not all(day["is_complete"] for day in rows),
            trades=sum(day["trades"] for day in rows),
            volume=sum(day["total_volume"] for day in rows),
            tick=np.concatenate([np.array(day["profile_tick"], np.int64) for day in rows]),
            size=np.concatenate([_volumes(day, "profile") for day in rows]),
        )
        yield Level(name, "PRIOR_WEEK", polarity, row[column], window)


def first_session_of_week(session: Session) -> dt.date:
    """The trade date that opens the trading week, which begins on Sunday 18:00 ET."""
    day = session.trade_date
    return sessions(day - dt.timedelta(days=day.weekday()), day)[0]


def week_open_level(row: Row, session: Session, levels: LevelSettings) -> Level:
    """The first trade of the week, made on an earlier trade date.

    Args:
        row: The week's first session.
        session: Today.
        levels: Longest hole.
    """
    source = session_of(row["source_session_date"])
    window = Window(
        start_ns=source.open_ns,
        valid_from_ns=session.open_ns,
        source=source.trade_date,
        is_partial=row["first_ts"] - source.open_ns > levels.max_gap_seconds * NANOS_PER_SECOND,
        trades=row["trades"],
        volume=row["total_volume"],
        tick=np.array(row["profile_tick"], np.int64),
        size=_volumes(row, "profile"),
    )
    return Level("WEEK_OPEN", "SESSION", 0, row["open"], window)


def naked_poc_levels(
    own: pl.DataFrame,
    session: Session,
    levels: LevelSettings,
    ticks_per_row: int,
    tick_nanos: int,
) -> Iterator[Level]:
    """Cash points of control that no session since has traded at, the latest first.

    Args:
        own: Rows of ``prior_sessions`` of the contract itself, the latest first.
        session: Today.
        levels: How many are kept, and the longest hole.
        ticks_per_row: Row height of the profiles, ticks.
        tick_nanos: Minimum price increment, 1e-9 points.
    """
    naked = set(naked_points_of_control(own, ticks_per_row, tick_nanos).tolist())
    k = 0
    for row in rows_by_date(own).values():
        if k == levels.naked_pocs or row["rth_poc_price"] is None:
            continue
        price_row = round(row["rth_poc_price"] * PRICE_SCALE / tick_nanos) // ticks_per_row
        if price_row in naked:
            k += 1
            naked.remove(price_row)
            window = cash_window(row, session, levels)
            yield Level(f"NAKED_POC_{k}", "PROFILE", 0, row["rth_poc_price"], window)


def _volumes(row: Row, profile: str) -> NDArray[np.int64]:
    parts = [np.array(row[f"{profile}_{side}_volume"], np.int64) for side in ("bid", "ask", "unknown")]
    total: NDArray[np.int64] = parts[0] + parts[1] + parts[2]
    return total


def _nodes(window: Window, ticks_per_row: int, profile: ProfileSettings) -> tuple[list[float], list[float]]:
    """High and low volume nodes of a window, ticks, the strongest of each first.

    A node is the middle of its plateau of the smoothed profile. A high node is stronger the more, a low node the less
    volume it has there; equal ones go by price, the lower first.
    """
    rows = window.tick // ticks_per_row
    bottom = int(rows.min())
    volumes = np.zeros(int(rows.max()) - bottom + 1, np.int64)
    np.add.at(volumes, rows - bottom, window.size)
    height = smoothed(volumes, profile.smoothing_rows)
    flags = volume_nodes(
        volumes,
        profile.smoothing_rows,
        round(profile.hvn_multiple * PER_MILLE),
        round(profile.lvn_multiple * PER_MILLE),
    )
    found: list[list[float]] = []
    for is_node, sign in zip(flags, (-1, 1), strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], is_node, [False]])))
        plateaus = sorted(edges.reshape(-1, 2).tolist(), key=lambda plateau: sign * height[plateau[0]])
        found.append([(bottom + (start + end - 1) / 2) * ticks_per_row for start, end in plateaus])
    return found[0], found[1]
