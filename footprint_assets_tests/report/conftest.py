"""A real browser for pages: ``chromium`` opens HTML from ``file://`` with no network and reports what happened."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The browser's own calls home fail here, so that a test run talks to nobody.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
    "--v=0",
)
ASK = """
(async () => {
  const root = document.documentElement;
  const until = async (ready) => { while (!ready()) await new Promise((next) => setTimeout(next, 20)); };
  await until(() => document.readyState === "complete" && ["drawn", "empty"].includes(root.dataset.state));
  const settled = () => new Promise((next) => setTimeout(next, 400));
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
        console: Lines the page wrote to the console, errors included.
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
    """A headless browser with a fresh profile for every page."""

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
        dom, log, events = self._run(page, dark, size)
        root = dom[dom.find("<html") : dom.find(">", dom.find("<html"))]
        answer = re.search(r'data-answer="([^"]*)"', root)
        problems = re.search(r'data-problems="(\d+)"', root)
        return Visit(
            dom=dom,
            answer=json.loads(unquote(answer[1])) if answer else None,
            console=tuple(line for line in log.splitlines() if "CONSOLE" in line),
            requests=_page_requests(events),
            problems=int(problems[1]) if problems else 0,
        )

    def _run(self, page: str, dark: bool, size: tuple[int, int]) -> tuple[str, str, dict[str, Any]]:
        file = self.folder / f"page-{hashlib.sha256(page.encode()).hexdigest()[:16]}.html"
        file.write_text(page, encoding="utf-8", newline="\n")
        profile, net_log = self.folder / "profile", self.folder / "net-log.json"
        shutil.rmtree(profile, ignore_errors=True)
        net_log.unlink(missing_ok=True)
        done = subprocess.run(
            [
                self.executable,
                *FLAGS,
                f"--user-data-dir={profile}",
                f"--log-net-log={net_log}",
                "--virtual-time-budget=12000",
                f"--window-size={size[0]},{size[1]}",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                "--dump-dom",
                file.as_uri(),
            ],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=90,
            check=True,
        )
        return done.stdout, done.stderr, json.loads(net_log.read_text())


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


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    """A headless Chromium; tests over it skip where none is installed. ``CHROMIUM`` names another executable."""
    names = (os.environ["CHROMIUM"],) if os.environ.get("CHROMIUM") else BROWSERS
    executable = next((found for name in names if (found := shutil.which(name))), None)
    if executable is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(names)})")
    return Chromium(executable, tmp_path_factory.mktemp("chromium"))
