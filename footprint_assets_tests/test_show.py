"""Looking into tables and files: the rows asked for, in points, with units, nothing cut off."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from footprint_assets import show
from footprint_assets.calendar import MarketClosed
from footprint_assets.lake import Lake
from footprint_assets.settings import Settings
from footprint_assets_tests.small_market import DAY, NEXT, settings_of

BOOK = "bronze.future.market_by_price_10"
TRADES = "silver.future.trades_clean"
GOOD_FRIDAY = dt.date(2025, 4, 18)


@pytest.fixture
def settings(built_market: Settings) -> Settings:
    return built_market


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake_root)


def in_batches(frame: pl.DataFrame, rows: int) -> show.Source:
    def batches() -> Iterator[pl.DataFrame]:
        yield frame.head(0)
        yield from frame.iter_slices(rows)

    return show.Source("rows", frame.height, {}, batches())


def test_book_prices_are_shown_in_points(settings: Settings, lake: Lake) -> None:
    source = show.open_source(settings, BOOK, DAY, "ESM5")
    shown = show.first_rows(source, 3)
    with lake.read(BOOK, DAY, "ESM5") as partition:
        stored = partition.frame()
    assert stored.schema["bid_px_00"] == pl.Int64
    assert shown["bid_px_00"].to_list() == [
        None if price is None else price / 1e9 for price in stored["bid_px_00"].head(3)
    ]
    headings, lines = show.cells(shown, source.units)
    assert headings == ["column", "row 1", "row 2", "row 3"]
    assert "bid_px_00 [pts]" in {line[0] for line in lines}
    assert len(lines) == len(stored.columns)


def test_the_newest_trade_date_and_all_contracts_are_shown_where_none_is_named(settings: Settings) -> None:
    source = show.open_source(settings, TRADES, None, None)
    assert source.name == f"{TRADES} {NEXT} ESM5, NQM5"
    rows = show.last_rows(source, source.rows)
    assert rows.height == source.rows
    assert rows["session_date"].unique().to_list() == [NEXT]
    assert rows["symbol"].unique().sort().to_list() == ["ESM5", "NQM5"]


@pytest.mark.parametrize("batch_rows", [1, 3, 4, 100])
@pytest.mark.parametrize("count", [1, 4, 10, 50])
def test_first_and_last_rows_do_not_depend_on_the_batches(batch_rows: int, count: int) -> None:
    frame = pl.DataFrame({"value": range(10)})
    assert show.first_rows(in_batches(frame, batch_rows), count).equals(frame.head(count))
    assert show.last_rows(in_batches(frame, batch_rows), count).equals(frame.tail(count))


def test_a_table_without_rows_shows_its_columns() -> None:
    frame = pl.DataFrame(schema={"price": pl.Float64})
    for rows in (show.first_rows(in_batches(frame, 1)), show.last_rows(in_batches(frame, 1))):
        assert show.cells(rows, {"price": "pts"}) == (["price [pts]"], [])


def test_a_parquet_file_of_the_lake_shows_what_the_table_shows(settings: Settings, lake: Lake) -> None:
    (file,) = lake.layout.partition(BOOK, DAY, "ESM5").glob("part-00000.parquet")
    of_file = show.open_source(settings, str(file), None, None)
    of_table = show.open_source(settings, BOOK, DAY, "ESM5")
    columns = ["ts_event", "price", "bid_px_00", "ask_px_09", "bid_sz_00"]
    assert show.first_rows(of_file).select(columns).equals(show.first_rows(of_table).select(columns))
    assert of_file.units == of_table.units


def test_instants_keep_their_nanoseconds_and_nulls_are_said() -> None:
    instant = pl.Series("ts", [1_717_500_000_123_456_789], pl.Int64).cast(pl.Datetime("ns", "UTC"))
    _, (row,) = show.cells(pl.DataFrame([instant, pl.Series("bid_px", [None], pl.Float64)]), {})
    assert row == ["2024-06-04 11:20:00.123456789+00:00", "null"]


@pytest.mark.parametrize("table", [TRADES, BOOK])
def test_the_schema_of_a_file_names_the_columns_and_units_of_its_contract(
    table: str, settings: Settings, lake: Lake
) -> None:
    (file,) = lake.layout.partition(table, DAY, "ESM5").glob("part-00000.parquet")
    of_table, of_file = show.describe_schema(table), show.describe_schema(str(file))
    for column in (0, 2, 3, 4):  # Arrow and the contract spell types differently
        assert [line[column] for line in of_file] == [line[column] for line in of_table]


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("silver.future.trades_cleen", "silver.future.trades_clean"),
        ("trades_clean", "silver.future.trades_clean"),
        ("footprint_bar", "silver.future.footprint_bar"),
        ("bronze.future.book", "bronze.future"),
    ],
)
def test_an_unknown_table_suggests_near_names(settings: Settings, asked: str, near: str) -> None:
    with pytest.raises(show.NothingToShow) as caught:
        show.open_source(settings, asked, None, None)
    assert near in str(caught.value.remedy)


def test_what_does_not_exist_is_said_with_what_does(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(MarketClosed, match="Good Friday"):
        show.open_source(settings, TRADES, GOOD_FRIDAY, None)
    with pytest.raises(show.NothingToShow, match="run --date 2025-06-06"):
        show.open_source(settings, TRADES, dt.date(2025, 6, 6), None)
    with pytest.raises(show.NothingToShow, match="learn --start 2025-06 --end 2025-06"):
        show.open_source(
            settings, "ml.future.training_set", dt.date(2025, 6, 8), None
        )  # a Sunday is a day of a month
    with pytest.raises(show.NothingToShow, match="learn --start 2025-06 --end 2025-06"):
        show.open_source(
            settings, "ml.future.training_set", dt.date(2025, 6, 8), None
        )  # any day of the month
    with pytest.raises(show.NothingToShow, match="ESM5, NQM5"):
        show.open_source(settings, TRADES, DAY, "CLZ5")
    with pytest.raises(show.NothingToShow, match="not published"):
        show.open_source(settings_of(tmp_path), TRADES, None, None)
    with pytest.raises(show.NothingToShow, match=r"absent\.parquet"):
        show.open_source(settings, str(tmp_path / "absent.parquet"), None, None)
    (tmp_path / "text.parquet").write_text("no Parquet file")
    with pytest.raises(show.NothingToShow, match="cannot be read"):
        show.describe_schema(str(tmp_path / "text.parquet"))


def test_a_plotted_column_is_the_one_named_with_the_rows_named(settings: Settings, lake: Lake) -> None:
    table = "silver.future.footprint_bar"
    source = show.open_source(settings, table, DAY, "ESM5")
    values = show.column_of(source, "delta", {"bar_type": "time_1m"})
    with lake.read(table, DAY, "ESM5") as partition:
        bars = partition.frame()
    assert values.len() > 1
    assert values.to_list() == bars.filter(pl.col("bar_type").cast(str) == "time_1m")["delta"].to_list()


def test_a_column_that_cannot_be_plotted_is_refused(settings: Settings) -> None:
    for column, match in (
        ("symbol", "no numbers"),
        ("prise", "did you mean price"),
        ("ts_event", "no numbers"),
    ):
        with pytest.raises(show.NothingToShow, match=match):
            show.column_of(show.open_source(settings, TRADES, DAY, "ESM5"), column, {})
    with pytest.raises(show.NothingToShow, match="'bartype'"):
        show.column_of(show.open_source(settings, TRADES, DAY, "ESM5"), "price", {"bartype": "x"})


def test_a_plot_rises_where_the_values_rise() -> None:
    lines = show.plot(pl.Series("price", [float(value) for value in range(1000)])).splitlines()
    assert lines[0] == "price  994.5"
    assert lines[-1] == "4.5  (1000 values)"
    drawn = lines[1:-1]
    assert len(drawn) == show.PLOT_HEIGHT
    heights = [sum(show.BLOCKS.index(line[column]) for line in drawn) for column in range(show.PLOT_WIDTH)]
    assert heights == sorted(heights)
    assert heights[0] == 0
    assert heights[-1] == show.PLOT_HEIGHT * (len(show.BLOCKS) - 1)


@pytest.mark.parametrize("values", [[], [5.0], [5.0, 5.0]])
def test_a_plot_of_few_or_equal_values_is_drawn(values: list[float]) -> None:
    text = show.plot(pl.Series("price", values, pl.Float64))
    assert text.startswith("price")
    assert (f"({len(values)} values)" in text) == bool(values)
