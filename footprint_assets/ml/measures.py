"""One shape for everything that is measured: a number, what it is a number of, and what chance alone would give.

Where there are too few rows to say anything honest, a measure is there without its number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.ml.resampling import Band
from footprint_assets.settings import JudgingSettings

Int64 = npt.NDArray[np.int64]

ALL = "all"
_NUMBERS = ("value", "reference", "low", "high", "null_low", "null_high")
SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("subject", "measure", "split", "segment"), pl.String()),
    **dict.fromkeys(_NUMBERS, pl.Float64()),
    "is_beyond_null": pl.Boolean(),
    **dict.fromkeys(("rows", "sessions"), pl.Int32()),
}


@dataclass(frozen=True)
class Measure:
    """One number of a report; NaN where it is not known.

    Args:
        subject: What is measured, such as ``p_break``.
        measure: What of it, such as ``log_loss``.
        split: What the rows are parted by: ``all``, ``level_type``, ``month``, and more.
        segment: The part.
        rows: Rows measured.
        sessions: Trade dates they are of.
        value: The number.
        reference: The number where there is nothing to report, such as 0.5 of an AUC.
        low: Lower end of the band that holds the number with a chance of 0.95.
        high: Upper end.
        null_low: Lower end of the band that holds it with that chance where there is nothing to report.
        null_high: Upper end.
    """

    subject: str
    measure: str
    split: str
    segment: str
    rows: int
    sessions: int
    value: float = math.nan
    reference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    null_low: float = math.nan
    null_high: float = math.nan

    @property
    def is_beyond_null(self) -> bool | None:
        """Whether the number lies outside its null band; ``None`` where either is not known."""
        ends = [end for end in (self.null_low, self.null_high) if not math.isnan(end)]
        if math.isnan(self.value) or not ends:
            return None
        return bool(self.value < self.null_low or self.value > self.null_high)

    @classmethod
    def of(cls, subject: str, measure: str, split: str, segment: str, session: Int64) -> Measure:
        """A measure whose number is not known yet.

        Args:
            subject: What is measured.
            measure: What of it.
            split: What the rows are parted by.
            segment: The part.
            session: Trade date of each row measured, as a number; int64[rows].
        """
        return cls(subject, measure, split, segment, int(session.size), int(np.unique(session).size))

    def is_enough(self, settings: JudgingSettings) -> bool:
        """Whether so many rows of so many trade dates say anything."""
        return self.rows >= settings.min_segment_rows and self.sessions >= settings.min_segment_sessions

    def saying(self, value: float, reference: float = math.nan) -> Measure:
        """The same with its number, and the number where there is nothing to report."""
        return replace(self, value=value, reference=reference)

    def with_bands(self, band: Band | None = None, null: Band | None = None) -> Measure:
        """The same with its bands."""
        made = self
        if band is not None:
            made = replace(made, low=band.low, high=band.high)
        if null is not None:
            made = replace(made, null_low=null.low, null_high=null.high)
        return made

    def beyond(self, bound: float) -> Measure:
        """The same with a null band that has an upper end only."""
        return replace(self, null_high=bound)


def table(measures: Iterable[Measure]) -> pl.DataFrame:
    """Rows of a report, by subject, measure, split and segment; what is not known is null."""
    rows = [asdict(measure) | {"is_beyond_null": measure.is_beyond_null} for measure in measures]
    finite = [pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in _NUMBERS]
    return (
        pl.DataFrame(rows, schema=SCHEMA).with_columns(finite).sort("subject", "measure", "split", "segment")
    )


def segments(rows: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """All rows, those of each kind of level, and those of each month, each with the names of split and segment.

    Args:
        rows: Rows with ``level_type`` and ``session_date``.
    """
    yield ALL, ALL, rows
    months = rows.with_columns(pl.col("session_date").dt.strftime("%Y-%m").alias("month"))
    for split in ("level_type", "month"):
        parts = months.partition_by(split, maintain_order=True, as_dict=True)
        for (segment,), part in sorted(parts.items(), key=lambda item: str(item[0])):
            yield split, str(segment), part.drop("month")
