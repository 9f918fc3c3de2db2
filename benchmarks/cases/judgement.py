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
from benchmarks.model import Case, Facts, Line, Prepared, Side, ratio, value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SESSIONS, A_DAY, WIDTH = 60, 40, 20
FOLDS, EMBARGO = 5, 3
NEIGHBOURS = 15
CALIBRATION_ROWS = (200, 500, 1_500, 5_000)
JUDGED_ROWS = 40_000
SCORED_ROWS = (200, 500, 2_000, 10_000)
ASKED, FEATURES, HAZARD_FEATURES = 50, 200, 60
"""Neighbours asked for, and the features of the two markets whose truth is known."""
FOUR_MINUTES = 0.5
"""As a share of the horizon."""
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

    from footprint_assets.ml.calibration import Kind, fit, venn_abers
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
            asked = np.quantile(said, np.linspace(0.0, 1.0, 41))
            low, high = (np.interp(said, asked, bound) for bound in venn_abers(known, known_y, asked))
            found.setdefault(f"interval_{rows}", []).append(log_loss(y, high / (1 - low + high)) - best)
            found.setdefault(f"width_{rows}", []).append(float(np.mean(high - low)))
    mean = {name: float(np.mean(values)) for name, values in found.items()}
    for rows in CALIBRATION_ROWS:
        mean[f"isotonic_less_platt_{rows}"] = mean[f"isotonic_{rows}"] - mean[f"platt_{rows}"]
    return mean


def noise(times: int) -> Facts:
    """Calibration error of a perfect model, plain and less what chance gives, by the rows it is judged on."""
    import numpy as np

    from footprint_assets.ml.scores import calibration_error, reliability

    random = np.random.default_rng(0)

    def plain(y: NDArray[np.int64], p: NDArray[np.float64]) -> float:
        bins = reliability(y, p)
        return float(np.average(np.abs(bins.predicted - bins.observed), weights=bins.rows))

    found: Facts = {}
    for rows in SCORED_ROWS:
        drawn = [(random.random(rows), random.random(rows)) for _ in range(10 * times)]
        both = [((chance < p).astype(np.int64), p) for p, chance in drawn]
        found |= {
            f"plain_{rows}": float(np.mean([plain(*one) for one in both])),
            f"debiased_{rows}": float(np.mean([calibration_error(*one) for one in both])),
        }
    return found


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


def planted(times: int) -> Facts:
    """How often the rule of single features names a planted leak, and how often it names one where there is none."""
    import numpy as np
    import polars as pl

    from footprint_assets.ml.features import FeatureList
    from footprint_assets.ml.leakage import alone
    from footprint_assets.ml.scores import auc
    from footprint_assets.settings import QualitySettings

    limit = QualitySettings().lone_feature_warn_auc
    found: dict[str, list[float]] = {"auc": [], "found": [], "false": []}
    for seed in range(times):
        x, y, session = nothing(seed)
        leak = y + np.random.default_rng(seed).normal(0.0, 0.88, y.size)
        rows = pl.DataFrame(x, schema=[f"x{k}" for k in range(WIDTH)]).with_columns(
            leak=leak,
            outcome=pl.Series(np.where(y == 1, "BREAK", "BOUNCE")),
            session_date=pl.Series(session).cast(pl.Date),
            decision_ts=pl.int_range(y.size),
            episode_id=pl.int_range(y.size),
        )
        honest = tuple(f"x{k}" for k in range(WIDTH))
        named = {
            names: alone(rows, FeatureList(names, ("x",) * len(names), ""))[0]
            for names in (honest, (*honest, "leak"))
        }
        best = named[*honest, "leak"]
        found["auc"].append(auc(y, leak))
        found["found"].append(best.feature == "leak" and best.beyond(limit))
        found["false"].append(named[honest].beyond(limit))
    return {name: float(np.mean(values)) for name, values in found.items()}


