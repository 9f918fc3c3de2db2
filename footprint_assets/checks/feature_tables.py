"""The rules that tie the feature tables to the trades and the book they are made of, and attempts to what came of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from footprint_assets.checks.finding import Check, Finding
from footprint_assets.resources import Workbench
from footprint_assets.tables import Scope, TableInput

TRADES_CLEAN = "silver.future.trades_clean"
FOOTPRINT_PRICE = "silver.future.footprint_price"
PROFILE_PRICE = "silver.future.volume_profile_price"
PROFILE_SESSION = "silver.future.volume_profile_session"
BARS = "silver.future.market_by_price_10_bar5s"
BARS_EXT = "silver.future.market_by_price_10_bar5s_ext"
PRICE5S = "silver.future.market_by_price_10_price5s"
SESSION_LEVELS = "silver.future.session_levels"
SESSION_CONTEXT = "silver.future.session_context_5s"
LEVELS_SIGNALS = "gold.future.levels_signals"

BAR_SECONDS = 5
BAR = pl.duration(seconds=BAR_SECONDS, time_unit="ns")
VOLUMES = ("bid_volume", "ask_volume", "unknown_volume")
BANDS = ("p0_1", "p1_2", "p2_3", "p3_5", "p5_10")
ANCHORS = {"globex_vwap": "FULL", "rth_vwap": "RTH"}
"""Running VWAPs, and the profile whose VWAP is their last value."""
PRICE_TOLERANCE = 1e-9
"""Points by which a volume-weighted price may leave the range of its trades through float rounding."""
BARRIER_TICKS = (4, 8, 16)
HORIZONS_S = (120, 240, 480)


def footprints_add_up(bench: Workbench, day: dt.date) -> list[Finding]:
    """At every price the bars of each type add up to the full profile by aggressor, short time bars to longer ones."""
    findings = []
    for symbol in _symbols(bench, FOOTPRINT_PRICE, day):
        columns = ["bar_type", "bar_id", "bar_ts", "bar_end_ts", "price_tick", *VOLUMES]
        rows = _frame(bench, FOOTPRINT_PRICE, day, symbol, columns)
        profile = _frame(bench, PROFILE_PRICE, day, symbol, ["profile_type", "price_tick", *VOLUMES])
        whole = _volume_at(profile.filter(pl.col("profile_type") == "FULL"), "price_tick")
        by_type = {str(name): bars for (name,), bars in rows.group_by("bar_type", maintain_order=True)}
        off_profile = [
            name for name, bars in by_type.items() if not _volume_at(bars, "price_tick").equals(whole)
        ]
        off_parts = list(_longer_bars_that_differ(by_type))
        facts = {
            "bar_types": len(by_type),
            "differ_from_profile": off_profile,
            "differ_from_shorter": off_parts,
        }
        findings.append(Finding(symbol, not off_profile and not off_parts, facts))
    return findings


def _volume_at(rows: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Volume by aggressor at each key, sorted; an untraded row says no more than an absent one."""
    sums = rows.group_by(keys).agg(pl.col(VOLUMES).cast(pl.Int64).sum()).sort(keys)
    return sums.filter(pl.sum_horizontal(VOLUMES) > 0)


def _longer_bars_that_differ(by_type: Mapping[str, pl.DataFrame]) -> Iterator[str]:
    """Types of time bars that are not the sum of the shortest, where their length is a multiple of its."""
    times = {name: bars for name, bars in by_type.items() if name.startswith("time_")}
    span = (pl.col("bar_end_ts") - pl.col("bar_ts")).max()
    length: dict[str, dt.timedelta] = {name: bars.select(span).item() for name, bars in times.items()}
    shortest = min(length, key=lambda name: length[name], default=None)
    if shortest is None:
        return
    parts = times.pop(shortest).drop("bar_id").sort("bar_ts")
    for name, bars in times.items():
        if not length[name] % length[shortest]:
            starts = bars.select("bar_ts", "bar_id").unique().sort("bar_ts")
            summed = _volume_at(parts.join_asof(starts, on="bar_ts"), "bar_id", "price_tick")
            if not summed.equals(_volume_at(bars, "bar_id", "price_tick")):
                yield name


