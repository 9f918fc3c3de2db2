"""The UI in a real browser: what a person does in it works, and a page of a stranger gets nothing.

Every test leaves pictures in ``build/screenshots``; those named ``tour-`` are the pictures of ``docs/tour.md``
(``make pictures`` copies them).
"""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from footprint_assets.lake import Lake
from footprint_assets.materialization import group_of
from footprint_assets.runs import dagster_home
from footprint_assets.settings import Settings
from footprint_assets_tests.conftest import REPOSITORY
from footprint_assets_tests.report.conftest import browser_executable
from footprint_assets_tests.small_market import NEXT, TABLES
from footprint_assets_tests.ui.market import FRONT_MONTH, PROFILE, RULE, judge, write_market
from footprint_assets_tests.ui.server import Server, running_ui

PICTURES = REPOSITORY / "build" / "screenshots"
SIZE = {"width": 1200, "height": 720}
PATIENCE_MS = 120_000
"""Longest wait for what must come, ms: the machine may be busy."""

GROUPS = sorted({group_of(table) for table in TABLES} | {"pages"})
"""Of the graph."""

WIPE = 'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["bronze"]}}]) { __typename } }'
TOKEN = "0123456789abcdef0123456789abcdef"


@dataclass
class Visit:
    """A page of the browser, and what went wrong in it.

    Args:
        page: The page.
        url: Of the UI.
        problems: Errors of its scripts and its console, and answers that were refused.
        strangers: Addresses elsewhere that it asked for.
    """

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on(
            "console", lambda said: self.problems.append(said.text) if said.type == "error" else None
        )
        self.page.on(
            "response",
            lambda answer: (
                self.problems.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
            ),
        )
        self.page.on("request", lambda asked: self._see(asked.url))

    def _see(self, address: str) -> None:
        if not address.startswith((self.url, "data:", "blob:")):
            self.strangers.append(address)

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def picture(self, name: str) -> None:
        """Keep what the page shows, once it has stopped asking for data."""
        self.page.wait_for_load_state("networkidle")
        self.page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")

    def close(self) -> None:
        self.page.close()
        assert (self.problems, self.strangers) == ([], [])


