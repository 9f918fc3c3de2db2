"""The shape of one simulated session: how busy each minute is, and where fair value goes.

Turns a calendar session and its listings into the arrays the order-book simulator runs on. Every random draw comes
from a generator keyed by (seed, trade date), so a session's path does not depend on how the records were chunked.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from footprint_assets import calendar as cme
from footprint_assets.sample.book import F64, STATE_DTYPE, Curves, State
from footprint_assets.sample.instruments import Listing
from footprint_assets.settings import NANOS_PER_SECOND

PREOPEN = dt.timedelta(minutes=15)
"""Order entry before the open: 17:45 to 18:00 ET."""
WEEK_BREAK_NS = 24 * 3600 * NANOS_PER_SECOND
"""A market closed for longer than this opens with cleared books."""

_MINUTE_NS = 60 * NANOS_PER_SECOND
_MINUTE_ASIA = 0
_MINUTE_LONDON = 9 * 60
_MINUTE_US_MORNING = 13 * 60
_MINUTE_US_DATA = 14 * 60 + 30
_MINUTE_RTH = 15 * 60 + 30
_MINUTE_RTH_END = 22 * 60
_HOLIDAY_RECORDS = 0.25
_QUIET_BEFORE_MIDNIGHT_NS = 5_000_000
_QUIET_AFTER_MIDNIGHT_NS = 3_000_000
_SETTLEMENT_NS = 30 * NANOS_PER_SECOND
_KNOT_SECONDS = 1200
_SMOOTHING_SECONDS = 600
_NQ_SLOPE = 2.0
"""NQ ticks a tick of ES on the slow path (both tick by 0.25; NQ moves more points)."""


@dataclass(frozen=True)
class FairValue:
    """Fair value of each root at the end of the last session, ticks of 0.25 points.

    Attributes:
        es_ticks: The expiry nearest to expiration.
        nq_ticks: The NQ front contract.
        carry_points: Price of the second ES expiry minus the first; negative when dividends exceed interest.
    """

    es_ticks: float
    nq_ticks: float
    carry_points: float


def preopen_ns(session: cme.Session) -> int:
    """Start of order entry before a session's open, ns UTC."""
    return session.open_ns - int(PREOPEN.total_seconds()) * NANOS_PER_SECOND


def starts_week(session: cme.Session) -> bool:
    """Whether the market was closed long enough before the session for its books to be cleared."""
    previous = cme.session(cme.previous_session(session.trade_date))
    return session.open_ns - previous.close_ns > WEEK_BREAK_NS


def settlement_window_ns(session: cme.Session) -> tuple[int, int]:
    """The 30 seconds before 16:00 ET, or before an early close, whose VWAP settles the contract."""
    end = min(session.open_ns + _MINUTE_RTH_END * _MINUTE_NS, session.close_ns)
    return end - _SETTLEMENT_NS, end


