"""What the rows of an approach table are made of: the day, and which of its bars belong to which attempt.

Every family of columns reads the same :class:`Day` and :class:`Attempt` and returns float64 arrays, one value a row of the
attempt, NaN for null. An array "of the bars" has one value a bar of the day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import polars.selectors as cs

from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.settings import (
    PRICE_SCALE,
    ApproachSettings,
    EpisodeSettings,
    FootprintSettings,
    LevelLiquiditySettings,
    OrderFlowSettings,
    ProfileSettings,
)
from footprint_assets.transforms.grid import floats, require_same_bars
from footprint_assets.transforms.running import Counts, Floats, Tape
from footprint_assets.transforms.windows import points

Columns = dict[str, Floats]
MICROPRICE = "bar5s_microprice_eob"
BOOK_COLUMNS = ("bar5s_microprice_twa_px", "bar5s_flow_net_vol_bid_sum", "bar5s_flow_net_vol_ask_sum")
"""What the approach reads of ``silver.future.market_by_price_10_bar5s_book``."""
ATTEMPT_COLUMNS = (
    "trigger_bar_ts", "approach_start_ts", "lookback_bars", "forward_bars", "attempt_index",
    "approach_direction", "level_price", "level_price_raw",
)  # fmt: skip
EPISODE_COLUMNS = (*("symbol", "episode_id", "touch_id", "touch_event_ts"), *ATTEMPT_COLUMNS)
"""What it reads of ``silver.future.market_by_price_10_{level}_episodes``."""
OUTCOME_COLUMNS = ("episode_id", "label_end_ts", "outcome")
"""What it reads of ``silver.future.market_by_price_10_{level}_outcomes``."""
TRADE_COLUMNS = (
    *("ts_event", "price_tick", "size"),
    *("aggressor_sign", "aggressor_order_id", "levels_swept"),
)
"""What it reads of ``silver.future.trades_clean``."""
MINUTE_COLUMNS = ("interval", "bar_ts", "atr_14")
"""What it reads of ``silver.future.ohlcv``."""
SERIES_COLUMNS = ("bar_ts", "level_name", "level_price_raw", "level_age_s")
"""What it reads of ``silver.future.level_series_5s``."""


class StaleEpisodes(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The episodes of a level were not made from these bars, or their outcomes not from them."""


def stale_episodes(what: str, session: Session) -> StaleEpisodes:
    """The refusal of episodes that do not belong to the other tables."""
    return StaleEpisodes(
        what,
        where={"dt": session.trade_date},
        remedy="materialise the episodes of the level and their outcomes of this date again",
    )


@dataclass(frozen=True)
class ApproachInputs:
    """The tables every level's approach is made from, all of one contract and trade date.

    Args:
        bars: Rows of ``silver.future.market_by_price_10_bar5s``.
        book: Rows of ``silver.future.market_by_price_10_bar5s_book``, the same bars.
        price5s: Rows of ``silver.future.market_by_price_10_price5s``, frame by frame.
        shocks: Rows of ``silver.future.market_by_price_10_shocks``.
        trades_clean: Rows of ``silver.future.trades_clean``.
        session_levels: Rows of ``silver.future.session_levels``.
        level_series: Rows of ``silver.future.level_series_5s``.
        prior_sessions: Rows of ``silver.future.prior_sessions``; may be empty.
        ohlcv: Rows of ``silver.future.ohlcv``; only the one-minute bars are read.
    """

    bars: pl.DataFrame
    book: pl.DataFrame
    price5s: Iterable[pl.DataFrame]
    shocks: pl.DataFrame
    trades_clean: pl.DataFrame
    session_levels: pl.DataFrame
    level_series: pl.DataFrame
    prior_sessions: pl.DataFrame
    ohlcv: pl.DataFrame


@dataclass(frozen=True)
class ApproachRules:
    """The settings an approach table depends on."""

    approach: ApproachSettings
    episodes: EpisodeSettings
    order_flow: OrderFlowSettings
    footprint: FootprintSettings
    profile: ProfileSettings
    level_liquidity: LevelLiquiditySettings


@dataclass(frozen=True)
class Attempt:
    """One episode as positions among the bars of the day.

    Args:
        first: First bar of the lookback.
        trigger: The trigger bar.
        end: First bar after the forward window.
        start: Bar in which the approach began; may lie before the lookback.
        number: 1, 2, ... within level and trade date.
        direction: +1 from below, -1 from above.
        price: The frozen level on the tick grid, points.
        raw: The same before rounding, points.
        tick: The same, ticks.
    """

    first: int
    trigger: int
    end: int
    start: int
    number: int
    direction: int
    price: float
    raw: float
    tick: int

    @property
    def rows(self) -> slice:
        """The bars of the attempt."""
        return slice(self.first, self.end)

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.end - self.first

    def of_rows(self, values: Floats, first_bar: int) -> Floats:
        """The values of the attempt's rows out of values of consecutive bars.

        Args:
            values: Values of the bars from ``first_bar`` up to the attempt's last.
            first_bar: Bar of the first value.

        Returns:
            float64[rows]; NaN for the rows before ``first_bar``.
        """
        if first_bar <= self.first:
            return values[self.first - first_bar :]
        return np.concatenate((np.full(first_bar - self.first, np.nan), values))


