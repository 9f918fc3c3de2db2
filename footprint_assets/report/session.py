"""The session page: one contract and trade date on one chart, from the evening open to the close.

Candles of one minute over the resting size of the book, with volume profile, levels, VWAP bands, attempts at levels and
what became of them, and the cumulative delta. Computation stays in the tables; this module lays their rows on a common
axis of minutes.
"""

from __future__ import annotations

import base64
import datetime as dt
import html
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from footprint_assets import calendar as cme
from footprint_assets.report.frames import (
    EASTERN,
    NS,
    clock,
    decimals,
    eastern,
    extremes,
    nanoseconds,
    numbers,
    select,
    tick_size,
)
from footprint_assets.report.levels import levels_table, placed_levels
from footprint_assets.report.shell import Figure, Subject, chart_page, empty_page, signed, table, tone

BAR_TYPE = "time_1m"
MINUTE_NS = 60_000_000_000
MAX_DEPTH_ROWS = 480
"""Price rows of the depth picture; where the session spans more ticks, a row holds several."""
DEPTH_MARGIN_TICKS = 8
DEPTH_QUANTILE = 0.995
"""Share of the cells below the brightest colour: a single wall must not darken all others."""

BAR_COLUMNS = (
    "bar_type",
    "bar_ts",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "trades",
    "delta",
    "cum_delta",
    "cum_delta_open",
    "cum_delta_high",
    "cum_delta_low",
)
PROFILE_COLUMNS = (
    "profile_type",
    "price_tick",
    "price",
    "bid_volume",
    "ask_volume",
    "total_volume",
    "is_poc",
    "is_in_value_area",
)
VWAP_COLUMNS = ("bar_ts", "globex_vwap", "globex_vwap_std", "rth_vwap", "rth_vwap_std")
MOVING_COLUMNS = ("bar_ts", "level_name", "level_price")
DEPTH_COLUMNS = ("bar_ts", "price_tick", "bid_qty_ns", "ask_qty_ns")
EPISODE_COLUMNS = (
    "episode_id",
    "session_date",
    "level_type",
    "level_price",
    "approach_direction",
    "decision_ts",
    "trigger_kind",
    "attempt_index",
)
OUTCOME_COLUMNS = ("episode_id", "outcome", "outcome5", "mfe_pts_480s", "mae_pts_480s", "label_end_ts")
MOVING_LEVELS = ("SMA_90",)
LEGEND = """<ul class="legend">
<li><span class="key depth"></span>resting size, mean of the minute</li>
<li><span class="key value"></span>volume at price, value area</li>
<li><span class="key poc"></span>point of control</li>
<li><span class="key vwap"></span>VWAP, ±1σ, ±2σ</li>
<li><span class="mark bounce">●</span>attempt that bounced</li>
<li><span class="mark break">●</span>broke</li>
<li><span class="mark chop">●</span>neither</li>
<li class="hint">Drag to pan, scroll to zoom, double-click for the whole session</li>
</ul>"""


@dataclass(frozen=True)
class SessionTables:
    """The rows of one contract and trade date.

    Args:
        bar: ``silver.future.footprint_bar``, with bars of one minute.
        profile: ``volume_profile_price``.
        levels: ``session_levels``.
        vwap: ``session_context_5s``, :data:`VWAP_COLUMNS`.
        moving: ``level_series_5s``, :data:`MOVING_COLUMNS`.
        depth: ``market_by_price_10_price5s``, :data:`DEPTH_COLUMNS`.
        episodes: The episodes of every level, one below the other, :data:`EPISODE_COLUMNS`.
        outcomes: Their outcomes, :data:`OUTCOME_COLUMNS`.
    """

    bar: pl.DataFrame
    profile: pl.DataFrame
    levels: pl.DataFrame
    vwap: pl.DataFrame
    moving: pl.DataFrame
    depth: pl.DataFrame
    episodes: pl.DataFrame
    outcomes: pl.DataFrame


