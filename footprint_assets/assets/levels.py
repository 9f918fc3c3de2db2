"""The tables of one price level: its episodes, the approach to it, what came of it, and the features of both.

Every level of ``LevelSettings.pipelines`` has them; they share their contracts and their code.
"""

from __future__ import annotations

from footprint_assets.contracts import level_key
from footprint_assets.tables import LakeTable

EPISODES = "silver.future.market_by_price_10_level_episodes"
APPROACH = "silver.future.market_by_price_10_level_approach"
OUTCOMES = "silver.future.market_by_price_10_level_outcomes"
FEATURES = "gold.future.level_features"


def keys_of(level: str) -> dict[str, str]:
    """Dataset keys of a level's tables, by the name of the contract they share with the other levels.

    Args:
        level: Name of the level, such as ``PM_HIGH``.

    Raises:
        LevelNameTaken: A level of this name would take another table's key.
    """
    return {shared: level_key(shared, level) for shared in (EPISODES, APPROACH, OUTCOMES, FEATURES)}


def level_tables(level: str) -> tuple[LakeTable, ...]:
    """The lake tables of one level, in an order in which each comes after its inputs.

    Args:
        level: Name of the level, such as ``PM_HIGH``; ``LEVEL`` gives those of the shared contracts, for the
            documentation.
    """
    keys_of(level)
    return ()
