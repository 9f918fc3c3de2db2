"""Which contracts the sample market lists on a trade date: expiries, the volume roll, ids and trading character.

Only listing rules live here; prices, books and files are built by the neighbouring modules.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from footprint_assets import calendar as cme

MONTH_CODES = {3: "H", 6: "M", 9: "U", 12: "Z"}
"""Futures month codes of the quarterly equity-index cycle."""

_NEXT_EXPIRY_SHARE = {-2: 0.16, -1: 0.40, 0: 0.45, 1: 0.21}
"""Volume of the second expiry over the first by weekdays from the roll Monday.

The shares of ESM4/ESU4 in June 2024 (Databento ohlcv-1d), rounded; outside these days the share is 0.08.
"""


@dataclass(frozen=True)
class Liquidity:
    """How busy and how deep an instrument's simulated book is.

    Attributes:
        record_share: MBP-10 records relative to the front ES contract.
        depth_contracts: Typical resting size of a full level in regular trading hours.
        size_scale: Multiplies the sizes of orders and trades, contracts.
        push_gap_ticks: Distance of fair value from the mid that makes somebody move the market, ticks.
        trade_share: Share of undirected events that are trades.
        is_dense: Whether orders rest out of sight behind the tenth level, so that the visible book stays full.
        crosses_before_open: Whether the pre-open book may cross and match in an opening print.
    """

    record_share: float
    depth_contracts: int
    size_scale: int
    push_gap_ticks: float
    trade_share: float
    is_dense: bool
    crosses_before_open: bool = True


@dataclass(frozen=True)
class Instrument:
    """One listed future or calendar spread of the sample market.

    Attributes:
        raw_symbol: Exchange symbol, for example ``ESU4`` or ``ESM4-ESU4``.
        root: Product root, ``ES`` or ``NQ``.
        instrument_id: Simulated id, unique for the whole cycle; no id of the real exchange.
        tick_nanos: Minimum price increment, 1e-9 points.
        expiration_ns: Last trade instant, ns UTC.
        maturity: First day of the contract month (of the near leg for a spread).
        legs: The two outrights of a calendar spread (near, far); empty for an outright.
    """

    raw_symbol: str
    root: str
    instrument_id: int
    tick_nanos: int
    expiration_ns: int
    maturity: dt.date
    legs: tuple[str, ...] = ()

    @property
    def is_spread(self) -> bool:
        """Whether the instrument is a calendar spread."""
        return bool(self.legs)


@dataclass(frozen=True)
class Listing:
    """An instrument as it trades on one trade date."""

    instrument: Instrument
    liquidity: Liquidity


def expiration_date(year: int, month: int) -> dt.date:
    """The last trading day of a quarterly equity-index future.

    Args:
        year: Contract year.
        month: Contract month: 3, 6, 9 or 12.

    Returns:
        The third Friday of the month, or the session before it when the cash market is closed that day
        (CME rulebook, chapters 358 and 359).
    """
    first = dt.date(year, month, 1)
    friday = first + dt.timedelta(days=(4 - first.weekday()) % 7 + 14)
    if cme.is_session(friday) and cme.session(friday).rth_open_ns is not None:
        return friday
    return cme.previous_session(friday)


def roll_date(year: int, month: int) -> dt.date:
    """The trade date on which volume has moved to the next expiry: the Monday of the expiration week."""
    expiration = expiration_date(year, month)
    return expiration - dt.timedelta(days=expiration.weekday())


def live_expiries(trade_date: dt.date) -> tuple[tuple[int, int], tuple[int, int]]:
    """The two nearest unexpired quarterly contract months, as ``(year, month)`` pairs."""
    cycle = [
        (year, month) for year in (trade_date.year, trade_date.year + 1) for month in sorted(MONTH_CODES)
    ]
    live = [(year, month) for year, month in cycle if _is_live(year, month, trade_date)]
    return live[0], live[1]


def _is_live(year: int, month: int, trade_date: dt.date) -> bool:
    if (year, month) != (trade_date.year, trade_date.month):
        return dt.date(year, month, 1) > trade_date
    return trade_date <= expiration_date(year, month)


def symbol_of(root: str, year: int, month: int) -> str:
    """CME raw symbol of an outright: root, month code, last digit of the year."""
    return f"{root}{MONTH_CODES[month]}{year % 10}"


def listings(trade_date: dt.date) -> tuple[Listing, ...]:
    """The instruments of a trade date, leader of the ES volume first.

    Args:
        trade_date: A CME session.

    Returns:
        Front ES, the other ES expiry, their calendar spread and the NQ front contract.
    """
    near, far = live_expiries(trade_date)
    roll = roll_date(*near)
    has_rolled = trade_date >= roll
    leader, second = (far, near) if has_rolled else (near, far)
    share = _NEXT_EXPIRY_SHARE.get(_weekdays_between(roll, trade_date), 0.08)
    is_rolling = share > 0.1
    front = Liquidity(1.0, 45, 1, 0.9, 0.07, is_dense=True)
    other = (
        Liquidity(share, 25, 1, 1.2, 0.03, is_dense=True)
        if is_rolling
        else Liquidity(share, 8, 1, 2.5, 0.02, is_dense=False)
    )
    return (
        Listing(_outright("ES", *leader), front),
        Listing(_outright("ES", *second), other),
        Listing(
            _spread("ES", near, far), Liquidity(0.02, 400, 8, 0.9, 0.06, True, crosses_before_open=False)
        ),
        Listing(_outright("NQ", *leader), Liquidity(0.30, 7, 1, 2.0, 0.03, is_dense=True)),
    )


def _weekdays_between(start: dt.date, end: dt.date) -> int:
    """Signed count of weekdays from ``start`` to ``end``."""
    step = 1 if end >= start else -1
    day, count = start, 0
    while day != end:
        day += dt.timedelta(days=step)
        if day.weekday() < 5:
            count += step
    return count


def _last_trade_ns(year: int, month: int) -> int:
    """Equity-index futures stop trading at 09:30 ET on the expiration day."""
    return cme.et_ns(expiration_date(year, month), dt.time(9, 30))


def _outright(root: str, year: int, month: int) -> Instrument:
    family = {"ES": 100_000, "NQ": 200_000}[root]
    return Instrument(
        raw_symbol=symbol_of(root, year, month),
        root=root,
        instrument_id=family + (year - 2000) * 100 + month,
        tick_nanos=250_000_000,
        expiration_ns=_last_trade_ns(year, month),
        maturity=dt.date(year, month, 1),
    )


def _spread(root: str, near: tuple[int, int], far: tuple[int, int]) -> Instrument:
    legs = (symbol_of(root, *near), symbol_of(root, *far))
    return Instrument(
        raw_symbol="-".join(legs),
        root=root,
        instrument_id=300_000 + (near[0] - 2000) * 100 + near[1],
        tick_nanos=50_000_000,
        expiration_ns=_last_trade_ns(*near),
        maturity=dt.date(near[0], near[1], 1),
        legs=legs,
    )
