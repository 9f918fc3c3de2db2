"""Rows of `out_of_fold` whose models say the planted chances, or what a known fault makes of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from footprint_assets.ml.heads import BIN_ENDS
from footprint_assets_tests.ml import known_edge

SHA = known_edge.FEATURES.sha256


def odds(p):
    return np.log(p / (1 - p))


def chance(x):
    return 1 / (1 + np.exp(-x))


def out_of_fold(
    sessions: int = 40,
    a_day: int = 30,
    seed: int = 0,
    edge: float = 1.2,
    distort: Callable[[np.ndarray], np.ndarray] = lambda x: x,
) -> pl.DataFrame:
    """What models say that know the planted chances; ``distort`` changes the log odds they say.

    The neighbours know the chances too. Strength has the quantiles of a wide guess.
    """
    rows = known_edge.rows(sessions, a_day, seed, edge)
    said = {
        name: chance(distort(odds(rows[f"true_{of}"].to_numpy())))
        for name, of in (("p_tradeable", "tradeable"), ("p_break", "break"))
    }
    tradeable, breaks = said["p_tradeable"], said["p_break"]
    by_bin = {
        f"p_{side}_by_b{k:02d}": tradeable * share * end
        for side, share in (("break", breaks), ("bounce", 1 - breaks))
        for k, end in enumerate(BIN_ENDS, start=1)
    }
    return rows.with_columns(
        **{name: pl.Series(values) for name, values in (said | by_bin).items()},
        strength_q10_pts=pl.lit(-1.0),
        strength_q50_pts=pl.lit(0.0),
        strength_q90_pts=pl.lit(1.0),
        retrieval_p_break=pl.Series(tradeable * breaks),
        retrieval_p_bounce=pl.Series(tradeable * (1 - breaks)),
        retrieval_p_chop=pl.Series(1 - tradeable),
        retrieval_effective=pl.lit(25.0),
    )


def without_trees(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows where no head was trained."""
    names = [name for name in rows.columns if name.startswith(("p_", "strength_q"))]
    return rows.with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)
