"""A session in which price tries its levels one after another, and what follows each attempt is drawn from a known law.

The simulator writes the records; the director here watches what trades, moves fair value, and lets attempts differ in what the
law of `edge` looks at. Only the leading ES contract is directed; the other expiry and the spread follow it, NQ goes its own way.

Before the cash session fair value draws the pre-market range and the opening range, far enough apart for an attempt at one
level to be none at another. From 09:45 ET on, in bars of five seconds, it goes to a level next to it, stands before it with the
size, the aggressors and the pace that were drawn for this attempt, and goes on until a trade touches. At the end of that bar all
of this ends, what the records showed until then is measured, and what the law draws from that happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from footprint_assets import calendar as cme
from footprint_assets.sample import book
from footprint_assets.sample.book import I64, NEVER, Curves, Record, State
from footprint_assets.sample.edge import (
    TAPE_S,
    TAPE_TICKS,
    USUAL_SIZE,
    Attempt,
    Edge,
    Shown,
    draw_outcomes,
)
from footprint_assets.sample.instruments import Instrument, Listing
from footprint_assets.settings import NANOS_PER_SECOND

BAR_S = 5
TOUCH_TICKS = 4
"""Distance of the first trade that decides an attempt, ticks: the touch band of the episodes."""
PREMARKET_HOURS = 5.5
OPENING_RANGE_S = 900
LAST_CHANCE_S = 900
"""No attempt begins so shortly before the cash close: it could not be judged."""

_PREMARKET_TICKS = (52.0, 68.0)
_OPENING_RANGE_TICKS = (17.0, 23.0)
_SHOWING_TICKS = 8.0
"""Distance at which price stands and shows, ticks."""
_SHOWING_BARS = 12
_TOUCHING_BARS = 60
"""Bars at most that it then waits for a trade."""
_TRAVEL = 1.25
_TOUCHING = 1.0
"""Speeds, ticks a bar."""
_AWAY_TICKS = 13.0
"""Distance at which an attempt is over: beyond the barriers of 8 ticks, far from any other level."""
_LEVEL_APART_BARS = 28
"""Bars between two attempts at least: the cooldown of 24, and time to leave the touch band."""
_CHOP_BARS = 98
"""Bars between the barriers: the horizon of 480 s and two more."""
_WALL_DOUBLINGS = 2.0
"""The size kept at the level is up to so many times doubled or halved."""
_BUYERS = 0.45
"""How much oftener than not, at most, undirected aggressors trade towards the level."""
_TRADE_SHARE = 0.3
"""Of the undirected events, half to twice of it."""
_TAPE: dict[str, float] = {"aggressor_orders": 2, "push_gap": 2.0}
"""How the tape is before a level; few moves of the market, so that they do not drown the undirected trades."""
_REACHES: dict[str, float] = {"BREAK": 1.0, "BOUNCE": -1.0}


class Director:
    """Moves one session's fair value from attempt to attempt.

    Attributes:
        next_ns: When it wants to act next, ns UTC.
        attempts: What it planted so far.
        shift: Fair value at the end of the session less that of the plan, ticks.
    """

    def __init__(
        self, session: cme.Session, listed: tuple[Listing, ...], curves: Curves, edge: Edge, seed: int
    ) -> None:
        self.attempts: list[Attempt] = []
        self.shift = 0.0
        self.next_ns = NEVER
        self._session, self._edge, self._curves = session, edge, curves
        self._leader = listed[0].instrument
        self._outrights = [
            i
            for i, entry in enumerate(listed)
            if entry.instrument.root == self._leader.root and not entry.instrument.is_spread
        ]
        # A stream of its own: the plan and the simulator draw as they would without attempts.
        self._random = np.random.default_rng([seed, session.trade_date.toordinal(), 1])
        self._leading: Record = None
        self._now = 0
        self._range: tuple[int, int] | None = None
        self._tape = np.empty((0, 4), np.int64)
        self._levels: dict[str, int] = {}
        if session.rth_open_ns is None or session.rth_close_ns is None:
            return
        self._opens, self._closes = session.rth_open_ns, session.rth_close_ns
        self._base = curves.fair[0].copy()
        self._position = self._draw_ranges()
        self.next_ns = self._opens - int(PREMARKET_HOURS * 3600) * NANOS_PER_SECOND
        self._script = self._direct()

    def saw(self, records: I64) -> None:
        """Take note of the leader's trades.

        Args:
            records: int64[rows, 46], MBP-10 records of any instrument, each shown once.
        """
        traded = _trades(records, self._leader)
        if traded.size:
            low, high = int(traded[:, 1].min()), int(traded[:, 1].max())
            self._range = (
                (low, high) if self._range is None else (min(low, self._range[0]), max(high, self._range[1]))
            )
            tape = np.concatenate([self._tape, traded])
            self._tape = tape[tape[:, 0] >= tape[-1, 0] - TAPE_S * NANOS_PER_SECOND]

    def act(self, out: I64, channel: I64, state: State) -> int:
        """Do what is due at ``next_ns``, and set when to act next.

        Args:
            out: int64[rows, 46], receives MBP-10 records; more than ``book.MAX_EVENT_RECORDS`` rows.
            channel: int64[2], last sequence and last ts_recv of the feed, changed in place.
            state: ``STATE_DTYPE``[n], changed in place.

        Returns:
            The number of records written.
        """
        self._leading = state[0]
        self._now = self.next_ns
        self.next_ns = next(self._script)
        self._range = None
        held = int(self._leading["held_size"])
        if held == 0:
            return 0
        side, tick = int(self._leading["held_side"]), int(self._leading["held_tick"])
        return book.write_size(out, channel, state, 0, self._now, side, tick, held)

    def _draw_ranges(self) -> float:
        """Put the pre-market and the opening range into fair value; where it is at their end, ticks."""
        start = self._opens - int(PREMARKET_HOURS * 3600) * NANOS_PER_SECOND
        middle = self._base[self._second(start)]
        first, then = self._turns(_PREMARKET_TICKS)
        up, down = self._turns(_OPENING_RANGE_TICKS)
        premarket = self._random.uniform((0.15, 0.55), (0.40, 0.80)) * PREMARKET_HOURS * 3600
        opening = self._random.uniform((0.20, 0.60), (0.40, 0.75)) * OPENING_RANGE_S
        opens = PREMARKET_HOURS * 3600
        knots = np.array([0.0, *premarket, opens - 60, *(opens + opening), opens + OPENING_RANGE_S])
        ticks = middle + np.array([0.0, first, then, 0.0, up, down, 0.0])
        seconds = np.arange(int(opens) + OPENING_RANGE_S + 1)
        self._set_fair(self._second(start), np.interp(seconds, knots, ticks))
        return float(ticks[-1])

    def _turns(self, ticks: tuple[float, float]) -> tuple[float, float]:
        """The two ends of a range in the order they are reached, from its middle."""
        high, low = self._random.uniform(*ticks, 2)
        return (high, -low) if self._random.random() < 0.5 else (-low, high)

    def _direct(self) -> Iterator[int]:
        """The session as a script: each turn gives the instant of the next."""
        yield self._opens
        self._name_levels("PM")
        yield self._opens + OPENING_RANGE_S * NANOS_PER_SECOND
        self._name_levels("OR")
        while self._levels and self._now < self._closes - LAST_CHANCE_S * NANOS_PER_SECOND:
            yield from self._attempt()
        self._set_fair(self._second(self._now), self._base[self._second(self._now) :] + self._offset())
        self.shift = self._offset()
        yield NEVER

    def _name_levels(self, window: str) -> None:
        if self._range is not None:
            self._levels[f"{window}_LOW"], self._levels[f"{window}_HIGH"] = self._range

    def _attempt(self) -> Iterator[int]:
        name, direction = self._choose()
        level = self._levels[name]
        size, buyers, pace = self._random.uniform(-1.0, 1.0, 3)
        tape = _TAPE | {"trade_share": _TRADE_SHARE * 2.0**pace}
        usual = {name: self._leading[name].item() for name in tape}

        yield from self._go(level - direction * _SHOWING_TICKS, _TRAVEL)
        side = 1 if direction > 0 else 0
        self._show(side, level, USUAL_SIZE * 2.0 ** (_WALL_DOUBLINGS * size), direction * _BUYERS * buyers)
        self._set(tape)
        for bar in range(_SHOWING_BARS + _TOUCHING_BARS):
            if self._touches(level, direction):
                break
            is_there = (level - self._position) * direction <= 0
            yield from self._step(0.0 if bar < _SHOWING_BARS or is_there else direction * _TOUCHING)
        self._show(side, level, 0.0, 0.0)
        self._set(usual)
        shown = _shown(self._tape, self._leading, level, direction, self._now)
        outcome = str(draw_outcomes(self._random, self._edge, shown)[0])
        self.attempts.append(
            Attempt(
                session_date=self._session.trade_date,
                symbol=self._leader.raw_symbol,
                level_type=name,
                level_price=level * self._leader.tick_nanos / NANOS_PER_SECOND,
                approach_direction=direction,
                decision_ns=self._now,
                wall=float(shown.wall[0]),
                flow=float(shown.flow[0]),
                tempo=float(shown.tempo[0]),
                p_tradeable=float(self._edge.p_tradeable(shown)[0]),
                p_break=float(self._edge.p_break(shown)[0]),
                outcome=outcome,
            )
        )
        yield from self._resolve(level, direction, outcome)

    def _choose(self) -> tuple[str, int]:
        """A level next to price, and the side it is approached from."""
        above = [(tick, name) for name, tick in self._levels.items() if tick > self._position]
        below = [(-tick, name) for name, tick in self._levels.items() if tick <= self._position]
        choices = [(min(side)[1], sign) for side, sign in ((above, 1), (below, -1)) if side]
        return choices[self._random.integers(len(choices))]

    def _resolve(self, level: int, direction: int, outcome: str) -> Iterator[int]:
        """What was drawn happens; then price stands away from the level until the next attempt may begin."""
        decided = self._now
        yield from self._follow(level - direction * TOUCH_TICKS, direction)
        if outcome == "CHOP":
            yield from self._go(level - direction * 2.0, _TRAVEL)
            while self._now < decided + _CHOP_BARS * BAR_S * NANOS_PER_SECOND:
                yield from self._stay()
        sign = _REACHES.get(outcome, self._random.choice((-1.0, 1.0)))
        for _ in range(self._random.integers(8)):
            yield from self._stay()
        yield from self._go(level + sign * direction * _AWAY_TICKS, self._random.uniform(0.5, 2.0))
        rests = decided + int(_LEVEL_APART_BARS + self._random.integers(6)) * BAR_S * NANOS_PER_SECOND
        for _ in range(7):
            yield from self._stay()
        while self._now < rests:
            yield from self._stay()

    def _show(self, side: int, level: int, size: float, buyers: float) -> None:
        self._leading["held_side"], self._leading["held_tick"] = side, level
        self._leading["held_size"], self._leading["buyers"] = round(size), buyers

    def _set(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._leading[name] = value

    def _touches(self, level: int, direction: int) -> bool:
        """Whether the bar that ended has a trade within the touch band, or beyond it."""
        if self._range is None:
            return False
        low, high = self._range
        return high >= level - TOUCH_TICKS if direction > 0 else low <= level + TOUCH_TICKS

    def _go(self, to: float, speed: float) -> Iterator[int]:
        while abs(to - self._position) > 1e-9:
            yield from self._step(float(np.clip(to - self._position, -speed, speed)))

    def _follow(self, touched: int, direction: int) -> Iterator[int]:
        """Fair value comes at once to where the touch traded: left behind, the next trade could pass for a bounce."""
        self._position += direction * max(0.0, (touched - self._position) * direction)
        yield from self._stay()

    def _stay(self) -> Iterator[int]:
        yield from self._step(0.0)

    def _step(self, ticks: float) -> Iterator[int]:
        """One bar in which fair value moves evenly by so many ticks."""
        path = self._position + ticks * np.arange(BAR_S + 1) / BAR_S
        self._set_fair(self._second(self._now), path)
        self._position = float(path[-1])
        yield self._now + BAR_S * NANOS_PER_SECOND

    def _offset(self) -> float:
        return float(self._position - self._base[self._second(self._now)])

    def _second(self, ts_ns: int) -> int:
        return (ts_ns - self._curves.fair_start_ns) // NANOS_PER_SECOND

    def _set_fair(self, first: int, ticks: npt.NDArray[np.float64]) -> None:
        """Set the leader's fair value from a second on; other expiries keep their distance to it."""
        seconds = slice(first, first + ticks.shape[0])
        change = ticks - self._curves.fair[0, seconds]
        for i in self._outrights:
            self._curves.fair[i, seconds] += change


