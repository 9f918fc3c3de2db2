"""Draws the pictures of the documentation from the lake of the simulated market; `make pictures` runs it.

A picture shows what the tables of its page hold; no figure is worked out here that a table holds. Looks live in `style.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import book
import levels
import trades
from matplotlib.figure import Figure
from style import save

from footprint_assets.lake import Lake
from footprint_assets.settings import Settings

PICTURES: dict[str, Callable[[Lake], Figure]] = {
    "bars": book.bars,
    "footprint": trades.footprint,
    "profile": trades.profile,
    "order-flow": book.order_flow,
    "levels": levels.levels,
    "episodes": levels.episodes,
}
"""File name to the function that draws it."""


if __name__ == "__main__":
    lake = Lake(Settings().lake_root)
    for name, draw in PICTURES.items():
        save(draw(lake), Path(__file__).with_name(f"{name}.svg"))
