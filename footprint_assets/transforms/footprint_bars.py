"""Gold footprint bars: one flat row a closed bar, with the running prices a chart draws beside it.

The prices are those the distances of the silver bars are measured to; both come from ``running``. The bar's place in the
trade stream is a trade count, not a clock: an event bar may end between two trades of one nanosecond.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.settings import FootprintSettings
from footprint_assets.transforms.running import Tape, developing_profile, vwap_so_far
from footprint_assets.transforms.windows import tick_size_nanos

TABLE = "gold.future.footprint_bars"
VWAP_BANDS = {"u1": 1, "u2": 2, "l1": -1, "l2": -2}
"""Suffix of a VWAP band and its distance, standard deviations."""


class BarsOfOtherTrades(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The footprint bars do not tile the trades they are joined to."""


def footprint_bars(
    footprint_bar: pl.DataFrame, trades_clean: pl.DataFrame, session: Session, footprint: FootprintSettings
) -> pl.DataFrame:
    """Closed bars with the day's running VWAP and developing value area.

    The day VWAP runs from the first trade of the trade date. The developing profile is that of the electronic session
    until the first trade of the cash session, then of the cash session, and rests at its close.

    Args:
        footprint_bar: Rows of ``silver.future.footprint_bar`` in their order, with the bars still open at the end of the
            data.
        trades_clean: The rows of ``silver.future.trades_clean`` the bars were cut from.
        session: The trade date's session.
        footprint: Row height and value area.

    Returns:
        Rows of ``gold.future.footprint_bars`` sorted by bar type and bar.

    Raises:
        BarsOfOtherTrades: The bars of some type do not hold as many trades as there are.
    """
    schema = contracts.load(TABLE).polars_schema
    _require_same_trades(footprint_bar, trades_clean)
    if footprint_bar.is_empty():
        return schema.to_frame()
    ends = np.array(footprint_bar.select(pl.col("trades").cum_sum().over("bar_type"))["trades"], np.int64)
    counts, bar = np.unique(ends, return_inverse=True)
    tape = Tape.of(trades_clean, session, tick_size_nanos(trades_clean))
    vwap, std = vwap_so_far(tape, counts)
    developing = developing_profile(tape, counts, footprint)
    prices = {
        "day_vwap": vwap,
        "day_vwap_std": std,
        **{f"day_vwap_{band}": vwap + sigmas * std for band, sigmas in VWAP_BANDS.items()},
        **{f"dev_{name}_price": getattr(developing, name) for name in ("poc", "vah", "val")},
    }
    columns = (pl.Series(name, values[bar]) for name, values in prices.items())
    return footprint_bar.with_columns(columns).filter("is_complete").select(schema.names())


def _require_same_trades(bars: pl.DataFrame, trades: pl.DataFrame) -> None:
    held = bars.group_by("bar_type", maintain_order=True).agg(pl.col("trades").sum())
    for bar_type, count in held.filter(pl.col("trades") != trades.height).iter_rows():
        raise BarsOfOtherTrades(
            f"The {bar_type} bars hold {count} trades of {trades.height}.",
            where={"table": "silver.future.footprint_bar", "symbol": bars["symbol"][0], "bar_type": bar_type},
            remedy="Materialise footprint_bar again from the published trades_clean.",
        )
