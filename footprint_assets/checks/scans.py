"""One pass over each book for every rule about its records.

A book is the largest table of a trade date: the rules share what one reading of it finds. What was found is remembered
for the generation it was found in, so that rules that run one after another read the book once.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import calendar as cme
from footprint_assets.checks.reading import Row, Tally, instant
from footprint_assets.kernels.book_events import LEVELS, UNDEF_PRICE
from footprint_assets.kernels.ladder import broken_ladders
from footprint_assets.lake import Lake, Partition
from footprint_assets.resources import Workbench
from footprint_assets.settings import NANOS_PER_SECOND, QualitySettings
from footprint_assets.tables import Scope

BOOK = "bronze.future.market_by_price_10"
BOOK_CLEAN = "silver.future.market_by_price_10_clean"

LAST, SNAPSHOT, BAD_TS, BAD_BOOK = 0x80, 0x20, 0x08, 0x04
REMEMBERED = 8
"""Scans kept: the contracts of a trade date and of the one before."""

SOURCE_COLUMNS = ("ts_recv", "flags", "ts_event", "sequence", "instrument_id", "action", "size")
LADDERS = tuple(
    tuple(f"{side}_{what}_{level:02d}" for level in range(LEVELS))
    for side in ("bid", "ask")
    for what in ("px", "sz")
)
CLEAN_COLUMNS = (
    "ts_event",
    "sequence",
    "record_index",
    "action",
    *chain(*LADDERS),
)

Int64 = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass
class SourceScan:
    """What one pass over a contract's bronze book finds.

    Args:
        rows: Records.
        cash_rows: Records received in cash hours.
        traded: Contracts of the trade records, those of overlapping files counted as often as they came.
        instruments: Instrument ids.
        late: Records received long after their event.
        earlier_events: Records whose event is before that of the record before, in order of receipt.
        resets: Records of a later event whose sequence number is below the one before, after the open.
        steps: Sequence numbers further than ``sequence_step`` from the one before.
        largest_step: The largest step of the sequence numbers.
        bad_books: Records of cash hours flagged maybe-bad-book.
        bad_times: Records flagged bad-ts-recv, snapshots aside.
        late_snapshots: Snapshot records after the first other record of a file.
        lasts: Records flagged as the last of their event.
    """

    rows: int = 0
    cash_rows: int = 0
    traded: int = 0
    instruments: set[int] = field(default_factory=set)
    late: Tally = field(default_factory=Tally)
    earlier_events: Tally = field(default_factory=Tally)
    resets: Tally = field(default_factory=Tally)
    steps: Tally = field(default_factory=Tally)
    largest_step: int = 0
    bad_books: Tally = field(default_factory=Tally)
    bad_times: Tally = field(default_factory=Tally)
    late_snapshots: Tally = field(default_factory=Tally)
    lasts: int = 0


@dataclass
class CleanScan:
    """What one pass over a contract's clean book finds.

    Args:
        rows: Records.
        cash_rows: Records of cash hours.
        broken: Ladders that are no state of a book.
        off_tick: Ladders with a price between two ticks.
        twice: Records that are there twice.
        crossed: Finished events inside trading hours that left the book crossed.
        locked: Records of cash hours with a locked book.
        longest_pause_ns: Longest time without a record in cash hours, from the open to the close, ns.
        pause_after_ns: When it began, ns UTC.
        first_ns: First record, ns UTC.
        last_ns: Last record, ns UTC.
    """

    rows: int = 0
    cash_rows: int = 0
    broken: Tally = field(default_factory=Tally)
    off_tick: Tally = field(default_factory=Tally)
    twice: Tally = field(default_factory=Tally)
    crossed: Tally = field(default_factory=Tally)
    locked: Tally = field(default_factory=Tally)
    longest_pause_ns: int = 0
    pause_after_ns: int = 0
    first_ns: int | None = None
    last_ns: int | None = None


def source_scan(bench: Workbench, day: dt.date, symbol: str) -> SourceScan:
    """What there is to know of a contract's bronze book.

    Args:
        bench: The lake.
        day: Trade date.
        symbol: Contract.
    """
    generation = bench.lake.manifests(BOOK, day)[symbol].generation
    return _source_scan(bench.lake.root, day, symbol, generation, bench.settings.quality)


def clean_scan(bench: Workbench, day: dt.date, symbol: str) -> CleanScan:
    """What there is to know of a contract's clean book.

    Args:
        bench: The lake.
        day: Trade date.
        symbol: Contract.
    """
    generation = bench.lake.manifests(BOOK_CLEAN, day)[symbol].generation
    tick = Scope.of(day, bench).of_contract(symbol).tick_size_nanos
    return _clean_scan(bench.lake.root, day, symbol, generation, tick)


@lru_cache(REMEMBERED)
def _source_scan(
    root: Path, day: dt.date, symbol: str, _generation: str, quality: QualitySettings
) -> SourceScan:
    scan, session = SourceScan(), cme.session(day)
    with Lake(root).read(BOOK, day, symbol) as partition:
        for part in partition.parts:
            _scan_part(scan, partition, part, session, quality)
    return scan


def _scan_part(
    scan: SourceScan, partition: Partition, part: int, session: cme.Session, quality: QualitySettings
) -> None:
    """Count what the records of one source file show."""
    before: tuple[int, int] | None = None
    starts = True
    for batch in partition.frames(columns=list(SOURCE_COLUMNS), part=part):
        received, event = (batch[name].to_physical().to_numpy() for name in ("ts_recv", "ts_event"))
        sequence, flags = batch["sequence"].to_numpy(), batch["flags"].to_numpy().astype(np.uint8)
        seen = scan.rows

        def row(i: int, seen: int = seen, received: Int64 = received, batch: pl.DataFrame = batch) -> Row:
            shown = {name: batch[name][i] for name in ("sequence", "flags")}
            return {"row": seen + i, "ts_recv": instant(received[i]), **shown}

        if before is None:
            before = int(event[0]), int(sequence[0])
        late = received - event > round(quality.receive_delay_seconds * NANOS_PER_SECOND)
        scan.late.add(late, row)
        passed = np.diff(event, prepend=before[0])
        scan.earlier_events.add(passed < 0, row)
        step = np.diff(sequence.astype(np.int64, copy=False), prepend=before[1])
        scan.largest_step = max(scan.largest_step, int(step.max()))
        scan.steps.add(step > quality.sequence_step, row)
        scan.resets.add((step < 0) & (passed > 0) & (received >= session.open_ns), row)
        before = int(event[-1]), int(sequence[-1])
        scan.instruments.update(batch["instrument_id"].unique().to_list())
        scan.traded += int(batch["size"].filter(batch["action"] == "T").sum() or 0)
        starts = _scan_flags(scan, flags, _cash(received, session), starts, row)
        scan.rows += batch.height


def _scan_flags(scan: SourceScan, flags: NDArray[np.uint8], cash: slice, starts: bool, row: Any) -> bool:
    """Count flags; a batch without a rare one is only counted by value. Gives whether the file's start goes on."""
    scan.cash_rows += cash.stop - cash.start
    values = np.bincount(flags, minlength=256)
    at = np.arange(256)
    scan.lasts += int(values[at & LAST > 0].sum())
    snapshot = flags & SNAPSHOT > 0 if values[at & SNAPSHOT > 0].any() else None
    if values[at & BAD_TS > 0].any():
        scan.bad_times.add((flags & BAD_TS > 0) & (flags & SNAPSHOT == 0), row)
    if values[at & BAD_BOOK > 0].any():
        bad = np.zeros(len(flags), np.bool_)
        bad[cash] = flags[cash] & BAD_BOOK > 0
        scan.bad_books.add(bad, row)
    if snapshot is None:
        return False
    opening = int(np.argmin(snapshot)) if starts and not snapshot.all() else len(flags) * starts
    late = snapshot.copy()
    late[:opening] = False
    scan.late_snapshots.add(late, row)
    return starts and opening == len(flags)


