"""One static price level, the window that formed it, and its row in the table of levels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import overload

import numpy as np
from numpy.typing import NDArray

from footprint_assets.settings import PRICE_SCALE
from footprint_assets.transforms.windows import points


@dataclass(frozen=True)
class Window:
    """A formation window: when it begins and ends, and what traded in it.

    Args:
        start_ns: Its first instant, ns since the epoch.
        valid_from_ns: First instant the levels it forms are knowable, ns since the epoch.
        source: Trade date of its trades.
        is_partial: Whether it holds less than it should.
        trades: Trades in it.
        volume: Contracts traded in it.
        tick: Prices that traded, in ticks, repeated or not; int64[rows].
        size: Contracts of each row; int64[rows].
        ts_ns: Time of each row where the rows are trades, None where they are a profile; int64[rows].
    """

    start_ns: int
    valid_from_ns: int
    source: date
    is_partial: bool
    trades: int
    volume: int
    tick: NDArray[np.int64]
    size: NDArray[np.int64]
    ts_ns: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Level:
    """A price level.

    Args:
        name: Such as ``PDH``.
        level_class: One of the contract's classes.
        polarity: +1 a high, -1 a low, 0 neither.
        price_raw: Points, before rounding to the tick.
        window: What formed it.
        extreme_ns: Time of the first trade at it where it is an extreme, ns since the epoch.
    """

    name: str
    level_class: str
    polarity: int
    price_raw: float
    window: Window
    extreme_ns: int | None = None

    def row(self, symbol: str, trade_date: date, tick_nanos: int) -> dict[str, object]:
        """The level's row of ``silver.future.session_levels``.

        Args:
            symbol: Raw symbol of the contract.
            trade_date: Trade date the level is used on.
            tick_nanos: Minimum price increment, 1e-9 points.
        """
        window = self.window
        tick = int(half_up(self.price_raw, tick_nanos))
        return {
            "symbol": symbol,
            "session_date": trade_date,
            "level_name": self.name,
            "level_type": self.name,
            "level_class": self.level_class,
            "is_dynamic": False,
            "level_polarity": self.polarity,
            "level_price": points(tick, tick_nanos),
            "level_price_raw": self.price_raw,
            "formation_start_ts": window.start_ns,
            "valid_from_ts": window.valid_from_ns,
            "valid_to_ts": None,
            "extreme_ts": self.extreme_ns,
            "window_trades": window.trades,
            "window_volume": window.volume,
            "volume_at_level": int(window.size[window.tick == tick].sum()),
            "is_partial_window": window.is_partial,
            "source_session_date": window.source,
        }


@overload
def half_up(price: float, tick_nanos: int) -> float: ...
@overload
def half_up(price: NDArray[np.float64], tick_nanos: int) -> NDArray[np.float64]: ...
def half_up(price: NDArray[np.float64] | float, tick_nanos: int) -> NDArray[np.float64] | float:
    """Prices rounded to the nearest tick, a half tick up.

    Args:
        price: Points.
        tick_nanos: Minimum price increment, 1e-9 points.

    Returns:
        Whole ticks, as floats.
    """
    # The inner rounding keeps a half tick a half whatever the last bit of the quotient.
    ticks: NDArray[np.float64] = np.floor(np.round(price * PRICE_SCALE / tick_nanos, 6) + 0.5)
    return ticks
