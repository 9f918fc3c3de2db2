"""Pages a person opens: rendered views of finished lake tables.

Functions here take polars frames and return text; they never open a lake file, start a server or import Dagster.
"""

from __future__ import annotations

from footprint_assets.report.footprint import footprint_page
from footprint_assets.report.models import ModelTables, Signals, model_page
from footprint_assets.report.quality import CheckFact, TableFacts, quality_page
from footprint_assets.report.session import SessionTables, session_page
from footprint_assets.report.setups import Setups, setups_page
from footprint_assets.report.shell import ReportError

__all__ = [
    "CheckFact",
    "ModelTables",
    "ReportError",
    "SessionTables",
    "Setups",
    "Signals",
    "TableFacts",
    "footprint_page",
    "model_page",
    "quality_page",
    "session_page",
    "setups_page",
]
