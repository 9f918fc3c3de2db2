"""The parts of a prediction add up to it, family by family."""

import numpy as np
import pytest

pytest.importorskip("lightgbm", reason="boosted trees come with the [ml] extra")

from footprint_assets.ml.explain import EXPLAINED, contributions, importance
from footprint_assets.ml.features import FeatureList, FeaturesDiffer
from footprint_assets.ml.heads import HEADS, train
from footprint_assets.settings import ModelSettings
from footprint_assets_tests.ml.known_edge import FEATURES, rows

SETTINGS = ModelSettings(max_rounds=20, feature_fraction=1.0)


@pytest.fixture(scope="module")
def known():
    return rows(sessions=40)


@pytest.fixture(scope="module")
def models(known):
    return {name: train(HEADS[name], known, FEATURES, SETTINGS) for name in EXPLAINED}


@pytest.mark.parametrize("head", EXPLAINED)
def test_base_and_families_add_up_to_the_raw_score(known, models, head):
    asked = known[:50]
    parts = contributions(models[head], asked, FEATURES)
    assert parts.columns == ["base", "flow", "ofi"]
    said = models[head].predict(asked, FEATURES.sha256)
    if head == "strength":
        # The quantiles are sorted row by row, so that the middle one is the median of the three.
        raw = parts.sum_horizontal().to_numpy()
        between = (said["strength_q10_pts"].to_numpy() <= raw + 1e-9) & (
            raw - 1e-9 <= said["strength_q90_pts"].to_numpy()
        )
        assert between.all()
        return
    odds = np.log(said.to_series() / (1 - said.to_series())).to_numpy()
    assert parts.sum_horizontal().to_numpy() == pytest.approx(odds, abs=1e-9)


def test_the_family_that_was_planted_matters_most(known, models):
    table = importance(contributions(models["direction"], known, FEATURES))
    assert table["family"][0] == "ofi"
    assert table["mean_size"].is_sorted(descending=True)


def test_rows_of_another_allow_list_are_refused(known, models):
    other = FeatureList(FEATURES.names, FEATURES.families, "cd" * 32)
    with pytest.raises(FeaturesDiffer):
        contributions(models["direction"], known, other)
