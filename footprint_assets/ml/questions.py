"""Which probabilities are published, of which rows each speaks, and when it came true.

A question is asked of rows of `out_of_fold` or `predictions`. The retrieval model gives three chances; asked are the two they
are made of, so that mapping each to an honest one leaves three chances that add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.ml.heads import BIN_ENDS, QUANTILES

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

OUTCOME = pl.col("outcome").cast(pl.String)
DECIDED = OUTCOME.is_in(["BREAK", "BOUNCE"])
KNOWN = OUTCOME.is_in(["BREAK", "BOUNCE", "CHOP"])

LAST_BIN = f"b{BIN_ENDS.size:02d}"
SIDES = ("break", "bounce")
STRENGTH = tuple(f"strength_q{q * 100:.0f}_pts" for q in QUANTILES)
RAW = "_raw"
"""Ending of what a model said before it was calibrated."""


@dataclass(frozen=True)
class Question:
    """Something that happens or not, and the probability a model gives it.

    Args:
        name: Column of the probability.
        head: The head that says it; ``retrieval`` for the neighbours.
        rows: Rows it speaks of.
        happens: Whether it came true.
    """

    name: str
    head: str
    rows: pl.Expr
    happens: pl.Expr


QUESTIONS = (
    Question("p_tradeable", "tradeability", KNOWN, DECIDED),
    Question("p_break", "direction", DECIDED, OUTCOME == "BREAK"),
    *(
        Question(f"p_{side}_by_{LAST_BIN}", "time_to_threshold", KNOWN, OUTCOME.eq(side.upper()))
        for side in SIDES
    ),
    Question("retrieval_p_tradeable", "retrieval", KNOWN, DECIDED),
    Question("retrieval_p_break_if_decided", "retrieval", DECIDED, OUTCOME == "BREAK"),
)
BASELINES = {"p_tradeable": "retrieval_p_tradeable", "p_break": "retrieval_p_break_if_decided"}
"""The question the neighbours answer, by the same question to boosted trees."""


@dataclass(frozen=True)
class Answers:
    """What was said of a question and what came of it; one entry a row, rows of a trade date together.

    Args:
        p: Probability of 1; float64.
        y: What happened, 0 or 1; int64.
        session: Trade date as a number; int64.
    """

    p: Float64
    y: Int64
    session: Int64

    def __len__(self) -> int:
        return int(self.y.shape[0])

    @property
    def sessions(self) -> int:
        """Trade dates."""
        return int(np.unique(self.session).size)


def with_retrieval_questions(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `out_of_fold` with the two chances that those of the retrieval model are made of.

    Args:
        rows: Rows with ``retrieval_p_break``, ``retrieval_p_bounce`` and ``retrieval_p_chop``.

    Returns:
        The rows with ``retrieval_p_tradeable`` and ``retrieval_p_break_if_decided``, float64; null where there was no
        neighbour, or no chance of a decision.
    """
    broken, bounced = pl.col("retrieval_p_break").fill_nan(None), pl.col("retrieval_p_bounce").fill_nan(None)
    decided = broken + bounced
    return rows.with_columns(
        decided.clip(0.0, 1.0).alias("retrieval_p_tradeable"),
        pl.when(decided > 0).then(broken / decided).alias("retrieval_p_break_if_decided"),
    )


def answers(question: Question, rows: pl.DataFrame, column: str = "") -> Answers:
    """What was said of a question in rows that it speaks of.

    Args:
        question: The question.
        rows: Rows of `out_of_fold` or `predictions`.
        column: Column of the probability; that of the question where empty.
    """
    said = pl.col(column or question.name).fill_nan(None)
    asked = rows.filter(question.rows & said.is_not_null()).sort("session", "decision_ts", "episode_id")
    found = asked.select(
        said.cast(pl.Float64).alias("p"),
        question.happens.cast(pl.Int64).alias("y"),
        pl.col("session").cast(pl.Int64),
    )
    return Answers(*(found[name].to_numpy() for name in ("p", "y", "session")))
