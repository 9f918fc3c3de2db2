"""HTML pages of lake tables: reads the tables, hands them to ``report``, writes the file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from footprint_assets.report import footprint_page
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tables import TableInput


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
        PartitionMissing: A table is not published for the trade date.
    """
    lake = Workbench(settings).lake
    price, bar, levels = (
        TableInput(lake, f"silver.future.{name}", (day,)).frame(symbol)
        for name in ("footprint_price", "footprint_bar", "session_levels")
    )
    html = footprint_page(
        price,
        bar,
        levels,
        symbol=symbol,
        session_date=day,
        bar_type=bar_type,
        simulated=simulated,
        ticks_per_row=settings.footprint.ticks_per_row,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(html, encoding="utf-8")
