"""Which symbol an id had on a day, and what a symbol names."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from footprint_assets.sources.dbn import DbnReader, LiveMapping, read_header
from footprint_assets.sources.instruments import (
    InstrumentConflict,
    InstrumentMap,
    Option,
    Other,
    Outright,
    Spread,
    parse_symbol,
)
from footprint_assets_tests.sources.dbn_files import (
    DAY,
    DAY_NS,
    ESM4,
    ESU4,
    INGEST,
    START,
    metadata,
    records,
    write,
)

TOMORROW = DAY + dt.timedelta(1)


@pytest.mark.parametrize(
    ("symbol", "asof", "expected"),
    [
        ("ESH4", dt.date(2024, 1, 2), Outright("ES", 2024, 3)),
        ("ESH4", dt.date(2024, 3, 20), Outright("ES", 2024, 3)),
        ("ESH4", dt.date(2024, 5, 2), Outright("ES", 2034, 3)),
        ("ESH4", dt.date(2014, 1, 2), Outright("ES", 2014, 3)),
        ("ESZ4", dt.date(2025, 1, 3), Outright("ES", 2024, 12)),
        ("ESZ5", dt.date(2024, 12, 31), Outright("ES", 2025, 12)),
        ("ESZ25", dt.date(2024, 6, 10), Outright("ES", 2025, 12)),
        ("NQM0", dt.date(2019, 12, 1), Outright("NQ", 2020, 6)),
        ("6EH4", dt.date(2024, 1, 2), Outright("6E", 2024, 3)),
        ("M2KZ4", dt.date(2024, 1, 2), Outright("M2K", 2024, 12)),
        (
            "ESH4-ESM4",
            dt.date(2024, 1, 2),
            Spread((Outright("ES", 2024, 3), Outright("ES", 2024, 6)), user_defined=False),
        ),
        ("UD:1V: VT 2830794", dt.date(2023, 8, 29), Spread((), user_defined=True)),
        ("SR3:BF H4-M4-U4", dt.date(2024, 1, 2), Spread((), user_defined=False)),
        ("ESM4 P5230", dt.date(2024, 5, 9), Option(Outright("ES", 2024, 6), "P", 5230)),
        ("ESU3 C0900", dt.date(2023, 8, 1), Option(Outright("ES", 2023, 9), "C", 900)),
        ("ES.FUT", dt.date(2024, 1, 2), Other("ES.FUT")),
        ("ES", dt.date(2024, 1, 2), Other("ES")),
        ("MSFT", dt.date(2024, 1, 2), Other("MSFT")),
    ],
)
def test_the_form_of_a_symbol_says_what_it_names(symbol: str, asof: dt.date, expected: object) -> None:
    assert parse_symbol(symbol, asof) == expected


def test_the_class_of_a_definition_wins_over_the_form_of_the_symbol() -> None:
    assert parse_symbol("ESH4", DAY, "S") == Spread((), user_defined=False)
    assert parse_symbol("ESH4-ESM4", DAY, "F") == Other("ESH4-ESM4")
    assert parse_symbol("ESU4", DAY, "F") == Outright("ES", 2024, 9)
    assert parse_symbol("ESU4", DAY, "K") == Other("ESU4")


def test_an_id_means_different_contracts_on_different_days(tmp_path: Path) -> None:
    spans = ((DAY, TOMORROW, "5602"),)
    later = ((TOMORROW, TOMORROW + dt.timedelta(5), "5602"),)
    header = read_header(write(tmp_path, metadata(mappings=[("ESM4", spans), ("ESU4", later)])), INGEST)
    instruments = InstrumentMap.of(header)
    assert instruments.symbol(ESM4, DAY) == "ESM4"
    assert instruments.symbol(ESM4, TOMORROW) == "ESU4"
    assert instruments.symbol(ESM4, DAY - dt.timedelta(1)) is None
    assert instruments.instrument_ids("ESU4", [DAY]) == frozenset()
    assert instruments.instrument_ids("ESU4", [DAY, TOMORROW]) == {ESM4}
    with pytest.raises(InstrumentConflict, match="within a trade date"):
        instruments.outrights("ES", [DAY, TOMORROW])


def test_outrights_of_a_root_leave_out_spreads_and_other_roots(tmp_path: Path) -> None:
    names = {"ESM4": 1, "ESU4": 2, "ESM4-ESU4": 3, "NQM4": 4, "UD:1V: VT 2830794": 5}
    mappings = [(name, ((DAY, TOMORROW, str(number)),)) for name, number in names.items()]
    header = read_header(write(tmp_path, metadata(mappings=mappings)), INGEST)
    assert InstrumentMap.of(header).outrights("ES", [DAY]) == {1: "ESM4", 2: "ESU4"}


def test_a_definition_names_an_id_until_its_expiration() -> None:
    instruments = InstrumentMap().add_definitions(records("definition", 1))
    assert instruments.symbol(ESM4, DAY - dt.timedelta(1)) is None
    assert instruments.symbol(ESM4, DAY + dt.timedelta(11)) == "ESM4"
    assert instruments.symbol(ESM4, DAY + dt.timedelta(12)) is None
    assert instruments.instrument(ESM4, DAY) == Outright("ES", 2024, 6)


def test_the_newest_definition_counts() -> None:
    rows = records("definition", 2)
    rows["ts_recv"][1] = START + 2 * DAY_NS
    rows["raw_symbol"][1] = b"ESU4"
    instruments = InstrumentMap().add_definitions(rows)
    assert instruments.symbol(ESM4, TOMORROW) == "ESM4"
    assert instruments.symbol(ESM4, TOMORROW + dt.timedelta(1)) == "ESU4"


def test_a_mapping_and_a_definition_that_disagree_are_an_error(tmp_path: Path) -> None:
    rows = records("definition", 1)
    rows["raw_symbol"] = b"ESU4"
    instruments = InstrumentMap.of(read_header(write(tmp_path, metadata()), INGEST)).add_definitions(rows)
    with pytest.raises(InstrumentConflict, match="by definition"):
        instruments.symbol(ESM4, DAY)


def test_files_that_disagree_on_a_day_are_an_error(tmp_path: Path) -> None:
    one = read_header(write(tmp_path, metadata()), INGEST)
    two = read_header(write(tmp_path, metadata(mappings=[("ESZ4", ((DAY, TOMORROW, "5602"),))])), INGEST)
    instruments = InstrumentMap.of(one).add_header(one)
    assert instruments.symbol(ESM4, DAY) == "ESM4"
    with pytest.raises(InstrumentConflict, match="is mapped to"):
        instruments.add_header(two).symbol(ESM4, DAY)


def test_mapping_messages_of_a_live_recording_count_like_a_header() -> None:
    live = [LiveMapping(ESM4, "ESM4", None, None), LiveMapping(ESU4, "ESU4", START, START + DAY_NS)]
    instruments = InstrumentMap().add_live(live)
    assert instruments.symbol(ESM4, dt.date(2030, 1, 1)) == "ESM4"
    assert instruments.symbol(ESU4, DAY) == "ESU4"
    assert instruments.symbol(ESU4, TOMORROW) is None


@pytest.mark.realdata
def test_fifteen_years_of_es_and_nq_resolve_to_one_symbol_a_day(real_data: Path) -> None:
    path = real_data / "dbn" / "glbx-mdp3-20100606-20250924.ohlcv-1d.dbn.zst"
    roots, spreads = set(), 0
    with DbnReader(path, INGEST) as reader:
        instruments = InstrumentMap.of(reader.header)
        for chunk in reader.chunks("ohlcv-1d"):
            days = chunk.records["ts_event"].astype("datetime64[ns]").astype("datetime64[D]").tolist()
            for number, day in set(zip(chunk.records["instrument_id"].tolist(), days, strict=True)):
                instrument = instruments.instrument(number, day)
                if isinstance(instrument, Outright):
                    roots.add(instrument.root)
                    assert dt.date(instrument.year, instrument.month, 28) >= day - dt.timedelta(14)
                else:
                    assert isinstance(instrument, Spread)
                    spreads += 1
    assert roots == {"ES", "NQ"}
    assert spreads > 1_000
