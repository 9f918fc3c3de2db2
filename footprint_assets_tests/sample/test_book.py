from __future__ import annotations

import datetime as dt
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets.calendar import utc_midnight_ns
from footprint_assets.sample import DEFAULT_END, DEFAULT_START, schedule, write_sample
from footprint_assets.sample.instruments import listings
from footprint_assets_tests.sample.conftest import SmallMarket
from footprint_assets_tests.sample.market_files import (
    F_LAST,
    F_SNAPSHOT,
    UNDEF_PRICE,
    change_of,
    explains,
    ladders,
    read_all,
)

NANOS = 10**9
PREOPEN_NS = 15 * 60 * NANOS


def sessions() -> list[cme.Session]:
    return [cme.session(date) for date in cme.sessions(DEFAULT_START, DEFAULT_END)]


def in_trading_hours(ts: np.ndarray) -> np.ndarray:
    return np.asarray(np.any([(ts >= s.open_ns) & (ts < s.close_ns) for s in sessions()], axis=0))


def groups_of(records: np.ndarray) -> list[list[Any]]:
    """The event groups of one instrument: records up to and with F_LAST."""
    groups: list[list[Any]] = [[]]
    for row in records:
        groups[-1].append(row)
        if row["flags"] & F_LAST:
            groups.append([])
    assert groups.pop() == [], "an event group without an end"
    return groups


def faults_of(book: np.ndarray) -> list[str]:
    """Every step of every instrument's book that its record does not explain."""
    faults = []
    before: dict[int, Any] = {}
    for number, row in enumerate(book):
        instrument, after = int(row["instrument_id"]), ladders(row)
        if row["flags"] & F_SNAPSHOT:
            fault = "" if before.get(instrument, after) == after else "a snapshot of another book"
        else:
            fault = explains(before.get(instrument, {"B": [], "A": []}), after, change_of(row))
        if fault:
            faults.append(f"record {number}, instrument {instrument}: {fault}: {change_of(row)}")
        before[instrument] = after
    return faults


def test_each_record_explains_the_step_from_one_book_to_the_next(small_market: SmallMarket) -> None:
    assert faults_of(small_market.book) == []


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**40), carry=st.floats(-30, 90), records=st.integers(400, 1500))
def test_books_are_explained_by_their_records_for_any_seed(seed: int, carry: float, records: int) -> None:
    day = dt.date(2024, 6, 17)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_sample(Path(folder), day, day, records, seed, carry_points=carry)
        book = read_all(paths, "mbp-10")
    assert faults_of(book) == []
    assert set(book["action"].tolist()) == {b"A", b"C", b"M", b"T", b"R"}


def test_trades_are_followed_by_the_removal_of_exactly_their_volume(small_market: SmallMarket) -> None:
    """A T leaves the book alone; the C and M records of its group take its size off the side it hit, at its price."""
    checked = 0
    for symbol in sorted(set(small_market.symbols.values())):
        for group in groups_of(small_market.of(symbol)):
            trades = [row for row in group if row["action"] == b"T"]
            if not trades or (trades[0]["side"] == b"N" and crossed(trades[0])):
                continue
            traded: Counter[int] = Counter()
            for row in trades:
                traded[int(row["price"])] += int(row["size"])
            before, after = ladders(trades[0]), ladders(group[-1])
            hit = "A" if int(trades[0]["price"]) == before["A"][0][0] else "B"
            removed: Counter[int] = Counter()
            left = {price: size for price, size, _ in after[hit]}
            for price, size, _ in before[hit]:
                if price in traded or price in left:
                    removed[price] += size - left.get(price, 0)
            assert +removed == traded
            assert len({int(row["ts_event"]) for row in group}) == 1
            assert len({row["side"] for row in trades}) == 1
            assert trades[0]["side"] in (b"N", b"B" if hit == "A" else b"A")
            prices = [int(row["price"]) for row in trades]
            assert prices == [level[0] for level in before[hit][: len(prices)]], (
                "a sweep takes the best levels in turn"
            )
            checked += 1
    assert checked > 500


def test_an_event_group_is_all_that_an_instrument_does_in_one_instant(small_market: SmallMarket) -> None:
    for symbol in sorted(set(small_market.symbols.values())):
        instants = [int(group[0]["ts_event"]) for group in groups_of(small_market.of(symbol))]
        assert len(instants) == len(set(instants))


def test_no_event_starts_in_the_quiet_interval_around_midnight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_ns = 20 * 60 * NANOS
    monkeypatch.setattr(schedule, "_QUIET_BEFORE_MIDNIGHT_NS", quiet_ns)
    day = dt.date(2024, 6, 18)
    ts = read_all(write_sample(tmp_path, day, day, 3_000, 8), "mbp-10")["ts_event"].astype(np.int64)
    midnight = utc_midnight_ns(day)
    assert not ((ts >= midnight - quiet_ns) & (ts < midnight)).any()
    assert ((ts >= midnight - 2 * quiet_ns) & (ts < midnight - quiet_ns)).any()


