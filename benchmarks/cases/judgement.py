"""The figures behind the choices of the models' judgement, on data whose truth is known: no race, a count.

Chance is judged by whole trade dates, neighbours are of other trade dates, probabilities are mapped by two numbers: each
choice beside what it replaces. A session's 2 million records ask for twenty repetitions, fewer for fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

from benchmarks.cases.learning import SECTION
from benchmarks.market import Data
from benchmarks.model import Case, Facts, Line, Prepared, Side, value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SESSIONS, A_DAY, WIDTH = 60, 40, 20
FOLDS, EMBARGO = 5, 3
NEIGHBOURS = 15
CALIBRATION_ROWS = (200, 500, 1_500, 5_000)
JUDGED_ROWS = 40_000
HOLDS = 0.8
"""Chance that a row of a trade date has the outcome most rows of it have, in data where nothing is to be found."""


def repetitions(data: Data) -> int:
    """How often chance is drawn."""
    return max(1, min(20, data.records // 100_000))


def _side(figures: Callable[[int], Facts]) -> Any:
    @contextmanager
    def side(data: Data) -> Prepared:
        yield lambda: figures(repetitions(data)), lambda found: found

    return side


# ---------------------------------------------------------------- calibration
def calibrators(times: int) -> Facts:
    """Log-loss of an overconfident model after each map, by the rows that the map is fitted on."""
    import numpy as np

    from footprint_assets.ml.calibration import Kind, fit
    from footprint_assets.ml.scores import isotonic, log_loss

    random = np.random.default_rng(0)

    def drawn(rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        odds = random.normal(0.0, 0.9, rows)
        true = 1 / (1 + np.exp(-odds))
        said = 1 / (1 + np.exp(-(1.6 * odds + 0.4)))
        return true, (random.random(rows) < true).astype(np.int64), said

    def rising(p: NDArray[np.float64], y: NDArray[np.int64], asked: NDArray[np.float64]) -> Any:
        order = np.argsort(p)
        return np.interp(asked, p[order], isotonic(p, y)[order])

    found: dict[str, list[float]] = {}
    for _ in range(times):
        true, y, said = drawn(JUDGED_ROWS)
        best = log_loss(y, true)
        found.setdefault("raw", []).append(log_loss(y, said) - best)
        for rows in CALIBRATION_ROWS:
            _, known_y, known = drawn(rows)
            for kind in get_args(Kind):
                mapped = fit(known, known_y, kind)(said)
                found.setdefault(f"{kind}_{rows}", []).append(log_loss(y, mapped) - best)
            mapped = np.clip(rising(known, known_y, said), 1e-3, 1 - 1e-3)
            found.setdefault(f"isotonic_{rows}", []).append(log_loss(y, mapped) - best)
    mean = {name: float(np.mean(values)) for name, values in found.items()}
    for rows in CALIBRATION_ROWS:
        mean[f"isotonic_less_platt_{rows}"] = mean[f"isotonic_{rows}"] - mean[f"platt_{rows}"]
    return mean


# ---------------------------------------------------------------- drift
def stability(times: int) -> Facts:
    """The stability index of two samples of one distribution: mean and 95th percentile, beside what is expected."""
    import numpy as np

    from footprint_assets.ml.drift import drift

    random = np.random.default_rng(0)
    found: Facts = {}
    for n, m in ((500, 500), (200, 200), (5_000, 200)):
        drawn = [drift(random.normal(size=n), random.normal(size=m)) for _ in range(100 * times)]
        index = [one.index for one in drawn]
        found |= {
            f"mean_over_expected_{n}_{m}": float(np.mean(index) / drawn[0].expected),
            f"p95_{n}_{m}": float(np.quantile(index, 0.95)),
            f"above_0.1_{n}_{m}": float(np.mean(np.array(index) > 0.1)),
            f"alarms_{n}_{m}": float(np.mean([one.is_alarm for one in drawn])),
        }
    return found


# ---------------------------------------------------------------- nothing to be found
def nothing(seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Features, outcomes, trade dates: both hold a day, neither knows of the other."""
    import numpy as np

    random = np.random.default_rng(seed)
    session = np.repeat(np.arange(SESSIONS), A_DAY)
    day = random.integers(0, 2, SESSIONS)[session]
    y = np.where(random.random(session.size) < HOLDS, day, 1 - day)
    x = random.normal(size=(SESSIONS, WIDTH))[session] + random.normal(size=(session.size, WIDTH))
    return x.astype(np.float32), y.astype(np.int64), session


