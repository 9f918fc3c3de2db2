"""Episodes: every attempt of price at one level, from its approach to the bars after the touch.

One row an attempt, made of what was known at ``decision_ts``, the end of the trigger bar. Only ``forward_bars``,
``is_truncated_forward``, ``is_extended_forward`` and ``extension_count`` look beyond; they say how much there is to
show and are never features. What happened after the touch is in ``outcomes``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session, session_label_edges
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.episodes import (
    LevelState,
    Thresholds,
    Triggers,
    first_touch,
    longest_pause,
    scan,
)
from footprint_assets.settings import NANOS_PER_SECOND, PRICE_SCALE, EpisodeSettings
from footprint_assets.transforms.grid import floats
from footprint_assets.transforms.level_values import level_polarity, level_values, levels_at
from footprint_assets.transforms.running import Floats
from footprint_assets.transforms.windows import points, ticks_and_sizes, times_ns

TABLE = "silver.future.market_by_price_10_level_episodes"
INPUT_COLUMNS = ("bar_ts", "symbol", "bar5s_microprice_eob", "bar5s_meta_msg_cnt_sum")
"""What the episodes need of ``silver.future.market_by_price_10_bar5s``."""
TRADE_COLUMNS = ("ts_event", "price_tick", "size")
"""What they need of ``silver.future.trades_clean``."""
SERIES_COLUMNS = ("bar_ts", "level_name", "level_price", "level_price_raw")
"""What they need of ``silver.future.level_series_5s``."""
FORWARD_COLUMNS = ("forward_bars", "is_truncated_forward", "is_extended_forward", "extension_count")
"""Columns that say what came after the decision."""

Int64 = NDArray[np.int64]


def episodes(
    bars: pl.DataFrame,
    trades_clean: pl.DataFrame,
    session_levels: pl.DataFrame,
    level_series: pl.DataFrame,
    level: str,
    session: Session,
    tick_size: float,
    settings: EpisodeSettings,
) -> pl.DataFrame:
    """The attempts at one level in one trade date.

    Args:
        bars: Rows of ``silver.future.market_by_price_10_bar5s`` of one contract and trade date, at least
            ``INPUT_COLUMNS``.
        trades_clean: Rows of ``silver.future.trades_clean`` of the same.
        session_levels: Rows of ``silver.future.session_levels`` of the same.
        level_series: Rows of ``silver.future.level_series_5s`` of the same; may be empty for a static level.
        level: Name of the level, such as ``PM_HIGH``.
        session: The trade date's session.
        tick_size: Minimum price increment, points.
        settings: Distances, durations and parts of the day.

    Returns:
        Rows of ``silver.future.market_by_price_10_level_episodes`` in time order; none where the level does not exist
        or was not touched.
    """
    schema = contracts.load(TABLE).polars_schema
    tick_nanos = round(tick_size * PRICE_SCALE)
    watched = _watched(bars, session, settings)
    values = level_values(watched["bar_ts"], session_levels, level_series, level)
    found = _triggers(watched, values, trades_clean, tick_nanos, settings)
    if not len(found):
        return schema.to_frame()
    day = _Day(
        bars["symbol"][0],
        bars["bar_ts"].to_physical().to_numpy(),
        mid=floats(bars["bar5s_microprice_eob"]) * PRICE_SCALE / tick_nanos,
        is_quiet=floats(bars["bar5s_meta_msg_cnt_sum"]) == 0,
        ts_ns=times_ns(trades_clean),
        tick=ticks_and_sizes(trades_clean)[0],
        level=level,
        polarity=level_polarity(session_levels, level),
        session=session,
        tick_nanos=tick_nanos,
        settings=settings,
    )
    raw = dict(zip(_numbers(watched), values["level_price_raw"].to_list(), strict=True))
    known = levels_at((found.start * BAR_NS).tolist(), session_levels, level_series)
    rows = [day.row(found, nth, raw[int(found.start[nth])], known[nth]) for nth in range(len(found))]
    return pl.DataFrame(rows, schema=schema)


def config_hash(settings: EpisodeSettings) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the settings' JSON.

    Args:
        settings: The settings the episodes were made with.

    Returns:
        Equal for equal settings, whatever the machine or the day.
    """
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]


