"""The runs that begin by the clock: the trade date of the day before, the month before, the weekly scrub of the lake."""

import datetime as dt
import hashlib
from dataclasses import replace
from functools import cache

import dagster as dg

from footprint_assets import calendar as cme
from footprint_assets.arrivals import damaged_files, missing_hours, one_line, trade_dates
from footprint_assets.assets import MONTH_TABLES
from footprint_assets.assets.learning import LEVELS_SIGNALS
from footprint_assets.gold_contracts import TRAINING_SET
from footprint_assets.jobs import LAKE_DAILY, ML_MONTHLY
from footprint_assets.lake_asset import WORKBENCH
from footprint_assets.months import MonthScope, months_before, sessions_of
from footprint_assets.resources import Workbench, covers
from footprint_assets.scrub_job import LAKE_SCRUB
from footprint_assets.sensors import IN_ORDER
from footprint_assets.settings import AutomationSettings
from footprint_assets.status import status

EVERY_DAY = "*"
AFTER_TRADE_DATES = "TUE-SAT"
"""The mornings after a weekday: a closure's is told with its name, a weekend's is none."""
WATCHED_LAYER = "gold"
"""What models read: where it is late, something before it is."""


def build_schedules(automation: AutomationSettings) -> list[dg.ScheduleDefinition]:
    """The schedules of the project.

    Args:
        automation: When they begin, and whether they are on from the start.
    """
    status_at_first = (
        dg.DefaultScheduleStatus.RUNNING if automation.running else dg.DefaultScheduleStatus.STOPPED
    )

    @dg.schedule(
        name="lake_daily_schedule",
        job_name=LAKE_DAILY,
        cron_schedule=_cron(automation.daily_at, AFTER_TRADE_DATES),
        execution_timezone=cme.NEW_YORK.key,
        default_status=status_at_first,
        required_resource_keys={WORKBENCH},
        description="The trade date of the day before, where its files are there and its tables are not current.",
    )
    def lake_daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.astimezone(cme.NEW_YORK).date()
        day = today - dt.timedelta(days=1)
        if reason := why_not_run(context.resources.workbench, day):
            return dg.SkipReason(reason)
        return dg.RunRequest(partition_key=day.isoformat(), tags=IN_ORDER)

    @dg.schedule(
        name="lake_scrub_schedule",
        job_name=LAKE_SCRUB,
        cron_schedule=_cron(automation.scrub_at, automation.scrub_day),
        execution_timezone=cme.NEW_YORK.key,
        default_status=status_at_first,
        description="Every byte of the lake compared with the hashes it was published with.",
    )
    def lake_scrub_schedule() -> dg.RunRequest:
        return dg.RunRequest()

    @dg.schedule(
        name="ml_monthly_schedule",
        job_name=ML_MONTHLY,
        cron_schedule=_cron(automation.monthly_at, EVERY_DAY),
        execution_timezone=cme.NEW_YORK.key,
        default_status=status_at_first,
        required_resource_keys={WORKBENCH},
        description="The month before, once every trade date of it is published; once for each state of the lake, the code and the settings.",
    )
    def ml_monthly_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.astimezone(cme.NEW_YORK).date()
        (month,) = months_before(today.replace(day=1), 1)
        bench = context.resources.workbench
        if reason := why_not_learned(bench, month):
            return dg.SkipReason(reason)
        # The same would give the same failure: the next run is for another state.
        return dg.RunRequest(partition_key=month.isoformat(), run_key=f"{month}_{state_of(bench, month)}")

    return [lake_daily_schedule, lake_scrub_schedule, ml_monthly_schedule]


def why_not_run(bench: Workbench, day: dt.date) -> str:
    """Why a day need not or cannot be run; empty where it should be.

    Args:
        bench: The lake and the drop folder.
        day: Any date of the calendar.
    """
    try:
        cme.session(day)
    except cme.MarketClosed as closed:
        return f"CME closed: {closed.where['reason']}"
    catalog = bench.catalog()
    files = tuple(e for e in catalog.entries if e.problem is None and day in trade_dates(e))
    if not covers(replace(catalog, entries=files), day):
        return f"No trades or mbp-10 file of {day} has arrived in {bench.settings.dbn_dir}."
    for entry in damaged_files(catalog, day, bench.settings.ingest.dataset):
        return one_line(f"A file of {day} cannot be opened: {entry.problem}")
    if gap := missing_hours(files, day):
        return f"The files of {day} are not complete: no file holds {gap}."
    if set(status(bench, day, day)[day].values()) <= {"current", "empty"}:
        return f"Every table of {day} is current."
    return ""


def why_not_learned(bench: Workbench, month: dt.date) -> str:
    """Why a month need not or cannot be learned from; empty where it should be.

    Args:
        bench: The lake.
        month: First day of a month that is over.
    """
    missing = [day for day in sessions_of(month) if not bench.lake.manifests(LEVELS_SIGNALS, day)]
    if missing:
        named = ", ".join(map(str, missing))
        return f"{len(missing)} of {len(sessions_of(month))} trade dates of {month:%Y-%m} are not published: {named}."
    scope = MonthScope(month, bench)
    if all(table.is_current(scope) for table in MONTH_TABLES):
        return f"Every table of {month:%Y-%m} is current."
    return ""


def state_of(bench: Workbench, month: dt.date) -> str:
    """A name of what a month is learned from: its signals and the training sets before it, in their generations, and of how."""
    window = bench.settings.models.window_months
    days = [(LEVELS_SIGNALS, day) for day in sessions_of(month)]
    earlier = [(TRAINING_SET, one) for one in months_before(month, window)]
    generations = [
        f"{table} {date} {symbol} {manifest.generation}"
        for table, date in (*days, *earlier)
        for symbol, manifest in sorted(bench.lake.manifests(table, date).items())
    ]
    made_by = [table.lineage(MonthScope(month, bench), {}) for table in MONTH_TABLES]
    ways = [f"{one.code_version} {one.config_hash}" for one in made_by]
    return hashlib.sha256("\n".join((*generations, *ways)).encode()).hexdigest()[:16]


def with_deadline(asset: dg.AssetsDefinition, fresh_by: dt.time) -> dg.AssetsDefinition:
    """An asset that is late in Dagster's eyes where the morning after a trade date did not bring it.

    Args:
        asset: Any asset of the lake; those below gold stay as they are.
        fresh_by: The deadline, ET.
    """
    if not any(key.path[0] == WATCHED_LAYER for key in asset.keys):
        return asset
    policy = _policy(fresh_by)
    return asset.map_asset_specs(
        lambda spec: (
            spec.replace_attributes(freshness_policy=policy) if spec.key.path[0] == WATCHED_LAYER else spec
        )
    )


@cache
def _policy(fresh_by: dt.time) -> dg.FreshnessPolicy:
    # Dagster walks through a thousand deadlines to find the time between two.
    return dg.FreshnessPolicy.cron(
        deadline_cron=_cron(fresh_by, AFTER_TRADE_DATES),
        # A trade date becomes a partition at midnight: what was materialised before then is an older one.
        lower_bound_delta=dt.timedelta(hours=fresh_by.hour, minutes=fresh_by.minute),
        timezone=cme.NEW_YORK.key,
    )


def _cron(at: dt.time, days: str) -> str:
    return f"{at.minute} {at.hour} * * {days}"
