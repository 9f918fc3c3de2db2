"""The pages in a real browser: they paint their numbers, adapt to the zoom, follow the theme and stay offline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint_assets.pages import write_quality_page, write_session_page
from footprint_assets.report import footprint_page
from footprint_assets.settings import Settings
from footprint_assets_tests.report.conftest import Chromium
from footprint_assets_tests.report.frames import SESSION, FootprintFrames, footprint_frames
from footprint_assets_tests.small_market import DAY

# Everything a canvas is asked to write from now on, with what lies under it left as it is.
LISTEN = """
const said = [];
const write = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
  said.push([String(text), this.font.includes("700") || this.font.includes("bold")]);
  return write.call(this, text, ...place);
};
const click = async (id) => { said.length = 0; document.getElementById(id).click(); await settled(); };
// Another theme builds the chart anew: everything is painted again.
const repaint = () => click("theme");
const colours = () => {
  const found = {};
  for (const canvas of document.querySelectorAll("#chart canvas")) {
    if (!canvas.width || !canvas.height) continue;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (let k = 0; k < pixels.length; k += 4) {
      if (pixels[k + 3] !== 255) continue;
      const key = `${pixels[k]},${pixels[k + 1]},${pixels[k + 2]}`;
      found[key] = (found[key] ?? 0) + 1;
    }
  }
  return found;
};
const rgb = (name) => Page.colour(name).match(/\\d+/g).join(",");
"""


def draw(frames: FootprintFrames, **options: Any) -> str:
    arguments: dict[str, Any] = {"symbol": "ESM4", "session_date": SESSION} | options
    return footprint_page(frames.price, frames.bar, frames.levels, **arguments)


@pytest.fixture(scope="module")
def few() -> FootprintFrames:
    """Bars whose rows all fit the window, so that every number is painted."""
    return footprint_frames(3, trades_per_bar=60)


@pytest.fixture(scope="module")
def session(built_market: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("session") / "session.html"
    write_session_page(built_market, DAY, "ESM5", out, simulated=True)
    return out.read_text(encoding="utf-8")


def test_the_numbers_painted_are_the_volumes_of_the_table(chromium: Chromium, few: FootprintFrames) -> None:
    visit = chromium.open(draw(few), LISTEN + "await repaint(); return { mode: root.dataset.mode, said };")
    assert visit.answer["mode"] == "numbers"
    said = [tuple(word) for word in visit.answer["said"]]
    rows = few.price.sort("bar_id", "price_tick")
    painted = [(said[k - 1], said[k + 1]) for k, (text, _) in enumerate(said) if text == "×"]
    expected = [
        ((str(bid), sell), (str(ask), buy))
        for bid, ask, sell, buy in rows.select(
            "bid_volume", "ask_volume", "is_sell_imbalance", "is_buy_imbalance"
        ).iter_rows()
    ]
    assert set(painted) == set(expected)
    assert painted[-rows.height :] == expected  # one whole frame, bar by bar, an imbalance in bold
    assert visit.problems == 0
    assert visit.console == ()
    assert visit.requests == ()


def test_zooming_turns_colours_into_numbers_and_back(chromium: Chromium) -> None:
    script = (
        LISTEN
        + """
    const seen = [root.dataset.mode];
    for (const [button, mode] of [["overview", "cells"], ["numbers", "numbers"], ["overview", "cells"]]) {
      await click(button);
      for (let k = 0; k < 10 && root.dataset.mode !== mode; k++) await settled();
      seen.push([root.dataset.mode, said.some(([text]) => text === "×")]);
    }
    return seen;
    """
    )
    visit = chromium.open(draw(footprint_frames(120, minutes=5, first="00:00:00")), script)
    assert visit.answer == ["numbers", ["cells", False], ["numbers", True], ["cells", False]]
    assert visit.problems == 0


def test_points_of_control_and_imbalances_have_their_colours(chromium: Chromium) -> None:
    frames = footprint_frames(3)
    assert frames.price["is_buy_imbalance"].any()
    script = (
        LISTEN
        + """
    await click("numbers");
    const found = colours();
    return ["poc", "buy-weak", "sell-weak"].map((name) => found[rgb(name)] ?? 0);
    """
    )
    assert all(count > 20 for count in chromium.open(draw(frames), script).answer)


def test_the_cursor_reads_a_cell(chromium: Chromium, few: FootprintFrames) -> None:
    row = few.price.filter("is_poc").row(0, named=True)
    script = (
        LISTEN
        + """
    await click("numbers");
    await until(() => performance.now() > 600);  // before, the library takes a mouse for the echo of a finger
    const box = document.querySelector("#chart canvas").getBoundingClientRect();
    const canvas = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const seen = new Set();
    canvas.dispatchEvent(new MouseEvent("mouseenter", { clientX: box.left + 9, clientY: box.top + 9, bubbles: true, view: window }));
    for (let y = box.top + 4; y < box.bottom; y += 9) {
      for (const share of [0.2, 0.5, 0.8]) {
        const at = { clientX: box.left + share * box.width, clientY: y, bubbles: true, view: window };
        canvas.dispatchEvent(new MouseEvent("mousemove", at));
        const line = document.querySelectorAll("#readout div")[1];
        if (line) seen.add([...line.children].map((span) => span.textContent).join(" "));
      }
    }
    return [...seen];
    """
    )
    seen = chromium.open(draw(few), script).answer
    wanted = f"{row['price']:.2f} bid {row['bid_volume']} × ask {row['ask_volume']} "
    assert any(line.startswith(wanted) and line.endswith("point of control") for line in seen), seen


def test_another_bar_type_is_one_choice_away(chromium: Chromium, few: FootprintFrames) -> None:
    other = footprint_frames(2, seed=3, bar_type="range_10t")
    both = FootprintFrames(pl.concat([few.price, other.price]), pl.concat([few.bar, other.bar]), few.levels)
    script = (
        LISTEN
        + """
    const bars = document.getElementById("bars");
    const before = said.length;
    bars.value = "range_10t";
    bars.dispatchEvent(new Event("change"));
    await settled();
    return said.map(([text]) => text);
    """
    )
    visit = chromium.open(draw(both), script)
    assert {str(volume) for volume in other.bar["volume"]} <= set(visit.answer)
    assert visit.problems == 0


def test_a_class_of_levels_is_switched_on_and_off(chromium: Chromium) -> None:
    script = (
        LISTEN
        + """
    const tags = () => said.map(([text]) => text).filter((text) => /^(PM|OR|PDH|PD)/.test(text));
    const chip = [...document.querySelectorAll("#classes button")].find((button) => button.textContent === "premarket");
    await click("overview");
    const before = tags();
    said.length = 0;
    chip.click();
    await settled();
    return [before, tags(), chip.getAttribute("aria-pressed")];
    """
    )
    before, after, pressed = chromium.open(draw(footprint_frames(60)), script).answer
    assert any(tag.startswith("PM_HIGH") for tag in before)
    assert not any(tag.startswith("PM_") for tag in after)
    assert pressed == "false"


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_follows_the_system_theme_and_the_button_turns_it(
    chromium: Chromium, few: FootprintFrames, dark: bool
) -> None:
    script = (
        LISTEN
        + """
    const look = () => [getComputedStyle(document.body).backgroundColor, colours()[rgb("panel")] ?? 0];
    const before = look();
    await click("theme");
    return [before, look()];
    """
    )
    visit = chromium.open(draw(few), script, dark=dark)
    (before, painted), (after, repainted) = visit.answer
    page = {False: "rgb(244, 246, 250)", True: "rgb(9, 13, 20)"}
    assert (before, after) == (page[dark], page[not dark])
    assert min(painted, repainted) > 10_000
    assert visit.problems == 0


def test_the_session_page_paints_depth_profile_levels_and_attempts(chromium: Chromium, session: str) -> None:
    script = (
        LISTEN
        + """
    await repaint();
    const found = colours(), words = said.map(([text]) => text);
    return { words, up: found[rgb("candle-up")] ?? 0, poc: found[rgb("poc")] ?? 0, shades: Object.keys(found).length,
      hidden: Object.keys((document.querySelector("#parts button").click(), await settled(), colours())).length,
      episodes: Page.data.episodes.length, listed: document.querySelectorAll("#episodes tbody tr").length,
      readout: document.getElementById("readout").textContent };
    """
    )
    visit = chromium.open(session, script)
    answer = visit.answer
    assert visit.problems == 0
    assert visit.console == ()
    assert visit.requests == ()
    assert answer["up"] > 20
    assert answer["poc"] > 20
    assert answer["shades"] > answer["hidden"] + 20  # the book is the one part in many shades
    assert {"VWAP", "RTH VWAP", "Volume", "Cum. Δ"} <= set(answer["words"])
    assert any(word.startswith("PM_HIGH") for word in answer["words"])
    assert answer["episodes"] == answer["listed"]
    assert "ET" in answer["readout"]


def test_the_quality_page_opens_without_a_script_of_its_own(
    chromium: Chromium, built_market: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "quality.html"
    write_quality_page(built_market, DAY, DAY, out, simulated=False)
    script = """
    return { accounts: document.querySelectorAll("#accounts tbody tr").length,
      checks: document.querySelectorAll("#checks tbody tr").length,
      bar: Math.max(...[...document.querySelectorAll(".bar.rows i")].map((bar) => bar.getBoundingClientRect().width)) };
    """
    visit = chromium.open(out.read_text(encoding="utf-8"), script, dark=True)
    assert visit.answer["accounts"] > 50
    assert visit.answer["checks"] > 10
    assert visit.answer["bar"] > 100
    assert visit.problems == 0
    assert visit.console == ()
    assert visit.requests == ()


def test_hostile_names_are_shown_as_text_and_run_nothing(chromium: Chromium) -> None:
    hostile = "<b>A</b></script><img src=x onerror=\"document.title='owned'\"><a href='https://example.invalid'>x</a>"
    frames = footprint_frames(3, symbol=hostile, bar_type=hostile)
    levels = frames.levels.with_columns(level_name=pl.lit(hostile), level_class=pl.lit(hostile))
    script = (
        LISTEN
        + """
    document.querySelector("#classes button").click();
    await repaint();
    return { title: document.title, heading: document.querySelector("h1").textContent, said: said.map(([text]) => text),
      cell: document.querySelector("#levels td").textContent, option: document.querySelector("#bars option").textContent,
      foreign: document.querySelectorAll("img, #levels a, header a").length };
    """
    )
    visit = chromium.open(draw(FootprintFrames(frames.price, frames.bar, levels), symbol=hostile), script)
    assert visit.answer["title"].startswith(hostile)
    assert visit.answer["heading"] == visit.answer["cell"] == visit.answer["option"] == hostile
    assert any(text.startswith(hostile) for text in visit.answer["said"])
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


def test_a_trade_date_without_trades_opens_without_errors(chromium: Chromium, few: FootprintFrames) -> None:
    visit = chromium.open(draw(few, symbol="ZZZ9"), "return document.getElementById('empty').textContent;")
    assert visit.answer == "There were no trades on this trade date."
    assert visit.problems == 0
    assert visit.console == ()
