"""The pages of models and of setups: what they say, that they are the same bytes again, and that a browser draws them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import re
from typing import Any

import polars as pl
import pytest

from footprint_assets.report import ModelTables, ReportError, Setups, model_page, setups_page
from footprint_assets.report.diagrams import Axis, Curve, Point, covering, figure, square, two_sided_bar
from footprint_assets.report.markdown import as_html
from footprint_assets.report.picture import LONGEST_MARKDOWN, as_markdown, reliability_picture
from footprint_assets_tests.report.conftest import Chromium
from footprint_assets_tests.report.model_frames import HOSTILE, model_tables, report, setups

MONTH = dt.date(2024, 6, 1)


def draw(tables: ModelTables, **options: Any) -> str:
    return model_page(tables, root="ES", month=MONTH, **options)


def data_of(page: str) -> dict[str, Any]:
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert block is not None
    data: dict[str, Any] = json.loads(block[1])
    return data


def test_a_point_lies_where_its_numbers_say_and_tells_them() -> None:
    drawn = figure(
        "x", [Curve([Point(0.5, 0.25, 0.2, 0.3, words="observed 0.25")])], Axis("x", 0, 1), Axis("y", 0, 1)
    )
    at = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)
    assert at is not None
    corner = figure("x", [Curve([Point(0, 0), Point(1, 1)])], Axis("x", 0, 1), Axis("y", 0, 1))
    ends = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', corner)]
    (left, bottom), (right, top) = ends
    assert float(at[1]) == pytest.approx((left + right) / 2, abs=0.1)
    assert float(at[2]) == pytest.approx(bottom + (top - bottom) / 4, abs=0.1)
    assert "<title>observed 0.25</title>" in drawn


def test_what_is_not_known_is_not_drawn() -> None:
    axis = Axis("x", 0, 1)
    drawn = figure("x", [Curve([Point(0.5, math.nan), Point(math.inf, 0.5)])], axis, axis)
    assert "<circle" not in drawn
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_an_axis_holds_every_band_and_has_round_ticks() -> None:
    axis = covering([Curve([Point(0.1, 1.5, 1.2, 2.3, 0.7, 1.3)])], "lift", include=1.0)
    assert axis.low < 0.7
    assert axis.high > 2.3
    assert [axis.text(value) for value in axis.ticks()] == ["1", "1.5", "2"]
    assert Axis("p", 0.0, 1.0, is_share=True).text(0.2) == "20%"


def test_points_close_together_fill_the_figure() -> None:
    curve = Curve([Point(0.78, 0.77, 0.75, 0.8), Point(0.82, 0.81, 0.78, 0.84)])
    along, up = square([curve], "predicted", "observed")
    assert (along.low, along.high) == (up.low, up.high)
    assert along.low < 0.75
    assert along.high > 0.84
    assert along.high - along.low < 0.15
    assert square([], "predicted", "observed")[0].high == 1.0


def test_a_two_sided_bar_grows_from_the_middle() -> None:
    assert "left:50.0%;width:25.0%" in two_sided_bar(1.0, 2.0)
    assert "left:0.0%;width:50.0%" in two_sided_bar(-3.0, 2.0)


def test_the_picture_of_a_calibration_fits_where_dagster_shows_it() -> None:
    bins = [report().filter(pl.col("measure") == "reliability")] * 2
    drawn = reliability_picture(pl.concat(bins)[:15])
    assert drawn.count("h0") == 15
    assert len(as_markdown("ES", drawn)) <= LONGEST_MARKDOWN
    assert reliability_picture(report().filter(pl.col("measure") == "auc")) == ""


def test_markdown_stays_text_where_it_would_be_html_or_an_address() -> None:
    shown = as_html(
        "# A\n\n| a |\n|---|\n| <img src=x> |\n\n[l](https://example.invalid) ![p](https://example.invalid/p)"
    )
    assert "<h1>A</h1>" in shown
    assert "<td>&lt;img src=x&gt;</td>" in shown
    assert "<a" not in shown
    assert "<img" not in shown


def test_the_model_page_has_every_part_and_is_the_same_bytes_again() -> None:
    page = draw(model_tables(), simulated=True)
    for heading in (
        "Calibration",
        "Lift",
        "Coverage",
        "What the models look at",
        "Signals and why",
        "Model cards",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert "Simulated data" in page
    assert page.count("<circle") == 10 + 4 + 3 + 1
    assert '<b class="strong">0.65</b>' in page  # beyond what chance alone gives
    assert "0.5 … 0.7" in page
    assert "reliability" not in page.split("report-scores")[1].split("</table>")[0]
    assert draw(model_tables(), simulated=True) == page


def test_parts_of_a_signal_are_all_there_and_the_small_ones_are_added_up() -> None:
    tables = model_tables()
    many = pl.DataFrame({"base": [0.1], **{f"f{k:02d}": [0.5 / (k + 1)] for k in range(12)}})
    told = dataclasses.replace(
        tables.signals["direction"], rows=tables.signals["direction"].rows[:1], parts=many
    )
    page = draw(dataclasses.replace(tables, signals={"direction": told}))
    rest = sum(0.5 / (k + 1) for k in range(8, 12))
    assert f'4 more</td><td>{two_sided_bar(rest, 0.5)}</td><td class="number">{rest:+.3f}' in page
    *shown, together = (float(value) for value in re.findall(r'class="number">([+-]\d\.\d{3})', page))
    assert sum(shown) == pytest.approx(sum(many.row(0)), abs=0.005)
    assert together == pytest.approx(sum(many.row(0)), abs=0.0005)


def test_a_report_is_a_line_an_object_and_a_column_a_measure() -> None:
    rows = report()[:1]
    family = [
        rows.with_columns(
            measure=pl.lit(measure), split=pl.lit("family"), segment=pl.lit(name), value=pl.lit(value)
        )
        for name, value in (("depth", 0.1), ("ofi", 0.3))
        for measure in ("gain", "permutation")
    ]
    page = draw(ModelTables(reports={"Ablation": pl.concat([*family, rows])}))
    whole, parted = re.findall(
        r'<table id="report-ablation-(?:all|family)-\w+">(.*?)</table>', page, re.DOTALL
    )
    assert "<td>p_break</td>" in whole
    assert re.findall(r"<tr><td>(\w+)</td>", parted) == ["ofi", "depth"], "the strongest first"
    assert re.findall(r"<th[^>]*>(\w+)", parted)[-2:] == ["gain", "permutation"]
    assert parted.count("<small>0.5 … 0.7<") == 4


def test_a_month_without_anything_says_so() -> None:
    assert "No model of this month is published." in draw(ModelTables())
    assert "<h2>Lift</h2>" not in draw(ModelTables(reports={"Drift": report()}))


def test_the_setups_page_has_a_card_an_attempt_and_one_scale() -> None:
    page = setups_page(setups(), subject="PM_HIGH", simulated=True)
    data = data_of(page)
    assert [(path["card"], path["outcome"]) for path in data["paths"]] == [
        (0, None),
        (1, "BREAK"),
        (2, "BOUNCE"),
        (3, "CHOP"),
    ]
    assert data["barrier"] == 2.0
    assert page.count('<article class="card') == 5
    assert page.count("The path is not in the lake.") == 1
    assert '<td class="number">2</td><td class="number">50.0</td>' in page  # two of four broke
    assert setups_page(setups(), subject="PM_HIGH", simulated=True) == page


def test_a_path_is_cut_to_what_is_drawn_and_a_gap_is_left_out() -> None:
    long = pl.DataFrame({"second": [-1200, -5, 0, 5], "distance_pts": [-9.0, -1.0, None, 0.5]})
    made = dataclasses.replace(setups(), paths={"e0": long, "e1": long[:1]})
    (drawn,) = data_of(setups_page(made, subject="PM_HIGH"))["paths"]
    assert (drawn["t"], drawn["x"]) == ([-5, 5], [-1, 0.5])


def test_no_attempt_like_it_is_said() -> None:
    alone = dataclasses.replace(setups(), like=setups().like[:0])
    assert "No attempt of this kind was over by then." in setups_page(alone, subject="PM_HIGH")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ReportError, match="passage_s"):
        setups_page(Setups(setups().asked.drop("passage_s"), setups().like), subject="x")


def test_hostile_names_are_text(chromium: Chromium) -> None:
    for page in (draw(model_tables(HOSTILE)), setups_page(setups(HOSTILE), subject=HOSTILE)):
        assert "<img" not in page
        assert "<b>A" not in page
    visit = chromium.open(
        setups_page(setups(HOSTILE), subject=HOSTILE), "return document.querySelector('h1').textContent;"
    )
    assert visit.answer == HOSTILE
    assert visit.problems == 0
    assert visit.requests == ()


@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_draws_every_path_in_the_colour_of_its_outcome(chromium: Chromium, dark: bool) -> None:
    script = """
    const rgb = (name) => Page.colour(name).match(/\\d+/g).join(",");
    // Every canvas is read once: the browser warns of more.
    const colours = (card) => {
      const found = {};
      for (const canvas of document.querySelectorAll(`#card-${card} canvas`)) {
        if (!canvas.width || !canvas.height) continue;
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        for (let k = 0; k < pixels.length; k += 4) {
          const key = `${pixels[k]},${pixels[k + 1]},${pixels[k + 2]}`;
          found[key] = (found[key] ?? 0) + 1;
        }
      }
      return found;
    };
    const look = () => {
      const [asked, broke, bounced] = [0, 1, 2].map(colours);
      return [broke[rgb("break")] ?? 0, bounced[rgb("bounce")] ?? 0, broke[rgb("bounce")] ?? 0, asked[rgb("gap")] ?? 0];
    };
    const before = look();
    document.getElementById("theme").click();
    await settled();
    const widths = [...document.querySelectorAll("#card-1 canvas")].map((canvas) => canvas.getBoundingClientRect().width);
    const share = Math.max(...widths) / document.querySelector("#card-1 .path").clientWidth;
    return [before, look(), getComputedStyle(document.body).backgroundColor, share];
    """
    visit = chromium.open(setups_page(setups(), subject="PM_HIGH"), script, dark=dark)
    before, after, ground, share = visit.answer
    assert 0.7 < share <= 1, "the chart fills its card"
    for broke, bounced, other, approach in (before, after):
        assert min(broke, bounced, approach) > 20
        assert other == 0
    assert ground == {False: "rgb(9, 13, 20)", True: "rgb(244, 246, 250)"}[dark]
    assert visit.problems == 0
    assert visit.console == ()
    assert visit.requests == ()


def test_a_browser_draws_the_figures_in_the_colours_of_the_theme(chromium: Chromium) -> None:
    script = """
    const style = (name) => getComputedStyle(document.querySelector(name));
    const before = style(".diagram circle.first").fill;
    const box = document.querySelector(".diagram svg").getBoundingClientRect();
    const bar = document.querySelector(".two-sided i").getBoundingClientRect();
    document.getElementById("theme").click();
    document.body.style.width = "300px";
    await settled();
    return { before, after: style(".diagram circle.first").fill, width: box.width, bar: bar.width,
      narrow: document.querySelector("main").scrollWidth,
      words: document.querySelector(".diagram circle").parentNode.querySelector("title").textContent };
    """
    visit = chromium.open(draw(model_tables()), script)
    answer = visit.answer
    assert answer["before"] != answer["after"]
    assert answer["width"] > 300
    assert answer["bar"] > 5
    assert answer["narrow"] <= 300, "what is too wide scrolls in its place"
    assert "value 0.07" in answer["words"]
    assert visit.problems == 0
    assert visit.console == ()
    assert visit.requests == ()
