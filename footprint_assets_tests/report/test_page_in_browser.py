"""The footprint page in a real browser: it draws, adapts to the zoom, follows the theme and stays offline."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from footprint_assets.report import footprint_page
from footprint_assets_tests.report.conftest import Chromium
from footprint_assets_tests.report.frames import SESSION, FootprintFrames, footprint_frames

COUNT = """
const count = (uid) => document.querySelectorAll(`.trace${uid} text`).length;
return { mode: root.dataset.mode, bid: count("bid"), ask: count("ask"), figures: count("figures"),
         rasters: document.querySelectorAll(".hm image").length,
         candles: document.querySelectorAll("path.box").length };
"""


def draw(frames: FootprintFrames, **options: Any) -> str:
    arguments: dict[str, Any] = {"symbol": "ESM4", "session_date": SESSION} | options
    return footprint_page(frames.price, frames.bar, frames.levels, **arguments)


@pytest.fixture(scope="module")
def few() -> FootprintFrames:
    return footprint_frames(5)


@pytest.fixture(scope="module")
def many() -> FootprintFrames:
    return footprint_frames(60)


def test_every_cell_of_a_small_window_shows_its_numbers(chromium: Chromium, few: FootprintFrames) -> None:
    visit = chromium.open(draw(few), COUNT)
    assert visit.answer == {
        "mode": "numbers",
        "bid": few.price.height,
        "ask": few.price.height,
        "figures": 4 * few.bar.height,
        "rasters": 2,
        "candles": few.bar.height,
    }
    assert visit.problems == 0
    assert visit.console == ()
    assert visit.requests == ()


def test_the_numbers_drawn_are_the_volumes_of_the_table(chromium: Chromium, few: FootprintFrames) -> None:
    texts = (
        'return [..."bid ask".split(" ")].map((uid) => [...document.querySelectorAll(`.trace${uid} text`)]'
        + (".map((text) => [text.textContent, text.style.fontWeight || text.getAttribute('font-weight')]));")
    )
    bid, ask = chromium.open(draw(few), texts).answer
    rows = few.price.sort("bar_id", "price_tick")
    assert [text for text, _ in bid] == [str(volume) for volume in rows["bid_volume"]]
    assert [text for text, _ in ask] == [str(volume) for volume in rows["ask_volume"]]
    assert [weight == "bold" for _, weight in bid] == rows["is_sell_imbalance"].to_list()
    assert [weight == "bold" for _, weight in ask] == rows["is_buy_imbalance"].to_list()


def test_zooming_out_turns_numbers_into_colours_and_back(chromium: Chromium, many: FootprintFrames) -> None:
    script = """
    const seen = [];
    const note = () => seen.push([root.dataset.mode, document.querySelectorAll(".tracebid text").length > 0]);
    note();
    for (const button of ["overview", "numbers"]) {
      document.getElementById(button).click();
      await settled();
      note();
    }
    const chart = document.getElementById("chart");
    await Plotly.relayout(chart, { "xaxis.range": [0, 30] });
    await settled();
    note();
    return seen;
    """
    visit = chromium.open(draw(many), script)
    assert visit.answer == [["numbers", True], ["heatmap", False], ["numbers", True], ["heatmap", False]]
    assert visit.problems == 0
    assert visit.console == ()


def test_levels_are_lines_from_their_first_valid_bar(chromium: Chromium, many: FootprintFrames) -> None:
    script = """
    document.getElementById("overview").click();
    await settled();
    const chart = document.getElementById("chart");
    const tags = [...document.querySelectorAll(".annotation-text")].map((text) => text.textContent);
    return { tags, starts: Object.fromEntries(chart.data.filter((trace) => trace.uid.startsWith("level"))
      .map((trace) => [trace.text[0], trace.x[0]])) };
    """
    answer = chromium.open(
        draw(many, start_ns=int(many.bar["bar_ts"].cast(pl.Int64)[12]), end_ns=2**62), script
    ).answer
    starts = {re.sub(r"<b>(\w+)</b>.*", r"\1", text): x for text, x in answer["starts"].items()}
    assert starts["PM_HIGH"] == 5.5  # the window starts 09:00 and 09:30 opens bar 6
    assert starts["OR_LOW"] == 8.5
    assert starts["PDH"] == -0.5
    assert {"SMA_90", "PD_SETTLE", "CALL_WALL"}.isdisjoint(starts)
    assert {"PM_HIGH", "OR_HIGH", "PDH"} <= set(answer["tags"])


def test_tags_of_levels_at_neighbouring_prices_do_not_overlap(
    chromium: Chromium, few: FootprintFrames
) -> None:
    one = few.levels.filter(pl.col("level_name") == "PDH")
    crowd = pl.concat([one.with_columns(level_name=pl.lit(f"NAKED_POC_{k}")) for k in range(6)])
    script = """
    return [...document.querySelectorAll(".annotation-text")].filter((text) => /NAKED/.test(text.textContent))
      .map((text) => text.getBoundingClientRect()).map(({ top, bottom }) => [top, bottom]);
    """
    boxes = sorted(chromium.open(draw(FootprintFrames(few.price, few.bar, crowd)), script).answer)
    assert len(boxes) == 6
    assert all(upper[1] <= lower[0] + 0.5 for upper, lower in pairwise(boxes))


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_follows_the_system_theme_and_the_button_turns_it(
    chromium: Chromium, few: FootprintFrames, dark: bool
) -> None:
    script = """
    const look = () => [getComputedStyle(document.body).backgroundColor,
      document.querySelector(".yaxislayer-above text, .ytick text").style.fill];
    const before = look();
    document.getElementById("theme").click();
    await settled();
    return [before, look(), document.querySelectorAll(".tracebid text").length];
    """
    visit = chromium.open(draw(few), script, dark=dark)
    before, after, numbers = visit.answer
    page = {False: "rgb(244, 246, 250)", True: "rgb(9, 13, 20)"}
    assert (before[0], after[0]) == (page[dark], page[not dark])
    assert before[1] != after[1]
    assert numbers == few.price.height
    assert visit.problems == 0


def test_hostile_names_are_shown_as_text_and_run_nothing(chromium: Chromium) -> None:
    hostile = "<b>A</b></script><img src=x onerror=\"document.title='owned'\"><a href='https://example.invalid'>x</a>"
    frames = footprint_frames(3, symbol=hostile)
    levels = frames.levels.with_columns(level_name=pl.lit(hostile), level_class=pl.lit(hostile))
    script = """
    return { title: document.title, heading: document.querySelector("h1").textContent,
      cell: document.querySelector("#levels td").textContent,
      tag: document.querySelector(".annotation-text").textContent,
      foreign: document.querySelectorAll("img, #chart a, #levels a").length };
    """
    visit = chromium.open(draw(FootprintFrames(frames.price, frames.bar, levels), symbol=hostile), script)
    assert visit.answer["title"].startswith(hostile)
    assert visit.answer["heading"] == visit.answer["cell"] == hostile
    assert "<b>A</b>" in visit.answer["tag"]
    assert visit.answer["foreign"] == 0
    assert visit.problems == 0
    assert visit.requests == ()


def test_the_policy_refuses_a_script_and_an_address_that_are_not_the_page_s(
    chromium: Chromium, few: FootprintFrames
) -> None:
    intruder = "<script>document.title = 'owned'</script><img src='https://example.invalid/pixel.png' alt=''>"
    visit = chromium.open(draw(few).replace("</body>", intruder + "</body>"))
    assert "owned" not in re.findall(r"<title>(.*?)</title>", visit.dom)[0]
    assert "script-src-elem refused inline" in visit.dom
    assert "img-src refused https://example.invalid/pixel.png" in visit.dom
    assert visit.problems > 0
    assert visit.requests == ()


def test_the_browser_would_notice_a_request(chromium: Chromium) -> None:
    address = "https://example.invalid/pixel.png"
    visit = chromium.open(f"<!DOCTYPE html><html><body><img src='{address}' alt=''></body></html>")
    assert visit.requests == (address,)


def test_an_empty_window_opens_without_errors(chromium: Chromium, few: FootprintFrames) -> None:
    visit = chromium.open(draw(few, symbol="ZZZ9"), "return document.getElementById('empty').textContent;")
    assert visit.answer == "There were no trades in this window."
    assert visit.problems == 0
    assert visit.console == ()
