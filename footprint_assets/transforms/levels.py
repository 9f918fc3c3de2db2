"""Static price levels of one contract on one trade date, each with the instant it became knowable.

Levels come from trade prices in half-open Eastern-time windows, from round numbers around the open and from earlier
sessions (``prior_levels``). A level that does not exist has no row: an empty window, a date without a cash session, an
earlier session that is not held. Adding a level is adding a row. Dynamic levels (moving averages, running VWAP) are
rows of ``level_series``: one row could not hold their history.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from footprint_assets import contracts
from footprint_assets.calendar import Session, et_ns
from footprint_assets.errors import FootprintError
from footprint_assets.settings import (
    NANOS_PER_SECOND,
    PRICE_SCALE,
    FootprintSettings,
    LevelSettings,
    ProfileSettings,
)
from footprint_assets.transforms.level import Level, Window
from footprint_assets.transforms.prior import of_contract
from footprint_assets.transforms.prior_levels import (
    Row,
    cash_window,
    first_session_of_week,
    last_cash_session,
    naked_poc_levels,
    prior_day_levels,
    prior_week_levels,
    rows_by_date,
    week_open_level,
)
from footprint_assets.transforms.windows import (
    between,
    longest_gap_ns,
    points,
    tick_size_nanos,
    ticks_and_sizes,
    times_ns,
)

TABLE = "silver.future.session_levels"


class TickSizeMismatch(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The trades' price ladder was cut with another tick size than the one given."""


def session_levels(
    trades_clean: pl.DataFrame,
    session: Session,
    levels: LevelSettings,
    prior_sessions: pl.DataFrame,
    tick_size: float,
    footprint: FootprintSettings,
    profile: ProfileSettings,
) -> pl.DataFrame:
    """The static price levels of a trade date.

    A level is valid from the end of its window on and never reads a trade at or after that instant. A window is
    partial when it reaches beyond the cash close, or when trading starts later after its start, stops earlier before
    its end, or (cash hours) pauses longer than ``max_gap_seconds``. That is a statement about the window alone, so data
    that end later do not change it.

    Args:
        trades_clean: Rows of ``silver.future.trades_clean``: one contract, one trade date, event order.
        session: The trade date's session.
        levels: Windows, the longest hole, and how many levels of a family are kept.
        prior_sessions: Rows of ``silver.future.prior_sessions`` of the contract and date; may be empty. Only those of
            the same contract are read.
        tick_size: Minimum price increment, points.
        footprint: Row height of the profile nodes are looked for in.
        profile: Definition of a volume node.

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
    own = of_contract(prior_sessions, symbol)
    rows = rows_by_date(own)
    prior = last_cash_session(rows, session)
    found = [
        *_globex_levels(trades_clean, rows, session, levels, tick_nanos),
        *_cash_levels(trades_clean, session, levels, tick_nanos, prior),
        *prior_week_levels(own, session),
        *naked_poc_levels(own, session, levels, footprint.ticks_per_row, tick_nanos),
    ]
    if prior is not None:
        found += prior_day_levels(prior, session, levels, footprint, profile, tick_nanos)
    table = [level.row(symbol, session.trade_date, tick_nanos) for level in found]
    return pl.DataFrame(table, schema=schema).sort("level_name")


def _globex_levels(
    trades: pl.DataFrame, rows: dict[dt.date, Row], session: Session, levels: LevelSettings, tick_nanos: int
) -> Iterator[Level]:
    """The open of the trade date and of its week, and the round numbers around it."""
    week_start = first_session_of_week(session)
    if week_start in rows:
        yield week_open_level(rows[week_start], session, levels)
    opening = _first_trade(trades, session, session.open_ns, session.close_ns, levels)
    if opening is None:
        return
    yield _open_level("GLOBEX_OPEN", opening, tick_nanos)
    if week_start == session.trade_date:
        yield _open_level("WEEK_OPEN", opening, tick_nanos)
    yield from _round_levels(opening, levels, tick_nanos)


def _round_levels(opening: Window, levels: LevelSettings, tick_nanos: int) -> Iterator[Level]:
    """Multiples of each step nearest to the Globex open: at or above it, and below."""
    open_nanos = int(opening.tick[0]) * tick_nanos
    for step in levels.round_points:
        step_nanos = step * PRICE_SCALE
        first_above = -(-open_nanos // step_nanos)
        for k in range(1, levels.round_levels + 1):
            for side, multiple in (("ABOVE", first_above + k - 1), ("BELOW", first_above - k)):
                price = multiple * step_nanos / PRICE_SCALE
                yield Level(f"ROUND_{step}_{side}_{k}", "ROUND", 0, price, opening)


def _cash_levels(
    trades: pl.DataFrame,
    session: Session,
    levels: LevelSettings,
    tick_nanos: int,
    prior: Row | None,
) -> Iterator[Level]:
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
            is_partial = opening.is_partial or cash_window(prior, session, levels).is_partial
            ends = replace(opening, is_partial=is_partial)
            yield Level("HALF_GAP", "SESSION", 0, (level.price_raw + prior["rth_close"]) / 2, ends)


def _window(
    trades: pl.DataFrame, session: Session, start_ns: int, end_ns: int, levels: LevelSettings
) -> Window | None:
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
) -> Window | None:
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


def _filled(inside: pl.DataFrame, session: Session, start_ns: int, end_ns: int, is_partial: bool) -> Window:
    tick, size = ticks_and_sizes(inside)
    return Window(
        start_ns=start_ns,
        valid_from_ns=end_ns,
        source=session.trade_date,
        is_partial=is_partial,
        trades=inside.height,
        volume=int(inside["size"].sum()),
        tick=tick,
        size=size,
        ts_ns=times_ns(inside),
    )


def _range_levels(
    prefix: str, level_class: str, window: Window, tick_nanos: int, *, with_mid: bool
) -> Iterator[Level]:
    assert window.ts_ns is not None
    top, bottom = int(window.tick.argmax()), int(window.tick.argmin())
    high, low = int(window.tick[top]), int(window.tick[bottom])
    yield Level(f"{prefix}_HIGH", level_class, 1, points(high, tick_nanos), window, int(window.ts_ns[top]))
    yield Level(f"{prefix}_LOW", level_class, -1, points(low, tick_nanos), window, int(window.ts_ns[bottom]))
    if with_mid:
        yield Level(f"{prefix}_MID", level_class, 0, points((high + low) / 2, tick_nanos), window)


def _open_level(name: str, opening: Window, tick_nanos: int) -> Level:
    return Level(name, "SESSION", 0, points(int(opening.tick[0]), tick_nanos), opening)


def _after(start_ns: int, minutes: int) -> int:
    return start_ns + minutes * 60 * NANOS_PER_SECOND


def _require_tick_size(trades: pl.DataFrame, tick_nanos: int) -> None:
    found = tick_size_nanos(trades)
    if found not in (0, tick_nanos):
        raise TickSizeMismatch(
            f"The trades' price ladder has steps of {found / PRICE_SCALE} points, not {tick_nanos / PRICE_SCALE}.",
            where={"table": "silver.future.trades_clean", "symbol": trades["symbol"][0]},
            remedy="Set the root's tick_size_nanos, then materialise trades_clean again.",
        )
