"""Figures that are not time series: points with their bands over a number, and bars of a table.

SVG of some kilobytes in the colours of the page, so that it follows the theme without a script; every point says its numbers
when the cursor rests on it. Time series are drawn by the chart library.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

WIDTH, HEIGHT = 340, 260
LEFT, RIGHT, TOP, BOTTOM = 50, 18, 10, 36
TICKS = 5
"""About so many marks an axis has."""

LEAST_SHARES = 0.1
"""Least range of an axis of :func:`square`."""

Tone = Literal["first", "second"]


@dataclass(frozen=True)
class Point:
    """One point; what is not finite is not drawn.

    Args:
        x: Along.
        y: Up.
        low: Lower end of its band.
        high: Upper end of its band.
        null_low: Lower end of what chance alone gives.
        null_high: Upper end of what chance alone gives.
        words: What it says of itself.
    """

    x: float
    y: float
    low: float = math.nan
    high: float = math.nan
    null_low: float = math.nan
    null_high: float = math.nan
    words: str = ""


@dataclass(frozen=True)
class Curve:
    """Points of one colour.

    Args:
        points: By ``x``.
        tone: Its colour.
        name: What it is, where a figure has several.
    """

    points: Sequence[Point]
    tone: Tone = "first"
    name: str = ""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Args:
        label: What it measures.
        low: First value.
        high: Last value.
        is_share: Whether values are shown as percent.
    """

    label: str
    low: float
    high: float
    is_share: bool = False

    def ticks(self) -> list[float]:
        """Round values on it."""
        span = self.high - self.low
        raw = span / TICKS
        size = 10.0 ** math.floor(math.log10(raw))
        step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def text(self, value: float) -> str:
        """A value as it is written at a tick."""
        return f"{round(100 * value, 4):g}%" if self.is_share else f"{round(value, 6):g}"


def covering(curves: Sequence[Curve], label: str, *, include: float, is_share: bool = False) -> Axis:
    """The upright axis that holds every point, band and one more value."""
    ends = [include]
    for curve in curves:
        for point in curve.points:
            found = (point.y, point.low, point.high, point.null_low, point.null_high)
            ends += [value for value in found if math.isfinite(value)]
    low, high = min(ends), max(ends)
    margin = 0.06 * ((high - low) or 1.0)
    return Axis(label, low - margin, high + margin, is_share)


