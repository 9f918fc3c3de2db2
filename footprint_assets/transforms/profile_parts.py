"""What each profile of a trade date is made of: its hours, its trades of today, its volume of earlier sessions.

The two profile tables read the same parts, so that a row and its summary cannot disagree about what belongs to them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.calendar import OutsideCalendar, Session, previous_session
from footprint_assets.calendar import session as session_of
from footprint_assets.settings import PRICE_SCALE
from footprint_assets.transforms.prior import of_contract, this_week
from footprint_assets.transforms.windows import between, tick_size_nanos, times_ns

COMPOSITES = {"COMPOSITE_5D": 5, "COMPOSITE_20D": 20}
"""Cash sessions of each composite, today's included."""
VOLUMES = ("bid_volume", "ask_volume", "unknown_volume", "trades")

Hours = tuple[tuple[int, int], ...]
"""Half-open windows, ns since the epoch."""


@dataclass(frozen=True)
class Profile:
    """One profile.

    Args:
        name: ``profile_type`` of the contract.
        ticks: One row a traded tick: ``tick`` ascending and ``VOLUMES``, all Int64.
        trades: Today's trades of the profile, event order.
        open_tick: Its first trade, ticks.
        hours: Trading hours of a profile of today alone; none of a profile of several sessions.
    """

    name: str
    ticks: pl.DataFrame
    trades: pl.DataFrame
    open_tick: int
    hours: Hours

    @property
    def is_of_today(self) -> bool:
        """Whether the profile is of this trade date alone, so that its brackets and dwell times are known."""
        return bool(self.hours)

    def total_volume(self) -> int:
        """Contracts."""
        return int(self.ticks.select(pl.sum_horizontal(pl.col(VOLUMES[:3]).sum())).item())


def profile_parts(
    trades_clean: pl.DataFrame, prior_sessions: pl.DataFrame, session: Session
) -> tuple[Profile, ...]:
    """The profiles of a trade date that exist, in the order of the contract's enum.

    Args:
        trades_clean: At least one row of ``silver.future.trades_clean``: one contract, one trade date, event order.
        prior_sessions: Rows of ``silver.future.prior_sessions`` of the trade date; may be empty.
        session: The trade date's session.

    Returns:
        ``RTH``, ``ETH`` and ``FULL`` where they traded; ``WEEK`` and the composites where every earlier session they
        need is held for the same contract.
    """
    today = tuple(_of_today(trades_clean, session))
    by_name = {profile.name: profile for profile in today}
    own = of_contract(prior_sessions, trades_clean["symbol"][0])
    tick_nanos = tick_size_nanos(trades_clean)
    longer = []
    week = this_week(own, session)
    if week is not None:
        longer.append(_extended("WEEK", by_name["FULL"], week, "", tick_nanos))
    if "RTH" in by_name:
        for name, count in COMPOSITES.items():
            cash = _cash_sessions(own, session.trade_date, count - 1)
            if cash is not None:
                longer.append(_extended(name, by_name["RTH"], cash, "rth_", tick_nanos))
    return (*today, *longer)


def to_ticks(price: float, tick_nanos: int) -> int:
    """A traded price as the whole number of ticks it is; 0 where the tick size is not known."""
    return round(price * PRICE_SCALE / tick_nanos) if tick_nanos else 0


def traded_ticks(trades: pl.DataFrame) -> pl.DataFrame:
    """Volume by aggressor and trades at each traded tick, as ``Profile.ticks``."""
    size, sign = pl.col("size").cast(pl.Int64), pl.col("aggressor_sign")
    return (
        trades.group_by(pl.col("price_tick").cast(pl.Int64).alias("tick"))
        .agg(
            size.filter(sign < 0).sum().alias("bid_volume"),
            size.filter(sign > 0).sum().alias("ask_volume"),
            size.filter(sign == 0).sum().alias("unknown_volume"),
            pl.len().cast(pl.Int64).alias("trades"),
        )
        .sort("tick")
    )


def brackets(profile: Profile, bracket_ns: int) -> NDArray[np.int64]:
    """TPO bracket of every trade of a profile of today, counted from the start of its hours.

    A print outside the trading hours belongs to the bracket next to it.

    Args:
        profile: A profile of today.
        bracket_ns: Length of a bracket, ns.

    Returns:
        int64[trades], ascending from 0.
    """
    start_ns, end_ns = profile.hours[0][0], profile.hours[-1][1]
    last = (end_ns - start_ns - 1) // bracket_ns
    return np.clip((times_ns(profile.trades) - start_ns) // bracket_ns, 0, last)


def _of_today(trades: pl.DataFrame, session: Session) -> Iterator[Profile]:
    trading = (session.open_ns, session.close_ns)
    parts: list[tuple[str, pl.DataFrame, Hours]] = [("ETH", trades, (trading,)), ("FULL", trades, (trading,))]
    if session.rth_open_ns is not None and session.rth_close_ns is not None:
        cash = (session.rth_open_ns, session.rth_close_ns)
        around = ((session.open_ns, cash[0]), (cash[1], session.close_ns))
        start, end = session.window_ns
        night = pl.concat((between(trades, start, cash[0]), between(trades, cash[1], end)))
        parts[:1] = [("RTH", between(trades, *cash), (cash,)), ("ETH", night, around)]
    for name, part, hours in parts:
        if part.height:
            yield Profile(name, traded_ticks(part), part, int(part["price_tick"][0]), hours)


def _extended(name: str, today: Profile, earlier: pl.DataFrame, prefix: str, tick_nanos: int) -> Profile:
    """Today's profile and those of earlier sessions, the latest first, as one; ``prefix`` tells cash from whole."""
    lists = {"tick": f"{prefix}profile_tick", **{column: f"{prefix}profile_{column}" for column in VOLUMES}}
    held = earlier.select(pl.col(held).alias(column) for column, held in lists.items()).explode(list(lists))
    # A session without a trade at all explodes into one row of nulls.
    frames = (held.drop_nulls().cast(pl.Int64), today.ticks)
    ticks = pl.concat(frames).group_by("tick").agg(pl.col(VOLUMES).sum()).sort("tick")
    open_tick = to_ticks(earlier[f"{prefix}open"][-1], tick_nanos) if earlier.height else today.open_tick
    return Profile(name, ticks, today.trades, open_tick, ())


def _cash_sessions(own: pl.DataFrame, trade_date: dt.date, count: int) -> pl.DataFrame | None:
    """The contract's last ``count`` cash sessions before today, the latest first; None where one is not held."""
    days: list[dt.date] = []
    day = trade_date
    while len(days) < count:
        try:
            day = previous_session(day)
        except OutsideCalendar:
            return None
        if session_of(day).rth_open_ns is not None:
            days.append(day)
    rows = own.filter(pl.col("source_session_date").is_in(days), "has_rth")
    return rows if rows.height == count else None
