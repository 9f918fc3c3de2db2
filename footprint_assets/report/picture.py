"""Small pictures of a table for the place where it is looked at: SVG of a few kilobytes, made in milliseconds.

They stand on light and dark ground alike: nothing is filled behind them. The same rows give the same bytes.
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

WIDTH, HEIGHT, RIGHT = 420, 130, 64

MOST = 120
"""Steps of a picture: more would not be seen at its size."""
GREEN, RED, AMBER, BLUE, GREY = "#17a884", "#e0456a", "#d99a1f", "#5b8fd9", "#8a98ae"
Floats = npt.NDArray[np.float64]


def price_picture(bars: pl.DataFrame, interval: str = "5m") -> str:
    """Range and close of bars, left to right.

    Args:
        bars: Rows of ``silver.future.ohlcv`` of one contract.
        interval: The bars to draw.

    Returns:
        SVG; empty without such bars.
    """
    rows = bars.filter(pl.col("interval").cast(pl.String) == interval).sort("bar_ts")
    if rows.is_empty():
        return ""
    rows = rows.group_by(
        pl.int_range(pl.len()) * min(rows.height, MOST) // rows.height, maintain_order=True
    ).agg(pl.col("open").first(), pl.col("low").min(), pl.col("high").max(), pl.col("close").last())
    low, high, close = (rows[name].to_numpy() for name in ("low", "high", "close"))
    y = _scale(float(low.min()), float(high.max()))
    x = (np.arange(rows.height) + 0.5) * (WIDTH - RIGHT) / rows.height
    band = [*zip(x, y(high), strict=True), *zip(x[::-1], y(low)[::-1], strict=True)]
    tone = GREEN if close[-1] >= rows["open"][0] else RED
    return _svg(
        f'<polygon points="{_points(band)}" fill="{GREY}" opacity=".35"/>'
        f'<polyline points="{_points(zip(x, y(close), strict=True))}" fill="none" stroke="{tone}" stroke-width="1.5"/>',
        [(float(value), f"{value:g}") for value in (high.max(), low.min(), close[-1])],
        y,
    )


def profile_picture(profile: pl.DataFrame, profile_type: str = "FULL") -> str:
    """Volume at price: bid part red, ask part green, point of control amber, lighter outside of the value area.

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
    digits = decimals(tick)
    price = rows["price"].to_numpy()
    low, high = float(price.min()) - tick / 2, float(price.max()) + tick / 2
    y = _scale(low, high)
    # Rows thinner than two pixels would not be seen one by one.
    ticks = math.ceil((high - low) / tick / MOST * 2)
    steps = (
        rows.group_by((pl.col("price_tick") - pl.col("price_tick").min()) // ticks, maintain_order=True)
        .agg(pl.col("bid_volume", "ask_volume").sum(), pl.col("is_poc", "is_in_value_area").any())
        .with_columns(bottom=low + pl.col("price_tick") * ticks * tick)
    )
    most = max(int((steps["bid_volume"] + steps["ask_volume"]).to_numpy().max()), 1)
    tall = float(y(np.array([0.0]))[0] - y(np.array([ticks * tick]))[0])
    paths: dict[tuple[str, bool], list[str]] = {}
    for row, bottom in zip(steps.iter_rows(named=True), y(steps["bottom"].to_numpy()), strict=True):
        bid, ask = ((WIDTH - RIGHT) * row[name] / most for name in ("bid_volume", "ask_volume"))
        tones = (AMBER, AMBER) if row["is_poc"] else (RED, GREEN)
        for start, length, tone in ((0.0, bid, tones[0]), (bid, ask, tones[1])):
            bar = f"M{start:.1f} {bottom - tall:.1f}h{length:.1f}v{tall:.1f}h-{length:.1f}z"
            paths.setdefault((tone, bool(row["is_in_value_area"])), []).append(bar)
    drawn = "".join(
        f'<path d="{"".join(bars)}" fill="{tone}" opacity="{0.9 if inside else 0.45}"/>'
        for (tone, inside), bars in sorted(paths.items())
    )
    edges = [price.max(), price.min(), *rows.filter("is_poc")["price"]]
    return _svg(drawn, [(float(value), f"{value:.{digits}f}") for value in edges], y)


def levels_picture(levels: pl.DataFrame, classes: Sequence[str]) -> str:
    """Price levels of a trade date, each from when it is known, named at the right.

    Args:
        levels: Rows of ``silver.future.session_levels`` of one contract.
        classes: Classes of the levels to draw, such as ``PREMARKET``.

    Returns:
        SVG; empty without such levels.
    """
    rows = levels.filter(
        pl.col("level_class").cast(pl.String).is_in(classes),
        pl.col("level_price").is_not_null(),
        pl.col("valid_from_ts").is_not_null(),
    ).sort("level_price", "level_name")
    if rows.is_empty():
        return ""
    price = rows["level_price"].to_numpy()
    since = rows["valid_from_ts"].cast(pl.Int64).to_numpy()
    start, day = int(levels["valid_from_ts"].cast(pl.Int64).drop_nulls().to_numpy().min()), 23 * 3600 * 10**9
    margin = max(float(price.max() - price.min()) * 0.06, 1e-9)
    y = _scale(float(price.min()) - margin, float(price.max()) + margin)
    tones = dict(zip(classes, (BLUE, AMBER, GREEN, RED, GREY) * len(classes), strict=False))
    lines = "".join(
        f'<path d="M{(WIDTH - RIGHT) * min(max((at - start) / day, 0), 1):.1f} {place:.1f}H{WIDTH - RIGHT}" '
        f'stroke="{tones[kind]}" stroke-width="1.3"/>'
        for at, place, kind in zip(since, y(price), rows["level_class"].cast(pl.String), strict=True)
    )
    return _svg(lines, list(zip(price.tolist(), rows["level_name"].cast(pl.String), strict=True)), y)


def nulls_picture(frame: pl.DataFrame) -> str:
    """Share of nulls of every column, the fullest at the left, as a staircase.

    Args:
        frame: Rows of any table.

    Returns:
        SVG; empty without rows.
    """
    if frame.is_empty():
        return ""
    shares = np.sort(np.array(frame.null_count().row(0), dtype=np.float64) / frame.height)
    y = _scale(0.0, 1.0)
    x = np.arange(shares.size) * (WIDTH - RIGHT) / shares.size
    corners = [(0.0, HEIGHT - 4.0), *zip(x, y(shares), strict=True), (float(WIDTH - RIGHT), HEIGHT - 4.0)]
    return _svg(
        f'<polygon points="{_points(corners)}" fill="{RED}" opacity=".6"/>',
        [(0.0, "0 % null"), (1.0, f"{shares.size} columns")],
        y,
    )


def as_markdown(name: str, svg: str) -> str:
    """The picture as Markdown that needs no file beside it."""
    return f"![{name}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _scale(low: float, high: float) -> Callable[[Floats], Floats]:
    """Values to heights in the picture, the highest at the top."""
    height = (high - low) or 1.0
    return lambda values: HEIGHT - 4 - (values - low) / height * (HEIGHT - 8)


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


def _svg(content: str, labels: Sequence[tuple[float, str]], y: Callable[[Floats], Floats]) -> str:
    """The picture with its labels at the right; one that would cover an earlier one is left out."""
    texts, taken = [], list[float]()
    for value, text in labels:
        place = min(max(float(y(np.array([value]))[0]), 8.0), HEIGHT - 3.0)
        if all(abs(place - other) >= 9 for other in taken):
            taken.append(place)
            texts.append(f'<text x="{WIDTH - RIGHT + 4}" y="{place + 3:.1f}">{html.escape(text[:11])}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="9.5" fill="{GREY}">{content}{"".join(texts)}</svg>'
    )
