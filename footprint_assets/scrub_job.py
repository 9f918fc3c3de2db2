"""The job that compares every byte of the lake with the hashes it was published with."""

import datetime as dt

import dagster as dg

from footprint_assets.lake import Lake
from footprint_assets.lake.scrub import Finding
from footprint_assets.lake_asset import WORKBENCH

LAKE_SCRUB = "lake_scrub"
REMEDY = (
    "Remedy: remove the partitions named below and run their trade dates again (footprint-assets run --date), of layer ml "
    "their months (footprint-assets learn)."
)
SHOWN = 100
"""Most damaged files the table of a failure names."""


class ScrubConfig(dg.Config):
    """The range of the scrub; every published trade date where empty."""

    start: str = ""
    end: str = ""


@dg.op(
    required_resource_keys={WORKBENCH},
    description="Hash every published file; fail where one is not what was published.",
)
def scrub_lake(context: dg.OpExecutionContext, config: ScrubConfig) -> None:
    """Scrub table by table, and show the damaged files with what mends them."""
    lake: Lake = context.resources.workbench.lake
    start, end = (dt.date.fromisoformat(text) if text else None for text in (config.start, config.end))
    damaged: list[Finding] = []
    dates = size = 0
    for table in lake.tables():
        found = list(lake.scrub([table], start, end))
        days = [day for day in lake.dates(table) if (start or day) <= day <= (end or day)]
        files = [
            entry
            for day in days
            if not any(finding.dt == day for finding in found)
            for manifest in lake.manifests(table, day).values()
            for entry in manifest.all_files
        ]
        dates, size = dates + len(days), size + sum(entry.bytes for entry in files)
        damaged += found
        context.log.info(f"{table}: {len(days)} trade dates, {len(found)} damaged files")
    metadata: dict[str, int | dg.MetadataValue] = {
        "tables": len(lake.tables()),
        "trade_dates": dates,
        "bytes": size,
        "damaged_files": len(damaged),
        "damaged": dg.MetadataValue.md(_table(lake, damaged)),
    }
    context.add_output_metadata(metadata)
    if damaged:
        named = ", ".join(sorted({str(finding.dt) for finding in damaged}))
        raise dg.Failure(
            f"{len(damaged)} files of {named} are not what was published. {REMEDY}",
            metadata,
            allow_retries=False,
        )


def _table(lake: Lake, damaged: list[Finding]) -> str:
    """The damaged files as Markdown."""
    rows = [
        f"| {lake.layout.partition(f.table, f.dt, f.symbol).relative_to(lake.root)} | {f.file} "
        f"| {f.expected[:16]} | {f.actual[:16]} |"
        for f in damaged[:SHOWN]
    ]
    return "\n".join(["| partition | file | published as | found |", "|---|---|---|---|", *rows])


@dg.job(name=LAKE_SCRUB, description="Every byte of the lake compared with its manifests.")
def lake_scrub() -> None:
    """The scrub as a job of its own."""
    scrub_lake()
