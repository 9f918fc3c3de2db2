"""Learning from levels: nearest setups, splits, weights, first passages and boosted trees, beside public packages.

Sizes follow the session's records: 2 million give 100,000 rows, the size the design was measured at, and more give no
more. One thread everywhere, except where two are compared with one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, Any

from benchmarks.market import Data
from benchmarks.model import Case, Facts, Line, Prepared, Side, faster, ratio, value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from footprint_assets.ml.splits import Labels

SECTION = "learning-peers"
LEAST_ROWS, MOST_ROWS = 1_000, 100_000
DIMENSIONS, NEIGHBOURS, QUERIES, BATCH = 200, 50, 32, 200
GROUPS, TESTED, SESSIONS, EMBARGO = 8, 2, 400, 3
SECOND = 1_000_000_000
HORIZON_NS, BARRIER = 480 * SECOND, 8
TREES, LEAVES, FEATURES = 200, 31, 400
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

Asked = Callable[[Any], "NDArray[np.int64]"]


def cheaper(name: str, peer: str, wanted: float | None, ours: str = "ours") -> Line:
    """Ours takes ``wanted`` times less of a processor than a peer: one thread each, whatever else the machine does."""
    return faster(name, peer, wanted, ours, of="cpu_s")


def rows_of(data: Data, times: float = 1.0) -> int:
    """How many rows are learned from, or some times as many."""
    return max(2 * NEIGHBOURS, round(times * max(LEAST_ROWS, min(MOST_ROWS, data.records // 20))))


# ---------------------------------------------------------------- the nearest setups
def _vectors(
    data: Data, times: float = 1.0, queries: int = QUERIES
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    import numpy as np

    random = np.random.default_rng(0)
    return (
        random.standard_normal((rows_of(data, times), DIMENSIONS), np.float32),
        random.standard_normal((queries, DIMENSIONS), np.float32),
    )


def _allowed(rows: int, *, filtered: bool) -> tuple[int, int]:
    """Rows that may be neighbours: all, or those of one level in five that were over by half of the time.

    Rows lie by level, then by time, as in the index of the project: the peers get the same order.
    """
    return (3 * rows // 5, 3 * rows // 5 + rows // 10) if filtered else (0, rows)


def _asked(
    ask: Asked, queries: NDArray[np.float32], times: float = 1.0
) -> tuple[Callable[[], Any], Callable[[Any], Facts]]:
    """One query after the other."""
    turn = cycle(queries)
    return lambda: ask(next(turn)), lambda found: {_fact(times): _sum_of_rows(found)}


def _fact(times: float) -> str:
    """What sides over equally many rows must agree on."""
    return "neighbours" if times == 1.0 else f"neighbours_{times:g}"


def _sum_of_rows(found: Any) -> float:
    import numpy as np

    return float(np.sort(np.asarray(found, np.int64)) @ np.arange(1, NEIGHBOURS + 1))


def _ours(*, filtered: bool = False, per_session: int = NEIGHBOURS, times: float = 1.0) -> Any:
    @contextmanager
    def side(data: Data) -> Prepared:
        """The project's exact scan, filters inside."""
        import numpy as np

        from footprint_assets.kernels.nearest import nearest, pack

        rows, queries = _vectors(data, times)
        packed, (first, stop) = pack(rows), _allowed(len(rows), filtered=filtered)
        session = np.arange(len(rows), dtype=np.int64) * SESSIONS // len(rows)
        work, facts = _asked(
            lambda query: nearest(packed, query, first, stop, session, -1, NEIGHBOURS, per_session)[0],
            queries,
            times,
        )
        yield work, facts if per_session == NEIGHBOURS else (lambda _: {})

    return side


