"""The rules of what was delivered: files, rows of a date, trades of a date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from statistics import median

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets.checks.finding import GET_AGAIN, LOOK, Check, Finding, Limits
from footprint_assets.checks.reading import frame, instant, manifests_before, root_of, symbols, table
from footprint_assets.lake import SourceRef
from footprint_assets.resources import Workbench
from footprint_assets.settings import NANOS_PER_SECOND, QualitySettings
from footprint_assets.sources.catalog import Catalog, FileEntry, covering, fingerprint
from footprint_assets.sources.vendor_files import condition, promised

BOOK = "bronze.future.market_by_price_10"
TRADES = "bronze.future.trades"
TRADES_CLEAN = "silver.future.trades_clean"
BBO = "silver.future.bbo"
SCHEMAS = {BOOK: "mbp-10", TRADES: "trades"}
"""Tables a trade date cannot be without, and the schema of their files."""

AVAILABLE, DEGRADED = "available", "degraded"


def files_as_recorded(bench: Workbench, day: dt.date) -> list[Finding]:
    """The files are those the tables were made of and as the vendor lists them, cover trading hours, and are not degraded.

    A file that is no longer in the drop folder is a warning, and so are trading hours no file covers: what is there was
    checked when it was read. The vendor's word is read from manifest.json and condition.json of a batch download.
    """
    catalog, session = bench.catalog(), cme.session(day)
    findings = []
    for key, schema in SCHEMAS.items():
        sources = {
            source.name: source
            for manifest in bench.lake.manifests(key, day).values()
            for source in manifest.lineage.sources
        }
        if not sources:
            findings.append(Finding.skip("*", f"no {schema} file", table=key))
            continue
        covered = covering(catalog, schema, *session.window_ns)
        facts = {
            "table": key,
            "files": len(sources),
            "changed": sorted(_changed(bench, catalog, sources)),
            "not_as_listed": sorted(_not_as_listed(catalog, sources)),
            "of_closed_days": sorted(entry.name for entry in covered if _is_of_a_closed_day(entry, session)),
            "not_available": list(_conditions(covered, day, {"pending", "missing"})),
            "degraded": list(_conditions(covered, day, {DEGRADED})),
            "gone": sorted(sources.keys() - {entry.name for entry in catalog.entries}),
            "uncovered_seconds": _uncovered_ns(covered, session) / NANOS_PER_SECOND,
        }
        fails = any(facts[name] for name in ("changed", "not_as_listed", "of_closed_days", "not_available"))
        warns = any(facts[name] for name in ("degraded", "gone", "uncovered_seconds"))
        findings.append(Finding("*", not fails and not warns, facts, "ERROR" if fails else "WARN"))
    return findings


def _changed(bench: Workbench, catalog: Catalog, sources: Mapping[str, SourceRef]) -> Iterator[str]:
    """Files of another content than the one the tables were made of."""
    for entry in catalog.entries:
        source = sources.get(entry.name)
        if source is not None and (
            entry.bytes != source.bytes
            or fingerprint(entry, bench.settings.ingest, bench.catalog_cache) != source.sha256
        ):
            yield entry.name


def _not_as_listed(catalog: Catalog, sources: Mapping[str, SourceRef]) -> Iterator[str]:
    """Files whose size or hash is not the one in the vendor's manifest."""
    for entry in catalog.entries:
        source = sources.get(entry.name)
        told = promised(entry.path) if source is not None else None
        if source and told and (told.bytes != source.bytes or told.sha256 not in (None, source.sha256)):
            yield entry.name


def _is_of_a_closed_day(entry: FileEntry, session: cme.Session) -> bool:
    """Whether a file of the date's window covers none of its trading hours, nor those of another date."""
    start, end = entry.start_ns, entry.end_ns
    if start is None or end is None or start < session.window_ns[0] or end > session.window_ns[1]:
        return False
    return end <= session.open_ns or start >= session.close_ns


def _conditions(entries: Iterable[FileEntry], day: dt.date, bad: set[str]) -> Iterator[str]:
    """What the vendor says of the UTC days of a trade date, where it is not good."""
    for folder in sorted({entry.path.parent for entry in entries}):
        for utc_day in cme.utc_days(day):
            said = condition(folder, utc_day)
            if said in bad:
                yield f"{utc_day} {said}"


def _uncovered_ns(entries: Iterable[FileEntry], session: cme.Session) -> int:
    """Trading time that lies in the range of no file, ns."""
    reached, uncovered = session.open_ns, 0
    for entry in sorted(entries, key=lambda entry: entry.start_ns or 0):
        start = min(entry.start_ns or 0, session.close_ns)
        uncovered += max(start - reached, 0)
        reached = max(reached, entry.end_ns if entry.end_ns is not None else entry.mtime_ns)
    return uncovered + max(session.close_ns - reached, 0)


def frames_checksummed(bench: Workbench, day: dt.date) -> list[Finding]:
    """Every compressed frame of the files ends with a checksum: without one a flipped bit is read as other data."""
    findings = []
    for key in SCHEMAS:
        for (_, symbol), manifest in table(bench, key, day).manifests().items():
            notes = {name: note for name, note in manifest.notes.items() if isinstance(note, dict)}
            frames = sum(int(note.get("zstd_frames", 0)) for note in notes.values())
            without = {
                name: int(note["zstd_frames_without_checksum"])
                for name, note in notes.items()
                if note.get("zstd_frames_without_checksum")
            }
            first = {"file": min(without)} if without else None
            findings.append(
                Limits(warn=0.0).judge_share(symbol, sum(without.values()), frames, first, table=key)
            )
    return findings


