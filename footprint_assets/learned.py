"""What was learned by a month, read back from the lake: the models in use, past setups, maps to honest probabilities.

A month uses what was made for it or, where that is not there, for the last month before it; never what a later month made.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from footprint_assets.assets.judging import CALIBRATOR, CHAMPION
from footprint_assets.assets.learning import INDEX, SPACE
from footprint_assets.errors import FootprintError
from footprint_assets.gold_contracts import MODELS
from footprint_assets.lake import Lake
from footprint_assets.ml import calibrators
from footprint_assets.ml.artefacts import model_of
from footprint_assets.ml.features import FeaturesDiffer, allowed
from footprint_assets.ml.heads import HEADS, Head, Model
from footprint_assets.ml.promotion import in_use
from footprint_assets.ml.retrieval import Index
from footprint_assets.ml.retrieval_rows import index_of
from footprint_assets.resources import Workbench
from footprint_assets.tables import TableInput


class NothingLearned(FootprintError):  # noqa: N818 - names the fact a reader meets
    """No month up to the one asked about has learned what the answer needs."""


@dataclass(frozen=True)
class InUse:
    """The model of a head that is in use in a month.

    Args:
        month: The month it was made for.
        model: The model.
    """

    month: dt.date
    model: Model


@dataclass(frozen=True)
class Learned:
    """What a month may use of one product root.

    Args:
        bench: The lake.
        month: First day of the month.
        root: Product root, such as ``ES``.
    """

    bench: Workbench
    month: dt.date
    root: str

    def champions(self) -> dict[str, InUse]:
        """The model in use of every head that has one, as the last month before wrote it down.

        The month it was made for may have been learned again since: that model was never judged.
        """
        month = newest(self.bench.lake, CHAMPION, self.root, before=self.month)
        if month is None:
            return {}
        rows = {str(row["head"]): row for row in self.rows(CHAMPION, month).iter_rows(named=True)}
        found = {name: in_use(HEADS[name].name, row) for name, row in sorted(rows.items())}
        return {name: InUse(one.month, one.model) for name, one in found.items() if one is not None}

    def model(self, head: Head, month: dt.date) -> Model | None:
        """The model that was made of a head for a month; ``None`` where too little was known to train one.

        Raises:
            PartitionMissing: The table of the month is not published.
        """
        return model_of(head.name, self.rows(MODELS[head.name], month))

    @cached_property
    def index_month(self) -> dt.date | None:
        """The month of the index of past setups; ``None`` where there is none by this month."""
        return newest(self.bench.lake, INDEX, self.root, by=self.month)

    def index(self) -> Index | None:
        """Past setups: the episodes before the index's month; ``None`` where there are none.

        Raises:
            FeaturesDiffer: The index was made for other features than today's.
        """
        month = self.index_month
        if month is None:
            return None
        found = index_of(self.rows(SPACE, month), self.rows(INDEX, month), self.bench.settings.retrieval)
        if found is not None and found.space.features_sha256 != (today := allowed().sha256):
            raise FeaturesDiffer(
                "The past setups were placed by another list of features.",
                where={
                    "month": f"{month:%Y-%m}",
                    "index": found.space.features_sha256[:12],
                    "today": today[:12],
                },
                remedy=learn(month),
            )
        return found

    def nothing(self) -> NothingLearned:
        """Why there is no answer."""
        return NothingLearned(
            "Nothing was learned of earlier months by this one.",
            where={"table": INDEX, "root": self.root, "month": f"{self.month:%Y-%m}"},
            remedy=f"{learn(self.month)}, after the months before it.",
        )

    def calibrators(self) -> pl.DataFrame:
        """Rows of `calibrator`; none where there is none by this month."""
        month = newest(self.bench.lake, CALIBRATOR, self.root, by=self.month)
        return pl.DataFrame(schema=calibrators.SCHEMA) if month is None else self.rows(CALIBRATOR, month)

    def rows(self, table: str, month: dt.date) -> pl.DataFrame:
        """Rows of a table of one month.

        Raises:
            PartitionMissing: It is not published.
        """
        return TableInput(self.bench.lake, table, (month,)).frame(self.root)


def learn(month: dt.date) -> str:
    """The command that makes the tables of a month."""
    return f"footprint-assets learn --start {month:%Y-%m} --end {month:%Y-%m}"


def newest(
    lake: Lake, table: str, root: str, *, by: dt.date | None = None, before: dt.date | None = None
) -> dt.date | None:
    """The newest month of a table that has a root.

    Args:
        lake: The lake.
        table: Dataset key of a month table.
        root: Product root.
        by: Last month that counts; no bound where ``None``.
        before: First month that does not count; no bound where ``None``.
    """
    for month in reversed(lake.dates(table)):
        counts = (by is None or month <= by) and (before is None or month < before)
        if counts and root in lake.symbols(table, month):
            return month
    return None
