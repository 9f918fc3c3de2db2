"""The slow, obvious way to the profile of some trades."""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint_assets.kernels.value_area import value_area


def area_of(trades: pl.DataFrame) -> tuple[float, float, float]:
    """Point of control, bottom and top of the value area of all given trades, points of a quarter-point market."""
    tick = trades["price_tick"].to_numpy()
    volumes = np.bincount(tick - tick.min(), weights=trades["size"].to_numpy()).astype(np.int64)
    poc, val, vah = ((row + int(tick.min())) / 4 for row in value_area(volumes, 70, 2))
    return poc, val, vah
