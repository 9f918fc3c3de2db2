"""The maps from what models say to honest probabilities and intervals, as rows of a table, and their use.

A map of month M is fitted on what the models of earlier months said of episodes they had not seen. While there are too few
of those it changes nothing, and says why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.ml.calibration import Calibrator, Kind, OneClass, fit, venn_abers
from footprint_assets.ml.features import FeaturesDiffer
from footprint_assets.ml.heads import BIN_ENDS, QUANTILES
from footprint_assets.ml.questions import (
    LAST_BIN,
    QUESTIONS,
    RAW,
    SIDES,
    STRENGTH,
    Question,
    answers,
    with_retrieval_questions,
)
from footprint_assets.settings import JudgingSettings

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

IDENTITY = "identity"
CONFORMAL = "conformal"
COVERAGE = QUANTILES[-1] - QUANTILES[0]
"""Share of outcomes that the interval of ``strength`` is made to hold."""
WITH_INTERVAL = ("p_break", "retrieval_p_break_if_decided")
"""Questions whose answer has a Venn-Abers interval; their calibrators keep the rows it needs."""

SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("name", "said_by", "method", "reason"), pl.String()),
    "parameters": pl.List(pl.Float64()),
    **dict.fromkeys(("rows", "sessions"), pl.Int32()),
    **dict.fromkeys(("first_session_date", "last_session_date"), pl.Date()),
    "known_p": pl.List(pl.Float64()),
    "known_y": pl.List(pl.Int8()),
    "features_sha256": pl.String(),
}


def fit_calibrators(earlier: pl.DataFrame, features_sha256: str, settings: JudgingSettings) -> pl.DataFrame:
    """Fit the map of every question, and the width of the interval of ``strength``.

    Args:
        earlier: Rows of `out_of_fold` of earlier months; may be none.
        features_sha256: Of the allow list the rows were made by.
        settings: Kind of map and fewest rows.

    Returns:
        One row a question and one for ``strength``, by ``name``. ``parameters`` of ``platt`` and ``beta`` are
        ``slope_log_p``, ``slope_log_q``, ``intercept``; of ``conformal`` the width in points; of ``identity`` none, and
        ``reason`` says why.
    """
    earlier = with_retrieval_questions(earlier)
    rows = [_row_of(question, earlier, settings) for question in QUESTIONS]
    rows.append(_row_of_strength(earlier, settings))
    dates = {
        "first_session_date": earlier["session_date"].min(),
        "last_session_date": earlier["session_date"].max(),
        "features_sha256": features_sha256,
    }
    return pl.DataFrame([row | dates for row in rows], schema=SCHEMA).sort("name")


def _row_of(question: Question, earlier: pl.DataFrame, settings: JudgingSettings) -> dict[str, object]:
    known = answers(question, earlier)
    row: dict[str, object] = {
        "name": question.name,
        "said_by": question.head,
        "rows": len(known),
        "sessions": known.sessions,
        "known_p": [],
        "known_y": [],
    }
    reason = _too_few(len(known), known.sessions, settings)
    if not reason:
        try:
            map_ = fit(known.p, known.y, settings.calibrator)
        except OneClass:
            reason = "one outcome only"
    if reason:
        return row | {"method": IDENTITY, "reason": reason, "parameters": []}
    if question.name in WITH_INTERVAL:
        row |= {"known_p": known.p.tolist(), "known_y": known.y.tolist()}
    return row | {
        "method": map_.kind,
        "reason": None,
        "parameters": [map_.slope_log_p, map_.slope_log_q, map_.intercept],
    }


def _row_of_strength(earlier: pl.DataFrame, settings: JudgingSettings) -> dict[str, object]:
    known = earlier.drop_nulls([*STRENGTH, "strength_signed_pts"]).sort(
        "session", "decision_ts", "episode_id"
    )
    session = known["session"].cast(pl.Int64).to_numpy()
    row: dict[str, object] = {
        "name": "strength",
        "said_by": "strength",
        "rows": known.height,
        "sessions": int(np.unique(session).size),
        "known_p": [],
        "known_y": [],
    }
    reason = _too_few(known.height, int(np.unique(session).size), settings)
    if reason:
        return row | {"method": IDENTITY, "reason": reason, "parameters": []}
    low, high, truth = (known[name].to_numpy() for name in (STRENGTH[0], STRENGTH[-1], "strength_signed_pts"))
    miss = np.maximum(low - truth, truth - high)
    asked = adapted_coverage(miss, session, COVERAGE, settings.adaptive_gamma, settings.min_sessions)
    width = conformal_width(miss, session, asked)
    if not math.isfinite(width):
        reason = f"too few trade dates for a coverage of {COVERAGE:.1f}"
        return row | {"method": IDENTITY, "reason": reason, "parameters": []}
    return row | {"method": CONFORMAL, "reason": None, "parameters": [width]}


def _too_few(rows: int, sessions: int, settings: JudgingSettings) -> str:
    if not rows:
        return "no earlier predictions"
    if rows < settings.min_rows:
        return f"too few rows: {rows} of {settings.min_rows}"
    if sessions < settings.min_sessions:
        return f"too few trade dates: {sessions} of {settings.min_sessions}"
    return ""


def conformal_width(miss: Float64, session: Int64, coverage: float) -> float:
    """How far both ends of an interval move outwards so that it holds an outcome of a new trade date with a given chance.

    Conformalised quantile regression (Romano, Patterson, Candes 2019), with trade dates in the place of rows, each
    counting alike (Dunn, Wasserman, Ramdas, *Distribution-Free Prediction Sets for Two-Layer Hierarchical Models*,
    2022, section 3.1).

    Args:
        miss: How far each outcome lies outside its interval, below 0 inside; float64[rows].
        session: Trade date of each row as a number; int64[rows].
        coverage: The chance.

    Returns:
        The move, below 0 where the intervals are too wide; infinite where there are too few trade dates for the chance.
    """
    _, place, rows = np.unique(session, return_inverse=True, return_counts=True)
    order = np.argsort(miss, kind="stable")
    mass = np.cumsum(1.0 / rows[place][order]) / (rows.size + 1)
    enough = np.flatnonzero(mass >= coverage - 1e-12)
    return float(miss[order][enough[0]]) if enough.size else math.inf


def adapted_coverage(miss: Float64, session: Int64, coverage: float, gamma: float, first: int) -> float:
    """The coverage to ask :func:`conformal_width` for so that, with outcomes that drift, the one wanted is met.

    Adaptive conformal inference (Gibbs, Candes, *Adaptive Conformal Inference Under Distribution Shift*, 2021, equation 2),
    a step a trade date: each is held against the width that those before it give.

    Args:
        miss: As for :func:`conformal_width`.
        session: As for :func:`conformal_width`.
        coverage: The coverage wanted.
        gamma: Size of a step; 0 asks for what is wanted.
        first: Trade dates before the first step.

    Returns:
        The coverage, from 0 to the largest that so many trade dates can answer.
    """
    dates, asked = np.unique(session), coverage
    for date in dates[first:] if gamma > 0 else ():
        earlier = session < date
        width = conformal_width(miss[earlier], session[earlier], asked)
        asked += gamma * (coverage - float(np.mean(miss[session == date] <= width)))
    return asked if gamma == 0 else min(max(asked, 0.0), dates.size / (dates.size + 1))


def calibrate(
    said: pl.DataFrame, calibrators: pl.DataFrame, features_sha256: str, settings: JudgingSettings
) -> pl.DataFrame:
    """Turn what models say into honest probabilities and intervals.

    Args:
        said: Rows of `out_of_fold`, or of the same columns with outcomes not known yet.
        calibrators: Rows of `calibrator`.
        features_sha256: Of the allow list the rows were made by.
        settings: Steps of the intervals.

    Returns:
        The rows with every probability calibrated and beside it, ending in ``_raw``, what the model said;
        ``<name>_low`` and ``<name>_high`` for ``p_break`` and ``retrieval_p_break_if_decided`` (Venn-Abers);
        ``strength_low_pts`` and ``strength_high_pts``; ``chance_break``, ``chance_bounce`` and ``chance_chop``, which add
        up to 1, and ``chances_from``: ``trees``, or ``retrieval`` where there are none. What nothing is known of is null.

    Raises:
        FeaturesDiffer: The calibrators were made with another allow list.
    """
    _require_same(calibrators, features_sha256)
    maps = {row["name"]: row for row in calibrators.iter_rows(named=True)}
    rows = with_retrieval_questions(said)
    raw = rows.select(pl.col(question.name).fill_nan(None).cast(pl.Float64) for question in QUESTIONS)
    mapped = raw.select(_mapped(raw[name], maps.get(name)) for name in raw.columns)
    intervals = [end for name in WITH_INTERVAL for end in _interval(raw[name], maps.get(name), settings)]
    rows = rows.with_columns(mapped).with_columns(
        *_curves(rows, raw, mapped),
        *(raw[name].alias(f"{name}{RAW}") for name in raw.columns),
        *intervals,
    )
    return _chances(_strength(rows, maps.get("strength")))


def _require_same(calibrators: pl.DataFrame, features_sha256: str) -> None:
    other = [sha for sha in calibrators["features_sha256"].unique().sort() if sha != features_sha256]
    if other:
        raise FeaturesDiffer(
            "The calibrators were made for another list of features.",
            where={"calibrators": other[0][:12], "rows": features_sha256[:12]},
            remedy="make the calibrators of the month again with today's features.",
        )


def _mapped(said: pl.Series, row: Mapping[str, object] | None) -> pl.Series:
    if row is None or row["method"] == IDENTITY:
        return said
    kind: Kind = "platt" if row["method"] == "platt" else "beta"
    map_ = Calibrator(kind, *(float(value) for value in _numbers(row["parameters"])))
    return _spread(said, map_(said.drop_nulls().to_numpy()))


def _spread(said: pl.Series, values: Float64) -> pl.Series:
    """Values of the known entries at their places; null elsewhere."""
    spread = np.full(len(said), np.nan)
    spread[said.is_not_null().to_numpy()] = values
    return pl.Series(said.name, spread).fill_nan(None)


def _numbers(values: object) -> list[float]:
    assert isinstance(values, list)
    return [float(value) for value in values]


def _interval(
    said: pl.Series, row: Mapping[str, object] | None, settings: JudgingSettings
) -> list[pl.Series]:
    names = [f"{said.name}_low", f"{said.name}_high"]
    known_p, known_y = ([], []) if row is None else (_numbers(row["known_p"]), _numbers(row["known_y"]))
    if not known_p:
        return [pl.Series(name, [None] * len(said), pl.Float64) for name in names]
    # Rounding is a function of the score alone, so the intervals stay valid, and fits are needed of the steps only.
    known, step = (np.array(known_y, np.int64), settings.score_step)
    rounded = np.round(np.array(known_p) / step)
    ends = venn_abers(rounded, known, np.round(said.drop_nulls().to_numpy() / step))
    return [_spread(said, end).alias(name) for name, end in zip(names, ends, strict=True)]


def _curves(rows: pl.DataFrame, raw: pl.DataFrame, mapped: pl.DataFrame) -> list[pl.Series]:
    """The chances of a barrier by time, scaled to what the calibrated chance of the whole horizon says.

    Each curve keeps its shape; where both together would exceed 1 they share the excess.
    """
    last = {side: f"p_{side}_by_{LAST_BIN}" for side in SIDES}
    together = pl.sum_horizontal(*last.values(), ignore_nulls=False)
    excess = mapped.select(pl.max_horizontal(pl.lit(1.0), together).alias("excess"))["excess"]
    curves = []
    for side, name in last.items():
        scale = pl.select(pl.when(raw[name] > 0).then(mapped[name] / raw[name] / excess).otherwise(1.0))
        factor = scale.to_series()
        curves += [
            (rows[f"p_{side}_by_b{bin_:02d}"].fill_nan(None) * factor).clip(0.0, 1.0)
            for bin_ in range(1, BIN_ENDS.size + 1)
        ]
    return curves


def _strength(rows: pl.DataFrame, row: Mapping[str, object] | None) -> pl.DataFrame:
    width = _numbers(row["parameters"])[0] if row is not None and row["method"] == CONFORMAL else math.inf
    low, middle, high = (pl.col(name).fill_nan(None) for name in STRENGTH)
    known = pl.lit(math.isfinite(width))
    move = width if math.isfinite(width) else 0.0
    return rows.with_columns(
        pl.when(known).then(pl.min_horizontal(low - move, middle)).alias("strength_low_pts"),
        pl.when(known).then(pl.max_horizontal(high + move, middle)).alias("strength_high_pts"),
    )


def _chances(rows: pl.DataFrame) -> pl.DataFrame:
    trees = pl.col("p_tradeable").is_not_null() & pl.col("p_break").is_not_null()
    found = (
        pl.col("retrieval_p_tradeable").is_not_null() & pl.col("retrieval_p_break_if_decided").is_not_null()
    )
    decided = pl.when(trees).then("p_tradeable").when(found).then("retrieval_p_tradeable")
    broken = pl.when(trees).then("p_break").when(found).then("retrieval_p_break_if_decided")
    return rows.with_columns(
        *_three(decided, broken, "chance"),
        pl.when(trees).then(pl.lit("trees")).when(found).then(pl.lit("retrieval")).alias("chances_from"),
        *_three(pl.col("retrieval_p_tradeable"), pl.col("retrieval_p_break_if_decided"), "retrieval_p"),
    )


def _three(decided: pl.Expr, broken: pl.Expr, name: str) -> list[pl.Expr]:
    return [
        (decided * broken).alias(f"{name}_break"),
        (decided * (1.0 - broken)).alias(f"{name}_bounce"),
        (1.0 - decided).alias(f"{name}_chop"),
    ]
