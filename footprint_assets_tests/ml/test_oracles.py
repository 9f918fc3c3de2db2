"""Splits, scores and calibration beside public packages that know nothing of ours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.ml.calibration import fit, venn_abers
from footprint_assets.ml.scores import auc, brier, isotonic, log_loss
from footprint_assets.ml.splits import CombinatorialSplits, Labels, overlapping, purged_k_fold

DAY_NS = 86_400_000_000_000


def package(name):
    return pytest.importorskip(
        name, reason=f"{name}, an independent oracle of the learning, is not installed"
    )


def irregular(seed):
    """Labels in order of time that overlap in clusters, some of a single nanosecond, some without end in sight."""
    random = np.random.default_rng(seed)
    rows = int(random.integers(2, 80))
    start = np.sort(random.integers(0, 500, rows))
    life = random.integers(1, random.integers(2, 200), rows)
    return Labels(start, start + life, np.arange(rows)), random.random(rows) < random.uniform(0.1, 0.6)


def times(labels):
    import pandas as pd

    return pd.Series(pd.to_datetime(labels.start_ns)), pd.Series(pd.to_datetime(labels.end_ns))


def test_purged_rows_are_those_of_purgedcv():
    purgedcv = package("purgedcv")
    purged = 0
    for seed in range(60):
        labels, test = irregular(seed)
        test[0] = True
        train = np.flatnonzero(~test)
        kept = purgedcv.purge(train, np.flatnonzero(test), *times(labels))
        assert kept.tolist() == np.flatnonzero(~test & ~overlapping(labels, test)).tolist()
        purged += train.size - kept.size
    assert purged > 150


@pytest.mark.parametrize("tested", [1, 2, 3])
def test_splits_are_those_of_purgedcv_where_its_blocks_are_ours(tested):
    """It counts rows, we count trade dates: with equally many rows a date the blocks are the same."""
    purgedcv = package("purgedcv")
    random = np.random.default_rng(tested)
    session = np.repeat(np.arange(24), 5)
    start = session * DAY_NS + np.sort(random.integers(0, DAY_NS // 2, (24, 5)), axis=1).ravel()
    labels = Labels(start, start + random.integers(1, 2 * DAY_NS, start.size), session)
    theirs = purgedcv.CombinatorialPurgedCV(
        6,
        tested,
        prediction_times=times(labels)[0],
        evaluation_times=times(labels)[1],
    )
    x = np.zeros((start.size, 1))
    ours = list(CombinatorialSplits(6, tested).split(labels))
    assert len(ours) == theirs.get_n_splits()
    for split, (train, test) in zip(ours, theirs.split(x), strict=True):
        assert split.train.tolist() == train.tolist()
        assert split.test.tolist() == test.tolist()


@pytest.mark.parametrize(("groups", "tested"), [(4, 1), (5, 3), (6, 2), (8, 2)])
def test_paths_are_those_of_purgedcv(groups, tested):
    purgedcv = package("purgedcv")
    start = np.arange(groups) * DAY_NS
    labels = Labels(start, start + 1, np.arange(groups))
    theirs = purgedcv.CombinatorialPurgedCV(
        groups, tested, prediction_times=times(labels)[0], evaluation_times=times(labels)[1]
    )
    ours = CombinatorialSplits(groups, tested)
    folds = [np.full(split.test.size, float(number)) for number, split in enumerate(ours.split(labels))]
    assert theirs.reconstruct_paths(folds).tolist() == ours.paths().tolist()


@pytest.mark.parametrize(("groups", "tested"), [(4, 2), (5, 3), (6, 2), (8, 2)])
def test_paths_are_those_of_skfolio(groups, tested):
    selection = package("skfolio.model_selection")
    theirs = selection.CombinatorialPurgedCV(n_folds=groups, n_test_folds=tested).get_path_ids()
    ours = CombinatorialSplits(groups, tested)
    table = np.full((ours.n_splits(), tested), -1)
    choices = list(ours._choices())
    for path, splits in enumerate(ours.paths()):
        for group, number in enumerate(splits):
            table[number, choices[number].index(group)] = path
    assert table.tolist() == theirs.tolist()


def test_folds_judge_every_row_once_as_scikit_learn_has_it():
    model_selection = package("sklearn.model_selection")
    session = np.repeat(np.arange(20), 3)
    start = np.arange(60) * DAY_NS
    labels = Labels(start, start + 1, session)
    theirs = model_selection.KFold(5).split(np.arange(20))
    for split, (_, dates) in zip(purged_k_fold(labels, n_splits=5), theirs, strict=True):
        assert np.unique(session[split.test]).tolist() == dates.tolist()


ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 19)), min_size=4, max_size=60).filter(
    lambda rows: len({y for y, _ in rows}) == 2
)


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_scores_are_those_of_scikit_learn(rows):
    metrics = package("sklearn.metrics")
    y, p = np.array([y for y, _ in rows]), np.array([k for _, k in rows]) / 20
    assert auc(y, p) == pytest.approx(metrics.roc_auc_score(y, p))
    assert log_loss(y, p) == pytest.approx(metrics.log_loss(y, p))
    assert brier(y, p) == pytest.approx(metrics.brier_score_loss(y, p))


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_the_rising_fit_is_that_of_scikit_learn(rows):
    fitted = package("sklearn.isotonic")
    y, p = np.array([y for y, _ in rows]), np.array([k for _, k in rows]) / 20
    assert isotonic(p, y) == pytest.approx(fitted.IsotonicRegression().fit(p, y).predict(p), abs=1e-9)


@pytest.mark.parametrize("kind", ["platt", "beta"])
def test_maps_are_the_logistic_regressions_of_scikit_learn(kind):
    """Soft targets as two weighted rows, one an outcome."""
    linear_model = package("sklearn.linear_model")
    random = np.random.default_rng(3)
    p = random.beta(2, 2, 400)
    y = (random.random(400) < p**1.5).astype(np.int64)
    weight = random.uniform(0.5, 2.0, 400)
    ones, zeros = weight[y == 1].sum(), weight[y == 0].sum()
    target = np.where(y == 1, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    log_p, log_q = np.log(p), np.log1p(-p)
    x = np.column_stack([log_p - log_q]) if kind == "platt" else np.column_stack([log_p, -log_q])
    theirs = linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(
        np.vstack([x, x]), np.repeat([1, 0], 400), np.concatenate([weight * target, weight * (1 - target)])
    )
    ours = fit(p, y, kind, weight)
    slopes = [ours.slope_log_p] if kind == "platt" else [ours.slope_log_p, ours.slope_log_q]
    assert slopes == pytest.approx(theirs.coef_[0], rel=1e-4)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], rel=1e-4, abs=1e-4)


def test_intervals_are_isotonic_fits_with_the_row_as_a_0_and_as_a_1():
    isotonic_fit = package("sklearn.isotonic").IsotonicRegression
    random = np.random.default_rng(4)
    p, asked = random.random(120).round(2), np.linspace(0.025, 0.975, 20)
    y = (random.random(120) < p).astype(np.int64)
    for bound, outcome in zip(venn_abers(p, y, asked), (0, 1), strict=True):
        theirs = [
            isotonic_fit().fit(np.append(p, score), np.append(y, outcome)).predict([score])[0]
            for score in asked
        ]
        assert bound == pytest.approx(theirs, abs=1e-9)


def test_intervals_are_those_of_venn_abers():
    theirs = package("venn_abers")
    random = np.random.default_rng(4)
    p, asked = random.random(300), np.linspace(0.02, 0.98, 40)
    y = (random.random(300) < p).astype(np.int64)
    oracle = theirs.VennAbers()
    oracle.fit(np.column_stack([1 - p, p]), y)
    _, bounds = oracle.predict_proba(np.column_stack([1 - asked, asked]))
    lower, upper = venn_abers(p, y, asked)
    assert lower == pytest.approx(bounds[:, 0], abs=1e-5)
    assert upper == pytest.approx(bounds[:, 1], abs=1e-5)
