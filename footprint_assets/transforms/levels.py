"""Price levels of one contract on one trade date, each with the instant it became knowable.

Levels come from trade prices in half-open Eastern-time windows and from the prior cash session's profile. A level that
does not exist has no row: an empty window, a date without a cash session, no published prior session. Adding a level is
adding a row. Dynamic levels (moving averages, running VWAP) are not here: one row could not hold their history.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import OutsideCalendar, Session, et_ns, previous_session
from footprint_assets.calendar import session as session_of
from footprint_assets.errors import FootprintError
from footprint_assets.settings import NANOS_PER_SECOND, PRICE_SCALE, LevelSettings
from footprint_assets.transforms.windows import (
    between,
    longest_gap_ns,
    points,
    tick_size_nanos,
    times_ns,
)

TABLE = "silver.future.session_levels"
PRIOR_LEVELS = {
    "PDH": ("PRIOR_DAY", 1, "high"),
    "PDL": ("PRIOR_DAY", -1, "low"),
    "PDO": ("PRIOR_DAY", 0, "open"),
    "PDC": ("PRIOR_DAY", 0, "close"),
    "PD_SETTLE": ("PRIOR_DAY", 0, "settlement"),
    "PD_POC": ("PROFILE", 0, "poc_price"),
    "PD_VAH": ("PROFILE", 1, "vah_price"),
    "PD_VAL": ("PROFILE", -1, "val_price"),
    "PD_VWAP": ("VWAP", 0, "vwap"),
}
"""Levels read off the prior cash session's profile: class, polarity, column of ``volume_profile_session``."""


