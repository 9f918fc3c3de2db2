"""Rows of `training_set` whose outcomes follow known chances, for models to find."""

import datetime as dt

import numpy as np
import polars as pl

from footprint_assets.ml.features import FeatureList

NS_PER_SECOND = 1_000_000_000
FEATURES = FeatureList(
    tuple(f"bar5s_ofi_x{k}" for k in range(4)) + tuple(f"bar5s_flow_x{k}" for k in range(8)),
    ("ofi",) * 4 + ("flow",) * 8,
    "ab" * 32,
)


def rows(sessions=60, a_day=30, seed=0, edge=1.2):
    """Episodes of which two features tell the chance to be decided and to break; ``edge`` 0 plants nothing.

    Returns:
        The rows, with ``true_tradeable`` and ``true_break`` beside them.
    """
    random = np.random.default_rng(seed)
    n = sessions * a_day
    x = random.standard_t(4, (n, len(FEATURES.names)))
    chance = {
        "tradeable": 1 / (1 + np.exp(-0.8 - edge * np.tanh(x[:, 4]))),
        "break": 1 / (1 + np.exp(-edge * (np.tanh(x[:, 0]) + np.tanh(x[:, 1])))),
    }
    decided, breaks = (random.random(n) < chance[name] for name in ("tradeable", "break"))
    share = np.clip(random.exponential(0.3, n), 1e-9, 1.0)
    x[random.random(x.shape) < 0.05] = np.nan
    session = np.repeat(np.arange(sessions), a_day)
    start = session * 86_400 + np.tile(np.sort(random.integers(0, 20_000, a_day)), sessions)
    life = np.where(decided, share, 1.0) * 480
    return pl.DataFrame(
        {
            "episode_id": [f"e{k:06d}" for k in range(n)],
            "session_date": [dt.date(2024, 1, 1) + dt.timedelta(days=int(s)) for s in session],
            "session": session.astype(np.int32),
            "level_type": np.where(np.arange(n) % 2, "PM_HIGH", "OR_LOW"),
            "approach_direction": np.where(np.arange(n) % 3 == 0, 1, -1),
            "decision_ts": start * NS_PER_SECOND,
            "label_end_ts": start * NS_PER_SECOND + (life * NS_PER_SECOND).astype(np.int64),
            "outcome": np.where(decided, np.where(breaks, "BREAK", "BOUNCE"), "CHOP"),
            "strength_signed_pts": np.where(breaks, 1, -1) * random.exponential(2.0, n),
            "first_passage_share": pl.Series(
                np.where(decided, np.where(breaks, share, -share), np.nan)
            ).fill_nan(None),
            "true_tradeable": chance["tradeable"],
            "true_break": chance["break"],
        }
    ).with_columns(
        pl.Series(name, x[:, k], pl.Float32, nan_to_null=True) for k, name in enumerate(FEATURES.names)
    )
