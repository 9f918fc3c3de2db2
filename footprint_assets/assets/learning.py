"""What is learned from levels, month by month: the rows, the models, and what they say of a month they have not seen.

Thin: grain, inputs, output and failure policy; the numbers come from `ml`. A month is learned from the months before it
alone, so that making the months one after the other is the walk-forward evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import polars as pl
from pydantic import BaseModel

from footprint_assets.gold_contracts import TRAINING_SET
from footprint_assets.lake import PartitionMissing
from footprint_assets.ml.features import allowed
from footprint_assets.ml.training import columns_read, training_rows
from footprint_assets.months import MonthScope, MonthTable, contracts_by_root, month_asset
from footprint_assets.tables import Batch, TableInput

LEVELS_SIGNALS = "gold.future.levels_signals"
ROWS = {"rows": TRAINING_SET}
FEATURES_NOTE = "features_sha256"
"""Fact of a manifest: SHA-256 of the allow list its rows were made by."""


class Features(BaseModel):
    """The allow list as a part of the configuration: another one is another table."""

    sha256: str


@cache
def features() -> Features:
    """The allow list of today."""
    return Features(sha256=allowed().sha256)


@month_asset(
    TRAINING_SET,
    days={"signals": LEVELS_SIGNALS},
    config=lambda settings: (settings.labels, features()),
)
def training_set(scope: MonthScope, signals: TableInput) -> Iterator[Batch]:
    """Every episode of the month as a model reads it.

    Grain: one row an episode. Inputs: the signals of the month's trade dates, as far as they are published; the manifest
    names the trade dates that are not. A month without any published fails.
    """
    allow_list, labels = allowed(), scope.settings.labels
    published = {day for day, _ in signals.manifests()}
    if not published:
        raise PartitionMissing(
            f"{LEVELS_SIGNALS} is published for no trade date of {scope.month:%Y-%m}.",
            where={"table": LEVELS_SIGNALS, "month": f"{scope.month:%Y-%m}"},
            remedy=f"footprint-assets backfill --start {scope.sessions[0]} --end {scope.sessions[-1]}",
        )
    notes = {
        FEATURES_NOTE: allow_list.sha256,
        "trade_dates": len(published),
        "not_published": [day for day in scope.sessions if day not in published],
    }
    columns = columns_read(allow_list, labels)
    for root, contracts in contracts_by_root(signals, scope.month).items():
        found = pl.concat([signals.frame(contract, columns) for contract in contracts])
        rows = training_rows(found, allow_list, labels)
        made = rows.rename({"symbol": "contract"}).with_columns(symbol=pl.lit(root))
        yield Batch(root, made, rows_in=found.height, notes=notes, is_last=True)


TABLES: tuple[MonthTable, ...] = (training_set,)
