"""The shell of every page: one document, one style, one policy, one chart library.

A page works from ``file://`` without network: library, data and styles are inside it, and its Content-Security-Policy
allows exactly the scripts it was written with, by hash. What comes from the data is text: escaped in HTML and in the
JSON block.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from footprint_assets.errors import FootprintError

LIBRARY = "vendor/lightweight-charts.js"
LIBRARY_SHA256 = "e21cc5caa0226ef30bd8549c50b9ef926615f2a4ee6b4e486353477a55f598cf"
CREDIT = (
    '<p class="credit">Charts: TradingView Lightweight Charts™, Copyright (c) 2026 TradingView, Inc., '
    '<a href="https://www.tradingview.com/" rel="noreferrer">tradingview.com</a>, Apache License 2.0.</p>'
)


class ReportError(FootprintError):
    """A page cannot be drawn from the given tables."""


@dataclass(frozen=True)
class Figure:
    """A figure of the header.

    Args:
        label: What it is.
        value: The number as text.
        tone: ``buy``, ``sell``, ``warn`` or empty.
    """

    label: str
    value: str
    tone: str = ""


@dataclass(frozen=True)
class Subject:
    """What a page is about.

    Args:
        name: The heading, such as a contract.
        where: The words beside it.
        simulated: Whether the page says that the market is simulated.
    """

    name: str
    where: str
    simulated: bool = False


def chart_page(
    subject: Subject, figures: Sequence[Figure], controls: str, footer: str, data: dict[str, Any], script: str
) -> str:
    """A page with one chart that fills the window.

    Args:
        subject: What it is about.
        figures: The header's figures.
        controls: HTML of the controls above the chart.
        footer: HTML below the chart.
        data: What the script draws.
        script: File name of the script.

    Returns:
        The document.
    """
    main = '<div id="chart"><div id="readout" aria-live="off"></div></div>'
    return drawn_page(subject, figures, main, footer, data, script, controls)


def drawn_page(
    subject: Subject,
    figures: Sequence[Figure],
    main: str,
    footer: str,
    data: dict[str, Any],
    script: str,
    controls: str = "",
) -> str:
    """A page whose charts a script draws.

    Args:
        subject: What it is about.
        figures: The header's figures.
        main: HTML of the content, with the places of the charts.
        footer: HTML below it.
        data: What the script draws.
        script: File name of the script.
        controls: HTML of the controls in the header.

    Returns:
        The document.
    """
    body = (
        f"{_header(subject, controls)}\n{_figures(figures)}\n<main>{main}</main>\n"
        f"<footer>{footer}{CREDIT}</footer>"
    )
    block = f'<script type="application/json" id="data">{_json_block(data)}</script>\n'
    return _document(subject, "loading", body, block, [_library(), _asset("chart.js"), _asset(script)])


def text_page(subject: Subject, figures: Sequence[Figure], main: str, state: str = "drawn") -> str:
    """A page without a chart.

    Args:
        subject: What it is about.
        figures: The header's figures.
        main: HTML of the content.
        state: ``drawn``, or ``empty`` where there is nothing to show.

    Returns:
        The document.
    """
    return _document(
        subject, state, f"{_header(subject, '')}\n{_figures(figures)}\n<main>{main}</main>", "", []
    )


def empty_page(subject: Subject, reason: str) -> str:
    """A page that says why there is nothing to show."""
    return text_page(subject, [], f'<div class="empty" id="empty">{html.escape(reason)}</div>', "empty")


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, name: str, numbers: Sequence[str] = ()
) -> str:
    """An HTML table.

    Args:
        headings: Of the columns, text.
        rows: Cells, HTML already: the caller escapes what comes from the data.
        name: The element's id.
        numbers: Headings of the columns that are set flush right.
    """
    right = [' class="number"' if heading in numbers else "" for heading in headings]
    head = "".join(
        f"<th{place}>{html.escape(text)}</th>" for text, place in zip(headings, right, strict=True)
    )
    lines = "".join(
        "<tr>"
        + "".join(f"<td{place}>{cell}</td>" for cell, place in zip(row, right, strict=True))
        + "</tr>\n"
        for row in rows
    )
    return f'<div class="scroll"><table id="{name}"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def signed(value: float, decimals: int = 0) -> str:
    """A number with its sign, zero without one."""
    return f"{value:+,.{decimals}f}" if value else f"{0:.{decimals}f}"


def tone(value: float) -> str:
    """Green above zero, red below."""
    return "buy" if value > 0 else "sell" if value < 0 else ""


def _figures(figures: Sequence[Figure]) -> str:
    return (
        '<dl class="summary">'
        + "".join(
            f"<div><dt>{html.escape(figure.label)}</dt>"
            f'<dd class="{figure.tone}">{html.escape(figure.value)}</dd></div>'
            for figure in figures
        )
        + "</dl>"
    )


def _header(subject: Subject, controls: str) -> str:
    badge = '<span class="badge">Simulated data</span>' if subject.simulated else ""
    return (
        f'<header><h1>{html.escape(subject.name)}</h1><span class="where">{html.escape(subject.where)}</span>{badge}'
        f'<div class="buttons">{controls}<button type="button" id="theme">Light / dark</button></div></header>\n'
        '<div id="problems" role="alert" hidden></div>'
    )


def _document(subject: Subject, state: str, body: str, data: str, scripts: list[str]) -> str:
    shell = _asset("shell.js")
    return Template(_asset("page.html")).substitute(
        state=state,
        policy=_policy([shell, *scripts]),
        title=html.escape(f"{subject.name} · {subject.where}"),
        style=_asset("page.css"),
        shell=shell,
        body=body,
        scripts=data + "\n".join(f"<script>{script}</script>" for script in scripts),
    )


def _policy(scripts: list[str]) -> str:
    """Allow the page's own scripts and nothing from a network; the chart library writes its styles inline."""
    allowed = " ".join(_script_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _script_hash(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def _json_block(data: dict[str, Any]) -> str:
    """Return JSON that no HTML parser can leave: ``<``, ``>`` and ``&`` appear only as escapes."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _asset(name: str) -> str:
    return files("footprint_assets.report").joinpath(name).read_text(encoding="utf-8")


def _library() -> str:
    script = _asset(LIBRARY)
    assert hashlib.sha256(script.encode()).hexdigest() == LIBRARY_SHA256, (
        "the chart library is not the vendored one"
    )
    return script
