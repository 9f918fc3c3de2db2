"""Runs the sample market session by session and writes its day files.

The only module of this room that opens files (through ``files``). Memory is bounded by one record buffer whatever
the number of records: files are written while the simulator runs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import databento_dbn as dbn
import numpy as np

from footprint_assets import calendar as cme
from footprint_assets.errors import FootprintError
from footprint_assets.sample import book
from footprint_assets.sample.attempts import Director
from footprint_assets.sample.book import Curves, State
from footprint_assets.sample.edge import ATTEMPTS_FILE, EDGES, Attempt, Mode, write_attempts
from footprint_assets.sample.files import DayFile
from footprint_assets.sample.instruments import Instrument, Listing, listings
from footprint_assets.sample.reference import (
    CLEARING_DELAY_NS,
    OPENING_DELAY_NS,
    STATISTICS_DTYPE,
    Records,
    closing_statistics,
    definitions,
    opening_statistics,
)
from footprint_assets.sample.schedule import FairValue, plan_session, preopen_ns, starts_week
from footprint_assets.settings import NANOS_PER_SECOND

DEFAULT_START = dt.date(2024, 6, 14)
"""First trade date: the last session before the June 2024 roll."""
DEFAULT_END = dt.date(2024, 6, 20)
"""Last trade date: after the roll (17 June) and Juneteenth (19 June: cash market closed, 13:00 ET close)."""
DEFAULT_RECORDS = 100_000
"""MBP-10 records of the front ES contract in an ordinary session."""
DEFAULT_SEED = 20240617
ROOTS = ("ES", "NQ")
"""Product roots of the sample market."""
MIN_RECORDS = 400
"""Below this a session is too thin to trade through its hours."""

CHUNK_RECORDS = 65_536
_DAY_NS = 86_400 * NANOS_PER_SECOND
_CARRY_POINTS = 64.75
_TICKS_A_POINT = 4
_START = FairValue(
    es_ticks=5437.0 * _TICKS_A_POINT, nq_ticks=19_700.0 * _TICKS_A_POINT, carry_points=_CARRY_POINTS
)

_MBP10_DTYPE: np.dtype[np.void] = np.dtype(dbn.MBP10Msg._dtypes)
_TRADE_DTYPE: np.dtype[np.void] = np.dtype(dbn.TradeMsg._dtypes)
_COMMON_WORDS = _TRADE_DTYPE.itemsize // 8
_TRADE_LENGTH = _TRADE_DTYPE.itemsize // 4

Progress = Callable[[dt.date, int, int], None]
"""Called after each session with its trade date, the sessions done and the sessions in all."""


class SampleRequestRefused(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The asked-for sample market cannot be made."""


