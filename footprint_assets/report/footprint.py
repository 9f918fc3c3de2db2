"""The footprint page: every bar of a trade date as price rows ``bid x ask``, in any published bar type.

Computation stays in the tables. This module selects, formats and places; the only figures it derives are those of the
trade date (volume, VWAP, point of control), which the bars do not store.
"""

from __future__ import annotations

import datetime as dt
import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from footprint_assets.report.frames import (
    axis,
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
from footprint_assets.report.shell import Figure, ReportError, Subject, chart_page, empty_page, signed, tone

MAX_CELLS = 250_000
"""Cells of all bar types of a page: about 5 MB."""
FIRST_SHOWN = "time_5m"

PRICE_COLUMNS = (
    "bar_type",
    "bar_id",
    "price_tick",
    "price",
    "bid_volume",
    "ask_volume",
    "total_volume",
    "buy_stack_length",
    "sell_stack_length",
    "is_buy_imbalance",
    "is_sell_imbalance",
    "is_poc",
    "is_in_value_area",
)
BAR_COLUMNS = (
    "bar_type",
    "bar_id",
    "bar_ts",
    "bar_end_ts",
    "is_complete",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "unknown_volume",
    "trades",
    "delta",
    "max_delta",
    "min_delta",
    "cum_delta",
    "cum_delta_open",
    "cum_delta_high",
    "cum_delta_low",
    "vwap",
    "buy_imbalance_count",
    "sell_imbalance_count",
)
LEGEND = """<ul class="legend">
<li><span class="number">bid × ask</span> contracts sold into the bid × bought from the ask</li>
<li><span class="key buy-imbalance"></span>buy imbalance</li>
<li><span class="key sell-imbalance"></span>sell imbalance</li>
<li><span class="key poc"></span>point of control</li>
<li><span class="key value"></span>value area</li>
<li><span class="key vwap"></span>VWAP</li>
<li><span class="key level"></span>level, from when it is known</li>
<li class="hint" id="hint"></li>
</ul>"""


def footprint_page(
    price: pl.DataFrame,
    bar: pl.DataFrame,
    levels: pl.DataFrame,
    *,
    symbol: str,
    session_date: dt.date,
    bar_types: Sequence[str] = (),
    simulated: bool = False,
    ticks_per_row: int = 1,
) -> str:
    """Draw the footprint of a trade date as one HTML page.

    A level is a line that starts with the first bar that begins at or after its ``valid_from_ts``, never before. Dynamic
    levels have no single price, so they are listed and not drawn. The same input gives the same bytes.

    Args:
        price: Rows of ``silver.future.footprint_price``; other symbols and dates are ignored.
        bar: Rows of ``silver.future.footprint_bar``.
        levels: Rows of ``silver.future.session_levels``; may be empty.
        symbol: Raw symbol, such as ``ESM4``.
        session_date: CME trade date.
        bar_types: Bars one can choose on the page, the first of them shown. Without: all whose cells fit together, those
            with the fewest cells first.
        simulated: Say on the page that the data is simulated.
        ticks_per_row: Row height ``price`` was built with (``FootprintSettings.ticks_per_row``), ticks.

    Returns:
        The HTML text, to be written as UTF-8. A trade date without trades gives a page that says so.

    Raises:
        ReportError: If a column is missing, the tables disagree, or the cells do not fit one page.
    """
    bars = select(bar, BAR_COLUMNS, "footprint_bar", symbol, session_date)
    cells = select(price, PRICE_COLUMNS, "footprint_price", symbol, session_date)
    subject = Subject(symbol, f"Trade date {session_date.isoformat()} · footprint", simulated)
    bars, cells = (rows.with_columns(pl.col("bar_type").cast(pl.String)) for rows in (bars, cells))
    chosen, left_out = _chosen(cells, bar_types)
    bars = bars.filter(pl.col("bar_type").is_in(chosen)).sort("bar_type", "bar_id")
    cells = cells.filter(pl.col("bar_type").is_in(chosen)).sort("bar_type", "bar_id", "price_tick")
    if bars.is_empty():
        return empty_page(subject, "There were no trades on this trade date.")
    tick = tick_size(cells["price"], cells["price_tick"])
    _require_rows(cells, ticks_per_row)
    sets = {
        name: _bar_set(bars.filter(pl.col("bar_type") == name), cells.filter(pl.col("bar_type") == name))
        for name in chosen
    }
    first = bars.filter(pl.col("bar_type") == chosen[0])
    placed = placed_levels(
        levels,
        symbol,
        session_date,
        int(nanoseconds(first, "bar_ts").min()),
        int(nanoseconds(first, "bar_end_ts").max()),
    )
    data = {
        "tick": tick,
        "ticksPerRow": ticks_per_row,
        "decimals": decimals(tick),
        "sets": sets,
        "barTypes": chosen,
        "levels": placed,
    }
    figures = _summary(first, cells.filter(pl.col("bar_type") == chosen[0]), tick, session_date)
    missing = f"<p>Not on this page, for its size: {', '.join(left_out)}.</p>" if left_out else ""
    return chart_page(
        subject,
        figures,
        _controls(chosen),
        LEGEND + levels_table(placed, tick) + missing,
        data,
        "footprint.js",
    )


def _chosen(cells: pl.DataFrame, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """The bar types of the page, the one shown first at their head, and those that do not fit."""
    counts = dict(cells.group_by("bar_type").len().sort("len", "bar_type").iter_rows())
    if wanted:
        chosen = [name for name in dict.fromkeys(wanted) if name in counts]
        total = sum(counts[name] for name in chosen)
        if total > MAX_CELLS:
            raise ReportError(
                "The footprint does not fit one page.",
                where={"bar_types": ", ".join(chosen), "cells": total, "max_cells": MAX_CELLS},
                remedy="Choose fewer bar types, longer bars or more ticks per row.",
            )
        return chosen, []
    fits = [
        name for name, total in zip(counts, np.cumsum([*counts.values()]), strict=True) if total <= MAX_CELLS
    ]
    chosen = sorted(
        fits, key=lambda name: (name != FIRST_SHOWN, name.partition("_")[0] != "time", counts[name])
    )
    return chosen, [name for name in counts if name not in fits]


def _require_rows(cells: pl.DataFrame, ticks_per_row: int) -> None:
    ticks = cells["price_tick"].cast(pl.Int64)
    if ((ticks - int(ticks[0])) % ticks_per_row != 0).any():
        raise ReportError(
            "The price rows do not lie on the given row height.",
            where={"table": "silver.future.footprint_price", "ticks_per_row": ticks_per_row},
            remedy="Pass the ticks_per_row the table was built with.",
        )


def _bar_set(bars: pl.DataFrame, cells: pl.DataFrame) -> dict[str, Any]:
    """The bars of one type, in columns; cells lie together, those of bar ``i`` from ``first[i]`` to ``first[i + 1]``."""
    counted = bars.select("bar_id", "bar_type").join(
        cells.group_by("bar_id").len("cells"), on="bar_id", how="left", maintain_order="left"
    )
    if counted["cells"].null_count() or counted["cells"].sum() != cells.height:
        raise ReportError(
            "Bars and price rows do not belong together: some bars have no rows, or rows no bar.",
            where={"table": "silver.future.footprint_price", "bar_type": bars["bar_type"][0]},
            remedy="Materialize footprint_price and footprint_bar of this partition together.",
        )
    vwap = (bars["vwap"] * bars["volume"]).cum_sum() / bars["volume"].cum_sum()
    flags = cells.select(
        pl.col("is_buy_imbalance").cast(pl.Int32)
        + 2 * pl.col("is_sell_imbalance").cast(pl.Int32)
        + 4 * pl.col("is_poc").cast(pl.Int32)
        + 8 * pl.col("is_in_value_area").cast(pl.Int32)
        + 16 * (pl.col("buy_stack_length") >= 3).cast(pl.Int32)
        + 32 * (pl.col("sell_stack_length") >= 3).cast(pl.Int32)
    ).to_series()
    shown = ("open", "high", "low", "close", "volume", "delta", "max_delta", "min_delta")
    return {
        "t": axis(bars["bar_ts"]),
        "end": clock(bars["bar_end_ts"]),
        "complete": [int(value) for value in bars["is_complete"]],
        **{
            name: numbers(bars[name])
            for name in (*shown, "cum_delta", "cum_delta_open", "cum_delta_high", "cum_delta_low")
        },
        "vwap": numbers(vwap.round(4)),
        "first": [0, *counted["cells"].cum_sum().to_list()],
        "tick": cells["price_tick"].to_list(),
        "bid": cells["bid_volume"].to_list(),
        "ask": cells["ask_volume"].to_list(),
        "total": cells["total_volume"].to_list(),
        "flags": flags.to_list(),
    }


def _summary(bars: pl.DataFrame, cells: pl.DataFrame, tick: float, session_date: dt.date) -> list[Figure]:
    volume, unknown, delta = (int(bars[name].sum()) for name in ("volume", "unknown_volume", "delta"))
    known, digits = volume - unknown, decimals(tick)
    vwap = float((bars["vwap"] * bars["volume"]).sum()) / volume if volume else math.nan
    low, high = extremes(bars["low"], bars["high"])
    change = float(bars["close"][-1]) - float(bars["open"][0])
    begin, end = int(nanoseconds(bars, "bar_ts")[0]), int(nanoseconds(bars, "bar_end_ts")[-1])
    figures = [
        Figure("Session, ET", f"{eastern(begin, session_date)} – {eastern(end, session_date)}"),
        Figure("Open", f"{bars['open'][0]:.{digits}f}"),
        Figure("High", f"{high:.{digits}f}"),
        Figure("Low", f"{low:.{digits}f}"),
        Figure("Close", f"{bars['close'][-1]:.{digits}f}"),
        Figure("Change, pts", signed(change, digits), tone(change)),
        Figure("Volume", f"{volume:,}"),
        Figure("Trades", f"{int(bars['trades'].sum()):,}"),
        Figure("Delta", signed(delta), tone(delta)),
        Figure("Delta %", signed(100 * delta / known, 1) if known else "–", tone(delta)),
        Figure("VWAP", f"{vwap:.{digits}f}" if math.isfinite(vwap) else "–"),
        Figure("POC", f"{_point_of_control(cells):.{digits}f}"),
    ]
    return [*figures, Figure("No aggressor", f"{unknown:,}")] if unknown else figures


def _point_of_control(cells: pl.DataFrame) -> float:
    """Return the point of control: largest volume, then nearest the midpoint, then lower (CBOT rule)."""
    profile = cells.group_by("price_tick").agg(pl.col("total_volume").sum(), pl.col("price").first())
    ticks = profile["price_tick"].cast(pl.Int64)
    # Twice the distance to the midpoint keeps the comparison in integers.
    doubled = int(ticks.min()) + int(ticks.max())  # type: ignore[arg-type]  # a column of integers has both
    best = profile.with_columns(distance=(2 * ticks - doubled).abs()).sort(
        "total_volume", "distance", "price_tick", descending=[True, False, False]
    )
    return float(best["price"][0])


def _controls(bar_types: list[str]) -> str:
    options = "".join(f"<option>{html.escape(name)}</option>" for name in bar_types)
    return (
        f'<label>Bars <select id="bars">{options}</select></label>'
        '<span id="classes" class="chips"></span>'
        '<button type="button" id="numbers">Numbers</button><button type="button" id="overview">Whole session</button>'
    )
