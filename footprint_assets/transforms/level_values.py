"""The value of one price level at the end of every five-second bar: null before it is known.

Static levels come from ``silver.future.session_levels``, moving ones from ``silver.future.level_series_5s``. Readers of
a level need not know which of the two it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint_assets.kernels.bar5s import BAR_NS

_HIGHS, _LOWS = ("HIGH", "VAH"), ("LOW", "VAL")


def level_values(
    bar_ts: pl.Series, session_levels: pl.DataFrame, level_series: pl.DataFrame, level: str
) -> pl.DataFrame:
    """The value of a level at the end of each bar.

    A static level has its value from ``valid_from_ts`` up to, excluding, ``valid_to_ts``; a bar knows it if it ends in
    that span. A moving level has the value its series states for the bar.

    Args:
        bar_ts: Bar starts, ascending; Datetime ns UTC.
        session_levels: Rows of ``silver.future.session_levels`` of one contract and trade date.
        level_series: Rows of ``silver.future.level_series_5s`` of the same.
        level: Name of the level, such as ``PM_HIGH``.

    Returns:
        One row a bar: ``bar_ts``, ``level_price`` (rounded to the tick) and ``level_price_raw``, points; both null where
        the level is not known.
    """
    bars = bar_ts.alias("bar_ts").to_frame()
    columns = ("level_price", "level_price_raw")
    static = session_levels.filter(pl.col("level_name") == level)
    if static.is_empty():
        series = level_series.filter(pl.col("level_name") == level).select("bar_ts", *columns)
        return bars.join(series, on="bar_ts", how="left", maintain_order="left")
    # Instants stay integers: a Python datetime has no nanoseconds.
    valid_from, valid_to = (static[name].to_physical()[0] for name in ("valid_from_ts", "valid_to_ts"))
    known = pl.col("bar_ts").to_physical() + BAR_NS
    is_valid = known >= valid_from
    if valid_to is not None:
        is_valid &= known < valid_to
    return bars.with_columns(
        pl.when(is_valid).then(pl.lit(static[name][0], pl.Float64)).alias(name) for name in columns
    )


def levels_at(
    bars_ns: Sequence[int], session_levels: pl.DataFrame, level_series: pl.DataFrame
) -> list[list[tuple[str, float]]]:
    """Every level that is known at the end of each of some bars.

    Args:
        bars_ns: Starts of the bars, ns since the epoch.
        session_levels: Rows of ``silver.future.session_levels`` of one contract and trade date.
        level_series: Rows of ``silver.future.level_series_5s`` of the same.

    Returns:
        Of each bar the names and prices (points) of its levels, sorted by name.
    """
    span = pl.col("valid_from_ts", "valid_to_ts").to_physical()
    static = session_levels.select("level_name", "level_price", span).rows()
    bar_ns = pl.col("bar_ts").to_physical()
    moving = level_series.filter(bar_ns.is_in(list(bars_ns))).select(bar_ns, "level_name", "level_price")
    known: dict[int, list[tuple[str, float]]] = {bar: [] for bar in bars_ns}
    for bar, name, price in moving.iter_rows():
        known[bar].append((name, price))
    for bar, levels in known.items():
        end = bar + BAR_NS
        levels += [
            (n, px) for n, px, since, until in static if since <= end and (until is None or until > end)
        ]
        levels.sort()
    return [known[bar] for bar in bars_ns]


def level_polarity(session_levels: pl.DataFrame, level: str) -> int:
    """Whether a level is a high, a low or neither.

    Args:
        session_levels: Rows of ``silver.future.session_levels`` of one contract and trade date.
        level: Name of the level.

    Returns:
        +1 a high, -1 a low, 0 neither. A moving level says it by its name: ``SESSION_HIGH``, ``DEV_VAL``.
    """
    static = session_levels.filter(pl.col("level_name") == level)
    if static.height:
        return int(static["level_polarity"][0])
    return int(level.endswith(_HIGHS)) - int(level.endswith(_LOWS))
