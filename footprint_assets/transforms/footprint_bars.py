"""Gold footprint bars: one flat row a closed bar, with what a trader could compare its close to at that instant.

A row reads trades up to the bar's last one, levels valid by the bar's end, and nothing later. The bar's place in the
trade stream is a trade count, not a clock: an event bar may end between two trades of one nanosecond.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.kernels.profile import developing_value_area
from footprint_assets.kernels.vwap import anchored_vwap
from footprint_assets.settings import FootprintSettings
from footprint_assets.transforms.windows import points, tick_size_nanos, ticks_and_sizes, times_ns

RUNNING_COLUMNS = ("day_vwap", "day_vwap_std", "dev_poc_price", "dev_vah_price", "dev_val_price")
VWAP_BANDS = {"u1": 1, "u2": 2, "l1": -1, "l2": -2}
"""Suffix of a VWAP band and its distance, standard deviations."""
CONTEXT_COLUMNS = (
    "day_vwap",
    "day_vwap_std",
    *(f"day_vwap_{band}" for band in VWAP_BANDS),
    "dev_poc_price",
    "dev_vah_price",
    "dev_val_price",
)
DISTANCES = {
    "day_vwap": "day_vwap",
    **{f"day_vwap_{band}": f"day_vwap_{band}" for band in VWAP_BANDS},
    "prev_day_vwap": "PD_VWAP",
    "bb_upper": "bb_upper_20_2",
    "bb_lower": "bb_lower_20_2",
    "bb_middle": "bb_middle_20",
    "dev_poc": "dev_poc_price",
    "dev_vah": "dev_vah_price",
    "dev_val": "dev_val_price",
    "prev_day_poc": "PD_POC",
    "prev_day_vah": "PD_VAH",
    "prev_day_val": "PD_VAL",
    "ib_high": "IB_HIGH",
    "ib_low": "IB_LOW",
    "prev_day_high": "PDH",
    "prev_day_low": "PDL",
    "prev_day_close": "PDC",
    "overnight_high": "OVERNIGHT_HIGH",
    "overnight_low": "OVERNIGHT_LOW",
    "pm_high": "PM_HIGH",
    "pm_low": "PM_LOW",
    "or_high": "OR_HIGH",
    "or_low": "OR_LOW",
}
"""What ``close_to_<key>_pts`` is measured to: a column of the row or, in capitals, a name in ``session_levels``."""


class BarsOfOtherTrades(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The footprint bars do not tile the trades they are joined to."""


def footprint_bars(
    footprint_bar: pl.DataFrame,
    trades_clean: pl.DataFrame,
    session_levels: pl.DataFrame,
    session: Session,
    footprint: FootprintSettings,
) -> pl.DataFrame:
    """Closed bars with running VWAP, developing value area and the distance of the close to every level known.

    The day VWAP runs from the first trade of the trade date. The developing profile is that of the electronic session
    until the first trade of the cash session, then of the cash session, and rests at its close. Distances to levels
    use the unrounded price and are null before ``valid_from_ts``.

    Args:
        footprint_bar: Rows of ``silver.future.footprint_bar``, bars still open at the end of the data included.
        trades_clean: The rows of ``silver.future.trades_clean`` the bars were cut from.
        session_levels: Rows of ``silver.future.session_levels`` of the same contract and date; may be empty.
        session: The trade date's session.
        footprint: Row height and value area.

    Returns:
        Rows of ``gold.future.footprint_bars`` sorted by bar type and bar.

    Raises:
        BarsOfOtherTrades: The bars of some type do not hold as many trades as there are.
    """
    bars = footprint_bar.sort("bar_type", "bar_id").with_columns(
        pl.col("trades").cum_sum().over("bar_type").cast(pl.Int64).alias("_end")
    )
    _require_same_trades(bars, trades_clean)
    running = [
        part.with_columns(_running(trades_clean, np.array(part["_end"], np.int64), session, footprint))
        for part in bars.partition_by("bar_type", maintain_order=True)
    ]
    empty = bars.with_columns(pl.lit(None, pl.Float64).alias(name) for name in RUNNING_COLUMNS).clear()
    rows = pl.concat([empty, *running]).filter("is_complete")
    rows = rows.with_columns(
        (pl.col("day_vwap") + sigmas * pl.col("day_vwap_std")).alias(f"day_vwap_{band}")
        for band, sigmas in VWAP_BANDS.items()
    )
    # A price row is named by its lowest tick; the top row of a value area reaches this much higher.
    tick_nanos = tick_size_nanos(trades_clean) if trades_clean.height else 0
    row_span = points(footprint.ticks_per_row - 1, tick_nanos)
    return _with_distances(rows, _known_levels(session_levels), row_span).select(
        *(name for name in footprint_bar.columns if name != "is_complete"),
        *CONTEXT_COLUMNS,
        *(f"close_to_{name}_pts" for name in DISTANCES),
        "is_in_dev_value_area",
        "is_in_prev_day_value_area",
    )


