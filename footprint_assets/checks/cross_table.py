"""The rules of source rows, clean rows and bars of trades, and of the lake as a whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.checks import scans
from footprint_assets.checks.finding import GET_AGAIN, Check, Finding, Limits
from footprint_assets.lake.manifest import TimeRange
from footprint_assets.resources import Workbench
from footprint_assets.settings import PRICE_SCALE, FootprintSettings
from footprint_assets.tables import Scope, TableInput, sessions_before
from footprint_assets.transforms.deliveries import DeliveryTally, merge_deliveries
from footprint_assets.transforms.trades import TRADE_IDENTITY

BOOK = "bronze.future.market_by_price_10"
TRADES = "bronze.future.trades"
FRONT_MONTH = "bronze.future.front_month"
DEFINITION = "bronze.future.definition"
BOOK_CLEAN = "silver.future.market_by_price_10_clean"
TRADES_CLEAN = "silver.future.trades_clean"
OHLCV = "silver.future.ohlcv"
FOOTPRINT_PRICE = "silver.future.footprint_price"
FOOTPRINT_BAR = "silver.future.footprint_bar"
PROFILE_PRICE = "silver.future.volume_profile_price"
FIRST_HOURS = "gold.future.market_by_price_10_first3h"
FILTERED_BARS = "gold.future.market_by_price_10_bar5s_filtered"

PRICE_TOLERANCE = 1e-9
"""Points by which a volume-weighted price may leave the range of its trades through float rounding."""


def _table(bench: Workbench, key: str, day: dt.date) -> TableInput:
    return TableInput(bench.lake, key, (day,))


def rows_conserved(bench: Workbench, day: dt.date) -> list[Finding]:
    """Rows in = rows out + quarantined + filtered by a named rule, for every table that keeps accounts."""
    findings = []
    for key in (BOOK, TRADES, BOOK_CLEAN, TRADES_CLEAN, FIRST_HOURS, FILTERED_BARS):
        for (_, symbol), m in _table(bench, key, day).manifests().items():
            accounted = m.rows + m.quarantined + sum(m.filtered.values())
            facts = {"table": key, "rows_in": m.rows_in, "rows_out": m.rows, "quarantined": m.quarantined}
            findings.append(Finding(symbol, accounted == m.rows_in, facts | {"filtered": dict(m.filtered)}))
    return findings


def volume_conserved(bench: Workbench, day: dt.date) -> list[Finding]:
    """Every table built from trades holds exactly their volume, each bar type and interval on its own."""
    findings = []
    trades = _table(bench, TRADES_CLEAN, day)
    for symbol in trades.symbols():
        expected = _sum(trades.frame(symbol, ["size"])["size"])
        volumes = dict(_volumes(bench, day, symbol))
        wrong = {name: volume for name, volume in volumes.items() if volume != expected}
        findings.append(
            Finding(symbol, not wrong, {"trades": expected, "tables": len(volumes), "differ": wrong})
        )
    return findings


def _volumes(bench: Workbench, day: dt.date, symbol: str) -> Iterator[tuple[str, int]]:
    grouped = (
        (OHLCV, "interval", "volume"),
        (FOOTPRINT_PRICE, "bar_type", "total_volume"),
        (FOOTPRINT_BAR, "bar_type", "volume"),
    )
    bars = bench.settings.bars
    bar_types = len((*bars.time_seconds, *bars.range_ticks, *bars.volume_contracts, *bars.tick_trades))
    wanted = {"interval": len(bars.ohlcv_seconds), "bar_type": bar_types}
    for key, group, volume in grouped:
        frame = _table(bench, key, day).frame(symbol, [group, volume])
        totals = frame.group_by(group, maintain_order=True).agg(pl.col(volume).sum())
        for name, total in totals.iter_rows():
            yield f"{key}[{name}]", int(total)
        if totals.height < wanted[group]:
            yield f"{key}[{wanted[group] - totals.height} {group} absent]", 0
    profile = _table(bench, PROFILE_PRICE, day).frame(symbol, ["profile_type", "total_volume"])
    full = pl.col("profile_type") == "FULL"
    yield f"{PROFILE_PRICE}[FULL]", _sum(profile.filter(full)["total_volume"])
    halves = pl.col("profile_type").is_in(["RTH", "ETH"])
    yield f"{PROFILE_PRICE}[RTH + ETH]", _sum(profile.filter(halves)["total_volume"])


def book_trades_match(bench: Workbench, day: dt.date) -> list[Finding]:
    """The book's trade records and the trades table hold the same volume; nothing to compare where one is absent."""
    limits = Limits(warn=0.0, error=bench.settings.quality.book_trade_share)
    findings = []
    for symbol in _table(bench, TRADES, day).symbols():
        trades, records = _traded(bench, TRADES, day, symbol), _rows(bench, BOOK, day, symbol)
        if not records or not _rows(bench, TRADES, day, symbol):
            findings.append(Finding.skip(symbol, "no book" if not records else "no trades", trades=trades))
            continue
        book = _traded(bench, BOOK, day, symbol)
        rate = abs(book - trades) / max(book, trades, 1)
        facts = {"trades": trades, "book_trade_records": book, "book_records": records, "rate": rate}
        findings.append(limits.judge(symbol, rate, facts))
    return findings


