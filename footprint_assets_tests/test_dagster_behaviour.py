"""What we rely on in Dagster and its documentation does not promise, each with the decision that rests on it.

A new release that changes one of these fails here, not in somebody's lake.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest
from dagster._core.execution.asset_backfill import AssetBackfillData
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_shared.check import CheckError
from dagster_webserver.app import create_app_from_workspace_process_context

from footprint_assets.lake_asset import steps_of_run

JUNE = dg.DailyPartitionsDefinition("2025-06-02", end_date="2025-06-14", exclusions=["0 0 * * 6,0"])
KEY = dg.AssetKey("table")
CHECK = dg.AssetCheckKey(KEY, "contract")


class Memory(dg.IOManager):
    """Keeps what is published; refuses what it is told to."""

    def __init__(self, refuse: Exception | None = None) -> None:
        self.published: list[str] = []
        self.refuse = refuse

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        if self.refuse:
            raise self.refuse
        self.published.append(context.partition_key)

    def load_input(self, context: dg.InputContext) -> list[str]:
        return list(context.asset_partition_keys)


def contract(**partitions: Any) -> dg.AssetCheckSpec:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec("contract", asset=KEY, **partitions)


def table(verdict: bool, **partitions: Any) -> dg.AssetsDefinition:
    """An asset that validates before it hands its rows on, as lake assets do."""

    @dg.asset(
        name="table",
        partitions_def=JUNE,
        check_specs=[contract(**partitions)],
        output_required=False,
        dagster_type=dg.Any,
    )
    def step() -> Iterator[object]:
        result = dg.AssetCheckResult(passed=verdict, check_name="contract")
        if not verdict:
            yield result
            raise dg.Failure("broken", allow_retries=False)
        yield dg.MaterializeResult(value="rows", check_results=[result])

    return step


def run(
    asset: dg.AssetsDefinition, instance: dg.DagsterInstance, memory: Memory, key: str = "2025-06-04"
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [asset], partition_key=key, instance=instance, resources={"io_manager": memory}, raise_on_error=False
    )


def recorded(instance: dg.DagsterInstance) -> list[tuple[str, str | None]]:
    history = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10)
    return [(record.status.value, record.partition) for record in reversed(history)]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_a_check_spec_with_partitions_records_the_partition(instance: dg.DagsterInstance) -> None:
    """Decision: the contract check of a table is a partitioned check spec, so each trade date keeps its verdict."""
    for key in ("2025-06-04", "2025-06-05"):
        run(table(verdict=True, partitions_def=JUNE), instance, Memory(), key)

    assert recorded(instance) == [("SUCCEEDED", "2025-06-04"), ("SUCCEEDED", "2025-06-05")]


def test_a_check_spec_with_partitions_is_still_a_preview() -> None:
    """Decision: both homes of the preview silence this one warning. When this fails, take the silencing out."""
    with pytest.warns(dg.PreviewWarning):
        dg.AssetCheckSpec("contract", asset=KEY, partitions_def=JUNE)


def test_a_check_yielded_before_a_failure_is_recorded_and_nothing_is_materialized(
    instance: dg.DagsterInstance,
) -> None:
    """Decision: write, audit, publish happens inside one step: verdict first, then the failure."""
    memory = Memory()

    result = run(table(verdict=False, partitions_def=JUNE), instance, memory)

    assert not result.success
    assert recorded(instance) == [("FAILED", "2025-06-04")]
    assert memory.published == []
    assert instance.get_latest_materialization_event(KEY) is None


def test_a_check_in_the_materialize_result_belongs_to_that_materialization(
    instance: dg.DagsterInstance,
) -> None:
    """Decision: a passed verdict travels in the MaterializeResult, not before it."""
    result = run(table(verdict=True, partitions_def=JUNE), instance, Memory())

    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.target_materialization_data is not None
    assert evaluation.target_materialization_data.run_id == result.run_id


def test_a_passed_check_is_not_recorded_where_the_io_manager_refuses(instance: dg.DagsterInstance) -> None:
    """Decision: the lake publishes in handle_output; a refusal there must leave no verdict over rows nobody can read."""
    result = run(table(verdict=True, partitions_def=JUNE), instance, Memory(ValueError("refused")))

    assert not result.success
    assert recorded(instance) == [("PLANNED", "2025-06-04")]
    assert instance.get_latest_materialization_event(KEY) is None


def test_a_failure_raised_in_the_io_manager_keeps_its_words(instance: dg.DagsterInstance) -> None:
    """Decision: the IO manager turns a refusal of the lake into dg.Failure; any other error is wrapped and unreadable."""

    def said(error: Exception) -> str | None:
        result = run(table(verdict=True, partitions_def=JUNE), instance, Memory(error))
        (event,) = [event for event in result.all_events if event.is_step_failure]
        data = event.step_failure_data.user_failure_data
        return data.description if data else None

    assert said(dg.Failure("rows are missing", allow_retries=False)) == "rows are missing"
    assert said(ValueError("rows are missing")) is None


def test_a_failure_that_allows_no_retries_is_not_retried(instance: dg.DagsterInstance) -> None:
    """Decision: faulty data stays faulty; only what a second try can mend is tried twice."""
    tries = []

    def attempts(error: Exception) -> int:
        tries.clear()

        @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
        def flaky() -> None:
            tries.append(1)
            raise error

        dg.materialize([flaky], instance=instance, raise_on_error=False)
        return len(tries)

    assert attempts(dg.Failure("bad data", allow_retries=False)) == 1
    assert attempts(OSError("a busy disk")) == 3


def test_exclusions_leave_a_day_out_and_keep_the_windows_one_day_long() -> None:
    """Decision: weekends and closures are exclusions of a daily definition, not a cron schedule."""
    keys = JUNE.get_partition_keys(current_time=dt.datetime(2025, 7, 1, tzinfo=dt.UTC))

    assert keys == [f"2025-06-{day:02d}" for day in (2, 3, 4, 5, 6, 9, 10, 11, 12, 13)]
    window = JUNE.time_window_for_partition_key("2025-06-06")
    assert window.end - window.start == dt.timedelta(days=1)


def test_an_excluded_day_is_refused_as_a_partition(instance: dg.DagsterInstance) -> None:
    """Decision: a run for a Saturday or a holiday fails before it starts."""
    with pytest.raises(dg.DagsterUnknownPartitionError):
        run(table(verdict=True, partitions_def=JUNE), instance, Memory(), "2025-06-07")


def test_a_positive_end_offset_still_runs_past_the_day_it_means() -> None:
    """Decision: end_offset stays 0 (issue 33551). When this fails, today's partition may be offered before it ends."""
    with_offset = dg.DailyPartitionsDefinition("2025-06-02", end_offset=1, exclusions=["0 0 * * 6,0"])
    saturday = dt.datetime(2025, 6, 7, 12, tzinfo=dt.UTC)

    assert JUNE.get_partition_keys(current_time=saturday)[-1] == "2025-06-06"
    assert with_offset.get_partition_keys(current_time=saturday)[-1] == "2025-06-09"  # Monday, two days early


