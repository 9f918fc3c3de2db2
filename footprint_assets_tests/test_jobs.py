"""The jobs: a trade date from files to gold, the two passes that make the same lake, and the audit's verdict."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from footprint_assets.build import build_definitions
from footprint_assets.checks import CHECKS
from footprint_assets.jobs import LAKE_AUDIT, LAKE_DAILY, LAKE_PASSES, pass_of
from footprint_assets.lake import Lake
from footprint_assets.settings import Settings
from footprint_assets_tests.runs import failure_of, materialized
from footprint_assets_tests.small_market import (
    DAY,
    KEYS,
    NEXT,
    TABLES,
    build_lake,
    files_of,
    republish,
    rows,
    settings_of,
    write_drop,
)

TRADES_CLEAN = "silver.future.trades_clean"


def execute(
    settings: Settings, job: str, day: dt.date | None = None, config: dict[str, Any] | None = None
) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return (
            build_definitions(settings)
            .resolve_job_def(job)
            .execute_in_process(
                partition_key=day.isoformat() if day else None,
                run_config={"ops": {"audit_lake": {"config": config}}} if config else None,
                instance=instance,
                raise_on_error=False,
            )
        )


def parquet(settings: Settings) -> dict[str, str]:
    found = files_of(Lake(settings.lake_root))
    return {name: digest for name, digest in found.items() if name.endswith(".parquet")}


def test_the_daily_job_publishes_every_table_and_records_every_check_for_the_partition(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path)
    write_drop(settings.dbn_dir)

    result = execute(settings, LAKE_DAILY, DAY)

    assert result.success
    assert set(materialized(result)) == set(KEYS)
    evaluations = result.get_asset_check_evaluations()
    assert sorted(e.check_name for e in evaluations) == sorted(
        [check.name for check in CHECKS] + ["contract"] * len(TABLES)
    )
    assert {e.partition for e in evaluations} == {"2025-06-04"}
    assert all(e.passed for e in evaluations)


@dataclass(frozen=True)
class ByPass:
    """Two trade dates made pass by pass, the later date first: the lake, and each run by job and date."""

    settings: Settings
    runs: dict[tuple[str, dt.date], dg.ExecuteInProcessResult]


@pytest.fixture(scope="module")
def by_pass(tmp_path_factory: pytest.TempPathFactory) -> ByPass:
    settings = settings_of(tmp_path_factory.mktemp("passes"))
    write_drop(settings.dbn_dir, (DAY, NEXT))
    return ByPass(
        settings, {(job, day): execute(settings, job, day) for job in LAKE_PASSES for day in (NEXT, DAY)}
    )


@pytest.mark.slow
def test_passes_over_the_dates_in_any_order_make_the_lake_of_daily_runs(
    by_pass: ByPass, built_market: Settings
) -> None:
    assert all(run.success for run in by_pass.runs.values())
    assert parquet(by_pass.settings) == parquet(built_market)


def test_an_early_pass_runs_no_check_over_tables_that_are_not_there_yet(by_pass: ByPass) -> None:
    made: set[str] = set()
    for number, job in enumerate(LAKE_PASSES[:-1]):
        result = by_pass.runs[job, DAY]

        assert {e.check_name for e in result.get_asset_check_evaluations()} == {"contract"}
        made |= set(materialized(result))
        assert made == {key for key, place in pass_of(TABLES).items() if place <= number}


def test_a_look_back_reads_tables_of_an_earlier_pass_only() -> None:
    places = pass_of(TABLES)
    assert places["silver.future.session_summary"] == 0
    assert places["silver.future.prior_sessions"] == 1
    assert set(places.values()) == set(range(len(LAKE_PASSES)))
    for table in TABLES:
        assert all(places[key] < places[table.key] for key in table.lookback.values())
        assert all(places[key] <= places[table.key] for key in table.inputs.values())


def test_a_failed_cross_table_check_is_recorded_with_its_numbers(own_market: Settings) -> None:
    lake = Lake(own_market.lake_root)
    key = "silver.future.ohlcv"
    frames = {s: f.with_columns(pl.col("volume") + 1) for s, f in rows(lake, key).items()}
    republish(lake, key, DAY, frames)
    degraded = '[{"date": "2025-06-04", "condition": "degraded"}]'
    (own_market.dbn_dir / "condition.json").write_text(degraded, encoding="utf-8")

    result = execute(own_market, LAKE_DAILY, DAY)

    failed = {e.check_name: e for e in result.get_asset_check_evaluations() if not e.passed}
    evaluation = failed["volume_conserved"]
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    assert evaluation.partition == "2025-06-04"
    assert evaluation.metadata["failed"].value == 2
    assert evaluation.metadata["findings"].value[0]["symbol"] == "ESM5"
    assert evaluation.metadata["remedy"].value == "footprint-assets run --date 2025-06-04"
    assert "silver.future.ohlcv[1s]" in evaluation.description
    warned = failed["files_as_recorded"]
    assert warned.severity == dg.AssetCheckSeverity.WARN, (
        "a rule that can fail, with a breach that only warns"
    )
    assert warned.metadata["findings"].value[0]["verdict"] == "warn"


def test_the_audit_of_an_honest_lake_passes(built_market: Settings) -> None:
    assert execute(built_market, LAKE_AUDIT).success


def test_the_audit_fails_on_an_error_and_shows_it_as_a_table(own_market: Settings) -> None:
    lake = Lake(own_market.lake_root)
    republish(lake, TRADES_CLEAN, DAY, rows(lake, TRADES_CLEAN), counted=False)

    result = execute(own_market, LAKE_AUDIT)

    failure = failure_of(result).user_failure_data
    assert not result.success
    assert "findings failed the audit" in failure.description
    shown = failure.metadata["table"].value
    assert "| 2025-06-04 | rows_conserved | ESM5 | ERROR |" in shown
    assert "rows_out 120" in shown
    assert "| 2025-06-05 | rows_conserved |" not in shown
    assert failure.metadata["report"].value.startswith("# Validation of 2025-06-04 to 2025-06-05")


def test_the_audit_looks_at_the_range_it_is_given(own_market: Settings) -> None:
    lake = Lake(own_market.lake_root)
    republish(lake, TRADES_CLEAN, DAY, rows(lake, TRADES_CLEAN), counted=False)

    assert execute(own_market, LAKE_AUDIT, config={"start": "2025-06-05"}).success
    assert not execute(own_market, LAKE_AUDIT, config={"end": "2025-06-04"}).success


def test_the_audit_passes_with_a_warning(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    write_drop(settings.dbn_dir, schemas=("trades", "mbp-10"))
    build_lake(settings, DAY)

    assert execute(settings, LAKE_AUDIT).success