def _cash(times: Int64, session: cme.Session) -> slice:
    """The rows of ascending times that lie in cash hours."""
    if session.rth_open_ns is None or session.rth_close_ns is None:
        return slice(0, 0)
    low, high = np.searchsorted(times, [session.rth_open_ns, session.rth_close_ns])
    return slice(int(low), int(high))


@lru_cache(REMEMBERED)
def _clean_scan(root: Path, day: dt.date, symbol: str, _generation: str, tick: int) -> CleanScan:
    scan, session = CleanScan(), cme.session(day)
    suspects, crossed = list[int](), list[int]()
    pause_from = session.rth_open_ns or 0
    border: pl.DataFrame | None = None
    with Lake(root).read(BOOK_CLEAN, day, symbol) as partition:
        for batch in partition.frames(columns=list(CLEAN_COLUMNS)):
            times = batch["ts_event"].to_physical().to_numpy()
            ladders = [tuple(_defined(batch[name]) for name in names) for names in LADDERS]
            seen = scan.rows

            def row(i: int, seen: int = seen, times: Int64 = times, batch: pl.DataFrame = batch) -> Row:
                return {
                    "row": seen + i,
                    "ts_event": instant(times[i]),
                    "record_index": batch["record_index"][i],
                }

            scan.broken.add(broken_ladders(*ladders), row)
            scan.off_tick.add(_off_tick((*ladders[0], *ladders[2]), tick), row)
            _scan_repeats(scan, batch, suspects, row)
            if border is not None:
                _scan_repeats(
                    scan, pl.concat([border, batch.head(1)]), suspects, lambda i, row=row: row(i - 1)
                )
            pause_from = _scan_times(scan, times, session, pause_from)
            crossed += _scan_best(scan, ladders[0][0], ladders[2][0], times, session, row)
            scan.rows += batch.height
            border = batch.tail(1)
        _confirm_repeats(scan, partition, suspects)
        _confirm_crossed(scan, partition, crossed)
    if session.rth_open_ns is not None and session.rth_close_ns is not None:
        _pause(scan, pause_from, session.rth_close_ns)
    return scan