def bars_hold_trades(bench: Workbench, day: dt.date) -> list[Finding]:
    """Five-second bars of the book hold the trades of their five seconds: number, volume, volume by aggressor."""
    findings = []
    size, sign = pl.col("size"), pl.col("aggressor_sign")
    expected = {
        "bar5s_trade_cnt_sum": pl.len(),
        "bar5s_trade_vol_sum": size.sum(),
        "bar5s_trade_aggbuy_vol_sum": size.filter(sign == 1).sum(),
        "bar5s_trade_aggsell_vol_sum": size.filter(sign == -1).sum(),
    }
    for symbol in _symbols(bench, BARS, day):
        trades = _frame(bench, TRADES_CLEAN, day, symbol, ["ts_event", "size", "aggressor_sign"])
        traded = trades.group_by(pl.col("ts_event").dt.truncate(f"{BAR_SECONDS}s").alias("bar_ts")).agg(
            expr.cast(pl.Float64).alias(f"{name}_of_trades") for name, expr in expected.items()
        )
        bars = _frame(bench, BARS, day, symbol, ["bar_ts", *expected])
        both = bars.join(traded, on="bar_ts", how="left", maintain_order="left").fill_null(0.0)
        wrong = pl.any_horizontal(pl.col(name) != pl.col(f"{name}_of_trades") for name in expected)
        differ = both.filter(wrong)["bar_ts"].dt.to_string("iso:strict")
        facts = {"bars": bars.height, "differ": len(differ), "first": differ.first()}
        findings.append(Finding(symbol, not len(differ), facts))
    return findings


def flows_conserved(bench: Workbench, day: dt.date) -> list[Finding]:
    """Net flow of a bar is adds - pulls - fills; its prices and its bands hold no more flow than the bar."""
    findings = []
    names = ["bar_ts", *_of_sides("bar5s_flow_{}_vol_{}_sum", "add", "pull", "fill", "net")]
    for symbol in _symbols(bench, BARS_EXT, day):
        bars = _frame(bench, BARS_EXT, day, symbol, names)
        prices = _frame(
            bench, PRICE5S, day, symbol, ["bar_ts", *_of_sides("{1}_{0}_vol", "add", "pull", "fill")]
        )
        bands = [f"bar5s_flow_{what}_vol_{side}_{band}_sum" for what, side, band in _banded()]
        banded = _frame(bench, BARS, day, symbol, ["bar_ts", *bands])
        together = (
            bars.join(prices.group_by("bar_ts").sum(), on="bar_ts", how="left")
            .join(banded, on="bar_ts", how="left")
            .fill_null(0)
        )
        beyond = _flow_beyond()
        net = [
            pl.col(f"bar5s_flow_net_vol_{side}_sum")
            != pl.col(f"bar5s_flow_add_vol_{side}_sum")
            - pl.col(f"bar5s_flow_pull_vol_{side}_sum")
            - pl.col(f"bar5s_flow_fill_vol_{side}_sum")
            for side in ("bid", "ask")
        ]
        facts = together.select(
            pl.len().alias("bars"),
            pl.any_horizontal(net).sum().alias("net_differs"),
            pl.any_horizontal(expr < 0 for exprs in beyond.values() for expr in exprs)
            .sum()
            .alias("more_than_bar"),
            *(pl.sum_horizontal(exprs).sum().alias(name) for name, exprs in beyond.items()),
        ).row(0, named=True)
        findings.append(Finding(symbol, not facts["net_differs"] and not facts["more_than_bar"], facts))
    return findings


def _of_sides(pattern: str, *flows: str) -> list[str]:
    return [pattern.format(flow, side) for flow in flows for side in ("bid", "ask")]


def _banded() -> Iterator[tuple[str, str, str]]:
    for flow in ("add", "rem"):
        for side in ("bid", "ask"):
            for band in BANDS:
                yield flow, side, band


def _flow_beyond() -> dict[str, list[pl.Expr]]:
    """Flow of a bar that no price and no band holds: at stub quotes, and beyond ten points of the microprice."""
    by_price, by_band = [], []
    for side in ("bid", "ask"):
        bar = {flow: pl.col(f"bar5s_flow_{flow}_vol_{side}_sum") for flow in ("add", "pull", "fill")}
        by_price += [bar[flow] - pl.col(f"{side}_{flow}_vol") for flow in bar]
        for flow, whole in (("add", bar["add"]), ("rem", bar["pull"] + bar["fill"])):
            by_band.append(
                whole - pl.sum_horizontal(f"bar5s_flow_{flow}_vol_{side}_{band}_sum" for band in BANDS)
            )
    return {"beyond_prices": by_price, "beyond_bands": by_band}


