"""What a check finds, and how a published table is made to break a rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import polars as pl

from footprint_assets import contracts
from footprint_assets.checks import AUDIT_CHECKS, CHECKS, Finding
from footprint_assets.lake import Lake
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets_tests.small_market import DAY, republish, rows

Alter = Callable[[pl.DataFrame], pl.DataFrame]
FIRST_ROW = pl.int_range(pl.len()) == 0


def findings(settings: Settings, name: str, day: dt.date = DAY) -> dict[tuple[str, str], Finding]:
    """Findings of one check by contract and, where it names one, table or rule."""
    (check,) = [check for check in AUDIT_CHECKS if check.name == name]
    return {
        (f.symbol, str(f.facts.get("table", f.facts.get("rule", "")))): f
        for f in check.function(Workbench(settings), day)
    }


def failing(settings: Settings, day: dt.date = DAY) -> set[str]:
    """Checks that fail, but for staleness: a rewritten table always makes stale what was made from it."""
    return {
        check.name
        for check in CHECKS
        if check.name != "inputs_current"
        for finding in check.function(Workbench(settings), day)
        if not finding.passed
    }


def tamper(settings: Settings, table: str, alter: Alter, *symbols: str, day: dt.date = DAY) -> None:
    """Publish altered rows of some contracts (of ESM5 where none is named) and the others' as they are."""
    lake = Lake(settings.lake_root)
    frames = rows(lake, table, day)
    types = contracts.load(table).polars_schema
    altered = {symbol: alter(frames[symbol]).cast(dict(types)) for symbol in symbols or ("ESM5",)}
    republish(lake, table, day, frames | altered)


def on_first_row(column: str, value: pl.Expr | object) -> Alter:
    """Give one column of the first row another value."""
    expr = value if isinstance(value, pl.Expr) else pl.lit(value)
    return lambda frame: frame.with_columns(pl.when(FIRST_ROW).then(expr).otherwise(column).alias(column))
