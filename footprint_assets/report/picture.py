"""Small pictures of a table for the place where it is looked at: SVG of some 700 bytes, made in milliseconds.

Dagster shows Markdown of less than 1,000 characters where it stands and hides longer text behind a link, so that a picture
has whole pixels, relative paths and few labels. It stands on light and dark ground alike: nothing is filled behind it. The
same rows give the same bytes.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.report.frames import decimals, tick_size

WIDTH, HEIGHT, RIGHT = 260, 90, 56
LONGEST_MARKDOWN = 999
MOST_STEPS, MOST_ROWS, MOST_LEVELS = 64, 36, 7
GREEN, RED, AMBER, GREY = "#1a8", "#e46", "#d92", "#89a"
Floats = npt.NDArray[np.float64]


def price_picture(bars: pl.DataFrame, interval: str = "5m") -> str:
    """Closes of bars, left to right, with the high and the low of the session.

    Args:
        bars: Rows of ``silver.future.ohlcv`` of one contract.
        interval: The bars to draw.

    Returns:
        SVG; empty without such bars.
    """
    rows = bars.filter(pl.col("interval").cast(pl.String) == interval).sort("bar_ts")
    if rows.is_empty():
        return ""
    low, high, close = (rows[name].to_numpy() for name in ("low", "high", "close"))
    y = _scale(float(low.min()), float(high.max()))
    steps = min(rows.height, MOST_STEPS)
    shown = close[(np.arange(1, steps + 1) * rows.height // steps) - 1]
    x = np.arange(steps) * (WIDTH - RIGHT) / max(steps - 1, 1)
    tone = GREEN if close[-1] >= rows["open"][0] else RED
    line = f'<path d="{_path(x, y(shown))}" fill="none" stroke="{tone}"/>'
    return _svg(line, [(value, f"{value:g}") for value in (high.max(), low.min(), close[-1])], y)


def profile_picture(profile: pl.DataFrame, profile_type: str = "FULL") -> str:
    """Volume at price: the value area green, the point of control amber, the rest grey.

    Args:
        profile: Rows of ``silver.future.volume_profile_price`` of one contract.
        profile_type: The profile to draw.

    Returns:
        SVG; empty without such rows.
    """
    rows = profile.filter(pl.col("profile_type").cast(pl.String) == profile_type).sort("price_tick")
    if rows.is_empty():
        return ""
    tick = tick_size(rows["price"], rows["price_tick"])
    price = rows["price"].to_numpy()
    low, high = float(price.min()) - tick / 2, float(price.max()) + tick / 2
    y = _scale(low, high)
    ticks = math.ceil((high - low) / tick / MOST_ROWS)
    steps = rows.group_by(
        (pl.col("price_tick") - pl.col("price_tick").min()) // ticks, maintain_order=True
    ).agg(pl.col("total_volume").sum(), pl.col("is_poc", "is_in_value_area").any())
    most = max(steps["total_volume"].to_list())
    middles = y(low + (steps["price_tick"].to_numpy() + 0.5) * ticks * tick)
    bars: dict[str, list[str]] = {}
    for row, middle in zip(steps.iter_rows(named=True), middles, strict=True):
        tone = AMBER if row["is_poc"] else GREEN if row["is_in_value_area"] else GREY
        length = round((WIDTH - RIGHT) * row["total_volume"] / max(most, 1))
        bars.setdefault(tone, []).append(f"M0 {middle:.0f}h{length}")
    tall = max(1, math.floor((HEIGHT - 8) * ticks * tick / (high - low)))
    drawn = "".join(f'<path d="{"".join(paths)}" stroke="{tone}"/>' for tone, paths in sorted(bars.items()))
    edges = [price.max(), price.min(), *rows.filter("is_poc")["price"]]
    labels = [(value, f"{value:.{decimals(tick)}f}") for value in edges]
    return _svg(f'<g stroke-width="{tall}">{drawn}</g>', labels, y)


def levels_picture(levels: pl.DataFrame, classes: Sequence[str]) -> str:
    """Price levels of a trade date, each from when it is known, named at the right; one line a price.

    Args:
        levels: Rows of ``silver.future.session_levels`` of one contract.
        classes: Classes of the levels to draw, the most wanted first, such as ``PREMARKET``.

    Returns:
        SVG; empty without such levels.
    """
    order = pl.DataFrame({"level_class": classes, "rank": range(len(classes))})
    name = pl.col("level_name").cast(pl.String)
    rows = (
        levels.with_columns(name, pl.col("level_class").cast(pl.String))
        .filter(pl.col("level_price").is_not_null(), pl.col("valid_from_ts").is_not_null())
        .join(order, on="level_class")
        .sort("rank", name.str.len_chars(), "level_name")
        .unique("level_price", keep="first", maintain_order=True)
        .head(MOST_LEVELS)
    )
    if rows.is_empty():
        return ""
    price = rows["level_price"].to_numpy()
    margin = max(float(price.max() - price.min()) * 0.06, 1e-9)
    y = _scale(float(price.min()) - margin, float(price.max()) + margin)
    start = min(levels["valid_from_ts"].cast(pl.Int64).drop_nulls().to_list())
    day = 23 * 3600 * 10**9
    tones = dict(zip(classes, (AMBER, GREEN, GREY, RED) * len(classes), strict=False))
    lines = "".join(
        f'<path d="M{(WIDTH - RIGHT) * min(max((since - start) / day, 0), 1):.0f} {place:.0f}H{WIDTH - RIGHT}" '
        f'stroke="{tones[kind]}"/>'
        for since, place, kind in zip(
            rows["valid_from_ts"].cast(pl.Int64), y(price), rows["level_class"], strict=True
        )
    )
    return _svg(lines, list(zip(price.tolist(), rows["level_name"], strict=True)), y)


def nulls_picture(frame: pl.DataFrame) -> str:
    """Share of nulls of every column as a staircase, the fullest column at the right.

    Args:
        frame: Rows of any table.

    Returns:
        SVG; empty without rows.
    """
    if frame.is_empty():
        return ""
    shares = np.sort(np.array(frame.null_count().row(0), dtype=np.float64) / frame.height)
    y = _scale(0.0, 1.0)
    steps = min(shares.size, MOST_STEPS)
    shown = shares[np.arange(steps) * shares.size // steps]
    x = np.arange(steps) * (WIDTH - RIGHT) / max(steps - 1, 1)
    area = f'<path d="{_path(x, y(shown))}V{HEIGHT - 4}H0z" fill="{RED}"/>'
    return _svg(area, [(0.0, f"{shares.size} cols"), (1.0, "null 100%")], y)


def reliability_picture(report: pl.DataFrame, subject: str = "p_break") -> str:
    """Observed frequency over predicted probability, with its band, beside the line of an honest forecast.

    Args:
        report: Rows of ``ml.future.calibration_report`` of one product root.
        subject: The probability.

    Returns:
        SVG; empty without its bins.
    """
    rows = report.filter(pl.col("measure") == "reliability", pl.col("subject") == subject).drop_nulls(
        ["value", "reference"]
    )
    if rows.is_empty():
        return ""
    y = _scale(0.0, 1.0)
    x = np.rint(rows["reference"].to_numpy() * (WIDTH - RIGHT)).astype(int)
    low, high = (
        np.rint(y(rows[end].fill_null(rows["value"]).to_numpy())).astype(int) for end in ("low", "high")
    )
    middle = np.rint(y(rows["value"].to_numpy())).astype(int)
    bands = "".join(f"M{a} {b}V{c}" for a, b, c in zip(x, low, high, strict=True))
    points = "".join(f"M{a} {b}h0" for a, b in zip(x, middle, strict=True))
    drawn = (
        f'<path d="M0 {HEIGHT - 4}L{WIDTH - RIGHT} 4" stroke="{GREY}" stroke-dasharray="3"/>'
        f'<path d="{bands}" stroke="{GREEN}"/>'
        f'<path d="{points}" stroke="{GREEN}" stroke-width="5" stroke-linecap="round"/>'
    )
    return _svg(drawn, [(1.0, "all"), (0.5, subject), (0.0, "none")], y)


def as_markdown(name: str, svg: str) -> str:
    """The picture as Markdown that needs no file beside it."""
    return f"![{name}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _scale(low: float, high: float) -> Callable[[Floats], Floats]:
    """Values to heights in the picture, the highest at the top."""
    height = (high - low) or 1.0
    return lambda values: HEIGHT - 4 - (values - low) / height * (HEIGHT - 8)


def _path(x: Floats, y: Floats) -> str:
    """A line through points at whole pixels, in steps from one to the next."""
    across, down = np.rint(x).astype(int), np.rint(y).astype(int)
    steps = "".join(f"l{dx}{dy:+d}" for dx, dy in zip(np.diff(across), np.diff(down), strict=True))
    return f"M{across[0]} {down[0]}{steps}"


def _svg(content: str, labels: Iterable[tuple[float, str]], y: Callable[[Floats], Floats]) -> str:
    """The picture with its labels at the right; one that would cover an earlier one is left out."""
    texts, taken = [], list[float]()
    for value, text in labels:
        place = min(max(float(y(np.array([value]))[0]), 8.0), HEIGHT - 3.0)
        if all(abs(place - other) >= 9 for other in taken):
            taken.append(place)
            texts.append(f'<text x="{WIDTH - RIGHT + 3}" y="{place + 3:.0f}">{html.escape(text[:10])}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="9" fill="{GREY}">'
        f"{content}{''.join(texts)}</svg>"
    )