def test_a_look_back_counts_partitions_not_days() -> None:
    """Decision: three sessions back is a mapping by offsets; no calendar code of ours runs in it."""
    mapping = dg.TimeWindowPartitionMapping(start_offset=-3, end_offset=-1)

    def before(key: str) -> list[str]:
        return list(
            mapping.get_upstream_mapped_partitions_result_for_partitions(
                JUNE.subset_with_partition_keys([key]), JUNE, JUNE,
                current_time=dt.datetime(2025, 7, 1, tzinfo=dt.UTC),
            ).partitions_subset.get_partition_keys()
        )  # fmt: skip

    assert before("2025-06-09") == ["2025-06-04", "2025-06-05", "2025-06-06"]
    assert before("2025-06-03") == ["2025-06-02"]
    assert before("2025-06-02") == []


def test_an_asset_backfill_follows_look_backs_beyond_the_partitions_asked_for() -> None:
    """Decision: months are made by the job ml_monthly, not by materialising its assets; docs/learning.md says so."""
    months = dg.MonthlyPartitionsDefinition("2024-01-01", end_date="2025-01-01")
    before = dg.TimeWindowPartitionMapping(start_offset=-3, end_offset=-1)

    @dg.asset(partitions_def=months)
    def rows() -> None: ...

    @dg.asset(partitions_def=months, deps=[dg.AssetDep(rows, partition_mapping=before)])
    def model() -> None: ...

    targeted = AssetBackfillData.from_asset_partitions(
        asset_graph=dg.Definitions([rows, model]).resolve_asset_graph(),
        partition_names=["2024-01-01", "2024-02-01"],
        asset_selection=[rows.key, model.key],
        dynamic_partitions_store=cast("Any", None),
        backfill_start_timestamp=dt.datetime(2025, 7, 1, tzinfo=dt.UTC).timestamp(),
        all_partitions=False,
    ).target_subset

    def asked(asset: dg.AssetsDefinition) -> list[str]:
        return sorted(key[:7] for key in targeted.get_partitions_subset(asset.key).get_partition_keys())

    assert asked(rows) == ["2024-01", "2024-02"]
    assert asked(model) == ["2024-02", "2024-03", "2024-04", "2024-05"]


