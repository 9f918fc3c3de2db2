"""The rules of the book's records: as they were delivered, and cleaned."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from footprint_assets.checks import scans
from footprint_assets.checks.finding import GET_AGAIN, LOOK, Check, Finding, Limits
from footprint_assets.checks.reading import instant, symbols, table
from footprint_assets.checks.scans import BOOK, BOOK_CLEAN, CleanScan, SourceScan
from footprint_assets.resources import Workbench
from footprint_assets.settings import NANOS_PER_SECOND, QualitySettings

BROKEN = Limits(error=0.0)
"""Not a single row."""
SHOWN = Limits(warn=0.0)

OfSource = Callable[[str, SourceScan, QualitySettings], list[Finding]]
OfClean = Callable[[str, CleanScan, QualitySettings], list[Finding]]


def receive_delays(bench: Workbench, day: dt.date) -> list[Finding]:
    """The 99th percentile of the time from event to receipt is short; events received out of order are counted."""

    def judge(symbol: str, scan: SourceScan, quality: QualitySettings) -> list[Finding]:
        limits = Limits(warn=quality.receive_delay_share)
        earlier = scan.earlier_events
        facts = {"late_from_seconds": quality.receive_delay_seconds, "events_out_of_order": earlier.count}
        return [limits.judge_share(symbol, scan.late.count, scan.rows, scan.late.first, **facts)]

    return _of_source(bench, day, judge)


def sequence_gaps(bench: Workbench, day: dt.date) -> list[Finding]:
    """The channel's sequence numbers never go back after the open and leave no wide gap.

    A channel carries many instruments: a small step of one contract's numbers is no gap.
    """

    def judge(symbol: str, scan: SourceScan, quality: QualitySettings) -> list[Finding]:
        facts = {"largest_step": scan.largest_step, "step_above": quality.sequence_step}
        return [
            SHOWN.judge_share(symbol, scan.resets.count, scan.rows, scan.resets.first, rule="resets"),
            SHOWN.judge_share(symbol, scan.steps.count, scan.rows, scan.steps.first, rule="gaps", **facts),
        ]

    return _of_source(bench, day, judge)


def record_flags(bench: Workbench, day: dt.date) -> list[Finding]:
    """Few records of cash hours are flagged maybe-bad-book and few bad-ts-recv; snapshots only begin a file; events end."""

    def judge(symbol: str, scan: SourceScan, quality: QualitySettings) -> list[Finding]:
        bad_book = Limits(quality.bad_book_warn_share, quality.bad_book_error_share)
        bad_times = Limits(warn=quality.bad_ts_share)
        unfinished = scan.rows if not scan.lasts else 0
        return [
            bad_book.judge_share(
                symbol, scan.bad_books.count, scan.cash_rows, scan.bad_books.first, rule="maybe_bad_book"
            ),
            bad_times.judge_share(
                symbol, scan.bad_times.count, scan.rows, scan.bad_times.first, rule="bad_ts_recv"
            ),
            SHOWN.judge_share(
                symbol, scan.late_snapshots.count, scan.rows, scan.late_snapshots.first, rule="snapshot"
            ),
            SHOWN.judge_share(symbol, unfinished, scan.rows, None, rule="last_of_event"),
        ]

    return _of_source(bench, day, judge)


def ladder_order(bench: Workbench, day: dt.date) -> list[Finding]:
    """Bids strictly fall, asks strictly rise, no hole before a defined level, sizes positive where a price is."""

    def judge(symbol: str, scan: CleanScan, _: QualitySettings) -> list[Finding]:
        return [BROKEN.judge_share(symbol, scan.broken.count, scan.rows, scan.broken.first)]

    return _of_clean(bench, day, judge)


def prices_on_tick(bench: Workbench, day: dt.date) -> list[Finding]:
    """Every price of every level is a multiple of the tick."""

    def judge(symbol: str, scan: CleanScan, _: QualitySettings) -> list[Finding]:
        return [BROKEN.judge_share(symbol, scan.off_tick.count, scan.rows, scan.off_tick.first)]

    return _of_clean(bench, day, judge)


def book_not_crossed(bench: Workbench, day: dt.date) -> list[Finding]:
    """No finished event inside trading hours leaves the book crossed, and hardly any of cash hours leaves it locked."""

    def judge(symbol: str, scan: CleanScan, quality: QualitySettings) -> list[Finding]:
        locked = Limits(warn=quality.locked_share)
        return [
            BROKEN.judge_share(symbol, scan.crossed.count, scan.rows, scan.crossed.first, rule="crossed"),
            locked.judge_share(symbol, scan.locked.count, scan.cash_rows, scan.locked.first, rule="locked"),
        ]

    return _of_clean(bench, day, judge)


def records_once(bench: Workbench, day: dt.date) -> list[Finding]:
    """No record of the clean book is there twice."""

    def judge(symbol: str, scan: CleanScan, _: QualitySettings) -> list[Finding]:
        return [BROKEN.judge_share(symbol, scan.twice.count, scan.rows, scan.twice.first)]

    return _of_clean(bench, day, judge)


def no_long_pause(bench: Workbench, day: dt.date) -> list[Finding]:
    """The book of a full session never pauses for long in cash hours, from the first minute to the last."""

    def judge(symbol: str, scan: CleanScan, quality: QualitySettings) -> list[Finding]:
        if scan.rows < quality.min_records:
            return [_too_thin(symbol, scan.rows, quality)]
        seconds = scan.longest_pause_ns / NANOS_PER_SECOND
        limits = Limits(quality.pause_warn_seconds, quality.pause_error_seconds)
        facts = {"longest_pause_seconds": seconds, "first": {"ts_event": instant(scan.pause_after_ns)}}
        return [limits.judge(symbol, seconds, facts)]

    return _of_clean(bench, day, judge)


def copies_delivered(bench: Workbench, day: dt.date) -> list[Finding]:
    """Hardly any row came twice in the files; the cleaned tables count the copies they left out."""
    limits, findings = Limits(warn=bench.settings.quality.duplicate_share), []
    for key in (BOOK_CLEAN, "silver.future.trades_clean"):
        for (_, symbol), manifest in table(bench, key, day).manifests().items():
            copies = manifest.filtered.get("redelivered_copy", 0)
            findings.append(limits.judge_share(symbol, copies, manifest.rows_in, None, table=key))
    return findings


def _of_source(bench: Workbench, day: dt.date, judge: OfSource) -> list[Finding]:
    quality = bench.settings.quality
    return [
        finding
        for symbol in symbols(bench, BOOK, day)
        for finding in judge(symbol, scans.source_scan(bench, day, symbol), quality)
    ]


def _of_clean(bench: Workbench, day: dt.date, judge: OfClean) -> list[Finding]:
    quality = bench.settings.quality
    return [
        finding
        for symbol in symbols(bench, BOOK_CLEAN, day)
        for finding in judge(symbol, scans.clean_scan(bench, day, symbol), quality)
    ]


def _too_thin(symbol: str, rows: int, quality: QualitySettings) -> Finding:
    why = f"book records: {rows}, needed: {quality.min_records}"
    return Finding.skip(symbol, why, rows=rows)


CHECKS: tuple[Check, ...] = (
    Check.of(receive_delays, BOOK, "WARN", remedy=LOOK),
    Check.of(sequence_gaps, BOOK, "WARN", remedy=GET_AGAIN),
    Check.of(record_flags, BOOK, "ERROR", warns_first=True, remedy=GET_AGAIN),
    Check.of(copies_delivered, BOOK_CLEAN, "WARN", "silver.future.trades_clean", remedy=LOOK),
    Check.of(ladder_order, BOOK_CLEAN, "ERROR", remedy=GET_AGAIN),
    Check.of(prices_on_tick, BOOK_CLEAN, "ERROR", remedy=GET_AGAIN),
    Check.of(book_not_crossed, BOOK_CLEAN, "ERROR", warns_first=True, remedy=GET_AGAIN),
    Check.of(records_once, BOOK_CLEAN, "ERROR"),
    Check.of(no_long_pause, BOOK_CLEAN, "ERROR", warns_first=True, remedy=GET_AGAIN),
)
