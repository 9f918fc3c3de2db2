"""Pages a person opens: rendered views of finished lake tables.

Functions here take polars frames and return text; they never open a lake file, start a server or import Dagster.
"""

from __future__ import annotations

from footprint_assets.report.page import ReportError, choose_window, footprint_page

__all__ = ["ReportError", "choose_window", "footprint_page"]
