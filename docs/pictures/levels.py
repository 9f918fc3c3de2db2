"""Pictures of price levels: a trade date with its levels, and one attempt at one of them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from market import ATTEMPT, BAR, DAY, LEVEL, TICK, Table, drawn_episode, source, times
from matplotlib.figure import Figure
from style import canvas, clock, colour, notes

from footprint_assets.lake import Lake

BARRIER, HORIZON = 8 * TICK, dt.timedelta(seconds=480)
"""Of the primary label, `outcome_8t_480s`."""
TOUCH = 4 * TICK
"""Half the height of the touch band."""


def levels(lake: Lake) -> Figure:
    """A trade date with its levels, each drawn from the instant it is known."""
    table = Table(lake, DAY)
    book = table("market_by_price_10_bar5s").select("bar_ts", "bar5s_microprice_eob")[::12]
    fixed = table("session_levels")
    moving = table("level_series_5s").with_columns(pl.col("level_name").cast(pl.String))
    figure, (chart,) = canvas(
        7.0,
        (1,),
        "A trade date and its price levels: each is drawn from the instant it is known",
        f"{source(DAY)} · session_levels (straight; dotted while it forms), level_series_5s (curves)",
    )
    x = times(book, "bar_ts")
    end = x[-1]
    chart.plot(x, book["bar5s_microprice_eob"], color=colour("ink"), linewidth=0.9, zorder=4)

    labels: list[tuple[float, str, str]] = []
    for name, shade in (
        ("PDH", "prior"),
        ("PDL", "prior"),
        ("PD_POC", "prior"),
        ("PM_HIGH", "premarket"),
        ("PM_LOW", "premarket"),
        ("OR_HIGH", "range"),
        ("OR_LOW", "range"),
    ):
        for row in fixed.filter(pl.col("level_name") == name).iter_rows(named=True):
            start = max(np.datetime64(row["valid_from_ts"]), x[0])
            chart.plot([start, end], [row["level_price"]] * 2, color=colour(shade), linewidth=1.3)
            forming = [max(np.datetime64(row["formation_start_ts"]), x[0]), start]
            chart.plot(
                forming, [row["level_price"]] * 2, color=colour(shade), linewidth=1.2, linestyle=(0, (1, 2.5))
            )
            chart.scatter(
                [start],
                [row["level_price"]],
                color=colour(shade),
                s=22,
                zorder=5,
                linewidths=0,
                clip_on=False,
            )
            labels.append((row["level_price"], f"{name} {row['level_price']:.2f}", shade))
    for name, shade in (("RTH_VWAP", "vwap"), ("SMA_90", "average")):
        line = _level_line(moving, name)
        at = times(line, "bar_ts")
        chart.plot(at, line["level_price_raw"], color=colour(shade), linewidth=1.4, zorder=4)
        chart.scatter(
            at[:1],
            line["level_price_raw"][:1],
            color=colour(shade),
            s=22,
            zorder=5,
            linewidths=0,
            clip_on=False,
        )
        labels.append((line["level_price_raw"][-1], f"{name} {line['level_price_raw'][-1]:.2f}", shade))
    for deviations, alpha in ((1, 0.16), (2, 0.09)):
        upper, lower = (_level_line(moving, f"RTH_VWAP_{sign}_{deviations}SD") for sign in ("PLUS", "MINUS"))
        chart.fill_between(
            times(upper, "bar_ts"),
            lower["level_price_raw"].to_numpy(),
            upper["level_price_raw"].to_numpy(),
            color=colour("vwap"),
            alpha=alpha,
            linewidth=0,
        )
    for hour, text in ((dt.time(9, 30), "cash open"), (dt.time(16), "cash close")):
        at = dt.datetime.combine(DAY, hour)
        chart.axvline(at, color=colour("muted"), linewidth=0.7, linestyle=(0, (2, 3)))
        chart.annotate(
            f"{text} {hour:%H:%M}",
            (at, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4, -4),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize=8,
            color=colour("muted"),
        )
    prices = book["bar5s_microprice_eob"].drop_nulls()
    chart.set_ylim(prices.min() - 2, prices.max() + 2.5)
    chart.set_xlim(x[0], end)
    notes(chart, labels, 0.72)
    clock(chart)
    return figure


def _level_line(series: pl.DataFrame, name: str) -> pl.DataFrame:
    """One moving level, a value a minute."""
    return series.filter(pl.col("level_name") == name)[::12]


def episodes(lake: Lake) -> Figure:
    """One attempt at a level: approach, trigger, barriers, outcome."""
    table = Table(lake, DAY)
    outcome, episode = drawn_episode(table)
    row, label = episode.row(0, named=True), outcome.row(0, named=True)
    decision = row["decision_ts"]
    first, last = (
        decision - row["lookback_bars"] * dt.timedelta(seconds=5),
        decision + dt.timedelta(minutes=10),
    )
    trades = table("trades_clean").filter(pl.col("ts_event") >= decision, pl.col("ts_event") < last)
    book = table("market_by_price_10_bar5s").filter(pl.col("bar_ts") >= first, pl.col("bar_ts") < last)
    figure, (chart,) = canvas(
        6.4,
        (1,),
        f"One episode: the first attempt at {LEVEL}, and what came of it",
        f"{source(DAY)} · market_by_price_10_{LEVEL.lower()}_episodes and _outcomes",
    )
    level, way = row["level_price"], row["approach_direction"]
    end = decision + HORIZON
    chart.axvspan(first, decision, color=colour("cell"), linewidth=0)
    chart.axhspan(level - TOUCH, level + TOUCH, color=colour("premarket"), alpha=0.08, linewidth=0)
    chart.plot([first, last], [level] * 2, color=colour("premarket"), linewidth=1.5)
    for sign, name in ((way, "buy"), (-way, "sell")):
        chart.plot(
            [decision, end],
            [level + sign * BARRIER] * 2,
            color=colour(name),
            linewidth=1.5,
            linestyle=(0, (5, 2)),
        )
    chart.plot(
        [end, end],
        [level - BARRIER, level + BARRIER],
        color=colour("muted"),
        linewidth=1.2,
        linestyle=(0, (5, 2)),
    )
    chart.plot(
        times(book, "bar_ts") + BAR,
        book["bar5s_microprice_eob"],
        color=colour("ink"),
        linewidth=1,
        drawstyle="steps-post",
        zorder=4,
    )
    chart.plot(
        times(trades, "ts_event"),
        trades["price"],
        ".",
        color=colour("muted"),
        markersize=2.2,
        alpha=0.7,
        zorder=3,
    )
    hit_s, name, sign = _hit(label, way)
    beyond = level + sign * BARRIER
    hit = decision + dt.timedelta(seconds=hit_s)
    chart.scatter([hit], [beyond], s=70, marker="o", color=colour(name), edgecolors=colour("paper"), zorder=6)
    chart.axvline(decision, color=colour("premarket"), linewidth=1)
    for at, price, text, shade, shift, align in (
        (hit, beyond, f"{label['outcome']}, {hit_s:.1f} s", name, (8, -11 * sign), "left"),
        (end, level - way * 5 * TICK, "480 s: neither\nhit would\nbe CHOP", "muted", (5, 0), "left"),
    ):
        chart.annotate(
            text,
            (at, price),
            xytext=shift,
            textcoords="offset points",
            color=colour(shade),
            fontsize=9,
            fontweight="bold" if at == hit else "normal",
            ha=align,
            va="center",
            zorder=7,
        )
    low, high = book["bar5s_microprice_eob"].min(), book["bar5s_microprice_eob"].max()
    chart.set_ylim(min(low, level - BARRIER - TICK) - 0.9, max(high, level + BARRIER + TICK) + 0.9)
    chart.set_xlim(first, last)
    bottom = chart.get_ylim()[0]
    for start, stop, text in (
        (first, decision, "approach: up to 180 bars, known"),
        (decision, end, "path: judged, the future"),
    ):
        chart.annotate(
            "",
            (start, bottom + 0.25),
            (stop, bottom + 0.25),
            arrowprops={"arrowstyle": "<->", "color": colour("muted"), "linewidth": 0.8},
        )
        chart.text(start + (stop - start) / 2, bottom + 0.38, text, ha="center", color=colour("muted"))
    chart.annotate(
        f"{row['trigger_kind']}: decision\n{decision:%H:%M:%S}",
        (decision, chart.get_ylim()[1]),
        xytext=(-5, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        color=colour("premarket"),
        fontweight="bold",
    )
    notes(
        chart,
        [
            (level + way * BARRIER, "break at +8 ticks", "buy"),
            (level, f"{LEVEL} {level:.2f}", "premarket"),
            (level - way * BARRIER, "bounce at -8 ticks", "sell"),
            (level + 3 * TICK, "touch band: 4 ticks", "muted"),
        ],
        0.5,
    )
    clock(chart)
    return figure


def _hit(label: dict[str, float | None], way: int) -> tuple[float, str, int]:
    """Seconds to the barrier that was reached first, the colour of its side, and the side."""
    breaks, bounces = (label[f"time_to_{what}_8t_480s_s"] for what in ("break", "bounce"))
    if breaks is not None and (bounces is None or breaks <= bounces):
        return breaks, "buy", way
    if bounces is None:
        raise ValueError(f"attempt {ATTEMPT} at {LEVEL} on {DAY} reached no barrier: choose another to draw")
    return bounces, "sell", -way
