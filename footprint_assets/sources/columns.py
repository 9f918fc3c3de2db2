"""Checked DBN records become the columns of the bronze tables: names, types and nulls of ``contracts/bronze``.

A row belongs to a trade date by its own instant. For market events that is ``ts_event``, the exchange's clock: the
receive clock depends on the capture server and would move rows between dates with every vendor renormalisation. For
definitions and statistics it is ``ts_recv``: a repeated message keeps the event time of its first sending, which may
be weeks old, and nobody knew it before it was received.

MBP-10 is the hot path of the project: a compiled loop gathers tiles of rows that fit the second-level cache and
copies them out column by column into memory that is used again (measured: fresh memory costs more than the copy).
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from footprint_assets.sources.checks import ACTIONS, INSTRUMENT_CLASSES, SIDES
from footprint_assets.sources.compiled import compiled
from footprint_assets.sources.dbn import Chunk
from footprint_assets.sources.records import (
    F_BAD_TS_RECV,
    F_LAST,
    F_MAYBE_BAD_BOOK,
    F_SNAPSHOT,
    F_TOB,
    UNDEF_PRICE,
    UNDEF_STAT_QUANTITY,
    Records,
)

Array = npt.NDArray[Any]
Int64s = npt.NDArray[np.int64]

CATEGORIES: Final = {
    "action": tuple(ACTIONS),
    "side": tuple(SIDES),
    "instrument_class": tuple(INSTRUMENT_CLASSES.decode()),
}
"""Symbols of the enumerated columns, in the order of the contracts' enums."""
OTHER_INSTRUMENT: Final = "other_instrument"
OUTSIDE_TRADE_DATE: Final = "outside_trade_date"
LEVELS: Final = 10
_TILE_ROWS: Final = 128
"""47 KB of MBP-10: stays in the nearest caches while its columns are copied out."""
_INT32_MAX: Final = 2**31 - 1
_FLAG_COLUMNS: Final = {
    "is_last": F_LAST,
    "is_snapshot": F_SNAPSHOT,
    "is_bad_ts": F_BAD_TS_RECV,
    "is_bad_book": F_MAYBE_BAD_BOOK,
    "is_tob": F_TOB,
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of one bronze table, all of length ``rows``.

    ``arrays`` holds values by column name; enumerated columns hold uint8 positions in ``categories``; text columns
    hold str objects; instants are int64 UTC nanoseconds. ``nulls`` holds, for the columns that have nulls in these
    rows, a bool array that is True where the value is absent; the other columns have None. ``skipped`` counts the
    rows that were filtered, by named rule, so that rows in == rows + sum(skipped).
    """

    rows: int
    arrays: dict[str, Array]
    nulls: dict[str, npt.NDArray[np.bool_] | None]
    categories: dict[str, tuple[str, ...]]
    skipped: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Field:
    """How one column comes from a DBN field: its dtype and the values that mean "absent"."""

    column: str
    source: str
    dtype: str
    absent: tuple[int, ...] = ()
    negative_is_absent: bool = False


_HEADER: Final = (
    _Field("rtype", "rtype", "i2"),
    _Field("publisher_id", "publisher_id", "i4"),
    _Field("instrument_id", "instrument_id", "i8"),
)
_FIELDS: Final[dict[str, tuple[_Field, ...]]] = {
    "trades": (
        _Field("ts_recv", "ts_recv", "i8"),
        _Field("ts_event", "ts_event", "i8"),
        *_HEADER,
        _Field("action", "action", "enum"),
        _Field("side", "side", "enum"),
        _Field("depth", "depth", "i2"),
        _Field("price", "price", "i8"),
        _Field("size", "size", "i8"),
        _Field("flags", "flags", "i2"),
        _Field("ts_in_delta", "ts_in_delta", "i4"),
        _Field("sequence", "sequence", "i8"),
    ),
    "ohlcv": (
        _Field("ts_event", "ts_event", "i8"),
        *_HEADER,
        *(_Field(name, name, "i8") for name in ("open", "high", "low", "close", "volume")),
    ),
    "statistics": (
        _Field("ts_recv", "ts_recv", "i8"),
        _Field("ts_event", "ts_event", "i8"),
        _Field("ts_ref", "ts_ref", "i8", negative_is_absent=True),
        *_HEADER,
        _Field("stat_type", "stat_type", "i4"),
        _Field("update_action", "update_action", "i2"),
        _Field("stat_flags", "stat_flags", "i2"),
        _Field("channel_id", "channel_id", "i4"),
        _Field("price", "price", "i8", (UNDEF_PRICE,)),
        _Field("quantity", "quantity", "i8", (UNDEF_STAT_QUANTITY,)),
        _Field("sequence", "sequence", "i8"),
        _Field("ts_in_delta", "ts_in_delta", "i4"),
    ),
    "definition": (
        _Field("ts_recv", "ts_recv", "i8"),
        _Field("ts_event", "ts_event", "i8"),
        *_HEADER,
        _Field("symbol", "raw_symbol", "text"),
        _Field("security_update_action", "security_update_action", "text"),
        _Field("instrument_class", "instrument_class", "enum"),
        *(_Field(name, name, "text") for name in ("asset", "security_type", "exchange", "currency")),
        _Field("expiration", "expiration", "i8", negative_is_absent=True),
        _Field("activation", "activation", "i8", negative_is_absent=True),
        _Field("maturity_year", "maturity_year", "i4", (0, 2**16 - 1)),
        _Field("maturity_month", "maturity_month", "i2", (0, 255)),
        _Field("maturity_day", "maturity_day", "i2", (0, 255)),
        *(
            _Field(name, name, "i8", (UNDEF_PRICE,))
            for name in (
                "min_price_increment",
                "min_price_increment_amount",
                "display_factor",
                "high_limit_price",
                "low_limit_price",
            )
        ),
        _Field("unit_of_measure", "unit_of_measure", "text"),
        _Field("unit_of_measure_qty", "unit_of_measure_qty", "i8", (UNDEF_PRICE,)),
        _Field("market_depth", "market_depth", "i4", (_INT32_MAX,)),
        _Field("market_depth_implied", "market_depth_implied", "i4", (_INT32_MAX,)),
        _Field("user_defined_instrument", "user_defined_instrument", "yes"),
    ),
}


def to_columns(
    chunk: Chunk, schema: str, instrument_ids: Collection[int] | None, start_ns: int, end_ns: int
) -> Columns:
    """Convert a chunk into fresh columns.

    Args:
        chunk: Records of ``schema``.
        schema: ``mbp-10``, ``trades``, ``statistics``, ``definition`` or one of ``ohlcv-*``.
        instrument_ids: The instruments to keep; None keeps all.
        start_ns: First instant kept, UTC ns.
        end_ns: First instant after those kept, UTC ns.

    Returns:
        The columns of the kept rows, in file order.
    """
    if schema == "mbp-10":
        buffer = BookBuffer(BookMemory(len(chunk.records)), instrument_ids, start_ns, end_ns)
        buffer.append(chunk)
        return buffer.take()
    table = "ohlcv" if schema.startswith("ohlcv") else schema
    kept, skipped = _select(chunk.records, table, instrument_ids, start_ns, end_ns)
    records = chunk.records[kept]
    arrays: dict[str, Array] = {}
    nulls: dict[str, npt.NDArray[np.bool_] | None] = {}
    for field in _FIELDS[table]:
        arrays[field.column], nulls[field.column] = _convert(records[field.source], field)
    arrays["record_index"], nulls["record_index"] = chunk.index[kept], None
    return Columns(len(records), arrays, nulls, _categories(arrays), skipped)


def _categories(arrays: dict[str, Array]) -> dict[str, tuple[str, ...]]:
    return {name: symbols for name, symbols in CATEGORIES.items() if name in arrays}


def _select(
    records: Records, table: str, instrument_ids: Collection[int] | None, start_ns: int, end_ns: int
) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    instant = records["ts_recv" if table in ("statistics", "definition") else "ts_event"].astype(np.int64)
    mine = np.ones(len(records), np.bool_)
    if instrument_ids is not None:
        mine = np.isin(records["instrument_id"], np.array(sorted(instrument_ids), np.uint32))
    inside = (instant >= start_ns) & (instant < end_ns)
    skipped = {
        OTHER_INSTRUMENT: int(np.count_nonzero(~mine)),
        OUTSIDE_TRADE_DATE: int(np.count_nonzero(mine & ~inside)),
    }
    return mine & inside, skipped


def _convert(values: Array, field: _Field) -> tuple[Array, npt.NDArray[np.bool_] | None]:
    if field.dtype == "text":
        return np.array([raw.decode("latin-1") for raw in values.tolist()], object), None
    if field.dtype == "yes":
        return values == b"Y", None
    if field.dtype == "enum":
        return _positions(CATEGORIES[field.column])[values.view(np.uint8)], None
    converted = values.astype(field.dtype)
    absent = np.isin(converted, field.absent) if field.absent else np.zeros(len(values), np.bool_)
    if field.negative_is_absent:
        # Undefined instants are 2**64 - 1, which is negative as int64.
        absent |= converted < 0
    return converted, absent if absent.any() else None


def _positions(symbols: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Position of each byte in ``symbols``; the row rules let no other byte pass."""
    positions = np.zeros(256, np.uint8)
    for position, symbol in enumerate(symbols):
        positions[ord(symbol)] = position
    return positions


_INT64_COLUMNS: Final = (
    "ts_recv",
    "ts_event",
    "sequence",
    "instrument_id",
    "size",
    "record_index",
    "price",
    *(f"{side}_px_{level:02d}" for level in range(LEVELS) for side in ("bid", "ask")),
)
_FIRST_PRICE: Final = _INT64_COLUMNS.index("price")
_INT32_COLUMNS: Final = (
    "publisher_id",
    *(
        f"{side}_{what}_{level:02d}"
        for level in range(LEVELS)
        for what in ("sz", "ct")
        for side in ("bid", "ask")
    ),
)
_INT16_COLUMNS: Final = ("flags", "rtype", "depth")
_UINT8_COLUMNS: Final = ("action", "side")


_BLOCKS: Final[tuple[tuple[tuple[str, ...], np.dtype[Any]], ...]] = (
    (_INT64_COLUMNS, np.dtype(np.int64)),
    (_INT32_COLUMNS, np.dtype(np.int32)),
    (_INT16_COLUMNS, np.dtype(np.int16)),
    (_UINT8_COLUMNS, np.dtype(np.uint8)),
)
"""The columns of one type lie behind each other."""
_ROW_BYTES: Final = sum(len(names) * dtype.itemsize for names, dtype in _BLOCKS)


class _Lent(np.ndarray[Any, np.dtype[np.uint8]]):
    """Memory seen by rows that were given away; of a class of its own, it stays the base of every view of it."""


class BookMemory:
    """Memory of MBP-10 columns that is filled again when nobody holds the rows it was lent to.

    Args:
        capacity: Rows a piece holds.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._free: deque[npt.NDArray[np.uint8]] = deque()

    def take(self) -> npt.NDArray[np.uint8]:
        """A piece that nobody holds; a new one where there is none."""
        return self._free.pop() if self._free else np.empty(self.capacity * _ROW_BYTES, np.uint8)

    def lend(self, piece: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The piece as whoever reads it sees it; it is free again when the last view of that is gone."""
        lent = piece.view(_Lent)
        weakref.finalize(lent, self._free.append, piece)
        return lent

    def blocks(self, piece: npt.NDArray[np.uint8]) -> tuple[Array, Array, Array, Array]:
        """A piece, or what was lent of it, as one array a type, columns x rows."""
        ends = np.cumsum([len(names) * dtype.itemsize * self.capacity for names, dtype in _BLOCKS])
        one, two, three, four = (
            part.view(dtype).reshape(len(names), self.capacity)
            for part, (names, dtype) in zip(np.split(piece, ends[:-1]), _BLOCKS, strict=True)
        )
        return one, two, three, four


class BookBuffer:
    """Collects MBP-10 rows of some instruments and one window as columns.

    Args:
        memory: Where the rows are put.
        instrument_ids: The instruments to keep; None keeps all.
        start_ns: First ``ts_event`` kept, UTC ns.
        end_ns: First ``ts_event`` after those kept, UTC ns.
    """

    def __init__(
        self, memory: BookMemory, instrument_ids: Collection[int] | None, start_ns: int, end_ns: int
    ) -> None:
        self.rows = 0
        self._memory = memory
        self._piece = memory.take()
        self._ids = np.array(sorted(instrument_ids or ()), np.int64)
        self._all = instrument_ids is None
        self._window = (start_ns, end_ns)
        self._positions = (_positions(CATEGORIES["action"]), _positions(CATEGORIES["side"]))
        self._clear()

    def append(self, chunk: Chunk, start: int = 0) -> int:
        """Add the rows of a chunk that belong here, until the buffer is full.

        Args:
            chunk: MBP-10 records.
            start: First record looked at.

        Returns:
            The first record not looked at: the number of records where all of them were.
        """
        records = np.ascontiguousarray(chunk.records[start:])
        words = records.view(np.int64).reshape(len(records), -1)
        added, other, outside = _append_book(
            words,
            chunk.index[start:],
            self._ids,
            self._all,
            *self._window,
            self.rows,
            *self._memory.blocks(self._piece),
            *self._positions,
            self._highest,
        )
        self.rows += added
        self._skipped[OTHER_INSTRUMENT] += other
        self._skipped[OUTSIDE_TRADE_DATE] += outside
        return start + added + other + outside

    def take(self) -> Columns:
        """Give the rows collected away, and begin anew."""
        rows = self.rows
        arrays: dict[str, Array] = {}
        for (names, _), block in zip(_BLOCKS, self._given_away(), strict=True):
            arrays.update({name: column[:rows] for name, column in zip(names, block, strict=True)})
        for name, bit in _FLAG_COLUMNS.items():
            arrays[name] = (arrays["flags"] & bit) != 0
        nulls: dict[str, npt.NDArray[np.bool_] | None] = dict.fromkeys(arrays)
        for name, highest in zip(_INT64_COLUMNS[_FIRST_PRICE:], self._highest.tolist(), strict=True):
            if highest == UNDEF_PRICE:
                nulls[name] = arrays[name] == UNDEF_PRICE
        taken = Columns(rows, arrays, nulls, _categories(arrays), self._skipped)
        self._clear()
        return taken

    def _given_away(self) -> tuple[Array, ...]:
        """The blocks of the rows collected: a full piece is lent, of another its rows are copied.

        The last rows of a file wait in its part until the table is done: they must not hold a whole piece.
        """
        if self.rows < self._memory.capacity:
            return tuple(block[:, : self.rows].copy() for block in self._memory.blocks(self._piece))
        lent = self._memory.blocks(self._memory.lend(self._piece))
        self._piece = self._memory.take()
        return lent

    def _clear(self) -> None:
        self.rows = 0
        self._highest = np.full(len(_INT64_COLUMNS) - _FIRST_PRICE, np.iinfo(np.int64).min)
        self._skipped = {OTHER_INSTRUMENT: 0, OUTSIDE_TRADE_DATE: 0}


@compiled
def _is_wanted(instrument: int, ids: Int64s) -> bool:
    for wanted in ids:  # noqa: SIM110  (numba compiles no generators)
        if instrument == wanted:
            return True
    return False


@compiled
def _append_book(
    words: Int64s,
    index: Int64s,
    ids: Int64s,
    keep_all: bool,
    start_ns: int,
    end_ns: int,
    at: int,
    int64: Int64s,
    int32: npt.NDArray[np.int32],
    int16: npt.NDArray[np.int16],
    uint8: npt.NDArray[np.uint8],
    action_positions: npt.NDArray[np.uint8],
    side_positions: npt.NDArray[np.uint8],
    highest: Int64s,
) -> tuple[int, int, int]:
    """Gather the wanted rows tile by tile and copy each tile out by columns, until there is no room.

    Gives the rows added and skipped by rule: together the records looked at.
    """
    tile = np.empty((_TILE_ROWS, words.shape[1]), np.int64)
    tile_index = np.empty(_TILE_ROWS, np.int64)
    first, capacity = at, int64.shape[1]
    other, outside, row = 0, 0, 0
    while row < words.shape[0] and at < capacity:
        rows = 0
        while row < words.shape[0] and rows < min(_TILE_ROWS, capacity - at):
            if not keep_all and not _is_wanted((words[row, 0] >> 32) & 0xFFFFFFFF, ids):
                other += 1
            elif words[row, 1] < start_ns or words[row, 1] >= end_ns:
                outside += 1
            else:
                for word in range(words.shape[1]):  # a slice assigned to a slice takes a tenth longer
                    tile[rows, word] = words[row, word]
                tile_index[rows] = index[row]
                rows += 1
            row += 1
        _copy_events(tile, tile_index, rows, at, int64, int32, int16, uint8, action_positions, side_positions)
        _copy_levels(tile, rows, at, int64, int32, highest)
        at += rows
    return at - first, other, outside


@compiled
def _copy_events(
    tile: Int64s,
    tile_index: Int64s,
    rows: int,
    at: int,
    int64: Int64s,
    int32: npt.NDArray[np.int32],
    int16: npt.NDArray[np.int16],
    uint8: npt.NDArray[np.uint8],
    action_positions: npt.NDArray[np.uint8],
    side_positions: npt.NDArray[np.uint8],
) -> None:
    """Header and event fields, words 0 to 5 of a record."""
    for row in range(rows):
        head, event = tile[row, 0], tile[row, 3]
        int64[0, at + row] = tile[row, 4]
        int64[1, at + row] = tile[row, 1]
        int64[2, at + row] = (tile[row, 5] >> 32) & 0xFFFFFFFF
        int64[3, at + row] = (head >> 32) & 0xFFFFFFFF
        int64[4, at + row] = event & 0xFFFFFFFF
        int64[5, at + row] = tile_index[row]
        int32[0, at + row] = (head >> 16) & 0xFFFF
        int16[0, at + row] = (event >> 48) & 0xFF
        int16[1, at + row] = (head >> 8) & 0xFF
        int16[2, at + row] = (event >> 56) & 0xFF
        uint8[0, at + row] = action_positions[(event >> 32) & 0xFF]
        uint8[1, at + row] = side_positions[(event >> 40) & 0xFF]


@compiled
def _copy_price(tile: Int64s, word: int, rows: int, out: Int64s) -> int:
    top = np.iinfo(np.int64).min
    for row in range(rows):
        price = tile[row, word]
        out[row] = price
        top = max(top, price)
    return top


@compiled
def _copy_pair(
    tile: Int64s, word: int, rows: int, low: npt.NDArray[np.int32], high: npt.NDArray[np.int32]
) -> None:
    for row in range(rows):
        pair = tile[row, word]
        low[row] = np.int32(pair & 0xFFFFFFFF)
        high[row] = np.int32(pair >> 32)


@compiled
def _copy_levels(
    tile: Int64s, rows: int, at: int, int64: Int64s, int32: npt.NDArray[np.int32], highest: Int64s
) -> None:
    """Prices (word 2, and two words a level) and the pairs of sizes and counts; the highest price of each column."""
    first = int64.shape[0] - highest.size
    highest[0] = max(highest[0], _copy_price(tile, 2, rows, int64[first, at : at + rows]))
    for level in range(LEVELS):
        word = 6 + 4 * level
        for side in range(2):
            column = 1 + 2 * level + side
            top = _copy_price(tile, word + side, rows, int64[first + column, at : at + rows])
            highest[column] = max(highest[column], top)
        for pair in range(2):
            low = 1 + 4 * level + 2 * pair
            _copy_pair(
                tile, word + 2 + pair, rows, int32[low, at : at + rows], int32[low + 1, at : at + rows]
            )
