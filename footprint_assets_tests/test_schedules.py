"""The schedules: the trade date of the day before where it can be run, the reason where not, and the weekly scrub."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import CronFreshnessPolicy
from dagster._utils.schedules import schedule_execution_time_iterator

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.lake import Lake, Lineage
from footprint_assets.lake_asset import WORKBENCH
from footprint_assets.months import sessions_of
from footprint_assets.resources import Workbench
from footprint_assets.schedules import build_schedules, state_of
from footprint_assets.settings import AutomationSettings, QualitySettings, Settings
from footprint_assets_tests.drop_folder import EVE, deliver, graph
from footprint_assets_tests.small_market import DAY, NEXT, settings_of

MORNING = dt.time(6, 30)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path_factory.mktemp("dagster_home"))) as instance:
        yield instance


def tick(
    settings: Settings, instance: dg.DagsterInstance, morning: dt.date, name: str = "lake_daily_schedule"
) -> str:
    """What a schedule does on a morning: the partition it runs, or why it runs none."""
    (schedule,) = (one for one in build_schedules(settings.automation) if one.name == name)
    at = dt.datetime.combine(morning, MORNING, cme.NEW_YORK)
    context = dg.build_schedule_context(
        instance,
        scheduled_execution_time=at,
        resources={WORKBENCH: Workbench(settings)},
        repository_def=graph().get_repository_def(),
    )
    data = schedule.evaluate_tick(context)
    if data.skip_message:
        return data.skip_message
    (request,) = data.run_requests or []
    return str(request.partition_key)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(tmp_path)


def test_the_morning_after_a_trade_date_runs_it(settings: Settings, instance: dg.DagsterInstance) -> None:
    deliver(settings.dbn_dir, EVE, DAY)

    assert tick(settings, instance, NEXT) == "2025-06-04"


def test_saturday_runs_friday(settings: Settings, instance: dg.DagsterInstance) -> None:
    friday = dt.date(2025, 6, 6)
    deliver(settings.dbn_dir, NEXT, friday)

    assert tick(settings, instance, friday + dt.timedelta(1)) == "2025-06-06"


@pytest.mark.parametrize(
    ("closed", "name"),
    [(dt.date(2025, 4, 18), "Good Friday"), (dt.date(2025, 12, 25), "Christmas Day")],
)
def test_a_closure_is_skipped_with_its_name(
    settings: Settings, instance: dg.DagsterInstance, closed: dt.date, name: str
) -> None:
    deliver(settings.dbn_dir, closed - dt.timedelta(1), closed)

    assert tick(settings, instance, closed + dt.timedelta(1)) == f"CME closed: {name}"


def test_a_date_whose_files_have_not_arrived_is_skipped(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert "No trades or mbp-10 file of 2025-06-04 has arrived" in tick(settings, instance, NEXT)
    deliver(settings.dbn_dir, EVE)  # holds the evening of 2025-06-04
    deliver(settings.dbn_dir, DAY, schema="definition")
    assert "No trades or mbp-10 file of 2025-06-04 has arrived" in tick(settings, instance, NEXT)


def test_a_date_with_a_part_of_its_files_is_skipped_with_the_hours(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    deliver(settings.dbn_dir, DAY)

    assert tick(settings, instance, NEXT) == (
        "The files of 2025-06-04 are not complete: no file holds 2025-06-03 22:00 to 2025-06-04 00:00 UTC."
    )


def test_a_date_with_a_file_that_cannot_be_opened_is_skipped_with_its_refusal(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    deliver(settings.dbn_dir, EVE, DAY)
    (book,) = deliver(settings.dbn_dir, DAY, schema="mbp-10")
    book.write_bytes(book.read_bytes()[:30])

    said = tick(settings, instance, NEXT)
    assert said.startswith("A file of 2025-06-04 cannot be opened: the file ends inside a zstd frame")
    assert "Remedy: " in said


def test_a_date_that_is_current_is_skipped(built_market: Settings, instance: dg.DagsterInstance) -> None:
    assert tick(built_market, instance, NEXT) == "Every table of 2025-06-04 is current."


def test_a_date_that_is_stale_is_run_again(own_market: Settings, instance: dg.DagsterInstance) -> None:
    (path,) = own_market.dbn_dir.glob("*20250604.statistics*")
    path.unlink()

    assert tick(own_market, instance, NEXT) == "2025-06-04"


def test_the_daily_schedule_ticks_on_the_mornings_after_weekdays_in_new_york_time() -> None:
    daily, scrub, _ = build_schedules(AutomationSettings())
    start = dt.datetime(2025, 3, 6, tzinfo=cme.NEW_YORK)  # clocks go forward on the 9th

    def first(schedule: dg.ScheduleDefinition, count: int) -> list[str]:
        crons = schedule_execution_time_iterator(
            start.timestamp(), str(schedule.cron_schedule), schedule.execution_timezone
        )
        return [f"{tick.astimezone(cme.NEW_YORK):%a %d %H:%M}" for tick in islice(crons, count)]

    assert first(daily, 4) == ["Thu 06 06:30", "Fri 07 06:30", "Sat 08 06:30", "Tue 11 06:30"]
    assert first(scrub, 2) == ["Sat 08 12:00", "Sat 15 12:00"]


def test_the_weekly_scrub_requests_its_job(instance: dg.DagsterInstance) -> None:
    scrub = build_schedules(AutomationSettings())[1]
    data = scrub.evaluate_tick(
        dg.build_schedule_context(
            instance, dt.datetime.now(dt.UTC), repository_def=graph().get_repository_def()
        )
    )

    assert len(data.run_requests or []) == 1
    assert scrub.job_name == "lake_scrub"


def test_the_schedules_are_off_until_the_settings_say_otherwise() -> None:
    assert {s.default_status for s in build_schedules(AutomationSettings())} == {
        dg.DefaultScheduleStatus.STOPPED
    }
    assert {s.default_status for s in build_schedules(AutomationSettings(running=True))} == {
        dg.DefaultScheduleStatus.RUNNING
    }


def test_the_deadline_stands_on_gold_and_comes_after_the_daily_run() -> None:
    specs = graph().resolve_asset_graph().get_all_asset_keys()
    policies = {
        key: graph().resolve_asset_graph().get(key).freshness_policy_or_from_metadata for key in specs
    }

    assert {key.path[0] for key, policy in policies.items() if policy} == {"gold"}
    assert {key.path[0] for key, policy in policies.items() if not policy} == {
        "bronze",
        "silver",
        "page",
        "ml",
    }
    (policy,) = {policy for policy in policies.values() if policy}
    assert isinstance(policy, CronFreshnessPolicy)
    assert (policy.deadline_cron, policy.timezone) == ("0 9 * * TUE-SAT", "America/New_York")
    assert AutomationSettings().daily_at < QualitySettings().fresh_by == dt.time(9)


MARCH, APRIL = dt.date(2024, 3, 1), dt.date(2024, 4, 1)


def publish_signals(settings: Settings, *days: dt.date) -> None:
    """Publish the signals of trade dates on which no level was tried."""
    key = "gold.future.levels_signals"
    schema = contracts.load(key).arrow_schema
    for day in days:
        with Lake(settings.lake_root).stage(key, day, lineage=Lineage(), schema=schema) as stage:
            stage.declare("ESM4")
            stage.publish()


def test_a_month_is_learned_once_its_last_trade_date_is_published_whatever_the_holidays(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    *most, last = sessions_of(MARCH)
    assert last == dt.date(2024, 3, 28), "the 29th is Good Friday, the 30th and 31st a weekend"
    publish_signals(settings, *most)
    assert (
        tick(settings, instance, APRIL, "ml_monthly_schedule")
        == "1 of 20 trade dates of 2024-03 are not published: 2024-03-28."
    )

    publish_signals(settings, last)

    assert tick(settings, instance, APRIL, "ml_monthly_schedule") == "2024-03-01"
    assert tick(settings, instance, dt.date(2024, 4, 30), "ml_monthly_schedule") == "2024-03-01"


def test_a_state_of_the_lake_is_learned_from_once_and_again_with_other_settings(settings: Settings) -> None:
    bench = Workbench(settings)
    publish_signals(settings, dt.date(2024, 3, 1))
    before = state_of(bench, MARCH)
    assert state_of(bench, MARCH) == before

    other = settings.model_copy(update={"models": settings.models.model_copy(update={"num_leaves": 3})})
    assert state_of(Workbench(other), MARCH) != before

    publish_signals(settings, dt.date(2024, 3, 4))

    assert state_of(bench, MARCH) != before
