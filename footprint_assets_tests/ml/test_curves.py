"""What the pages draw of predictions: against plain counting, and where nothing is known."""

import numpy as np
import pytest

from footprint_assets.ml.curves import coverage_curve, lift_curve


def answers(edge, rows=1200, a_day=20, seed=3):
    random = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-edge * random.standard_normal(rows)))
    return (random.random(rows) < p).astype(np.int64), p, np.arange(rows) // a_day


def test_lift_is_the_frequency_among_the_most_probable_over_that_of_all():
    y, p, session = answers(2.0)
    table = lift_curve(y, p, session, shares=(0.1, 0.5, 1.0))
    order = np.argsort(-p, kind="stable")
    for share, rows, lift in table.select("share", "rows", "lift").iter_rows():
        assert rows == round(share * p.size)
        assert lift == pytest.approx(y[order[:rows]].mean() / y.mean())
    assert table["lift"][-1] == pytest.approx(1.0)
    assert (table["low"] <= table["lift"]).all()
    assert (table["lift"] <= table["high"]).all()
    assert table["lift"][0] > table["null_high"][0]


def test_probabilities_that_know_nothing_lie_inside_the_null_band():
    y, _, session = answers(0.0)
    p = np.random.default_rng(9).random(y.size)
    table = lift_curve(y, p, session, shares=(0.2, 0.4, 0.6, 0.8))
    assert ((table["null_low"] <= table["lift"]) & (table["lift"] <= table["null_high"])).all()


def test_coverage_is_how_often_what_was_given_a_chance_happened():
    random = np.random.default_rng(5)
    truth, session = random.standard_normal(800), np.arange(800) // 20
    quantiles = np.array([-1.2816, 0.0, 1.2816])
    table = coverage_curve(truth[:, None] <= quantiles, (0.1, 0.5, 0.9), session)
    assert table["observed"].to_list() == pytest.approx([(truth <= q).mean() for q in quantiles])
    assert ((table["low"] <= table["nominal"]) & (table["nominal"] <= table["high"])).all()
