"""The pictures of the documentation are there, are small, carry nothing foreign, and every link ends at a heading."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from benchmarks import growth
from footprint_assets_tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
PICTURES = DOCS / "pictures"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]
SCREENSHOTS = sorted(PICTURES.glob("*.png"))
SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}href"


def shown(page: Path) -> list[tuple[str, Path]]:
    """Words and file of every picture of a page."""
    found = re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [(words, (page.parent / target).resolve()) for words, target in found]


def anchors(page: Path) -> set[str]:
    """The anchors a page's headings get: lower case, hyphens for blanks, no punctuation."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


def test_every_picture_is_shown_on_a_page_and_every_picture_shown_is_there() -> None:
    used = {path for page in PAGES for _, path in shown(page)}
    assert used == {path.resolve() for path in (*PICTURES.glob("*.svg"), *SCREENSHOTS)}
    assert used


def test_every_picture_is_one_the_program_draws() -> None:
    drawn = re.findall(
        r'^    "([\w-]+)": \w+\.\w+,$', (PICTURES / "make_pictures.py").read_text(), re.MULTILINE
    )
    assert sorted([*drawn, *growth.PICTURES]) == sorted(path.stem for path in PICTURES.glob("*.svg"))


def test_every_picture_has_its_words_for_those_who_cannot_see_it() -> None:
    for page in PAGES:
        for words, path in shown(page):
            assert len(words.split()) > 5, f"{page.name}: {path.name}"


def test_the_screenshots_are_those_of_the_browser_tests() -> None:
    taken = (REPOSITORY / "footprint_assets_tests" / "ui" / "test_in_browser.py").read_text()
    assert [path.stem for path in SCREENSHOTS] == sorted(
        set(re.findall(r'picture\("(tour-[\w-]+)"\)', taken))
    )
    for path in SCREENSHOTS:
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert path.stat().st_size < 150_000


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_small_and_complete_in_itself(path: Path) -> None:
    assert path.stat().st_size < 200_000
    tree = Xml.parse(path)
    tags = {element.tag for element in tree.iter()}
    assert tree.getroot().tag == f"{SVG}svg"
    # Letters as outlines and no raster: it looks the same everywhere. No date: the same lake gives the same bytes.
    assert not tags & {f"{SVG}{name}" for name in ("text", "image", "script", "foreignObject", "metadata")}
    assert all(href.startswith("#") for element in tree.iter() if (href := element.get(XLINK)))


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_follows_the_light_or_dark_setting_of_its_reader(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    style = text[text.index("<style>") : text.index("</style>")]
    light, dark = style.split("@media(prefers-color-scheme:dark)")
    used = set(re.findall(r"var\((--[\w-]+)\)", text))
    for theme in (light, dark):
        assert used <= set(re.findall(r"(--[\w-]+):", theme))
    # A colour that is not a variable would stay as it is on a dark page.
    assert not re.findall(r"(?:fill|stroke): #\w+", text.replace(style, ""))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_to_headings_end_at_one(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            there = page.parent / target if target else page
            assert anchor in anchors(there), f"{target}#{anchor}"
