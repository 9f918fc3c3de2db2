"""What the pages draw of predictions beside the reports: lift and coverage point by point, with confidence and null bands.

Bands come from whole trade dates (`resampling`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.ml.resampling import SHARE, Band, null_band, ratio_band

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

DRAWS = 200
SEED = 7
LIFT_SHARES = tuple(k / 20 for k in range(1, 21))
"""Shares of the rows, the most probable first, that a lift is given for."""


def lift_curve(y: Int64, p: Float64, session: Int64, shares: Sequence[float] = LIFT_SHARES) -> pl.DataFrame:
    """How much oftener the outcome comes among the rows it is most expected of.

    Args:
        y: What happened, 0 or 1; int64[rows], at least one 1.
        p: Probability of 1; float64[rows].
        session: Trade date of each row, rows of one together; int64[rows].
        shares: Shares of the rows to take, the most probable first.

    Returns:
        One row a share: ``share``, ``rows``, ``lift`` (its frequency over that of all rows), ``low``, ``high``,
        ``null_low`` and ``null_high`` (outcomes that have nothing to do with the probabilities).
    """
    rank = np.argsort(np.argsort(-p, kind="stable"))
    taken = np.maximum(1, np.rint(np.array(shares) * p.size).astype(np.int64))
    members = [rank < count for count in taken]
    base = float(y.mean())
    return pl.DataFrame(
        {
            "share": list(shares),
            "rows": taken,
            "lift": [float(y[member].mean()) / base for member in members],
            **_ends(_scaled(_frequency(y, member, session), base) for member in members),
            **_ends((_chance_lift(y, member, session) for member in members), "null_"),
        }
    )


def coverage_curve(reached: Bool, nominal: Sequence[float], session: Int64) -> pl.DataFrame:
    """How often what was given a chance happened, for several chances of the same rows.

    Args:
        reached: Whether the truth lies at or below each quantile, or inside each interval; bool[rows, chances].
        nominal: The chance of each column.
        session: Trade date of each row; int64[rows].

    Returns:
        One row a column: ``nominal``, ``observed``, ``low`` and ``high``.
    """
    everywhere = np.ones(reached.shape[0], np.bool_)
    bands = (_frequency(column.astype(np.int64), everywhere, session) for column in reached.T)
    return pl.DataFrame({"nominal": list(nominal), "observed": reached.mean(axis=0), **_ends(bands)})


def _frequency(y: Int64, member: Bool, session: Int64) -> Band:
    ones, rows = (y * member).astype(np.float64), member.astype(np.float64)
    return ratio_band(ones, rows, session, draws=DRAWS, seed=SEED, share=SHARE)


def _scaled(band: Band, base: float) -> Band:
    return Band(band.low / base, band.high / base)


def _chance_lift(y: Int64, member: Bool, session: Int64) -> Band:
    base = float(y.mean())
    return null_band(
        lambda order: float(y[order][member].mean()) / base, session, draws=DRAWS, seed=SEED, share=SHARE
    )


def _ends(bands: Iterable[Band], prefix: str = "") -> dict[str, list[float]]:
    found = list(bands)
    return {f"{prefix}low": [band.low for band in found], f"{prefix}high": [band.high for band in found]}