def _rows(bench: Workbench, key: str, day: dt.date, symbol: str) -> int:
    manifest = bench.lake.manifests(key, day).get(symbol)
    return manifest.rows if manifest else 0


def _traded(bench: Workbench, key: str, day: dt.date, symbol: str) -> int:
    """Volume of a bronze table's trades; a trade two overlapping deliveries hold counts once."""
    is_trade = pl.col("action") == "T"
    with _table(bench, key, day).open(symbol) as partition:
        if _overlap([partition.time_range(part) for part in partition.parts]):
            columns = ["ts_recv", *TRADE_IDENTITY, "action", "record_index"]
            deliveries = [
                (batch.filter(is_trade) for batch in partition.frames(part=part, columns=columns))
                for part in partition.parts
            ]
            return sum(_sum(batch["size"]) for batch in merge_deliveries(deliveries, DeliveryTally()))
        if key == BOOK:
            return scans.source_scan(bench, day, symbol).traded
        return sum(_sum(batch.filter(is_trade)["size"]) for batch in partition.frames(["action", "size"]))


def _overlap(windows: Sequence[TimeRange | None]) -> bool:
    """Whether two of the windows have an instant in common, or one of several is not known."""
    known = sorted((window.min_ns, window.max_ns) for window in windows if window is not None)
    is_shared = any(start <= end for (_, end), (start, _) in pairwise(known))
    return is_shared or (len(known) < len(windows) and len(windows) > 1)


def one_instrument(bench: Workbench, day: dt.date) -> list[Finding]:
    """A contract's rows of one trade date come from one instrument, and it is the roll map's front month."""
    findings = []
    roll = _table(bench, FRONT_MONTH, day).frame().filter("is_front")["contract"].to_list()
    for key in (BOOK, TRADES):
        for symbol in _table(bench, key, day).symbols():
            ids = _instruments(bench, key, day, symbol)
            facts = {"table": key, "instrument_ids": sorted(ids), "front_months": roll}
            findings.append(Finding(symbol, len(ids) <= 1 and symbol in roll, facts))
    return findings


def _instruments(bench: Workbench, key: str, day: dt.date, symbol: str) -> set[int]:
    if key == BOOK:
        return scans.source_scan(bench, day, symbol).instruments
    return set(_table(bench, key, day).frame(symbol, ["instrument_id"])["instrument_id"].unique().to_list())


