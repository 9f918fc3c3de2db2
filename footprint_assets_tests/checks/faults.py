"""One fault for every way a check can fail: what is done to an honest lake, and how bad the check must call it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.checks import Severity
from footprint_assets.checks.feature_quality import features_of_date
from footprint_assets.lake import Lake
from footprint_assets.settings import QualitySettings, Settings
from footprint_assets_tests.checks.tampering import FIRST_ROW, Alter, on_first_row, tamper
from footprint_assets_tests.small_market import DAY, NEXT, republish, rows
from footprint_assets_tests.sources.dbn_files import metadata, write, zst

FRONT_MONTH = "bronze.future.front_month"
BOOK = "bronze.future.market_by_price_10"
TRADES = "bronze.future.trades"
DEFINITION = "bronze.future.definition"
BOOK_CLEAN = "silver.future.market_by_price_10_clean"
TRADES_CLEAN = "silver.future.trades_clean"
OHLCV = "silver.future.ohlcv"
FOOTPRINT_PRICE = "silver.future.footprint_price"
FOOTPRINT_BAR = "silver.future.footprint_bar"
BARS = "silver.future.market_by_price_10_bar5s"
BARS_EXT = "silver.future.market_by_price_10_bar5s_ext"
SESSION_LEVELS = "silver.future.session_levels"
SESSION_CONTEXT = "silver.future.session_context_5s"
MARKET_FEATURES = "gold.future.market_features"
SIGNALS = "gold.future.levels_signals"

AFTER_A_GAP = dt.date(2025, 6, 9)
TICK = 250_000_000
NULLED = "bar5s_state_spread_pts_eob"
HOUR = 3_600
ROW = pl.int_range(pl.len())


@dataclass(frozen=True)
class Fault:
    """Something wrong with a lake.

    Args:
        check: The check that must find it.
        severity: How bad it must call it.
        what: What is wrong.
        inject: Does it to an honest lake.
        day: The trade date it is found on.
        quality: Thresholds the small market is judged by; those of the settings where empty.
    """

    check: str
    severity: Severity
    what: str
    inject: Callable[[Settings], None]
    day: dt.date = DAY
    quality: Mapping[str, object] | None = None

    def settings(self, settings: Settings) -> Settings:
        """The settings the lake is judged by."""
        return settings.model_copy(update={"quality": QualitySettings(**(self.quality or {}))})


def rewritten(table: str, alter: Alter, day: dt.date = DAY) -> Callable[[Settings], None]:
    """The rows of ESM5 in one table are others."""
    return lambda settings: tamper(settings, table, alter, day=day)


def first(table: str, column: str, value: object, day: dt.date = DAY) -> Callable[[Settings], None]:
    """One value of the first row is another."""
    return rewritten(table, on_first_row(column, value), day)


def nothing(settings: Settings) -> None:
    """The market as it is, which the thresholds of a fault do not allow."""


def accounted(table: str, **account: object) -> Callable[[Settings], None]:
    """The rows of a table stay, its manifest says something else of them."""

    def inject(settings: Settings) -> None:
        lake = Lake(settings.lake_root)
        known = next(iter(lake.manifests(table, DAY).values())).lineage
        schema = contracts.load(table).arrow_schema
        frames = rows(lake, table)
        with lake.stage(table, DAY, lineage=known, schema=schema) as stage:
            for symbol, frame in frames.items():
                stage.write(symbol, frame)
                left_out = sum(account.get("filtered", {}).values())
                stage.count(symbol, rows_in=frame.height + left_out, **account)
            stage.publish()

    return inject


def file_gone(settings: Settings) -> None:
    min(settings.dbn_dir.glob("*.trades.dbn.zst")).unlink()


def file_changed(settings: Settings) -> None:
    path = min(settings.dbn_dir.glob("*.trades.dbn.zst"))
    path.write_bytes(path.read_bytes() + b"\0")


def condition(said: str) -> Callable[[Settings], None]:
    """The vendor says something of the trade date."""
    text = json.dumps([{"date": DAY.isoformat(), "condition": said}])
    return lambda settings: write_text(settings.dbn_dir / "condition.json", text)


def another_hash(settings: Settings) -> None:
    path = min(settings.dbn_dir.glob("*.trades.dbn.zst"))
    entry = {"filename": path.name, "size": path.stat().st_size, "hash": f"sha256:{'0' * 64}"}
    write_text(settings.dbn_dir / "manifest.json", json.dumps({"files": [entry]}))


def write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def file_of_the_pause(settings: Settings) -> None:
    """A file of the hour between two sessions."""
    path = min(settings.dbn_dir.glob("*.trades.dbn.zst"))
    start = cme.session(DAY).close_ns
    header = metadata("trades", start=start, end=start + HOUR * 10**9, symbols=[], mappings=[])
    write(path.parent, zst(header), "pause.trades.dbn.zst")


def file_half_read(settings: Settings) -> None:
    (settings.dbn_dir / "half.dbn.zst").write_bytes(b"half a header")


def byte_flipped(settings: Settings) -> None:
    path = min(settings.lake_root.glob(f"silver/*/symbol=ESM5/table=bbo/dt={DAY}/*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def day_left_out(settings: Settings) -> None:
    """Monday is published, Friday before it is not."""
    lake = Lake(settings.lake_root)
    lineage = next(iter(lake.manifests(FRONT_MONTH, NEXT).values())).lineage
    schema = contracts.load(FRONT_MONTH).arrow_schema
    with lake.stage(FRONT_MONTH, AFTER_A_GAP, lineage=lineage, schema=schema) as stage:
        for symbol, frame in rows(lake, FRONT_MONTH, NEXT).items():
            stage.write(symbol, frame)
        stage.publish()


def uncounted(settings: Settings) -> None:
    lake = Lake(settings.lake_root)
    republish(lake, TRADES_CLEAN, DAY, rows(lake, TRADES_CLEAN), counted=False)


def rolled_early(settings: Settings) -> None:
    is_next = pl.col("contract") == "ESU5"
    tamper(
        settings,
        FRONT_MONTH,
        lambda frame: frame.with_columns(is_front=is_next, rank=pl.when(is_next).then(1).otherwise(2)),
        "ES",
    )


def without(start: float, end: float) -> Alter:
    """Without the records of some hours after the cash open."""
    opening = cme.session(DAY).rth_open_ns or 0
    elapsed = (pl.col("ts_event").to_physical() - opening) / (HOUR * 10**9)
    return lambda frame: frame.filter(~elapsed.is_between(start, end))


def in_cash(count: int, column: str, value: object) -> Alter:
    """Give the first records of cash hours another value."""
    opening = cme.session(DAY).rth_open_ns or 0
    is_cash = pl.col("ts_recv").to_physical() >= opening
    chosen = is_cash & (is_cash.cum_sum() <= count)
    expr = value if isinstance(value, pl.Expr) else pl.lit(value)
    return lambda frame: frame.with_columns(pl.when(chosen).then(expr).otherwise(column).alias(column))


def locked_in_cash(frame: pl.DataFrame) -> pl.DataFrame:
    return in_cash(1, "bid_px_00", pl.col("ask_px_00"))(frame)


def crossed(frame: pl.DataFrame) -> pl.DataFrame:
    finished = pl.col("is_last") & (pl.col("is_last").cum_sum() == 1)
    beyond = pl.col("ask_px_00") + TICK
    return frame.with_columns(bid_px_00=pl.when(finished).then(beyond).otherwise("bid_px_00"))


def twice(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame.head(1), frame])


def nulled(share: float, *names: str) -> Alter:
    """Without the last share of the values of some features; of all that may be null where none is named."""
    contract = contracts.load(MARKET_FEATURES)
    nullable = [name for name in contract.columns_of_kind("feature") if contract.field(name).nullable]
    kept = pl.len() * (1 - share) > ROW
    return lambda frame: frame.with_columns(
        pl.when(kept).then(pl.col(name)).alias(name) for name in names or nullable
    )


def a_feature_off(settings: Settings) -> None:
    types = contracts.load(SIGNALS).polars_schema
    name = next(name for name in features_of_date(DAY) if types[name].is_numeric())
    tamper(settings, SIGNALS, on_first_row(name, pl.col(name).fill_null(0) + 1))


def chops(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame.head(1)] * 100).with_columns(
        pl.lit("CHOP").alias("outcome"), pl.format("L_{}", ROW).alias("level_type")
    )


def given_to_the_other_side(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        pl.when(FIRST_ROW).then(pl.col("ask_volume") + 1).otherwise("ask_volume").alias("ask_volume"),
        pl.when(FIRST_ROW).then(pl.col("bid_volume") - 1).otherwise("bid_volume").alias("bid_volume"),
    )


SMALL = {"min_trades": 1, "unknown_side_share": 0.2}
PAUSES = {"min_records": 1, "pause_warn_seconds": 2 * HOUR, "pause_error_seconds": 5 * HOUR}
ONE_BEFORE = {"min_sessions": 1, "null_sessions": 1}
FEW = pl.col("ts_event") - pl.duration(seconds=10)

FAULTS = (
    Fault("files_as_recorded", "WARN", "a file is no longer there", file_gone),
    Fault("files_as_recorded", "ERROR", "a file changed after it was read", file_changed),
    Fault("files_as_recorded", "WARN", "a degraded day", condition("degraded")),
    Fault("files_as_recorded", "ERROR", "a day the vendor has not finished", condition("pending")),
    Fault("files_as_recorded", "ERROR", "a hash the vendor does not list", another_hash),
    Fault("files_as_recorded", "ERROR", "a file of no trading hour", file_of_the_pause),
    Fault(
        "frames_checksummed",
        "WARN",
        "a frame without a checksum",
        accounted(TRADES, notes={"x.dbn.zst": {"zstd_frames": 2, "zstd_frames_without_checksum": 1}}),
    ),
    Fault("row_counts", "ERROR", "no trade on an open day", rewritten(TRADES, lambda frame: frame.clear())),
    Fault(
        "row_counts",
        "WARN",
        "a tenth of the day before",
        rewritten(TRADES, lambda frame: frame.head(12), NEXT),
        NEXT,
        ONE_BEFORE,
    ),
    Fault(
        "trade_distribution",
        "WARN",
        "a trade far from every quote",
        first(TRADES_CLEAN, "price_tick", pl.col("price_tick") + 10_000),
        quality=SMALL,
    ),
    Fault(
        "trade_distribution",
        "WARN",
        "no trade has an aggressor",
        rewritten(TRADES_CLEAN, lambda frame: frame.with_columns(aggressor_sign=0)),
        quality=SMALL,
    ),
    Fault(
        "trade_distribution",
        "WARN",
        "buyers only",
        rewritten(TRADES_CLEAN, lambda frame: frame.with_columns(aggressor_sign=1)),
        quality=SMALL,
    ),
    Fault(
        "receive_delays",
        "WARN",
        "one record in twelve ten seconds late",
        rewritten(BOOK, in_cash(30, "ts_event", FEW)),
    ),
    Fault(
        "sequence_gaps",
        "WARN",
        "a step of a million",
        rewritten(BOOK, in_cash(400, "sequence", pl.col("sequence") + 10**6)),
    ),
    Fault(
        "sequence_gaps",
        "WARN",
        "a reset in the session",
        rewritten(BOOK, in_cash(400, "sequence", pl.lit(0))),
    ),
    Fault("record_flags", "WARN", "a bad receive time", first(BOOK, "flags", pl.lit(0x88))),
    Fault(
        "record_flags",
        "WARN",
        "a snapshot in the session",
        rewritten(BOOK, in_cash(1, "flags", pl.lit(0xA0))),
    ),
    Fault(
        "record_flags", "WARN", "no event ends", rewritten(BOOK, lambda frame: frame.with_columns(flags=0))
    ),
    Fault(
        "record_flags", "ERROR", "bad books in cash hours", rewritten(BOOK, in_cash(9, "flags", pl.lit(0x84)))
    ),
    Fault(
        "copies_delivered",
        "WARN",
        "five rows came twice",
        accounted(BOOK_CLEAN, filtered={"redelivered_copy": 5}),
    ),
    Fault(
        "ladder_order", "ERROR", "two bids at one price", first(BOOK_CLEAN, "bid_px_01", pl.col("bid_px_00"))
    ),
    Fault(
        "prices_on_tick",
        "ERROR",
        "an ask between ticks",
        first(BOOK_CLEAN, "ask_px_09", pl.col("ask_px_09") + 1),
    ),
    Fault("book_not_crossed", "WARN", "a locked book in cash hours", rewritten(BOOK_CLEAN, locked_in_cash)),
    Fault("book_not_crossed", "ERROR", "an event leaves a crossed book", rewritten(BOOK_CLEAN, crossed)),
    Fault("records_once", "ERROR", "a record published twice", rewritten(BOOK_CLEAN, twice)),
    Fault(
        "no_long_pause",
        "WARN",
        "three hours without a record",
        rewritten(BOOK_CLEAN, without(1, 4)),
        quality=PAUSES,
    ),
    Fault(
        "no_long_pause",
        "ERROR",
        "no record after ten",
        rewritten(BOOK_CLEAN, without(0.5, 9)),
        quality=PAUSES,
    ),
    Fault("rows_conserved", "ERROR", "rows without an account", uncounted),
    Fault(
        "volume_conserved",
        "ERROR",
        "a bar with one contract more",
        first(OHLCV, "volume", pl.col("volume") + 1),
    ),
    Fault("book_trades_match", "WARN", "one contract of 2,400", first(TRADES, "size", pl.col("size") + 1)),
    Fault(
        "book_trades_match", "ERROR", "thirty contracts of 2,400", first(TRADES, "size", pl.col("size") + 30)
    ),
    Fault("one_instrument", "ERROR", "a record of another instrument", first(BOOK, "instrument_id", 14160)),
    Fault("sessions_aligned", "ERROR", "a trade while closed", first(TRADES_CLEAN, "session", "CLOSED")),
    Fault(
        "bars_invariant",
        "ERROR",
        "a close above the high",
        first(FOOTPRINT_BAR, "close", pl.col("high") + 0.25),
    ),
    Fault("roll_never_goes_back", "ERROR", "back to June", rolled_early, NEXT),
    Fault(
        "inputs_current",
        "ERROR",
        "levels changed after they were read",
        first(SESSION_LEVELS, "level_price", pl.col("level_price") + 0.25),
    ),
    Fault("sources_present", "WARN", "a file without a header", file_half_read),
    Fault(
        "tick_size_agrees",
        "ERROR",
        "a tick of half a point",
        first(DEFINITION, "min_price_increment", 500_000_000),
    ),
    Fault(
        "footprints_add_up",
        "ERROR",
        "a seller's contract at a buyer",
        rewritten(FOOTPRINT_PRICE, given_to_the_other_side),
    ),
    Fault(
        "bars_hold_trades",
        "ERROR",
        "a trade more in a bar",
        first(BARS, "bar5s_trade_cnt_sum", pl.col("bar5s_trade_cnt_sum") + 1),
    ),
    Fault(
        "flows_conserved",
        "ERROR",
        "a net flow that is none",
        first(BARS_EXT, "bar5s_flow_net_vol_bid_sum", pl.col("bar5s_flow_net_vol_bid_sum") + 1),
    ),
    Fault(
        "vwaps_in_range",
        "ERROR",
        "a VWAP far above the trades",
        rewritten(SESSION_CONTEXT, lambda frame: frame.with_columns(pl.col("globex_vwap") + 1_000)),
    ),
    Fault(
        "ranges_are_extremes",
        "ERROR",
        "every level a point lower",
        rewritten(SESSION_LEVELS, lambda frame: frame.with_columns(pl.col("level_price_raw") - 1)),
    ),
    Fault("attempts_in_order", "ERROR", "the second before the first", first(SIGNALS, "attempt_index", 2)),
    Fault(
        "outcomes_reach_barriers",
        "ERROR",
        "a break that went nowhere",
        first(SIGNALS, "outcome_8t_240s", "BREAK"),
    ),
    Fault(
        "stream_parity",
        "ERROR",
        "a microprice one unit in the last place higher",
        rewritten(BARS, lambda frame: frame.with_columns(pl.col("bar5s_microprice_eob") + 2.0**-40)),
    ),
    Fault("grid_complete", "ERROR", "a bar left out", rewritten(BARS, lambda frame: frame.filter(ROW != 10))),
    Fault(
        "returns_correlate",
        "WARN",
        "two roots of their own",
        nothing,
        quality={"correlated": (("ES", "NQ"),)},
    ),
    Fault(
        "features_present",
        "WARN",
        "null in most rows",
        rewritten(MARKET_FEATURES, nulled(0.9, NULLED), NEXT),
        NEXT,
        ONE_BEFORE,
    ),
    Fault(
        "features_present",
        "ERROR",
        "null all day",
        rewritten(MARKET_FEATURES, nulled(1), NEXT),
        NEXT,
        ONE_BEFORE,
    ),
    Fault("features_of_decision", "ERROR", "the market of another bar", a_feature_off),
    Fault("labels_whole", "ERROR", "a chop that was not seen", first(SIGNALS, "is_complete", value=False)),
    Fault("labels_balanced", "WARN", "chops only", rewritten(SIGNALS, chops)),
    Fault("files_unharmed", "ERROR", "a bit flipped on the disk", byte_flipped),
    Fault("no_session_missing", "WARN", "a Friday left out", day_left_out, AFTER_A_GAP),
    Fault(
        "features_stable",
        "WARN",
        "a market unlike the day before",
        nothing,
        NEXT,
        {"min_sessions": 1, "drift_features_share": 0.0},
    ),
)