@pytest.fixture(scope="module")
def market(built_market: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The lake, and a Dagster home in which one rule has failed."""
    with pytest.MonkeyPatch.context() as patch:
        settings = write_market(built_market, tmp_path_factory.mktemp("browser"))
        patch.setenv("DAGSTER_HOME", "")
        dagster_home(settings)
        assert not judge(settings)
        yield settings


@pytest.fixture(scope="module")
def server(market: Settings) -> Iterator[Server]:
    with running_ui(market.lake_root.parents[1], environment={"FOOTPRINT_REPORT_TOKEN": TOKEN}) as ui:
        ui.wait_until_served()
        yield ui


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = browser_executable()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"], timeout=PATIENCE_MS
        )
        yield chromium
        chromium.close()


@pytest.fixture
def visit(server: Server, browser: Browser) -> Iterator[Visit]:
    found = Visit(browser.new_page(viewport=SIZE), server.url)
    yield found
    found.close()


def asset(key: str, view: str) -> str:
    return f"/assets/{key.replace('.', '/')}?view={view}"


def launched(server: Server) -> int:
    return int(server.graphql("{ runsOrError { ... on Runs { count } } }")["runsOrError"]["count"])


def is_green(colour: str) -> bool:
    red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    return green > red and green > blue


def test_the_graph_loads(visit: Visit) -> None:
    visit.open("/asset-groups")
    for group in GROUPS:
        expect(visit.page.get_by_text(group, exact=True).last).to_be_visible(timeout=PATIENCE_MS)
    visit.picture("tour-graph")
    visit.open(asset(PROFILE, "lineage"))
    expect(visit.page.get_by_text("trades_clean").first).to_be_visible(timeout=PATIENCE_MS)
    visit.picture("tour-lineage")


def test_a_failed_check_shows_its_reason(visit: Visit) -> None:
    visit.open(f"{asset(PROFILE, 'checks')}&checkDetail={RULE}")
    expect(visit.page.get_by_text("Failed", exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    expect(visit.page.get_by_text(re.compile(r"ESM5: .*silver\.future\.ohlcv\[1m\]"))).to_be_visible()
    visit.picture("tour-check")


def test_a_partition_is_materialised_and_turns_green(visit: Visit, market: Settings) -> None:
    page, dialog = visit.page, visit.page.get_by_role("dialog")
    visit.open(f"{asset(FRONT_MONTH, 'partitions')}&partition={NEXT}")
    page.get_by_role("button", name="Materialize").first.click()
    dialog.get_by_role("button", name="Show all partitions").click()
    chosen = dialog.get_by_role("textbox").first
    chosen.fill(str(NEXT))
    chosen.press("Enter")
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    visit.picture("tour-materialize")
    dialog.get_by_role("button", name="Launch 1 run").click()

    expect(page.get_by_text("Materialized (1)")).to_be_visible(timeout=PATIENCE_MS)
    page.reload()
    status = page.get_by_text("Materialized", exact=True).first
    expect(status).to_be_visible(timeout=PATIENCE_MS)
    assert is_green(status.evaluate("shown => getComputedStyle(shown).color"))
    visit.picture("tour-partition")
    manifests = Lake(market.lake_root).manifests(FRONT_MONTH, NEXT)
    assert {symbol: manifest.rows for symbol, manifest in manifests.items()} == {"ES": 2, "NQ": 1}


def test_a_page_of_a_stranger_gets_nothing(server: Server, browser: Browser) -> None:
    before, page = launched(server), browser.new_page()
    with stranger() as address:
        page.goto(address)
        outcome = page.evaluate(ATTACKS, [server.url, WIPE])
    page.close()
    assert outcome == dict.fromkeys(("text", "json", "picture", "form", "socket", "page"), "nothing")
    refused = re.findall(r"refused \w+ '([^']*)'", server.log.read_text())
    assert len(refused) >= 6  # it is the guard that said no, not the browser alone
    assert launched(server) == before


def test_read_only_shows_everything_and_changes_nothing(
    browser: Browser, server: Server, market: Settings
) -> None:
    folder, environment = market.lake_root.parents[1], {"FOOTPRINT_REPORT_TOKEN": TOKEN}
    with running_ui(folder, "--read-only", environment=environment, name="read-only") as shown:
        shown.wait_until_served()
        visit = Visit(browser.new_page(viewport=SIZE), shown.url)
        visit.open(asset(FRONT_MONTH, "partitions"))
        button = visit.page.get_by_role("button", name="Materialize").first
        expect(button).to_be_visible(timeout=PATIENCE_MS)
        expect(button).to_be_disabled(timeout=PATIENCE_MS)
        visit.picture("read-only")
        visit.close()
        assert shown.graphql(WIPE)["wipeAssets"]["__typename"] == "UnauthorizedError"
        report = f"/report_asset_materialization/{FRONT_MONTH.replace('.', '/')}?partition={NEXT}"
        assert shown.ask("POST", report, {"Authorization": f"Bearer {TOKEN}"}).status == 401


@pytest.mark.parametrize(
    "name", ["tour-graph", "tour-lineage", "tour-check", "tour-materialize", "tour-partition"]
)
def test_the_pictures_are_kept(name: str, browser: Browser) -> None:
    assert (PICTURES / f"{name}.png").stat().st_size > 10_000


ATTACKS = """
async ([ui, mutation]) => {
  const done = async (attempt) => {
    const late = new Promise((over) => setTimeout(() => over("nothing"), 60000));
    try { return await Promise.race([attempt(), late]); } catch { return "nothing"; }
  };
  const post = (type, mode) => async () => {
    const body = JSON.stringify({ query: mutation });
    const answer = await fetch(`${ui}/graphql`, { method: "POST", mode, headers: { "Content-Type": type }, body });
    return answer.type === "opaque" ? "nothing" : answer.text();
  };
  const loaded = (element, address) => () => new Promise((over) => {
    element.onload = () => over(element.contentDocument ? "loaded" : "nothing");
    element.onerror = () => over("nothing");
    element.src = address;
    document.body.append(element);
  });
  const inAddress = `${ui}/graphql?query=${encodeURIComponent(mutation)}`;
  return {
    text: await done(post("text/plain", "no-cors")),
    json: await done(post("application/json", "cors")),
    picture: await done(loaded(new Image(), inAddress)),
    form: await done(() => new Promise((over) => {
      document.body.innerHTML = `<iframe name=f></iframe><form target=f method=post enctype=text/plain action="${ui}/graphql">`;
      const frame = document.querySelector("iframe");
      document.querySelector("form").submit();
      setTimeout(() => over(frame.contentDocument ? "loaded" : "nothing"), 1000);
    })),
    socket: await done(() => new Promise((over) => {
      const socket = new WebSocket(ui.replace("http", "ws") + "/graphql", "graphql-ws");
      socket.onopen = () => over("open");
      socket.onerror = () => over("nothing");
    })),
    page: await done(loaded(document.createElement("iframe"), ui)),
  };
}
"""
"""What a page can try at another server: each attempt says what it got."""


class _Blank(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><html><body></body></html>")

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def stranger() -> Iterator[str]:
    """The address of an empty page that another program of this machine serves."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{pages.server_port}/"
        pages.shutdown()
