"""The book at a level: resting size, liquidity and flow around a price, for the approach tables.

Tables in, columns out. Everything is read from the five-second tables of the book pass; ``docs/level-liquidity.md`` has
the definitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.errors import FootprintError
from footprint_assets.kernels import level_book as kernel
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.book_events import ASK, BID
from footprint_assets.kernels.level_depth import LONGEST_CHANGE, level_depth
from footprint_assets.kernels.level_flow import level_flow
from footprint_assets.kernels.level_liquidity import Shocks
from footprint_assets.settings import PRICE_SCALE, LevelLiquiditySettings
from footprint_assets.transforms import level_book_columns as columns
from footprint_assets.transforms.book_batch import SIDES

_SIZES = ("qty_eob", "add_vol", "pull_vol", "fill_vol")
_COUNTS = ("ct_eob", "add_cnt", "cancel_cnt", "modify_cnt")
INPUT_COLUMNS = (
    *("bar_ts", "price_tick", "visible_ns", "is_visible_eob"),
    *(f"{side}_{name}" for side in SIDES for name in ("qty_ns", "max_qty", *_SIZES, *_COUNTS)),
)
"""What the book at a level reads of ``silver.future.market_by_price_10_price5s``."""
_SCHEMA = {
    name: contracts.load("silver.future.market_by_price_10_price5s").polars_schema[name]
    for name in INPUT_COLUMNS
}
STRETCH_ROWS = 1 << 18
"""Rows of the book by price laid out at a time, besides those looked back on: 80 MB."""
SHOCK_COLUMNS = ("ts_event", "resting_side", "price_tick", "recovered_ts", "refill_ms")
"""What it reads of ``silver.future.market_by_price_10_shocks``."""

Int64 = NDArray[np.int64]


class LevelBookRefused(FootprintError):  # noqa: N818 - names the fact
    """The tables do not belong together, or a level does not lie on the tick grid."""


def level_book(
    price5s: Iterable[pl.DataFrame],
    start_ns: Int64,
    asked: kernel.Rows,
    shocks: Shocks,
    tick_size: float,
    settings: LevelLiquiditySettings,
) -> columns.Columns:
    """The book around a level, for every bar asked for.

    A row uses what was known at the end of its bar. Null where the prices were not in sight.

    Args:
        price5s: ``INPUT_COLUMNS`` of ``silver.future.market_by_price_10_price5s`` of one contract and date, by bar and tick,
            in frames of any height: no more of them is held than a stretch of bars needs.
        start_ns: Starts of the five-second bars, ascending; int64[bars], ns since the epoch.
        asked: The levels and the bars.
        shocks: Heavy fills of the same, see :func:`heavy_fills`.
        tick_size: Minimum price increment, points.
        settings: Reach of the zone and thresholds of its states.

    Returns:
        The families ``lvldepth``, ``lvl``, ``lvlliq``, ``lvlflow``, ``lvl_flow``, ``lvlwall`` and ``lvlofi`` of the
        approach table in its order, row by row of ``asked``; float64[rows] each, NaN for null.

    Raises:
        LevelBookRefused: If ``price5s`` has other bars or a hole between two ticks.
    """
    asked, nth = _once(asked)
    found: columns.Columns = {}
    for grid, at in _stretches(price5s, start_ns, asked.bar, settings):
        some = kernel.Rows(*(column[at] for column in asked))
        for name, values in _measures(grid, some, shocks, start_ns + BAR_NS, tick_size, settings).items():
            found.setdefault(name, np.empty(len(asked.bar)))[at] = values
    return {f"bar5s_{name}": values[nth] for name, values in found.items()}


def _measures(
    grid: kernel.BookGrid,
    asked: kernel.Rows,
    shocks: Shocks,
    end_ns: Int64,
    tick_size: float,
    settings: LevelLiquiditySettings,
) -> columns.Columns:
    edges = kernel.band_edges(round(tick_size * PRICE_SCALE))
    around = level_flow(grid, asked, edges)
    at_rest = level_depth(grid, asked, edges)
    liquidity = columns.liquidity_columns(grid, asked, shocks, end_ns, settings)
    return (
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


def _once(asked: kernel.Rows) -> tuple[kernel.Rows, Int64]:
    """Every row that is asked for, level by level in time order, and which of them each row was.

    The windows of two attempts at a level that stands still overlap: up to half of the rows are asked for twice.
    """
    order = np.lexsort(asked)
    ordered = np.array(asked)[:, order]
    is_new = np.concatenate(([True], (np.diff(ordered) != 0).any(axis=0)))[: len(order)]
    nth = np.empty_like(order)
    nth[order] = np.cumsum(is_new) - 1
    return kernel.Rows(*ordered[:, is_new]), nth


def rows_asked(
    bar: Int64, level_pts: columns.Float64, direction: Int64, bars: int, tick_size: float
) -> kernel.Rows:
    """What is asked of the book, levels in ticks.

    Args:
        bar: Index of the bar, int64[rows].
        level_pts: Price of the level, a multiple of the tick, float64[rows], points.
        direction: +1 the level is approached from below, -1 from above, int64[rows].
        bars: Bars there are.
        tick_size: Minimum price increment, points.

    Raises:
        LevelBookRefused: If a bar index lies outside the bars, or a level is off the tick grid.
    """
    if len(bar) and not 0 <= bar.min() <= bar.max() < bars:
        raise LevelBookRefused(
            "a row asks for a bar that does not exist",
            where={"bars": bars, "first": bar.min(), "last": bar.max()},
            remedy="count the index in the rows of the bars handed in",
        )
    level = level_pts / tick_size
    tick = np.rint(level)
    off = np.flatnonzero(~(np.abs(level - tick) < 1e-6))
    if len(off):
        raise LevelBookRefused(
            "a level does not lie on the tick grid",
            where={"row": int(off[0]), "level_price": float(level_pts[off[0]]), "tick_size": tick_size},
            remedy="round the level to the tick, and check the root's tick size in the settings",
        )
    return kernel.Rows(bar, tick.astype(np.int64), direction)


def _stretches(
    price5s: Iterable[pl.DataFrame], start_ns: Int64, asked: Int64, settings: LevelLiquiditySettings
) -> Iterator[tuple[kernel.BookGrid, Int64]]:
    """The book of one stretch of bars after the other, and which of the bars asked for it answers.

    A stretch begins as far before the bars it answers as a measure looks back: no measure knows where it was cut.
    """
    bars, back = len(start_ns), _look_back(settings)
    reached = _bars_reached(asked, bars, back)
    held: list[pl.DataFrame] = []
    done = row = bar = 0

    def answered(until: int) -> Iterator[tuple[kernel.BookGrid, Int64]]:
        at = np.flatnonzero((asked >= done) & (asked < until))
        if len(at) or not len(asked):  # without a question, columns without rows
            rows = pl.concat(held) if held else pl.DataFrame(schema=_SCHEMA)
            yield _book_grid(rows, start_ns), at

    for rows in _whole_bars(price5s):
        ts = _column(rows, "bar_ts", pl.Int64)
        wanted = np.repeat(reached[bar:], np.diff(_laid_out(rows, start_ns[bar:], row)[0]))
        held.append(rows.filter(pl.Series(wanted)))
        row += len(ts)
        bar = int(np.searchsorted(start_ns, ts[-1])) + 1
        if sum(part.height for part in held) >= STRETCH_ROWS:
            yield from answered(bar)
            done = bar
            since = pl.lit(int(start_ns[max(bar - back, 0)]))
            held = [part.filter(pl.col("bar_ts").to_physical() >= since) for part in held]
    yield from answered(bars)


def _whole_bars(price5s: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in frames of which none ends inside a bar."""
    rest: list[pl.DataFrame] = []
    for frame in price5s:
        if frame.is_empty():
            continue
        ts = frame["bar_ts"].to_physical().to_numpy()
        others = np.flatnonzero(ts != ts[-1])
        whole = int(others[-1]) + 1 if len(others) else 0
        if whole or (rest and rest[-1]["bar_ts"][-1] != frame["bar_ts"][-1]):
            yield pl.concat([*rest, frame[:whole]])
            rest = []
        rest.append(frame[whole:])
    if rest:
        yield pl.concat(rest)


