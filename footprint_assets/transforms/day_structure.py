"""What traders call a profile, an open and a day: rules over a handful of numbers, each on its own.

The words are Steidlmayer's and Dalton's (*Mind over Markets*; *Markets in Profile*); where they leave a threshold to the
eye it is a setting. Prices are whole ticks, so that every comparison is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from footprint_assets.settings import ProfileSettings

ProfileShape = Literal["D", "P", "b", "B", "I"]
OpenType = Literal["OD", "OTD", "ORR", "OA"]
OpenLocation = Literal["ABOVE_RANGE", "ABOVE_VALUE", "IN_VALUE", "BELOW_VALUE", "BELOW_RANGE"]
DayType = Literal["Normal", "NormalVariation", "Trend", "DoubleDistribution", "Neutral", "NonTrend"]


@dataclass(frozen=True)
class Range:
    """A lowest and a highest price, ticks."""

    low: int
    high: int

    @property
    def ticks(self) -> int:
        """High - low."""
        return self.high - self.low


def profile_shape(
    poc_position: float,
    skew: float | None,
    *,
    has_two_distributions: bool,
    is_long_and_thin: bool,
    rules: ProfileSettings,
) -> ProfileShape:
    """The letter a profile looks like, the first that fits of P, b, B, I, else D.

    Args:
        poc_position: (point of control - low) / (high - low), 0 to 1.
        skew: Third standardised moment of the volume-weighted price; None for a profile of one price.
        has_two_distributions: Whether a low volume node lies between two high ones.
        is_long_and_thin: Whether the range is long for its initial balance and few brackets traded each price.
        rules: ``shape_skew``.

    Returns:
        ``P``: volume high with a thin foot. ``b``: its mirror. ``B``: two distributions. ``I``: long and thin.
    """
    if skew is not None and 3 * poc_position >= 2 and skew < -rules.shape_skew:
        return "P"
    if skew is not None and 3 * poc_position <= 1 and skew > rules.shape_skew:
        return "b"
    if has_two_distributions:
        return "B"
    return "I" if is_long_and_thin else "D"


def open_type(
    tick: NDArray[np.int64], balance: Range, references: Iterable[int], rules: ProfileSettings
) -> OpenType:
    """Dalton's opening type, from the trades of the first half hour of the cash session.

    The half hour's side is that of its last trade from the open. ``OD`` open drive: no trade beyond the open on the
    other side, and a drive. ``OTD`` open test drive: first a move to the other side whose extreme tested a reference
    price, then a drive. ``ORR`` open rejection reverse: first a move of some size to the other side, then back through
    the open. Everything else is ``OA``, an open auction. A drive is a move from the open of at least
    ``open_drive_ib`` x the initial balance range.

    Args:
        tick: Prices of the trades, the first is the open; int64[trades], at least one, ticks.
        balance: Initial balance.
        references: Prices a test can fail at, ticks.
        rules: ``open_*``.

    Returns:
        The type.
    """
    move = tick - tick[0]
    if move[-1] == 0:
        return "OA"
    if move[-1] < 0:
        move = -move
    furthest, against = int(move.argmax()), int(move.argmin())
    is_drive = move[furthest] >= rules.open_drive_ib * balance.ticks
    if move[against] == 0:
        return "OD" if is_drive else "OA"
    if against > furthest:
        return "OA"
    test = int(tick[against])
    if is_drive and any(abs(price - test) <= rules.open_reference_ticks for price in references):
        return "OTD"
    return "ORR" if -move[against] >= rules.open_reversal_ib * balance.ticks else "OA"


def open_location(opening: int, value: Range, day: Range) -> OpenLocation:
    """Where the cash session opened against the prior one.

    Args:
        opening: First trade, ticks.
        value: Prior value area, edges included.
        day: Prior range, edges included.

    Returns:
        The zone; its edges belong to the inner one.
    """
    if opening > day.high:
        return "ABOVE_RANGE"
    if opening < day.low:
        return "BELOW_RANGE"
    if opening > value.high:
        return "ABOVE_VALUE"
    return "BELOW_VALUE" if opening < value.low else "IN_VALUE"


def day_type(
    day: Range,
    balance: Range,
    prior_ranges: list[int],
    *,
    has_two_distributions: bool,
    rules: ProfileSettings,
) -> DayType | None:
    """The type of a cash session by how far it left its initial balance.

    Both sides left: ``Neutral``. One side: ``NormalVariation`` under ``trend_ib_multiple`` x the balance, from there on
    ``Trend``, or ``DoubleDistribution`` where a low volume node parts it. Neither: ``NonTrend`` where the range is
    under ``nontrend_range_multiple`` x the mean prior range, else ``Normal``.

    Args:
        day: Range of the cash session.
        balance: Initial balance, inside ``day``.
        prior_ranges: Ranges of earlier cash sessions, ticks.
        has_two_distributions: Whether a low volume node lies between two high ones.
        rules: ``trend_ib_multiple`` and ``nontrend_range_multiple``.

    Returns:
        The type; None for a day inside its balance with no earlier range to measure it by.
    """
    sides = (day.high > balance.high) + (day.low < balance.low)
    if sides == 2:
        return "Neutral"
    if sides == 1:
        if day.ticks < rules.trend_ib_multiple * balance.ticks:
            return "NormalVariation"
        return "DoubleDistribution" if has_two_distributions else "Trend"
    if not prior_ranges:
        return None
    is_narrow = day.ticks * len(prior_ranges) < rules.nontrend_range_multiple * sum(prior_ranges)
    return "NonTrend" if is_narrow else "Normal"
