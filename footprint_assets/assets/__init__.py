"""The asset graph, one module a layer. Thin: grain, inputs, output and failure policy; the numbers come from below."""

from __future__ import annotations

from functools import cache

from footprint_assets.assets import bronze, gold, judging, learning, levels, market, sessions, silver
from footprint_assets.months import MonthTable
from footprint_assets.settings import Settings
from footprint_assets.tables import LakeTable

MONTH_TABLES: tuple[MonthTable, ...] = (
    *learning.TABLES,
    *judging.RETRIEVAL_TABLES,
    learning.out_of_fold,
    *judging.TABLES,
)
"""Every table of months, in an order in which each comes after its inputs."""


def tables(settings: Settings) -> tuple[LakeTable, ...]:
    """Every lake table of trade dates of these settings, in an order in which each comes after its inputs.

    Args:
        settings: Names the levels that have tables of their own.

    Returns:
        The tables; the same objects for the same levels.
    """
    return tables_with(settings.levels.pipelines)


@cache
def tables_with(pipelines: tuple[str, ...]) -> tuple[LakeTable, ...]:
    """Every lake table there is with these levels."""
    of_levels = (table for level in pipelines for table in levels.level_tables(level))
    return (
        *bronze.TABLES,
        *silver.TABLES,
        *sessions.TABLES,
        *market.TABLES,
        *of_levels,
        *gold.tables_with(pipelines),
    )
