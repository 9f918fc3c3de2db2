"""A real browser for pages: ``chromium`` opens HTML from ``file://`` with no network and reports what happened."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import BrowserType, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    # The browser's own calls home fail here, so that a test run talks to nobody.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
PATIENCE_MS = 120_000
"""Longest wait for what must come, ms: the machine may be busy."""

ASK = """
(async () => {
  const root = document.documentElement;
  const frame = () => new Promise((next) => requestAnimationFrame(next));
  const until = async (ready) => { while (!ready()) await frame(); };
  await until(() => document.readyState === "complete" && ["drawn", "empty"].includes(root.dataset.state));
  // A change is painted in the next frame, in the one after where it laid the chart out anew.
  const settled = async () => { for (let k = 0; k < 6; k++) await frame(); };
  const answer = await (async () => { %s })();
  root.dataset.answer = encodeURIComponent(JSON.stringify(answer));
})();
"""


@dataclass(frozen=True)
class Visit:
    """What one opening of a page showed.

    Args:
        dom: The document after its scripts ran.
        answer: What the script returned, or ``None``.
        console: What the page wrote to the console, and its uncaught errors.
        requests: Addresses outside the page that it asked for.
        problems: Errors, rejected promises and policy violations the page itself collected.
    """

    dom: str
    answer: Any
    console: tuple[str, ...]
    requests: tuple[str, ...]
    problems: int


@dataclass(frozen=True)
class Chromium:
    """A headless browser in real time, with a fresh profile for every page."""

    kind: BrowserType
    executable: str
    folder: Path

    def open(
        self,
        page: str,
        script: str | None = None,
        *,
        dark: bool = False,
        size: tuple[int, int] = (1600, 1000),
    ) -> Visit:
        """Open a page, optionally run the body of an async function once it is drawn, and report.

        The body may use ``await settled()`` to let a redraw finish.
        """
        if script is not None:
            page = with_script(page, ASK % script)
        dom, console, events = self._run(page, dark, size, is_asked=script is not None)
        root = dom[dom.find("<html") : dom.find(">", dom.find("<html"))]
        answer = re.search(r'data-answer="([^"]*)"', root)
        problems = re.search(r'data-problems="(\d+)"', root)
        return Visit(
            dom=dom,
            answer=json.loads(unquote(answer[1])) if answer else None,
            console=console,
            requests=_page_requests(events),
            problems=int(problems[1]) if problems else 0,
        )

    def _run(
        self, page: str, dark: bool, size: tuple[int, int], *, is_asked: bool
    ) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        """Open a page in a browser of its own; its document, its console and the browser's network log."""
        file = self.folder / f"page-{hashlib.sha256(page.encode()).hexdigest()[:16]}.html"
        file.write_text(page, encoding="utf-8", newline="\n")
        net_log = self.folder / "net-log.json"
        net_log.unlink(missing_ok=True)
        console: list[str] = []
        browser = self.kind.launch(
            executable_path=self.executable, args=[*FLAGS, f"--log-net-log={net_log}"], timeout=PATIENCE_MS
        )
        try:
            tab = browser.new_page(
                viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
            )
            tab.on("console", lambda said: console.append(said.text))
            tab.on("pageerror", lambda error: console.append(str(error)))
            tab.goto(file.as_uri(), timeout=PATIENCE_MS)
            if is_asked:
                tab.wait_for_selector("html[data-answer]", state="attached", timeout=PATIENCE_MS)
            dom = tab.content()
        finally:
            browser.close()  # the network log is complete then
        return dom, tuple(console), json.loads(net_log.read_text())


def with_script(page: str, script: str) -> str:
    """Add a script to a page the way its policy demands: with its hash."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = page.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    return page.replace("</body>", f"<script>{script}</script>\n</body>", 1)


def _page_requests(log: dict[str, Any]) -> tuple[str, ...]:
    # The browser's own requests carry no origin; those a page causes carry the page's.
    start = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    jobs = [
        event["params"]
        for event in log["events"]
        if event["type"] == start and "url" in event.get("params", {})
    ]
    return tuple(
        job["url"]
        for job in jobs
        if job.get("initiator") != "not an origin" and not job["url"].startswith(("file:", "data:", "blob:"))
    )


def browser_executable() -> str:
    """The browser of this machine; a test skips where none is installed. ``CHROMIUM`` names another executable."""
    names = (os.environ["CHROMIUM"],) if os.environ.get("CHROMIUM") else BROWSERS
    executable = next((found for name in names if (found := shutil.which(name))), None)
    if executable is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(names)})")
    return executable


@pytest.fixture(scope="module")  # playwright keeps an event loop running, which other tests must not meet
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A headless Chromium."""
    executable = browser_executable()
    with sync_playwright() as playwright:
        yield Chromium(playwright.chromium, executable, tmp_path_factory.mktemp("chromium"))