def test_some_aggressors_sweep_several_levels(small_market: SmallMarket) -> None:
    levels = Counter(
        sum(row["action"] == b"T" for row in group) for symbol in ("ESM4", "ESU4", "NQU4")
        for group in groups_of(small_market.of(symbol))
    )  # fmt: skip
    assert sum(count for swept, count in levels.items() if swept >= 2) > 20
    assert max(levels) <= 5


def test_trade_rows_carry_no_flags_and_book_rows_the_exchanges(small_market: SmallMarket) -> None:
    flags: defaultdict[bytes, Counter[int]] = defaultdict(Counter)
    for action, flag in zip(small_market.book["action"], small_market.book["flags"].tolist(), strict=True):
        flags[action][flag] += 1
    assert set(flags[b"T"]) == {0}
    assert set(flags[b"A"]) == {0x82, 0xA8}
    assert set(flags[b"C"]) == set(flags[b"M"]) == {0x02, 0x82}
    assert set(flags[b"R"]) == {0x82}
    trades = small_market.book[small_market.book["action"] == b"T"]
    assert set(trades["depth"].tolist()) == {0}


def test_depth_is_the_index_of_the_changed_level(small_market: SmallMarket) -> None:
    before: dict[int, Any] = {}
    for row in small_market.book:
        after, change = ladders(row), change_of(row)
        if change.action in "ACM" and not row["flags"] & F_SNAPSHOT:
            book = after if change.action == "A" else before[int(row["instrument_id"])]
            assert book[change.side][int(row["depth"])][0] == change.price
        before[int(row["instrument_id"])] = after


def crossed(row: Any) -> bool:
    return bool(row["bid_px_00"] != UNDEF_PRICE and row["ask_px_00"] != UNDEF_PRICE) and bool(
        row["bid_px_00"] >= row["ask_px_00"]
    )


def test_ladders_are_strictly_ordered_and_never_crossed_in_trading_hours(small_market: SmallMarket) -> None:
    for row in small_market.book:
        sides = ladders(row)
        assert all(a[0] > b[0] for a, b in pairwise(sides["B"]))
        assert all(a[0] < b[0] for a, b in pairwise(sides["A"]))
        assert all(size >= orders >= 1 for _, size, orders in sides["B"] + sides["A"])
    hours = in_trading_hours(small_market.book["ts_event"])
    uncross = small_market.book["flags"] & F_LAST != 0
    settled = small_market.book[hours & uncross]
    assert not any(crossed(row) for row in settled)


def openings(small_market: SmallMarket) -> Iterator[tuple[np.ndarray, list[Any]]]:
    """The order entry and the first event group of every outright in every session."""
    for session in sessions():
        for entry in listings(session.trade_date):
            if entry.instrument.is_spread:
                continue
            own = small_market.of(entry.instrument.raw_symbol)
            ts = own["ts_event"]
            yield (
                own[(ts >= session.open_ns - PREOPEN_NS) & (ts < session.open_ns)],
                groups_of(own[(ts >= session.open_ns) & (ts < session.close_ns)])[0],
            )


def test_the_preopen_book_crosses_by_adds_and_cancels_alone(small_market: SmallMarket) -> None:
    for early, _ in openings(small_market):
        assert set(early["action"].tolist()) <= {b"A", b"C", b"R"}
        assert any(crossed(row) for row in early)


def test_the_open_is_a_print_without_aggressor_that_uncrosses_both_sides(small_market: SmallMarket) -> None:
    for _, group in openings(small_market):
        first = group[0]
        price = int(first["price"])
        assert (first["action"], first["side"], first["flags"]) == (b"T", b"N", 0)
        removed: Counter[str] = Counter()
        for before, row in pairwise(group):
            change = change_of(row)
            old = {level: size for level, size, _ in ladders(before)[change.side]}
            new = {level: size for level, size, _ in ladders(row)[change.side]}
            removed[change.side] += old[change.price] - new.get(change.price, 0)
            assert change.price >= price if change.side == "B" else change.price <= price
        assert removed == {"B": int(first["size"]), "A": int(first["size"])}
        after = ladders(group[-1])
        assert not crossed(group[-1])
        assert all(level[0] <= price for level in after["B"][:1]), (
            "a bid above the opening price was left unmatched"
        )
        assert all(level[0] >= price for level in after["A"][:1]), (
            "an ask below the opening price was left unmatched"
        )


def test_nothing_happens_outside_trading_and_order_entry(small_market: SmallMarket) -> None:
    for records in (small_market.book, small_market.trades):
        ts = records["ts_event"].astype(np.int64)
        early = np.any([(ts >= s.open_ns - PREOPEN_NS) & (ts < s.open_ns) for s in sessions()], axis=0)
        assert (in_trading_hours(ts) | early).all()
    assert in_trading_hours(small_market.trades["ts_event"]).all()
    juneteenth = cme.session(dt.date(2024, 6, 19))
    assert juneteenth.close_ns == cme.et_ns(dt.date(2024, 6, 19), dt.time(13, 0))


