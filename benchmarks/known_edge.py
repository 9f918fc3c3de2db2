"""Is what was planted found, from the vendor's files to the report? And is nothing found where nothing was planted?

A simulated market of some sessions in which levels follow a known law (docs/sample-market.md) goes through every table before
`levels_signals`. Models and neighbours learn from its first sessions, calibrators from the next, the last are judged beside the
chances the outcomes were drawn from.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from benchmarks.measure import measured
from benchmarks.report import machine, table

if TYPE_CHECKING:
    from footprint_assets.ml.features import FeatureList
    from footprint_assets.ml.heads import Model
    from footprint_assets.ml.retrieval import Index
    from footprint_assets.settings import ModelSettings
    from footprint_assets.tables import LakeTable

SESSIONS, RECORDS = 240, 50_000
FIRST = dt.date(2023, 9, 5)
LEARNED, CALIBRATED = 0.55, 0.25
"""Shares of the sessions that models learn from, and that calibrators do."""
LEVELS = ("PM_HIGH", "PM_LOW", "OR_HIGH", "OR_LOW")
SIGNALS = "gold.future.levels_signals"
TOLD = (("p_break", "calibration_error"), ("p_tradeable", "calibration_error"), ("retrieval", "lift"))
"""Subject and measure of the lines of the report after the AUCs."""
FAMILY_SHARE = 0.95
"""Chance that the null bands of all AUCs hold theirs together where nothing is known."""


@dataclass(frozen=True)
class Judged:
    """A market, learned and judged.

    Args:
        report: Rows of the calibration and the retrieval report.
        rows: The judged episodes with what was said of them, calibrated, beside ``true_break`` and ``true_tradeable``, the
            chances they were drawn from.
    """

    report: pl.DataFrame
    rows: pl.DataFrame

    def of(self, subject: str, measure: str) -> dict[str, Any]:
        """A measure over all rows."""
        wanted = pl.col("subject").eq(subject) & pl.col("measure").eq(measure) & pl.col("split").eq("all")
        return self.report.row(by_predicate=wanted, named=True)

    def aucs(self) -> list[dict[str, Any]]:
        """AUC of what was said of each question, before calibration, beside the band of one that knows nothing.

        Each question has a band of its own, of whole trade dates put into another order. A band of 0.95 is left by chance in
        one case of twenty, by one of six in nearly every fourth market: the bands are as wide as Bonferroni asks for.
        """
        from footprint_assets.ml.questions import QUESTIONS, RAW, answers
        from footprint_assets.ml.scores import auc, auc_null_band

        share, found = 1.0 - (1.0 - FAMILY_SHARE) / len(QUESTIONS), []
        for question in QUESTIONS:
            said = answers(question, self.rows, question.name + RAW)
            low, high = auc_null_band(said.y, said.p, said.session, draws=2_000, seed=1, share=share)
            found.append(
                {
                    "subject": question.name,
                    "measure": "auc",
                    "value": auc(said.y, said.p),
                    "null_low": low,
                    "null_high": high,
                }
            )
        return found

    def oracle(self, said: str) -> float:
        """AUC of the planted chances on the rows that ``p_break`` or ``p_tradeable`` speaks of."""
        from footprint_assets.ml.scores import auc

        known = self.rows.filter(pl.col("outcome").cast(pl.String) != "UNDEFINED")
        decided = pl.col("outcome").is_in(["BREAK", "BOUNCE"])
        if said == "p_break":
            known = known.filter(decided)
            y, p = known["outcome"] == "BREAK", known["true_break"]
        else:
            y, p = known.select(decided).to_series(), known["true_tradeable"]
        return auc(y.cast(pl.Int64).to_numpy(), p.to_numpy())


def judged(
    rows: pl.DataFrame, days: Sequence[dt.date], features: FeatureList, settings: ModelSettings
) -> Judged:
    """Learn, calibrate and judge as the month tables do, with three stretches of trade dates in the place of months.

    Args:
        rows: Rows of `training_set`, with ``true_break`` and ``true_tradeable``.
        days: First trade date that calibrators learn from, and first that is judged.
        features: What models may read.
        settings: Of the models.
    """
    from footprint_assets.ml.calibration_report import calibration_report
    from footprint_assets.ml.calibrators import calibrate, fit_calibrators
    from footprint_assets.ml.heads import HEADS, train
    from footprint_assets.ml.retrieval import build_index, fit_space
    from footprint_assets.ml.retrieval_report import retrieval_report
    from footprint_assets.settings import JudgingSettings, RetrievalSettings

    day, judging = pl.col("session_date"), JudgingSettings()
    known = rows.filter(day < days[0])
    models = {name: train(head, known, features, settings) for name, head in HEADS.items()}
    space = fit_space(known, features, models["direction"].gain())
    index = build_index(rows.filter(day < days[1]), space, RetrievalSettings())
    said = _out_of_fold(rows.filter(day >= days[0]), models, index, features.sha256)
    earlier, asked = said.filter(day < days[1]), said.filter(day >= days[1])
    calibrators = fit_calibrators(earlier, features.sha256, judging)
    predictions = calibrate(asked, calibrators, features.sha256, judging)
    reports = calibration_report(predictions, judging), retrieval_report(asked, index, judging)
    return Judged(pl.concat(reports), predictions)


def _out_of_fold(
    rows: pl.DataFrame, models: Mapping[str, Model], index: Index, features_sha256: str
) -> pl.DataFrame:
    """Rows with what every head and the neighbours say of them."""
    from footprint_assets.ml.retrieval import OUTCOMES

    found = index.ask_all(rows)
    chances = np.array([answer.chances for answer in found])
    said = [model.predict(rows, features_sha256) for model in models.values()]
    return pl.concat([rows, *said], how="horizontal").with_columns(
        pl.Series("retrieval_effective", [answer.effective for answer in found]),
        *(pl.Series(f"retrieval_p_{name.lower()}", chances[:, k]) for k, name in enumerate(OUTCOMES)),
    )


def measure(
    root: Path, mode: str, sessions: int, records: int, seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Make a market and its lake where they are not there yet, and judge what is learned from it.

    Args:
        root: Where the data are made.
        mode: ``known-edge`` or ``null``.
        sessions: Trade dates.
        records: MBP-10 records of the front contract in each of them.
        seed: Of the market.
        tell: Called with one line a step.

    Returns:
        What was found, for ``<mode>.json``.
    """
    from footprint_assets.ml.features import allowed
    from footprint_assets.settings import ModelSettings

    folder = root / f"{mode}-{sessions}x{records}-seed{seed}"
    days = _sessions(sessions)
    simulated, _ = measured(lambda: _simulate(folder / "dbn", days, records, seed, mode))
    tell(f"simulated: {simulated.wall_s:.0f} s")
    made, _ = measured(lambda: make_lake(folder, days))
    tell(f"lake made: {made.wall_s:.0f} s, {made.cpu_s:.0f} s of CPU")
    rows, facts = _planted_rows(folder, days)
    tell(f"{rows.height} episodes, {facts}")
    ends = [days[round(share * len(days))] for share in (LEARNED, LEARNED + CALIBRATED)]
    cost, found = measured(lambda: judged(rows, ends, allowed(), ModelSettings()))
    tell(f"judged: {cost.wall_s:.0f} s")
    return {
        "machine": machine(),
        "mode": mode,
        "sessions": sessions,
        "records": records,
        "seed": seed,
        "episodes": rows.height,
        **facts,
        "judged_episodes": found.rows.height,
        "oracle": {said: found.oracle(said) for said in ("p_break", "p_tradeable")},
        "told": [*found.aucs(), *(found.of(*line) for line in TOLD)],
    }


