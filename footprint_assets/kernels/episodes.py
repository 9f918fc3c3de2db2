"""The state machine that finds approaches and touches of one price level, bar by bar.

Arrays in, arrays out; the carried state makes any chunking of a session give the same triggers as one pass. A bar is
judged with what was known at its end: nothing here looks ahead, and nothing here knows a clock but the bar number.

A level is FAR, in APPROACH or in TOUCH. ``side`` is where price last stood outside the touch band: +1 below the level,
-1 above. The level is frozen from the bar an approach begins until price has left it again, so that a moving level
cannot trigger by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

FAR, APPROACH, TOUCH = 0, 1, 2
NEVER = -(2**62)
"""Bar number of the last trigger before there is one; far from the ends of int64, so that adding cannot wrap."""
_STATE, _SIDE, _OUT_RUN, _ATTEMPT, _LAST, _START, _LEVEL = range(7)
_BAR, _FROM, _DIRECTION, _INDEX, _CROSS, _PRICE = range(6)


@dataclass(frozen=True)
class Thresholds:
    """The distances and durations of the machine.

    Args:
        approach_ticks: Distance at which an approach begins, ticks.
        hysteresis_ticks: Distance beyond it at which the approach is given up, ticks.
        touch_ticks: Half width of the touch band, ticks.
        reset_ticks: Distance from the level that ends a touch, ticks.
        reset_bars: Bars without a trade in the band that end a touch.
        cooldown_bars: Fewest bars from one trigger to the next.
    """

    approach_ticks: int
    hysteresis_ticks: int
    touch_ticks: int
    reset_ticks: int
    reset_bars: int
    cooldown_bars: int

    def as_array(self) -> Int64:
        """The thresholds in the order the kernel reads them; int64[6]."""
        return np.array(
            [
                self.approach_ticks,
                self.hysteresis_ticks,
                self.touch_ticks,
                self.reset_ticks,
                self.reset_bars,
                self.cooldown_bars,
            ],
            np.int64,
        )


@dataclass(frozen=True)
class LevelState:
    """What the bars so far leave behind for the next one; advanced in place by ``scan``."""

    # [state, side, bars out of the band, attempts, bar of the last trigger, first bar of the approach, frozen level]
    values: Int64 = field(default_factory=lambda: np.array([FAR, 0, 0, 0, NEVER, 0, 0], np.int64))


@dataclass(frozen=True)
class Triggers:
    """The attempts that began in a chunk, and the re-touches of attempts that were running.

    Args:
        bar: Bar number of the trigger; int64[n].
        start: Bar number at which the approach began and the level was frozen; int64[n].
        direction: +1 from below, -1 from above; int64[n].
        attempt: 1, 2, ... in the session; int64[n].
        is_cross: Price jumped over the band without a trade in it; bool[n].
        level: The frozen level; int64[n], ticks.
        retouched: Attempt of each re-touch; int64[m].
    """

    bar: Int64
    start: Int64
    direction: Int64
    attempt: Int64
    is_cross: Bool
    level: Int64
    retouched: Int64

    def __len__(self) -> int:
        return len(self.bar)


def scan(
    bar: Int64,
    mid: Float64,
    level: Int64,
    is_known: Bool,
    low: Int64,
    high: Int64,
    traded: Bool,
    thresholds: Thresholds,
    state: LevelState,
) -> Triggers:
    """Run the machine over the next bars of a session.

    A bar whose level or microprice is not known is skipped as if it were absent. Bar numbers may jump: the cooldown
    counts bar numbers, the bars out of the band count bars seen.

    Args:
        bar: Bar numbers, strictly ascending; int64[bars].
        mid: Microprice at bar end; float64[bars], ticks, NaN where not known.
        level: The level as known at bar end; int64[bars], ticks.
        is_known: Whether ``level`` holds a value; bool[bars].
        low: Lowest trade of the bar; int64[bars], ticks.
        high: Highest trade of the bar; int64[bars], ticks.
        traded: Whether the bar has a trade, so that ``low`` and ``high`` hold values; bool[bars].
        thresholds: Distances and durations.
        state: What the bars before left behind; changed.

    Returns:
        The triggers and re-touches of these bars.
    """
    found, retouched = _scan(
        bar, mid, level, is_known, low, high, traded, thresholds.as_array(), state.values
    )
    return Triggers(
        bar=found[_BAR],
        start=found[_FROM],
        direction=found[_DIRECTION],
        attempt=found[_INDEX],
        is_cross=found[_CROSS] == 1,
        level=found[_PRICE],
        retouched=retouched,
    )


@njit(cache=True, nogil=True)
def _side_of(distance: float) -> int:
    return 1 if distance < 0 else -1


@njit(cache=True, nogil=True)
def _leave(state: Int64, distance: float) -> None:
    state[_STATE] = FAR
    state[_SIDE] = _side_of(distance)


@njit(cache=True, nogil=True)
def _come_closer(state: Int64, bar: int, level: int, distance: float, approach: int, touch: int) -> None:
    """What a bar without a touch does to a level that is FAR."""
    if abs(distance) > touch:
        state[_SIDE] = _side_of(distance)
    if state[_SIDE] != 0 and abs(distance) <= approach:
        state[_STATE] = APPROACH
        state[_START] = bar
        state[_LEVEL] = level


@njit(cache=True, nogil=True)
def _scan(
    bar: Int64,
    mid: Float64,
    level: Int64,
    is_known: Bool,
    low: Int64,
    high: Int64,
    traded: Bool,
    thresholds: Int64,
    state: Int64,
) -> tuple[Int64, Int64]:
    approach, hysteresis, touch, reset, reset_bars, cooldown = thresholds
    found = np.empty((6, bar.shape[0]), np.int64)
    retouched = np.empty(bar.shape[0], np.int64)
    triggers = 0
    retouches = 0
    for i in range(bar.shape[0]):
        if np.isnan(mid[i]) or (state[_STATE] == FAR and not is_known[i]):
            continue
        price = level[i] if state[_STATE] == FAR else state[_LEVEL]
        distance = mid[i] - price
        in_band = traded[i] and high[i] >= price - touch and low[i] <= price + touch
        crossed = not in_band and state[_SIDE] * distance > touch
        if state[_STATE] == TOUCH:
            state[_OUT_RUN] = 0 if in_band else state[_OUT_RUN] + 1
            if state[_OUT_RUN] >= reset_bars and abs(distance) >= reset:
                _leave(state, distance)
        elif in_band or crossed:
            if state[_SIDE] == 0:
                continue
            if state[_STATE] == FAR:
                state[_START] = bar[i]
                state[_LEVEL] = price
            if bar[i] >= state[_LAST] + cooldown:
                state[_ATTEMPT] += 1
                state[_LAST] = bar[i]
                found[_BAR, triggers] = bar[i]
                found[_FROM, triggers] = state[_START]
                found[_DIRECTION, triggers] = state[_SIDE]
                found[_INDEX, triggers] = state[_ATTEMPT]
                found[_CROSS, triggers] = int(crossed)
                found[_PRICE, triggers] = price
                triggers += 1
            else:
                retouched[retouches] = state[_ATTEMPT]
                retouches += 1
            state[_STATE] = TOUCH
            state[_OUT_RUN] = 0
        elif state[_STATE] == APPROACH:
            if abs(distance) > approach + hysteresis:
                _leave(state, distance)
        else:
            _come_closer(state, bar[i], price, distance, approach, touch)
    return found[:, :triggers].copy(), retouched[:retouches].copy()


@njit(cache=True, nogil=True)
def first_touch(tick: Int64, level: int, direction: int, touch_ticks: int) -> int:
    """The trade of a trigger bar that touched the level.

    Args:
        tick: Trades of the bar in event order; int64[trades], ticks.
        level: The level, ticks.
        direction: +1 from below, -1 from above.
        touch_ticks: Half width of the touch band, ticks.

    Returns:
        Position of the first trade inside the band; where none is, of the first one beyond it in ``direction``; -1
        where there is none either (the quotes alone crossed).
    """
    beyond = -1
    for i in range(tick.shape[0]):
        signed = direction * (tick[i] - level)
        if abs(signed) <= touch_ticks:
            return i
        if beyond < 0 and signed > touch_ticks:
            beyond = i
    return beyond


@njit(cache=True, nogil=True)
def longest_pause(is_quiet: Bool) -> int:
    """Longest run of consecutive quiet bars.

    Args:
        is_quiet: Whether a bar has no record; bool[bars].

    Returns:
        Bars.
    """
    longest = 0
    run = 0
    for i in range(is_quiet.shape[0]):
        run = run + 1 if is_quiet[i] else 0
        longest = max(longest, run)
    return longest
