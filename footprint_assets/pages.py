"""HTML pages of lake tables: reads the tables, hands them to ``report``, writes the file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from footprint_assets import calendar as cme
from footprint_assets.errors import FootprintError
from footprint_assets.report import footprint_page
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tables import TableInput

PRICE, BAR, LEVELS = (
    f"silver.future.{name}" for name in ("footprint_price", "footprint_bar", "session_levels")
)


class NothingToDraw(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The lake has no such contract or bars on the trade date."""


def write_footprint_page(
    settings: Settings, day: dt.date, symbol: str, bar_type: str, out: Path, *, simulated: bool
) -> None:
    """Write the footprint chart of one contract and trade date.

    Args:
        settings: Names the lake.
        day: Trade date.
        symbol: Contract.
        bar_type: Such as ``time_5m``.
        out: The file to write; its folder is made.
        simulated: Whether the page says that the market is simulated.

    Raises:
        MarketClosed: The date is no trade date.
        PartitionMissing: A table is not published for the trade date.
        NothingToDraw: The contract or the bar type is not in the lake.
    """
    cme.session(day)
    price, bar, levels = (TableInput(Workbench(settings).lake, key, (day,)) for key in (PRICE, BAR, LEVELS))
    _require("contract", symbol, bar.symbols(), day)
    bars = bar.frame(symbol)
    _require("bar type", bar_type, sorted(bars["bar_type"].unique().cast(str).to_list()), day)
    html = footprint_page(
        price.frame(symbol),
        bars,
        levels.frame(symbol),
        symbol=symbol,
        session_date=day,
        bar_type=bar_type,
        simulated=simulated,
        ticks_per_row=settings.footprint.ticks_per_row,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(html, encoding="utf-8")


def _require(what: str, wanted: str, published: list[str], day: dt.date) -> None:
    if wanted not in published:
        raise NothingToDraw(
            f"The lake has no {what} {wanted!r} on {day}.",
            where={"table": BAR, "dt": day},
            remedy=f"use one of {', '.join(published)}."
            if published
            else f"footprint-assets run --date {day}",
        )
