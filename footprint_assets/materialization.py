"""What Dagster shows of a lake table: on its definition what is known before a run, on a materialisation what came of it.

A picture is drawn for the few tables where one says more than numbers. It reads what was just published and costs a few
milliseconds; what cannot be drawn is left out, because a picture must fail no run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import dagster as dg
import polars as pl

from footprint_assets import contracts, gold_contracts
from footprint_assets.lake import Manifest
from footprint_assets.report import picture
from footprint_assets.report.frames import eastern
from footprint_assets.report.session import PROFILE_COLUMNS
from footprint_assets.resources import Workbench
from footprint_assets.tables import AnyTable

LEVEL_CLASSES = ("PREMARKET", "OPENING_RANGE", "PRIOR_DAY", "OVERNIGHT")
PAGES = {
    "session": ("silver.future.footprint_bar", "silver.future.session_levels", "gold.future.levels_signals"),
    "footprint": (
        "silver.future.footprint_bar",
        "silver.future.footprint_price",
        "gold.future.footprint_bars",
    ),
    "models": (
        "ml.future.predictions",
        "ml.future.calibration_report",
        "ml.future.champion",
        "ml.future.model_card",
    ),
    "setups": ("ml.future.retrieval_index", "ml.future.retrieval_report"),
}
"""Tables a page is mostly made of, which lead to its asset."""

CARDS = "ml.future.model_card"
"""Table of documents, which Dagster shows as they are."""

Draw = tuple[tuple[str, ...] | None, Callable[[pl.DataFrame], str]]
_PICTURES: dict[str, Draw] = {
    "silver.future.ohlcv": (("bar_ts", "interval", "open", "high", "low", "close"), picture.price_picture),
    "silver.future.volume_profile_price": (PROFILE_COLUMNS, picture.profile_picture),
    "silver.future.session_levels": (
        ("level_name", "level_class", "level_price", "valid_from_ts"),
        lambda rows: picture.levels_picture(rows, LEVEL_CLASSES),
    ),
    "gold.future.setup_vectors": (None, picture.nulls_picture),
    "ml.future.calibration_report": (
        ("subject", "measure", "value", "reference", "low", "high"),
        picture.reliability_picture,
    ),
}
"""Columns a table's picture needs (all where ``None``), and how it is drawn."""


def materialization_facts(
    bench: Workbench, key: str, day: dt.date, manifests: Mapping[str, Manifest], seconds: float
) -> dict[str, dg.MetadataValue]:
    """What came of a run beyond rows and bytes.

    Args:
        bench: The lake.
        key: Dataset key.
        day: Trade date.
        manifests: What is published of it, by contract.
        seconds: How long the pass that gives the table took; 0 where nothing was computed.

    Returns:
        Time range, contract version, throughput, places, pages and a picture, where they apply.
    """
    rows = sum(manifest.rows for manifest in manifests.values())
    facts: dict[str, dg.MetadataValue] = {}
    if rows and seconds > 0 and key in _PICTURES:
        facts |= _pictures(bench, key, day, manifests)
    if rows and key == CARDS:
        facts |= _cards(bench, key, day, manifests)
    facts["path"] = dg.MetadataValue.path(_folder(bench, key, day, manifests))
    versions = sorted({manifest.contract.version for manifest in manifests.values()})
    facts["contract_version"] = dg.MetadataValue.text(", ".join(versions))
    ranges = [manifest.time_range for manifest in manifests.values() if manifest.time_range]
    if ranges:
        first, last = min(found.min_ns for found in ranges), max(found.max_ns for found in ranges)
        facts["time_range"] = dg.MetadataValue.text(
            f"{eastern(first, day)} – {eastern(last, day)} ET ({ranges[0].column})"
        )
    if seconds > 0 and rows:
        facts["pass_seconds"] = dg.MetadataValue.float(round(seconds, 3))
        facts["rows_per_second"] = dg.MetadataValue.int(round(rows / seconds))
    if manifests and (pages := [name for name, tables in PAGES.items() if key in tables]):
        facts["pages"] = dg.MetadataValue.md(
            "\n".join(f"* [page/future/{name}](/assets/page/future/{name}?partition={day})" for name in pages)
        )
    return facts


def _folder(bench: Workbench, key: str, day: dt.date, manifests: Mapping[str, Manifest]) -> str:
    """The directory of the partition; of several contracts the directory with the wildcard a reader would write."""
    place = bench.lake.layout.partition(key, day, next(iter(sorted(manifests)), "ANY")).absolute()
    if len(manifests) == 1:
        return str(place)
    parts = ["symbol=*" if part.startswith("symbol=") else part for part in place.parts]
    return str(place.__class__(*parts))


