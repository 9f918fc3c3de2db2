from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import databento as db
import numpy as np
import pytest
import zstandard

from footprint_assets import calendar as cme
from footprint_assets.sample import (
    DEFAULT_END,
    DEFAULT_SEED,
    DEFAULT_START,
    SampleRequestRefused,
    market,
    write_sample,
)
from footprint_assets.sample.schedule import preopen_ns
from footprint_assets.settings import IngestSettings
from footprint_assets.sources import dbn as strict
from footprint_assets_tests.sample.conftest import SmallMarket
from footprint_assets_tests.sample.market_files import day_of, read, read_all, schema_of, symbols_of

ROLL = dt.date(2024, 6, 17)
SCHEMAS = {"mbp-10", "trades", "definition", "statistics"}
ONE_DAY = dt.date(2024, 6, 18)


def test_every_touched_utc_day_has_one_file_a_schema(small_market: SmallMarket) -> None:
    days = {day_of(path) for path in small_market.paths}
    assert days == {f"202406{day}" for day in (13, 14, 16, 17, 18, 19, 20)}
    assert Counter(schema_of(path) for path in small_market.paths) == dict.fromkeys(SCHEMAS, len(days))
    assert small_market.paths == sorted(small_market.paths)
    folder = small_market.paths[0].parent
    assert sorted(folder.iterdir()) == small_market.paths, "a partial file was left behind"


def test_metadata_covers_the_utc_day_as_far_as_the_market_was_recorded(small_market: SmallMarket) -> None:
    recorded = (preopen_ns(cme.session(DEFAULT_START)), cme.session(DEFAULT_END).window_ns[1])
    for path in small_market.paths:
        metadata = db.DBNStore.from_file(path).metadata
        day = dt.datetime.strptime(day_of(path), "%Y%m%d").replace(tzinfo=dt.UTC)
        start = int(day.timestamp()) * 10**9
        assert (metadata.version, metadata.dataset, metadata.schema) == (3, "GLBX.MDP3", schema_of(path))
        assert (str(metadata.stype_in), str(metadata.stype_out)) == ("parent", "instrument_id")
        first, last = (0, 2**63) if schema_of(path) in ("definition", "statistics") else recorded
        assert (metadata.start, metadata.end) == (max(start, first), min(start + 86_400 * 10**9, last))
        assert metadata.symbols == ["ES.FUT", "NQ.FUT"]
        for intervals in metadata.mappings.values():
            assert [(i["start_date"], i["end_date"]) for i in intervals] == [
                (day.date(), day.date() + dt.timedelta(days=1))
            ]


def test_records_lie_in_their_day_and_every_instrument_is_mapped(small_market: SmallMarket) -> None:
    for path in small_market.paths:
        metadata, records = db.DBNStore.from_file(path).metadata, read(path)
        assert records.size, path.name
        assert set(records["instrument_id"].tolist()) <= set(symbols_of(path))
        for column in ("ts_event", "ts_recv"):
            assert records[column].min() >= metadata.start
            assert records[column].max() < metadata.end


def test_frames_carry_a_checksum(small_market: SmallMarket) -> None:
    for path in small_market.paths:
        assert zstandard.get_frame_parameters(path.read_bytes()[:32]).has_checksum


def test_the_strict_reader_of_the_project_accepts_every_record(small_market: SmallMarket) -> None:
    settings = IngestSettings(require_frame_checksum=True)
    for path in small_market.paths:
        verdict = strict.verify(path, settings)
        assert verdict.status == "accepted", verdict
        assert verdict.totals is not None
        assert verdict.totals.yielded == len(read(path))
        assert verdict.totals.frames_without_checksum == 0


def test_the_same_arguments_give_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    runs = {}
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        paths = write_sample(tmp_path / name, ONE_DAY, ONE_DAY, 1_000, seed)
        runs[name] = {path.name: path.read_bytes() for path in paths}
    assert runs["first"] == runs["again"]
    changed = {name for name in runs["first"] if runs["first"][name] != runs["other"][name]}
    assert {name.split(".")[1] for name in changed} == SCHEMAS - {"definition"}


def test_the_records_do_not_depend_on_the_size_of_the_buffer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_sample(tmp_path / "whole", ONE_DAY, ONE_DAY, 1_000, 3)
    monkeypatch.setattr(market, "CHUNK_RECORDS", 150)
    pieces = write_sample(tmp_path / "pieces", ONE_DAY, ONE_DAY, 1_000, 3)
    for schema in sorted(SCHEMAS):
        assert read_all(whole, schema).tobytes() == read_all(pieces, schema).tobytes()


def test_the_front_contract_has_the_records_that_were_asked_for(tmp_path: Path) -> None:
    paths = write_sample(tmp_path, ONE_DAY, ONE_DAY, 2_000, 4)
    book = read_all(paths, "mbp-10")
    session = cme.session(ONE_DAY)
    in_hours = (book["ts_event"] >= session.open_ns) & (book["ts_event"] < session.close_ns)
    names = {symbol: instrument_id for instrument_id, symbol in symbols_of(paths[0]).items()}
    count = {s: int((in_hours & (book["instrument_id"] == i)).sum()) for s, i in names.items()}
    assert abs(count["ESU4"] - 2_000) <= 30
    assert 0.15 < count["ESM4"] / 2_000 < 0.27
    assert 0.27 < count["NQU4"] / 2_000 < 0.33