def write_sample(
    out_dir: Path,
    start: dt.date = DEFAULT_START,
    end: dt.date = DEFAULT_END,
    records_per_session: int = DEFAULT_RECORDS,
    seed: int = DEFAULT_SEED,
    progress: Progress | None = None,
    *,
    carry_points: float = _CARRY_POINTS,
    roots: tuple[str, ...] = ROOTS,
    mode: Mode = "plain",
) -> list[Path]:
    """Write a simulated market as Databento-style DBN 3 day files.

    The market is invented: nothing in it is exchange data. The same arguments give the same bytes. In the modes
    ``known-edge`` and ``null`` the leading ES contract tries its levels one after another, what follows is drawn from the law
    of that name in `edge`, and ``attempts.jsonl`` beside the files tells what was planted.

    Args:
        out_dir: Directory of the files; made when it is missing. Files of the same names are replaced.
        start: First trade date, inclusive.
        end: Last trade date, inclusive.
        records_per_session: MBP-10 records of the front ES contract in an ordinary session, at least 400; a session
            with a closed cash market has a quarter. The other instruments scale with it.
        seed: Seed of every random draw, 0 or more.
        progress: Called after each session with (trade date, sessions done, sessions in all).
        carry_points: Price of the second ES expiry minus the first at the start, points; may be negative.
        roots: The product roots to simulate, of ``ROOTS``.
        mode: ``plain``, ``known-edge`` or ``null``; the latter need ES among the roots.

    Returns:
        The files written, sorted by name: ``mbp-10``, ``trades``, ``definition`` and ``statistics`` of every UTC day
        that a session of the span touches. The first and last day hold only the part the span covers.

    Raises:
        SampleRequestRefused: No session lies in the span, or a number is out of range.
    """
    dates = _checked_dates(start, end, records_per_session, seed)
    if not roots or not set(roots) <= set(ROOTS):
        raise SampleRequestRefused(
            "the sample market has no such roots",
            where={"roots": roots},
            remedy=f"choose of {', '.join(ROOTS)}",
        )
    if mode != "plain" and (mode not in EDGES or "ES" not in roots):
        raise SampleRequestRefused(
            "the sample market cannot plant this",
            where={"mode": mode, "roots": roots},
            remedy=f"choose of plain, {', '.join(EDGES)}, with ES among the roots",
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    sessions = [(cme.session(date), _of_roots(listings(date), roots)) for date in dates]
    span = (preopen_ns(sessions[0][0]), sessions[-1][0].window_ns[1])
    run = _Run(out_dir, _instruments_by_day(sessions), span)
    fair = FairValue(_START.es_ticks, _START.nq_ticks, carry_points)
    previous: tuple[Listing, ...] | None = None
    planted: list[Attempt] = []
    try:
        for done, (session, listed) in enumerate(sessions, start=1):
            if previous is not None:
                fair = _on_contracts_of(listed, previous, fair)
            previous = listed
            state, curves, fair = plan_session(
                session, listed, records_per_session=records_per_session, seed=seed, start=fair
            )
            director = None
            if mode != "plain":
                director = Director(session, listed, curves, EDGES[mode], seed)
            run.session(session, listed, state, curves, director)
            if director is not None:
                planted += director.attempts
                fair = replace(fair, es_ticks=fair.es_ticks + director.shift)
            if progress is not None:
                progress(session.trade_date, done, len(sessions))
        files = run.finish()
        if mode != "plain":
            write_attempts(out_dir / ATTEMPTS_FILE, planted)
        return files
    except BaseException:
        # An interrupted run, too, must leave no partial file behind.
        run.discard()
        raise


def _checked_dates(start: dt.date, end: dt.date, records_per_session: int, seed: int) -> list[dt.date]:
    if records_per_session < MIN_RECORDS:
        raise SampleRequestRefused(
            "records_per_session is too small for a market that trades around the clock",
            where={"records_per_session": records_per_session, "minimum": MIN_RECORDS},
            remedy=f"ask for {MIN_RECORDS} or more",
        )
    if seed < 0:
        raise SampleRequestRefused("the seed is negative", where={"seed": seed}, remedy="pass 0 or more")
    dates = cme.sessions(start, end)
    if not dates:
        raise SampleRequestRefused(
            "no CME session lies in the span", where={"start": start, "end": end}, remedy="widen the span"
        )
    return dates


def _of_roots(listed: tuple[Listing, ...], roots: tuple[str, ...]) -> tuple[Listing, ...]:
    return tuple(entry for entry in listed if entry.instrument.root in roots)


def _on_contracts_of(
    listed: tuple[Listing, ...], previous: tuple[Listing, ...], fair: FairValue
) -> FairValue:
    """Fair value on today's contracts: a later expiry trades a carry away from the one it replaces."""
    es_ticks, nq_ticks = fair.es_ticks, fair.nq_ticks
    if _has_expired(listed, previous, "ES"):
        es_ticks += _TICKS_A_POINT * fair.carry_points
    if _has_expired(listed, previous, "NQ"):
        nq_ticks += _TICKS_A_POINT * fair.carry_points * _START.nq_ticks / _START.es_ticks
    return FairValue(es_ticks, nq_ticks, fair.carry_points)


def _has_expired(listed: tuple[Listing, ...], previous: tuple[Listing, ...], root: str) -> bool:
    """Whether the nearest expiry of a root is a later one than the session before; never of a root not simulated."""
    nearest = [
        min((entry.instrument.maturity for entry in _of_roots(entries, (root,))), default=dt.date.max)
        for entries in (previous, listed)
    ]
    return nearest[0] < nearest[1]


def _utc_days(session: cme.Session) -> list[dt.date]:
    """UTC days that a session's records fall on, from order entry to the last statistic."""
    first = _utc_day(preopen_ns(session))
    last = _utc_day(session.close_ns + CLEARING_DELAY_NS)
    return [first + dt.timedelta(days=k) for k in range((last - first).days + 1)]


def _utc_day(ts_ns: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=ts_ns // _DAY_NS)


def _instruments_by_day(
    sessions: list[tuple[cme.Session, tuple[Listing, ...]]],
) -> dict[dt.date, tuple[Instrument, ...]]:
    """Every instrument each day's files mention."""
    by_day: dict[dt.date, dict[str, Instrument]] = {}
    for session, listed in sessions:
        for day in _utc_days(session):
            by_day.setdefault(day, {}).update(
                {entry.instrument.raw_symbol: entry.instrument for entry in listed}
            )
    return {day: tuple(named.values()) for day, named in by_day.items()}


class _Run:
    """The state of one ``write_sample`` call: open day files, books carried over, feed counters."""

    def __init__(
        self, out_dir: Path, instruments: dict[dt.date, tuple[Instrument, ...]], span: tuple[int, int]
    ) -> None:
        self._out_dir = out_dir
        self._instruments = instruments
        self._span = span
        self._channel = np.zeros(2, dtype=np.int64)
        self._books: dict[str, np.void] = {}
        self._statistics: dict[dt.date, list[Records]] = {}
        self._written: list[Path] = []
        self._day: dt.date | None = None
        self._open: dict[str, DayFile] = {}
        self._buffer = np.empty((CHUNK_RECORDS, book.RECORD_WORDS), dtype=np.int64)
        self._director: Director | None = None

    def session(
        self,
        session: cme.Session,
        listed: tuple[Listing, ...],
        state: State,
        curves: Curves,
        director: Director | None = None,
    ) -> None:
        """Simulate one session, directed or not, and append it to the files of its UTC days."""
        self._director = director
        symbols = [entry.instrument.raw_symbol for entry in listed]
        begin = preopen_ns(session)
        self._enter(_utc_day(begin))
        book.start_session(state, curves)
        self._carry_books(symbols, state)
        if starts_week(session):
            self._append(book.write_clears(self._buffer, self._channel, state, begin))
        elif not all(symbol in self._books for symbol in symbols):
            for i, symbol in enumerate(symbols):
                if symbol not in self._books:
                    book.seed_book(state, curves, i, begin)
            self._append(book.write_snapshots(self._buffer, self._channel, state, begin))
        # The opening statistics belong to the first day's file, so they are taken before midnight closes it.
        self._simulate_until(state, curves, session.open_ns + OPENING_DELAY_NS)
        self._keep_statistics(opening_statistics(session, listed, state["tally"]))
        for day in _utc_days(session):
            midnight = cme.utc_midnight_ns(day)
            if day != self._day:
                self._enter(day)
                self._append(book.write_snapshots(self._buffer, self._channel, state, midnight))
            self._simulate_until(state, curves, midnight + _DAY_NS)
        middle = state["tick"][:, :, 0].sum(axis=1) // 2
        self._keep_statistics(closing_statistics(session, listed, state["tally"], middle))
        self._books.update(zip(symbols, state, strict=True))

    def finish(self) -> list[Path]:
        """Publish the last day's files and return every path."""
        self._close_day()
        return sorted(self._written)

    def discard(self) -> None:
        """Drop the unfinished day's files."""
        for file in self._open.values():
            file.discard()
        self._open = {}

    def _carry_books(self, symbols: list[str], state: State) -> None:
        for i, symbol in enumerate(symbols):
            if symbol in self._books:
                for field in book.BOOK_FIELDS:
                    state[field][i] = self._books[symbol][field]

    def _simulate_until(self, state: State, curves: Curves, stop_ns: int) -> None:
        while self._director is not None and self._director.next_ns < stop_ns:
            self._run_until(state, curves, self._director.next_ns)
            self._append(self._director.act(self._buffer, self._channel, state))
        self._run_until(state, curves, stop_ns)

    def _run_until(self, state: State, curves: Curves, stop_ns: int) -> None:
        while True:
            rows = book.simulate(self._buffer, self._channel, state, curves, stop_ns)
            if self._director is not None:
                self._director.saw(self._buffer[:rows])
            self._append(rows)
            if rows <= CHUNK_RECORDS - book.MAX_EVENT_RECORDS:
                return

    def _append(self, rows: int) -> None:
        """Write the first rows of the buffer, and the trades among them."""
        records = self._buffer[:rows]
        self._open["mbp-10"].append(records)
        is_trade = (records[:, 3] >> 32 & 0xFF) == ord("T")
        trades = records[is_trade, :_COMMON_WORDS].view(_TRADE_DTYPE)
        trades["length"], trades["rtype"] = _TRADE_LENGTH, 0
        self._open["trades"].append(trades)

    def _enter(self, day: dt.date) -> None:
        if day == self._day:
            return
        self._close_day()
        self._day = day
        for schema in ("mbp-10", "trades"):
            self._open[schema] = DayFile(self._out_dir, schema, day, self._instruments[day], self._span)

    def _close_day(self) -> None:
        if self._day is None:
            return
        day, named = self._day, self._instruments[self._day]
        reference = {"definition": definitions(named, day), "statistics": self._statistics_of(day)}
        for schema, records in reference.items():
            self._open[schema] = DayFile(self._out_dir, schema, day, named)
            self._open[schema].append(records)
        for file in self._open.values():
            self._written.append(file.publish())
        self._open = {}

    def _keep_statistics(self, records: Records) -> None:
        if records.size:
            self._statistics.setdefault(_utc_day(int(records["ts_recv"][0])), []).append(records)

    def _statistics_of(self, day: dt.date) -> Records:
        parts = self._statistics.pop(day, [])
        records = np.concatenate([np.zeros(0, dtype=STATISTICS_DTYPE), *parts])
        # Where the close is late, clearing figures follow the next session's open.
        return records[np.argsort(records["ts_recv"], kind="stable")]