def vwaps_in_range(bench: Workbench, day: dt.date) -> list[Finding]:
    """A running VWAP lies between the extremes since its anchor, deviates by 0 or more, and ends as its profile's."""
    findings = []
    for symbol in _symbols(bench, SESSION_CONTEXT, day):
        names = [f"{anchor}{suffix}" for anchor in ANCHORS for suffix in ("", "_std")]
        context = _frame(bench, SESSION_CONTEXT, day, symbol, ["bar_ts", *names])
        trades = _frame(bench, TRADES_CLEAN, day, symbol, ["ts_event", "session", "price"])
        profiles = dict(
            _frame(bench, PROFILE_SESSION, day, symbol, ["profile_type", "vwap"])
            .cast({"profile_type": pl.String})
            .iter_rows()
        )
        facts: dict[str, object] = {"bars": context.height}
        for anchor, profile in ANCHORS.items():
            since = trades if profile == "FULL" else trades.filter(pl.col("session") == profile)
            facts |= _of_anchor(anchor, context, since, profiles.get(profile))
        broken = any(facts[f"{anchor}_{rule}"] for anchor in ANCHORS for rule in ("outside", "last_differs"))
        findings.append(Finding(symbol, not broken, facts))
    return findings


def _of_anchor(
    anchor: str, context: pl.DataFrame, trades: pl.DataFrame, final: float | None
) -> dict[str, object]:
    extremes = trades.select(
        "ts_event", pl.col("price").cum_min().alias("low"), pl.col("price").cum_max().alias("high")
    )
    known = (
        context.with_columns((pl.col("bar_ts") + BAR).alias("end"))
        .join_asof(
            extremes, left_on="end", right_on="ts_event", strategy="backward", allow_exact_matches=False
        )
        .filter(pl.col(anchor).is_not_null())
    )
    low, high = pl.col("low") - PRICE_TOLERANCE, pl.col("high") + PRICE_TOLERANCE
    inside = pl.col(anchor).is_between(low, high) & (pl.col(f"{anchor}_std") >= 0)
    outside = known.filter(~inside.fill_null(value=False)).height
    last = known.tail(1).join(trades.select(pl.col("ts_event").max().alias("last_trade")), how="cross")
    off = (pl.col(anchor) - pl.lit(final, pl.Float64)).abs() > PRICE_TOLERANCE
    # Where the book ends before the trades do, its last bar has not seen the whole profile.
    differs = last.filter(off & (pl.col("end") > pl.col("last_trade"))).height
    return {f"{anchor}_outside": outside, f"{anchor}_last_differs": differs}


def ranges_are_extremes(bench: Workbench, day: dt.date) -> list[Finding]:
    """A range level of the day is the first highest or lowest of the trades in its window, and counts them all."""
    findings = []
    columns = ["level_name", "level_polarity", "level_price_raw", "formation_start_ts", "valid_from_ts"]
    columns += ["extreme_ts", "window_trades", "source_session_date"]
    for symbol in _symbols(bench, SESSION_LEVELS, day):
        ranges = _frame(bench, SESSION_LEVELS, day, symbol, columns).filter(
            pl.col("extreme_ts").is_not_null(), pl.col("source_session_date") == day
        )
        trades = _frame(bench, TRADES_CLEAN, day, symbol, ["ts_event", "price"])
        # Instants stay in columns: a Python datetime would drop their nanoseconds.
        inside = ranges.join_where(
            trades,
            pl.col("ts_event") >= pl.col("formation_start_ts"),
            pl.col("ts_event") < pl.col("valid_from_ts"),
        )
        towards = pl.col("price") * pl.col("level_polarity")
        extremes = inside.group_by("level_name").agg(
            towards.max().alias("farthest"),
            pl.col("ts_event").filter(towards == towards.max()).min().alias("first_touch"),
            pl.len().cast(pl.Int64).alias("trades"),
        )
        agrees = pl.all_horizontal(
            pl.col("farthest") == pl.col("level_price_raw") * pl.col("level_polarity"),
            pl.col("first_touch") == pl.col("extreme_ts"),
            pl.col("trades") == pl.col("window_trades"),
        ).fill_null(value=False)
        differ = ranges.join(extremes, on="level_name", how="left").filter(~agrees)["level_name"].sort()
        facts = {"ranges": ranges.height, "differ": differ.to_list()}
        findings.append(Finding(symbol, differ.is_empty(), facts))
    return findings