def _trades(records: I64, instrument: Instrument) -> I64:
    """The trades of an instrument among records.

    Returns:
        int64[trades, 4]: ts_event (ns UTC), price (ticks), contracts, aggressor (+1 buyer, -1 seller, 0 unknown).
    """
    event = records[:, 3]
    is_own = ((event >> 32 & 0xFF) == ord("T")) & (records[:, 0] >> 32 == instrument.instrument_id)
    event, side = event[is_own], event[is_own] >> 40 & 0xFF
    sign = (side == ord("B")).astype(np.int64) - (side == ord("A"))
    return np.column_stack(
        [records[is_own, 1], records[is_own, 2] // instrument.tick_nanos, event & 0xFFFFFFFF, sign]
    )


def _shown(tape: I64, book_: Record, level: int, direction: int, decision_ns: int) -> Shown:
    """What one attempt showed in the records until it was decided.

    Args:
        tape: Trades until then, the last ``TAPE_S`` seconds or more; int64[trades, 4] as of ``_trades``.
        book_: The book then.
        level: The level, ticks.
        direction: +1 from below, -1 from above.
        decision_ns: End of the bar that decided it, ns UTC.
    """
    is_late = tape[:, 0] >= decision_ns - TAPE_S * NANOS_PER_SECOND
    near = tape[is_late & (np.abs(tape[:, 1] - level) <= TAPE_TICKS)]
    toward = near[:, 2] * near[:, 3] * direction
    told = np.abs(toward).sum()
    in_sight = np.arange(book.STORED_LEVELS) < np.minimum(book_["levels"], book.VISIBLE_LEVELS)[:, None]
    return Shown.of(
        size=[book_["size"][in_sight & (book_["tick"] == level)].sum()],
        imbalance=[toward.sum() / told if told else np.nan],
        trades=[near.shape[0]],
        records=int(book_["budget"]),
    )