def _require_same_trades(bars: pl.DataFrame, trades: pl.DataFrame) -> None:
    held = bars.group_by("bar_type", maintain_order=True).agg(pl.col("trades").sum())
    for bar_type, count in held.filter(pl.col("trades") != trades.height).iter_rows():
        raise BarsOfOtherTrades(
            f"The {bar_type} bars hold {count} trades of {trades.height}.",
            where={"table": "silver.future.footprint_bar", "symbol": bars["symbol"][0], "bar_type": bar_type},
            remedy="Materialise footprint_bar again from the published trades_clean.",
        )


def _running(
    trades: pl.DataFrame, ends: NDArray[np.int64], session: Session, footprint: FootprintSettings
) -> list[pl.Series]:
    """The running columns after the first ``ends[b]`` trades of the date, one value a bar."""
    tick, size = ticks_and_sizes(trades)
    tick_nanos = tick_size_nanos(trades)
    vwap, std = anchored_vwap(tick, size, 0, ends)
    row = tick // footprint.ticks_per_row
    rules = (footprint.value_area_pct, footprint.value_area_rows)
    first_cash, after_cash = _cash_trades(trades, session)
    overnight = ends <= first_cash
    night = developing_value_area(row, size, 0, ends[overnight], *rules)
    cash = developing_value_area(row, size, first_cash, np.minimum(ends[~overnight], after_cash), *rules)
    poc, val, vah = (
        points(np.concatenate(parts) * footprint.ticks_per_row, tick_nanos)
        for parts in zip(night, cash, strict=True)
    )
    values = (points(vwap, tick_nanos), points(std, tick_nanos), poc, vah, val)
    return [pl.Series(name, value) for name, value in zip(RUNNING_COLUMNS, values, strict=True)]


def _cash_trades(trades: pl.DataFrame, session: Session) -> tuple[int, int]:
    """Index of the first cash-session trade and of the first one after; both past the end without any."""
    none = trades.height
    if session.rth_open_ns is None or session.rth_close_ns is None:
        return none, none
    first, after = np.searchsorted(times_ns(trades), [session.rth_open_ns, session.rth_close_ns])
    return (int(first), int(after)) if after > first else (none, none)


def _known_levels(session_levels: pl.DataFrame) -> dict[str, pl.Expr]:
    """Each level as an expression over bars: its unrounded price where it is valid at the bar's end, else null."""
    end = pl.col("bar_end_ts")
    known = {name: pl.lit(None, pl.Float64) for name in DISTANCES.values() if name.isupper()}
    for level in session_levels.select(
        "level_name", "level_price_raw", "valid_from_ts", "valid_to_ts"
    ).iter_rows(named=True):
        valid = end >= level["valid_from_ts"]
        if level["valid_to_ts"] is not None:
            valid &= end < level["valid_to_ts"]
        known[level["level_name"]] = pl.when(valid).then(pl.lit(level["level_price_raw"], pl.Float64))
    return known


def _with_distances(rows: pl.DataFrame, known: dict[str, pl.Expr], row_span: float) -> pl.DataFrame:
    close = pl.col("close")
    return rows.with_columns(
        *(
            (close - known.get(reference, pl.col(reference))).alias(f"close_to_{name}_pts")
            for name, reference in DISTANCES.items()
        ),
        _is_inside(close, pl.col("dev_val_price"), pl.col("dev_vah_price"), row_span).alias(
            "is_in_dev_value_area"
        ),
        _is_inside(close, known["PD_VAL"], known["PD_VAH"], row_span).alias("is_in_prev_day_value_area"),
    )


def _is_inside(close: pl.Expr, val: pl.Expr, vah: pl.Expr, row_span: float) -> pl.Expr:
    # & of a known False and an unknown is False; without a value area nothing is known.
    return pl.when(val.is_not_null() & vah.is_not_null()).then(close.is_between(val, vah + row_span))
