"""The states of checks are those Dagster works out itself, partition by partition."""

import importlib.resources
import warnings

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus as Status
from dagster._core.storage.asset_check_state import AssetCheckState, bulk_update_asset_check_state

from footprint_assets import check_states as module
from footprint_assets.check_states import check_states
from footprint_assets.partitions import LAKE_PARTITIONS

PASSED, FAILED, STALE, BROKEN, PLANNED = (
    "2025-06-03",
    "2025-06-04",
    "2025-06-05",
    "2025-06-06",
    "2025-06-09",
)
CHECK = dg.AssetCheckKey(dg.AssetKey("table"), "rule")
NEVER = dg.AssetCheckKey(dg.AssetKey("table"), "never")


@dg.asset(partitions_def=LAKE_PARTITIONS)
def table() -> None:
    """A table of every trade date."""


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.PreviewWarning)

    @dg.asset_check(asset=table, partitions_def=LAKE_PARTITIONS)
    def rule(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        """Passes, fails, or breaks, by the trade date."""
        if context.partition_key == BROKEN:
            raise RuntimeError("no answer")
        return dg.AssetCheckResult(passed=context.partition_key != FAILED)


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    shipped = importlib.resources.files("footprint_assets").joinpath("dagster.yaml").read_text()
    (home / "dagster.yaml").write_text(shipped)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.get() as made:
            job = dg.Definitions([table], asset_checks=[rule], jobs=[dg.define_asset_job("both")])
            for day in (PASSED, FAILED, STALE, BROKEN):
                job.resolve_job_def("both").execute_in_process(
                    instance=made, partition_key=day, raise_on_error=False
                )
            dg.materialize([table], instance=made, partition_key=STALE)
            made.create_run_for_job(
                job.resolve_job_def("both"),
                tags={"dagster/partition": PLANNED},
                status=dg.DagsterRunStatus.STARTED,
            )
            yield made


def test_states_are_those_of_dagster(instance):
    pairs = [(CHECK, LAKE_PARTITIONS), (NEVER, LAKE_PARTITIONS)]
    empty = {key: AssetCheckState.empty() for key, _ in pairs}
    expected = bulk_update_asset_check_state(instance, pairs, initial_states=empty)
    found = check_states(instance, pairs)

    assert {
        key: (state.latest_storage_id, state.in_progress_runs, _partitions(state))
        for key, state in found.items()
    } == {
        key: (state.latest_storage_id, state.in_progress_runs, _partitions(state))
        for key, state in expected.items()
    }
    by_status = _partitions(found[CHECK])
    assert by_status[Status.SUCCEEDED] == {PASSED}
    assert by_status[Status.FAILED] == {FAILED}
    assert by_status[Status.EXECUTION_FAILED] == {BROKEN}
    assert not any(STALE in partitions for partitions in by_status.values())


def test_the_storage_answers_with_them(instance, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "footprint_assets.event_log.check_states", lambda *arguments: asked.append(arguments) or {}
    )
    instance.event_log_storage.get_asset_check_state([(CHECK, LAKE_PARTITIONS)])
    assert asked == [(instance, [(CHECK, LAKE_PARTITIONS)])]


def test_checks_with_the_same_partitions_share_them():
    keys = frozenset(LAKE_PARTITIONS.get_partition_keys()[:20])
    assert module._subset(LAKE_PARTITIONS, keys) is module._subset(LAKE_PARTITIONS, frozenset(keys))
    assert set(module._subset(LAKE_PARTITIONS, keys | {"2025-06-07"}).get_partition_keys()) == keys


def _partitions(state):
    return {
        status: set(subset.value.get_partition_keys())
        for status, subset in state.subsets.items()
        if subset.size
    }