def _faiss(select: str = "", times: float = 1.0) -> Any:
    @contextmanager
    def side(data: Data) -> Prepared:
        """``IndexFlatL2``, the allowed rows by a selector."""
        import faiss
        import numpy as np

        faiss.omp_set_num_threads(1)
        rows, queries = _vectors(data, times)
        first, stop = _allowed(len(rows), filtered=bool(select))
        index = faiss.IndexFlatL2(DIMENSIONS)
        index.add(rows)
        selectors = {
            "range": lambda: faiss.IDSelectorRange(first, stop),
            "batch": lambda: faiss.IDSelectorBatch(np.arange(first, stop, dtype=np.int64)),
        }
        parameters = faiss.SearchParameters(sel=selectors[select]()) if select else None
        yield _asked(
            lambda query: index.search(query[None], NEIGHBOURS, params=parameters)[1][0], queries, times
        )

    return side


def _usearch(*, filtered: bool) -> Any:
    @contextmanager
    def side(data: Data) -> Prepared:
        """``usearch.index.search`` with ``exact=True`` over the allowed rows: it knows no filter."""
        from usearch.index import MetricKind, search

        rows, queries = _vectors(data)
        first, stop = _allowed(len(rows), filtered=filtered)
        allowed = rows[first:stop]
        yield _asked(
            lambda query: (
                search(allowed, query, NEIGHBOURS, MetricKind.L2sq, exact=True, threads=1).keys.astype(
                    "int64"
                )
                + first
            ),
            queries,
        )

    return side


def _numpy(*, filtered: bool = False, times: float = 1.0) -> Any:
    @contextmanager
    def side(data: Data) -> Prepared:
        """A matrix product and ``argpartition`` over the allowed rows."""
        import numpy as np

        rows, queries = _vectors(data, times)
        first, stop = _allowed(len(rows), filtered=filtered)
        allowed = rows[first:stop]
        squares = (allowed**2).sum(axis=1)
        yield _asked(
            lambda query: np.argpartition(squares - 2.0 * (allowed @ query), NEIGHBOURS)[:NEIGHBOURS] + first,
            queries,
            times,
        )

    return side


@contextmanager
def _one_by_one(data: Data) -> Prepared:
    """Many queries by the project's scan, one after the other."""
    import numpy as np

    from footprint_assets.kernels.nearest import nearest, pack

    rows, queries = _vectors(data, queries=BATCH)
    packed, session = pack(rows), np.arange(len(rows))
    yield (
        lambda: [nearest(packed, query, 0, len(rows), session, -1, NEIGHBOURS, 1)[0] for query in queries],
        lambda found: {"batch": _sum_of_rows(found[-1])},
    )


@contextmanager
def _faiss_at_once(data: Data) -> Prepared:
    """Many queries by one call of ``IndexFlatL2``."""
    import faiss

    faiss.omp_set_num_threads(1)
    rows, queries = _vectors(data, queries=BATCH)
    index = faiss.IndexFlatL2(DIMENSIONS)
    index.add(rows)
    yield lambda: index.search(queries, NEIGHBOURS)[1], lambda found: {"batch": _sum_of_rows(found[-1])}


@contextmanager
def _numpy_at_once(data: Data) -> Prepared:
    """Many queries by one matrix product, ``argpartition`` of each row."""
    import numpy as np

    rows, queries = _vectors(data, queries=BATCH)
    squares = (rows**2).sum(axis=1)
    yield (
        lambda: [np.argpartition(far, NEIGHBOURS)[:NEIGHBOURS] for far in squares - 2.0 * (queries @ rows.T)],
        lambda found: {"batch": _sum_of_rows(found[-1])},
    )