def test_the_default_span_holds_a_roll_and_a_holiday_session() -> None:
    dates = cme.sessions(DEFAULT_START, DEFAULT_END)
    assert 4 <= len(dates) <= 6
    assert dates[0] < ROLL <= dates[-1]
    juneteenth = cme.session(dt.date(2024, 6, 19))
    assert juneteenth.trade_date in dates
    assert juneteenth.rth_open_ns is None
    assert juneteenth.is_early_close


def test_volume_rolls_from_the_june_to_the_september_contract(small_market: SmallMarket) -> None:
    leaders = {}
    for date in cme.sessions(DEFAULT_START, DEFAULT_END):
        start, end = cme.session(date).window_ns
        trades = small_market.trades
        trades = trades[(trades["ts_event"] >= start) & (trades["ts_event"] < end)]
        volume: Counter[str] = Counter()
        for instrument_id, size in zip(
            trades["instrument_id"].tolist(), trades["size"].tolist(), strict=True
        ):
            symbol = small_market.symbols[instrument_id]
            if symbol.startswith("ES") and "-" not in symbol:
                volume[symbol] += size
        assert set(volume) == {"ESM4", "ESU4"}
        leaders[date] = volume.most_common(1)[0][0]
    assert leaders == {date: "ESM4" if date < ROLL else "ESU4" for date in leaders}


def test_definitions_describe_each_instrument_once_a_day(small_market: SmallMarket) -> None:
    for path in [path for path in small_market.paths if schema_of(path) == "definition"]:
        records = read(path)
        assert {int(r["instrument_id"]): r["raw_symbol"].decode() for r in records} == symbols_of(path)
        assert len(records) == len(symbols_of(path))
        for record in records:
            is_spread = b"-" in record["raw_symbol"]
            assert record["instrument_class"] == (b"S" if is_spread else b"F")
            assert record["security_type"] == b"FUT"
            assert (record["exchange"], record["currency"]) == (b"XCME", b"USD")
            assert record["raw_symbol"].startswith(record["asset"])
            assert record["min_price_increment"] == (50_000_000 if is_spread else 250_000_000)
            assert record["expiration"] > record["ts_event"]


def test_the_sdk_reads_definitions_and_statistics_as_frames(small_market: SmallMarket) -> None:
    for path in [path for path in small_market.paths if schema_of(path) in ("definition", "statistics")]:
        assert len(db.DBNStore.from_file(path).to_df()) == len(read(path))


def test_statistics_agree_with_the_trades_of_their_session(small_market: SmallMarket) -> None:
    statistics = read_all(small_market.paths, "statistics")
    for date in cme.sessions(DEFAULT_START, DEFAULT_END):
        session = cme.session(date)
        ts_ref = int(dt.datetime(date.year, date.month, date.day, tzinfo=dt.UTC).timestamp()) * 10**9
        for instrument_id, symbol in small_market.symbols.items():
            own = statistics[
                (statistics["ts_ref"] == ts_ref) & (statistics["instrument_id"] == instrument_id)
            ]
            if not own.size:
                continue
            trades = small_market.trades
            trades = trades[
                (trades["instrument_id"] == instrument_id)
                & (trades["ts_event"] >= session.open_ns)
                & (trades["ts_event"] < session.close_ns)
            ]
            price = {int(record["stat_type"]): int(record["price"]) for record in own}
            quantity = {int(record["stat_type"]): int(record["quantity"]) for record in own}
            assert quantity[6] == trades["size"].sum(), (date, symbol)
            if trades.size:
                assert (price[5], price[4]) == (trades["price"].max(), trades["price"].min())
                assert price[4] <= price[3] <= price[5]
            if 1 in price:
                assert price[1] == trades["price"][0]
            settled = own[own["stat_type"] == 3]["ts_event"][0]
            assert 0 < int(settled) - session.close_ns <= 40 * 60 * 10**9


def test_a_spread_may_trade_at_negative_prices(tmp_path: Path) -> None:
    paths = write_sample(tmp_path, ROLL, ROLL, 3_000, 5, carry_points=-12.0)
    symbols = {symbol: i for i, symbol in symbols_of(paths[-1]).items()}
    trades = read_all(paths, "trades")
    spread = trades[trades["instrument_id"] == symbols["ESM4-ESU4"]]
    assert spread.size
    assert (spread["price"] < 0).all()
    assert (spread["price"] % 50_000_000 == 0).all()


