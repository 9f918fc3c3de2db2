"""HTML pages of lake tables: reads the tables, hands them to ``report``, writes the file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.audit import audit, published_dates
from footprint_assets.errors import FootprintError
from footprint_assets.report import (
    CheckFact,
    SessionTables,
    TableFacts,
    footprint_page,
    quality_page,
    session_page,
)
from footprint_assets.report import session as session_report
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tables import TableInput

PRICE, BAR, LEVELS, PROFILE, CONTEXT, SERIES, DEPTH, EPISODES, OUTCOMES = (
    f"silver.future.{name}"
    for name in (
        "footprint_price",
        "footprint_bar",
        "session_levels",
        "volume_profile_price",
        "session_context_5s",
        "level_series_5s",
        "market_by_price_10_price5s",
        "market_by_price_10_level_episodes",
        "market_by_price_10_level_outcomes",
    )
)


class NothingToDraw(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The lake has no such contract or bars on the trade date."""


def session_tables(settings: Settings) -> tuple[str, ...]:
    """Dataset keys of the tables the session page shows."""
    of_levels = (
        contracts.level_key(template, level)
        for level in settings.levels.pipelines
        for template in (EPISODES, OUTCOMES)
    )
    return (BAR, PROFILE, LEVELS, CONTEXT, SERIES, DEPTH, *of_levels)


def write_footprint_page(
    settings: Settings, day: dt.date, symbol: str, bar_types: Sequence[str], out: Path, *, simulated: bool
) -> None:
    """Write the footprint chart of one contract and trade date.

    Args:
        settings: Names the lake.
        day: Trade date.
        symbol: Contract.
        bar_types: Such as ``time_5m``, the first of them shown; without, all that fit one page.
        out: The file to write; its folder is made.
        simulated: Whether the page says that the market is simulated.

    Raises:
        MarketClosed: The date is no trade date.
        PartitionMissing: A table is not published for the trade date.
        NothingToDraw: The contract or the bar type is not in the lake.
    """
    price, bar, levels = (_input(settings, key, day) for key in (PRICE, BAR, LEVELS))
    _require("contract", symbol, bar.symbols(), day)
    bars = bar.frame(symbol)
    published = sorted(bars["bar_type"].unique().cast(str).to_list())
    for name in bar_types:
        _require("bar type", name, published, day)
    html = footprint_page(
        price.frame(symbol),
        bars,
        levels.frame(symbol),
        symbol=symbol,
        session_date=day,
        bar_types=bar_types,
        simulated=simulated,
        ticks_per_row=settings.footprint.ticks_per_row,
    )
    write_page(out, html)


def write_session_page(settings: Settings, day: dt.date, symbol: str, out: Path, *, simulated: bool) -> None:
    """Write the session report of one contract and trade date.

    Args:
        settings: Names the lake and the levels.
        day: Trade date.
        symbol: Contract.
        out: The file to write; its folder is made.
        simulated: Whether the page says that the market is simulated.

    Raises:
        MarketClosed: The date is no trade date.
        PartitionMissing: A table is not published for the trade date.
        NothingToDraw: The contract is not in the lake.
    """
    bar = _input(settings, BAR, day)
    _require("contract", symbol, bar.symbols(), day)

    def rows(key: str, columns: Sequence[str]) -> pl.DataFrame:
        return _input(settings, key, day).frame(symbol, columns)

    def of_levels(template: str, columns: Sequence[str]) -> pl.DataFrame:
        keys = (contracts.level_key(template, level) for level in settings.levels.pipelines)
        return pl.concat([rows(key, columns) for key in keys], how="vertical_relaxed")

    tables = SessionTables(
        bar=bar.frame(symbol),
        profile=_input(settings, PROFILE, day).frame(symbol),
        levels=_input(settings, LEVELS, day).frame(symbol),
        vwap=rows(CONTEXT, session_report.VWAP_COLUMNS),
        moving=rows(SERIES, session_report.MOVING_COLUMNS),
        depth=rows(DEPTH, session_report.DEPTH_COLUMNS),
        episodes=of_levels(EPISODES, session_report.EPISODE_COLUMNS),
        outcomes=of_levels(OUTCOMES, session_report.OUTCOME_COLUMNS),
    )
    write_page(out, session_page(tables, symbol=symbol, session_date=day, simulated=simulated))


def write_quality_page(
    settings: Settings, start: dt.date | None, end: dt.date | None, out: Path, *, simulated: bool
) -> None:
    """Write the data-quality report of the published trade dates of a range.

    Args:
        settings: Names the lake.
        start: First trade date; the first published where ``None``.
        end: Last trade date; the last published where ``None``.
        out: The file to write; its folder is made.
        simulated: Whether the page says that the market is simulated.

    Raises:
        NothingToDraw: Nothing is published in the range.
    """
    bench = Workbench(settings)
    dates = published_dates(bench, start, end)
    if not dates:
        raise NothingToDraw(
            "No trade date of the range is published.",
            where={"start": start, "end": end},
            remedy="footprint-assets run",
        )
    findings = [
        CheckFact(
            row.trade_date,
            row.check.name,
            row.severity,
            row.check.rule,
            row.finding.symbol,
            row.finding.passed,
            row.finding.words,
            skipped=bool(row.finding.skipped),
        )
        for row in audit(bench, start, end)
    ]
    tables = [fact for day in dates for fact in _facts(bench, day)]
    write_page(out, quality_page(tables, findings, simulated=simulated))


def _facts(bench: Workbench, day: dt.date) -> list[TableFacts]:
    return [
        TableFacts(
            day,
            key,
            symbol,
            manifest.rows,
            manifest.rows_in,
            manifest.quarantined,
            manifest.filtered,
            manifest.bytes,
            manifest.contract.version,
            _nulls(bench, key, day, symbol),
        )
        for key in bench.lake.tables()
        for symbol, manifest in sorted(bench.lake.manifests(key, day).items())
    ]


def _nulls(bench: Workbench, key: str, day: dt.date, symbol: str) -> dict[str, int]:
    """Nulls of the columns that have some; a column that may have none was refused when it had one."""
    names = [field.name for field in contracts.load(key).fields if field.nullable]
    if not names:
        return {}
    with bench.lake.read(key, day, symbol) as partition:
        counts = partition.scan(names).select(pl.all().null_count()).collect().row(0, named=True)
    return {name: count for name, count in counts.items() if count}


def _input(settings: Settings, key: str, day: dt.date) -> TableInput:
    cme.session(day)
    return TableInput(Workbench(settings).lake, key, (day,))


def write_page(out: Path, html: str) -> None:
    """Write a page as UTF-8.

    Args:
        out: The file; its folder is made.
        html: The document.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(html, encoding="utf-8", newline="\n")


def _require(what: str, wanted: str, published: list[str], day: dt.date) -> None:
    if wanted not in published:
        raise NothingToDraw(
            f"The lake has no {what} {wanted!r} on {day}.",
            where={"table": BAR, "dt": day},
            remedy=f"use one of {', '.join(published)}."
            if published
            else f"footprint-assets run --date {day}",
        )
