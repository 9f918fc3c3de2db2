"""Which symbol an instrument id had on a day, and what the form of a symbol says.

The vendor's ``to_df`` picks a symbol at random when one id has two on a day, and an id means different contracts in
different years. Here every answer is for one UTC day, and two sources that disagree are an error.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from footprint_assets.sources.dbn import LiveMapping
from footprint_assets.sources.errors import SourceError
from footprint_assets.sources.metadata import DbnHeader
from footprint_assets.sources.records import Records

MONTH_CODES: Final = "FGHJKMNQUVXZ"
_OUTRIGHT: Final = re.compile(rf"([A-Z0-9]+?)([{MONTH_CODES}])(\d{{1,2}})")
_OPTION: Final = re.compile(r"(\S+) ([CP])(-?\d+)")
_OUTRIGHT_CLASS: Final = "F"
_OPTION_CLASSES: Final = frozenset("CP")
_SPREAD_CLASSES: Final = frozenset("STM")
_EPOCH: Final = dt.date(1970, 1, 1)
_DAY_NS: Final = 86_400 * 10**9
_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Outright:
    """A future of one root and one month, such as ESH4."""

    root: str
    year: int
    month: int


@dataclass(frozen=True, slots=True)
class Spread:
    """A combination; ``legs`` are its outrights where the symbol spells them out."""

    legs: tuple[Outright, ...]
    user_defined: bool


@dataclass(frozen=True, slots=True)
class Option:
    """An option on a future; ``strike`` as written in the symbol."""

    series: Outright
    right: str
    strike: int


@dataclass(frozen=True, slots=True)
class Other:
    """Any other instrument."""

    symbol: str


Instrument = Outright | Spread | Option | Other


class InstrumentConflict(SourceError):  # noqa: N818  (names the fact, as the other refusals do)
    """Two sources give one instrument id two symbols on one day."""


def parse_symbol(symbol: str, asof: dt.date, instrument_class: str | None = None) -> Instrument:
    """Say what a Globex symbol names.

    A one-digit year is the first that has not expired at ``asof``, the month before it still counting as alive: final
    statistics arrive after the last trade, and the exchange reuses a symbol ten years later.

    Args:
        symbol: Raw symbol, such as ``ESH4``, ``ESZ25``, ``ESH4-ESM4``, ``UD:1V: VT 2830794`` or ``ESM4 P5230``.
        asof: A day on which the symbol was in use.
        instrument_class: DBN instrument class from a definition; it wins over the form of the symbol.

    Returns:
        The instrument.
    """
    parsed = _parse_form(symbol, asof)
    if instrument_class is None:
        return parsed
    if instrument_class in _SPREAD_CLASSES:
        return parsed if isinstance(parsed, Spread) else Spread((), user_defined=False)
    wanted = {_OUTRIGHT_CLASS: Outright}.get(
        instrument_class, Option if instrument_class in _OPTION_CLASSES else Other
    )
    return parsed if isinstance(parsed, wanted) else Other(symbol)


def _parse_form(symbol: str, asof: dt.date) -> Instrument:
    if symbol.startswith("UD:"):
        return Spread((), user_defined=True)
    if (outright := _parse_outright(symbol, asof)) is not None:
        return outright
    if (option := _OPTION.fullmatch(symbol)) is not None:
        series = _parse_outright(option[1], asof)
        return Other(symbol) if series is None else Option(series, option[2], int(option[3]))
    if ":" in symbol and "-" in symbol:
        return Spread((), user_defined=False)
    legs = tuple(_parse_outright(leg, asof) for leg in symbol.split("-"))
    spelled = tuple(leg for leg in legs if leg is not None)
    if len(legs) > 1 and len(spelled) == len(legs):
        return Spread(spelled, user_defined=False)
    return Other(symbol)


def _parse_outright(symbol: str, asof: dt.date) -> Outright | None:
    match = _OUTRIGHT.fullmatch(symbol)
    if match is None:
        return None
    month = MONTH_CODES.index(match[2]) + 1
    digits = match[3]
    if len(digits) == 2:
        return Outright(match[1], 2000 + int(digits), month)
    oldest = asof.year * 12 + asof.month - 1
    year = next(
        year
        for year in range(asof.year - 1, asof.year + 11)
        if year % 10 == int(digits) and year * 12 + month >= oldest
    )
    return Outright(match[1], year, month)


@dataclass(frozen=True, slots=True)
class _Span:
    """A symbol over the UTC days ``[start, end)``."""

    start: dt.date
    end: dt.date
    symbol: str
    instrument_class: str | None = None


@dataclass(slots=True)
class InstrumentMap:
    """Symbols by instrument id and UTC day, from headers, mapping messages and definitions.

    A mapping counts for its own days. A definition counts from the day it was received until another one of the same
    id or its expiration.
    """

    _mapped: defaultdict[int, list[_Span]] = field(default_factory=lambda: defaultdict(list))
    _defined: defaultdict[int, list[_Span]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, header: DbnHeader, live: Iterable[LiveMapping] = ()) -> InstrumentMap:
        """The map of one file.

        Args:
            header: Its header, whose mappings may run in either direction.
            live: The mapping messages of a live recording.
        """
        return cls().add_header(header).add_live(live)

    def add_header(self, header: DbnHeader) -> InstrumentMap:
        """Add the mappings of a header; returns the map."""
        for mapping in header.mappings:
            span = _Span(mapping.start_date, mapping.end_date, mapping.raw_symbol)
            self._add(self._mapped[mapping.instrument_id], span)
        return self

    def add_live(self, mappings: Iterable[LiveMapping]) -> InstrumentMap:
        """Add the mapping messages of a live recording; returns the map."""
        for mapping in mappings:
            start = dt.date.min if mapping.start_ns is None else _day(mapping.start_ns)
            end = dt.date.max if mapping.end_ns is None else _day(mapping.end_ns - 1) + dt.timedelta(days=1)
            self._add(self._mapped[mapping.instrument_id], _Span(start, end, mapping.raw_symbol))
        return self

    def add_definitions(self, records: Records) -> InstrumentMap:
        """Add definition records.

        Args:
            records: Structured array in the DBN 3 layout.

        Returns:
            The map.
        """
        fields = ("instrument_id", "ts_recv", "expiration", "raw_symbol", "instrument_class")
        for instrument, received, expires, symbol, kind in zip(
            *(records[name].tolist() for name in fields), strict=True
        ):
            end = dt.date.max if expires > _INT64_MAX else _day(expires) + dt.timedelta(days=1)
            span = _Span(_day(received), end, symbol.decode("ascii"), kind.decode("latin-1") or None)
            if span.end > span.start:
                self._defined[instrument].append(span)
        for spans in self._defined.values():
            spans.sort(key=lambda span: span.start)
        return self

    def symbol(self, instrument_id: int, day: dt.date) -> str | None:
        """The raw symbol of an instrument on a UTC day.

        Args:
            instrument_id: The venue's numeric id.
            day: UTC day.

        Returns:
            The symbol, or None where no source names one.

        Raises:
            InstrumentConflict: A mapping and a definition disagree.
        """
        mapped, defined = self._mapping(instrument_id, day), self._definition(instrument_id, day)
        if mapped is not None and defined is not None and mapped.symbol != defined.symbol:
            raise InstrumentConflict(
                f"instrument {instrument_id} is {mapped.symbol!r} by its mapping and {defined.symbol!r} by definition",
                where={"instrument_id": instrument_id, "day": day.isoformat()},
                remedy="pull the file and the definitions of that day again",
            )
        span = mapped or defined
        return None if span is None else span.symbol

    def instrument(self, instrument_id: int, day: dt.date) -> Instrument | None:
        """What an instrument is on a UTC day, by its definition's class where there is one, else by its symbol."""
        symbol = self.symbol(instrument_id, day)
        if symbol is None:
            return None
        defined = self._definition(instrument_id, day)
        return parse_symbol(symbol, day, None if defined is None else defined.instrument_class)

    def instrument_ids(self, symbol: str, days: Iterable[dt.date]) -> frozenset[int]:
        """Ids that a symbol has on any of some UTC days.

        Args:
            symbol: Raw symbol.
            days: The UTC days of a trade date.
        """
        ids = set(self._mapped) | set(self._defined)
        return frozenset(number for day in days for number in ids if self.symbol(number, day) == symbol)

    def outrights(self, root: str, days: Iterable[dt.date]) -> dict[int, str]:
        """Outright futures of a root on some UTC days.

        Args:
            root: Product root, such as ``ES``.
            days: The UTC days of a trade date.

        Returns:
            Raw symbol by instrument id.

        Raises:
            InstrumentConflict: An id changes its symbol within these days, so that the id alone cannot tell rows apart.
        """
        found: dict[int, str] = {}
        for day in days:
            for number in set(self._mapped) | set(self._defined):
                symbol, instrument = self.symbol(number, day), self.instrument(number, day)
                if symbol is None or not isinstance(instrument, Outright) or instrument.root != root:
                    continue
                if found.setdefault(number, symbol) != symbol:
                    raise InstrumentConflict(
                        f"instrument {number} changes from {found[number]!r} to {symbol!r} within a trade date",
                        where={"instrument_id": number, "day": day.isoformat()},
                        remedy="take the trade date out of the pull and ask the vendor",
                    )
        return found

    def _add(self, spans: list[_Span], span: _Span) -> None:
        if span not in spans:
            spans.append(span)

    def _mapping(self, instrument_id: int, day: dt.date) -> _Span | None:
        found = [span for span in self._mapped.get(instrument_id, ()) if span.start <= day < span.end]
        if len({span.symbol for span in found}) > 1:
            raise InstrumentConflict(
                f"instrument {instrument_id} is mapped to {sorted({span.symbol for span in found})}",
                where={"instrument_id": instrument_id, "day": day.isoformat()},
                remedy="pull the files of that day again, or keep only one of them",
            )
        return found[0] if found else None

    def _definition(self, instrument_id: int, day: dt.date) -> _Span | None:
        known = [span for span in self._defined.get(instrument_id, ()) if span.start <= day]
        return known[-1] if known and day < known[-1].end else None


def _day(ns: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=ns // _DAY_NS)
