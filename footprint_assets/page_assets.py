"""The HTML pages as Dagster assets: made for a trade date when somebody asks, by no job and no schedule.

They stand after the tables they show, in a group of their own. A materialisation names the files it wrote.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg

from footprint_assets.errors import FootprintError
from footprint_assets.lake_asset import WORKBENCH
from footprint_assets.pages import (
    BAR,
    LEVELS,
    PRICE,
    session_tables,
    write_footprint_page,
    write_quality_page,
    write_session_page,
)
from footprint_assets.partitions import LAKE_PARTITIONS
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings

Write = Callable[[Workbench, dt.date, Path], dict[str, Path]]


def build_page_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Make the assets of the pages: session report, footprint and data quality of a trade date.

    Args:
        settings: Names the levels whose tables the session report shows.
    """
    return [
        _page_asset(
            "session",
            session_tables(settings),
            "Candles, volume profile, levels, VWAP bands, attempts, cumulative delta and depth of every contract.",
            _session,
        ),
        _page_asset(
            "footprint",
            (BAR, PRICE, LEVELS),
            "Bid x ask at every price of every bar of every contract.",
            _footprint,
        ),
        _page_asset(
            "quality",
            ("gold.future.setup_vectors",),
            "Check findings, row accounts and null rates.",
            _quality,
        ),
    ]


def _page_asset(name: str, tables: Sequence[str], description: str, write: Write) -> dg.AssetsDefinition:
    @dg.asset(
        key=["page", "future", name],
        deps=[dg.AssetKey(key.split(".")) for key in tables],
        partitions_def=LAKE_PARTITIONS,
        required_resource_keys={WORKBENCH},
        group_name="pages",
        kinds={"html"},
        owners=["team:market-data"],
        tags={"layer": "page", "product": "future"},
        description=f"{description} One self-contained HTML file, docs/pages.md says how to read it.",
    )
    def page(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        bench: Workbench = context.resources.workbench
        day = dt.date.fromisoformat(context.partition_key)
        folder = bench.settings.pages_root.absolute() / f"dt={day}"
        try:
            written = write(bench, day, folder)
        except FootprintError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        return dg.MaterializeResult(
            metadata={
                "bytes": sum(path.stat().st_size for path in written.values()),
                "dagster/storage_kind": "html",
                "dagster/uri": folder.as_uri(),
                **{label: dg.MetadataValue.path(path) for label, path in written.items()},
                **{f"{label}_url": dg.MetadataValue.url(path.as_uri()) for label, path in written.items()},
            }
        )

    return page


def _session(bench: Workbench, day: dt.date, folder: Path) -> dict[str, Path]:
    files = {symbol: folder / f"{symbol}-session.html" for symbol in bench.lake.symbols(BAR, day)}
    for symbol, file in files.items():
        write_session_page(bench.settings, day, symbol, file, simulated=False)
    return files


def _footprint(bench: Workbench, day: dt.date, folder: Path) -> dict[str, Path]:
    files = {symbol: folder / f"{symbol}-footprint.html" for symbol in bench.lake.symbols(BAR, day)}
    for symbol, file in files.items():
        write_footprint_page(bench.settings, day, symbol, (), file, simulated=False)
    return files


def _quality(bench: Workbench, day: dt.date, folder: Path) -> dict[str, Path]:
    file = folder / "quality.html"
    write_quality_page(bench.settings, day, day, file, simulated=False)
    return {"quality": file}
