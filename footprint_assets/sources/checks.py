"""The row rules: which records are set aside although the file around them can be trusted.

A record is judged on its wire bytes, seen as little-endian 64-bit words, so that one compiled loop serves a whole
chunk. Facts of the market (crossed, locked or missing levels, prices off the tick grid, negative spread prices) break
no rule. The first rule a record breaks names its quarantine.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from footprint_assets.sources.compiled import compiled
from footprint_assets.sources.metadata import DbnHeader, is_safe_symbol
from footprint_assets.sources.records import F_SNAPSHOT, PUBLISHERS, RTYPES, UNDEF_PRICE, Records

Words = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]

RULES: Final = (
    "ok",
    "publisher",
    "ts_event",
    "ts_recv",
    "instrument",
    "action",
    "side",
    "size",
    "price",
    "book_level",
    "symbol",
    "instrument_class",
    "update_action",
)
"""Row rules by code; code 0 is a record that breaks none."""
FOREIGN_RTYPE: Final = "foreign_rtype"
"""The rule a record of another type breaks in a file that names one schema."""
_PUBLISHER, _TS_EVENT, _TS_RECV, _INSTRUMENT, _ACTION, _SIDE, _SIZE, _PRICE, _BOOK_LEVEL = range(1, 10)
_SYMBOL, _INSTRUMENT_CLASS, _UPDATE_ACTION = range(10, 13)

ACTIONS: Final = "ACMRTFN"
SIDES: Final = "ABN"
INSTRUMENT_CLASSES: Final = b"BCFIKMPSTXY"
UPDATE_ACTIONS: Final = b"AMD~"
_DAY_NS: Final = 86_400 * 10**9
_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_INT32_MAX: Final = 2**31 - 1
_SIGN_BITS: Final = np.int64(-(2**63) + 2**31)
_EPOCH: Final = dt.date(1970, 1, 1)
_TRADE, _FILL = ord("T"), ord("F")

_EVENT_RTYPES: Final = frozenset({RTYPES["trades"], RTYPES["mbp-1"], RTYPES["mbp-10"]})
_BAR_RTYPES: Final = frozenset(
    {17} | {rtype for schema, rtype in RTYPES.items() if schema.startswith("ohlcv")}
)
_RECV_WORD: Final = {0: 4, 1: 4, 10: 4, 160: 5, 177: 4, 192: 4, 193: 4, 194: 4, 195: 4, 196: 4}
_RECV_WORD_AFTER_HEADER: Final = 2


def _byte_set(characters: str) -> npt.NDArray[np.bool_]:
    allowed = np.zeros(256, np.bool_)
    allowed[[ord(character) for character in characters]] = True
    return allowed


@dataclass(frozen=True, slots=True)
class RowRules:
    """The row rules of one file, ready for the compiled loops.

    ``publishers`` are the accepted publisher ids (empty: any). ``first_ns`` and ``last_ns`` bound the instants,
    ``[first, last)``. ``mapped_*`` are the intervals in which an instrument id means something, sorted by id and
    start (empty: any id).
    """

    rtype: int
    publishers: npt.NDArray[np.int64]
    first_ns: int
    last_ns: int
    mapped_ids: npt.NDArray[np.int64]
    mapped_from_ns: npt.NDArray[np.int64]
    mapped_to_ns: npt.NDArray[np.int64]
    actions: npt.NDArray[np.bool_]
    sides: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, header: DbnHeader, rtype: int) -> RowRules:
        """The rules for records of ``rtype`` in the file of ``header``."""
        intervals = sorted(
            (m.instrument_id, _midnight(m.start_date), _midnight(m.end_date)) for m in header.mappings
        )
        return cls(
            rtype=rtype,
            publishers=np.array(PUBLISHERS.get(header.dataset, ()), np.int64),
            first_ns=max(0, header.start_ns - _DAY_NS),
            last_ns=_INT64_MAX if header.end_ns is None else min(_INT64_MAX, header.end_ns + _DAY_NS),
            mapped_ids=_column(intervals, 0),
            mapped_from_ns=_column(intervals, 1),
            mapped_to_ns=_column(intervals, 2),
            actions=_byte_set("T" if rtype == RTYPES["trades"] else ACTIONS),
            sides=_byte_set(SIDES),
        )


def _midnight(day: dt.date) -> int:
    # Mappings may end on 9999-12-31, which int64 nanoseconds do not reach.
    return min((day - _EPOCH).days * _DAY_NS, _INT64_MAX)


def _column(intervals: Sequence[tuple[int, int, int]], at: int) -> npt.NDArray[np.int64]:
    return np.array([interval[at] for interval in intervals], np.int64)


def check_rows(words: Words, wire: Records, rules: RowRules) -> Codes | None:
    """Judge the records of a chunk.

    Args:
        words: int64 array, records x record length / 8: the wire bytes.
        wire: Structured view of the same bytes.
        rules: The rules of the file.

    Returns:
        uint8 index into ``RULES`` for every record, or None when every record is accepted.
    """
    codes = np.zeros(len(words), np.uint8)
    is_event = rules.rtype in _EVENT_RTYPES
    bad = _check_identity(
        words,
        -1 if rules.rtype in _BAR_RTYPES else _RECV_WORD.get(rules.rtype, _RECV_WORD_AFTER_HEADER),
        is_event or rules.rtype in _BAR_RTYPES,
        is_event,
        rules.publishers,
        rules.first_ns,
        rules.last_ns,
        rules.mapped_ids,
        rules.mapped_from_ns,
        rules.mapped_to_ns,
        codes,
    )
    if is_event:
        bad += _check_event(words, rules.actions, rules.sides, codes)
    elif rules.rtype in _BAR_RTYPES:
        bad += _check_bar(words, codes)
    elif rules.rtype == RTYPES["statistics"]:
        bad += _set_aside(codes, wire["price"] == _INT64_MIN, _PRICE)
    elif rules.rtype == RTYPES["definition"]:
        bad += _check_definitions(wire, codes)
    return codes if bad else None


def _set_aside(codes: Codes, broken: npt.NDArray[np.bool_], rule: int) -> int:
    broken = broken & (codes == 0)
    codes[broken] = rule
    return int(np.count_nonzero(broken))


def _check_definitions(wire: Records, codes: Codes) -> int:
    safe = {
        raw: raw.isascii() and is_safe_symbol(raw.decode("ascii")) for raw in set(wire["raw_symbol"].tolist())
    }
    unsafe = np.array([not safe[raw] for raw in wire["raw_symbol"].tolist()], np.bool_)
    bad = _set_aside(codes, unsafe, _SYMBOL)
    for field, accepted, rule in (
        ("instrument_class", INSTRUMENT_CLASSES, _INSTRUMENT_CLASS),
        ("security_update_action", UPDATE_ACTIONS, _UPDATE_ACTION),
    ):
        known = np.isin(wire[field].view(np.uint8), np.frombuffer(accepted, np.uint8))
        bad += _set_aside(codes, ~known, rule)
    return bad


@compiled
def _is_one_of(value: int, accepted: npt.NDArray[np.int64]) -> bool:
    for known in accepted:  # noqa: SIM110  (numba compiles no generators)
        if value == known:
            return True
    return False


@compiled
def _find_interval(
    instrument: int,
    instant: int,
    mapped_ids: npt.NDArray[np.int64],
    mapped_from_ns: npt.NDArray[np.int64],
    mapped_to_ns: npt.NDArray[np.int64],
) -> int:
    """The interval in which an instrument id means something at an instant, or -1."""
    low, high = 0, mapped_ids.size
    while low < high:
        middle = (low + high) // 2
        if mapped_ids[middle] < instrument:
            low = middle + 1
        else:
            high = middle
    while low < mapped_ids.size and mapped_ids[low] == instrument:
        if mapped_from_ns[low] <= instant < mapped_to_ns[low]:
            return low
        low += 1
    return -1


@compiled
def _broken_clock(
    ts_event: int, ts_index: int, bounded_event: bool, old_event: bool, first_ns: int, last_ns: int
) -> int:
    """The clock rule a record breaks; undefined instants, 2**64 - 1, are negative as int64."""
    if ts_event < 0 or (bounded_event and (ts_event >= last_ns or (ts_event < first_ns and not old_event))):
        return _TS_EVENT
    if ts_index < first_ns or ts_index >= last_ns:
        return _TS_RECV
    return 0


@compiled
def _check_identity(
    words: Words,
    recv_word: int,
    bounded_event: bool,
    has_flags: bool,
    publishers: npt.NDArray[np.int64],
    first_ns: int,
    last_ns: int,
    mapped_ids: npt.NDArray[np.int64],
    mapped_from_ns: npt.NDArray[np.int64],
    mapped_to_ns: npt.NDArray[np.int64],
    codes: Codes,
) -> int:
    """Publisher, instants and instrument of every record; the receive time decides the day, as for the vendor."""
    bad = 0
    interval = -1
    for row in range(words.shape[0]):
        head, ts_event = words[row, 0], words[row, 1]
        ts_index = ts_event if recv_word < 0 else words[row, recv_word]
        if publishers.size > 0 and not _is_one_of((head >> 16) & 0xFFFF, publishers):
            rule = _PUBLISHER
        else:
            # A snapshot row keeps the time of the order's last change, which may be weeks old.
            is_snapshot = has_flags and ((words[row, 3] >> 48) & F_SNAPSHOT) != 0
            rule = _broken_clock(ts_event, ts_index, bounded_event, is_snapshot, first_ns, last_ns)
        if rule == 0 and mapped_ids.size > 0:
            instrument = (head >> 32) & 0xFFFFFFFF
            # Neighbouring records mostly share their instrument: try the last interval before searching.
            if (
                interval < 0
                or mapped_ids[interval] != instrument
                or not mapped_from_ns[interval] <= ts_index < mapped_to_ns[interval]
            ):
                interval = _find_interval(instrument, ts_index, mapped_ids, mapped_from_ns, mapped_to_ns)
                if interval < 0:
                    rule = _INSTRUMENT
        if rule != 0:
            codes[row] = rule
            bad += 1
    return bad


@compiled
def _is_level_broken(record: Words) -> bool:
    """Tell whether a level has a size or count that int32 cannot hold, or a price of INT64_MIN."""
    levels = (record.size - 6) // 4
    signs = np.int64(0)
    lowest = np.int64(0)
    for level in range(levels):
        word = 6 + 4 * level
        lowest = min(lowest, min(record[word], record[word + 1]))
        # Sizes and counts are pairs of uint32; a set sign bit in any half shows in the union.
        signs |= record[word + 2] | record[word + 3]
    return bool(lowest == _INT64_MIN or (signs & _SIGN_BITS) != 0)


@compiled
def _check_event(
    words: Words, actions: npt.NDArray[np.bool_], sides: npt.NDArray[np.bool_], codes: Codes
) -> int:
    """Action, side, size, price and book levels of trades, MBP-1 and MBP-10 records."""
    bad = 0
    for row in range(words.shape[0]):
        if codes[row] != 0:
            continue
        price = words[row, 2]
        event = words[row, 3]
        action = (event >> 32) & 0xFF
        is_trade = action in (_TRADE, _FILL)
        rule = 0
        if not actions[action]:
            rule = _ACTION
        elif not sides[(event >> 40) & 0xFF]:
            rule = _SIDE
        elif (event & 0xFFFFFFFF) > _INT32_MAX:
            rule = _SIZE
        elif price == _INT64_MIN or (is_trade and price == UNDEF_PRICE):
            rule = _PRICE
        elif _is_level_broken(words[row]):
            rule = _BOOK_LEVEL
        if rule != 0:
            codes[row] = rule
            bad += 1
    return bad


@compiled
def _check_bar(words: Words, codes: Codes) -> int:
    """Prices and volume of OHLCV records."""
    bad = 0
    for row in range(words.shape[0]):
        if codes[row] != 0:
            continue
        rule = 0
        for word in range(2, 6):
            if words[row, word] == _INT64_MIN or words[row, word] == UNDEF_PRICE:
                rule = _PRICE
        if words[row, 6] < 0:
            rule = _SIZE
        if rule != 0:
            codes[row] = rule
            bad += 1
    return bad