# ---------------------------------------------------------------- something to be found
def spaces(times: int) -> Facts:
    """How well the 50 nearest rows tell the outcome, by the space they are near in; boosted trees beside them.

    Heavy-tailed features on scales of their own, one in twenty of which tells something. The last third of the rows asks the
    others.
    """
    import lightgbm
    import numpy as np
    import polars as pl

    from footprint_assets.kernels.nearest import nearest, pack
    from footprint_assets.ml.features import FeatureList
    from footprint_assets.ml.retrieval import fit_space
    from footprint_assets.ml.scores import auc

    names = tuple(f"x{k}" for k in range(FEATURES))
    features = FeatureList(names, tuple(f"family{k % 10}" for k in range(FEATURES)), "")
    found: dict[str, list[float]] = {}
    for seed in range(max(1, times // 5)):
        random = np.random.default_rng(seed)
        x = random.standard_t(3, (600 * times, FEATURES)).astype(np.float32)
        odds = np.tanh(x[:, ::20]) @ np.linspace(0.4, 1.2, FEATURES // 20)
        x *= np.exp(random.normal(0.0, 2.0, FEATURES)).astype(np.float32)
        y = (random.random(len(x)) < 1 / (1 + np.exp(-odds))).astype(np.int64)
        known = 2 * len(x) // 3
        rows = pl.DataFrame(x[:known], schema=list(names))
        booster = lightgbm.train(
            {"objective": "binary", "num_leaves": 15, "num_threads": 1, "verbosity": -1},
            lightgbm.Dataset(x[:known], y[:known]),
            10 * min(times, 10),
        )
        gain = dict(zip(names, booster.feature_importance("gain").tolist(), strict=True))
        told = {
            "z-scores": ((x - x[:known].mean(axis=0)) / x[:known].std(axis=0)).astype(np.float32),
            "ranks": fit_space(rows, features).place(x),
            "ranks by gain": fit_space(rows, features, gain).place(x),
        }
        group = np.arange(known)
        for name, placed in told.items():
            packed = pack(placed[:known])
            queries = np.zeros((len(x) - known, packed.shape[1]), np.float32)
            queries[:, :FEATURES] = placed[known:]
            near = np.array([nearest(packed, one, 0, known, group, -1, ASKED, 1)[0] for one in queries])
            share, own = y[near].mean(axis=1), y[known:]
            base = np.where(own == 1, y[:known].mean(), 1 - y[:known].mean())
            found.setdefault(f"auc of {name}", []).append(auc(own, share))
            found.setdefault(f"lift of {name}", []).append(
                float(np.where(own == 1, share, 1 - share).sum() / base.sum())
            )
        found.setdefault("auc of trees", []).append(
            auc(y[known:], np.asarray(booster.predict(x[known:], num_threads=1)))
        )
    return {name: float(np.mean(values)) for name, values in found.items()}


def hazard(times: int) -> Facts:
    """The head of the time to the first barrier beside the chances that were drawn from; the last third is judged.

    Two barriers race, each at a rate that two features tell; what reaches none in time is cut off there.
    """
    import numpy as np
    import polars as pl

    from footprint_assets.ml.features import FeatureList
    from footprint_assets.ml.heads import BIN_ENDS, HEADS, train
    from footprint_assets.settings import ModelSettings

    random = np.random.default_rng(0)
    rows = 600 * times
    x = random.normal(size=(rows, HAZARD_FEATURES)).astype(np.float32)
    rate = np.exp(0.6 * x[:, :2] + 0.3 * x[:, 2:4])  # of break and bounce, over the horizon
    share = random.exponential(1 / rate.sum(axis=1))
    breaks = random.random(rows) < rate[:, 0] / rate.sum(axis=1)
    reached = share <= 1
    session = np.arange(rows) // 20
    start = session * 86_400 * 10**9 + (np.arange(rows) % 20) * 600 * 10**9
    names = tuple(f"x{k}" for k in range(HAZARD_FEATURES))
    table = pl.DataFrame(x, schema=list(names)).with_columns(
        episode_id=pl.int_range(rows),
        session=pl.Series(session),
        decision_ts=pl.Series(start),
        label_end_ts=pl.Series(start + (np.minimum(share, 1.0) * 480e9).astype(np.int64)),
        outcome=pl.Series(np.where(reached, np.where(breaks, "BREAK", "BOUNCE"), "CHOP")),
        first_passage_share=pl.Series(np.where(reached, np.where(breaks, share, -share), np.nan)).fill_nan(
            None
        ),
    )
    known = 2 * rows // 3
    features = FeatureList(names, ("x",) * HAZARD_FEATURES, "")
    model = train(HEADS["time_to_threshold"], table[:known], features, ModelSettings())
    said = model.predict(table[known:], "").to_numpy().reshape(-1, 2, BIN_ENDS.size)
    total = rate[known:].sum(axis=1, keepdims=True)
    true = -np.expm1(-total * BIN_ENDS)
    over = share[known:, None] <= BIN_ENDS
    base = (share[:known, None] <= BIN_ENDS).mean(axis=0)
    middle = int(np.searchsorted(BIN_ENDS, FOUR_MINUTES))
    true_break = (true * rate[known:, :1] / total)[:, middle]
    return {
        "correlation": float(np.corrcoef(said[:, 0, middle], true_break)[0, 1]),
        "brier": float(np.mean((said.sum(axis=1) - over) ** 2)),
        "brier_of_base_rates": float(np.mean((base - over) ** 2)),
        "brier_of_the_truth": float(np.mean((true - over) ** 2)),
        "most": float(said.sum(axis=1).max()),
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
        told += [
            _told(f"log-loss above the truth's: Venn-Abers, {of}", "calibrators", f"interval_{rows}", "nats"),
            _told(f"mean width of a Venn-Abers interval, {of}", "calibrators", f"width_{rows}"),
        ]
    return tuple(told)


def _noise_lines() -> tuple[Line, ...]:
    return tuple(
        _told(f"calibration error of a perfect model: {title}, {rows:,} rows", "noise", f"{fact}_{rows}")
        for rows in SCORED_ROWS
        for fact, title in (("plain", "plain"), ("debiased", "less what chance gives"))
    )


def _space_lines() -> tuple[Line, ...]:
    kinds = (
        ("z-scores", "z-scores"),
        ("ranks", "ranks, families alike"),
        ("ranks by gain", "ranks, by gain"),
    )
    told = [
        _told(f"{what} of the neighbours: {title}", "spaces", f"{fact} of {kind}")
        for kind, title in kinds
        for what, fact in (("AUC", "auc"), ("lift", "lift"))
    ]
    return (*told, _told("AUC of the trees themselves", "spaces", "auc of trees"))


def _hazard_lines() -> tuple[Line, ...]:
    said = "time to a barrier"
    return (
        _told(f"{said}: correlation of P(break in 4 min) with the truth", "hazard", "correlation"),
        _told(f"{said}: Brier score over all times, the truth", "hazard", "brier_of_the_truth"),
        _told(f"{said}: Brier score over all times, the head", "hazard", "brier"),
        _told(f"{said}: Brier score over all times, base rates", "hazard", "brier_of_base_rates"),
        Line(
            f"{said}: Brier score, base rates / the head",
            ratio(("hazard", "brier_of_base_rates"), ("hazard", "brier")),
            1.0,
        ),
        _told(f"{said}: highest P(break) + P(bounce)", "hazard", "most", "", 1.0, bound="at most"),
    )


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
    "noise": noise,
    "stability": stability,
    "neighbours": neighbours,
    "folds": folds,
    "shuffles": shuffles,
    "planted": planted,
    "spaces": spaces,
    "hazard": hazard,
}
_WITH_TREES = ("folds", "spaces", "hazard")

CASE = Case(
    "judgement",
    "What is found where the truth is known, or nothing is to be found",
    tuple(
        Side(name, _side(figures), warm=False, rounds=1, package="lightgbm" if name in _WITH_TREES else "")
        for name, figures in FIGURES.items()
    ),
    (
        *_calibration_lines(),
        *_noise_lines(),
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
        _told("a planted leak: its AUC alone", "planted", "auc"),
        _told("a planted leak: share of markets where it is named", "planted", "found", "", 1.0),
        _told("no leak: share of markets where one is named", "planted", "false", "", 0.05, bound="at most"),
        *_space_lines(),
        *_hazard_lines(),
    ),
    needs=(),
    section=SECTION,
)
