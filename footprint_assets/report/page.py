"""One self-contained HTML page with the footprint chart of a window of bars.

The page works from ``file://`` without network: the chart library, the data and the styles are inside it, and its
Content-Security-Policy allows exactly the scripts it was written with, by hash. Everything that comes from the data
(symbols, level names) is text: escaped in HTML, in the JSON block and again before the chart library sees it.

Computation stays in the tables. This module selects, formats and places; the only figures it derives are those of the
chosen window (volume, VWAP, point of control), which no table stores.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import html
import json
import math
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.offline
import polars as pl

from footprint_assets.errors import FootprintError

EASTERN = "America/New_York"
MAX_BARS = 400
MAX_CELLS = 400_000
"""Bars times price rows a browser still pans smoothly."""

PRICE_COLUMNS = (
    "bar_id",
    "bar_ts",
    "price_tick",
    "price",
    "bid_volume",
    "ask_volume",
    "total_volume",
    "delta",
    "buy_stack_length",
    "sell_stack_length",
    "is_buy_imbalance",
    "is_sell_imbalance",
    "is_poc",
    "is_in_value_area",
)
BAR_COLUMNS = (
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
    "poc_price",
    "vah_price",
    "val_price",
    "vwap",
    "buy_imbalance_count",
    "sell_imbalance_count",
)
LEVEL_COLUMNS = (
    "level_name",
    "level_class",
    "is_dynamic",
    "level_price",
    "valid_from_ts",
    "valid_to_ts",
    "is_partial_window",
)

Int64 = npt.NDArray[np.int64]


class ReportError(FootprintError):
    """A page cannot be drawn from the given tables."""


@dataclass(frozen=True)
class Grid:
    """The price rows of a window.

    Args:
        tick_size: Minimum price increment, points.
        ticks_per_row: Height of a row, ticks.
        low_tick: ``price_tick`` of the lowest row.
        rows: Number of rows from the lowest to the highest.
        low_price: Lowest price of the lowest row, points.
    """

    tick_size: float
    ticks_per_row: int
    low_tick: int
    rows: int
    low_price: float


def choose_window(bar: pl.DataFrame, bar_type: str, bars: int = 40) -> tuple[int, int] | None:
    """Find the busiest run of consecutive bars: the one with the largest volume, the earliest on a tie.

    Args:
        bar: Rows of ``silver.future.footprint_bar`` of one symbol and trade date.
        bar_type: Bars to look at, such as ``time_5m``.
        bars: Length of the run, bars; a shorter table is taken whole.

    Returns:
        ``(start_ns, end_ns)``, UTC nanoseconds: the bars with ``start_ns <= bar_ts < end_ns``. ``None`` without bars.

    Raises:
        ReportError: If ``bars`` is not positive or a column is missing.

    Example:
        >>> import polars as pl
        >>> bar = pl.DataFrame({"bar_type": ["tick_2000"] * 4, "bar_id": [0, 1, 2, 3],
        ...                     "bar_ts": [0, 10, 20, 30], "volume": [5, 9, 8, 1]})
        >>> choose_window(bar, "tick_2000", bars=2)
        (10, 21)
    """
    if bars < 1:
        raise ReportError("A window needs at least one bar.", where={"bars": bars})
    if bar.is_empty():
        return None
    _require(bar, ("bar_type", "bar_id", "bar_ts", "volume"), "footprint_bar")
    rows = bar.filter(pl.col("bar_type").cast(pl.String) == bar_type).sort("bar_id")
    if rows.is_empty():
        return None
    starts = _nanoseconds(rows, "bar_ts")
    length = min(bars, rows.height)
    total = np.concatenate(([0], np.cumsum(rows["volume"].cast(pl.Int64).to_numpy())))
    first = int(np.argmax(total[length:] - total[:-length]))
    return int(starts[first]), int(starts[first + length - 1]) + 1


def footprint_page(
    price: pl.DataFrame,
    bar: pl.DataFrame,
    levels: pl.DataFrame,
    *,
    symbol: str,
    session_date: dt.date,
    bar_type: str = "time_5m",
    start_ns: int | None = None,
    end_ns: int | None = None,
    simulated: bool = False,
    ticks_per_row: int = 1,
) -> str:
    """Draw the footprint of a window of bars as one HTML page.

    Every bar is a column of price rows ``bid x ask`` with its candle at the left and its volume profile at the right.
    A level is a line that starts at its ``valid_from_ts``, never before. Dynamic levels have no single price, so they
    are listed and not drawn. The same input gives the same bytes.

    Args:
        price: Rows of ``silver.future.footprint_price``; other symbols, dates and bar types are ignored.
        bar: Rows of ``silver.future.footprint_bar``, best of the whole trade date: VWAP accumulates over all of them.
        levels: Rows of ``silver.future.session_levels``; may be empty.
        symbol: Raw symbol, such as ``ESM4``.
        session_date: CME trade date.
        bar_type: Bars to draw, such as ``time_5m`` or ``volume_1000``.
        start_ns: First ``bar_ts`` of the window, UTC ns, inclusive. With both bounds ``None`` the busiest 40 bars.
        end_ns: End of the window, UTC ns, exclusive. ``None`` means until the last bar.
        simulated: Say on the page that the data is simulated.
        ticks_per_row: Row height ``price`` was built with (``FootprintSettings.ticks_per_row``), ticks.

    Returns:
        The HTML text, to be written as UTF-8. A window without trades gives a page that says so.

    Raises:
        ReportError: If a column is missing, ``start_ns >= end_ns``, the tables disagree or the window is too large.
    """
    if start_ns is not None and end_ns is not None and start_ns >= end_ns:
        raise ReportError("The window ends before it starts.", where={"start_ns": start_ns, "end_ns": end_ns})
    facts = _Facts(symbol=symbol, session_date=session_date, bar_type=bar_type, simulated=simulated)
    session = _select(bar, (*BAR_COLUMNS, "bar_type"), "footprint_bar", symbol, session_date, bar_type)
    if start_ns is None and end_ns is None:
        start_ns, end_ns = choose_window(session, bar_type) or (None, None)
    bars = _between(session, start_ns, end_ns)
    if bars.is_empty():
        return _empty_page(facts)
    cells = _select(price, (*PRICE_COLUMNS, "bar_type"), "footprint_price", symbol, session_date, bar_type)
    cells = cells.join(bars.select("bar_id"), on="bar_id", how="semi")
    if cells["bar_id"].n_unique() != bars.height:
        raise ReportError(
            "Bars and price rows do not belong together: some bars have no rows.",
            where={
                "table": "silver.future.footprint_price",
                "symbol": symbol,
                "dt": session_date,
                "bar_type": bar_type,
            },
            remedy="Materialize footprint_price and footprint_bar of this partition together.",
        )
    grid = _grid(cells, ticks_per_row)
    _refuse_oversize(bars.height, grid, facts)
    placed = _place_levels(
        _select(levels, LEVEL_COLUMNS, "session_levels", symbol, session_date, None), bars, facts
    )
    chart = {
        "grid": {
            "rows": grid.rows,
            "low": grid.low_price,
            # Candles and cells share an axis: a row reaches half a tick beyond its lowest and highest price.
            "centre": round(grid.low_price + (grid.ticks_per_row - 1) * grid.tick_size / 2, 9),
            "height": grid.tick_size * grid.ticks_per_row,
            "tick": grid.tick_size,
            "decimals": _decimals(grid.tick_size),
        },
        "bars": _bar_arrays(bars, session, facts),
        "cells": _cell_arrays(cells, bars, grid),
        "levels": placed,
    }
    return _full_page(facts, _summary(bars, cells, grid, facts), placed, chart, grid)


@dataclass(frozen=True)
class _Facts:
    """What the page says about its subject."""

    symbol: str
    session_date: dt.date
    bar_type: str
    simulated: bool


# ---------------------------------------------------------------------------------------------------- selecting rows


def _require(frame: pl.DataFrame, columns: tuple[str, ...], table: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ReportError(
            f"The table lacks columns the page needs: {', '.join(missing)}.",
            where={"table": f"silver.future.{table}"},
            remedy="Pass rows read from the lake, with all their columns.",
        )


def _select(
    frame: pl.DataFrame,
    columns: tuple[str, ...],
    table: str,
    symbol: str,
    session_date: dt.date,
    bar_type: str | None,
) -> pl.DataFrame:
    if frame.is_empty():
        return pl.DataFrame(schema={name: frame.schema.get(name, pl.Null()) for name in columns})
    _require(frame, ("symbol", "session_date", *columns), table)
    rows = frame.filter(
        pl.col("symbol").cast(pl.String) == symbol,
        pl.col("session_date") == session_date,
        *([pl.col("bar_type").cast(pl.String) == bar_type] if bar_type is not None else []),
    ).select(columns)
    order = ["bar_id", *(["price_tick"] if "price_tick" in columns else [])] if bar_type is not None else []
    return rows.sort(order) if order else rows


def _between(bars: pl.DataFrame, start_ns: int | None, end_ns: int | None) -> pl.DataFrame:
    if bars.is_empty():
        return bars
    starts = _nanoseconds(bars, "bar_ts")
    inside = np.ones(bars.height, dtype=bool)
    if start_ns is not None:
        inside &= starts >= start_ns
    if end_ns is not None:
        inside &= starts < end_ns
    return bars.filter(pl.Series(inside))


def _nanoseconds(frame: pl.DataFrame, column: str) -> Int64:
    instants: Int64 = frame[column].cast(pl.Datetime("ns", "UTC")).cast(pl.Int64).to_numpy()
    return instants


def _grid(cells: pl.DataFrame, ticks_per_row: int) -> Grid:
    ticks: Int64 = cells["price_tick"].cast(pl.Int64).to_numpy()
    low, high = int(ticks.min()), int(ticks.max())
    if np.any((ticks - low) % ticks_per_row):
        raise ReportError(
            "The price rows do not lie on the given row height.",
            where={"table": "silver.future.footprint_price", "ticks_per_row": ticks_per_row},
            remedy="Pass the ticks_per_row the table was built with.",
        )
    farthest = int(np.argmax(np.abs(ticks)))
    price = float(cells["price"][farthest])
    tick_size = price / int(ticks[farthest]) if ticks[farthest] else 0.0
    if not (math.isfinite(tick_size) and tick_size > 0):
        raise ReportError(
            "price and price_tick contradict each other.",
            where={"price": price, "price_tick": int(ticks[farthest])},
        )
    # Binary noise of the division would show up in labels and in the bytes of the page.
    tick_size = round(tick_size, 9)
    return Grid(tick_size, ticks_per_row, low, (high - low) // ticks_per_row + 1, round(low * tick_size, 9))


def _refuse_oversize(bars: int, grid: Grid, facts: _Facts) -> None:
    if bars > MAX_BARS or bars * grid.rows > MAX_CELLS:
        raise ReportError(
            "The window is too large for one page.",
            where={
                "bars": bars,
                "price_rows": grid.rows,
                "max_bars": MAX_BARS,
                "max_cells": MAX_CELLS,
                "bar_type": facts.bar_type,
            },
            remedy="Choose a shorter window, longer bars or more ticks per row.",
        )


# --------------------------------------------------------------------------------------------------- what is drawn


def _eastern(frame: pl.DataFrame, column: str, pattern: str) -> list[str | None]:
    instants = frame[column].cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone(EASTERN)
    return instants.dt.to_string(pattern).to_list()


def _bar_arrays(bars: pl.DataFrame, session: pl.DataFrame, facts: _Facts) -> dict[str, Any]:
    vwap = session.select(
        "bar_id",
        vwap=(pl.col("vwap") * pl.col("volume")).cum_sum() / pl.col("volume").cum_sum(),
    ).join(bars.select("bar_id"), on="bar_id", how="semi", maintain_order="left")["vwap"]
    starts, ends = _nanoseconds(bars, "bar_ts"), _nanoseconds(bars, "bar_end_ts")
    whole_minutes = facts.bar_type.startswith("time_") and not np.any(starts % 60_000_000_000)
    first = int(session["bar_id"][0])
    since = "the session open" if first == 0 else f"{_eastern(session[:1], 'bar_ts', '%H:%M:%S')[0]} ET"
    # Only time bars promise to follow one another; the pause between event bars is no gap in the record.
    gaps = (
        starts[1:] > ends[:-1]
        if facts.bar_type.startswith("time_")
        else np.zeros(bars.height - 1, dtype=bool)
    )
    return {
        "label": _eastern(bars, "bar_ts", "%H:%M" if whole_minutes else "%H:%M:%S"),
        "begin": _eastern(bars, "bar_ts", "%m-%d %H:%M:%S"),
        "end": _eastern(bars, "bar_end_ts", "%H:%M:%S"),
        **{
            name: _numbers(bars[name])
            for name in (
                *("open", "high", "low", "close", "volume", "delta", "max_delta", "min_delta", "poc_price"),
                *("cum_delta", "cum_delta_open", "cum_delta_high", "cum_delta_low", "vah_price", "val_price"),
            )
        },
        "complete": bars["is_complete"].to_list(),
        "vwap": [None if value is None else round(value, 6) for value in _numbers(vwap)],
        "vwapSince": since,
        "gapBefore": [int(index) + 1 for index in np.flatnonzero(gaps)],
    }


def _cell_arrays(cells: pl.DataFrame, bars: pl.DataFrame, grid: Grid) -> dict[str, list[Any]]:
    slots = bars.select("bar_id").with_row_index("slot")
    rows = cells.join(slots, on="bar_id", how="left", maintain_order="left").with_columns(
        row=(pl.col("price_tick").cast(pl.Int64) - grid.low_tick) // grid.ticks_per_row,
        flags=(
            pl.col("is_buy_imbalance").cast(pl.Int32)
            + 2 * pl.col("is_sell_imbalance").cast(pl.Int32)
            + 4 * pl.col("is_poc").cast(pl.Int32)
            + 8 * pl.col("is_in_value_area").cast(pl.Int32)
        ),
    )
    names = {
        "slot": "slot",
        "row": "row",
        "bid": "bid_volume",
        "ask": "ask_volume",
        "total": "total_volume",
        "flags": "flags",
        "buyStack": "buy_stack_length",
        "sellStack": "sell_stack_length",
    }
    return {name: rows[column].to_list() for name, column in names.items()}


def _numbers(column: pl.Series) -> list[Any]:
    """Return JSON numbers: what is not finite is not known."""
    if column.dtype.is_float():
        return [None if value is None or not math.isfinite(value) else value for value in column.to_list()]
    return column.to_list()


def _slot_position(starts: Int64, ends: Int64, instant_ns: int) -> float:
    """Return where an instant lies on the axis of bars, whose bar ``i`` spans ``[i - 0.5, i + 0.5)``."""
    slot = int(np.searchsorted(starts, instant_ns, side="right")) - 1
    if slot < 0:
        return -0.5
    length = int(ends[slot] - starts[slot])
    share = min((instant_ns - int(starts[slot])) / length, 1.0) if length > 0 else 1.0
    return round(slot - 0.5 + share, 6)


def _place_levels(levels: pl.DataFrame, bars: pl.DataFrame, facts: _Facts) -> list[dict[str, Any]]:
    if levels.is_empty():
        return []
    starts, ends = _nanoseconds(bars, "bar_ts"), _nanoseconds(bars, "bar_end_ts")
    levels = levels.with_columns(
        pl.col("level_name").cast(pl.String),
        pl.col("level_class").cast(pl.String),
        *(pl.col(name).cast(pl.Datetime("ns", "UTC")) for name in ("valid_from_ts", "valid_to_ts")),
    ).sort("level_price", "level_name", "valid_from_ts", descending=[True, False, False], nulls_last=True)
    wall = [_eastern(levels, name, "%Y-%m-%d %H:%M:%S") for name in ("valid_from_ts", "valid_to_ts")]
    placed = []
    for row, known, ended in zip(
        levels.with_columns(pl.col("valid_from_ts", "valid_to_ts").cast(pl.Int64)).iter_rows(named=True),
        *wall,
        strict=True,
    ):
        price, begin, end = row["level_price"], row["valid_from_ts"], row["valid_to_ts"]
        begin_slot = None if begin is None else _slot_position(starts, ends, begin)
        end_slot = bars.height - 0.5 if end is None else _slot_position(starts, ends, end)
        if price is None or not math.isfinite(price):
            state = "no price"
        elif row["is_dynamic"]:
            state = "moving"
        elif begin_slot is None or begin_slot >= bars.height - 0.5:
            state = "not known yet"
        elif end_slot <= begin_slot:
            state = "expired"
        else:
            state = "drawn"
        placed.append(
            {
                "name": row["level_name"],
                "class": row["level_class"],
                "price": None if state == "no price" else price,
                "known": _short_time(known, facts.session_date),
                "ended": _short_time(ended, facts.session_date),
                "partial": bool(row["is_partial_window"]),
                "state": state,
                "x": [begin_slot, end_slot] if state == "drawn" else None,
            }
        )
    return placed


def _short_time(wall: str | None, session_date: dt.date) -> str | None:
    if wall is None:
        return None
    day, time = wall.split(" ")
    return time if day == session_date.isoformat() else f"{day[5:]} {time}"


# -------------------------------------------------------------------------------------------------------- the summary


def _summary(
    bars: pl.DataFrame, cells: pl.DataFrame, grid: Grid, facts: _Facts
) -> list[tuple[str, str, str]]:
    """Return ``(label, value, tone)`` of every figure in the header; tone is ``buy``, ``sell`` or empty."""
    volume = int(bars["volume"].sum())
    unknown = int(bars["unknown_volume"].sum())
    delta = int(bars["delta"].sum())
    known = volume - unknown
    decimals = _decimals(grid.tick_size)
    vwap = float((bars["vwap"] * bars["volume"]).sum()) / volume if volume else math.nan
    high, low = float(bars["high"].max()), float(bars["low"].min())  # type: ignore[arg-type]
    change = float(bars["close"][-1]) - float(bars["open"][0])
    poc = _window_poc(cells, grid)
    begin = _short_time(_eastern(bars[:1], "bar_ts", "%Y-%m-%d %H:%M:%S")[0], facts.session_date)
    end = _short_time(_eastern(bars[-1:], "bar_end_ts", "%Y-%m-%d %H:%M:%S")[0], facts.session_date)
    figures = [
        ("Window, ET", f"{begin} – {end}", ""),
        ("Bars", f"{bars.height:,}", ""),
        ("Open", f"{bars['open'][0]:.{decimals}f}", ""),
        ("High", f"{high:.{decimals}f}", ""),
        ("Low", f"{low:.{decimals}f}", ""),
        ("Close", f"{bars['close'][-1]:.{decimals}f}", ""),
        ("Change, pts", _signed(change, decimals), _tone(change)),
        ("Volume", f"{volume:,}", ""),
        ("Trades", f"{int(bars['trades'].sum()):,}", ""),
        ("Delta", _signed(delta), _tone(delta)),
        ("Delta %", _signed(100 * delta / known, 1) if known else "–", _tone(delta)),
        ("Cum. delta", _signed(int(bars["cum_delta"][-1])), _tone(int(bars["cum_delta"][-1]))),
        ("VWAP", f"{vwap:.{decimals}f}" if math.isfinite(vwap) else "–", ""),
        ("POC", f"{poc:.{decimals}f}", ""),
        ("Buy imbalances", f"{int(bars['buy_imbalance_count'].sum()):,}", "buy"),
        ("Sell imbalances", f"{int(bars['sell_imbalance_count'].sum()):,}", "sell"),
    ]
    if unknown:
        figures.append(("No aggressor", f"{unknown:,}", ""))
    return figures


def _window_poc(cells: pl.DataFrame, grid: Grid) -> float:
    """Return the window's point of control: largest volume, then nearest the midpoint, then lower (CBOT rule)."""
    profile = cells.group_by("price_tick").agg(pl.col("total_volume").sum(), pl.col("price").first())
    # Twice the distance to the midpoint keeps the comparison in integers.
    doubled_midpoint = 2 * grid.low_tick + (grid.rows - 1) * grid.ticks_per_row
    best = profile.with_columns(
        distance=(2 * pl.col("price_tick").cast(pl.Int64) - doubled_midpoint).abs()
    ).sort("total_volume", "distance", "price_tick", descending=[True, False, False])
    return float(best["price"][0])


