"""The footprint page: window, geometry, escaping and bytes, without a browser."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import html
import json
import random
import re
from importlib.resources import files
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import contracts
from footprint_assets.report import ReportError, choose_window, footprint_page
from footprint_assets.report.page import BAR_COLUMNS, LEVEL_COLUMNS, PRICE_COLUMNS
from footprint_assets_tests.report.frames import NS, SESSION, TICK, FootprintFrames, et_ns, footprint_frames

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028"


@pytest.fixture(scope="module")
def frames() -> FootprintFrames:
    return footprint_frames()


def draw(frames: FootprintFrames, **options: Any) -> str:
    arguments: dict[str, Any] = {"symbol": "ESM4", "session_date": SESSION} | options
    return footprint_page(frames.price, frames.bar, frames.levels, **arguments)


def data_of(page: str) -> dict[str, Any]:
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert block is not None
    data: dict[str, Any] = json.loads(block[1])
    return data


def figures_of(page: str) -> dict[str, str]:
    return dict(re.findall(r"<div><dt>(.*?)</dt><dd[^>]*>(.*?)</dd></div>", page))


def level_rows(page: str) -> dict[str, str]:
    return {level["name"]: level["state"] for level in data_of(page)["levels"]}


def simple_bars(volumes: list[int], bar_type: str = "time_5m") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "bar_type": [bar_type] * len(volumes),
            "bar_id": range(len(volumes)),
            "bar_ts": [10 * k for k in range(len(volumes))],
            "volume": volumes,
        },
        schema_overrides={"volume": pl.Int64, "bar_id": pl.Int64, "bar_ts": pl.Int64},
    )


@pytest.mark.parametrize(
    ("table", "columns"),
    [("footprint_price", PRICE_COLUMNS), ("footprint_bar", BAR_COLUMNS), ("session_levels", LEVEL_COLUMNS)],
)
def test_the_columns_the_page_reads_are_in_the_contracts(table: str, columns: tuple[str, ...]) -> None:
    assert set(columns) <= set(contracts.load(f"silver.future.{table}").polars_schema)


def test_every_level_class_of_the_contract_has_a_colour() -> None:
    classes = contracts.load("silver.future.session_levels").polars_schema["level_class"]
    assert isinstance(classes, pl.Enum)
    folder = files("footprint_assets.report")
    script, style = ((folder / name).read_text(encoding="utf-8") for name in ("chart.js", "page.css"))
    for name in classes.categories:
        assert f'"{name}"' in script
        assert f"--level-{name.lower().replace('_', '-')}: light-dark(" in style


class TestChooseWindow:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(0, 9), min_size=1, max_size=25), st.integers(1, 30))
    def test_no_other_run_of_that_length_is_busier_and_no_earlier_one_is_as_busy(
        self, volumes: list[int], bars: int
    ) -> None:
        window = choose_window(simple_bars(volumes), "time_5m", bars)
        length = min(bars, len(volumes))
        sums = [sum(volumes[k : k + length]) for k in range(len(volumes) - length + 1)]
        first = sums.index(max(sums))
        assert window == (10 * first, 10 * (first + length - 1) + 1)

    def test_the_order_of_the_rows_does_not_matter(self) -> None:
        bars = simple_bars([1, 5, 9, 2, 4])
        assert choose_window(bars.reverse(), "time_5m", 2) == choose_window(bars, "time_5m", 2) == (10, 21)

    def test_bars_of_another_type_are_not_mixed_in(self) -> None:
        bars = pl.concat([simple_bars([1, 2, 3]), simple_bars([900, 1, 1], "tick_2000")])
        assert choose_window(bars, "time_5m", 1) == (20, 21)

    def test_a_table_without_bars_has_no_window(self) -> None:
        assert choose_window(pl.DataFrame(), "time_5m") is None
        assert choose_window(simple_bars([1]), "range_10t") is None

    def test_a_window_of_no_bars_is_refused(self) -> None:
        with pytest.raises(ReportError, match="at least one bar"):
            choose_window(simple_bars([1]), "time_5m", 0)


class TestSelection:
    def test_the_default_window_is_the_busiest_forty_bars(self, frames: FootprintFrames) -> None:
        start, end = choose_window(frames.bar, "time_5m") or (0, 0)
        chosen = frames.bar.filter(pl.col("bar_ts").cast(pl.Int64).is_between(start, end, closed="left"))
        page = draw(frames)
        assert chosen.height == 40
        assert data_of(page)["bars"]["volume"] == chosen["volume"].to_list()
        assert figures_of(page)["Volume"] == f"{chosen['volume'].sum():,}"

    def test_the_window_takes_bars_that_start_in_it_and_excludes_its_end(
        self, frames: FootprintFrames
    ) -> None:
        page = draw(frames, start_ns=et_ns("09:30:00"), end_ns=et_ns("09:45:00"))
        assert data_of(page)["bars"]["label"] == ["09:30", "09:35", "09:40"]

    def test_one_bound_leaves_the_other_side_open(self, frames: FootprintFrames) -> None:
        assert data_of(draw(frames, end_ns=et_ns("08:10:00")))["bars"]["label"] == ["08:00", "08:05"]
        assert data_of(draw(frames, start_ns=et_ns("12:50:00")))["bars"]["label"] == ["12:50", "12:55"]

    def test_other_symbols_dates_and_bar_types_do_not_enter(self, frames: FootprintFrames) -> None:
        alone = draw(frames)
        other_symbol = footprint_frames(5, seed=1, symbol="NQM4")
        other_type = footprint_frames(5, seed=2, bar_type="time_1m")
        other_date = [
            frame.with_columns(session_date=pl.lit(SESSION + dt.timedelta(days=1)))
            for frame in (frames.price, frames.bar, frames.levels)
        ]
        mixed = FootprintFrames(
            pl.concat([other_symbol.price, frames.price, other_type.price, other_date[0]]),
            pl.concat([other_symbol.bar, frames.bar, other_type.bar, other_date[1]]),
            pl.concat([other_symbol.levels, frames.levels, other_date[2]]),
        )
        assert draw(mixed) == alone

    def test_enum_columns_of_the_lake_are_read_like_text(self, frames: FootprintFrames) -> None:
        types = pl.Enum(["time_1m", "time_5m"])
        classes = pl.Enum(sorted(set(frames.levels["level_class"])))
        as_enum = FootprintFrames(
            frames.price.with_columns(pl.col("bar_type").cast(types)),
            frames.bar.with_columns(pl.col("bar_type").cast(types)),
            frames.levels.with_columns(pl.col("level_class").cast(classes)),
        )
        assert draw(as_enum) == draw(frames)

    def test_every_price_row_of_the_window_reaches_the_chart_once(self, frames: FootprintFrames) -> None:
        chart = data_of(draw(frames, start_ns=et_ns("10:00:00"), end_ns=et_ns("10:10:00")))
        expected = frames.price.filter(pl.col("bar_id").is_between(24, 25)).sort("bar_id", "price_tick")
        low = expected["price"].min()
        cells = chart["cells"]
        assert chart["grid"]["low"] == low
        assert [low + TICK * row for row in cells["row"]] == expected["price"].to_list()
        assert [24 + slot for slot in cells["slot"]] == expected["bar_id"].to_list()
        assert cells["bid"] == expected["bid_volume"].to_list()
        assert cells["ask"] == expected["ask_volume"].to_list()
        flags = zip(cells["flags"], expected.iter_rows(named=True), strict=True)
        for bits, row in flags:
            assert bits == (
                row["is_buy_imbalance"]
                + 2 * row["is_sell_imbalance"]
                + 4 * row["is_poc"]
                + 8 * row["is_in_value_area"]
            )

    def test_vwap_on_the_chart_accumulates_from_the_first_bar_of_the_session(
        self, frames: FootprintFrames
    ) -> None:
        chart = data_of(draw(frames, start_ns=et_ns("11:00:00"), end_ns=et_ns("11:05:00")))
        before = frames.price.filter(pl.col("bar_id") <= 36)
        expected = float(np.average(before["price"], weights=before["total_volume"]))
        assert chart["bars"]["vwap"] == [pytest.approx(expected, abs=1e-6)]

    def test_a_pause_between_time_bars_is_marked_and_between_event_bars_is_not(self) -> None:
        for bar_type, expected in (("time_5m", [2]), ("volume_1000", [])):
            frames = footprint_frames(4, bar_type=bar_type)
            without = FootprintFrames(frames.price, frames.bar.filter(pl.col("bar_id") != 2), frames.levels)
            assert data_of(draw(without, bar_type=bar_type))["bars"]["gapBefore"] == expected


class TestHeader:
    def test_figures_are_those_of_the_window(self, frames: FootprintFrames) -> None:
        figures = figures_of(draw(frames, start_ns=et_ns("09:30:00"), end_ns=et_ns("10:30:00")))
        cells = frames.price.filter(pl.col("bar_id").is_between(18, 29))
        volume, delta = int(cells["total_volume"].sum()), int(cells["delta"].sum())
        assert figures["Window, ET"] == "09:30:00 – 10:30:00"
        assert figures["Bars"] == "12"
        assert figures["Volume"] == f"{volume:,}"
        assert figures["Delta"] == f"{delta:+,}"
        assert figures["Delta %"] == f"{100 * delta / volume:+.1f}"
        assert figures["VWAP"] == f"{np.average(cells['price'], weights=cells['total_volume']):.2f}"
        assert figures["High"] == f"{max(cells['price']):.2f}"
        assert figures["Low"] == f"{min(cells['price']):.2f}"
        assert figures["Buy imbalances"] == str(cells["is_buy_imbalance"].sum())

    @pytest.mark.parametrize(
        ("volumes", "poc"),
        [
            ([5, 9, 1], "25.25"),
            ([9, 1, 9, 5, 5], "25.50"),  # a tie goes to the row nearest the midpoint
            ([1, 9, 2, 9, 1], "25.25"),  # still tied: the lower price
        ],
    )
    def test_the_point_of_control_follows_the_cbot_tie_rule(self, volumes: list[int], poc: str) -> None:
        assert figures_of(draw(one_bar(volumes)))["POC"] == poc

    def test_volume_without_an_aggressor_is_shown_and_left_out_of_the_delta_share(self) -> None:
        frames = one_bar([10, 10])
        page = draw(
            FootprintFrames(
                frames.price,
                frames.bar.with_columns(unknown_volume=pl.lit(12, pl.Int64), delta=pl.lit(4, pl.Int64)),
                frames.levels,
            )
        )
        assert figures_of(page)["No aggressor"] == "12"
        assert figures_of(page)["Delta %"] == "+50.0"

    def test_simulated_data_says_so(self, frames: FootprintFrames) -> None:
        assert "Simulated data" in draw(frames, simulated=True)
        assert "Simulated data" not in draw(frames, simulated=False)

    def test_an_evening_window_names_the_calendar_day(self) -> None:
        frames = footprint_frames(2)
        back = pl.col("bar_ts", "bar_end_ts") - pl.duration(hours=14)
        evening = FootprintFrames(frames.price, frames.bar.with_columns(back.cast(NS)), frames.levels)
        assert figures_of(draw(evening))["Window, ET"] == "06-09 18:00:00 – 06-09 18:10:00"


class TestLevels:
    def test_a_level_starts_at_the_instant_it_is_known(self, frames: FootprintFrames) -> None:
        chart = data_of(draw(frames, start_ns=et_ns("09:00:00"), end_ns=et_ns("10:00:00")))
        begins = {level["name"]: level["x"][0] for level in chart["levels"] if level["x"]}
        assert begins["PM_HIGH"] == 5.5  # bars 09:00..09:25 are slots 0..5
        assert begins["OR_HIGH"] == 8.5
        assert begins["PDH"] == -0.5

    def test_a_level_known_inside_a_bar_starts_inside_it(self, frames: FootprintFrames) -> None:
        levels = frames.levels.filter(pl.col("level_name") == "PM_HIGH").with_columns(
            valid_from_ts=pl.lit(et_ns("09:31:00")).cast(NS)
        )
        page = draw(FootprintFrames(frames.price, frames.bar, levels), start_ns=et_ns("09:30:00"))
        assert data_of(page)["levels"][0]["x"][0] == pytest.approx(-0.5 + 0.2)

    def test_a_level_ends_at_its_valid_to(self, frames: FootprintFrames) -> None:
        chart = data_of(draw(frames, start_ns=et_ns("11:00:00"), end_ns=et_ns("11:20:00")))
        ends = {level["name"]: level["x"][1] for level in chart["levels"] if level["x"]}
        assert ends["PDC"] == pytest.approx(-0.5 + 0.5)  # 11:02:30 is half of the first bar
        assert ends["PDH"] == 3.5

    def test_what_cannot_be_drawn_as_a_line_is_listed_with_the_reason(self, frames: FootprintFrames) -> None:
        states = level_rows(draw(frames, start_ns=et_ns("11:10:00"), end_ns=et_ns("11:30:00")))
        assert states["SMA_90"] == "moving"
        assert states["PD_SETTLE"] == "no price"
        assert states["CALL_WALL"] == "not known yet"
        assert states["PDC"] == "expired"
        assert states["PM_LOW"] == "drawn"

    def test_a_level_known_exactly_at_the_end_of_the_window_is_not_in_it(
        self, frames: FootprintFrames
    ) -> None:
        states = level_rows(draw(frames, start_ns=et_ns("09:00:00"), end_ns=et_ns("09:30:00")))
        assert states["PM_HIGH"] == "not known yet"

    def test_the_order_of_the_levels_does_not_matter(self, frames: FootprintFrames) -> None:
        shuffled = FootprintFrames(
            frames.price, frames.bar, frames.levels.sample(fraction=1, shuffle=True, seed=3)
        )
        assert draw(shuffled) == draw(frames)

    def test_a_page_without_levels_has_no_level_table(self, frames: FootprintFrames) -> None:
        page = draw(FootprintFrames(frames.price, frames.bar, pl.DataFrame()))
        assert data_of(page)["levels"] == []
        assert 'id="levels"' not in page


class TestSafety:
    def test_names_from_the_data_never_become_markup(self) -> None:
        frames = footprint_frames(3, symbol=HOSTILE)
        hostile = FootprintFrames(
            frames.price,
            frames.bar,
            frames.levels.with_columns(level_name=pl.lit(HOSTILE), level_class=pl.lit(HOSTILE)),
        )
        page = draw(hostile, symbol=HOSTILE)
        clean = draw(footprint_frames(3))
        assert page.count("<script") == clean.count("<script")
        assert page.count("</script") == clean.count("</script")
        assert "<img src=x" not in page
        assert html.escape(HOSTILE) in page
        assert {level["name"] for level in data_of(page)["levels"]} == {HOSTILE}

    def test_a_placeholder_in_a_symbol_is_not_expanded(self) -> None:
        page = draw(footprint_frames(2, symbol="$policy ${scripts}"), symbol="$policy ${scripts}")
        assert "<h1>$policy ${scripts}</h1>" in page

    def test_the_policy_allows_exactly_the_scripts_of_the_page_and_no_network(
        self, frames: FootprintFrames
    ) -> None:
        page = draw(frames)
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        assert policy is not None
        directives = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
        scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
        hashes = {
            "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"
            for script in scripts
        }
        assert set(directives["script-src"].split()) == hashes
        assert len(scripts) == 3
        assert directives["default-src"] == "'none'"
        assert "http" not in policy[1]
        assert "\r" not in page

    def test_the_page_loads_nothing_from_outside(self, frames: FootprintFrames) -> None:
        markup = re.sub(r"<script.*?</script>", "", draw(frames), flags=re.DOTALL)
        assert not re.search(r"\b(src|href|srcset|action)\s*=|url\(|@import", markup)

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        first, second = draw(footprint_frames(20)), draw(footprint_frames(20))
        assert first == second
        assert draw(footprint_frames(20, seed=8)) != first

    def test_shuffled_rows_give_the_same_bytes(self, frames: FootprintFrames) -> None:
        seed = random.Random(4).randrange(100)
        shuffled = FootprintFrames(
            frames.price.sample(fraction=1, shuffle=True, seed=seed),
            frames.bar.sample(fraction=1, shuffle=True, seed=seed),
            frames.levels,
        )
        assert draw(shuffled) == draw(frames)


class TestEmptyAndBroken:
    @pytest.mark.parametrize("kind", ["no columns", "no rows", "other symbol", "outside the window"])
    def test_a_window_without_trades_gives_a_page_that_says_so(
        self, frames: FootprintFrames, kind: str
    ) -> None:
        options: dict[str, Any] = {}
        if kind == "no columns":
            frames = FootprintFrames(pl.DataFrame(), pl.DataFrame(), pl.DataFrame())
        elif kind == "no rows":
            frames = FootprintFrames(frames.price[:0], frames.bar[:0], frames.levels[:0])
        elif kind == "other symbol":
            options["symbol"] = "ZZZ9"
        else:
            options["start_ns"] = et_ns("16:00:00")
        page = draw(frames, **options)
        assert "There were no trades in this window." in page
        assert len(page) < 20_000

    def test_a_missing_column_is_named(self, frames: FootprintFrames) -> None:
        with pytest.raises(ReportError, match="cum_delta_high") as caught:
            draw(FootprintFrames(frames.price, frames.bar.drop("cum_delta_high"), frames.levels))
        assert caught.value.where["table"] == "silver.future.footprint_bar"

    def test_a_window_that_ends_before_it_starts_is_refused(self, frames: FootprintFrames) -> None:
        with pytest.raises(ReportError, match="ends before"):
            draw(frames, start_ns=5, end_ns=5)

    def test_bars_without_price_rows_are_refused(self, frames: FootprintFrames) -> None:
        with pytest.raises(ReportError, match="do not belong together"):
            draw(FootprintFrames(frames.price.filter(pl.col("bar_id") != 30), frames.bar, frames.levels))

    def test_a_window_a_browser_cannot_pan_is_refused_with_a_remedy(self) -> None:
        frames = footprint_frames(401, trades_per_bar=2, minutes=1, first="00:00:00")
        with pytest.raises(ReportError, match="shorter window"):
            draw(frames, start_ns=0)

    def test_price_and_tick_that_contradict_are_refused(self, frames: FootprintFrames) -> None:
        with pytest.raises(ReportError, match="contradict"):
            draw(
                FootprintFrames(frames.price.with_columns(price=-pl.col("price")), frames.bar, frames.levels)
            )

    def test_a_row_height_the_table_was_not_built_with_is_refused(self, frames: FootprintFrames) -> None:
        with pytest.raises(ReportError, match="row height"):
            draw(frames, ticks_per_row=2)

    def test_rows_of_two_ticks_are_centred_over_both_prices(self) -> None:
        frames = one_bar([4, 5, 6])
        doubled = frames.price.with_columns(price_tick=pl.col("price_tick") * 2, price=pl.col("price") * 2)
        grid = data_of(draw(FootprintFrames(doubled, frames.bar, frames.levels), ticks_per_row=2))["grid"]
        assert (grid["low"], grid["centre"], grid["height"], grid["rows"]) == (50.0, 50.125, 0.5, 3)

    def test_what_is_not_finite_becomes_unknown(self, frames: FootprintFrames) -> None:
        bars = frames.bar.with_columns(vah_price=pl.lit(float("nan")), val_price=pl.lit(None, pl.Float64))
        chart = data_of(draw(FootprintFrames(frames.price, bars, frames.levels)))
        assert set(chart["bars"]["vah_price"]) == set(chart["bars"]["val_price"]) == {None}


def one_bar(volumes: list[int]) -> FootprintFrames:
    """One bar with the given volumes from 25.00 upwards, tick 0.25."""
    frames = footprint_frames(1)
    row, bar = frames.price.row(0, named=True), frames.bar.row(0, named=True)
    rows = [
        row
        | {
            "price_tick": 100 + k,
            "price": 25 + k * TICK,
            "total_volume": volume,
            "ask_volume": volume,
            "bid_volume": 0,
        }
        for k, volume in enumerate(volumes)
    ]
    bar |= {"volume": sum(volumes), "delta": sum(volumes)}
    return FootprintFrames(
        pl.DataFrame(rows, schema=frames.price.schema),
        pl.DataFrame([bar], schema=frames.bar.schema),
        frames.levels[:0],
    )