def test_execute_in_process_keeps_the_run_the_check_and_the_partition_in_the_instance(
    instance: dg.DagsterInstance,
) -> None:
    """Decision: the command line runs in process, and its runs are ordinary ones in the UI."""
    asset = table(verdict=True, partitions_def=JUNE)
    definitions = dg.Definitions(
        [asset], jobs=[dg.define_asset_job("daily", [asset])], resources={"io_manager": Memory()}
    )

    result = definitions.resolve_job_def("daily").execute_in_process(
        partition_key="2025-06-04", instance=instance
    )

    (stored,) = instance.get_runs()
    assert (stored.run_id, stored.job_name, stored.is_success) == (result.run_id, "daily", True)
    assert stored.tags["dagster/partition"] == "2025-06-04"
    assert instance.get_materialized_partitions(KEY) == {"2025-06-04"}


def test_the_check_of_a_step_cannot_be_left_out_of_a_job() -> None:
    """Decision: the first pass subtracts the cross-table checks by name; without_checks breaks the selection."""
    asset = table(verdict=True, partitions_def=JUNE)
    bare = dg.AssetSelection.assets(asset).without_checks()

    definitions = dg.Definitions([asset], jobs=[dg.define_asset_job("bare", bare)])

    with pytest.raises(dg.DagsterInvalidDefinitionError, match="Failed to resolve asset job bare"):
        definitions.resolve_job_def("bare")


def test_checks_alone_cannot_run_for_a_partition(instance: dg.DagsterInstance) -> None:
    """Decision: the audit is a job of its own over a range, not a selection of the partitioned checks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)

        @dg.asset_check(asset=KEY, partitions_def=JUNE)
        def alone() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=True)

    job = dg.define_asset_job("checks", dg.AssetSelection.checks(alone))
    definitions = dg.Definitions([table(verdict=True)], asset_checks=[alone], jobs=[job])

    with pytest.raises(CheckError, match="no PartitionsDefinition shared"):
        definitions.resolve_job_def("checks").execute_in_process(
            partition_key="2025-06-04", instance=instance
        )


def test_an_input_annotated_with_a_frame_says_so_to_the_io_manager(instance: dg.DagsterInstance) -> None:
    """Decision: the annotation chooses between a frame, a lazy frame and a handle; dg.Any chooses the handle."""
    seen: list[object] = []

    class Asking(Memory):
        def load_input(self, context: dg.InputContext) -> Any:
            seen.append(context.dagster_type.typing_type)
            return {}

    upstream = table(verdict=True, partitions_def=JUNE)

    @dg.asset(partitions_def=JUNE, ins={"rows": dg.AssetIn(KEY)})
    def typed(rows: dict) -> None:  # type: ignore[type-arg]
        pass

    @dg.asset(partitions_def=JUNE, ins={"rows": dg.AssetIn(KEY, dagster_type=dg.Any)})
    def untyped(rows: dict) -> None:  # type: ignore[type-arg]
        pass

    for asset in (typed, untyped):
        dg.materialize(
            [upstream, asset], partition_key="2025-06-04", selection=[asset], instance=instance,
            resources={"io_manager": Asking()},
        )  # fmt: skip

    assert seen == [dict, Any]


def test_an_event_listener_hears_of_an_event_after_it_is_stored(instance: dg.DagsterInstance) -> None:
    """Decision: the overhead of a run is measured by a listener; what storing costs counts as overhead."""
    stored: list[bool] = []

    def hear(entry: dg.EventLogEntry, _cursor: str = "") -> None:
        stored.append(any(known.timestamp == entry.timestamp for known in instance.all_logs(entry.run_id)))

    instance.add_event_listener("0" * 32, hear)
    asset = table(verdict=True, partitions_def=JUNE)
    definitions = dg.Definitions(
        [asset], jobs=[dg.define_asset_job("daily", [asset])], resources={"io_manager": Memory()}
    )
    definitions.resolve_job_def("daily").execute_in_process(
        partition_key="2025-06-04", instance=instance, run_id="0" * 32
    )

    assert len(stored) > 5
    assert all(stored)


def test_checks_and_materialisations_are_numbered_in_one_sequence(instance: dg.DagsterInstance) -> None:
    """Decision: a trade date is done where its rules were judged after its tables; numbers say which came last."""

    def last() -> tuple[int, int]:
        storage = instance.event_log_storage
        (info,) = storage.get_asset_check_partition_info([CHECK], partition_keys=["2025-06-04"])
        made = storage.get_latest_storage_id_by_partition(KEY, dg.DagsterEventType.ASSET_MATERIALIZATION)
        return info.latest_check_event_storage_id, made["2025-06-04"]

    run(table(verdict=True, partitions_def=JUNE), instance, Memory())
    judged, made = last()
    assert judged > made
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition="2025-06-04"))
    assert last() == (judged, last()[1])
    assert last()[1] > judged


def test_a_retry_policy_tries_again_after_an_interrupt(instance: dg.DagsterInstance) -> None:
    """Decision: no asset has a retry policy; a step asks for another try itself, and Ctrl-C stays Ctrl-C."""
    tries: list[int] = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def interrupted() -> None:
        tries.append(1)
        raise KeyboardInterrupt

    dg.materialize([interrupted], instance=instance, raise_on_error=False)

    assert len(tries) == 2


def test_pools_of_run_granularity_hold_up_no_run_in_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decision: pools are of run granularity: the queue keeps them, and the command line's --workers is its own limit."""
    (tmp_path / "dagster.yaml").write_text(
        "concurrency: {pools: {default_limit: 1, granularity: run}}\ntelemetry: {enabled: false}\n"
    )
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))

    @dg.asset(pool="order_book")
    def heavy() -> None:
        storage = instance.event_log_storage
        assert storage.get_concurrency_info("order_book").active_slot_count == 0

    with dg.DagsterInstance.get() as instance:
        instance.event_log_storage.set_concurrency_slots("order_book", 0)
        assert dg.materialize([heavy], instance=instance).success