def minute_activity(session: cme.Session) -> F64:
    """Relative record rate of every minute of a session.

    Args:
        session: The session.

    Returns:
        float64[minutes], 1 for an ordinary minute of regular trading hours: quiet in Asia, busier from the London
        open and around 08:30 ET, U-shaped from 09:30 to 16:00 ET.
    """
    minutes = -(-(session.close_ns - session.open_ns) // _MINUTE_NS)
    rate = np.full(minutes, 0.10)
    rate[_MINUTE_ASIA : _MINUTE_ASIA + 30] = 0.25
    rate[_MINUTE_LONDON:_MINUTE_US_MORNING] = 0.22
    rate[_MINUTE_US_MORNING:_MINUTE_RTH] = 0.40
    rate[_MINUTE_US_DATA : _MINUTE_US_DATA + 10] = 1.3
    rate[_MINUTE_RTH_END:] = 0.25
    if session.rth_open_ns is not None and session.rth_close_ns is not None:
        start = (session.rth_open_ns - session.open_ns) // _MINUTE_NS
        end = (session.rth_close_ns - session.open_ns) // _MINUTE_NS
        x = np.linspace(-1.0, 1.0, end - start)
        rate[start:end] = 0.9 + 1.6 * np.maximum(-x, 0.0) ** 3 + 1.3 * np.maximum(x, 0.0) ** 4
    else:
        rate[_MINUTE_RTH:] = 0.30
    return rate


def _depth_scale(session: cme.Session) -> F64:
    """Book depth relative to regular trading hours, by minute."""
    minutes = -(-(session.close_ns - session.open_ns) // _MINUTE_NS)
    scale = np.full(minutes, 0.45)
    if session.rth_open_ns is not None and session.rth_close_ns is not None:
        start = (session.rth_open_ns - session.open_ns) // _MINUTE_NS
        end = (session.rth_close_ns - session.open_ns) // _MINUTE_NS
        scale[start:end] = 1.0
    return scale


def records_of_front(session: cme.Session, records_per_session: int) -> int:
    """MBP-10 records of the front ES contract: a quarter of an ordinary session when the cash market is closed."""
    if session.rth_open_ns is None:
        return int(records_per_session * _HOLIDAY_RECORDS)
    return records_per_session


def _slow_path(rng: np.random.Generator, variance: F64, sigma: float) -> F64:
    """A smooth trending path: a random walk over 20-minute knots, smoothed over 10 minutes; starts at 0.

    The steps grow with the square root of the activity, so that regular hours leave the range of the night.
    """
    seconds = variance.shape[0]
    at = np.arange(seconds // _KNOT_SECONDS + 2) * _KNOT_SECONDS
    weights = variance[np.minimum(at, seconds - 1)]
    steps = rng.standard_normal(at.size) * sigma * np.sqrt(weights / weights.sum())
    path = np.interp(np.arange(seconds), at, np.cumsum(steps))
    total = np.cumsum(np.concatenate((np.full(_SMOOTHING_SECONDS, path[0]), path)))
    smooth = (total[_SMOOTHING_SECONDS:] - total[:-_SMOOTHING_SECONDS]) / _SMOOTHING_SECONDS
    return np.asarray(smooth - smooth[0], dtype=np.float64)


def _noise_path(rng: np.random.Generator, variance: F64, sigma: float) -> F64:
    """A random walk whose variance follows the activity curve; ``sigma`` ticks at the end of the session."""
    steps = rng.standard_normal(variance.shape[0]) * np.sqrt(variance / variance.sum())
    return np.asarray(np.cumsum(steps) * sigma, dtype=np.float64)


def _sway_path(rng: np.random.Generator, seconds: int, sigma: float) -> F64:
    """A mean-reverting deviation: sinusoids of random phase with periods between 10 minutes and 3 hours."""
    periods = rng.uniform(600.0, 10_800.0, 8)
    phases = rng.uniform(0.0, 2.0 * np.pi, 8)
    time = np.arange(seconds)[:, None]
    waves = np.sin(2.0 * np.pi * time / periods + phases)
    return np.asarray(waves.mean(axis=1) * sigma, dtype=np.float64)


def plan_session(
    session: cme.Session,
    listed: tuple[Listing, ...],
    *,
    records_per_session: int,
    seed: int,
    start: FairValue,
) -> tuple[State, Curves, FairValue]:
    """Lay out one session for the simulator.

    Args:
        session: The session.
        listed: Its instruments.
        records_per_session: MBP-10 records of the front ES contract in an ordinary session.
        seed: Seed of the whole sample.
        start: Fair value at the end of the session before.

    Returns:
        The state array with empty books and the plan filled in, the session's curves, and fair value at its end.
    """
    rng = np.random.default_rng([seed, session.trade_date.toordinal()])
    begin = preopen_ns(session)
    front_records = records_of_front(session, records_per_session)
    rate = minute_activity(session)
    depth_scale = _depth_scale(session)
    seconds = (session.close_ns - begin) // NANOS_PER_SECOND + 2
    preopen_seconds = int(PREOPEN.total_seconds())
    by_second = np.concatenate((np.full(preopen_seconds + 2, 0.01), np.repeat(rate, 60)))[:seconds]

    sigma = float(np.clip(np.sqrt(0.02 * front_records), 4.0, 120.0))
    slow = _slow_path(rng, by_second, float(np.clip(front_records / 500, 12.0, 90.0)))
    common = _noise_path(rng, by_second, sigma)
    gap = rng.standard_normal() * 3.0
    carry = start.carry_points + _noise_path(rng, by_second, 0.15) + _sway_path(rng, seconds, 0.1)
    es = start.es_ticks + gap + slow + common
    nq_own = _noise_path(rng, by_second, 0.5 * sigma)
    nq = start.nq_ticks + _NQ_SLOPE * gap + _NQ_SLOPE * (slow + common) + nq_own

    near = min(entry.instrument.maturity for entry in listed)
    fair = np.stack([_fair_of(entry, near, es, nq, carry) for entry in listed])
    curve = np.concatenate(([0.0], np.cumsum(rate)))
    close_ns = np.array(
        [min(session.close_ns, entry.instrument.expiration_ns) for entry in listed], dtype=np.int64
    )
    # An expiring contract stops early and has only the records of its own hours.
    traded = np.interp((close_ns - session.open_ns) / _MINUTE_NS, np.arange(curve.size), curve)
    activity = np.minimum(curve / traded[:, None], 1.0)
    shares = np.array([entry.liquidity.record_share for entry in listed]) * traded / curve[-1]
    budget = np.maximum(front_records * shares, 32).astype(np.int64)
    midnight = -(-session.open_ns // (86_400 * NANOS_PER_SECOND)) * 86_400 * NANOS_PER_SECOND
    state = np.zeros(len(listed), dtype=STATE_DTYPE)
    for i, entry in enumerate(listed):
        state[i]["instrument_id"] = entry.instrument.instrument_id
        state[i]["tick_nanos"] = entry.instrument.tick_nanos
        state[i]["is_dense"] = entry.liquidity.is_dense
        state[i]["crosses"] = entry.liquidity.crosses_before_open
        state[i]["size_scale"] = entry.liquidity.size_scale
        state[i]["depth"] = entry.liquidity.depth_contracts
        state[i]["push_gap"] = entry.liquidity.push_gap_ticks
        state[i]["trade_share"] = entry.liquidity.trade_share
        state[i]["preopen_ns"] = begin + 1_000_000 * (1 + i)
    state["aggressor_orders"] = 1
    # xorshift must not start at 0.
    state["rng"] = rng.integers(1, 2**63, len(listed), dtype=np.uint64)
    state["open_ns"] = session.open_ns
    state["close_ns"] = close_ns
    state["quiet_from_ns"] = midnight - _QUIET_BEFORE_MIDNIGHT_NS
    state["quiet_to_ns"] = midnight + _QUIET_AFTER_MIDNIGHT_NS
    state["settle_from_ns"], state["settle_to_ns"] = settlement_window_ns(session)
    state["preopen_budget"] = np.clip(budget // 200, 40, 400)
    state["budget"] = budget
    curves = Curves(activity=activity, depth_scale=depth_scale, fair=fair, fair_start_ns=begin)
    return state, curves, FairValue(float(es[-1]), float(nq[-1]), float(carry[-1]))


def _fair_of(entry: Listing, near_maturity: dt.date, es: F64, nq: F64, carry: F64) -> F64:
    """Fair value of one instrument in its own ticks, by second."""
    instrument = entry.instrument
    ticks_a_point = NANOS_PER_SECOND / instrument.tick_nanos
    if instrument.is_spread:
        return carry * ticks_a_point
    if instrument.root == "NQ":
        return nq
    return es if instrument.maturity == near_maturity else es + carry * ticks_a_point
