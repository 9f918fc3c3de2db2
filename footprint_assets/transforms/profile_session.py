"""Volume profiles of one contract on one trade date, one summary row each: value, moments, structure of the day.

The profiles are those of ``transforms.profile``. What only a cash session has (initial balance, opening type, gap, day
type, overnight inventory) stands in the ``RTH`` row.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.kernels import tpo
from footprint_assets.kernels.profile import has_two_distributions
from footprint_assets.kernels.vwap import anchored_vwap
from footprint_assets.settings import (
    NANOS_PER_SECOND,
    FootprintSettings,
    LevelSettings,
    ProfileSettings,
)
from footprint_assets.transforms.day_structure import (
    Range,
    day_type,
    open_location,
    open_type,
    profile_shape,
)
from footprint_assets.transforms.prior import naked_points_of_control, of_contract
from footprint_assets.transforms.prior_levels import Row, last_cash_session, rows_by_date
from footprint_assets.transforms.profile_parts import Profile, brackets, profile_parts, to_ticks
from footprint_assets.transforms.settlement import settlement
from footprint_assets.transforms.windows import (
    between,
    points,
    tick_size_nanos,
    ticks_and_sizes,
)

PRICE_TABLE = "silver.future.volume_profile_price"
TABLE = "silver.future.volume_profile_session"

Facts = dict[str, object]


class ProfileOfOtherTrades(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A profile's rows do not hold the volume of the trades they are summarised with."""


@dataclass(frozen=True)
class _Day:
    """What every summary of a trade date reads."""

    trades: pl.DataFrame
    session: Session
    own: pl.DataFrame
    tick_nanos: int
    footprint: FootprintSettings
    profile: ProfileSettings
    levels: LevelSettings

    def points(self, ticks: float) -> float:
        return points(ticks, self.tick_nanos)

    def ticks(self, row: Row, *columns: str) -> list[int]:
        """Prices of an earlier session."""
        return [to_ticks(row[column], self.tick_nanos) for column in columns]


def volume_profile_session(
    profile_price: pl.DataFrame,
    trades_clean: pl.DataFrame,
    statistics: pl.DataFrame | None,
    prior_sessions: pl.DataFrame,
    session: Session,
    footprint: FootprintSettings,
    profile: ProfileSettings,
    levels: LevelSettings,
) -> pl.DataFrame:
    """One row a profile: prices, value area, VWAP, moments, half hours, and the structure of the cash session.

    The VWAP and the moments are of the ticks, not of the rows, so a taller row changes none of them.

    Args:
        profile_price: Rows of ``silver.future.volume_profile_price`` of the same trades and prior sessions.
        trades_clean: Rows of ``silver.future.trades_clean``: one contract, one trade date, event order.
        statistics: Rows of ``bronze.future.statistics``, or None where the venue's statistics are not held.
        prior_sessions: Rows of ``silver.future.prior_sessions`` of the trade date; may be empty.
        session: The trade date's session.
        footprint: Row height.
        profile: TPO brackets and the names of shapes, opens and days.
        levels: Length of the initial balance.

    Returns:
        Rows of ``silver.future.volume_profile_session`` sorted by profile.

    Raises:
        ProfileOfOtherTrades: A profile does not hold the volume of its trades.
    """
    schema = contracts.load(TABLE).polars_schema
    if trades_clean.is_empty():
        return schema.to_frame()
    symbol, tick_nanos = trades_clean["symbol"][0], tick_size_nanos(trades_clean)
    own = of_contract(prior_sessions, symbol)
    day = _Day(trades_clean, session, own, tick_nanos, footprint, profile, levels)
    ids: Facts = {
        "symbol": symbol,
        "session_date": session.trade_date,
        "settlement": None if statistics is None else settlement(statistics, symbol, session),
    }
    rows = []
    for part in profile_parts(trades_clean, prior_sessions, session):
        ladder = profile_price.filter(pl.col("profile_type") == part.name)
        _require_same_volume(ladder, part, symbol, session.trade_date)
        facts = ids | {"profile_type": part.name} | _volume_facts(part, ladder, day)
        balance = _initial_balance(part, day)
        if part.is_of_today:
            facts |= _tpo_facts(part, ladder, day)
        if part.name == "RTH":
            facts |= _open_facts(part, day)
        if balance is not None:
            facts |= _balance_facts(part, ladder, balance, day)
        if part.name in ("RTH", "FULL"):
            facts["naked_poc_prices"] = _naked_pocs(part, day)
        facts["profile_shape"] = _shape(facts, part, ladder, balance, profile)
        rows.append(facts)
    return pl.DataFrame(rows, schema=schema)


