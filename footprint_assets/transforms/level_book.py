"""The book at a level: resting size, liquidity and flow around a price, for the approach tables.

Tables in, columns out. Everything is read from the five-second tables of the book pass; ``docs/level-liquidity.md`` has
the definitions.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from footprint_assets.errors import FootprintError
from footprint_assets.kernels import level_book as kernel
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.book_events import ASK, BID
from footprint_assets.kernels.level_depth import level_depth
from footprint_assets.kernels.level_flow import level_flow
from footprint_assets.kernels.level_liquidity import Shocks
from footprint_assets.settings import PRICE_SCALE, LevelLiquiditySettings
from footprint_assets.transforms import level_book_columns as columns
from footprint_assets.transforms.book_batch import SIDES

_SIDE_FIELDS = ("qty_eob", "ct_eob", "add_vol", "pull_vol", "fill_vol", "add_cnt", "cancel_cnt", "modify_cnt")

Int64 = NDArray[np.int64]


class LevelBookRefused(FootprintError):  # noqa: N818 - names the fact
    """The tables do not belong together, or a level does not lie on the tick grid."""


def level_book(
    rows: pl.DataFrame,
    bars: pl.DataFrame,
    price5s: pl.DataFrame,
    shocks: pl.DataFrame,
    tick_size: float,
    settings: LevelLiquiditySettings,
) -> pl.DataFrame:
    """The book around a level, for every bar asked for.

    A row uses what was known at the end of its bar. Null where the prices were not in sight.

    Args:
        rows: What is asked for: ``bar_index`` (row of ``bars``), ``level_price`` (points, a multiple of the tick) and
            ``approach_direction`` (+1 from below, -1 from above).
        bars: Rows of ``silver.future.market_by_price_10_bar5s`` of one contract and date; ``bar_ts`` alone is read.
        price5s: Rows of ``silver.future.market_by_price_10_price5s`` of the same bars.
        shocks: Rows of ``silver.future.market_by_price_10_shocks`` of the same contract and date.
        tick_size: Minimum price increment, points.
        settings: Reach of the zone and thresholds of its states.

    Returns:
        The families ``lvldepth``, ``lvl``, ``lvlliq``, ``lvlflow``, ``lvl_flow``, ``lvlwall`` and ``lvlofi`` of the
        approach table in its order, row by row of ``rows``; float64, the states int8.

    Raises:
        LevelBookRefused: If ``price5s`` has other bars than ``bars`` or a hole between two ticks, a bar index lies
            outside ``bars``, or a level is off the tick grid.
    """
    asked = _asked(rows, bars.height, tick_size)
    edges = kernel.band_edges(round(tick_size * PRICE_SCALE))
    start = bars["bar_ts"].to_physical().to_numpy()
    grid = _grid(price5s, start)
    around = level_flow(grid, asked, edges)
    at_rest = level_depth(grid, asked, edges)
    liquidity = columns.liquidity_columns(grid, asked, _shocks(shocks), start + BAR_NS, settings)
    measures = (
        columns.depth_columns(at_rest)
        | columns.level_columns(at_rest)
        | liquidity
        | columns.state_columns(liquidity, settings)
        | columns.flow_columns(around)
        | columns.concentration_columns(around, tick_size)
        | columns.toward_columns(around, asked)
        | columns.wall_columns(at_rest, tick_size)
        | columns.imbalance_columns(grid, asked, settings)
    )
    return pl.DataFrame(
        {f"bar5s_{name}": pl.Series(values, nan_to_null=True) for name, values in measures.items()}
    ).with_columns(cs.matches("^bar5s_lvlliq_state_").cast(pl.Int8))


def _asked(rows: pl.DataFrame, bars: int, tick_size: float) -> kernel.Rows:
    """The levels in ticks."""
    bar = rows["bar_index"].cast(pl.Int64).to_numpy()
    if len(bar) and not 0 <= bar.min() <= bar.max() < bars:
        raise LevelBookRefused(
            "a row asks for a bar that does not exist",
            where={"bars": bars, "first": bar.min(), "last": bar.max()},
            remedy="count bar_index in the rows of the bars handed in",
        )
    level = rows["level_price"].cast(pl.Float64).to_numpy() / tick_size
    tick = np.rint(level)
    off = np.flatnonzero(~(np.abs(level - tick) < 1e-6))
    if len(off):
        raise LevelBookRefused(
            "a level does not lie on the tick grid",
            where={
                "row": int(off[0]),
                "level_price": rows["level_price"][int(off[0])],
                "tick_size": tick_size,
            },
            remedy="round the level to the tick, and check the root's tick size in the settings",
        )
    direction = rows["approach_direction"].cast(pl.Int64).to_numpy()
    return kernel.Rows(bar, tick.astype(np.int64), direction)


def _grid(price5s: pl.DataFrame, start: Int64) -> kernel.BookGrid:
    """The book by price with prefix sums over its rows."""
    ts, tick = price5s["bar_ts"].to_physical().to_numpy(), _integers(price5s, "price_tick")
    offset = np.append(np.searchsorted(ts, start), len(ts))
    if len(ts) and not np.array_equal(np.repeat(start, np.diff(offset)), ts):
        raise LevelBookRefused(
            "the book by price has other bars than the five-second bars",
            where={"bars": len(start), "rows": len(ts)},
            remedy="materialise the book pass of this date again",
        )
    hole = np.flatnonzero((np.diff(ts) == 0) & (np.diff(tick) != 1))
    if len(hole):
        raise LevelBookRefused(
            "the book by price has a hole between two ticks of a bar",
            where={"row": int(hole[0]) + 1, "price_tick": int(tick[hole[0] + 1])},
            remedy="materialise the book pass of this date again",
        )
    low = (
        tick[np.minimum(offset[:-1], max(len(tick) - 1, 0))] if len(tick) else np.zeros(len(start), np.int64)
    )
    sums = np.zeros((len(ts) + 1, kernel.COLUMNS), np.int64)
    for (s, side), (k, name) in product(enumerate(SIDES), enumerate(_SIDE_FIELDS)):
        sums[1:, s * kernel.FIELDS + k] = _integers(price5s, f"{side}_{name}")
    shown = _integers(price5s, "visible_ns")
    flows = [s * kernel.FIELDS + k for s in (BID, ASK) for k in range(kernel.ADDED, kernel.FIELDS)]
    sums[1:, kernel.VISIBLE] = price5s["is_visible_eob"].to_numpy()
    sums[1:, kernel.SEEN] = (shown > 0) | (sums[1:, flows] > 0).any(axis=1)
    held = np.stack([_integers(price5s, f"{side}_qty_ns") for side in SIDES], axis=1).astype(np.float64)
    average = np.full_like(held, np.nan)
    np.divide(held, shown[:, None], out=average, where=shown[:, None] > 0)
    best = kernel.best_prices(
        offset, low, sums[1:, kernel.QTY].copy(), sums[1:, kernel.FIELDS + kernel.QTY].copy()
    )
    np.cumsum(sums, axis=0, out=sums)
    largest = np.stack([_integers(price5s, f"{side}_max_qty") for side in SIDES], axis=1)
    return kernel.BookGrid(offset, low, sums, average, largest, best)


def _integers(rows: pl.DataFrame, name: str) -> Int64:
    """A column with 0 for null."""
    return rows[name].cast(pl.Int64).fill_null(0).to_numpy()


def _shocks(shocks: pl.DataFrame) -> Shocks:
    return Shocks(
        ts=shocks["ts_event"].to_physical().to_numpy(),
        side=(shocks["resting_side"].cast(pl.String) == "ASK").cast(pl.Int64).to_numpy() * (ASK - BID) + BID,
        tick=_integers(shocks, "price_tick"),
        recovered=shocks["recovered_ts"].to_physical().fill_null(-1).to_numpy(),
        refill_ms=shocks["refill_ms"].fill_null(np.nan).to_numpy(),
    )
