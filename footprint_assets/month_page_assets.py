"""What is shown and written down of a month's models, as Dagster assets: two pages, and the runs of the tracker.

They stand after the tables of the month, in the group of the pages. Nothing stands after them: a page or a tracker that
fails takes no table along. The pages are made when somebody asks; the tracker writes in the job of the month.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg

from footprint_assets.assets.judging import CALIBRATION_REPORT, CHAMPION, MODEL_CARD, PREDICTIONS
from footprint_assets.assets.learning import INDEX, SPACE
from footprint_assets.errors import FootprintError
from footprint_assets.gold_contracts import MODELS, TRAINING_SET
from footprint_assets.lake_asset import WORKBENCH
from footprint_assets.model_pages import (
    last_attempts,
    model_tables,
    write_model_page,
    write_setups_page,
)
from footprint_assets.partitions import MONTH_PARTITIONS
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tracked_runs import TRACKED_RUNS, track
from footprint_assets.tracking import tracking_root

Make = Callable[[dg.AssetExecutionContext, Workbench, dt.date], dict[str, dg.MetadataValue]]


def build_month_page_assets() -> list[dg.AssetsDefinition]:
    """Make the assets: the page of the models, the pages of setups, the tracked runs of a month."""
    return [
        _asset(
            "page.future.models",
            model_tables(),
            "What is in use, calibration, lift, coverage, what the models look at, the strongest signals and why, reports, "
            "model cards. One "
            "self-contained HTML file a product root.",
            "html",
            _models,
        ),
        _asset(
            "page.future.setups",
            (TRAINING_SET, SPACE, INDEX),
            "The last attempt of the month at each kind of level beside the past ones most like it, with what became of "
            "them. One self-contained HTML file each.",
            "html",
            _setups,
        ),
        _asset(
            TRACKED_RUNS,
            (*MODELS.values(), CALIBRATION_REPORT, CHAMPION, MODEL_CARD),
            "Writes down the trainings of the month with the tracker of the settings; one that is there already is no "
            "second run.",
            "tracking",
            _tracked,
        ),
    ]


def _asset(key: str, tables: Sequence[str], description: str, kind: str, make: Make) -> dg.AssetsDefinition:
    @dg.asset(
        key=key.split("."),
        deps=[dg.AssetKey(table.split(".")) for table in tables],
        partitions_def=MONTH_PARTITIONS,
        required_resource_keys={WORKBENCH},
        group_name="pages",
        kinds={kind},
        owners=["team:market-data"],
        tags={"layer": "page", "product": "future"},
        description=description,
    )
    def page(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        bench: Workbench = context.resources.workbench
        try:
            made = make(context, bench, dt.date.fromisoformat(context.partition_key))
        except FootprintError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        return dg.MaterializeResult(metadata=made)

    return page


def _models(_: dg.AssetExecutionContext, bench: Workbench, month: dt.date) -> dict[str, dg.MetadataValue]:
    written = {}
    for root in bench.lake.symbols(PREDICTIONS, month):
        written[root] = _folder(bench.settings, month) / f"{root}-models.html"
        write_model_page(bench.settings, month, root, written[root], simulated=False)
    return _links(written)


def _setups(_: dg.AssetExecutionContext, bench: Workbench, month: dt.date) -> dict[str, dg.MetadataValue]:
    written = {}
    for root in bench.lake.symbols(INDEX, month):
        for attempt in last_attempts(bench, month, root):
            name = f"{root}_{attempt.place.level}"
            written[name] = _folder(bench.settings, month) / f"{name}-setups.html"
            write_setups_page(bench, attempt, written[name], simulated=False)
    return _links(written)


def _tracked(
    context: dg.AssetExecutionContext, bench: Workbench, month: dt.date
) -> dict[str, dg.MetadataValue]:
    found = track(bench, month, context.run.run_id)
    return {
        "tracker": dg.MetadataValue.text(bench.settings.tracking.kind),
        "folder": dg.MetadataValue.path(tracking_root(bench.settings)),
        "recorded": dg.MetadataValue.text(", ".join(found.recorded) or "nothing new"),
        "known": dg.MetadataValue.int(len(found.known)),
    }


def _folder(settings: Settings, month: dt.date) -> Path:
    return settings.pages_root.absolute() / f"month={month:%Y-%m}"


def _links(written: dict[str, Path]) -> dict[str, dg.MetadataValue]:
    """The files a page asset wrote, as places to open."""
    lines = "\n".join(f"* [{name}]({path.as_uri()})" for name, path in written.items())
    return {
        "bytes": dg.MetadataValue.int(sum(path.stat().st_size for path in written.values())),
        "pages": dg.MetadataValue.md(lines or "No product root has anything to draw."),
        **{name: dg.MetadataValue.path(path) for name, path in written.items()},
        **{f"{name}_url": dg.MetadataValue.url(path.as_uri()) for name, path in written.items()},
    }
