"""The footprint page: bars, cells, levels, escaping and bytes, without a browser."""

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

from footprint_assets import contracts
from footprint_assets.report import ReportError, footprint_page
from footprint_assets.report import footprint as report
from footprint_assets.report.footprint import BAR_COLUMNS, PRICE_COLUMNS
from footprint_assets.report.levels import LEVEL_COLUMNS
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


def bars_of(page: str, bar_type: str = "time_5m") -> dict[str, Any]:
    bars: dict[str, Any] = data_of(page)["sets"][bar_type]
    return bars


def mixed(one: FootprintFrames, other: FootprintFrames) -> FootprintFrames:
    return FootprintFrames(
        pl.concat([one.price, other.price]),
        pl.concat([one.bar, other.bar]),
        pl.concat([one.levels, other.levels]),
    )


def figures_of(page: str) -> dict[str, str]:
    return dict(re.findall(r"<div><dt>(.*?)</dt><dd[^>]*>(.*?)</dd></div>", page))


def level_rows(page: str) -> dict[str, str]:
    return {level["name"]: level["state"] for level in data_of(page)["levels"]}


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
        assert f"{name}:" in script
        assert f"--level-{name.lower().replace('_', '-')}: light-dark(" in style


class TestSelection:
    def test_every_bar_of_the_trade_date_is_on_the_page(self, frames: FootprintFrames) -> None:
        page = draw(frames)
        assert bars_of(page)["volume"] == frames.bar["volume"].to_list()
        assert figures_of(page)["Volume"] == f"{frames.bar['volume'].sum():,}"

    def test_bars_stand_at_their_new_york_time(self) -> None:
        bars = bars_of(draw(footprint_frames(2)))
        wall = [dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d %H:%M") for at in bars["t"]]
        assert wall == ["2024-06-10 08:00", "2024-06-10 08:05"]
        assert bars["end"] == [bars["t"][1], bars["t"][1] + 300]

    def test_event_bars_of_one_instant_stand_one_after_the_other(self) -> None:
        frames = footprint_frames(4, bar_type="volume_1000")
        at = frames.bar["bar_ts"][0]
        together = frames.bar.with_columns(bar_ts=pl.lit(at).cast(NS))
        axis = bars_of(draw(FootprintFrames(frames.price, together, frames.levels)), "volume_1000")["t"]
        assert sorted(set(axis)) == axis
        assert axis[-1] - axis[0] < 1e-5

    def test_any_bar_type_can_be_chosen_and_five_minutes_come_first(self) -> None:
        both = mixed(footprint_frames(6), footprint_frames(3, seed=2, bar_type="range_10t"))
        assert data_of(draw(both))["barTypes"] == ["time_5m", "range_10t"]
        alone = draw(both, bar_types=["range_10t"])
        assert list(data_of(alone)["sets"]) == ["range_10t"]
        assert "<option>range_10t</option>" in alone

    def test_bar_types_that_do_not_fit_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        small = footprint_frames(2, seed=2, bar_type="range_10t")
        both = mixed(footprint_frames(6), small)
        monkeypatch.setattr(report, "MAX_CELLS", small.price.height)
        page = draw(both)
        assert data_of(page)["barTypes"] == ["range_10t"]
        assert "Not on this page, for its size: time_5m." in page
        with pytest.raises(ReportError, match="fewer bar types"):
            draw(both, bar_types=["time_5m"])

    def test_other_symbols_and_dates_do_not_enter(self, frames: FootprintFrames) -> None:
        alone = draw(frames)
        other_symbol = footprint_frames(5, seed=1, symbol="NQM4")
        other_date = FootprintFrames(
            *(
                frame.with_columns(session_date=pl.lit(SESSION + dt.timedelta(days=1)))
                for frame in (frames.price, frames.bar, frames.levels)
            )
        )
        assert draw(mixed(mixed(other_symbol, frames), other_date)) == alone

    def test_enum_columns_of_the_lake_are_read_like_text(self, frames: FootprintFrames) -> None:
        types = pl.Enum(["time_1m", "time_5m"])
        classes = pl.Enum(sorted(set(frames.levels["level_class"])))
        as_enum = FootprintFrames(
            frames.price.with_columns(pl.col("bar_type").cast(types)),
            frames.bar.with_columns(pl.col("bar_type").cast(types)),
            frames.levels.with_columns(pl.col("level_class").cast(classes)),
        )
        assert draw(as_enum) == draw(frames)

    def test_every_price_row_reaches_the_chart_once(self, frames: FootprintFrames) -> None:
        bars = bars_of(draw(frames))
        expected = frames.price.sort("bar_id", "price_tick")
        assert bars["tick"] == expected["price_tick"].to_list()
        assert bars["first"] == [0, *expected.group_by("bar_id", maintain_order=True).len()["len"].cum_sum()]
        assert bars["bid"] == expected["bid_volume"].to_list()
        assert bars["ask"] == expected["ask_volume"].to_list()
        for bits, row in zip(bars["flags"], expected.iter_rows(named=True), strict=True):
            assert bits == (
                row["is_buy_imbalance"]
                + 2 * row["is_sell_imbalance"]
                + 4 * row["is_poc"]
                + 8 * row["is_in_value_area"]
                + 16 * (row["buy_stack_length"] >= 3)
                + 32 * (row["sell_stack_length"] >= 3)
            )

    def test_vwap_accumulates_from_the_first_bar(self, frames: FootprintFrames) -> None:
        before = frames.price.filter(pl.col("bar_id") <= 36)
        expected = float(np.average(before["price"], weights=before["total_volume"]))
        assert bars_of(draw(frames))["vwap"][36] == pytest.approx(expected, abs=1e-4)


class TestHeader:
    def test_figures_are_those_of_the_trade_date(self, frames: FootprintFrames) -> None:
        figures = figures_of(draw(frames))
        cells = frames.price
        volume, delta = int(cells["total_volume"].sum()), int(cells["delta"].sum())
        assert figures["Session, ET"] == "08:00:00 – 13:00:00"
        assert figures["Volume"] == f"{volume:,}"
        assert figures["Delta"] == f"{delta:+,}"
        assert figures["Delta %"] == f"{100 * delta / volume:+.1f}"
        assert figures["VWAP"] == f"{np.average(cells['price'], weights=cells['total_volume']):.2f}"
        assert figures["High"] == f"{max(cells['price']):.2f}"
        assert figures["Low"] == f"{min(cells['price']):.2f}"

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

    def test_an_evening_session_names_the_calendar_day(self) -> None:
        frames = footprint_frames(2)
        back = pl.col("bar_ts", "bar_end_ts") - pl.duration(hours=14)
        evening = FootprintFrames(frames.price, frames.bar.with_columns(back.cast(NS)), frames.levels)
        assert figures_of(draw(evening))["Session, ET"] == "06-09 18:00:00 – 06-09 18:10:00"


class TestLevels:
    def test_a_level_begins_when_it_is_known_and_ends_at_its_valid_to(self, frames: FootprintFrames) -> None:
        levels = {level["name"]: level for level in data_of(draw(frames))["levels"]}
        wall = {name: level["known"] for name, level in levels.items()}
        assert wall["PM_HIGH"] == "09:30:00"
        assert levels["PM_HIGH"]["from"] == bars_of(draw(frames))["t"][18]  # the bar of 09:30
        assert levels["PM_HIGH"]["to"] is None
        assert levels["PDC"]["ended"] == "11:02:30"
        assert levels["PDC"]["to"] - levels["PM_HIGH"]["from"] == 5550

    def test_what_cannot_be_drawn_as_a_line_is_listed_with_the_reason(self, frames: FootprintFrames) -> None:
        states = level_rows(draw(frames))
        assert states["SMA_90"] == "moving"
        assert states["PD_SETTLE"] == "no price"
        assert states["PM_LOW"] == "drawn"

    @pytest.mark.parametrize(
        ("since", "until", "state"),
        [
            ("13:00:00", None, "not known yet"),  # exactly at the end of the last bar
            ("12:59:59", None, "drawn"),
            ("06:00:00", "08:00:00", "expired"),
            ("06:00:00", "08:00:01", "drawn"),
        ],
    )
    def test_a_level_outside_of_the_bars_is_no_line(
        self, frames: FootprintFrames, since: str, until: str | None, state: str
    ) -> None:
        levels = frames.levels.filter(pl.col("level_name") == "PM_HIGH").with_columns(
            valid_from_ts=pl.lit(et_ns(since)).cast(NS),
            valid_to_ts=pl.lit(None if until is None else et_ns(until), pl.Int64).cast(NS),
        )
        assert level_rows(draw(FootprintFrames(frames.price, frames.bar, levels))) == {"PM_HIGH": state}

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
        assert len(scripts) == 4
        assert directives["default-src"] == "'none'"
        assert "http" not in policy[1]
        assert "\r" not in page

    def test_the_page_loads_nothing_from_outside(self, frames: FootprintFrames) -> None:
        markup = re.sub(r"<script.*?</script>", "", draw(frames), flags=re.DOTALL)
        addresses = re.findall(r"\b(?:src|href|srcset|action)\s*=\S*|url\(|@import", markup)
        assert addresses == ['href="https://www.tradingview.com/"']  # the credit, a link to follow

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
    @pytest.mark.parametrize("kind", ["no columns", "no rows", "other symbol"])
    def test_a_trade_date_without_trades_gives_a_page_that_says_so(
        self, frames: FootprintFrames, kind: str
    ) -> None:
        options: dict[str, Any] = {}
        if kind == "no columns":
            frames = FootprintFrames(pl.DataFrame(), pl.DataFrame(), pl.DataFrame())
        elif kind == "no rows":
            frames = FootprintFrames(frames.price[:0], frames.bar[:0], frames.levels[:0])
        else:
            options["symbol"] = "ZZZ9"
        page = draw(frames, **options)
        assert "There were no trades on this trade date." in page
        assert len(page) < 20_000

    def test_a_missing_column_is_named(self, frames: FootprintFrames) -> None:
        with pytest.raises(ReportError, match="cum_delta_high") as caught:
            draw(FootprintFrames(frames.price, frames.bar.drop("cum_delta_high"), frames.levels))
        assert caught.value.where["table"] == "silver.future.footprint_bar"

    def test_bars_without_price_rows_are_refused(self, frames: FootprintFrames) -> None:
        with pytest.raises(ReportError, match="do not belong together"):
            draw(FootprintFrames(frames.price.filter(pl.col("bar_id") != 30), frames.bar, frames.levels))

    def test_price_and_tick_that_contradict_are_refused(self, frames: FootprintFrames) -> None:
        with pytest.raises(ReportError, match="contradict"):
            draw(
                FootprintFrames(frames.price.with_columns(price=-pl.col("price")), frames.bar, frames.levels)
            )

    def test_a_row_height_the_table_was_not_built_with_is_refused(self, frames: FootprintFrames) -> None:
        with pytest.raises(ReportError, match="row height"):
            draw(frames, ticks_per_row=2)

    def test_what_is_not_finite_becomes_unknown(self, frames: FootprintFrames) -> None:
        bars = frames.bar.with_columns(vwap=pl.lit(float("nan")))
        assert set(bars_of(draw(FootprintFrames(frames.price, bars, frames.levels)))["vwap"]) == {None}


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