@pytest.mark.filterwarnings("ignore:Using `httpx`")
def test_the_webserver_alone_answers_what_the_guard_refuses(tmp_path: Path) -> None:
    """``footprint_assets.webserver`` puts the webserver together as its command line does, and the guard before it."""
    from starlette.testclient import TestClient  # it warns as it is imported

    with (
        dg.instance_for_test(temp_dir=str(tmp_path)) as instance,
        WorkspaceProcessContext(instance, workspace_load_target=EmptyWorkspaceTarget()) as context,
    ):
        web = TestClient(create_app_from_workspace_process_context(context))
        strange = {"Host": "evil.example", "Origin": "http://evil.example"}
        mutation = 'mutation { logTelemetry(action: "a", clientTime: "0", clientId: "", metadata: "{}") { __typename } }'
        assert web.get("/graphql", params={"query": mutation}, headers=strange).status_code == 200
        assert web.post("/graphql", params={"query": mutation}, headers=strange).status_code == 200
        text = {"Content-Type": "application/graphql"} | strange
        assert web.post("/graphql", content=mutation, headers=text).status_code == 200
        assert web.post("/report_asset_materialization/planted", headers=strange).status_code == 200
        assert dg.AssetKey("planted") in instance.all_asset_keys()
        with web.websocket_connect("/graphql", ["graphql-ws"], headers=strange):
            pass


@pytest.mark.parametrize("way", ["whole job", "selection of the run", "job of a selection"])
def test_a_step_sees_which_steps_its_run_executes(instance: dg.DagsterInstance, way: str) -> None:
    """Decision: passes are computed before their step begins, so only those the run will ask for may be."""
    seen: list[set[str]] = []

    @dg.asset
    def first(context):  # type: ignore[no-untyped-def]  # Dagster refuses an annotation that is a string
        seen.append(steps_of_run(context))

    @dg.asset(deps=[first])
    def second() -> None: ...

    chosen = dg.define_asset_job("chosen", [first])
    definitions = dg.Definitions([first, second], jobs=[chosen])
    job = definitions.resolve_implicit_global_asset_job_def()
    if way == "whole job":
        job.execute_in_process(instance=instance)
    elif way == "selection of the run":
        job.execute_in_process(instance=instance, asset_selection=[first.key])
    else:
        definitions.resolve_job_def("chosen").execute_in_process(instance=instance)

    assert seen == [{"first", "second"} if way == "whole job" else {"first"}]
