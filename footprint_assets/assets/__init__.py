"""The asset graph, one module a layer. Thin: grain, inputs, output and failure policy; the numbers come from below."""

from __future__ import annotations

from footprint_assets.assets import bronze, gold, silver
from footprint_assets.tables import LakeTable

TABLES: tuple[LakeTable, ...] = (*bronze.TABLES, *silver.TABLES, *gold.TABLES)
"""Every lake table, in an order in which each comes after its inputs."""
