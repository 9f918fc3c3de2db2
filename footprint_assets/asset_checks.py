"""The cross-table checks as Dagster asset checks, one partition record each."""

import datetime as dt
import warnings

import dagster as dg

from footprint_assets import contracts
from footprint_assets.background import aside
from footprint_assets.checks import Check, Finding
from footprint_assets.lake_asset import WORKBENCH
from footprint_assets.partitions import LAKE_PARTITIONS, MONTH_PARTITIONS

SHOWN_FINDINGS = 20


def build_asset_check(check: Check) -> dg.AssetChecksDefinition:
    """Make the partitioned asset check of a cross-table rule.

    Args:
        check: The rule.

    Returns:
        A check that runs after every table it reads, with one finding a contract in its metadata.
    """
    asset_key = dg.AssetKey(check.table.split("."))

    with warnings.catch_warnings():
        # Partitioned checks are a preview; test_dagster_behaviour pins what we rely on.
        warnings.simplefilter("ignore", dg.PreviewWarning)

        @dg.asset_check(
            name=check.name,
            asset=asset_key,
            description=check.rule,
            additional_deps=[key.split(".") for key in check.reads if key != check.table],
            required_resource_keys={WORKBENCH},
            partitions_def=MONTH_PARTITIONS if contracts.is_monthly(check.table) else LAKE_PARTITIONS,
        )
        def run(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            day = dt.date.fromisoformat(context.partition_key)
            findings = aside(lambda: check.function(context.resources.workbench, day))
            failed = [finding for finding in findings if not finding.passed]
            return dg.AssetCheckResult(
                passed=not failed,
                severity=_severity(check, failed),
                description="; ".join(f"{f.symbol}: {f.words}" for f in failed[:SHOWN_FINDINGS])
                or check.rule,
                metadata={
                    "findings": dg.JsonMetadataValue(
                        [
                            {"symbol": f.symbol, "verdict": check.verdict_of(f), **_plain(f.facts)}
                            for f in [*failed, *(f for f in findings if f.passed)][:SHOWN_FINDINGS]
                        ]
                    ),
                    "failed": len(failed),
                    "skipped": sum(bool(f.skipped) for f in findings),
                    **({"remedy": check.remedy_of(day)} if failed else {}),
                },
            )

    return run


def _severity(check: Check, failed: list[Finding]) -> dg.AssetCheckSeverity:
    """How bad the worst of the failures is; what the check's can be where there is none."""
    found = {check.severity_of(finding) for finding in failed} or {check.severity}
    return dg.AssetCheckSeverity.ERROR if "ERROR" in found else dg.AssetCheckSeverity.WARN


def _plain(facts: object) -> dict[str, object]:
    """Facts as JSON can hold them."""
    import json

    plain: dict[str, object] = json.loads(json.dumps(facts, default=str))
    return plain
