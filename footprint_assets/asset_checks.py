"""The cross-table checks as Dagster asset checks, one partition record each."""

import datetime as dt
import warnings
from collections.abc import Iterable

import dagster as dg

from footprint_assets.checks import Check
from footprint_assets.lake_asset import WORKBENCH
from footprint_assets.partitions import LAKE_PARTITIONS

SHOWN_FINDINGS = 20


def build_asset_check(check: Check, levels: Iterable[str]) -> dg.AssetChecksDefinition:
    """Make the partitioned asset check of a cross-table rule.

    Args:
        check: The rule.
        levels: Names of the levels that have tables.

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
            additional_deps=[key.split(".") for key in check.tables(levels) if key != check.table],
            required_resource_keys={WORKBENCH},
            partitions_def=LAKE_PARTITIONS,
        )
        def run(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            day = dt.date.fromisoformat(context.partition_key)
            findings = check.function(context.resources.workbench, day)
            failed = [finding for finding in findings if not finding.passed]
            return dg.AssetCheckResult(
                passed=not failed,
                severity=dg.AssetCheckSeverity[check.severity],
                description="; ".join(f"{f.symbol}: {dict(f.facts)}" for f in failed[:SHOWN_FINDINGS])
                or check.rule,
                metadata={
                    "findings": dg.JsonMetadataValue(
                        [
                            {"symbol": f.symbol, "passed": f.passed, **_plain(f.facts)}
                            for f in findings[:SHOWN_FINDINGS]
                        ]
                    ),
                    "failed": len(failed),
                },
            )

    return run


def _plain(facts: object) -> dict[str, object]:
    """Facts as JSON can hold them."""
    import json

    plain: dict[str, object] = json.loads(json.dumps(facts, default=str))
    return plain