def _laid_out(rows: pl.DataFrame, start_ns: Int64, first: int) -> tuple[Int64, Int64]:
    """Where each bar's rows begin and their lowest ticks; refuses rows that are out of place, ``first`` is their number."""
    ts, tick = _column(rows, "bar_ts", pl.Int64), _column(rows, "price_tick", pl.Int64)
    offset, low, stray, hole = kernel.lay_out(start_ns, ts, tick)
    if stray >= 0:
        raise LevelBookRefused(
            "the book by price has other bars than the five-second bars",
            where={"row": first + stray},
            remedy="materialise the book pass of this date again",
        )
    if hole >= 0:
        raise LevelBookRefused(
            "the book by price has a hole between two ticks of a bar",
            where={"row": first + hole, "price_tick": int(tick[hole])},
            remedy="materialise the book pass of this date again",
        )
    return offset, low


def _book_grid(rows: pl.DataFrame, start_ns: Int64) -> kernel.BookGrid:
    """The book by price of some bars, with prefix sums over its rows; the others are bars without a price."""
    offset, low = _laid_out(rows, start_ns, 0)
    sizes = tuple(_column(rows, f"{side}_{name}", pl.Int64) for side in SIDES for name in _SIZES)
    counts = tuple(_column(rows, f"{side}_{name}", pl.Int32) for side in SIDES for name in _COUNTS)
    shown = _column(rows, "visible_ns", pl.Int64)
    sums = kernel.prefix_sums(sizes, counts, shown, _column(rows, "is_visible_eob", pl.UInt8))
    held = [_column(rows, f"{side}_qty_ns", pl.Int64) for side in SIDES]
    average = kernel.average_sizes(held[BID], held[ASK], shown)
    largest = np.stack([_column(rows, f"{side}_max_qty", pl.Int64) for side in SIDES], axis=1)
    best = kernel.best_prices(offset, low, sizes[0], sizes[len(_SIZES)])
    return kernel.BookGrid(offset, low, sums, average, largest, best)