def sessions_aligned(bench: Workbench, day: dt.date) -> list[Finding]:
    """Every row lies in the trade date's window, and trades only in its trading hours."""
    session = cme.session(day)
    start, end = session.window_ns
    findings = []
    for symbol in _table(bench, TRADES_CLEAN, day).symbols():
        trades = _table(bench, TRADES_CLEAN, day).frame(symbol, ["ts_event", "session_date", "session"])
        times = trades["ts_event"].to_physical()
        outside = (
            int(((times < start) | (times >= end)).sum())
            + trades.filter(pl.col("session_date") != day).height
        )
        closed = trades.filter(pl.col("session") == "CLOSED").height
        facts = {"trades": trades.height, "outside_window": outside, "outside_trading_hours": closed}
        findings.append(Finding(symbol, not outside and not closed, facts))
    return findings


def bars_invariant(bench: Workbench, day: dt.date) -> list[Finding]:
    """Low <= open, close, VWAP, POC <= high; VAL <= POC <= VAH with its share; delta = ask - bid; running extremes."""
    findings = []
    for symbol in _table(bench, FOOTPRINT_BAR, day).symbols():
        bars = _table(bench, FOOTPRINT_BAR, day).frame(symbol)
        rules = _bar_rules(bench.settings.footprint, Scope.of(day, bench).of_contract(symbol).tick_size)
        broken = bars.select(
            (~rule.fill_null(value=True)).sum().alias(name) for name, rule in rules.items()
        ).row(0, named=True)
        telescopes = bars.select(
            (pl.col("delta").cum_sum().over("bar_type") == pl.col("cum_delta")).all().alias("ok")
        ).item()
        facts = {"bars": bars.height, "cum_delta_telescopes": telescopes} | broken
        findings.append(Finding(symbol, not any(broken.values()) and bool(telescopes), facts))
    return findings


def _bar_rules(footprint: FootprintSettings, tick_size: float) -> dict[str, pl.Expr]:
    low, high = pl.col("low") - PRICE_TOLERANCE, pl.col("high") + PRICE_TOLERANCE
    # A price row is named by its lowest tick, which may lie below the bar's low.
    lowest_row = low - (footprint.ticks_per_row - 1) * tick_size
    zero = pl.lit(0, pl.Int64)
    return {
        "prices_in_range": pl.all_horizontal(
            *(pl.col(name).is_between(low, high) for name in ("open", "close", "vwap")),
            pl.col("poc_price").is_between(lowest_row, high),
        ),
        "poc_in_value_area": pl.col("poc_price").is_between(pl.col("val_price"), pl.col("vah_price")),
        "value_area_share": pl.col("value_area_volume_pct") >= footprint.value_area_pct - PRICE_TOLERANCE,
        "delta": pl.col("delta") == pl.col("ask_volume") - pl.col("bid_volume"),
        "volume": pl.col("volume") == pl.col("ask_volume") + pl.col("bid_volume") + pl.col("unknown_volume"),
        "running_delta": (pl.col("min_delta") <= pl.min_horizontal("delta", zero))
        & (pl.col("max_delta") >= pl.max_horizontal("delta", zero)),
    }


def roll_never_goes_back(bench: Workbench, day: dt.date) -> list[Finding]:
    """A root's front month never expires earlier than the one of the sessions before."""
    front = _table(bench, FRONT_MONTH, day).frame().filter("is_front")
    before = TableInput(
        bench.lake, FRONT_MONTH, sessions_before(day, bench.settings.history.sessions), optional=True
    )
    latest = before.frame().filter("is_front").group_by("symbol").agg(pl.col("expiry").max().alias("before"))
    findings = []
    for root, symbol, expiry, previous in (
        front.join(latest, on="symbol", how="left")
        .select("symbol", "contract", "expiry", "before")
        .iter_rows()
    ):
        facts = {"front_month": symbol, "expiry": expiry, "latest_expiry_before": previous}
        findings.append(Finding(root, previous is None or expiry >= previous, facts))
    return findings


