"""Every path of the lake is built from checked components and stays under its root."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint_assets.lake import InvalidPath, Lake
from footprint_assets.lake.layout import Layout, TableKey, part_name, part_number
from footprint_assets_tests.lake.support import DAY, LINEAGE, SCHEMA, TABLE

HOSTILE_SYMBOLS = [
    *(
        "",
        " ",
        " ESU5",
        ".",
        "..",
        "...",
        "../etc",
        "../../etc/passwd",
        "/etc/passwd",
        "//host/share",
        "ES/U5",
    ),
    *(
        "ESU5/..",
        "ES..U5",
        "..ESU5",
        "ESU5..",
        "ESU5\\..",
        "C:\\Windows",
        "esu5",
        "éSU5",
        "ESU5é",
        "ΕSU5",
        "ESU５",
    ),
    *(
        "ESU5\n",
        "ESU5\r",
        "ESU5\t",
        "ESU5\x00",
        "ESU5\x00.parquet",
        "\x00",
        "ESU5\x1b[2J",
        "ESU5\u202e",
        "\ufeffESU5",
    ),
    *(
        "ESU5;rm -rf ~",
        "ESU5$(id)",
        "ESU5`id`",
        "ESU5|id",
        "ESU5&id",
        "ESU5>x",
        "ESU5*",
        "ES?5",
        "ES[U]5",
        "{ES,NQ}",
    ),
    *(
        "ESU5'",
        'ESU5"',
        "ESU5' OR '1'='1",
        "ESU5%2e%2e%2f",
        "symbol=ESU5",
        "ESU5=",
        "ESU5#",
        "ESU5@x",
        "~ESU5",
        "-ESU5",
    ),
    *("_SUCCESS", ".staging", ".locks", "A" * 72, "A" * 4096, "ESU5,NQU5", "ES+U5", "ES!U5", "ESU5\u2028"),
]


@pytest.mark.parametrize("symbol", HOSTILE_SYMBOLS, ids=[f"hostile {n}" for n in range(len(HOSTILE_SYMBOLS))])
def test_a_hostile_symbol_never_becomes_a_path(tmp_path: Path, symbol: str) -> None:
    lake = Lake(tmp_path / "lake")
    with pytest.raises(InvalidPath):
        lake.layout.partition(TABLE, DAY, symbol)
    with pytest.raises(InvalidPath):
        lake.read(TABLE, DAY, symbol)
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage, pytest.raises(InvalidPath):
        stage.declare(symbol)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake"]
    assert sorted(path.name for path in (tmp_path / "lake").iterdir()) == [".staging"]


@pytest.mark.parametrize(
    "symbol", ["ESU5", "ES", "6EZ5", "ESU5-ESZ5", "ESU5 C6000", "UD:1V: GN 1", "SR3:BF H5.M5", "A" * 71]
)
def test_an_exchange_symbol_keeps_its_spelling(symbol: str) -> None:
    assert Layout(Path("lake")).partition(TABLE, DAY, symbol).parts[-3] == f"symbol={symbol}"


@given(st.text(max_size=80))
def test_any_text_is_refused_or_stays_one_component_under_the_root(symbol: str) -> None:
    layout = Layout(Path("lake"))
    try:
        path = layout.partition(TABLE, DAY, symbol)
    except InvalidPath:
        return
    assert path.relative_to(layout.root).parts == (
        "silver",
        "product_type=future",
        f"symbol={symbol}",
        "table=trades_clean",
        "dt=2025-06-05",
    )


@pytest.mark.parametrize(
    "key",
    [
        "",
        "silver",
        "silver.future",
        "silver.future.a.b",
        "Silver.future.trades",
        "silver.future.Trades",
        "tin.future.trades",
        "silver..trades",
        "silver.future.",
        "silver.future.../x",
        "silver/future/trades",
        "silver.future.trades\n",
        "silver.1.x",
    ],
)
def test_a_malformed_table_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidPath):
        TableKey.parse(key)


@pytest.mark.parametrize(
    "date",
    [
        "",
        "20250605",
        "2025-6-5",
        "2025-06-31",
        "2025-06-05 ",
        "2025-06-05\n",
        "2025-W23-4",
        "../2025-06-05",
        "٢٠٢٥-٠٦-٠٥",
        dt.datetime(2025, 6, 5),
        20250605,
        None,
    ],
)
def test_only_a_date_or_its_iso_form_is_a_trade_date(date: object) -> None:
    with pytest.raises(InvalidPath):
        Layout(Path("lake")).partition(TABLE, date, "ESU5")  # type: ignore[arg-type]


def test_bronze_paths_name_their_source_and_the_other_layers_do_not() -> None:
    layout = Layout(Path("lake"))
    bronze = layout.partition("bronze.future.market_by_price_10", DAY, "ESU5").relative_to(layout.root)
    gold = layout.partition("gold.future.footprint_bars", "2025-06-05", "ESU5").relative_to(layout.root)
    assert bronze.as_posix() == (
        "bronze/source=databento/product_type=future/symbol=ESU5/table=market_by_price_10/dt=2025-06-05"
    )
    assert gold.as_posix() == "gold/product_type=future/symbol=ESU5/table=footprint_bars/dt=2025-06-05"


def test_a_symbolic_link_out_of_the_lake_is_refused_and_not_listed(tmp_path: Path) -> None:
    product = tmp_path / "lake" / "silver" / "product_type=future"
    product.mkdir(parents=True)
    outside = tmp_path / "outside"
    (outside / "table=trades_clean" / "dt=2025-06-05").mkdir(parents=True)
    (product / "symbol=ESU5").symlink_to(outside)
    layout = Layout(tmp_path / "lake")
    with pytest.raises(InvalidPath, match="symbolic link"):
        layout.partition(TABLE, DAY, "ESU5")
    assert layout.symbols(TABLE, DAY) == []


def test_a_part_number_survives_its_file_name() -> None:
    assert part_number(part_name(417)) == 417
    assert part_number("part-1.parquet") is None
    with pytest.raises(InvalidPath):
        part_name(100_000)