def test_the_feed_is_in_order(small_market: SmallMarket) -> None:
    book = small_market.book
    assert (np.diff(book["sequence"].astype(np.int64)) == 1).all()
    assert (np.diff(book["ts_event"].astype(np.int64)) >= 0).all()
    assert (np.diff(book["ts_recv"].astype(np.int64)) >= 0).all()
    assert (book["ts_recv"] > book["ts_event"]).all()
    assert book["ts_in_delta"].min() >= 10_000
    assert book["ts_in_delta"].max() < 20_000


def test_books_are_cleared_at_the_start_of_the_week_only(small_market: SmallMarket) -> None:
    clears = small_market.book[small_market.book["action"] == b"R"]
    monday = cme.session(dt.date(2024, 6, 17))
    assert set(clears["ts_event"].tolist()) == {monday.open_ns - PREOPEN_NS}
    assert {small_market.symbols[i] for i in clears["instrument_id"].tolist()} == {
        "ESM4",
        "ESU4",
        "ESM4-ESU4",
        "NQU4",
    }


def test_snapshots_open_each_day_file_whose_books_are_alive(small_market: SmallMarket) -> None:
    snapshots = small_market.book[small_market.book["flags"] & F_SNAPSHOT != 0]
    midnights = {ts for ts in snapshots["ts_event"].tolist() if ts % (86_400 * NANOS) == 0}
    assert len(midnights) == len(sessions())
    at_start = cme.session(DEFAULT_START).open_ns - PREOPEN_NS
    assert set(snapshots["ts_event"].tolist()) == midnights | {at_start}
    assert set(Counter(snapshots["ts_event"].tolist()).values()) == {4}


def test_levels_are_undefined_in_thin_moments(small_market: SmallMarket) -> None:
    sunday = small_market.of("ESU4")
    sunday = sunday[sunday["ts_event"] < cme.session(dt.date(2024, 6, 17)).open_ns]
    assert (sunday["bid_px_09"] == UNDEF_PRICE).any()
    assert (sunday["bid_sz_09"][sunday["bid_px_09"] == UNDEF_PRICE] == 0).all()


def test_the_front_spread_is_a_tick_nearly_always_in_regular_hours(small_market: SmallMarket) -> None:
    session = cme.session(dt.date(2024, 6, 18))
    front = small_market.of("ESU4")
    rth = front[(front["ts_event"] >= session.rth_open_ns) & (front["ts_event"] < session.rth_close_ns)]
    held = np.diff(rth["ts_event"].astype(np.int64))
    is_tick = (rth["ask_px_00"] - rth["bid_px_00"] == 250_000_000)[:-1]
    assert held[is_tick].sum() / held.sum() > 0.98


def test_regular_hours_are_busier_than_the_night_and_their_ends_than_noon(small_market: SmallMarket) -> None:
    session = cme.session(dt.date(2024, 6, 18))
    front = small_market.of("ESU4")["ts_event"].astype(np.int64)

    def rate(hour: int, minute: int, minutes: int) -> float:
        start = cme.et_ns(session.trade_date, dt.time(hour, minute))
        return float(((front >= start) & (front < start + minutes * 60 * NANOS)).sum()) / minutes

    night, opening, noon, close = rate(0, 0, 120), rate(9, 30, 30), rate(12, 15, 60), rate(15, 30, 30)
    assert opening > 1.5 * noon
    assert close > 1.2 * noon
    assert noon > 3 * night


def test_the_default_market_trades_every_minute_of_regular_hours_and_meets_its_premarket_levels(
    tmp_path: Path,
) -> None:
    trades = read_all(write_sample(tmp_path), "trades")
    ids = {entry.instrument.raw_symbol: entry.instrument.instrument_id for entry in listings(DEFAULT_START)}
    touched = 0
    for session in sessions():
        if session.rth_open_ns is None or session.rth_close_ns is None:
            continue
        leader = ids["ESM4" if session.trade_date < dt.date(2024, 6, 17) else "ESU4"]
        own = trades[trades["instrument_id"] == leader]
        ts, price = own["ts_event"].astype(np.int64), own["price"]
        rth = (ts >= session.rth_open_ns) & (ts < session.rth_close_ns)
        assert np.diff(ts[rth]).max() < 60 * NANOS
        morning = (ts >= cme.et_ns(session.trade_date, dt.time(4, 0))) & (ts < session.rth_open_ns)
        for level in (price[morning].min(), price[morning].max()):
            touched += int((price[rth] <= level).any() and (price[rth] >= level).any())
    assert touched >= 3
