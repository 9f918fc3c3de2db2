"""The jobs: one trade date from DBN to gold, the two passes of a parallel run, and the audit."""

import datetime as dt
from typing import Any

import dagster as dg

from footprint_assets.audit import audit
from footprint_assets.checks import CHECKS
from footprint_assets.lake_asset import WORKBENCH
from footprint_assets.tables import LakeTable

LAKE_DAILY = "lake_daily"
LAKE_FIRST_PASS = "lake_first_pass"  # noqa: S105 - a job, not a secret
LAKE_SECOND_PASS = "lake_second_pass"  # noqa: S105 - a job, not a secret
LAKE_AUDIT = "lake_audit"


def second_pass(tables: tuple[LakeTable, ...]) -> frozenset[str]:
    """The tables that look back to other trade dates, and everything made from them."""
    found: set[str] = set()
    for table in tables:
        if table.lookback or found.intersection(table.inputs.values()):
            found.add(table.key)
    return frozenset(found)


def _assets(keys: list[str]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(dg.AssetKey(key.split(".")) for key in keys))


class AuditConfig(dg.Config):
    """The range of the audit; every published trade date where empty."""

    start: str = ""
    end: str = ""


@dg.op(
    required_resource_keys={WORKBENCH}, description="Run every cross-table check; fail on an ERROR finding."
)
def audit_lake(context: dg.OpExecutionContext, config: AuditConfig) -> None:
    """Run the audit and show its failures as a table."""
    rows = list(
        audit(
            context.resources.workbench,
            dt.date.fromisoformat(config.start) if config.start else None,
            dt.date.fromisoformat(config.end) if config.end else None,
        )
    )
    failed = [row for row in rows if not row.finding.passed]
    lines = ["| trade date | check | contract | severity | facts |", "|---|---|---|---|---|"] + [
        f"| {row.trade_date} | {row.check.name} | {row.finding.symbol} | {row.check.severity} | {dict(row.finding.facts)} |"
        for row in failed
    ]
    metadata: dict[str, int | dg.MetadataValue] = {
        "findings": len(rows),
        "failed": len(failed),
        "table": dg.MetadataValue.md("\n".join(lines)),
    }
    context.add_output_metadata(metadata)
    if any(row.is_error for row in rows):
        raise dg.Failure(
            f"{sum(row.is_error for row in rows)} findings failed the audit.", metadata, allow_retries=False
        )


@dg.job(name=LAKE_AUDIT, description="The cross-table checks alone, over a range of trade dates.")
def lake_audit() -> None:
    """The audit as a job of its own."""
    audit_lake()


def build_jobs(tables: tuple[LakeTable, ...]) -> list[Any]:
    """Every job of the project.

    Args:
        tables: The lake's tables, each after its inputs.
    """
    late = second_pass(tables)
    early_assets = _assets([table.key for table in tables if table.key not in late])
    late_assets = _assets([table.key for table in tables if table.key in late])
    # An asset's contract check is part of its step and cannot be left out; the cross-table checks can.
    cross_table = dg.AssetSelection.checks(
        *(dg.AssetCheckKey(dg.AssetKey(check.table.split(".")), check.name) for check in CHECKS)
    )
    return [
        dg.define_asset_job(
            LAKE_DAILY,
            early_assets | late_assets | cross_table,
            description="One trade date: DBN to gold, every check.",
        ),
        dg.define_asset_job(
            LAKE_FIRST_PASS,
            early_assets - cross_table,
            description="The tables of one trade date that need no other date; dates in any order.",
        ),
        dg.define_asset_job(
            LAKE_SECOND_PASS,
            late_assets | cross_table,
            description="The look-back tables of one trade date and every check, after the first pass of all dates.",
        ),
        lake_audit,
    ]