def attempts_in_order(bench: Workbench, day: dt.date) -> list[Finding]:
    """Attempts at a level count 1, 2, ... in time, at least the cooldown apart, each decided as its trigger bar ends."""
    findings = []
    columns = ["level_type", "attempt_index", "trigger_bar_ts", "decision_ts"]
    cooldown = pl.duration(seconds=BAR_SECONDS * bench.settings.episodes.cooldown_bars)
    for symbol in _symbols(bench, LEVELS_SIGNALS, day):
        attempts = _frame(bench, LEVELS_SIGNALS, day, symbol, columns).sort("level_type", "trigger_bar_ts")
        number = pl.int_range(1, pl.len() + 1).over("level_type")
        facts = attempts.select(
            pl.len().alias("attempts"),
            (pl.col("attempt_index") != number).sum().alias("misnumbered"),
            (pl.col("trigger_bar_ts").diff().over("level_type") < cooldown).sum().alias("too_close"),
            (pl.col("decision_ts") != pl.col("trigger_bar_ts") + BAR).sum().alias("decided_elsewhere"),
        ).row(0, named=True)
        passed = not (facts["misnumbered"] or facts["too_close"] or facts["decided_elsewhere"])
        findings.append(Finding(symbol, passed, facts))
    return findings


def outcomes_reach_barriers(bench: Workbench, day: dt.date) -> list[Finding]:
    """A break went its barrier beyond the level and first, a bounce its barrier back, a chop neither, by the horizon."""
    findings = []
    for symbol in _symbols(bench, LEVELS_SIGNALS, day):
        rules = _outcome_rules(Scope.of(day, bench).of_contract(symbol).tick_size)
        names = sorted({name for rule in rules.values() for name in rule.meta.root_names()})
        attempts = _frame(bench, LEVELS_SIGNALS, day, symbol, names)
        broken = attempts.select(
            (~rule.fill_null(value=True)).sum().alias(name) for name, rule in rules.items()
        ).row(0, named=True)
        facts = {"attempts": attempts.height, "broken": {name: rows for name, rows in broken.items() if rows}}
        findings.append(Finding(symbol, not facts["broken"], facts))
    return findings


def _outcome_rules(tick_size: float) -> dict[str, pl.Expr]:
    rules = {}
    for horizon in HORIZONS_S:
        most, least = pl.col(f"mfe_pts_{horizon}s"), pl.col(f"mae_pts_{horizon}s")
        for ticks in BARRIER_TICKS:
            name, barrier = f"{ticks}t_{horizon}s", ticks * tick_size
            outcome = pl.col(f"outcome_{name}").cast(pl.String)
            up, down = pl.col(f"time_to_break_{name}_s"), pl.col(f"time_to_bounce_{name}_s")
            rules[name] = pl.when(outcome == "BREAK").then(
                (most >= barrier).fill_null(value=True)
                & up.is_not_null()
                & (up <= down).fill_null(value=True)
            ).when(outcome == "BOUNCE").then(
                (least <= -barrier).fill_null(value=True)
                & down.is_not_null()
                & (down <= up).fill_null(value=True)
            ).when(outcome == "CHOP").then(
                (most < barrier) & (least > -barrier) & up.is_null() & down.is_null()
            ).otherwise(statement=True) & (pl.max_horizontal(up, down) <= horizon).fill_null(value=True)
    return rules


def _symbols(bench: Workbench, key: str, day: dt.date) -> list[str]:
    return TableInput(bench.lake, key, (day,)).symbols()


def _frame(bench: Workbench, key: str, day: dt.date, symbol: str, columns: Sequence[str]) -> pl.DataFrame:
    return TableInput(bench.lake, key, (day,)).frame(symbol, columns)


CHECKS: tuple[Check, ...] = (
    Check.of(footprints_add_up, FOOTPRINT_PRICE, "ERROR", PROFILE_PRICE),
    Check.of(bars_hold_trades, BARS, "ERROR", TRADES_CLEAN),
    Check.of(flows_conserved, BARS_EXT, "ERROR", BARS, PRICE5S),
    Check.of(vwaps_in_range, SESSION_CONTEXT, "ERROR", TRADES_CLEAN, PROFILE_SESSION),
    Check.of(ranges_are_extremes, SESSION_LEVELS, "ERROR", TRADES_CLEAN),
    Check.of(attempts_in_order, LEVELS_SIGNALS, "ERROR"),
    Check.of(outcomes_reach_barriers, LEVELS_SIGNALS, "ERROR"),
)