@dataclass(frozen=True)
class Day:
    """The market of one contract and trade date.

    Args:
        bars: ``bar5s`` with ``BOOK_COLUMNS`` beside it.
        tape: The trades.
        session: The trade date's session.
    """

    bars: pl.DataFrame
    tape: Tape
    session: Session

    @classmethod
    def of(cls, given: ApproachInputs, session: Session, tick_size: float) -> Day:
        """The day of some inputs.

        Raises:
            GridsDiffer: If ``bars`` and ``book`` are not of the same bars.
        """
        require_same_bars("silver.future.market_by_price_10_level_approach", given.bars, book=given.book)
        both = pl.concat([given.bars, given.book.select(BOOK_COLUMNS)], how="horizontal")
        return cls(both, Tape.of(given.trades_clean, session, round(tick_size * PRICE_SCALE)), session)

    @cached_property
    def start_ns(self) -> Counts:
        """Starts of the bars; int64[bars], ns since the epoch."""
        return np.array(self.bars["bar_ts"].to_physical(), np.int64)

    @cached_property
    def end_ns(self) -> Counts:
        """Ends of the bars; int64[bars], ns since the epoch."""
        return self.start_ns + BAR_NS

    @cached_property
    def trades_before(self) -> Counts:
        """Trades before the start of each bar; int64[bars]."""
        return np.searchsorted(self.tape.ts_ns, self.start_ns, side="left").astype(np.int64)

    @cached_property
    def trades_so_far(self) -> Counts:
        """Trades before the end of each bar; int64[bars]."""
        return np.searchsorted(self.tape.ts_ns, self.end_ns, side="left").astype(np.int64)

    @property
    def tick_size(self) -> float:
        """Minimum price increment, points."""
        return points(1, self.tape.tick_nanos)

    @cached_property
    def _columns(self) -> Columns:
        numbers = self.bars.select(cs.numeric().cast(pl.Float64).fill_null(np.nan))
        # In one piece and writable, as every other array here: of another layout the kernels would compile twice.
        matrix = np.array(numbers.to_numpy().T, order="C")
        return dict(zip(numbers.columns, matrix, strict=True))

    def column(self, name: str) -> Floats:
        """A column of the bars, NaN for null; float64[bars]. Not to be written to."""
        return self._columns[name]

    def distance(self, attempt: Attempt) -> Floats:
        """Microprice at bar end minus the frozen level; float64[bars], points."""
        away: Floats = self.column(MICROPRICE) - attempt.price
        return away

    def attempts(self, episodes: pl.DataFrame) -> list[Attempt]:
        """The episodes as positions among the bars.

        Raises:
            StaleEpisodes: If a trigger bar, or the bar an approach began in, is not among the bars.
        """
        found = []
        for trigger_ns, start_ns, back, ahead, number, direction, price, raw in episodes.select(
            pl.col(name).to_physical() for name in ATTEMPT_COLUMNS
        ).iter_rows():
            place = np.searchsorted(self.start_ns, [trigger_ns, start_ns])
            trigger, start = (int(i) for i in np.minimum(place, len(self.start_ns) - 1))
            if not {trigger_ns, start_ns} <= set(self.start_ns[[trigger, start]].tolist()):
                raise stale_episodes("an episode has a bar the five-second bars do not have", self.session)
            found.append(
                Attempt(
                    first=trigger - back,
                    trigger=trigger,
                    end=trigger + 1 + ahead,
                    start=start,
                    number=number,
                    direction=direction,
                    price=price,
                    raw=raw,
                    tick=round(price * PRICE_SCALE / self.tape.tick_nanos),
                )
            )
        return found


@dataclass(frozen=True)
class MovingLevels:
    """The levels that move, on the bars of a day.

    Args:
        raw: Value before rounding by name of the level, NaN where not known; float64[bars], points.
        age_s: How long each had had its value, likewise; float64[bars], s.
    """

    raw: Columns
    age_s: Columns

    @classmethod
    def of(cls, day: Day, level_series: pl.DataFrame) -> MovingLevels:
        """The levels of ``SERIES_COLUMNS`` of ``silver.future.level_series_5s``; a bar the day does not have is left out."""
        names = level_series["level_name"].cast(pl.String).unique().sort()
        which = np.array(level_series["level_name"].cast(pl.Enum(names)).to_physical(), np.int64)
        ts = np.array(level_series["bar_ts"].to_physical(), np.int64)
        bar = np.searchsorted(day.start_ns, ts)
        known = bar < len(day.start_ns)
        known[known] = day.start_ns[bar[known]] == ts[known]

        def on_bars(column: str) -> Columns:
            values = np.full((len(names), len(day.start_ns)), np.nan)
            values[which[known], bar[known]] = floats(level_series[column])[known]
            return dict(zip(names.to_list(), values, strict=True))

        return cls(on_bars("level_price_raw"), on_bars("level_age_s"))