def _pictures(
    bench: Workbench, key: str, day: dt.date, manifests: Mapping[str, Manifest]
) -> Iterator[tuple[str, dg.MetadataValue]]:
    columns, draw = _PICTURES[key]
    for symbol in sorted(manifests):
        with bench.lake.read(key, day, symbol) as partition:
            svg = draw(partition.frame(list(columns) if columns else None))
        if svg:
            yield f"picture_{symbol}", dg.MetadataValue.md(picture.as_markdown(symbol, svg))


def _cards(
    bench: Workbench, key: str, day: dt.date, manifests: Mapping[str, Manifest]
) -> Iterator[tuple[str, dg.MetadataValue]]:
    """The cards as they are, each a document to read."""
    for symbol in sorted(manifests):
        with bench.lake.read(key, day, symbol) as partition:
            cards = partition.frame(["head", "card_markdown"])
        for head, text in cards.select(pl.col("head").cast(pl.String), "card_markdown").iter_rows():
            yield f"card_{symbol}_{head}", dg.MetadataValue.md(text)


def group_of(table: AnyTable) -> str:
    """The group of the graph an asset stands in: its layer, and of the silver layer its part.

    Returns:
        ``bronze``, ``silver_basics``, ``silver_sessions``, ``silver_market``, the level of a level's tables such
        as ``silver_pm_high``, ``gold`` or ``ml``.
    """
    layer, _, _ = table.key.split(".")
    if layer != "silver":
        return layer
    if level := _level_of(table.key):
        return f"silver_{level}"
    part = table.code.__module__.rpartition(".")[2]
    return "silver_basics" if part == "silver" else f"silver_{part}"


def tags_of(table: AnyTable) -> dict[str, str]:
    """Tags one can filter the graph by: layer, product and, of a level's tables, the level."""
    layer, product, _ = table.key.split(".")
    level = _level_of(table.key)
    return {"layer": layer, "product": product} | ({"level": level} if level else {})


def column_lineage(table: AnyTable) -> dg.TableColumnLineage:
    """Where the columns of a table come from, as far as contracts know it.

    A gold table's contract is made of the contracts of its sources, so that each of its columns names one. Elsewhere a
    column with the name, type, unit and meaning of an input's column is that column passed on; what a table computes has
    no source column.
    """
    deps = _generated(table) if _template_of(table.key) in gold_contracts.VERSIONS else _passed_on(table)
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(dg.AssetKey(key.split(".")), column) for key, column in sources]
            for name, sources in deps.items()
            if sources
        }
    )


def _generated(table: AnyTable) -> dict[str, list[tuple[str, str]]]:
    """Each column with the columns of the inputs it is taken from.

    Those of its source where that is an input, else of the inputs that took it on the way.
    """
    places = [(key, _template_of(key), _columns_by_template_name(key)) for key in table.inputs.values()]
    found = {}
    for name, column in zip(
        table.contract.columns, gold_contracts.columns_of(_template_of(table.key)), strict=True
    ):
        if not column.source:
            continue
        found[name] = [
            (key, names[column.source_column]) for key, template, names in places if template == column.source
        ] or [(key, names[column.name]) for key, _, names in places if column.name in names]
    return found


@cache
def _columns_by_template_name(key: str) -> dict[str, str]:
    """Names of a table's columns by those in the contract that levels share; its own names where there is none."""
    return dict(zip(contracts.load(_template_of(key)).columns, contracts.load(key).columns, strict=True))


def _passed_on(table: AnyTable) -> dict[str, list[tuple[str, str]]]:
    meaning = {field.name: (field.type_name, field.unit, field.doc) for field in table.contract.fields}
    found: dict[str, list[tuple[str, str]]] = {}
    for key in table.inputs.values():
        for field in contracts.load(key).fields:
            if meaning.get(field.name) == (field.type_name, field.unit, field.doc):
                found.setdefault(field.name, [(key, field.name)])
    return found


def _template_of(key: str) -> str:
    """The contract that the tables of every level share, or the key itself."""
    return _place_of(key)[0]


def _level_of(key: str) -> str:
    """The level of a level's table, such as ``pm_high``; empty for the others."""
    return _place_of(key)[1]


@cache
def _place_of(key: str) -> tuple[str, str]:
    if key in contracts.all_keys():
        return key, ""
    for template in contracts.templates():
        before, _, after = template.rpartition("level")
        if key.startswith(before) and key.endswith(after):
            return template, key[len(before) : len(key) - len(after)]
    return key, ""
