"""The numbers a model reads: the allowed columns of `levels_signals`, and nothing else.

`contracts/features.json` is the allow list; its SHA-256 travels with every model, so that one never reads columns it was not
made for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.contracts import CONTRACTS_DIR
from footprint_assets.errors import FootprintError

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

_ROWS_AT_ONCE = 8192


class FeaturesDiffer(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A model was made for other features than those at hand."""


class NothingKnown(FootprintError):  # noqa: N818 - names the fact a reader meets
    """No feature has a value in any row, or none that differs between rows."""


@dataclass(frozen=True)
class FeatureList:
    """What a model may read.

    Args:
        names: Columns, in the order a model reads them.
        families: Family of each column: the first word of its name behind ``bar5s_``.
        sha256: Of the allow list they come from.
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    sha256: str

    def without(self, family: str) -> FeatureList:
        """The same list without one family, for ablations."""
        return self.only([name for name, of in zip(self.names, self.families, strict=True) if of != family])

    def only(self, names: Collection[str]) -> FeatureList:
        """The same list with these names alone, in its own order."""
        wanted = frozenset(names)
        kept = [pair for pair in zip(self.names, self.families, strict=True) if pair[0] in wanted]
        return FeatureList(tuple(name for name, _ in kept), tuple(of for _, of in kept), self.sha256)


@cache
def allowed(root: Path = CONTRACTS_DIR) -> FeatureList:
    """Every feature of ``features.json``.

    Args:
        root: Directory of the contracts.
    """
    schema: Mapping[str, Any] = json.loads((root / "features.json").read_text(encoding="utf-8"))
    names = tuple(row["name"] for row in schema["features"])
    return FeatureList(names, tuple(map(family, names)), schema["sha256"])


@cache
def sets(root: Path = CONTRACTS_DIR) -> Mapping[str, tuple[str, ...]]:
    """The features of the level (``level``) and those of the whole market (``market``), for ablations.

    Args:
        root: Directory of the contracts.
    """
    schema: Mapping[str, Any] = json.loads((root / "features.json").read_text(encoding="utf-8"))
    found: dict[str, tuple[str, ...]] = {}
    for row in schema["features"]:
        name = row["pipeline"].lower()
        found[name] = (*found.get(name, ()), row["name"])
    return found


def family(name: str) -> str:
    """Family of a feature, such as ``ofi`` of ``bar5s_ofi_norm_m00_sum``."""
    return name.removeprefix("bar5s_").partition("_")[0]


def matrix(rows: pl.DataFrame, names: Sequence[str], at: Int64 | None = None) -> Float32:
    """Columns as one matrix; what is not known is NaN.

    Args:
        rows: Rows with at least the named columns, numbers or booleans.
        names: Columns, in order.
        at: Which rows, in order; int64[n]. All of them where ``None``.

    Returns:
        float32[n, names], row by row in memory.

    Raises:
        FeaturesDiffer: A column is not there.
    """
    present = set(rows.columns)
    if missing := [name for name in names if name not in present]:
        raise FeaturesDiffer(
            "The rows lack features.",
            where={"missing": len(missing), "first": missing[0]},
            remedy="footprint-assets run rebuilds the tables with today's features.",
        )
    columns = rows.select(pl.col(names).cast(pl.Float32))
    x = np.empty((rows.height if at is None else at.size, len(names)), np.float32)
    # Some rows at a time: whole, the matrix would be there a second time, column by column.
    for start in range(0, x.shape[0], _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        x[some] = (columns[some] if at is None else columns[at[some]]).to_numpy()
    return x


def require_known(x: Float32) -> None:
    """Refuse a matrix without a single value.

    Raises:
        NothingKnown: Every value is NaN, or there is none.
    """
    if not np.isfinite(x).any():
        raise NothingKnown(
            "No feature has a value in any row.",
            where={"rows": x.shape[0], "features": x.shape[1]},
            remedy="footprint-assets show gold.future.levels_signals shows the rows.",
        )


def require_told_apart(x: Float32) -> None:
    """Refuse a matrix whose rows are all alike.

    Raises:
        NothingKnown: No column has two values; what is unknown is none.
    """
    low, high = (end.reduce(x, axis=0, initial=np.nan) for end in (np.fmin, np.fmax))
    if not np.any(low < high):
        raise NothingKnown(
            "No feature has two different values: nothing tells the rows apart.",
            where={"rows": x.shape[0], "features": x.shape[1]},
            remedy="footprint-assets show gold.future.levels_signals shows the rows.",
        )