def square(curves: Sequence[Curve], across: str, up: str) -> tuple[Axis, Axis]:
    """Two axes of shares over one range, that of every point and band, so that the diagonal is one.

    Args:
        curves: What is drawn.
        across: Label of the axis along.
        up: Label of the axis up.
    """
    known: list[float] = []
    for point in (point for curve in curves for point in curve.points):
        found = (point.x, point.y, point.low, point.high, point.null_low, point.null_high)
        known += [value for value in found if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    margin = max(0.04 * (high - low), (LEAST_SHARES - (high - low)) / 2)
    low, high = max(low - margin, 0.0), min(high + margin, 1.0)
    return Axis(across, low, high, True), Axis(up, low, high, True)


def figure(title: str, curves: Sequence[Curve], x: Axis, y: Axis, *, reference: float | None = None) -> str:
    """Points with their bands.

    Args:
        title: The words above it.
        curves: What to draw; the grey area is what chance alone gives.
        x: The axis along.
        y: The axis up.
        reference: The height of the line to compare with; the diagonal where ``None``.

    Returns:
        HTML of one figure.
    """
    ends = (y.low, y.high) if reference is None else (reference, reference)
    # The diagonal runs from equal value to equal value, not from corner to corner.
    if reference is None:
        low, high = max(x.low, y.low), min(x.high, y.high)
        line = _line((_across(x, low), _up(y, low)), (_across(x, high), _up(y, high)), "reference")
    else:
        line = _line((LEFT, _up(y, ends[0])), (WIDTH - RIGHT, _up(y, ends[1])), "reference")
    drawn = "".join(
        [
            *_grid(x, y),
            *(_area(curve, x, y) for curve in curves),
            line,
            *(part for curve in curves for part in _points(curve, x, y)),
        ]
    )
    names = "".join(
        f'<span class="series {curve.tone}">{html.escape(curve.name)}</span>'
        for curve in curves
        if curve.name
    )
    return (
        f'<figure class="diagram"><figcaption>{html.escape(title)} {names}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">{drawn}</svg></figure>'
    )


def bar(share: float, kind: str) -> str:
    """A bar inside a table cell.

    Args:
        share: Its length, 0 to 1.
        kind: CSS class of its colour.
    """
    return f'<span class="bar {kind}"><i style="width:{100 * min(max(share, 0), 1):.1f}%"></i></span>'


def two_sided_bar(value: float, most: float) -> str:
    """A bar that grows right of the middle above zero, left of it below.

    Args:
        value: Its signed length.
        most: The size that reaches the edge.
    """
    share = 50 * min(abs(value) / most, 1) if most > 0 else 0.0
    side = "up" if value >= 0 else "down"
    start = 50.0 if value >= 0 else 50 - share
    return f'<span class="two-sided {side}"><i style="left:{start:.1f}%;width:{share:.1f}%"></i></span>'


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    floor = HEIGHT - BOTTOM
    for value in x.ticks():
        at = _across(x, value)
        yield _line((at, TOP), (at, floor), "grid")
        yield f'<text x="{at:.1f}" y="{floor + 13}" class="middle">{x.text(value)}</text>'
    for value in y.ticks():
        at = _up(y, value)
        yield _line((LEFT, at), (WIDTH - RIGHT, at), "grid")
        yield f'<text x="{LEFT - 5}" y="{at + 3.5:.1f}" class="end">{y.text(value)}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle:.1f}" y="{HEIGHT - 6}" class="middle label">{html.escape(x.label)}</text>'
    yield (
        f'<text transform="translate(10 {(TOP + floor) / 2:.1f}) rotate(-90)" class="middle label">'
        f"{html.escape(y.label)}</text>"
    )


def _area(curve: Curve, x: Axis, y: Axis) -> str:
    known = [point for point in curve.points if _is_known(point.x, point.null_low, point.null_high)]
    if len(known) < 2:
        return ""
    upper = [(_across(x, point.x), _up(y, point.null_high)) for point in known]
    lower = [(_across(x, point.x), _up(y, point.null_low)) for point in reversed(known)]
    outline = " ".join(f"{across:.1f},{up:.1f}" for across, up in [*upper, *lower])
    return f'<polygon points="{outline}" class="chance"/>'


def _points(curve: Curve, x: Axis, y: Axis) -> Iterator[str]:
    known = [point for point in curve.points if _is_known(point.x, point.y)]
    places = [(_across(x, point.x), _up(y, point.y)) for point in known]
    if len(places) > 1:
        joined = " ".join(f"{across:.1f},{up:.1f}" for across, up in places)
        yield f'<polyline points="{joined}" class="joined {curve.tone}"/>'
    for point, (across, up) in zip(known, places, strict=True):
        band = ""
        if _is_known(point.low, point.high):
            band = _line((across, _up(y, point.low)), (across, _up(y, point.high)), f"band {curve.tone}")
        words = f"<title>{html.escape(point.words)}</title>" if point.words else ""
        yield f'<g>{band}<circle cx="{across:.1f}" cy="{up:.1f}" r="3" class="{curve.tone}"/>{words}</g>'


def _line(start: tuple[float, float], end: tuple[float, float], kind: str) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" class="{kind}"/>'
    )


def _across(x: Axis, value: float) -> float:
    return LEFT + (value - x.low) / (x.high - x.low) * (WIDTH - LEFT - RIGHT)


def _up(y: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - (value - y.low) / (y.high - y.low) * (HEIGHT - TOP - BOTTOM)


def _is_known(*values: float) -> bool:
    return all(map(math.isfinite, values))