def test_an_expiring_contract_stops_at_half_past_nine_and_the_next_pair_follows(tmp_path: Path) -> None:
    paths = write_sample(tmp_path, dt.date(2024, 6, 21), dt.date(2024, 6, 24), 20_000, 6)
    book = read_all(paths, "mbp-10")
    symbols = {symbol: i for path in paths for i, symbol in symbols_of(path).items()}
    last = int(book[book["instrument_id"] == symbols["ESM4"]]["ts_event"].max())
    expiry = cme.et_ns(dt.date(2024, 6, 21), dt.time(9, 30))
    assert expiry - 30 * 60 * 10**9 < last < expiry
    later = book[book["ts_event"] > cme.session(dt.date(2024, 6, 24)).open_ns]
    assert {symbols["ESU4"], symbols["ESZ4"]} <= set(later["instrument_id"].tolist())
    assert symbols["ESM4"] not in later["instrument_id"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2023-12-21", "2023-12-27"),
        ("2024-11-27", "2024-12-02"),
        ("2023-04-06", "2023-04-10"),
        ("2024-03-08", "2024-03-12"),
        ("2012-11-15", "2012-11-20"),
    ],
    ids=["Christmas", "Thanksgiving", "short Good Friday", "clock change", "close at 17:30"],
)
def test_unusual_weeks_keep_to_the_calendar(tmp_path: Path, start: str, end: str) -> None:
    first, last = dt.date.fromisoformat(start), dt.date.fromisoformat(end)
    paths = write_sample(tmp_path, first, last, 1_000, 7)
    sessions = [cme.session(date) for date in cme.sessions(first, last)]
    assert {day_of(path) for path in paths} == {
        day.strftime("%Y%m%d") for session in sessions for day in utc_days_of(session)
    }
    for path in paths:
        records, metadata = read(path), db.DBNStore.from_file(path).metadata
        assert records["ts_recv"].min() >= metadata.start
        assert records["ts_recv"].max() < metadata.end
        assert (np.diff(records["ts_recv"].astype(np.int64)) >= 0).all()
    ts = read_all(paths, "trades")["ts_event"]
    by_session = [int(((ts >= s.open_ns) & (ts < s.close_ns)).sum()) for s in sessions]
    assert sum(by_session) == len(ts)
    assert min(by_session) > 10


def utc_days_of(session: cme.Session) -> set[dt.date]:
    instants = (session.open_ns - 15 * 60 * 10**9, session.close_ns + 35 * 60 * 10**9)
    return {dt.datetime.fromtimestamp(ts // 10**9, tz=dt.UTC).date() for ts in instants}


@pytest.mark.parametrize("roots", [("ES",), ("NQ",)], ids=lambda roots: roots[0])
def test_a_market_of_one_root_holds_no_other_and_goes_on_past_an_expiry(
    tmp_path: Path, roots: tuple[str, ...]
) -> None:
    paths = write_sample(tmp_path, dt.date(2024, 6, 21), dt.date(2024, 6, 24), 1_000, 6, roots=roots)
    named = {symbol for path in paths for symbol in symbols_of(path).values()}
    assert named
    assert {symbol[:2] for symbol in named} == set(roots)


def test_progress_is_told_after_each_session(tmp_path: Path) -> None:
    seen: list[tuple[dt.date, int, int]] = []
    write_sample(tmp_path, ONE_DAY, dt.date(2024, 6, 20), 400, progress=lambda *told: seen.append(told))
    assert seen == [(dt.date(2024, 6, 18 + k), k + 1, 3) for k in range(3)]


def test_a_run_that_fails_leaves_no_partial_file(tmp_path: Path) -> None:
    def fail(date: dt.date, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path, ONE_DAY, ONE_DAY, 400, DEFAULT_SEED, progress=fail)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("start", "end", "records", "seed"),
    [
        (dt.date(2024, 6, 15), dt.date(2024, 6, 16), 1_000, 0),
        (ONE_DAY, ONE_DAY - dt.timedelta(days=3), 1_000, 0),
        (ONE_DAY, ONE_DAY, 399, 0),
        (ONE_DAY, ONE_DAY, 1_000, -1),
    ],
    ids=["weekend", "reversed", "too few records", "negative seed"],
)
def test_a_sample_that_cannot_be_made_is_refused(
    tmp_path: Path, start: dt.date, end: dt.date, records: int, seed: int
) -> None:
    with pytest.raises(SampleRequestRefused):
        write_sample(tmp_path, start, end, records, seed)


@pytest.mark.parametrize("roots", [(), ("ES", "CL")])
def test_a_root_the_sample_does_not_have_is_refused(tmp_path: Path, roots: tuple[str, ...]) -> None:
    with pytest.raises(SampleRequestRefused, match="roots"):
        write_sample(tmp_path, ONE_DAY, ONE_DAY, 400, roots=roots)


def test_trades_files_hold_exactly_the_trade_records_of_the_book_files(small_market: SmallMarket) -> None:
    columns = [name for name in small_market.trades.dtype.names or () if name not in ("length", "rtype")]
    from_book = small_market.book[small_market.book["action"] == b"T"]
    assert len(from_book) == len(small_market.trades) > 500
    for column in columns:
        np.testing.assert_array_equal(from_book[column], small_market.trades[column])
    assert set(small_market.trades["rtype"].tolist()) == {0}