def row_counts(bench: Workbench, day: dt.date) -> list[Finding]:
    """A date's rows are between a fifth and five times the median of the full sessions before it, and never none."""
    quality, findings = bench.settings.quality, []
    for key in SCHEMAS:
        for (_, symbol), manifest in table(bench, key, day).manifests().items():
            if manifest.lineage.sources or key == TRADES:
                findings.append(_row_count(bench, key, day, symbol, manifest.rows, quality))
            else:
                findings.append(Finding.skip(symbol, f"no {SCHEMAS[key]} file", table=key))
    return findings


def _row_count(
    bench: Workbench, key: str, day: dt.date, symbol: str, rows: int, quality: QualitySettings
) -> Finding:
    if not rows:
        return Finding(symbol, passed=False, facts={"table": key, "rows": 0}, severity="ERROR")
    if not _is_full(day):
        return Finding.skip(symbol, f"{day} is no full session", table=key, rows=rows)
    before = manifests_before(bench, key, day, root_of(bench, day, symbol), quality.history_sessions)
    counts = [manifest.rows for earlier, manifest in before.items() if _is_full(earlier) and manifest.rows]
    if len(counts) < quality.min_sessions:
        why = f"full sessions before it: {len(counts)}, needed: {quality.min_sessions}"
        return Finding.skip(symbol, why, table=key, rows=rows)
    usual = median(counts)
    low, high = quality.row_count_low * usual, quality.row_count_high * usual
    facts = {"table": key, "rows": rows, "median": usual, "rate": rows / usual, "low": low, "high": high}
    return Finding(symbol, low <= rows <= high, facts | {"sessions": len(counts)}, "WARN")


def _is_full(day: dt.date) -> bool:
    session = cme.session(day)
    return not session.is_early_close and session.rth_open_ns is not None


def trade_distribution(bench: Workbench, day: dt.date) -> list[Finding]:
    """Trades lie within a tick of the day's best quotes, nearly all have an aggressor, and buyers and sellers balance."""
    quality, findings = bench.settings.quality, []
    for symbol in symbols(bench, TRADES_CLEAN, day):
        trades = frame(bench, TRADES_CLEAN, day, symbol, ["ts_event", "price_tick", "size", "aggressor_sign"])
        if trades.height < quality.min_trades:
            why = f"trades: {trades.height}, needed: {quality.min_trades}"
            findings.append(Finding.skip(symbol, why, trades=trades.height))
            continue
        findings += [
            _inside_book(symbol, trades, frame(bench, BBO, day, symbol, ["bid_tick", "ask_tick"])),
            _sides_known(symbol, trades, quality),
            _balanced(symbol, trades, quality),
        ]
    return findings


def _inside_book(symbol: str, trades: pl.DataFrame, quotes: pl.DataFrame) -> Finding:
    low, high = quotes["bid_tick"].min(), quotes["ask_tick"].max()
    if low is None or high is None:
        return Finding.skip(symbol, "no best quotes", rule="inside_book")
    is_outside = ~pl.col("price_tick").is_between(pl.lit(low) - 1, pl.lit(high) + 1)
    outside = trades.with_row_index("row").filter(is_outside)
    range_ = {"low_tick": low, "high_tick": high}
    limits = Limits(warn=0.0)
    return limits.judge_share(
        symbol, outside.height, trades.height, _first(outside), rule="inside_book", **range_
    )


def _sides_known(symbol: str, trades: pl.DataFrame, quality: QualitySettings) -> Finding:
    unknown = trades.with_row_index("row").filter(pl.col("aggressor_sign") == 0)
    limits = Limits(warn=quality.unknown_side_share)
    return limits.judge_share(symbol, unknown.height, trades.height, _first(unknown), rule="sides_known")


def _balanced(symbol: str, trades: pl.DataFrame, quality: QualitySettings) -> Finding:
    volumes = {
        sign: int(trades.filter(pl.col("aggressor_sign") == sign)["size"].sum() or 0) for sign in (1, -1)
    }
    rate = volumes[1] / max(sum(volumes.values()), 1)
    sizes = {"largest": trades["size"].max(), "size_p999": trades["size"].quantile(0.999, "nearest")}
    facts = {"rule": "balanced", "bought": volumes[1], "sold": volumes[-1], "rate": rate, **sizes}
    low, high = quality.buy_share_low, quality.buy_share_high
    return Finding(symbol, low <= rate <= high, facts | {"low": low, "high": high}, "WARN")


def _first(rows: pl.DataFrame) -> dict[str, object] | None:
    if rows.is_empty():
        return None
    return {"row": rows["row"][0], "ts_event": instant(rows["ts_event"].to_physical()[0])}


CHECKS: tuple[Check, ...] = (
    Check.of(files_as_recorded, TRADES, "ERROR", BOOK, warns_first=True, remedy=GET_AGAIN),
    Check.of(frames_checksummed, TRADES, "WARN", BOOK, remedy=GET_AGAIN),
    Check.of(row_counts, TRADES, "ERROR", BOOK, warns_first=True, remedy=GET_AGAIN),
    Check.of(trade_distribution, TRADES_CLEAN, "WARN", BBO, remedy=LOOK),
)