def markdown(document: dict[str, Any]) -> str:
    """The result as a table."""
    head = (
        f"{document['mode']}: {document['sessions']} sessions of {document['records']:,} records, seed {document['seed']}, {document['attempts']:,} planted"
        f" attempts, {document['found']:.1%} of them an episode, {document['as_drawn']:.1%} of these with the outcome drawn;"
        f" {document['judged_episodes']:,} episodes judged."
    )
    rows = [
        [
            line["subject"],
            line["measure"],
            *(f"{line[name]:.3f}" for name in ("value", "null_low", "null_high")),
            f"{document['oracle'][line['subject']]:.3f}"
            if line["measure"] == "auc" and line["subject"] in document["oracle"]
            else "",
        ]
        for line in document["told"]
    ]
    headings = ["of", "measure", "found", "null from", "to", "who planted it"]
    return "\n".join([head, "", *table(headings, rows)])


def _sessions(count: int) -> list[dt.date]:
    """The first trade dates with a cash session from ``FIRST`` on: more sessions are the same ones and others after them."""
    from footprint_assets import calendar as cme

    days = cme.sessions(FIRST, FIRST + dt.timedelta(days=2 * count + 20))
    return [day for day in days if cme.session(day).rth_open_ns is not None][:count]


def _simulate(folder: Path, days: Sequence[dt.date], records: int, seed: int, mode: str) -> None:
    from footprint_assets.sample import write_sample
    from footprint_assets.sample.edge import ATTEMPTS_FILE

    if not (folder / ATTEMPTS_FILE).exists():
        write_sample(folder, days[0], days[-1], records, seed, roots=("ES",), mode=mode)  # type: ignore[arg-type]  # one of the choices of the command