def _look_back(settings: LevelLiquiditySettings) -> int:
    """Bars before its own that a measure reads at most."""
    return max(settings.baseline_bars, *columns.WINDOWS, LONGEST_CHANGE)


def _bars_reached(asked: Int64, bars: int, back: int) -> NDArray[np.bool_]:
    """The bars the measures of some bars can read, bool[bars]."""
    steps = np.zeros(bars + 1, np.int64)
    np.add.at(steps, np.maximum(asked - back, 0), 1)
    np.add.at(steps, asked + 1, -1)
    reached: NDArray[np.bool_] = np.cumsum(steps[:-1]) > 0
    return reached


def _column(rows: pl.DataFrame, name: str, dtype: type[pl.DataType]) -> NDArray[np.int64]:
    """A column with 0 for null, without a copy where it has none."""
    values = rows[name].to_physical().cast(dtype).fill_null(0).to_numpy()
    # Whether it is a view depends on the frame: one signature for the kernels, whatever the frame.
    values.setflags(write=False)
    return values


def heavy_fills(shocks: pl.DataFrame) -> Shocks:
    """The heavy fills of ``SHOCK_COLUMNS`` of ``silver.future.market_by_price_10_shocks`` of one contract and date."""
    return Shocks(
        ts=shocks["ts_event"].to_physical().to_numpy(),
        side=(shocks["resting_side"].cast(pl.String) == "ASK").cast(pl.Int64).to_numpy() * (ASK - BID) + BID,
        tick=_column(shocks, "price_tick", pl.Int64),
        recovered=shocks["recovered_ts"].to_physical().fill_null(-1).to_numpy(),
        refill_ms=shocks["refill_ms"].fill_null(np.nan).to_numpy(),
    )
