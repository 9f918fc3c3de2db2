"""Pictures of the order book: five-second bars, and the book by price."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from market import BAR, DAY, TICK, Table, drawn_episode, source, times
from matplotlib import dates as mdates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D
from style import canvas, caption, clock, colour, note, signed, stairs

from footprint_assets.lake import Lake


def bars(lake: Lake) -> Figure:
    """Half an hour of five-second bars: price, spread, depth imbalance, order flow imbalance, trades."""
    span = (dt.time(9, 45), dt.time(10, 15))
    table = Table(lake, DAY)
    book = table("market_by_price_10_bar5s", bar_ts=span)
    flow = table("market_by_price_10_bar5s_ext", bar_ts=span)["bar5s_ofi_m00_sum"].to_numpy()
    figure, (price, size, depth, ofi, trades) = canvas(
        7.9,
        (3.2, 1.2, 1.3, 1.3, 1.3),
        "Half an hour in 360 five-second bars",
        f"{source(DAY)} · market_by_price_10_bar5s and its ext table · one value a bar",
    )
    x = times(book, "bar_ts")
    bid, ask = (book[f"bar5s_shape_{side}_px_l00_eob"].to_numpy() for side in ("bid", "ask"))
    stairs(price, x, ask, bid, "value", label="best bid to best ask")
    price.plot(x + BAR, book["bar5s_microprice_eob"], color=colour("ink"), linewidth=0.8, label="microprice")
    price.legend(loc="lower right", ncols=2, frameon=False, labelcolor=colour("muted"), fontsize=8.5)
    caption(price, "price at the end of the bar, points")

    for side, name in (("bid", "buy"), ("ask", "sell")):
        size.plot(x + BAR, book[f"bar5s_depth_{side}10_qty_twa"], color=colour(name), linewidth=0.9)
    caption(size, "resting size of ten levels, contracts, time-weighted")
    signed(depth, x, book["bar5s_state_obi10_twa"].to_numpy())
    caption(depth, "depth imbalance of ten levels, (bid - ask)/(bid + ask)")
    signed(ofi, x, flow)
    caption(ofi, "order flow imbalance at the best price, contracts")
    signed(trades, x, book["bar5s_trade_signed_vol_sum"].to_numpy())
    caption(trades, "trades: bought minus sold, contracts")

    _, trigger = drawn_episode(table)
    at = book.with_row_index().filter(pl.col("bar_ts") == trigger["trigger_bar_ts"][0]).row(0, named=True)
    spot = at["index"]
    for panel, value, text in (
        (price, at["bar5s_microprice_eob"], f"{at['bar5s_microprice_eob']:.3f}"),
        (depth, at["bar5s_state_obi10_twa"], f"{at['bar5s_state_obi10_twa']:+.3f}"),
        (ofi, flow[spot], f"{flow[spot]:+.0f}"),
        (trades, at["bar5s_trade_signed_vol_sum"], f"{at['bar5s_trade_signed_vol_sum']:+.0f}"),
    ):
        note(panel, value, text, "premarket", weight="bold")
    for side, name in (("bid", "buy"), ("ask", "sell")):
        resting = at[f"bar5s_depth_{side}10_qty_twa"]
        note(size, resting, f"{side} {resting:.0f}", name, weight="bold")
    for panel in (price, size, depth, ofi, trades):
        panel.axvspan(x[spot], x[spot] + BAR, color=colour("premarket"), linewidth=0)
    price.annotate(
        f"bar of {at['bar_ts']:%H:%M:%S}",
        (1, 1),
        xycoords="axes fraction",
        xytext=(7, -4),
        textcoords="offset points",
        va="top",
        fontsize=8.5,
        color=colour("premarket"),
        annotation_clip=False,
    )
    price.set_xlim(x[0], x[-1])
    clock(trades)
    return figure


def order_flow(lake: Lake) -> Figure:
    """Five minutes of the book by price: resting size, fills, adds and pulls."""
    span = (dt.time(9, 55, 30), dt.time(10, 0, 30))
    table = Table(lake, DAY)
    rows = table("market_by_price_10_price5s", bar_ts=span)
    quotes = table("bbo", ts_event=(dt.time(9, 54), span[1]))
    figure, (chart, bid, ask) = canvas(
        8.0,
        (4.2, 1, 1),
        "Five minutes of the book by price: what rested, what was taken, what was added and pulled",
        f"{source(DAY)} · market_by_price_10_price5s (sizes, flow) and bbo (lines)",
    )
    x = np.sort(rows["bar_ts"].unique().to_numpy())
    _depth(chart, rows, x)
    for side, taker, name in (("bid", "sellers", "sell"), ("ask", "buyers", "buy")):
        best = quotes.drop_nulls(f"{side}_px")
        at = np.append(times(best, "ts_event"), x[-1] + BAR)
        price = best[f"{side}_px"].to_numpy()
        chart.plot(
            at,
            np.append(price, price[-1]),
            drawstyle="steps-post",
            color=colour("ink"),
            linewidth=1,
            label="best bid and best ask" if side == "bid" else None,
        )
        filled = rows.filter(pl.col(f"{side}_fill_vol") > 0)
        chart.scatter(
            times(filled, "bar_ts") + BAR / 2,
            filled["price"],
            s=filled[f"{side}_fill_vol"].to_numpy() * 2.2,
            color=colour(name),
            edgecolors=colour("paper"),
            linewidths=0.6,
            zorder=3,
            label=f"{side}s filled by {taker}",
        )
    sight = rows.filter(pl.col("visible_ns") > 0)["price"]
    chart.set_ylim(sight.min() - TICK, sight.max() + 4 * TICK)
    chart.set_xlim(x[0], x[-1] + BAR)
    legend = chart.legend(
        loc="upper left", ncols=4, frameon=False, labelcolor=colour("ink"), fontsize=8.5, markerscale=1
    )
    for handle in legend.legend_handles[1:]:
        handle.set_sizes([36])
    chart.grid(visible=False)

    sums = rows.group_by("bar_ts", maintain_order=True).agg(pl.col("^(bid|ask)_(add|pull|fill)_vol$").sum())
    width = np.timedelta64(4200, "ms")
    for panel, side, taker in ((bid, "bid", "sell"), (ask, "ask", "buy")):
        add, pull, fill = (sums[f"{side}_{what}_vol"].to_numpy() for what in ("add", "pull", "fill"))
        at = times(sums, "bar_ts") + BAR / 2
        panel.bar(at, add, width, color=colour("depth"), alpha=0.75, linewidth=0)
        panel.bar(at, -pull, width, color=colour("muted"), alpha=0.45, linewidth=0)
        panel.bar(at, -fill, width, bottom=-pull, color=colour(taker), linewidth=0)
        panel.axhline(0, color=colour("muted"), linewidth=0.6)
        caption(panel, f"{side} side, contracts a bar")
        reach = 1.45 * max(add.max(), (pull + fill).max())
        panel.set_ylim(-reach, reach)
        note(panel, 0.55 * reach, "added", "depth")
        note(panel, -0.3 * reach, "pulled")
        note(panel, -0.8 * reach, "filled", taker)
    clock(ask, "%H:%M:%S")
    return figure


def _depth(chart: Axes, rows: pl.DataFrame, x: np.ndarray) -> None:
    """Shade every bar and tick by its time-weighted resting size, in nine steps, with a key in the margin."""
    shades = 9
    seen = rows.filter(pl.col("visible_ns") > 0).with_columns(
        size=(pl.col("bid_qty_ns") + pl.col("ask_qty_ns")) / pl.col("visible_ns")
    )
    most = float(seen["size"].quantile(0.995))
    column = {at: place for place, at in enumerate(x.tolist())}
    # Neighbours of one shade become one box: a fifth of the bytes.
    boxes = (
        seen.select(
            "price",
            shade=(pl.col("size") / most * shades).ceil().clip(0, shades).cast(pl.Int64),
            column=pl.col("bar_ts").cast(pl.Int64).replace_strict(column, return_dtype=pl.Int64),
        )
        .sort("price", "column")
        .with_columns(
            run=(
                (pl.col("price") != pl.col("price").shift())
                | (pl.col("shade") != pl.col("shade").shift())
                | (pl.col("column") != pl.col("column").shift() + 1)
            ).cum_sum()
        )
        .group_by("run", maintain_order=True)
        .agg(pl.first("price", "shade", "column"), length=pl.len())
    )
    width = BAR / np.timedelta64(1, "D")
    start = float(mdates.date2num(x[0]))
    for shade in range(1, shades + 1):
        alpha = 0.06 + 0.8 * shade / shades
        outlines = [
            Outline.unit_rectangle().transformed(
                Affine2D()
                .scale(row["length"] * width, TICK)
                .translate(start + row["column"] * width, row["price"] - TICK / 2)
            )
            for row in boxes.filter(pl.col("shade") == shade).iter_rows(named=True)
        ]
        if outlines:
            outline = Outline.make_compound_path(*outlines)
            chart.add_patch(PathPatch(outline, color=colour("depth"), alpha=alpha, linewidth=0))
        chart.add_patch(
            Rectangle(
                (1.02, 0.3 + 0.045 * (shade - 1)),
                0.02,
                0.045,
                transform=chart.transAxes,
                color=colour("depth"),
                alpha=alpha,
                linewidth=0,
                clip_on=False,
            )
        )
    for height, text, align in (
        (0.30, "0", "center"),
        (0.705, f"{most:.0f}", "center"),
        (0.74, "resting size,\ncontracts", "bottom"),
    ):
        chart.text(
            1.05 if align == "center" else 1.015,
            height,
            text,
            transform=chart.transAxes,
            va=align,
            fontsize=8.5,
            color=colour("muted"),
        )