def _scan_times(scan: CleanScan, times: Int64, session: cme.Session, pause_from: int) -> int:
    """Look at the pauses of cash hours. Gives when the pause began that goes on."""
    scan.first_ns = int(times[0]) if scan.first_ns is None else scan.first_ns
    scan.last_ns = int(times[-1])
    cash = times[_cash(times, session)]
    if not len(cash):
        return pause_from
    scan.cash_rows += len(cash)
    pauses = np.diff(cash, prepend=pause_from)
    longest = int(pauses.argmax())
    _pause(scan, int(cash[longest] - pauses[longest]), int(cash[longest]))
    return int(cash[-1])


def _scan_best(
    scan: CleanScan, bid: Int64, ask: Int64, times: Int64, session: cme.Session, row: Any
) -> list[int]:
    """Count locked books of cash hours. Gives where the book is crossed inside trading hours."""
    meets = (bid >= ask) & (bid != UNDEF_PRICE)  # no price is above an undefined ask
    if not meets.any():
        return []
    locked, cash = np.zeros(len(bid), np.bool_), _cash(times, session)
    locked[cash] = (meets & (bid == ask))[cash]
    scan.locked.add(locked, row)
    is_open = (times >= session.open_ns) & (times < session.close_ns)
    return [scan.rows + int(i) for i in np.flatnonzero(meets & (bid > ask) & is_open)]


def _confirm_crossed(scan: CleanScan, partition: Partition, crossed: list[int]) -> None:
    """Of the crossed books, count those that an event leaves behind: inside an event a book may be half changed."""
    if not crossed:
        return
    rows = partition.frame(["ts_event", "record_index", "is_last"])[crossed]
    left = rows.with_columns(pl.Series("row", crossed)).filter("is_last")
    scan.crossed.count = left.height
    if left.height:
        moment = instant(left["ts_event"].to_physical()[0])
        first = {"row": left["row"][0], "ts_event": moment, "record_index": left["record_index"][0]}
        scan.crossed.first = first


def _pause(scan: CleanScan, start_ns: int, end_ns: int) -> None:
    if end_ns - start_ns > scan.longest_pause_ns:
        scan.longest_pause_ns, scan.pause_after_ns = end_ns - start_ns, start_ns


def _off_tick(prices: tuple[Int64, ...], tick: int) -> Bools:
    """Rows with a price that is no multiple of the tick; int64[n] each, 1e-9 points.

    A level that stays is looked at once: most prices of a ladder are those of the row before.
    """
    found = np.zeros(len(prices[0]), np.bool_)
    for price in prices:
        starts = np.flatnonzero(np.append(True, price[1:] != price[:-1]))
        value = price[starts]
        for place in np.flatnonzero((value % tick != 0) & (value != UNDEF_PRICE)):
            end = starts[place + 1] if place + 1 < len(starts) else len(price)
            found[starts[place] : end] = True
    return found


def _scan_repeats(scan: CleanScan, batch: pl.DataFrame, suspects: list[int], row: Any) -> None:
    """Find records published twice, and suspects: changes of a book after which it is what it was before.

    Fills of one order can be equal in every byte and are no repeats.
    """
    event, sequence = batch["ts_event"].to_physical().to_numpy(), batch["sequence"].to_numpy()
    index = batch["record_index"].to_numpy()
    at = np.flatnonzero((event[1:] == event[:-1]) & (sequence[1:] == sequence[:-1])) + 1
    twice = np.zeros(batch.height, np.bool_)
    twice[at[index[at] == index[at - 1]]] = True
    scan.twice.add(twice, row)
    at = at[~twice[at]]
    at = at[(batch["action"] != "T").to_numpy()[at]]
    for name in ("bid_sz_00", "ask_sz_00", *chain(*LADDERS)):
        if not len(at):
            return
        values = _defined(batch[name])
        at = at[values[at] == values[at - 1]]
    suspects.extend(int(row(int(i))["row"]) for i in at)


def _confirm_repeats(scan: CleanScan, partition: Partition, suspects: list[int]) -> None:
    """Of the suspects, count those that are the record before in every column but its position in its file."""
    if not suspects:
        return
    wanted = sorted({place for suspect in suspects for place in (suspect - 1, suspect)})
    rows = partition.scan().with_row_index("row").filter(pl.col("row").is_in(wanted)).collect()
    told = [name for name in rows.columns if name not in ("row", "record_index", "event_group_id")]
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in told)
    follows = pl.col("row") == pl.col("row").shift(1) + 1
    repeated = rows.filter(follows & same & pl.col("row").is_in(suspects))
    if repeated.height and scan.twice.first is None:
        first = repeated.row(0, named=True)
        moment = instant(repeated["ts_event"].to_physical()[0])
        scan.twice.first = {"row": first["row"], "ts_event": moment, "record_index": first["record_index"]}
    scan.twice.count += repeated.height


def _defined(column: pl.Series) -> NDArray[Any]:
    """Prices or sizes, absent prices as UNDEF_PRICE; a view where none is absent."""
    return (column.fill_null(int(UNDEF_PRICE)) if column.null_count() else column).to_numpy()
