"""The sensor that turns files of the drop folder into runs. What has arrived, and what it means, is `arrivals`'s."""

import datetime as dt
from collections.abc import Callable

import dagster as dg

from footprint_assets.arrivals import Look, Progress, look
from footprint_assets.jobs import IN_ORDER_TAG, LAKE_DAILY
from footprint_assets.lake_asset import WORKBENCH
from footprint_assets.partitions import is_partition
from footprint_assets.settings import AutomationSettings

DBN_FILES = "dbn_files"
IN_ORDER = {IN_ORDER_TAG: "arrivals"}
"""A date looks back on the dates before it."""
REASONS = 5
"""Most waiting trade dates a tick names."""


def build_sensors(
    automation: AutomationSettings, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
) -> list[dg.SensorDefinition]:
    """The sensors of the project.

    Args:
        automation: How often the folder is looked at, and whether from the start.
        now: The clock. It only tells which trade dates are partitions already.
    """

    @dg.sensor(
        name=DBN_FILES,
        job_name=LAKE_DAILY,
        minimum_interval_seconds=automation.poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING
        if automation.running
        else dg.DefaultSensorStatus.STOPPED,
        required_resource_keys={WORKBENCH},
        description="One run a trade date that has new files in the drop folder, once they are whole.",
    )
    def dbn_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        bench, at = context.resources.workbench, now()
        found = look(bench, Progress.of_cursor(context.cursor), lambda day: is_partition(day, at))
        for note in found.notes:
            (context.log.warning if note.is_refusal else context.log.info)(note.text)
        requests = [
            dg.RunRequest(
                run_key=request.run_key,
                partition_key=request.trade_date.isoformat(),
                tags=IN_ORDER | {"footprint/files": str(request.files)},
            )
            for request in found.requests
        ]
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(_reason(found)),
            cursor=found.progress.as_cursor(),
        )

    return [dbn_files]


def _reason(found: Look) -> str:
    """Why a look requested nothing: what is new, what is on its way, what waits."""
    said = [note.text for note in found.notes[:REASONS]]
    if found.arriving:
        said.append(f"{len(found.arriving)} files are still arriving, such as {found.arriving[0]}.")
    said += [f"{day} waits: {reason}." for day, reason in list(found.waiting.items())[:REASONS]]
    left_out = max(0, len(found.notes) - REASONS) + max(0, len(found.waiting) - REASONS)
    if left_out:
        said.append(f"{left_out} more; the log of the tick has every refusal.")
    return "\n".join(said) or "Nothing new in the drop folder."
