"""What judges the models, month by month: neighbours, calibrated predictions, reports, the champion and the model's card.

Thin: grain, inputs, output and failure policy; the numbers come from `ml`. Maps and spaces of a month come from the months
before it alone; reports and the champion of a month look at that month and at those before.

| what happened                              | what is published                          | the step |
|--------------------------------------------|--------------------------------------------|----------|
| nothing was known before the month         | a space and an index without rows          | goes on  |
| too few earlier predictions                | maps that change nothing, with the reason  | goes on  |
| too few rows or trade dates of a part      | its measures without numbers               | goes on  |
| a head has no model                        | its columns and numbers null               | goes on  |
| artefacts are of another allow list        | nothing: the last stays                    | fails    |
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl

from footprint_assets import contracts
from footprint_assets.assets.learning import (
    INDEX,
    SPACE,
    embargo,
    features,
    model_numbers,
    require_today,
    window_months,
)
from footprint_assets.gold_contracts import MODELS, OUT_OF_FOLD, TRAINING_SET
from footprint_assets.lake import Lake
from footprint_assets.ml.ablation import ablation as worth_of_families
from footprint_assets.ml.artefacts import model_of
from footprint_assets.ml.calibration_report import calibration_report as judged_probabilities
from footprint_assets.ml.calibrators import calibrate, fit_calibrators
from footprint_assets.ml.card import Judged, card, card_json, card_markdown, learned_from
from footprint_assets.ml.drift_report import drift_report as moved_since
from footprint_assets.ml.features import allowed, sets
from footprint_assets.ml.heads import HEADS, Model
from footprint_assets.ml.measures import table
from footprint_assets.ml.promotion import SCHEMA as CHAMPION_SCHEMA
from footprint_assets.ml.promotion import Candidate, decide, in_use
from footprint_assets.ml.retrieval import build_index, fit_space
from footprint_assets.ml.retrieval_report import retrieval_report as judged_neighbours
from footprint_assets.ml.retrieval_rows import index_of, index_rows, space_of, space_rows
from footprint_assets.months import MonthScope, MonthTable, month_asset
from footprint_assets.settings import Settings
from footprint_assets.tables import Batch, TableInput

CALIBRATOR = "ml.future.calibrator"
PREDICTIONS = "ml.future.predictions"
RETRIEVAL_REPORT = "ml.future.retrieval_report"
CALIBRATION_REPORT = "ml.future.calibration_report"
DRIFT_REPORT = "ml.future.drift_report"
ABLATION = "ml.future.ablation"
CHAMPION = "ml.future.champion"
MODEL_CARD = "ml.future.model_card"

_LEARNED_COLUMNS = (
    "session_date",
    "decision_ts",
    "label_end_ts",
    "outcome",
    "strength_signed_pts",
)
"""Columns of the training set that say what a head learned from."""


def judged_months(settings: Settings) -> int:
    """How many months before its own a calibrator reads, at most."""
    return settings.judging.window_months


def judged_before(settings: Settings) -> int:
    """How many months before its own a report reads, at most."""
    return settings.judging.window_months - 1


def of_month(key: str, scope: MonthScope, root: str, rows: pl.DataFrame) -> Batch:
    """Rows of a product in the types and the order of the table, with the month and the product beside them."""
    made = rows.with_columns(month=pl.lit(scope.month), symbol=pl.lit(root))
    contract = contracts.load(key)
    types = contract.polars_schema
    made = made.with_columns(pl.col(name).cast(types[name]) for name in made.columns if name in types)
    return Batch(root, made.sort(contract.sort), rows_in=made.height, is_last=True)


@month_asset(
    SPACE,
    months={"model": MODELS["direction"]},
    earlier={"rows": (TRAINING_SET, window_months)},
    config=lambda settings: (features(settings),),
)
def retrieval_space(scope: MonthScope, model: TableInput, rows: TableInput) -> Iterator[Batch]:
    """How features are spread before the month, and how much each counts when setups are compared.

    Grain: one row a feature that counts. Inputs: the training sets of the months before; the month's direction model,
    whose gain weighs the features. Without a model every family counts alike.
    """
    require_today(rows)
    for root in model.symbols():
        known, head = rows.frame(root), model_of("direction", model.frame(root))
        if known.is_empty():
            yield Batch(root, is_last=True)
            continue
        gain = {name: gain for name, gain in (head.gain() if head else {}).items() if gain > 0}
        space = fit_space(known, allowed().only(gain) if gain else allowed(), gain or None)
        weighted_by = "gain" if gain else "families alike"
        yield of_month(
            SPACE,
            scope,
            root,
            space_rows(space).with_columns(
                rows=pl.lit(known.height, pl.Int32), weighted_by=pl.lit(weighted_by)
            ),
        )


@month_asset(
    INDEX,
    months={"space": SPACE},
    earlier={"rows": (TRAINING_SET, window_months)},
    config=lambda settings: (settings.retrieval,),
)
def retrieval_index(scope: MonthScope, space: TableInput, rows: TableInput) -> Iterator[Batch]:
    """The episodes of the months before, placed where the month's setups are compared with them.

    Grain: one row an episode with a known outcome. Inputs: the month's space, the training sets of the months before.
    """
    require_today(rows)
    for root in space.symbols():
        where = space.frame(root)
        if where.is_empty():
            yield Batch(root, is_last=True)
            continue
        index = build_index(rows.frame(root), space_of(where), scope.settings.retrieval)
        yield of_month(INDEX, scope, root, index_rows(index))


@month_asset(
    CALIBRATOR,
    months={"model": MODELS["direction"]},
    earlier={"said": (OUT_OF_FOLD, judged_months)},
    config=lambda settings: (settings.judging, features(settings)),
)
def calibrator(scope: MonthScope, model: TableInput, said: TableInput) -> Iterator[Batch]:
    """The map of every probability, fitted on what the models of earlier months said of episodes they had not seen.

    Grain: one row a probability, and one for the interval of strength. Inputs: the predictions of the months before; the
    month's direction model names the products.
    """
    require_today(said)
    for root in model.symbols():
        yield of_month(
            CALIBRATOR,
            scope,
            root,
            fit_calibrators(said.frame(root), allowed().sha256, scope.settings.judging),
        )


@month_asset(
    PREDICTIONS,
    months={"said": OUT_OF_FOLD, "calibrators": CALIBRATOR},
    config=lambda settings: (settings.judging, features(settings)),
)
def predictions(scope: MonthScope, said: TableInput, calibrators: TableInput) -> Iterator[Batch]:
    """What the models of the month say of its episodes, as honest probabilities and intervals.

    Grain: one row an episode. Inputs: what the models said; the month's maps.
    """
    require_today(said)
    sha256 = allowed().sha256
    for root in said.symbols():
        made = calibrate(said.frame(root), calibrators.frame(root), sha256, scope.settings.judging)
        yield of_month(PREDICTIONS, scope, root, made.with_columns(features_sha256=pl.lit(sha256)))


@month_asset(
    RETRIEVAL_REPORT,
    months={"rows": TRAINING_SET, "space": SPACE, "index": INDEX},
    config=lambda settings: (settings.judging, settings.retrieval),
)
def retrieval_report(
    scope: MonthScope, rows: TableInput, space: TableInput, index: TableInput
) -> Iterator[Batch]:
    """Whether the neighbours of the month's episodes say anything.

    Grain: one row a measure. Inputs: the month's training set, space and index.
    """
    for root in rows.symbols():
        known = index_of(space.frame(root), index.frame(root), scope.settings.retrieval)
        made = (
            table(()) if known is None else judged_neighbours(rows.frame(root), known, scope.settings.judging)
        )
        yield of_month(RETRIEVAL_REPORT, scope, root, made)


@month_asset(
    CALIBRATION_REPORT,
    months={"now": PREDICTIONS},
    earlier={"before": (PREDICTIONS, judged_before)},
    config=lambda settings: (settings.judging,),
)
def calibration_report(scope: MonthScope, now: TableInput, before: TableInput) -> Iterator[Batch]:
    """Whether probabilities and intervals mean what they say and know anything.

    Grain: one row a measure. Inputs: the predictions of the month and of those before.
    """
    for root in now.symbols():
        said = pl.concat([before.frame(root), now.frame(root)])
        yield of_month(CALIBRATION_REPORT, scope, root, judged_probabilities(said, scope.settings.judging))


@month_asset(
    DRIFT_REPORT,
    months={"rows": TRAINING_SET, "said": OUT_OF_FOLD},
    earlier={"rows_before": (TRAINING_SET, window_months), "said_before": (OUT_OF_FOLD, window_months)},
    config=lambda settings: (settings.judging, features(settings)),
)
def drift_report(
    scope: MonthScope,
    rows: TableInput,
    said: TableInput,
    rows_before: TableInput,
    said_before: TableInput,
) -> Iterator[Batch]:
    """Whether the month looks like those the models learned from.

    Grain: one row a measure. Inputs: training sets and predictions of the month and of those before.
    """
    for root in rows.symbols():
        made = moved_since(
            rows.frame(root),
            rows_before.frame(root),
            said.frame(root),
            said_before.frame(root),
            allowed(),
            scope.settings.judging,
        )
        yield of_month(DRIFT_REPORT, scope, root, made)


@month_asset(
    ABLATION,
    months={"rows": TRAINING_SET, "model": MODELS["direction"]},
    earlier={"earlier": (TRAINING_SET, window_months)},
    config=lambda settings: (settings.judging, model_numbers(settings), features(settings)),
)
def ablation(scope: MonthScope, rows: TableInput, model: TableInput, earlier: TableInput) -> Iterator[Batch]:
    """What each family and set of features is worth to the direction head.

    Grain: one row a measure and family or set. Inputs: the month's training set and direction model; where families are
    taken away by training again, the training sets of the months before.
    """
    settings = scope.settings
    for root in rows.symbols():
        head = model_of("direction", model.frame(root))
        retrains = head is not None and settings.judging.retrained_families > 0
        teaches = ~pl.col("session_date").is_in(embargo(scope)) if retrains else pl.lit(value=False)
        taught = earlier.frame(root, where=teaches)
        yield of_month(
            ABLATION,
            scope,
            root,
            worth_of_families(
                head, rows.frame(root), taught, allowed(), sets(), settings.judging, settings.models
            ),
        )


def _candidate(models: TableInput, head: str, root: str, month: dt.date) -> Candidate | None:
    """The model of a head made for a month; ``None`` where none was trained."""
    rows = models.frame(root)
    model = model_of(HEADS[head].name, rows)
    if model is None:
        return None
    return Candidate(month, model, rows["last_session_date"][0], rows["sha256"][0])


@month_asset(
    CHAMPION,
    months={"rows": TRAINING_SET, **MODELS},
    earlier={"before": (CHAMPION, judged_months)},
    config=lambda settings: (settings.judging, features(settings)),
)
def champion(
    scope: MonthScope, rows: TableInput, before: TableInput, **models: TableInput
) -> Iterator[Batch]:
    """Which model of each head is in use after the month, and the model itself.

    Grain: one row a head. Inputs: the month's training set, whose rows neither model has seen; the models of the month;
    who was champion, as the rows of earlier months have it: a model of a month that was never judged is none.
    """
    for root in rows.symbols():
        judged, last = rows.frame(root), before.frame(root).sort("month")
        made = []
        for head in HEADS.values():
            newest = last.filter(pl.col("head") == head.name).tail(1)
            held = in_use(head.name, newest.row(0, named=True)) if newest.height else None
            challenger = _candidate(models[head.name], head.name, root, scope.month)
            made.append(decide(head.name, held, challenger, judged, allowed().sha256, scope.settings.judging))
        yield of_month(CHAMPION, scope, root, pl.DataFrame(made, schema=CHAMPION_SCHEMA))


def champion_of(lake: Lake, head: str, root: str) -> dict[str, object] | None:
    """Which model of a head is in use now, by the newest month that says so.

    Args:
        lake: The lake.
        head: The head.
        root: Product root, such as ``ES``.

    Returns:
        The row of `champion`; ``None`` where no month has said so. ``champion_month`` names the partition of the head's
        model table, or is null where the neighbours answer alone.
    """
    for month in reversed(lake.dates(CHAMPION)):
        rows = TableInput(lake, CHAMPION, (month,), optional=True).frame(root, where=pl.col("head") == head)
        if rows.height:
            return rows.row(0, named=True)
    return None


@month_asset(
    MODEL_CARD,
    months={
        **MODELS,
        "calibrators": CALIBRATOR,
        "calibration": CALIBRATION_REPORT,
        "retrieval": RETRIEVAL_REPORT,
        "drift": DRIFT_REPORT,
        "ablations": ABLATION,
        "champions": CHAMPION,
    },
    earlier={"rows": (TRAINING_SET, window_months)},
    config=lambda settings: (settings.labels, features(settings)),
)
def model_card(scope: MonthScope, rows: TableInput, **tables: TableInput) -> Iterator[Batch]:
    """What a person must know of each head's model before using it.

    Grain: one row a head, the card as JSON and as Markdown. Inputs: everything that was measured of the month's models.
    """
    sha256 = allowed().sha256
    for root in tables["champions"].symbols():
        taught = rows.frame(root, _LEARNED_COLUMNS).filter(~pl.col("session_date").is_in(embargo(scope)))
        judged = Judged(
            *(
                tables[name].frame(root)
                for name in ("calibration", "retrieval", "drift", "ablations", "calibrators", "champions")
            )
        )
        made = []
        for head in MODELS:
            model: Model | None = model_of(HEADS[head].name, tables[head].frame(root))
            learned = learned_from(head, taught)
            told = card(head, scope.month, root, model, learned, judged, scope.settings.labels, sha256)
            made.append((head, card_json(told), card_markdown(told)))
        columns = pl.DataFrame(made, schema=["head", "card_json", "card_markdown"], orient="row")
        yield of_month(MODEL_CARD, scope, root, columns.with_columns(features_sha256=pl.lit(sha256)))


RETRIEVAL_TABLES: tuple[MonthTable, ...] = (retrieval_space, retrieval_index)
"""What `out_of_fold` asks beside the models."""

TABLES: tuple[MonthTable, ...] = (
    calibrator,
    predictions,
    retrieval_report,
    calibration_report,
    drift_report,
    ablation,
    champion,
    model_card,
)
"""What is made of `out_of_fold`."""
