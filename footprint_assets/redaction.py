"""Keeps secrets out of what is written for people: log records and messages on the terminal.

A secret is a Databento key, a password inside a URL or a connection string, and the value of any environment variable
whose name says that it is one.
"""

from __future__ import annotations

import logging
import os
import re
from functools import cache
from typing import Any, Final

HIDDEN: Final = "[hidden]"
SHORTEST_SECRET: Final = 8
"""Characters: a shorter value would hide ordinary words."""

_SECRET_NAME = re.compile(r"(KEY|PASSWORD|PASSWD|TOKEN|SECRET)$")
_DATABENTO_KEY = re.compile(r"\bdb-[A-Za-z0-9]{29}\b")
_URL_PASSWORD = re.compile(r"\b([a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+@", re.IGNORECASE)
_DSN_PASSWORD = re.compile(r"\b(password\s*=\s*)('[^']*'|[^\s&;,)]+)", re.IGNORECASE)


def redact(text: str) -> str:
    """Take the secrets out of a text.

    Args:
        text: Any text.

    Returns:
        The text with ``[hidden]`` in the place of each secret.
    """
    for secret in _secrets(_named_secrets()):
        text = text.replace(secret, HIDDEN)
    text = _DATABENTO_KEY.sub(HIDDEN, text)
    text = _URL_PASSWORD.sub(rf"\1{HIDDEN}@", text)
    return _DSN_PASSWORD.sub(rf"\1{HIDDEN}", text)


def redact_logs() -> None:
    """Take the secrets out of every log record this process makes from now on, whatever handles it."""
    before = logging.getLogRecordFactory()
    if not isinstance(before, _RedactingFactory):
        logging.setLogRecordFactory(_RedactingFactory(before))


class _RedactingFactory:
    """Makes log records whose message and traceback hold no secret.

    Args:
        make: The factory that makes them.
    """

    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._make(*args, **kwargs)
        message = record.getMessage()
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, ()
        if record.exc_info:  # a formatter that finds the text does not make it again
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        return record


def _named_secrets() -> frozenset[str]:
    return frozenset(
        value
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET
    )


@cache
def _secrets(named: frozenset[str]) -> tuple[str, ...]:
    """Longest first: one may be part of another."""
    return tuple(sorted(named, key=lambda secret: (-len(secret), secret)))
