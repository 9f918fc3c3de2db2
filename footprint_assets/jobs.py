"""The jobs: one trade date from DBN to gold, the passes of a parallel run, the audit, and what is learned of a month."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import dagster as dg

from footprint_assets.checks import CHECKS
from footprint_assets.lake_asset import WORKBENCH
from footprint_assets.months import MonthTable
from footprint_assets.tables import LakeTable
from footprint_assets.tracked_runs import TRACKED_RUNS
from footprint_assets.validation import as_markdown, validate

LAKE_DAILY = "lake_daily"
LAKE_PASSES = ("lake_first_pass", "lake_second_pass", "lake_third_pass")
"""A pass over many dates at once: its tables look back only to tables of the passes before it."""
LAKE_AUDIT = "lake_audit"
ML_MONTHLY = "ml_monthly"
IN_ORDER_TAG = "footprint/in_order"
"""Run tag of the runs that wait for each other (`dagster.yaml`): they look back on what came before."""


def pass_of(tables: Iterable[LakeTable]) -> dict[str, int]:
    """How many look-backs lie between each table and the data of its own trade date alone.

    Args:
        tables: Lake tables, each after its inputs; what is not among them counts as of the first pass.

    Returns:
        Dataset key to index in ``LAKE_PASSES``.
    """
    found: dict[str, int] = {}
    for table in tables:
        same_date = (found.get(key, 0) for key in table.inputs.values())
        earlier_dates = (found.get(key, 0) + 1 for key in table.lookback.values())
        found[table.key] = max([0, *same_date, *earlier_dates])
    return found


def _assets(keys: list[str]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(dg.AssetKey(key.split(".")) for key in keys))


class AuditConfig(dg.Config):
    """The range of the audit, every published trade date where empty; and whether today's due date is asked for."""

    start: str = ""
    end: str = ""
    fresh: bool = False


@dg.op(required_resource_keys={WORKBENCH}, description="Run every check; fail on an ERROR finding.")
def audit_lake(context: dg.OpExecutionContext, config: AuditConfig) -> None:
    """Run the audit and show its failures as a table, and the validation report."""
    validation = validate(
        context.resources.workbench,
        dt.date.fromisoformat(config.start) if config.start else None,
        dt.date.fromisoformat(config.end) if config.end else None,
        dt.datetime.now(dt.UTC) if config.fresh else None,
    )
    rows, failed = validation.rows, validation.failures
    lines = ["| trade date | check | contract | severity | facts |", "|---|---|---|---|---|"] + [
        f"| {row.trade_date} | {row.check.name} | {row.finding.symbol} | {row.severity} | {row.finding.words} |"
        for row in failed
    ]
    metadata: dict[str, int | dg.MetadataValue] = {
        "findings": len(rows),
        "failed": len(failed),
        "table": dg.MetadataValue.md("\n".join(lines)),
        "report": dg.MetadataValue.md(as_markdown(validation, accounts=False)),
    }
    context.add_output_metadata(metadata)
    if any(row.is_error for row in rows):
        raise dg.Failure(
            f"{sum(row.is_error for row in rows)} findings failed the audit.", metadata, allow_retries=False
        )


@dg.job(name=LAKE_AUDIT, description="The checks alone, over a range of trade dates.")
def lake_audit() -> None:
    """The audit as a job of its own."""
    audit_lake()


def build_jobs(tables: tuple[LakeTable, ...]) -> list[Any]:
    """Every job of the project.

    Args:
        tables: The lake's tables, each after its inputs.
    """
    places = pass_of(tables)
    by_pass = [
        _assets([key for key, place in places.items() if place == number])
        for number in range(len(LAKE_PASSES))
    ]
    # An asset's contract check is part of its step and cannot be left out; the cross-table checks can.
    cross_table = dg.AssetSelection.checks(
        *(dg.AssetCheckKey(dg.AssetKey(check.table.split(".")), check.name) for check in CHECKS)
    )
    *earlier, last = zip(LAKE_PASSES, by_pass, strict=True)
    return [
        dg.define_asset_job(
            LAKE_DAILY,
            dg.AssetSelection.assets(*(dg.AssetKey(key.split(".")) for key in places)) | cross_table,
            description="One trade date: DBN to gold, every check.",
        ),
        *(
            dg.define_asset_job(
                name,
                assets - cross_table,
                description="Tables of one trade date that look back to earlier passes only; dates in any order.",
            )
            for name, assets in earlier
        ),
        dg.define_asset_job(
            last[0],
            last[1] | cross_table,
            description="The last look-back of one trade date and every check, after the other passes of all dates.",
        ),
        lake_audit,
    ]


def build_month_job(tables: Iterable[MonthTable]) -> Any:
    """The job of a month: what is learned of the months before it, and how it fares in this one.

    Args:
        tables: The tables of months.
    """
    return dg.define_asset_job(
        ML_MONTHLY,
        _assets([*(table.key for table in tables), TRACKED_RUNS]),
        description="One month: models of the months before it, judged on this one. Months one after the other are the "
        "walk-forward evaluation.",
        # A month begun before the one before it is published would be learned without it, and be stale.
        tags={IN_ORDER_TAG: "months"},
    )
