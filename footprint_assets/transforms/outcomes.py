"""Outcomes: what price did after every touch of a level. Labels, never features.

The path of an episode is the trades from ``decision_ts`` on: features end where it begins, ``ts_event < decision_ts``,
so nothing is in both and nothing is in neither. It starts from the price at the decision and ends where the record of
the market does. Distances are signed ticks from the frozen level, positive beyond it in the direction of the approach.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.labels import (
    EXPIRED,
    NO_TRADE,
    NOT_HIT,
    ON_TARGET,
    average_uniqueness,
    bracket,
    excursions,
    first_passage,
    return_to_level,
    weighted_distance,
)
from footprint_assets.settings import HORIZONS, NANOS_PER_SECOND, PRICE_SCALE, LabelSettings
from footprint_assets.transforms.grid import floats
from footprint_assets.transforms.running import Floats, as_of
from footprint_assets.transforms.windows import points, ticks_and_sizes, times_ns

TABLE = "silver.future.market_by_price_10_level_outcomes"
BEST_BID, BEST_ASK = "bar5s_shape_bid_px_l00_eob", "bar5s_shape_ask_px_l00_eob"
INPUT_COLUMNS = ("bar_ts", BEST_BID, BEST_ASK)
"""What the outcomes need of ``silver.future.market_by_price_10_bar5s``."""
TRADE_COLUMNS = ("ts_event", "price_tick", "size")
"""What they need of ``silver.future.trades_clean``."""
BARRIER_TICKS = {"4t": 4, "8t": 8, "16t": 16}
ATR_BARRIER = "atr1"
"""One 14-bar average true range of one-minute bars."""
MINUTE_NS = 60 * NANOS_PER_SECOND

Int64 = NDArray[np.int64]
Row = dict[str, object]


def outcomes(
    episodes: pl.DataFrame,
    trades_clean: pl.DataFrame,
    bars: pl.DataFrame,
    ohlcv: pl.DataFrame,
    session: Session,
    tick_size: float,
    settings: LabelSettings,
) -> pl.DataFrame:
    """The labels of every episode of one level in one trade date.

    Args:
        episodes: Rows of ``silver.future.market_by_price_10_level_episodes``.
        trades_clean: Rows of ``silver.future.trades_clean`` of the same contract and trade date.
        bars: Rows of ``silver.future.market_by_price_10_bar5s`` of the same, at least ``INPUT_COLUMNS``. They say which
            time was observed, and quote the book at the decision.
        ohlcv: Rows of ``silver.future.ohlcv`` of the same; only the one-minute bars are read.
        session: The trade date's session.
        tick_size: Minimum price increment, points.
        settings: The primary label, the judged trade and the score windows.

    Returns:
        Rows of ``silver.future.market_by_price_10_level_outcomes``, one an episode, in the same order.
    """
    schema = contracts.load(TABLE).polars_schema
    if episodes.is_empty():
        return schema.to_frame()
    minutes = ohlcv.filter(pl.col("interval") == "1m").sort("bar_ts")
    day = _Day(
        times_ns(trades_clean),
        *ticks_and_sizes(trades_clean),
        bar_ns=bars["bar_ts"].to_physical().to_numpy(),
        best=(floats(bars[BEST_BID]), floats(bars[BEST_ASK])),
        minute_end_ns=minutes["bar_ts"].to_physical().to_numpy() + MINUTE_NS,
        atr=floats(minutes["atr_14"]),
        session=session,
        tick_nanos=round(tick_size * PRICE_SCALE),
        settings=settings,
    )
    instants = [pl.col(name).to_physical() for name in ("trigger_bar_ts", "decision_ts")]
    rows = [_labels(day.path(e), e, settings) for e in episodes.with_columns(instants).iter_rows(named=True)]
    alone = pl.DataFrame(rows, schema={name: schema[name] for name in rows[0]})
    return alone.with_columns(_uniqueness(alone)).select(schema.names())


@dataclass(frozen=True)
class _Path:
    """What followed one decision.

    Args:
        elapsed_ns: Time since the decision; int64[n], ns.
        distance: Signed distance from the level; int64[n], ticks.
        size: Contracts; int64[n], 0 of the price at the decision.
        first_trade: Position of the first trade: 1 where the path starts with the price at the decision, else 0.
        decision_ns: The decision, ns since the epoch.
        observed_ns: Time after the decision without a missing bar, ns.
        atr_ticks: The barrier of one average true range, ticks; None where that is not known.
        entry_ticks: Signed distance at which a trade with the approach and one against it enter; None without a quote.
        tick_nanos: Minimum price increment, 1e-9 points.
    """

    elapsed_ns: Int64
    distance: Int64
    size: Int64
    first_trade: int
    decision_ns: int
    observed_ns: int
    atr_ticks: int | None
    entry_ticks: tuple[int | None, int | None]
    tick_nanos: int

    def is_observed(self, seconds: int) -> bool:
        """Whether the market was recorded without a hole up to a horizon."""
        return self.observed_ns >= seconds * NANOS_PER_SECOND

    def seconds(self, nth: int) -> float | None:
        """Time of a point of the path; None of ``NOT_HIT``."""
        return None if nth == NOT_HIT else int(self.elapsed_ns[nth]) / NANOS_PER_SECOND

    def known_ns(self, nth: int) -> int:
        """When a point of the path was known, ns since the epoch.

        One nanosecond after its trade, because a bar that ends at the instant of a trade does not hold it. The price
        at the decision is known there.
        """
        return self.decision_ns + (int(self.elapsed_ns[nth]) + 1 if nth >= self.first_trade else 0)


@dataclass(frozen=True)
class _Day:
    """What the paths of one contract and trade date are read from.

    Args:
        ts_ns: Times of the trades, ascending; int64[trades], ns since the epoch.
        tick: Their prices; int64[trades], ticks.
        size: Their sizes; int64[trades], contracts.
        bar_ns: Starts of the five-second bars, ascending; int64[bars], ns since the epoch.
        best: Best bid and best ask at the end of each bar, NaN where not known; float64[bars] each, points.
        minute_end_ns: Ends of the one-minute bars, ascending; int64[minutes], ns since the epoch.
        atr: Their average true ranges, NaN where not known; float64[minutes], points.
        session: The trade date's session.
        tick_nanos: Minimum price increment, 1e-9 points.
        settings: The labels' settings.
    """

    ts_ns: Int64
    tick: Int64
    size: Int64
    bar_ns: Int64
    best: tuple[Floats, Floats]
    minute_end_ns: Int64
    atr: Floats
    session: Session
    tick_nanos: int
    settings: LabelSettings

    def path(self, episode: Row) -> _Path:
        """The path of one episode, up to the longest horizon or the first missing bar."""
        decision_ns, trigger_ns = _int(episode["decision_ts"]), _int(episode["trigger_bar_ts"])
        direction = _int(episode["approach_direction"])
        level = self._ticks(_float(episode["level_price"]))
        observed_ns = self._observed_ns(decision_ns)
        first, decided, end = np.searchsorted(
            self.ts_ns, [trigger_ns, decision_ns, decision_ns + observed_ns]
        )
        after = slice(decided, end)
        at_decision = direction * (self.tick[first:decided][-1:] - level)
        if episode["trigger_kind"] == "CROSS":
            # The quotes jumped the band. A last trade that still stands before the level is no price of this moment.
            at_decision = at_decision[at_decision > 0]
        nothing = np.zeros(len(at_decision), np.int64)
        return _Path(
            elapsed_ns=np.concatenate((nothing, self.ts_ns[after] - decision_ns)),
            distance=np.concatenate((at_decision, direction * (self.tick[after] - level))),
            size=np.concatenate((nothing, self.size[after])),
            first_trade=len(at_decision),
            decision_ns=decision_ns,
            observed_ns=observed_ns,
            atr_ticks=self._atr_ticks(decision_ns),
            entry_ticks=self._entries(trigger_ns, level, direction),
            tick_nanos=self.tick_nanos,
        )

    def _ticks(self, price: float) -> int:
        return round(price * PRICE_SCALE / self.tick_nanos)

    def _observed_ns(self, decision_ns: int) -> int:
        """Time after a decision, at most the longest asked for, in which no bar is missing and trading is open."""
        longest_ns = max(*HORIZONS, self.settings.score_end_seconds) * NANOS_PER_SECOND
        after = self.bar_ns[slice(*np.searchsorted(self.bar_ns, [decision_ns, decision_ns + longest_ns]))]
        expected = decision_ns + BAR_NS * np.arange(len(after))
        unbroken = int(np.logical_and.accumulate(after == expected).sum())
        return max(min(unbroken * BAR_NS, self.session.close_ns - decision_ns), 0)

    def _atr_ticks(self, decision_ns: int) -> int | None:
        """One average true range of the last minute bar that had ended, to the nearest tick."""
        atr = float(as_of(self.minute_end_ns, self.atr, np.array([decision_ns]))[0])
        if np.isnan(atr):
            return None
        return max(int(np.floor(atr * PRICE_SCALE / self.tick_nanos + 0.5)), self.settings.atr_min_ticks)

    def _entries(self, trigger_ns: int, level: int, direction: int) -> tuple[int | None, int | None]:
        """Entries with and against the approach: the opposite best quote at the decision, plus slippage."""
        nth = int(np.searchsorted(self.bar_ns, trigger_ns))
        is_there = nth < len(self.bar_ns) and self.bar_ns[nth] == trigger_ns
        best = [float(quotes[nth]) if is_there else np.nan for quotes in self.best]
        sold, bought = (None if np.isnan(px) else direction * (self._ticks(px) - level) for px in best)
        ahead, back = (bought, sold) if direction > 0 else (sold, bought)
        slippage = self.settings.slippage_ticks
        return (
            None if ahead is None else ahead + slippage,
            None if back is None else back - slippage,
        )


def _labels(path: _Path, episode: Row, settings: LabelSettings) -> Row:
    """The labels of one episode but its uniqueness, which depends on the others."""
    row = {
        name: episode[name] for name in ("episode_id", "symbol", "session_date", "level_type", "decision_ts")
    }
    barriers: dict[str, int | None] = {**BARRIER_TICKS, ATR_BARRIER: path.atr_ticks}
    for (name, ticks), seconds in product(barriers.items(), HORIZONS):
        row |= _barrier_labels(path, name, ticks, seconds)
    for seconds in HORIZONS:
        row |= _excursion_labels(path, seconds)
    row |= _primary_labels(path, barriers[settings.primary_barrier], settings)
    return row | _score_labels(path, settings) | _trade_labels(path, settings)


def _barrier_labels(path: _Path, name: str, ticks: int | None, seconds: int) -> Row:
    above, below = _first_passage(path, ticks, seconds)
    return {
        f"outcome_{name}_{seconds}s": _outcome(path, ticks, seconds),
        f"time_to_break_{name}_{seconds}s_s": path.seconds(above),
        f"time_to_bounce_{name}_{seconds}s_s": path.seconds(below),
    }


def _first_passage(path: _Path, ticks: int | None, seconds: int) -> tuple[int, int]:
    if ticks is None:
        return NOT_HIT, NOT_HIT
    return first_passage(path.elapsed_ns, path.distance, ticks, seconds * NANOS_PER_SECOND)


def _outcome(path: _Path, ticks: int | None, seconds: int) -> str:
    above, below = _first_passage(path, ticks, seconds)
    if above == below:
        return "CHOP" if ticks is not None and path.is_observed(seconds) else "UNDEFINED"
    return "BREAK" if below == NOT_HIT or NOT_HIT < above < below else "BOUNCE"


def _excursion_labels(path: _Path, seconds: int) -> Row:
    top, bottom, last = NOT_HIT, NOT_HIT, NOT_HIT
    if path.is_observed(seconds):
        top, bottom, last = excursions(path.elapsed_ns, path.distance, seconds * NANOS_PER_SECOND)
    mfe, mae, close = (None if nth == NOT_HIT else int(path.distance[nth]) for nth in (top, bottom, last))
    ticks = {
        "mfe": mfe,
        "mae": mae,
        "close_dist": close,
        "strength_signed": None if mfe is None or mae is None else mfe - abs(mae),
        "strength_abs": None if mfe is None or mae is None else max(mfe, abs(mae)),
    }
    return {
        **{
            f"{what}_pts_{seconds}s": None if value is None else points(value, path.tick_nanos)
            for what, value in ticks.items()
        },
        f"time_to_mfe_{seconds}s_s": path.seconds(top),
        f"time_to_mae_{seconds}s_s": path.seconds(bottom),
    }


def _primary_labels(path: _Path, ticks: int | None, settings: LabelSettings) -> Row:
    """The primary label, when it was known, and what else happened before its horizon."""
    seconds = settings.primary_horizon_seconds
    horizon_ns = seconds * NANOS_PER_SECOND
    is_complete = path.is_observed(seconds)
    outcome = _outcome(path, ticks, seconds)
    row: Row = {
        "outcome": outcome,
        "is_complete": is_complete,
        "label_end_ts": path.decision_ns + horizon_ns,
        **dict.fromkeys(("first_hit_side", "both_sides_hit_flag", "failed_break_flag", "retest_flag")),
    }
    if outcome == "UNDEFINED":
        return row
    above, below = _first_passage(path, ticks, seconds)
    if outcome == "CHOP":
        return row | {
            "first_hit_side": 0,
            "both_sides_hit_flag": False,
            "failed_break_flag": False,
            "retest_flag": False,
        }
    has_both = above != NOT_HIT and below != NOT_HIT
    if outcome == "BOUNCE":
        return row | {
            "label_end_ts": path.known_ns(below),
            "first_hit_side": -1,
            "both_sides_hit_flag": _seen(has_both, is_complete=is_complete),
            "failed_break_flag": False,
            "retest_flag": False,
        }
    nearest = return_to_level(path.elapsed_ns, path.distance, above, horizon_ns)
    has_failed = nearest <= -settings.failed_break_ticks
    return row | {
        "label_end_ts": path.known_ns(above),
        "first_hit_side": 1,
        "both_sides_hit_flag": _seen(has_both, is_complete=is_complete),
        "failed_break_flag": _seen(has_failed, is_complete=is_complete),
        # A retest that has not failed yet may still fail: only a whole horizon or a failure decides.
        "retest_flag": nearest <= settings.retest_ticks and not has_failed
        if is_complete or has_failed
        else None,
    }


def _seen(was_seen: bool, *, is_complete: bool) -> bool | None:
    """An event of the horizon: seen, not seen in all of it, or not known."""
    return True if was_seen else False if is_complete else None


def _score_labels(path: _Path, settings: LabelSettings) -> Row:
    """Mean distances of two windows, their mean, and the class made of them."""
    first = _mean_pts(path, 0, settings.score_split_seconds)
    second = _mean_pts(path, settings.score_split_seconds, settings.score_end_seconds)
    known: Row = {"outcome_score": None, "outcome5": "UNDEFINED"}
    if first is not None and second is not None:
        known = {"outcome_score": (first + second) / 2, "outcome5": _outcome5(first, second, settings)}
    return {"vw_signed_dist_w1_pts": first, "vw_signed_dist_w2_pts": second} | known


def _outcome5(first_pts: float, second_pts: float, settings: LabelSettings) -> str:
    """CHOP unless the first window left the level; STRONG where the second went on, to the same side."""
    if abs(first_pts) <= settings.weak_pts:
        return "CHOP"
    side = 1 if first_pts > 0 else -1
    strength = "STRONG" if side * second_pts > settings.strong_pts else "WEAK"
    return f"{strength}_{'BREAK' if side > 0 else 'BOUNCE'}"


def _mean_pts(path: _Path, start_seconds: int, end_seconds: int) -> float | None:
    if not path.is_observed(end_seconds):
        return None
    mean = weighted_distance(
        path.elapsed_ns,
        path.distance,
        path.size,
        start_seconds * NANOS_PER_SECOND,
        end_seconds * NANOS_PER_SECOND,
    )
    return None if np.isnan(mean) else points(mean, path.tick_nanos)


def _trade_labels(path: _Path, settings: LabelSettings) -> Row:
    """How a trade with the approach and one against it would have ended."""
    ahead, back = path.entry_ticks
    after = slice(path.first_trade, None)
    with_break = None if ahead is None else path.distance[after] - ahead
    with_bounce = None if back is None else back - path.distance[after]
    return {
        "tradeable_1": _is_tradeable(path, with_break, settings.target_1_ticks, settings),
        "tradeable_2": _is_tradeable(path, with_break, settings.target_2_ticks, settings),
        "r_multiple_break": _r_multiple(path, with_break, settings),
        "r_multiple_bounce": _r_multiple(path, with_bounce, settings),
    }


def _ended(
    path: _Path, gain: Int64 | None, target_ticks: int, settings: LabelSettings
) -> tuple[int, int] | None:
    """End and gain of a judged trade; None without an entry, without a trade, or still open where the record ends."""
    if gain is None:
        return None
    seconds = settings.primary_horizon_seconds
    elapsed_ns = path.elapsed_ns[path.first_trade :]
    end, made = bracket(elapsed_ns, gain, settings.stop_ticks, target_ticks, seconds * NANOS_PER_SECOND)
    is_open = end == NO_TRADE or (end == EXPIRED and not path.is_observed(seconds))
    return None if is_open else (end, made)


def _is_tradeable(path: _Path, gain: Int64 | None, target_ticks: int, settings: LabelSettings) -> bool | None:
    ended = _ended(path, gain, target_ticks, settings)
    return None if ended is None else ended[0] == ON_TARGET


def _r_multiple(path: _Path, gain: Int64 | None, settings: LabelSettings) -> float | None:
    """Gain after the fee over the risk, the distance of the stop."""
    ended = _ended(path, gain, settings.target_2_ticks, settings)
    if ended is None:
        return None
    risk_pts = points(settings.stop_ticks, path.tick_nanos)
    return (points(ended[1], path.tick_nanos) - settings.fee_pts) / risk_pts


def _uniqueness(labels: pl.DataFrame) -> pl.Series:
    """Average uniqueness among the labels of the frame; null of an outcome that is UNDEFINED, which crowds nobody."""
    start, end = (labels[name].to_physical().to_numpy() for name in ("decision_ts", "label_end_ts"))
    is_label = (labels["outcome"] != "UNDEFINED").to_numpy()
    values = np.full(labels.height, np.nan)
    values[is_label] = average_uniqueness(start[is_label], end[is_label])
    return pl.Series("label_uniqueness", values, nan_to_null=True)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _float(value: object) -> float:
    assert isinstance(value, float)
    return value