def session_page(
    tables: SessionTables, *, symbol: str, session_date: dt.date, simulated: bool = False
) -> str:
    """Draw the session of a contract as one HTML page.

    Args:
        tables: Its rows.
        symbol: Raw symbol, such as ``ESM4``.
        session_date: CME trade date.
        simulated: Say on the page that the data is simulated.

    Returns:
        The HTML text, to be written as UTF-8. A trade date without trades gives a page that says so.

    Raises:
        ReportError: If a column is missing or the tables disagree.
        MarketClosed: The date is no trade date.
    """
    session = cme.session(session_date)
    subject = Subject(symbol, f"Trade date {session_date.isoformat()} · session report", simulated)
    bars = select(tables.bar, BAR_COLUMNS, "footprint_bar", symbol, session_date)
    bars = bars.filter(pl.col("bar_type").cast(pl.String) == BAR_TYPE).sort("bar_ts")
    profile = select(tables.profile, PROFILE_COLUMNS, "volume_profile_price", symbol, session_date)
    if bars.is_empty() or profile.is_empty():
        return empty_page(subject, "There were no trades on this trade date.")
    tick = tick_size(profile["price"], profile["price_tick"])
    minutes = _minutes(bars)
    placed = placed_levels(
        tables.levels, symbol, session_date, int(nanoseconds(bars, "bar_ts")[0]), session.close_ns
    )
    episodes = _episodes(tables.episodes, tables.outcomes)
    data = {
        "tick": tick,
        "decimals": decimals(tick),
        "t": clock(minutes["bar_ts"]),
        "bars": {
            name: numbers(minutes[name])
            for name in BAR_COLUMNS
            if name not in ("bar_type", "bar_ts", "trades")
        },
        "vwap": _bands(tables.vwap, minutes),
        "moving": _moving(tables.moving, minutes),
        "levels": placed,
        "profiles": _profiles(profile),
        "depth": _depth(tables.depth, minutes, tick, bars),
        "episodes": _marks(episodes),
        "hours": [
            None if instant is None else clock(pl.Series([instant]).cast(NS))[0]
            for instant in (session.rth_open_ns, session.rth_close_ns)
        ],
    }
    footer = LEGEND + _episode_table(episodes, session_date, decimals(tick)) + levels_table(placed, tick)
    figures = _figures(bars, profile, episodes, tick, session)
    return chart_page(subject, figures, _controls(data), footer, data, "session.js")


def _minutes(bars: pl.DataFrame) -> pl.DataFrame:
    """Every minute from the first bar to the last; one without trades has nulls."""
    first, last = bars["bar_ts"][0], bars["bar_ts"][-1]
    every = pl.datetime_range(first, last, "1m", time_unit="ns", time_zone="UTC", eager=True).alias("bar_ts")
    return every.to_frame().join(bars.cast({"bar_ts": NS}), on="bar_ts", how="left", maintain_order="left")


def _at_minutes(rows: pl.DataFrame, minutes: pl.DataFrame) -> pl.DataFrame:
    """The last row of each minute: what was known at the minute's end."""
    known = rows.cast({"bar_ts": NS}).sort("bar_ts").with_columns(pl.col("bar_ts").dt.truncate("1m"))
    return minutes.select("bar_ts").join(
        known.group_by("bar_ts", maintain_order=True).last(), on="bar_ts", how="left", maintain_order="left"
    )


def _bands(vwap: pl.DataFrame, minutes: pl.DataFrame) -> dict[str, dict[str, list[Any]]]:
    rows = _at_minutes(vwap.select(VWAP_COLUMNS), minutes)
    return {
        name: {
            "vwap": numbers(rows[f"{name}_vwap"].round(4)),
            "std": numbers(rows[f"{name}_vwap_std"].round(4)),
        }
        for name in ("globex", "rth")
    }


def _moving(moving: pl.DataFrame, minutes: pl.DataFrame) -> dict[str, list[Any]]:
    found = {}
    for name in MOVING_LEVELS:
        rows = moving.select(MOVING_COLUMNS).filter(pl.col("level_name").cast(pl.String) == name)
        if rows.height:
            found[name] = numbers(_at_minutes(rows.drop("level_name"), minutes)["level_price"].round(4))
    return found