def _require_same_volume(ladder: pl.DataFrame, part: Profile, symbol: str, trade_date: dt.date) -> None:
    held, traded = int(ladder["total_volume"].sum()), part.total_volume()
    if held != traded:
        raise ProfileOfOtherTrades(
            f"The {part.name} profile holds {held} contracts, its trades {traded}.",
            where={"table": PRICE_TABLE, "symbol": symbol, "dt": trade_date},
            remedy="Materialise volume_profile_price again from the published trades_clean.",
        )


def _volume_facts(part: Profile, ladder: pl.DataFrame, day: _Day) -> Facts:
    """What volume at price says, of any profile."""
    inside = ladder.filter("is_in_value_area")
    total = part.total_volume()
    poc = int(ladder["is_poc"].arg_max() or 0)
    price_tick = ladder["price_tick"]
    above, below = int(price_tick[-1] - price_tick[poc]), int(price_tick[poc] - price_tick[0])
    target = price_tick[poc] - above if above >= below else price_tick[poc] + below
    return {
        "poc_price": ladder["price"][poc],
        "vah_price": inside["price"][-1],
        "val_price": inside["price"][0],
        "value_area_pct": 100 * int(inside["total_volume"].sum()) / total,
        "high": day.points(int(part.ticks["tick"][-1])),
        "low": day.points(int(part.ticks["tick"][0])),
        "open": day.points(part.open_tick),
        "close": day.points(int(part.trades["price_tick"][-1])),
        "total_volume": total,
        "delta": int(ladder["delta"].sum()),
        **_moments(part, day),
        "poc_position": poc / (ladder.height - 1) if ladder.height > 1 else 0.5,
        "balanced_target": day.points(int(target)),
        "hvn_prices": ladder.filter("is_hvn")["price"].to_list(),
        "lvn_prices": ladder.filter("is_lvn")["price"].to_list(),
    }


def _moments(part: Profile, day: _Day) -> Facts:
    """VWAP, its deviation and the standardised third and fourth moments of the volume-weighted price."""
    volume = part.ticks.select("tick", size=pl.sum_horizontal("bid_volume", "ask_volume", "unknown_volume"))
    # The sums do not depend on the order, the anchor does: the first trade gives the bits of the running VWAP.
    anchored = pl.concat((pl.DataFrame({"tick": [part.open_tick], "size": [0]}), volume))
    tick, size = (np.array(anchored[name], np.int64) for name in ("tick", "size"))
    (vwap,), (std,) = anchored_vwap(tick, size, 0, np.array([len(tick)]))
    skew = kurtosis = None
    if std > 0:
        scaled = (tick - vwap) / std
        skew = float(np.average(scaled**3, weights=size))
        kurtosis = float(np.average(scaled**4, weights=size))
    return {
        "vwap": day.points(float(vwap)),
        "vwap_std": day.points(float(std)),
        "profile_skew": skew,
        "profile_kurtosis": kurtosis,
    }


def _tpo_facts(part: Profile, ladder: pl.DataFrame, day: _Day) -> Facts:
    """What half hours at price say, of a profile of today."""
    inside = ladder.filter("is_in_tpo_value_area")
    height = day.footprint.ticks_per_row
    tick, _ = ticks_and_sizes(part.trades)
    bracket = brackets(part, day.profile.tpo_minutes * 60 * NANOS_PER_SECOND)
    return {
        "tpo_poc_price": ladder.filter("is_tpo_poc")["price"][0],
        "tpo_vah_price": inside["price"][-1],
        "tpo_val_price": inside["price"][0],
        "is_poor_high": ladder["tpo_count"][-1] >= 2,
        "is_poor_low": ladder["tpo_count"][0] >= 2,
        "buying_tail_ticks": height * int(ladder["is_buying_tail"].sum()),
        "selling_tail_ticks": height * int(ladder["is_selling_tail"].sum()),
        "single_print_ticks": height * int(ladder["is_single_print"].sum()),
        "rotation_factor": tpo.rotation_factor(tick, bracket),
    }


def _initial_balance(part: Profile, day: _Day) -> Range | None:
    """The range of the first hour of the cash session, or None where nothing traded in it."""
    if part.name != "RTH":
        return None
    start_ns = part.hours[0][0]
    end_ns = start_ns + day.levels.initial_balance_minutes * 60 * NANOS_PER_SECOND
    return _range(between(part.trades, start_ns, end_ns))