def _watched(bars: pl.DataFrame, session: Session, settings: EpisodeSettings) -> pl.DataFrame:
    """The bars that lie in the parts of the day in which levels are watched."""
    edges, labels = session_label_edges(session)
    part = np.searchsorted(edges, bars["bar_ts"].to_physical().to_numpy(), side="right") - 1
    is_watched = np.isin(part, [i for i, label in enumerate(labels) if label in settings.sessions])
    return bars.filter(pl.Series(is_watched, dtype=pl.Boolean))


def _numbers(bars: pl.DataFrame) -> list[int]:
    """Bar numbers: bars since the epoch."""
    return (bars["bar_ts"].to_physical() // BAR_NS).to_list()


def _ticks(prices: pl.Series, tick_nanos: int) -> Int64:
    """Prices on the tick grid, given in points."""
    return np.rint(prices.to_numpy() * PRICE_SCALE / tick_nanos).astype(np.int64)


def _triggers(
    watched: pl.DataFrame,
    values: pl.DataFrame,
    trades_clean: pl.DataFrame,
    tick_nanos: int,
    settings: EpisodeSettings,
) -> Triggers:
    ranges = trades_clean.group_by((pl.col("ts_event").to_physical() // BAR_NS).alias("bar")).agg(
        pl.col("price_tick").min().cast(pl.Int64).alias("low"),
        pl.col("price_tick").max().cast(pl.Int64).alias("high"),
    )
    bar = pl.DataFrame({"bar": _numbers(watched)}, schema={"bar": pl.Int64})
    traded = bar.join(ranges, on="bar", how="left", maintain_order="left")
    return scan(
        bar=np.array(bar["bar"], np.int64),
        mid=np.array(watched["bar5s_microprice_eob"], np.float64) * PRICE_SCALE / tick_nanos,
        level=_ticks(values["level_price"].fill_null(0.0), tick_nanos),
        is_known=np.array(values["level_price"].is_not_null(), np.bool_),
        low=np.array(traded["low"].fill_null(0), np.int64),
        high=np.array(traded["high"].fill_null(0), np.int64),
        traded=np.array(traded["low"].is_not_null(), np.bool_),
        thresholds=Thresholds(
            approach_ticks=settings.approach_ticks,
            hysteresis_ticks=settings.approach_hysteresis_ticks,
            touch_ticks=settings.touch_ticks,
            reset_ticks=settings.reset_ticks,
            reset_bars=settings.reset_bars,
            cooldown_bars=settings.cooldown_bars,
        ),
        state=LevelState(),
    )


@dataclass(frozen=True)
class _Day:
    """What the rows of one level and trade date are read from.

    Args:
        symbol: Raw symbol of the contract.
        bar_ns: Starts of the bars, ascending; int64[bars], ns since the epoch.
        mid: Microprice at the end of each bar, NaN where the book is empty; float64[bars], ticks.
        is_quiet: Whether a bar has no record; bool[bars].
        ts_ns: Times of the trades, ascending; int64[trades], ns since the epoch.
        tick: Their prices; int64[trades], ticks.
        level: Name of the level.
        polarity: +1 a high, -1 a low, 0 neither.
        session: The trade date's session.
        tick_nanos: Minimum price increment, 1e-9 points.
        settings: Distances, durations and parts of the day.
    """

    symbol: str
    bar_ns: Int64
    mid: Floats
    is_quiet: NDArray[np.bool_]
    ts_ns: Int64
    tick: Int64
    level: str
    polarity: int
    session: Session
    tick_nanos: int
    settings: EpisodeSettings

    def row(
        self, found: Triggers, nth: int, level_price_raw: float, known: list[tuple[str, float]]
    ) -> dict[str, object]:
        """One attempt as a row of the table; ``known`` are the levels when it was frozen."""
        bar, start, attempt = int(found.bar[nth]), int(found.start[nth]), int(found.attempt[nth])
        level, direction = int(found.level[nth]), int(found.direction[nth])
        trigger_ns = bar * BAR_NS
        episode_id = f"{self.session.trade_date}_{self.symbol}_{self.level}_{trigger_ns}"
        lookback = self._bars(bar - self.settings.lookback_bars, bar)
        until_trigger = self._bars(bar - self.settings.lookback_bars, bar + 1)
        extensions = int((found.retouched == attempt).sum())
        wanted = self.settings.forward_bars + extensions * self.settings.extension_bars
        forward = self._bars(bar + 1, bar + 1 + wanted)
        return {
            "episode_id": episode_id,
            "touch_id": episode_id,
            "session_date": self.session.trade_date,
            "symbol": self.symbol,
            "level_type": self.level,
            "level_price": points(level, self.tick_nanos),
            "level_price_raw": level_price_raw,
            "level_polarity": self.polarity,
            "approach_direction": direction,
            "is_standard_approach": direction == self.polarity if self.polarity else None,
            "approach_start_ts": start * BAR_NS,
            "trigger_bar_ts": trigger_ns,
            "decision_ts": trigger_ns + BAR_NS,
            "touch_event_ts": self._touch_ns(trigger_ns, level, direction),
            "touch_penetration_ticks": self._penetration(until_trigger, level, direction),
            "trigger_kind": "CROSS" if found.is_cross[nth] else "TOUCH",
            "attempt_index": attempt,
            "lookback_bars": len(lookback),
            "forward_bars": len(forward),
            "is_truncated_lookback": len(lookback) < self.settings.lookback_bars,
            "is_truncated_forward": len(forward) < wanted,
            "is_extended_forward": extensions > 0,
            "extension_count": extensions,
            "has_gap": self._has_gap(until_trigger),
            "has_empty_book": bool(np.isnan(self.mid[until_trigger]).any()),
            "nearby_levels": self._nearby(known, level),
            "config_hash": config_hash(self.settings),
        }

    def _bars(self, first: int, end: int) -> range:
        """Positions of the bars numbered ``first <= bar < end`` inside trading hours."""
        low = max(first * BAR_NS, self.session.open_ns)
        high = min(end * BAR_NS, self.session.close_ns)
        return range(*np.searchsorted(self.bar_ns, [low, high]).tolist())

    def _touch_ns(self, trigger_ns: int, level: int, direction: int) -> int:
        first, end = np.searchsorted(self.ts_ns, [trigger_ns, trigger_ns + BAR_NS])
        nth = first_touch(self.tick[first:end], level, direction, self.settings.touch_ticks)
        return int(self.ts_ns[first + nth]) if nth >= 0 else trigger_ns + BAR_NS

    def _penetration(self, until_trigger: range, level: int, direction: int) -> int:
        """Where the microprice stands at the decision, half a tick counting as a whole one beyond."""
        return int(np.floor(direction * (self.mid[until_trigger[-1]] - level) + 0.5))

    def _has_gap(self, until_trigger: range) -> bool:
        pause = longest_pause(self.is_quiet[until_trigger])
        took_ns = self.bar_ns[until_trigger[-1]] - self.bar_ns[until_trigger[0]] + BAR_NS
        is_missing = took_ns > len(until_trigger) * BAR_NS
        return bool(is_missing or pause * BAR_NS > self.settings.max_gap_seconds * NANOS_PER_SECOND)

    def _nearby(self, known: list[tuple[str, float]], level: int) -> list[str]:
        """Other levels close to the frozen one."""
        reach = self.settings.nearby_ticks
        return [
            name
            for name, price in known
            if name != self.level and abs(round(price * PRICE_SCALE / self.tick_nanos) - level) <= reach
        ]