def _profiles(profile: pl.DataFrame) -> dict[str, dict[str, list[Any]]]:
    found = {}
    for name in ("RTH", "FULL", "ETH"):
        rows = profile.filter(pl.col("profile_type").cast(pl.String) == name).sort("price_tick")
        if rows.height:
            found[name] = {
                "tick": rows["price_tick"].to_list(),
                "bid": rows["bid_volume"].to_list(),
                "ask": rows["ask_volume"].to_list(),
                "total": rows["total_volume"].to_list(),
                "poc": [int(value) for value in rows["is_poc"]],
                "value": [int(value) for value in rows["is_in_value_area"]],
            }
    return found


def _depth(
    depth: pl.DataFrame, minutes: pl.DataFrame, tick: float, bars: pl.DataFrame
) -> dict[str, Any] | None:
    """The resting size of the book as a picture of minutes x price rows, one byte a cell.

    A cell is the time-weighted mean size over its minute, of the bid and the ask together, 0 where the row was not
    visible; of rows of several ticks the largest. Byte 255 is ``most`` contracts or more.
    """
    lowest, highest = extremes(bars["low"], bars["high"])
    low, high = round(lowest / tick) - DEPTH_MARGIN_TICKS, round(highest / tick) + DEPTH_MARGIN_TICKS
    height = math.ceil((high - low + 1) / MAX_DEPTH_ROWS)
    start = int(nanoseconds(minutes, "bar_ts")[0])
    means = (
        depth.lazy()
        .select(
            minute=(pl.col("bar_ts").cast(NS).cast(pl.Int64) - start) // MINUTE_NS,
            tick=pl.col("price_tick").cast(pl.Int64) - low,
            size=(pl.col("bid_qty_ns").fill_null(0) + pl.col("ask_qty_ns").fill_null(0)) / MINUTE_NS,
        )
        .filter(pl.col("tick").is_between(0, high - low), pl.col("minute").is_between(0, minutes.height - 1))
        .group_by("minute", "tick")
        .agg(pl.col("size").sum())
        .group_by("minute", row=pl.col("tick") // height)
        .agg(pl.col("size").max())
        .filter(pl.col("size") > 0)
        .collect()
    )
    if means.is_empty():
        return None
    size = means["size"].to_numpy()
    most = float(np.quantile(size, DEPTH_QUANTILE, method="lower"))
    picture = np.zeros(((high - low) // height + 1, minutes.height), dtype=np.uint8)
    picture[means["row"].to_numpy(), means["minute"].to_numpy()] = np.clip(np.rint(255 * size / most), 1, 255)
    return {
        "low": low,
        "ticks": height,
        "rows": picture.shape[0],
        "most": round(most, 1),
        "cells": base64.b64encode(picture.tobytes()).decode(),
    }


def _episodes(episodes: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    known = outcomes.select(OUTCOME_COLUMNS)
    return (
        episodes.select(EPISODE_COLUMNS)
        .join(known, on="episode_id", how="left")
        .with_columns(
            pl.col("level_type", "trigger_kind", "outcome", "outcome5").cast(pl.String),
            pl.col("decision_ts", "label_end_ts").cast(NS),
        )
        .sort("decision_ts", "level_type", "episode_id")
    )


def _marks(episodes: pl.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "level": level,
            "price": price,
            "t": at,
            "direction": direction,
            "outcome": outcome,
            "attempt": attempt,
        }
        for level, price, at, direction, outcome, attempt in zip(
            episodes["level_type"].to_list(),
            numbers(episodes["level_price"]),
            clock(episodes["decision_ts"]),
            episodes["approach_direction"].to_list(),
            episodes["outcome"].to_list(),
            episodes["attempt_index"].to_list(),
            strict=True,
        )
    ]


def _episode_table(episodes: pl.DataFrame, session_date: dt.date, digits: int) -> str:
    if episodes.is_empty():
        return ""

    def number(value: float | None) -> str:
        return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"

    rows = (
        (
            f'<button type="button" class="go" data-episode="{index}">'
            f"{eastern(row['decision_ns'], session_date)}</button>",
            html.escape(row["level_type"]),
            f"{row['level_price']:.{digits}f}",
            str(row["attempt_index"]),
            "from below" if row["approach_direction"] > 0 else "from above",
            html.escape(row["trigger_kind"] or "–"),
            f'<span class="mark {_tone_of(row["outcome"])}">{html.escape(row["outcome"] or "–")}</span>',
            html.escape(row["outcome5"] or "–"),
            number(row["mfe_pts_480s"]),
            number(row["mae_pts_480s"]),
        )
        for index, row in enumerate(
            episodes.with_columns(decision_ns=pl.col("decision_ts").cast(pl.Int64)).iter_rows(named=True)
        )
    )
    headings = (
        "Decision, ET",
        "Level",
        "Price",
        "Attempt",
        "Approach",
        "Trigger",
        "Outcome",
        "Outcome of five",
    )
    excursions = ("MFE 480 s, pts", "MAE 480 s, pts")
    listed = table((*headings, *excursions), rows, name="episodes", numbers=("Price", "Attempt", *excursions))
    return f"<details><summary>Attempts at levels ({episodes.height})</summary>{listed}</details>"


def _tone_of(outcome: str | None) -> str:
    return {"BOUNCE": "bounce", "BREAK": "break"}.get(outcome or "", "chop")


def _figures(
    bars: pl.DataFrame, profile: pl.DataFrame, episodes: pl.DataFrame, tick: float, session: cme.Session
) -> list[Figure]:
    digits = decimals(tick)
    low, high = extremes(bars["low"], bars["high"])
    change = float(bars["close"][-1]) - float(bars["open"][0])
    delta = int(bars["delta"].sum())
    kinds = set(profile["profile_type"].cast(pl.String))
    kind = "RTH" if "RTH" in kinds else "FULL"
    area = profile.filter(pl.col("profile_type").cast(pl.String) == kind)
    poc = area.filter("is_poc")["price"]
    value = area.filter("is_in_value_area")["price"]
    outcomes = episodes["outcome"].fill_null("UNDECIDED").value_counts().sort("outcome")
    hours = pl.Series([session.open_ns, session.close_ns]).cast(NS).dt.convert_time_zone(EASTERN)
    return [
        Figure("Globex, ET", " – ".join(hours.dt.to_string("%m-%d %H:%M"))),
        Figure("Open", f"{bars['open'][0]:.{digits}f}"),
        Figure("High", f"{high:.{digits}f}"),
        Figure("Low", f"{low:.{digits}f}"),
        Figure("Close", f"{bars['close'][-1]:.{digits}f}"),
        Figure("Range, pts", f"{high - low:.{digits}f}"),
        Figure("Change, pts", signed(change, digits), tone(change)),
        Figure("Volume", f"{int(bars['volume'].sum()):,}"),
        Figure("Delta", signed(delta), tone(delta)),
        Figure(f"{kind} POC", f"{poc[0]:.{digits}f}" if poc.len() else "–"),
        Figure(
            f"{kind} value area",
            " – ".join(f"{edge:.{digits}f}" for edge in extremes(value, value)) if value.len() else "–",
        ),
        Figure(
            "Attempts", ", ".join(f"{count} {name.lower()}" for name, count in outcomes.iter_rows()) or "none"
        ),
        *([Figure("Early close", session.note or "", "warn")] if session.is_early_close else []),
    ]


def _controls(data: dict[str, Any]) -> str:
    options = "".join(f"<option>{name}</option>" for name in (*data["profiles"], "no profile"))
    return (
        f'<label>Profile <select id="profile">{options}</select></label><span id="parts" class="chips"></span>'
        '<span id="classes" class="chips"></span>'
        '<button type="button" id="cash">Cash session</button>'
        '<button type="button" id="overview">Whole session</button>'
    )
