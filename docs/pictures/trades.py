"""Pictures of what traded at which price: footprint bars and a session profile."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
from market import DAY, TICK, TREND_DAY, Table, source
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from style import canvas, caption, colour, key, notes, plain

from footprint_assets.lake import Lake


def footprint(lake: Lake) -> Figure:
    """Ten one-minute footprint bars: bid x ask at every price."""
    span = (dt.time(9, 40), dt.time(9, 50))
    table = Table(lake, DAY)
    of_minutes = pl.col("bar_type").cast(pl.String) == "time_1m"
    cells = table("footprint_price", bar_ts=span).filter(of_minutes)
    minutes = table("footprint_bar", bar_ts=span).filter(of_minutes)
    low, high = int(cells["price_tick"].min()), int(cells["price_tick"].max())
    figure, (chart, foot) = canvas(
        2.4 + 0.225 * (high - low + 1),
        (0.225 * (high - low + 1) + 0.2, 0.75),
        "Ten one-minute footprint bars: contracts sold at the bid x bought at the ask",
        f"{source(DAY)} · footprint_price (cells) and footprint_bar (below)",
    )
    where = {bar_id: column for column, bar_id in enumerate(minutes["bar_id"])}
    for row in cells.iter_rows(named=True):
        _cell(chart, where[row["bar_id"]], row)
    for column, bar in enumerate(minutes.iter_rows(named=True)):
        rising = bar["close"] >= bar["open"]
        body = sorted((bar["open"], bar["close"]))
        shade = colour("buy" if rising else "sell")
        chart.plot([column - 0.42] * 2, [bar["low"], bar["high"]], color=shade, linewidth=1)
        chart.add_patch(
            Rectangle(
                (column - 0.45, body[0] - 0.04), 0.06, body[1] - body[0] + 0.08, color=shade, linewidth=0
            )
        )
        chart.plot(
            [column + 0.43] * 2,
            [bar["val_price"] - 0.11, bar["vah_price"] + 0.11],
            color=colour("value"),
            linewidth=2.5,
            solid_capstyle="butt",
        )
        name = "buy" if bar["delta"] > 0 else "sell" if bar["delta"] < 0 else "muted"
        foot.text(
            column, 2, f"{bar['delta']:+d}", ha="center", va="center", color=colour(name), fontweight="bold"
        )
        foot.text(column, 1, f"{bar['volume']}", ha="center", va="center")
        foot.text(column, 0, f"{bar['cum_delta_rth']:+d}", ha="center", va="center", color=colour("muted"))
    foot.grid(visible=False)
    foot.set_ylim(-0.6, 2.6)
    foot.set_yticks([2, 1, 0], ["delta", "volume", "cum. delta"])
    foot.set_xticks(range(minutes.height), [f"{at:%H:%M}" for at in minutes["bar_ts"]])
    chart.grid(visible=False)
    chart.set_xlim(-0.55, minutes.height - 0.45)
    chart.set_ylim((low - 0.7) * TICK, (high + 0.7) * TICK)
    key(
        figure,
        (
            ("buy-strong", "buy imbalance"),
            ("sell-strong", "sell imbalance"),
            ("poc", "point of control"),
            ("value", "value area"),
        ),
        place="upper left",
        anchor=(0.872, 1 - 0.78 / figure.get_figheight()),
    )
    return figure


def _cell(chart: Axes, column: int, row: dict[str, Any]) -> None:
    price = row["price"]
    left, width, height = column - 0.36, 0.74, TICK * 0.92
    chart.add_patch(Rectangle((left, price - height / 2), width, height, color=colour("cell"), linewidth=0))
    for flag, start, name in (
        ("is_sell_imbalance", left, "sell-strong"),
        ("is_buy_imbalance", left + width / 2, "buy-strong"),
    ):
        if row[flag]:
            chart.add_patch(
                Rectangle((start, price - height / 2), width / 2, height, color=colour(name), linewidth=0)
            )
    if row["is_poc"]:
        chart.add_patch(
            Rectangle(
                (left, price - height / 2),
                width,
                height,
                fill=False,
                edgecolor=colour("poc"),
                linewidth=1.5,
                zorder=3,
            )
        )
    middle = left + width / 2
    for text, at, side in (
        (row["bid_volume"], -0.06, "right"),
        ("x", 0, "center"),
        (row["ask_volume"], 0.06, "left"),
    ):
        chart.text(
            middle + at,
            price,
            str(text),
            ha=side,
            va="center_baseline",
            fontsize=8 if text != "x" else 6,
            color=colour("ink" if text != "x" else "muted"),
        )


def profile(lake: Lake) -> Figure:
    """The profile of a cash session: letters of the half hours and volume at price."""
    table = Table(lake, TREND_DAY)
    cash = pl.col("profile_type").cast(pl.String) == "RTH"
    rows = table("volume_profile_price").filter(cash)
    day = table("volume_profile_session").filter(cash).row(0, named=True)
    figure, (letters,) = canvas(
        9.6,
        (1,),
        "One cash session by price: who traded when, and how much",
        f"{source(TREND_DAY)} · volume_profile_price and volume_profile_session, type RTH, day type {day['day_type']}",
    )
    letters.set_position((0.075, 0.045, 0.29, 0.875))
    volume = figure.add_axes((0.375, 0.045, 0.48, 0.875), sharey=letters)
    plain(volume)
    volume.tick_params(labelleft=False)

    marks = (("is_buying_tail", "buy"), ("is_selling_tail", "sell"), ("is_single_print", "range"))
    for row in rows.iter_rows(named=True):
        name = next((name for flag, name in marks if row[flag]), "ink")
        for place, letter in enumerate(row["tpo_letters"]):
            letters.text(
                place,
                row["price"],
                letter,
                fontsize=6,
                ha="center",
                va="center_baseline",
                color=colour(name),
                fontweight="normal" if name == "ink" else "bold",
            )
    letters.set_xlim(-1.2, max(9, int(rows["tpo_count"].max())))
    letters.set_xticks([])
    letters.grid(visible=False)
    letters.plot([-0.9] * 2, [day["ib_low"], day["ib_high"]], color=colour("range"), linewidth=3)
    caption(letters, "half hours A to M that traded the price")

    height = TICK * 0.82
    for side, start, name in (("bid_volume", None, "sell"), ("ask_volume", "bid_volume", "buy")):
        left = rows[start].to_numpy() if start else np.zeros(rows.height)
        for inside, alpha in ((True, 0.9), (False, 0.4)):
            chosen = rows["is_in_value_area"].to_numpy() == inside
            volume.barh(
                rows["price"].to_numpy()[chosen],
                rows[side].to_numpy()[chosen],
                left=left[chosen],
                height=height,
                color=colour(name),
                alpha=alpha,
                linewidth=0,
            )
    volume.axhspan(
        day["val_price"] - TICK / 2,
        day["vah_price"] + TICK / 2,
        color=colour("value"),
        alpha=0.16,
        linewidth=0,
    )
    volume.axhline(day["poc_price"], color=colour("poc"), linewidth=1.2)
    caption(volume, "contracts sold at the bid, then bought at the ask")
    top, bottom = day["high"], day["low"]
    letters.set_ylim(bottom - 0.6, top + 1.1)
    notes(
        volume,
        [
            (top, f"high {top:.2f}", "muted"),
            (day["vah_price"], f"VAH {day['vah_price']:.2f}", "value"),
            (day["poc_price"], f"POC {day['poc_price']:.2f}", "poc"),
            (day["vwap"], f"VWAP {day['vwap']:.2f}", "vwap"),
            (day["val_price"], f"VAL {day['val_price']:.2f}", "value"),
            (day["ib_high"], f"IB high {day['ib_high']:.2f}", "range"),
            (day["open"], f"open {day['open']:.2f}", "ink"),
            (
                bottom,
                f"low, IB low {bottom:.2f}" if bottom == day["ib_low"] else f"low {bottom:.2f}",
                "muted",
            ),
        ],
        0.55,
    )
    volume.axhline(day["vwap"], color=colour("vwap"), linewidth=1, linestyle=(0, (4, 3)))
    key(
        letters,
        (
            ("range", "single prints, initial balance"),
            *((name, flag[3:].replace("_", " ")) for flag, name in marks[:2] if rows[flag].any()),
        ),
        place="lower right",
    )
    return figure
