"""What is learned from levels, month by month: the rows, the models, and what they say of a month they have not seen.

Thin: grain, inputs, output and failure policy; the numbers come from `ml`. A month is learned from the months before it
alone, so that making the months one after the other is the walk-forward evaluation.

| what happened                              | what is published          | the step                    |
|--------------------------------------------|----------------------------|-----------------------------|
| no trade date of the month is published    | nothing: the last stays    | fails                       |
| a product has too few earlier trade dates  | no rows of that product    | goes on; fails where all do |
| all outcomes are one, no feature is known  | nothing: the last stays    | fails                       |
| rows or model are of another allow list    | nothing: the last stays    | fails                       |
| LightGBM is not installed                  | models without rows, where | goes on; fails where it     |
|                                            | none is published          | would replace models        |
| a model, or the index, has no rows         | its columns null           | goes on                     |
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import polars as pl
from pydantic import BaseModel

from footprint_assets.errors import ExtraMissing
from footprint_assets.gold_contracts import MODELS, OUT_OF_FOLD, TRAINING_SET
from footprint_assets.lake import Manifest, PartitionMissing
from footprint_assets.ml.artefacts import model_of, model_rows
from footprint_assets.ml.features import FeaturesDiffer, allowed
from footprint_assets.ml.heads import HEADS, Head, train
from footprint_assets.ml.out_of_fold import head_columns, retrieval_columns
from footprint_assets.ml.retrieval_rows import index_of
from footprint_assets.ml.splits import TooFewSessions
from footprint_assets.ml.training import columns_read, training_rows
from footprint_assets.months import MonthScope, MonthTable, contracts_by_root, month_asset, months_before
from footprint_assets.settings import ModelSettings, Settings
from footprint_assets.tables import Batch, TableInput, sessions_before

LEVELS_SIGNALS = "gold.future.levels_signals"
SPACE = "ml.future.retrieval_space"
INDEX = "ml.future.retrieval_index"
FEATURES_NOTE = "features_sha256"
"""Fact of a manifest: SHA-256 of the allow list its rows were made by."""
TRADE_DATES = "trade_dates"
"""Fact of a manifest: how many trade dates of the month are published."""
NOT_TRAINED = "not_trained"
"""Fact of a manifest: why a product has no model."""


class Features(BaseModel):
    """The allow list as a part of the configuration: another one is another table."""

    sha256: str


class Trees(BaseModel):
    """The package that grows trees as a part of the configuration: another version may grow others."""

    lightgbm: str


def features(_: Settings) -> Features:
    """The allow list of today."""
    return Features(sha256=allowed().sha256)


@cache
def trees() -> Trees:
    """The package at hand; no version where it is not installed."""
    try:
        return Trees(lightgbm=version("lightgbm"))
    except PackageNotFoundError:
        return Trees(lightgbm="")


def model_numbers(settings: Settings) -> ModelSettings:
    """The settings a model depends on: the number of threads changes none."""
    return settings.models.model_copy(update={"num_threads": 1})


def window_months(settings: Settings) -> int:
    """How many months a month is learned from, at most."""
    return settings.models.window_months


@month_asset(
    TRAINING_SET,
    days={"signals": LEVELS_SIGNALS},
    config=lambda settings: (settings.labels, features(settings)),
)
def training_set(scope: MonthScope, signals: TableInput) -> Iterator[Batch]:
    """Every episode of the month as a model reads it.

    Grain: one row an episode. Inputs: the signals of the month's trade dates, as far as they are published; the manifest
    names the trade dates that are not. A month without any published fails.
    """
    allow_list, labels = allowed(), scope.settings.labels
    published = {day for day, _ in signals.manifests()}
    if not published:
        raise PartitionMissing(
            f"{LEVELS_SIGNALS} is published for no trade date of {scope.month:%Y-%m}.",
            where={"table": LEVELS_SIGNALS, "month": f"{scope.month:%Y-%m}"},
            remedy=f"footprint-assets backfill --start {scope.sessions[0]} --end {scope.sessions[-1]}",
        )
    notes = {
        FEATURES_NOTE: allow_list.sha256,
        TRADE_DATES: len(published),
        "not_published": [day for day in scope.sessions if day not in published],
    }
    columns = columns_read(allow_list, labels)
    for root, contracts in contracts_by_root(signals, scope.month).items():
        found = pl.concat([signals.frame(contract, columns) for contract in contracts])
        rows = training_rows(found, allow_list, labels)
        made = rows.rename({"symbol": "contract"}).with_columns(symbol=pl.lit(root))
        yield Batch(root, made, rows_in=found.height, notes=notes, is_last=True)


def model_table(head: Head) -> MonthTable:
    """The table of the models of one head.

    Args:
        head: What is learned.
    """

    @month_asset(
        MODELS[head.name],
        earlier={"rows": (TRAINING_SET, window_months)},
        config=lambda settings: (model_numbers(settings), features(settings), trees()),
    )
    def model(scope: MonthScope, rows: TableInput) -> Iterator[Batch]:
        """The head as it was known when the month began.

        Grain: one row a booster. Inputs: the training sets of the months before, at most as many as the settings say,
        without the trade dates of the embargo right before the month. A product with too little history has no rows;
        where every one has too little, the month fails. Without LightGBM no product has rows, and the rest of the
        month goes on; models that are published are not replaced by none.
        """
        require_today(rows)
        refused = TooFewSessions(
            "No earlier month has a training set.",
            where={"head": head.name, "month": f"{scope.month:%Y-%m}"},
            remedy="footprint-assets learn makes earlier months; a first month has none before it.",
        )
        some = False
        for root in rows.symbols():
            try:
                yield trained(scope, head, root, rows)
                some = True
            except TooFewSessions as error:
                refused = error
                yield Batch(root, notes={NOT_TRAINED: str(error)}, is_last=True)
            except ExtraMissing as error:
                if any(manifest.rows for manifest in published_models(scope, head).values()):
                    raise
                some = True
                yield Batch(root, notes={NOT_TRAINED: str(error)}, is_last=True)
        if not some:
            raise refused

    return model


def trained(scope: MonthScope, head: Head, root: str, rows: TableInput) -> Batch:
    """The model of one head and product."""
    known = known_before(scope, root, rows)
    model = train(head, known, allowed(), scope.settings.models)
    taught = known.select(pl.col("session_date").filter(head.rows))["session_date"]
    made = model_rows(model).with_columns(
        month=pl.lit(scope.month),
        symbol=pl.lit(root),
        first_session_date=pl.lit(taught.min()),
        last_session_date=pl.lit(taught.max()),
    )
    return Batch(root, made, rows_in=made.height, is_last=True)


def known_before(scope: MonthScope, root: str, rows: TableInput) -> pl.DataFrame:
    """The rows of a product that may teach a month: of the months before it, without the embargo."""
    return rows.frame(root, where=~pl.col("session_date").is_in(embargo(scope)))


def published_models(scope: MonthScope, head: Head) -> Mapping[str, Manifest]:
    """What is published of a head and month."""
    return scope.bench.lake.manifests(MODELS[head.name], scope.month)


def embargo(scope: MonthScope) -> list[dt.date]:
    """The trade dates right before the month that are learned from by no model that judges it."""
    return list(sessions_before(scope.sessions[0], scope.settings.models.embargo_sessions))


def history_of(scope: MonthScope) -> int:
    """How many trade dates the training sets before a month hold, those of the embargo not counted."""
    back = months_before(scope.month, scope.settings.models.window_months)
    held: dict[dt.date, int] = {}
    for (month, _), manifest in (
        TableInput(scope.bench.lake, TRAINING_SET, back, optional=True).manifests().items()
    ):
        held[month] = int(str(manifest.notes[TRADE_DATES]))
    return max(0, sum(held.values()) - scope.settings.models.embargo_sessions)


def require_today(rows: TableInput) -> None:
    """Refuse months whose rows were made by another allow list than today's.

    Raises:
        FeaturesDiffer: One was.
    """
    today = allowed().sha256
    for (month, root), manifest in rows.manifests().items():
        if (known := str(manifest.notes.get(FEATURES_NOTE))) != today:
            raise FeaturesDiffer(
                "A month was made by another list of features.",
                where={
                    "table": rows.table,
                    "month": f"{month:%Y-%m}",
                    "symbol": root,
                    "rows": known[:12],
                    "today": today[:12],
                },
                remedy=f"footprint-assets learn --start {month:%Y-%m} --end {month:%Y-%m}",
            )


@month_asset(
    OUT_OF_FOLD,
    months={"rows": TRAINING_SET, **MODELS, "space": SPACE, "index": INDEX},
    config=lambda settings: (settings.retrieval,),
)
def out_of_fold(
    scope: MonthScope, rows: TableInput, space: TableInput, index: TableInput, **models: TableInput
) -> Iterator[Batch]:
    """What the models of the month, and the episodes before it, say of its episodes, none of which they have seen.

    Grain: one row an episode. Inputs: the training set of the month, its models, its space and index of earlier episodes.
    What has no model, or no neighbour, is null.
    """
    for (_, root), manifest in rows.manifests().items():
        found, sha256 = rows.frame(root), str(manifest.notes[FEATURES_NOTE])
        known = index_of(space.frame(root), index.frame(root), scope.settings.retrieval)
        said = [
            head_columns(head, model_of(head.name, models[head.name].frame(root)), found, sha256)
            for head in HEADS.values()
        ]
        made = pl.concat([found, *said, retrieval_columns(known, found, sha256)], how="horizontal")
        yield Batch(root, made, rows_in=found.height, notes={FEATURES_NOTE: sha256}, is_last=True)


TABLES: tuple[MonthTable, ...] = (training_set, *map(model_table, HEADS.values()))
"""The rows and the models of a month."""