def inputs_current(bench: Workbench, day: dt.date) -> list[Finding]:
    """Every table was made of the generations its inputs have now, under today's contract."""
    findings = []
    keys = contracts.table_keys(bench.settings.levels.pipelines)
    manifests = cache(bench.lake.manifests)  # an input is read by many tables, each contract of it
    for key in keys:
        for symbol, manifest in sorted(manifests(key, day).items()):
            stale = [
                f"{ref.table}/{ref.symbol}/{ref.dt}"
                for ref in manifest.lineage.inputs
                if (now := manifests(ref.table, ref.dt).get(ref.symbol)) is None
                or now.generation != ref.generation
            ]
            same_contract = manifest.contract_fingerprint == contracts.load(key).fingerprint
            if stale or not same_contract:
                findings.append(
                    Finding(
                        symbol,
                        passed=False,
                        facts={"table": key, "stale_inputs": stale, "contract": same_contract},
                    )
                )
    return findings or [Finding("*", passed=True, facts={"tables": len(keys)})]


def sources_present(bench: Workbench, day: dt.date) -> list[Finding]:
    """Book, trades, definitions and statistics all had a source file; what is absent or unreadable is named."""
    findings = []
    ignored = [entry.name for entry in bench.catalog().problems]
    for symbol in _table(bench, TRADES, day).symbols():
        absent = [
            key
            for key in (BOOK, TRADES, DEFINITION, "bronze.future.statistics")
            if (m := bench.lake.manifests(key, day).get(symbol)) is None or not m.lineage.sources
        ]
        findings.append(
            Finding(
                symbol,
                not absent and not ignored,
                {"without_a_source_file": absent, "unreadable_files": ignored},
            )
        )
    return findings


def tick_size_agrees(bench: Workbench, day: dt.date) -> list[Finding]:
    """The configured tick size is the one in the exchange's definition, where there is one."""
    findings = []
    for symbol in _table(bench, DEFINITION, day).symbols():
        steps = (
            _table(bench, DEFINITION, day)
            .frame(symbol, ["min_price_increment"])["min_price_increment"]
            .unique()
            .to_list()
        )
        configured = Scope.of(day, bench).of_contract(symbol).tick_size_nanos
        facts = {"configured_points": configured / PRICE_SCALE, "defined_nanos": steps}
        findings.append(Finding(symbol, all(step == configured for step in steps), facts))
    return findings


def _sum(column: pl.Series) -> int:
    return int(column.sum() or 0)


CHECKS: tuple[Check, ...] = (
    Check.of(rows_conserved, FIRST_HOURS, "ERROR", BOOK, TRADES, BOOK_CLEAN, TRADES_CLEAN, FILTERED_BARS),
    Check.of(volume_conserved, PROFILE_PRICE, "ERROR", TRADES_CLEAN, OHLCV, FOOTPRINT_PRICE, FOOTPRINT_BAR),
    Check.of(book_trades_match, TRADES, "ERROR", BOOK, warns_first=True, remedy=GET_AGAIN),
    Check.of(one_instrument, TRADES, "ERROR", BOOK, FRONT_MONTH),
    Check.of(sessions_aligned, TRADES_CLEAN, "ERROR"),
    Check.of(bars_invariant, FOOTPRINT_BAR, "ERROR"),
    Check.of(roll_never_goes_back, FRONT_MONTH, "ERROR"),
    # After every table that no other table reads: a date half recomputed is stale by nature.
    Check.of(
        inputs_current,
        "gold.future.setup_vectors",
        "ERROR",
        "gold.future.footprint_bars",
        FILTERED_BARS,
        FIRST_HOURS,
        "silver.future.volume_profile_session",
        DEFINITION,
    ),
    Check.of(sources_present, TRADES, "WARN", BOOK, DEFINITION, "bronze.future.statistics", remedy=GET_AGAIN),
    Check.of(tick_size_agrees, DEFINITION, "ERROR"),
)