def _decimals(tick_size: float) -> int:
    """Return the decimals that show every multiple of the tick: 2 for 0.25."""
    return next((digits for digits in range(9) if abs(round(tick_size, digits) - tick_size) < 1e-12), 9)


def _price(price: float | None, decimals: int) -> str:
    return "–" if price is None else f"{price:.{decimals}f}"


def _signed(value: float, decimals: int = 0) -> str:
    return f"{value:+,.{decimals}f}" if value else f"{0:.{decimals}f}"


def _tone(value: float) -> str:
    return "buy" if value > 0 else "sell" if value < 0 else ""


# ---------------------------------------------------------------------------------------------------------- the HTML


def _asset(name: str) -> str:
    return files("footprint_assets.report").joinpath(name).read_text(encoding="utf-8")


def _script_hash(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def _policy(scripts: list[str]) -> str:
    """Allow the page's own scripts and nothing from a network.

    Styles stay open because the chart library writes them; ``img-src`` serves its raster layer and its image export.
    """
    allowed = " ".join(_script_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json_block(data: dict[str, Any]) -> str:
    """Return JSON that no HTML parser can leave: ``<``, ``>`` and ``&`` appear only as escapes."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _header(facts: _Facts, buttons: str) -> str:
    badge = '<span class="badge">Simulated data</span>' if facts.simulated else ""
    return (
        f"<header><h1>{html.escape(facts.symbol)}</h1>"
        f'<span class="where">Trade date {facts.session_date.isoformat()} · {html.escape(facts.bar_type)} footprint'
        f"</span>{badge}"
        f'<div class="buttons">{buttons}<button type="button" id="theme">Light / dark</button></div></header>\n'
        '<div id="problems" role="alert" hidden></div>'
    )


def _document(facts: _Facts, state: str, body: str, data: str, scripts: list[str]) -> str:
    shell = _asset("shell.js")
    return Template(_asset("page.html")).substitute(
        state=state,
        policy=_policy([shell, *scripts]),
        title=html.escape(f"{facts.symbol} {facts.session_date.isoformat()} {facts.bar_type} footprint"),
        style=_asset("page.css"),
        shell=shell,
        body=body,
        scripts=data + "\n".join(f"<script>{script}</script>" for script in scripts),
    )


def _empty_page(facts: _Facts) -> str:
    body = (
        _header(facts, "")
        + '\n<main><div class="empty" id="empty">There were no trades in this window.</div></main>'
        + "\n<footer>No bars of this symbol, trade date and bar type lie inside the window.</footer>"
    )
    return _document(facts, "empty", body, "", [])


def _full_page(
    facts: _Facts,
    summary: list[tuple[str, str, str]],
    levels: list[dict[str, Any]],
    chart: dict[str, Any],
    grid: Grid,
) -> str:
    figures = "".join(
        f'<div><dt>{label}</dt><dd class="{tone}">{value}</dd></div>' for label, value, tone in summary
    )
    buttons = '<button type="button" id="numbers">Numbers</button><button type="button" id="overview">All bars</button>'
    body = (
        f'{_header(facts, buttons)}\n<dl class="summary">{figures}</dl>\n'
        '<main><div id="chart" role="img" aria-label="Footprint chart"></div></main>\n'
        f"<footer>{_asset('legend.html')}{_levels_table(levels, grid)}</footer>"
    )
    data = f'<script type="application/json" id="data">{_json_block(chart)}</script>\n'
    return _document(facts, "loading", body, data, [_library(), _asset("chart.js")])


def _library() -> str:
    script: str = plotly.offline.get_plotlyjs()
    # An HTML parser reads CRLF as LF, which would break the script's hash; "</script" would end it.
    return script.replace("\r\n", "\n").replace("</script", "<\\/script")


def _levels_table(levels: list[dict[str, Any]], grid: Grid) -> str:
    if not levels:
        return ""
    decimals = _decimals(grid.tick_size)
    rows = "".join(
        "<tr>"
        f"<td>{html.escape(str(level['name']))}</td><td>{html.escape(str(level['class']))}</td>"
        f'<td class="number">{_price(level["price"], decimals)}</td>'
        f"<td>{level['known'] or '–'}</td><td>{level['ended'] or '–'}</td>"
        f"<td>{level['state']}{', partial window' if level['partial'] else ''}</td></tr>"
        for level in levels
    )
    return (
        f"<details><summary>Levels ({len(levels)})</summary>"
        '<div class="scroll"><table id="levels"><thead><tr><th>Level</th><th>Class</th><th class="number">Price</th>'
        "<th>Known from, ET</th><th>Until, ET</th><th>In this window</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></details>"
    )