def _open_facts(part: Profile, day: _Day) -> Facts:
    """The open of the cash session against the night and the last cash session."""
    overnight = _overnight(day)
    prior = last_cash_session(rows_by_date(day.own), day.session)
    facts: Facts = {}
    if overnight.height:
        signed = overnight.select((pl.col("size").cast(pl.Int64) * pl.col("aggressor_sign")).sum()).item()
        facts["overnight_inventory"] = signed / int(overnight["size"].sum())
    if prior is not None:
        value = Range(*day.ticks(prior, "rth_val_price", "rth_vah_price"))
        traded = Range(*day.ticks(prior, "rth_low", "rth_high"))
        (close,) = day.ticks(prior, "rth_close")
        facts["open_location"] = open_location(part.open_tick, value, traded)
        facts["gap_pts"] = day.points(part.open_tick - close)
    return facts


def _balance_facts(part: Profile, ladder: pl.DataFrame, balance: Range, day: _Day) -> Facts:
    """What the cash session did with its initial balance, and the types that are measured in it."""
    start_ns = part.hours[0][0]
    opening = between(part.trades, start_ns, start_ns + day.profile.open_minutes * 60 * NANOS_PER_SECOND)
    tick, _ = ticks_and_sizes(opening)
    whole = Range(int(part.ticks["tick"][0]), int(part.ticks["tick"][-1]))
    return {
        "ib_high": day.points(balance.high),
        "ib_low": day.points(balance.low),
        "ib_range": day.points(balance.ticks),
        "ib_extension_up_pts": day.points(max(whole.high - balance.high, 0)),
        "ib_extension_down_pts": day.points(max(balance.low - whole.low, 0)),
        "range_extension_ratio": whole.ticks / balance.ticks if balance.ticks else None,
        "open_type": open_type(tick, balance, _references(day), day.profile) if len(tick) else None,
        "day_type": day_type(
            whole,
            balance,
            _cash_ranges(day),
            has_two_distributions=_has_two_distributions(ladder),
            rules=day.profile,
        ),
    }


def _overnight(day: _Day) -> pl.DataFrame:
    """Trades before the cash open."""
    assert day.session.rth_open_ns is not None
    return between(day.trades, day.session.window_ns[0], day.session.rth_open_ns)


def _references(day: _Day) -> list[int]:
    """Prices the open can test: the last cash session's extremes, close and value, and the overnight extremes."""
    prior, overnight = last_cash_session(rows_by_date(day.own), day.session), _range(_overnight(day))
    names = ("rth_high", "rth_low", "rth_close", "rth_poc_price", "rth_vah_price", "rth_val_price")
    found = [] if prior is None else day.ticks(prior, *names)
    return found if overnight is None else [*found, overnight.low, overnight.high]


def _cash_ranges(day: _Day) -> list[int]:
    """Ranges of the contract's whole cash sessions held, ticks; a short recording would make them small."""
    cash = day.own.filter("has_rth", "is_complete")
    spans = (day.ticks(row, "rth_low", "rth_high") for row in cash.iter_rows(named=True))
    return [high - low for low, high in spans]


def _naked_pocs(part: Profile, day: _Day) -> list[float] | None:
    """Points of control of earlier cash sessions not traded since, ascending; None where the last session is not held."""
    height = day.footprint.ticks_per_row
    if day.own.is_empty() or day.own["sessions_ago"][0] != 1 or day.tick_nanos == 0:
        return None
    seen = day.trades
    if part.name == "RTH":
        seen = between(day.trades, day.session.window_ns[0], part.hours[-1][1])
    rows = naked_points_of_control(day.own, height, day.tick_nanos)
    traded_today = np.array(seen["price_tick"], np.int64) // height
    return [day.points(int(row) * height) for row in rows[~np.isin(rows, traded_today)]]


def _shape(
    facts: Facts, part: Profile, ladder: pl.DataFrame, balance: Range | None, rules: ProfileSettings
) -> str:
    is_long_and_thin = False
    if balance is not None:
        span = int(part.ticks["tick"][-1]) - int(part.ticks["tick"][0])
        mean = ladder.filter(pl.col("tpo_count") > 0)["tpo_count"].mean()
        is_long = span > rules.thin_ib_multiple * balance.ticks
        is_long_and_thin = is_long and isinstance(mean, float) and mean <= rules.thin_tpo_count
    position, skew = facts["poc_position"], facts["profile_skew"]
    assert isinstance(position, float)
    assert skew is None or isinstance(skew, float)
    return profile_shape(
        position,
        skew,
        has_two_distributions=_has_two_distributions(ladder),
        is_long_and_thin=is_long_and_thin,
        rules=rules,
    )


def _has_two_distributions(ladder: pl.DataFrame) -> bool:
    is_hvn, is_lvn = (np.array(ladder[name], np.bool_) for name in ("is_hvn", "is_lvn"))
    return bool(has_two_distributions(is_hvn, is_lvn))


def _range(trades: pl.DataFrame) -> Range | None:
    if trades.is_empty():
        return None
    tick, _ = ticks_and_sizes(trades)
    return Range(int(tick.min()), int(tick.max()))
