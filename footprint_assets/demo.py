"""The steps of ``footprint-assets demo``: a simulated market through the whole graph."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from footprint_assets import calendar as cme
from footprint_assets import sample
from footprint_assets.assets import tables
from footprint_assets.audit import audit, published_dates
from footprint_assets.console import Advance
from footprint_assets.errors import FootprintError
from footprint_assets.pages import BAR, write_footprint_page, write_quality_page, write_session_page
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings

PAGES = Path("build")
SAMPLE_FOLDER = "sample"


class DropFolderInUse(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The drop folder holds files that are not the demo's."""


def dates() -> list[dt.date]:
    """The trade dates of the simulated market."""
    return cme.sessions(sample.DEFAULT_START, sample.DEFAULT_END)


def write_market(settings: Settings, records_per_session: int | None, advance: Advance) -> list[Path]:
    """Write the simulated market into the drop folder.

    Args:
        settings: Names the drop folder.
        records_per_session: MBP-10 records of the front ES contract a session; the sample's own where ``None``.
        advance: Called with the sessions done and the sessions in all.

    Returns:
        The files.

    Raises:
        DropFolderInUse: It holds other files: simulated and real data never share a lake.
    """
    folder = settings.dbn_dir / SAMPLE_FOLDER
    others = [
        entry.path for entry in Workbench(settings).catalog().entries if not entry.path.is_relative_to(folder)
    ]
    if others:
        raise DropFolderInUse(
            "The drop folder holds other files; simulated and real data do not share a lake.",
            where={"folder": settings.dbn_dir, "first": others[0].name, "files": len(others)},
            remedy="set FOOTPRINT_DBN_DIR and FOOTPRINT_LAKE_ROOT to empty folders for the demo.",
        )
    return sample.write_sample(
        folder,
        sample.DEFAULT_START,
        sample.DEFAULT_END,
        sample.DEFAULT_RECORDS if records_per_session is None else records_per_session,
        sample.DEFAULT_SEED,
        progress=lambda _, done, total: advance(done, total),
    )


def audit_counts(settings: Settings) -> tuple[int, int]:
    """``(findings, errors)`` of the audit over the whole lake."""
    rows = list(audit(Workbench(settings)))
    return len(rows), sum(row.is_error for row in rows)


def summary(settings: Settings) -> tuple[list[str], list[list[object]]]:
    """Headings and rows of the closing table: what every table holds now."""
    lake = Workbench(settings).lake
    rows: list[list[object]] = []
    for table in tables(settings):
        manifests = [m for day in lake.dates(table.key) for m in lake.manifests(table.key, day).items()]
        rows.append(
            [
                table.key,
                len(lake.dates(table.key)),
                ", ".join(sorted({symbol for symbol, _ in manifests})),
                f"{sum(m.rows for _, m in manifests):,}",
                f"{sum(m.bytes for _, m in manifests) / 1e6:.1f}",
            ]
        )
    return ["table", "trade dates", "contracts", "rows", "MB"], rows


def write_pages(settings: Settings) -> list[Path]:
    """Write the pages of the last trade date's first contract, and the quality of all trade dates."""
    bench = Workbench(settings)
    day = published_dates(bench)[-1]
    symbol = sorted(bench.lake.manifests(BAR, day))[0]
    session, footprint, quality = (PAGES / f"{name}.html" for name in ("session", "footprint", "quality"))
    write_session_page(settings, day, symbol, session, simulated=True)
    write_footprint_page(settings, day, symbol, (), footprint, simulated=True)
    write_quality_page(settings, None, None, quality, simulated=True)
    return [session, footprint, quality]
