"""How the pictures of the documentation look: colours for light and dark pages, fonts as outlines, the same bytes every time.

Only looks live here; what is drawn, and from which table, is in `make_pictures.py`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import dates as mdates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

mpl.use("svg")

_COLOURS = {
    "paper": ("#fffffe", "#0d1117"),
    "ink": ("#152036", "#dbe3ef"),
    "muted": ("#5d6b82", "#94a2b8"),
    "grid": ("#e6ebf2", "#1d2736"),
    "cell": ("#eef2f7", "#18212e"),
    "buy": ("#00806a", "#2fd9ab"),
    "buy-strong": ("#8fe0c9", "#0b6b58"),
    "sell": ("#c2183c", "#ff7489"),
    "sell-strong": ("#f6a8b7", "#8a2342"),
    "poc": ("#b26a00", "#ffc24b"),
    "value": ("#5f80b5", "#6f93cc"),
    "depth": ("#3465c0", "#5b8ff0"),
    "vwap": ("#a21caf", "#e879f9"),
    "premarket": ("#6d28d9", "#b79bff"),
    "range": ("#c2410c", "#ff9d5c"),
    "prior": ("#0e7490", "#4fd1e8"),
    "average": ("#be185d", "#ff8fc0"),
}
"""Name to the colour on a light and on a dark page, after the colours of the project's HTML page."""

WIDTH_IN = 10.0
"""Width of every picture; 960 pixels where nothing scales it."""


def colour(name: str) -> str:
    """The colour to draw with; `save` makes it follow the reader's light or dark setting.

    Args:
        name: Its role, such as `buy`.
    """
    return _COLOURS[name][0]


mpl.rcParams.update(
    {
        "svg.hashsalt": "footprint_assets",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.linewidth": 0.6,
        "text.color": colour("ink"),
        "axes.labelcolor": colour("muted"),
        "axes.edgecolor": colour("grid"),
        "xtick.color": colour("muted"),
        "ytick.color": colour("muted"),
    }
)


def canvas(height_in: float, rows: Sequence[float], title: str, subtitle: str) -> tuple[Figure, list[Axes]]:
    """A figure with a heading and panels below each other.

    Args:
        height_in: Height, inches.
        rows: Relative heights of the panels.
        title: What the picture shows.
        subtitle: Where the data come from.

    Returns:
        The figure and its panels, from the top.
    """
    figure = Figure(figsize=(WIDTH_IN, height_in), facecolor=colour("paper"))
    top = 1 - 0.78 / height_in
    grid = figure.add_gridspec(
        len(rows),
        1,
        height_ratios=list(rows),
        left=0.075,
        right=0.865,
        top=top,
        bottom=0.42 / height_in,
        hspace=0.13,
    )
    figure.text(0.02, 1 - 0.32 / height_in, title, fontsize=13, fontweight="bold")
    figure.text(0.02, 1 - 0.56 / height_in, subtitle, color=colour("muted"))
    panels: list[Axes] = []
    for row in range(len(rows)):
        panel = figure.add_subplot(grid[row], sharex=panels[0] if panels else None)
        plain(panel)
        panel.tick_params(labelbottom=row == len(rows) - 1)
        panels.append(panel)
    return figure, panels


def plain(panel: Axes) -> None:
    """Take frame and ticks off a panel and give it a quiet grid."""
    panel.set_facecolor("none")
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.grid(color=colour("grid"), linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(length=0)


def clock(panel: Axes, form: str = "%H:%M") -> None:
    """Label a time axis with the wall time the times of the data are in."""
    panel.xaxis.set_major_formatter(mdates.DateFormatter(form))


def note(panel: Axes, y: float, text: str, name: str = "muted", *, weight: str = "normal") -> None:
    """Write into the margin right of a panel.

    Args:
        panel: The panel.
        y: Height, in units of the panel's data.
        text: What to write.
        name: Role of its colour.
        weight: Weight of its font.
    """
    panel.annotate(
        text,
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        fontweight=weight,
        color=colour(name),
        annotation_clip=False,
    )


def caption(panel: Axes, text: str, name: str = "ink") -> None:
    """Name a panel, in its upper left corner."""
    panel.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(4, -3),
        textcoords="offset points",
        va="top",
        fontsize=8.5,
        color=colour(name),
        bbox={"facecolor": colour("paper"), "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
    )


def stairs(
    panel: Axes,
    x: np.ndarray,
    values: np.ndarray,
    base: np.ndarray | float,
    name: str,
    label: str | None = None,
) -> None:
    """Fill from `base` to `values`, one step a bar."""
    edges = mdates.date2num(np.append(x, x[-1] + (x[-1] - x[-2])))
    panel.stairs(values, edges, baseline=base, fill=True, color=colour(name), linewidth=0, label=label)


def signed(panel: Axes, x: np.ndarray, values: np.ndarray) -> None:
    """Fill what is above zero in the buyers' colour and what is below in the sellers'."""
    for side, name in ((np.clip(values, 0, None), "buy"), (np.clip(values, None, 0), "sell")):
        stairs(panel, x, side, 0, name)
    reach = float(np.nanmax(np.abs(values)))
    panel.set_ylim(-1.1 * reach, 1.55 * reach)
    panel.axhline(0, color=colour("muted"), linewidth=0.5)


def notes(panel: Axes, labels: list[tuple[float, str, str]], gap: float) -> None:
    """Write labels into the right margin at their prices, moved apart where they would touch.

    Args:
        panel: The panel.
        labels: Price, text and role of the colour of each.
        gap: Least distance between two, points of price.
    """
    low, high = panel.get_ylim()
    placed: list[float] = []
    for price, text, name in sorted(labels):
        at = max([min(max(price, low), high), *(other + gap for other in placed[-1:])])
        placed.append(at)
        note(panel, at, text, name)


def key(
    where: Axes | Figure,
    entries: tuple[tuple[str, str], ...],
    place: str = "upper right",
    anchor: tuple[float, float] | None = None,
) -> None:
    """A key of coloured boxes."""
    boxes = [Rectangle((0, 0), 1, 1, color=colour(name), linewidth=0, label=text) for name, text in entries]
    where.legend(
        handles=boxes,
        loc=place,
        bbox_to_anchor=anchor,
        frameon=False,
        labelcolor=colour("ink"),
        fontsize=8.5,
        handlelength=1.1,
        handleheight=1.0,
        borderaxespad=0 if anchor else None,
    )


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG: no date, no randomness, coordinates to a tenth of a point, colours by theme.

    Args:
        figure: The figure.
        path: The file.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", facecolor=colour("paper"), metadata=nothing)
    text = re.sub(r' (d|x|y)="[^"]*"|translate\([^)]*\)', lambda found: _rounded(found[0]), buffer.getvalue())
    for name, (light, _) in _COLOURS.items():
        text = text.replace(light, f"var(--{name})")
    path.write_text(text.replace("<defs>", _theme() + "\n <defs>", 1), encoding="utf-8")


def _rounded(text: str) -> str:
    short = re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), text)
    return re.sub(r"\s+", " ", short)


def _theme() -> str:
    light, dark = (
        "".join(f"--{name}:{pair[which]};" for name, pair in _COLOURS.items()) for which in range(2)
    )
    return f"<style>:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