def make_lake(folder: Path, days: Iterable[dt.date]) -> None:
    """Make the signals of some trade dates and every table they are made of; a date that has them is left as it is.

    Args:
        folder: Holds the drop folder ``dbn`` and the ``lake``.
        days: The trade dates, oldest first.
    """
    from footprint_assets.assets import tables
    from footprint_assets.resources import Workbench
    from footprint_assets.settings import LevelSettings, Root, Settings
    from footprint_assets.tables import Scope, Staged, passes, stage_pass

    settings = Settings(
        lake_root=folder / "lake",
        dbn_dir=folder / "dbn",
        roots={"ES": Root()},
        levels=LevelSettings(pipelines=LEVELS),
    )
    bench = Workbench(settings)
    wanted = _what_is_read(SIGNALS, tables(settings))
    for day in days:
        if bench.lake.manifests(SIGNALS, day):
            continue
        scope = Scope.of(day, bench)
        for together in passes(wanted):
            for made in stage_pass(together, scope, together[0].open_inputs(scope), "benchmark"):
                if isinstance(made, Staged):
                    made.stage.publish()


def _what_is_read(key: str, every: Iterable[LakeTable]) -> list[LakeTable]:
    """A table and all tables it is made of, in their order."""
    by_key = {table.key: table for table in every}
    wanted, found = [key], set()
    while wanted:
        table = by_key[wanted.pop()]
        if table.key not in found:
            found |= {table.key}
            wanted += [*table.inputs.values(), *table.pass_keys]
    return [table for table in by_key.values() if table.key in found]


def _planted_rows(folder: Path, days: Sequence[dt.date]) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Rows to learn from of the planted attempts, and how many of them the tables found."""
    from footprint_assets.lake import Lake
    from footprint_assets.ml.features import allowed
    from footprint_assets.ml.training import training_rows
    from footprint_assets.sample.edge import ATTEMPTS_FILE, read_attempts
    from footprint_assets.settings import LabelSettings

    lake, signals = Lake(folder / "lake"), []
    for day in days:
        with lake.read(SIGNALS, day) as snapshot:
            signals += [partition.frame() for partition in snapshot]
    rows = training_rows(pl.concat(signals), allowed(), LabelSettings())
    key = ["level_type", "approach_direction", "decision_ts"]
    planted = read_attempts(folder / "dbn" / ATTEMPTS_FILE).filter(pl.col("session_date").is_in(list(days)))
    drawn = planted.select(*key, drawn="outcome", true_break="p_break", true_tradeable="p_tradeable")
    found = rows.join(drawn, on=key, how="inner", maintain_order="left")
    return found.drop("drawn"), {
        "attempts": planted.height,
        "found": found.height / planted.height,
        "as_drawn": float((found["drawn"] == found["outcome"].cast(pl.String)).mean()),  # type: ignore[arg-type]  # a share, whatever polars calls it
        "other_episodes": rows.height - found.height,
    }