@contextmanager
def _question(data: Data) -> Prepared:
    """A whole question by the project's index: one row's features placed, its segment, its neighbours, their chances."""
    import numpy as np
    import polars as pl

    from footprint_assets.ml.features import FeatureList
    from footprint_assets.ml.retrieval import Index, fit_space
    from footprint_assets.settings import RetrievalSettings

    rows, queries = _vectors(data)
    names = tuple(f"bar5s_ofi_x{k}" for k in range(DIMENSIONS))
    features = FeatureList(names, ("ofi",) * DIMENSIONS, "0" * 64)
    number = np.arange(len(rows))
    level, over = np.divmod(number, len(rows) // 5)
    facts = pl.DataFrame(
        {
            "episode_id": number,
            "session": over * SESSIONS // (len(rows) // 5),
            "level_type": level,
            "approach_direction": np.ones(len(rows), np.int8),
            "label_end_ts": over,
            "outcome": np.array(["BREAK", "BOUNCE", "CHOP"])[number % 3],
        }
    )
    space = fit_space(pl.DataFrame(rows[:2_000], schema=list(names)), features)
    index = Index(facts, space, rows, RetrievalSettings(neighbours=NEIGHBOURS))
    asked = pl.DataFrame(queries, schema=list(names)).with_columns(
        level_type=3, approach_direction=1, session=SESSIONS, decision_ts=len(rows) // 10
    )
    turn = cycle(range(QUERIES))
    index.ask(asked[0])
    yield lambda: index.ask(asked[next(turn)]), lambda _: {}


def _milliseconds(name: str, side: str, wanted: float | None) -> Line:
    return Line(name, value(side, "cpu_s", 1e3), wanted, "ms", "at most")


RETRIEVAL = Case(
    "retrieval",
    "The 50 nearest of 100,000 rows by 200 numbers, one query",
    (
        Side("ours", _ours(), repeats=3 * QUERIES),
        Side("faiss IndexFlatL2", _faiss(), repeats=3 * QUERIES, package="faiss"),
        Side("usearch exact", _usearch(filtered=False), repeats=QUERIES, package="usearch"),
        Side("numpy", _numpy(), repeats=QUERIES, environment=ONE_THREAD),
    ),
    (
        _milliseconds("nearest of all rows: one query, CPU", "ours", 3.0),
        cheaper("nearest of all rows: CPU, faiss IndexFlatL2 / ours", "faiss IndexFlatL2", 1.0),
        cheaper("nearest of all rows: CPU, usearch exact / ours", "usearch exact", 3.0),
        cheaper("nearest of all rows: CPU, numpy / ours", "numpy", None),
    ),
    agree=("neighbours",),
    needs=(),
    section=SECTION,
)

FILTERED = Case(
    "retrieval_filtered",
    "The same among the rows of one level in five that were over by half of the time",
    (
        Side("ours", _ours(filtered=True), repeats=10 * QUERIES),
        Side("ours, two of a trade date", _ours(filtered=True, per_session=2), repeats=10 * QUERIES),
        Side("ours, a whole question", _question, repeats=10 * QUERIES),
        Side("faiss, range of rows", _faiss("range"), repeats=10 * QUERIES, package="faiss"),
        Side("faiss, set of rows", _faiss("batch"), repeats=10 * QUERIES, package="faiss"),
        Side("usearch exact", _usearch(filtered=True), repeats=10 * QUERIES, package="usearch"),
        Side("numpy", _numpy(filtered=True), repeats=10 * QUERIES, environment=ONE_THREAD),
    ),
    (
        _milliseconds("nearest by level and time: one query, CPU", "ours", 0.5),
        _milliseconds(
            "nearest by level and time, two of a trade date: one query, CPU",
            "ours, two of a trade date",
            None,
        ),
        _milliseconds("nearest by level and time: a whole question, CPU", "ours, a whole question", 3.0),
        cheaper("nearest by level and time: CPU, faiss with a set of rows / ours", "faiss, set of rows", 1.4),
        cheaper(
            "nearest by level and time: CPU, faiss with a range of rows / ours", "faiss, range of rows", 1.0
        ),
        cheaper("nearest by level and time: CPU, usearch exact / ours", "usearch exact", None),
        cheaper("nearest by level and time: CPU, numpy / ours", "numpy", None),
    ),
    agree=("neighbours",),
    needs=(),
    section=SECTION,
)


_SIZES = ((0.01, "1,000", 0.1), (0.1, "10,000", 0.3), (10.0, "a million", 50.0))
"""Rows as a share of those of the other cases, how they are called, and the most milliseconds wanted."""


def _of_a_size(times: float, rows: str) -> tuple[Side, Side]:
    # A matrix of 0.8 GB lies in memory three times while it is packed: 2.5 GB, of 2 million records.
    needs = 12.5 if times > 1 else 0.0
    turns = 99 if times < 1 else 2
    repeats = 30 * QUERIES if times < 1 else QUERIES
    return (
        Side(f"ours, {rows}", _ours(times=times), repeats=repeats, rounds=turns, needs_gb=needs),
        Side(
            f"faiss, {rows}",
            _faiss(times=times),
            repeats=repeats,
            rounds=turns,
            needs_gb=needs,
            package="faiss",
        ),
    )


def _size_lines(rows: str, wanted: float) -> tuple[Line, Line]:
    return (
        _milliseconds(f"nearest of {rows} rows: one query, CPU", f"ours, {rows}", wanted),
        cheaper(
            f"nearest of {rows} rows: CPU, faiss IndexFlatL2 / ours",
            f"faiss, {rows}",
            None,
            ours=f"ours, {rows}",
        ),
    )


SIZES = Case(
    "retrieval_sizes",
    "The same of fewer and more rows, and 200 queries of 100,000",
    (
        *(side for times, rows, _ in _SIZES for side in _of_a_size(times, rows)),
        Side("ours, 200 queries", _one_by_one),
        Side("faiss, 200 queries at once", _faiss_at_once, package="faiss"),
        Side("numpy, 200 queries at once", _numpy_at_once, environment=ONE_THREAD),
    ),
    (
        *(line for _, rows, wanted in _SIZES for line in _size_lines(rows, wanted)),
        cheaper(
            "200 queries of all rows: CPU, faiss at once / ours",
            "faiss, 200 queries at once",
            None,
            ours="ours, 200 queries",
        ),
        cheaper(
            "200 queries of all rows: CPU, numpy at once / ours",
            "numpy, 200 queries at once",
            None,
            ours="ours, 200 queries",
        ),
    ),
    agree=(*(_fact(times) for times, _, _ in _SIZES), "batch"),
    needs=(),
    section=SECTION,
)


# ---------------------------------------------------------------- splits
def _labels(data: Data) -> tuple[Labels, int]:
    """Labels of eight minutes, equally many a trade date; and how many."""
    import numpy as np

    from footprint_assets.ml.splits import Labels

    a_day = max(rows_of(data) // SESSIONS, 5)
    session = np.repeat(np.arange(SESSIONS), a_day)
    within = np.sort(np.random.default_rng(0).integers(0, 80_000 * SECOND, (SESSIONS, a_day)), axis=1)
    start = session * 86_400 * SECOND + within.ravel()
    return Labels(start, start + HORIZON_NS, session), a_day


def _split_facts(splits: list[tuple[Any, Any]]) -> Facts:
    return {
        "splits": len(splits),
        "teaching": float(sum(train.sum() for train, _ in splits)),
        "judging": float(sum(test.sum() for _, test in splits)),
    }


@contextmanager
def _own_splits(data: Data) -> Prepared:
    """``CombinatorialSplits`` of eight blocks by two."""
    from footprint_assets.ml.splits import CombinatorialSplits

    labels, _ = _labels(data)
    splits = CombinatorialSplits(GROUPS, TESTED, EMBARGO)
    yield lambda: list(splits.split(labels)), lambda found: _split_facts([(s.train, s.test) for s in found])


@contextmanager
def _purgedcv(data: Data) -> Prepared:
    """``purgedcv.CombinatorialPurgedCV`` with the same purge and as many rows of embargo."""
    import pandas as pd
    from purgedcv import CombinatorialPurgedCV

    labels, a_day = _labels(data)
    splits = CombinatorialPurgedCV(
        GROUPS,
        TESTED,
        prediction_times=pd.Series(pd.to_datetime(labels.start_ns)),
        evaluation_times=pd.Series(pd.to_datetime(labels.end_ns)),
        embargo_observations=EMBARGO * a_day,
    )
    x = pd.DataFrame({"x": labels.session})
    yield lambda: list(splits.split(x)), _split_facts


@contextmanager
def _skfolio(data: Data) -> Prepared:
    """``skfolio.model_selection.CombinatorialPurgedCV``, which purges by number of rows."""
    from skfolio.model_selection import CombinatorialPurgedCV

    labels, a_day = _labels(data)
    splits = CombinatorialPurgedCV(GROUPS, TESTED, purged_size=0, embargo_size=EMBARGO * a_day)
    x = labels.session[:, None]
    yield lambda: list(splits.split(x)), lambda found: {"splits": len(found)}


SPLITS = Case(
    "splits",
    "Combinatorial purged cross-validation: 28 splits of 100,000 rows",
    (
        Side("ours", _own_splits, repeats=7),
        Side("purgedcv", _purgedcv, package="purgedcv"),
        Side("skfolio", _skfolio, package="skfolio"),
    ),
    (
        Line("28 purged splits: ours, CPU", value("ours", "cpu_s"), 0.3, "s", "at most"),
        cheaper("28 purged splits: CPU, purgedcv / ours", "purgedcv", 40.0),
        cheaper("28 purged splits: CPU, skfolio (purges by number of rows) / ours", "skfolio", None),
    ),
    agree=("splits", "teaching", "judging"),
    needs=(),
    section=SECTION,
)


# ---------------------------------------------------------------- weights
def _lives(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels that some ten others share their time with."""
    import numpy as np

    random = np.random.default_rng(0)
    start = np.sort(random.integers(0, rows * 30 * SECOND, rows))
    return start, start + random.integers(1, HORIZON_NS, rows)


def _uniqueness(times: int) -> Any:
    @contextmanager
    def side(data: Data) -> Prepared:
        """The project's weights."""
        from footprint_assets.kernels.labels import average_uniqueness

        start, end = _lives(rows_of(data) * times)
        yield (
            lambda: average_uniqueness(start, end),
            lambda found: {"unique": float(found.sum())} if times == 1 else {},
        )

    return side


@contextmanager
def _uniqueness_loop(data: Data) -> Prepared:
    """One label after the other over the instants at which any starts or ends, as the book's snippets do over bars."""
    import numpy as np

    start, end = _lives(rows_of(data))

    def work() -> NDArray[np.float64]:
        edges = np.unique(np.concatenate((start, end)))
        first, last = np.searchsorted(edges, start), np.searchsorted(edges, end)
        alive = np.zeros(edges.size - 1)
        for a, b in zip(first, last, strict=True):
            alive[a:b] += 1
        width = np.diff(edges)
        return np.array(
            [
                (width[a:b] / alive[a:b]).sum() / (edges[b] - edges[a])
                for a, b in zip(first, last, strict=True)
            ]
        )

    yield work, lambda found: {"unique": float(found.sum())}


WEIGHTS = Case(
    "uniqueness",
    "Average uniqueness of 100,000 labels",
    (
        Side("ours", _uniqueness(1), repeats=5),
        Side("loop", _uniqueness_loop),
        Side("ours, ten times the labels", _uniqueness(10)),
    ),
    (
        cheaper("uniqueness: CPU, label by label / ours", "loop", None),
        Line(
            "uniqueness of a million labels: CPU",
            value("ours, ten times the labels", "cpu_s"),
            5.0,
            "s",
            "at most",
        ),
    ),
    agree=("unique",),
    needs=(),
    section=SECTION,
)


# ---------------------------------------------------------------- first passages
def _paths(data: Data) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Instants and prices of trades, first and last trade of every path; twenty events a hundred rows."""
    import numpy as np

    random = np.random.default_rng(0)
    events, trades = max(rows_of(data) // 5, 20), max(rows_of(data) * 200, 10_000)
    ts = np.cumsum(random.integers(0, 166_000_000, trades))
    tick = np.cumsum(random.integers(-1, 2, trades) * (random.random(trades) < 0.1))
    first = np.sort(random.integers(0, trades, events))
    return ts, tick, first, np.searchsorted(ts, ts[first] + HORIZON_NS)


def _sum_of(found: list[tuple[int, int]]) -> Facts:
    return {"above": sum(a for a, _ in found), "below": sum(b for _, b in found)}


@contextmanager
def _first_passage(data: Data) -> Prepared:
    """The project's kernel, path by path, as the outcomes ask it."""
    from footprint_assets.kernels.labels import first_passage

    ts, tick, first, last = _paths(data)

    def work() -> list[tuple[int, int]]:
        return [
            first_passage(ts[a:b] - ts[a], tick[a:b] - tick[a], BARRIER, HORIZON_NS)
            for a, b in zip(first, last, strict=True)
        ]

    yield work, _sum_of


@contextmanager
def _passage_numpy(data: Data) -> Prepared:
    """``argmax`` of what is beyond each barrier, path by path."""
    ts, tick, first, last = _paths(data)

    def reached(beyond: NDArray[np.bool_]) -> int:
        place = int(beyond.argmax())
        return place if beyond[place] else -1

    def work() -> list[tuple[int, int]]:
        found = []
        for a, b in zip(first, last, strict=True):
            within = ts[a:b] - ts[a] < HORIZON_NS
            far = tick[a:b] - tick[a]
            found.append((reached((far >= BARRIER) & within), reached((far <= -BARRIER) & within)))
        return found

    yield work, _sum_of


PASSAGES = Case(
    "first_passage",
    "Which barrier comes first: 20,000 events over 20 million trades",
    (Side("ours", _first_passage, repeats=3), Side("numpy", _passage_numpy)),
    (
        Line("first passages: ours, CPU", value("ours", "cpu_s"), 0.4, "s", "at most"),
        cheaper("first passages: CPU, numpy / ours", "numpy", None),
    ),
    agree=("above", "below"),
    needs=(),
    section=SECTION,
)


# ---------------------------------------------------------------- boosted trees
def _table(data: Data, times: float = 1.0) -> tuple[Any, Any]:
    """Rows and outcomes with a weak signal; a twentieth of the values is not known."""
    import numpy as np

    random = np.random.default_rng(0)
    shape = (round(times * MOST_ROWS / 20), FEATURES) if rows_of(data) == MOST_ROWS else (200, 20)
    x = random.standard_normal(shape).astype(np.float32)
    odds = 0.4 * x[:, :10].sum(axis=1) / np.sqrt(10) + 0.3 * x[:, 0] * x[:, 1]
    y = (random.random(len(x)) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    x[random.random(x.shape) < 0.05] = np.nan
    return x, y


def _rounds(x: NDArray[np.float32]) -> int:
    """How many trees are grown; few of a small table, which only shows that everything runs."""
    return TREES if x.shape[1] == FEATURES else TREES // 20


def _parameters(threads: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "learning_rate": 0.05,
        "num_leaves": LEAVES,
        "feature_fraction": 0.5,
        "num_threads": threads,
        "seed": 7,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }


def _grown(data: Data, threads: int) -> Any:
    import lightgbm

    x, y = _table(data)
    return lightgbm.train(_parameters(threads), lightgbm.Dataset(x, y), _rounds(x))


def _fit(threads: int, times: float = 1.0) -> Any:
    @contextmanager
    def side(data: Data) -> Prepared:
        """LightGBM as the heads use it."""
        import hashlib

        import lightgbm

        x, y = _table(data, times)

        def facts(booster: Any) -> Facts:
            text = booster.model_to_string().partition("\nparameters:")[0]
            told = int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)
            return {"model": told} if times == 1.0 else {}

        yield lambda: lightgbm.train(_parameters(threads), lightgbm.Dataset(x, y), _rounds(x)), facts

    return side


def _scikit(data: Data, times: float = 1.0) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = _table(data, times)
    model = HistGradientBoostingClassifier(
        max_iter=_rounds(x), learning_rate=0.05, max_leaf_nodes=LEAVES, max_features=0.5, early_stopping=False
    )
    return model, x, y


def _scikit_fit(times: float = 1.0) -> Any:
    @contextmanager
    def side(data: Data) -> Prepared:
        """scikit-learn's ``HistGradientBoostingClassifier`` of the same size, one thread."""
        model, x, y = _scikit(data, times)
        yield lambda: model.fit(x, y), lambda _: {}

    return side


@contextmanager
def _predict(data: Data) -> Prepared:
    """One row by LightGBM."""
    booster = _grown(data, 1)
    row = _table(data)[0][:1]
    yield lambda: booster.predict(row, num_threads=1), lambda _: {}


@contextmanager
def _scikit_predict(data: Data) -> Prepared:
    """One row by scikit-learn."""
    model, x, y = _scikit(data)
    model.fit(x, y)
    yield lambda: model.predict_proba(x[:1]), lambda _: {}


TREES_CASE = Case(
    "trees",
    "Boosted trees: 200 of 31 leaves on 5,000 rows by 400 features; and one row asked",
    (
        Side("one thread", _fit(1), package="lightgbm"),
        # Threads that wait by spinning lose minutes where another process wants the cores.
        Side("two threads", _fit(2), package="lightgbm", environment={"OMP_WAIT_POLICY": "passive"}),
        Side("scikit-learn", _scikit_fit(), package="sklearn", environment=ONE_THREAD),
        Side("1,000 rows", _fit(1, 0.2), package="lightgbm"),
        Side("1,000 rows, scikit-learn", _scikit_fit(0.2), package="sklearn", environment=ONE_THREAD),
        Side("50,000 rows", _fit(1, 10.0), rounds=2, package="lightgbm"),
        Side(
            "50,000 rows, scikit-learn",
            _scikit_fit(10.0),
            rounds=2,
            package="sklearn",
            environment=ONE_THREAD,
        ),
        Side("one row", _predict, repeats=2_000, package="lightgbm"),
        Side("one row, scikit-learn", _scikit_predict, repeats=50, package="sklearn", environment=ONE_THREAD),
    ),
    (
        Line("boosted trees, one thread: CPU", value("one thread", "cpu_s"), 15.0, "s", "at most"),
        Line(
            "boosted trees: wall, one thread / two, the same bytes",
            ratio(("one thread", "wall_s"), ("two threads", "wall_s")),
        ),
        cheaper("boosted trees: CPU, scikit-learn / LightGBM", "scikit-learn", None, ours="one thread"),
        *(
            cheaper(
                f"boosted trees of {rows} rows: CPU, scikit-learn / LightGBM",
                f"{rows} rows, scikit-learn",
                None,
                ours=f"{rows} rows",
            )
            for rows in ("1,000", "50,000")
        ),
        Line("one row: LightGBM, CPU", value("one row", "cpu_s", 1e6), 50.0, "us", "at most"),
        cheaper("one row: CPU, scikit-learn / LightGBM", "one row, scikit-learn", None, ours="one row"),
    ),
    agree=("model",),
    needs=(),
    section=SECTION,
)

CASES = (RETRIEVAL, FILTERED, SIZES, SPLITS, WEIGHTS, PASSAGES, TREES_CASE)