class TickSizeMismatch(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The trades' price ladder was cut with another tick size than the one given."""


@dataclass(frozen=True)
class _Window:
    """A formation window: when it begins and ends, and what traded in it.

    ``ts_ns``, ``tick`` and ``size`` are int64[trades], None where only the totals are held (prior sessions).
    """

    start_ns: int
    valid_from_ns: int
    source: date
    is_partial: bool
    trades: int
    volume: int
    ts_ns: NDArray[np.int64] | None = None
    tick: NDArray[np.int64] | None = None
    size: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class _Level:
    name: str
    level_class: str
    polarity: int
    price_raw: float
    window: _Window
    extreme_ns: int | None = None


def session_levels(
    trades_clean: pl.DataFrame,
    session: Session,
    levels: LevelSettings,
    prior_sessions: pl.DataFrame,
    tick_size: float,
) -> pl.DataFrame:
    """The static price levels of a trade date.

    A level is valid from the end of its window on and never reads a trade at or after that instant. A window is
    partial when it reaches beyond the cash close, or when trading starts later after its start, stops earlier before
    its end, or (cash hours) pauses longer than ``max_gap_seconds``. That is a statement about the window alone, so data
    that end later do not change it.

    Args:
        trades_clean: Rows of ``silver.future.trades_clean``: one contract, one trade date, event order.
        session: The trade date's session.
        levels: Windows and the longest hole.
        prior_sessions: Rows of ``silver.future.volume_profile_session`` of prior trade dates; may be empty. Only the
            same contract's last cash session is read: a level of another contract or an older date would be wrong.
        tick_size: Minimum price increment, points.

    Returns:
        Rows of ``silver.future.session_levels`` sorted by name; none where nothing traded.

    Raises:
        TickSizeMismatch: The trades disagree with ``tick_size``.
    """
    schema = contracts.load(TABLE).polars_schema
    if trades_clean.is_empty():
        return schema.to_frame()
    tick_nanos = round(tick_size * PRICE_SCALE)
    _require_tick_size(trades_clean, tick_nanos)
    symbol = trades_clean["symbol"][0]
    prior = _prior_cash_session(prior_sessions, symbol, session, levels)
    found = [
        *_globex_levels(trades_clean, session, levels, tick_nanos),
        *_cash_levels(trades_clean, session, levels, tick_nanos, prior),
        *_prior_levels(prior, session, levels),
    ]
    rows = [_row(level, symbol, session, tick_nanos) for level in sorted(found, key=lambda level: level.name)]
    return pl.DataFrame(rows, schema=schema)


def half_up(price: float, tick_nanos: int) -> int:
    """A price rounded to the nearest tick, a half tick up.

    Args:
        price: Points.
        tick_nanos: Minimum price increment, 1e-9 points.

    Returns:
        Ticks.
    """
    # The inner rounding keeps a half tick a half whatever the last bit of the quotient.
    return math.floor(round(price * PRICE_SCALE / tick_nanos, 6) + 0.5)


def _globex_levels(
    trades: pl.DataFrame, session: Session, levels: LevelSettings, tick_nanos: int
) -> Iterator[_Level]:
    opening = _first_trade(trades, session, session.open_ns, session.close_ns, levels)
    if opening:
        yield _open_level("GLOBEX_OPEN", opening, tick_nanos)


def _cash_levels(
    trades: pl.DataFrame,
    session: Session,
    levels: LevelSettings,
    tick_nanos: int,
    prior: dict[str, object] | None,
) -> Iterator[_Level]:
    """Levels of dates with a cash session: pre-market, overnight, opening ranges, initial balance, open, half gap."""
    if session.rth_open_ns is None or session.rth_close_ns is None:
        return
    cash_open = session.rth_open_ns
    premarket_start = et_ns(session.trade_date, levels.premarket_start)
    ranges = [
        ("PM", "PREMARKET", premarket_start, cash_open),
        ("OVERNIGHT", "OVERNIGHT", session.open_ns, cash_open),
        ("OR", "OPENING_RANGE", cash_open, _after(cash_open, levels.opening_range_minutes)),
        *((f"OR{m}", "OPENING_RANGE", cash_open, _after(cash_open, m)) for m in levels.opening_ranges),
        ("IB", "INITIAL_BALANCE", cash_open, _after(cash_open, levels.initial_balance_minutes)),
    ]
    for prefix, level_class, start_ns, end_ns in ranges:
        window = _window(trades, session, start_ns, end_ns, levels)
        if window:
            yield from _range_levels(
                prefix, level_class, window, tick_nanos, with_mid=prefix in ("OVERNIGHT", "IB")
            )
    opening = _first_trade(trades, session, cash_open, session.rth_close_ns, levels)
    if opening:
        level = _open_level("RTH_OPEN", opening, tick_nanos)
        yield level
        if prior is not None:
            # Half a gap is only as good as both of its ends.
            ends = replace(opening, is_partial=opening.is_partial or _is_partial(prior, levels))
            yield _Level("HALF_GAP", "SESSION", 0, (level.price_raw + _number(prior["close"])) / 2, ends)


def _prior_levels(
    prior: dict[str, object] | None, session: Session, levels: LevelSettings
) -> Iterator[_Level]:
    if prior is None:
        return
    source = prior["session_date"]
    assert isinstance(source, date)
    window = _Window(
        start_ns=session_of(source).rth_open_ns or session_of(source).open_ns,
        valid_from_ns=session.open_ns,
        source=source,
        is_partial=_is_partial(prior, levels),
        trades=int(_number(prior["trades"])),
        volume=int(_number(prior["total_volume"])),
    )
    for name, (level_class, polarity, column) in PRIOR_LEVELS.items():
        if prior[column] is not None:
            yield _Level(name, level_class, polarity, _number(prior[column]), window)
    yield _Level("PD_MID", "PRIOR_DAY", 0, (_number(prior["high"]) + _number(prior["low"])) / 2, window)


def _is_partial(prior: dict[str, object], levels: LevelSettings) -> bool:
    return _number(prior["longest_gap_ns"]) > levels.max_gap_seconds * NANOS_PER_SECOND


def _prior_cash_session(
    prior_sessions: pl.DataFrame, symbol: str, session: Session, levels: LevelSettings
) -> dict[str, object] | None:
    """The cash profile of the last trade date that had a cash session, or None where it is not published."""
    day = session.trade_date
    for _ in range(levels.lookback_sessions):
        try:
            day = previous_session(day)
        except OutsideCalendar:
            return None
        if session_of(day).rth_open_ns is not None:
            rows = prior_sessions.filter(
                pl.col("symbol") == symbol, pl.col("session_date") == day, pl.col("profile_type") == "RTH"
            )
            return rows.row(0, named=True) if rows.height else None
    return None


def _window(
    trades: pl.DataFrame, session: Session, start_ns: int, end_ns: int, levels: LevelSettings
) -> _Window | None:
    """The trades of a window that ends at ``end_ns``, or None where nothing traded."""
    assert session.rth_open_ns is not None
    assert session.rth_close_ns is not None
    inside = between(trades, start_ns, min(end_ns, session.rth_close_ns))
    if inside.is_empty():
        return None
    ts_ns = times_ns(inside)
    gap_ns = max(int(ts_ns[0]) - start_ns, end_ns - int(ts_ns[-1]))
    if start_ns >= session.rth_open_ns:
        gap_ns = longest_gap_ns(ts_ns, start_ns, end_ns)
    is_partial = end_ns > session.rth_close_ns or gap_ns > levels.max_gap_seconds * NANOS_PER_SECOND
    return _filled(inside, session, start_ns, end_ns, is_partial)


def _first_trade(
    trades: pl.DataFrame, session: Session, start_ns: int, end_ns: int, levels: LevelSettings
) -> _Window | None:
    """The window from ``start_ns`` to just after its first trade, or None where nothing traded before ``end_ns``.

    The end is one nanosecond after the trade, so that a bar ending at the very instant of the trade, which does not
    hold it yet, does not know its price either.
    """
    first = between(trades, start_ns, end_ns).head(1)
    if first.is_empty():
        return None
    known_ns = int(times_ns(first)[0]) + 1
    is_late = known_ns - start_ns > levels.max_gap_seconds * NANOS_PER_SECOND
    return _filled(between(trades, start_ns, known_ns), session, start_ns, known_ns, is_late)


def _filled(inside: pl.DataFrame, session: Session, start_ns: int, end_ns: int, is_partial: bool) -> _Window:
    return _Window(
        start_ns=start_ns,
        valid_from_ns=end_ns,
        source=session.trade_date,
        is_partial=is_partial,
        trades=inside.height,
        volume=int(inside["size"].sum()),
        ts_ns=times_ns(inside),
        tick=inside["price_tick"].cast(pl.Int64).to_numpy(),
        size=inside["size"].to_numpy(),
    )


def _range_levels(
    prefix: str, level_class: str, window: _Window, tick_nanos: int, *, with_mid: bool
) -> Iterator[_Level]:
    assert window.ts_ns is not None
    assert window.tick is not None
    top, bottom = int(window.tick.argmax()), int(window.tick.argmin())
    high, low = int(window.tick[top]), int(window.tick[bottom])
    yield _Level(f"{prefix}_HIGH", level_class, 1, points(high, tick_nanos), window, int(window.ts_ns[top]))
    yield _Level(f"{prefix}_LOW", level_class, -1, points(low, tick_nanos), window, int(window.ts_ns[bottom]))
    if with_mid:
        yield _Level(f"{prefix}_MID", level_class, 0, points((high + low) / 2, tick_nanos), window)


def _open_level(name: str, opening: _Window, tick_nanos: int) -> _Level:
    assert opening.tick is not None
    return _Level(name, "SESSION", 0, points(int(opening.tick[0]), tick_nanos), opening)


def _row(level: _Level, symbol: str, session: Session, tick_nanos: int) -> dict[str, object]:
    window = level.window
    level_tick = half_up(level.price_raw, tick_nanos)
    at_level = None
    if window.tick is not None and window.size is not None:
        at_level = int(window.size[window.tick == level_tick].sum())
    return {
        "symbol": symbol,
        "session_date": session.trade_date,
        "level_name": level.name,
        "level_type": level.name,
        "level_class": level.level_class,
        "is_dynamic": False,
        "level_polarity": level.polarity,
        "level_price": points(level_tick, tick_nanos),
        "level_price_raw": level.price_raw,
        "formation_start_ts": window.start_ns,
        "valid_from_ts": window.valid_from_ns,
        "valid_to_ts": None,
        "extreme_ts": level.extreme_ns,
        "window_trades": window.trades,
        "window_volume": window.volume,
        "volume_at_level": at_level,
        "is_partial_window": window.is_partial,
        "source_session_date": window.source,
    }


def _after(start_ns: int, minutes: int) -> int:
    return start_ns + minutes * 60 * NANOS_PER_SECOND


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return value


def _require_tick_size(trades: pl.DataFrame, tick_nanos: int) -> None:
    found = tick_size_nanos(trades)
    if found not in (0, tick_nanos):
        raise TickSizeMismatch(
            f"The trades' price ladder has steps of {found / PRICE_SCALE} points, not {tick_nanos / PRICE_SCALE}.",
            where={"table": "silver.future.trades_clean", "symbol": trades["symbol"][0]},
            remedy="Set the root's tick_size_nanos, then materialise trades_clean again.",
        )
