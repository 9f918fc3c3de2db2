"""Markdown of our own documents as HTML: text, headings, lists and tables; what would be HTML or an address stays text."""

from __future__ import annotations

from functools import cache

from markdown_it import MarkdownIt


def as_html(text: str) -> str:
    """HTML of a document, everything in it escaped."""
    rendered: str = _parser().render(text)
    return rendered


@cache
def _parser() -> MarkdownIt:
    rules = MarkdownIt("commonmark", {"html": False}).enable("table")
    # A page knows no address: links and pictures are shown as they are written.
    return rules.disable(["link", "image", "autolink", "html_inline", "html_block", "reference"])