def neighbours(times: int) -> Facts:
    """How much oftener the nearest rows share the outcome than chance has it, where nothing is to be found."""
    import numpy as np

    def lift(seed: int, *, other_dates: bool) -> float:
        x, y, session = nothing(seed)
        far = (x**2).sum(axis=1)[None, :] - 2.0 * x @ x.T
        left_out = session[:, None] == session[None, :] if other_dates else np.eye(y.size, dtype=bool)
        near = np.argpartition(np.where(left_out, np.inf, far), NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        base = np.where(y == 1, y.mean(), 1 - y.mean())
        return float((y[near] == y[:, None]).mean() / base.mean())

    return {
        "excluding_self": float(np.mean([lift(seed, other_dates=False) for seed in range(times)])),
        "excluding_session": float(np.mean([lift(seed, other_dates=True) for seed in range(times)])),
    }


def folds(times: int) -> Facts:
    """AUC of boosted trees where nothing is to be found, by how rows are put into folds."""
    import lightgbm
    import numpy as np

    from footprint_assets.ml.scores import auc
    from footprint_assets.ml.splits import Labels, Split, purged_k_fold

    parameters = {
        "objective": "binary",
        "num_leaves": 15,
        "min_data_in_leaf": 20,
        "num_threads": 1,
        "verbosity": -1,
    }

    def judged(x: Any, y: Any, splits: list[Split]) -> float:
        said = np.full(y.size, np.nan)
        for split in splits:
            booster = lightgbm.train(parameters, lightgbm.Dataset(x[split.train], y[split.train]), 40)
            # Each fold by itself: base rates of the training rows differ, which is no skill and no lack of it.
            said[split.test] = booster.predict(x[split.test], num_threads=1) - y[split.train].mean()
        return auc(y, said)

    by_row, by_date = [], []
    for seed in range(times):
        x, y, session = nothing(seed)
        order = np.random.default_rng(seed).permutation(y.size)
        rows = [Split(np.setdiff1d(order, test), np.sort(test)) for test in np.array_split(order, FOLDS)]
        by_row.append(judged(x, y, rows))
        start = np.arange(y.size, dtype=np.int64)
        labels = Labels(start, start + 1, session)
        by_date.append(judged(x, y, list(purged_k_fold(labels, n_splits=FOLDS, embargo_sessions=EMBARGO))))
    return {
        "by_row": float(np.mean(by_row)),
        "by_trade_date": float(np.mean(by_date)),
        "by_trade_date_sd": float(np.std(by_date)),
    }


def shuffles(times: int) -> Facts:
    """Standard deviation of the AUC of a score that knows nothing, by how outcomes are put into another order."""
    import numpy as np

    from footprint_assets.ml.scores import auc

    random = np.random.default_rng(0)
    rows, dates = [], []
    for seed in range(times):
        x, y, _ = nothing(seed)
        score, blocks = x[:, 0].astype(np.float64), y.reshape(SESSIONS, A_DAY)
        dates += [auc(random.permutation(blocks).ravel(), score) for _ in range(50)]
        rows += [auc(random.permutation(y), score) for _ in range(50)]
    return {
        "sd_by_trade_date": float(np.std(dates)),
        "sd_by_row": float(np.std(rows)),
        "width": float(np.std(dates) / np.std(rows)),
    }


# ---------------------------------------------------------------- the lines
def _told(name: str, side: str, fact: str, unit: str = "", wanted: float | None = None, **bound: Any) -> Line:
    return Line(name, value(side, fact), wanted, unit, **bound)


def _calibration_lines() -> tuple[Line, ...]:
    told = [_told("log-loss above the truth's: as the model says it", "calibrators", "raw", "nats")]
    for rows in CALIBRATION_ROWS:
        of = f"fitted on {rows:,} rows"
        told += [
            _told(f"log-loss above the truth's: {title}, {of}", "calibrators", f"{kind}_{rows}", "nats")
            for kind, title in (("platt", "Platt"), ("beta", "beta"), ("isotonic", "isotonic"))
        ]
        told.append(
            _told(
                f"log-loss: isotonic less Platt, {of}",
                "calibrators",
                f"isotonic_less_platt_{rows}",
                "nats",
                0.0,
            )
        )
    return tuple(told)


def _drift_lines() -> tuple[Line, ...]:
    told = []
    for n, m in ((500, 500), (200, 200), (5_000, 200)):
        of = f"{n:,} and {m:,} rows"
        told += [
            _told(
                f"stability index without drift: mean / expected, {of}",
                "stability",
                f"mean_over_expected_{n}_{m}",
            ),
            _told(f"stability index without drift: 95th percentile, {of}", "stability", f"p95_{n}_{m}"),
            _told(f"stability index without drift: share above 0.1, {of}", "stability", f"above_0.1_{n}_{m}"),
            _told(
                f"stability index without drift: share of alarms, {of}",
                "stability",
                f"alarms_{n}_{m}",
                "",
                0.03,
                bound="at most",
            ),
        ]
    return tuple(told)


FIGURES: Mapping[str, Callable[[int], Facts]] = {
    "calibrators": calibrators,
    "stability": stability,
    "neighbours": neighbours,
    "folds": folds,
    "shuffles": shuffles,
}

CASE = Case(
    "judgement",
    "What is found where the truth is known, or nothing is to be found",
    tuple(
        Side(name, _side(figures), warm=False, rounds=1, package="lightgbm" if name == "folds" else "")
        for name, figures in FIGURES.items()
    ),
    (
        *_calibration_lines(),
        *_drift_lines(),
        _told("neighbours' lift where there is none: all rows but itself", "neighbours", "excluding_self"),
        _told(
            "neighbours' lift where there is none: other trade dates",
            "neighbours",
            "excluding_session",
            "",
            1.03,
            bound="at most",
        ),
        _told("AUC where there is none: folds of single rows", "folds", "by_row"),
        _told(
            "AUC where there is none: folds of whole trade dates",
            "folds",
            "by_trade_date",
            "",
            0.54,
            bound="at most",
        ),
        _told("AUC where there is none: folds of whole trade dates, deviation", "folds", "by_trade_date_sd"),
        _told("deviation of a null AUC: single rows in another order", "shuffles", "sd_by_row"),
        _told("deviation of a null AUC: whole trade dates in another order", "shuffles", "sd_by_trade_date"),
        _told("deviation of a null AUC: trade dates / single rows", "shuffles", "width", "x", 2.0),
    ),
    needs=(),
    section=SECTION,
)
