"""What may reach the Dagster webserver: it knows no users, so that whatever reaches it can start runs.

An ASGI application around another one, free of Dagster. A browser asks in the name of every page it has open, and those
pages are strangers: each rule below refuses one way in which one of them, or a name that was bent to this machine, would
be answered. Programs such as curl and Dagster's GraphQL client send no ``Origin`` and no ``Sec-Fetch-Site``, and pass.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from footprint_assets.errors import FootprintError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
"""An ASGI 3 application."""

GRAPHQL = "/graphql"
REPORTS = "/report_asset_"
"""Where the endpoints begin that write events into the instance."""

TOKEN = "FOOTPRINT_REPORT_TOKEN"  # noqa: S105 - the name of the variable
TOKEN_LENGTH = 32
"""Shortest token, characters."""

LOGGED = 100
"""Longest path in a line of the log, characters."""

_LOG = logging.getLogger(__name__)
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?")


class TokenTooShort(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The token of the report endpoints can be guessed."""


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered.

    Args:
        status: HTTP status.
        reason: One sentence for the person who sent it.
    """

    status: int
    reason: str


@dataclass(frozen=True)
class Access:
    """Who is answered.

    Args:
        hosts: Names and addresses under which a browser may reach the server, lower case, without a port; IPv6 in brackets.
        token: What a program shows at the report endpoints; they are closed where it is ``None``.
    """

    hosts: frozenset[str]
    token: str | None = None


@dataclass(frozen=True)
class Request:
    """A request as the rules see it.

    Args:
        kind: ``http`` or ``websocket``.
        method: HTTP method; ``GET`` for a WebSocket.
        path: Decoded path without the query.
        headers: Every value a header was sent with, by lower-case name.
    """

    kind: str
    method: str
    path: str
    headers: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, scope: Message) -> Request:
        """The request of an ASGI connection scope."""
        headers: dict[str, tuple[str, ...]] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            headers[key] = (*headers.get(key, ()), value.decode("latin-1").strip())
        return cls(scope["type"], scope.get("method", "GET"), scope["path"], headers)

    def one(self, name: str) -> str:
        """The value of a header sent once; empty where it was sent never or, which no honest program does, twice."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 else ""

    @property
    def is_link(self) -> bool:
        """Whether a browser opens a page of its own, as for a link in a mail; a frame in a page is not one."""
        return (
            (self.kind, self.method) == ("http", "GET")
            and self.one("sec-fetch-mode") == "navigate"
            and self.one("sec-fetch-dest") == "document"
        )


Rule = Callable[[Request, Access], Refusal | None]


def known_host(request: Request, access: Access) -> Refusal | None:
    """The name the browser believes in is ours: a page whose name was bent to this address (DNS rebinding) asks under its own."""
    found = _HOST.fullmatch(request.one("host").lower())
    if found and found["name"] in access.hosts:
        return None
    return Refusal(403, "This server does not answer to that host name; FOOTPRINT_UI__HOSTS lists its names.")


def same_origin(request: Request, _access: Access) -> Refusal | None:
    """Whoever asks out of a page asks out of one of ours; a link from elsewhere may open a page."""
    host, origins = request.one("host").lower(), request.headers.get("origin", ())
    if any(origin.lower() not in (f"http://{host}", f"https://{host}") for origin in origins):
        return Refusal(403, "Pages of another origin are not answered.")
    sites = request.headers.get("sec-fetch-site", ())
    if any(site not in ("same-origin", "none") for site in sites) and not request.is_link:
        return Refusal(403, "Pages of another site are not answered.")
    return None


def plain_path(request: Request, _access: Access) -> Refusal | None:
    """A path names what it names: no step up, no empty part, nothing a file system would read differently."""
    parts = request.path.split("/")[1:]
    if (
        {".", ".."}.intersection(parts)
        or "" in parts[:-1]
        or not request.path.isprintable()
        or "\\" in request.path
    ):
        return Refusal(400, "This path is not a plain one.")
    return None


def known_method(request: Request, _access: Access) -> Refusal | None:
    """Pages are read with GET; what can change something is POST, which a link or a picture never sends."""
    written = request.path == GRAPHQL or request.path.startswith(REPORTS)
    allowed = ("POST",) if written and request.kind == "http" else ("GET", "HEAD")
    if request.method in allowed:
        return None
    return Refusal(405, f"Only {' and '.join(allowed)} here.")


def graphql_is_json(request: Request, _access: Access) -> Refusal | None:
    """A query comes as JSON: a browser sends forms and text to foreign servers without asking them first, JSON never."""
    if (request.kind, request.path) != ("http", GRAPHQL):
        return None
    if request.one("content-type").partition(";")[0].strip().lower() == "application/json":
        return None
    return Refusal(415, "GraphQL is taken as application/json only.")


def subscriptions_only(request: Request, _access: Access) -> Refusal | None:
    """The one WebSocket there is, is that of the GraphQL subscriptions."""
    if request.kind == "websocket" and request.path != GRAPHQL:
        return Refusal(403, "No WebSocket here.")
    return None


def reports_show_the_token(request: Request, access: Access) -> Refusal | None:
    """Whoever reports an event shows the token; without one the endpoints are closed."""
    if not request.path.startswith(REPORTS):
        return None
    shown = request.one("authorization").encode()
    if access.token and hmac.compare_digest(shown, f"Bearer {access.token}".encode()):
        return None
    return Refusal(403, "Reports need 'Authorization: Bearer ...' with the token of " + TOKEN + ".")


RULES: tuple[Rule, ...] = (
    known_host,
    same_origin,
    plain_path,
    known_method,
    graphql_is_json,
    subscriptions_only,
    reports_show_the_token,
)
"""Asked in this order; the first refusal counts."""


def refusal_of(request: Request, access: Access, rules: Iterable[Rule] = RULES) -> Refusal | None:
    """The first refusal of a request, or ``None`` where it may pass."""
    return next((refusal for rule in rules if (refusal := rule(request, access))), None)


def report_token() -> str | None:
    """Take the token of the report endpoints out of the environment, so that no run inherits it.

    Raises:
        TokenTooShort: It has fewer than ``TOKEN_LENGTH`` characters.
    """
    token = os.environ.pop(TOKEN, "")
    if 0 < len(token) < TOKEN_LENGTH:
        raise TokenTooShort(
            "The token of the report endpoints can be guessed.",
            where={"variable": TOKEN, "characters": len(token)},
            remedy=f"export {TOKEN}=$(openssl rand -hex 32)",
        )
    return token or None


class Guard:
    """An ASGI application that answers what may pass with another one, and refuses the rest before it is reached.

    Args:
        application: The application behind.
        access: Who is answered.
    """

    def __init__(self, application: Application, access: Access) -> None:
        self._application, self._access = application, access

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] in ("http", "websocket"):
            request = Request.of(scope)
            if refusal := refusal_of(request, self._access):
                # Neither headers nor the query: they may hold what is nobody's business.
                _LOG.warning("refused %s %r: %s", request.method, request.path[:LOGGED], refusal.reason)
                return await _refuse(request, refusal, send)
        return await self._application(scope, receive, send)


async def _refuse(request: Request, refusal: Refusal, send: Send) -> None:
    if request.kind == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the server answers 403
        return
    body = f"{refusal.reason}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body if request.method != "HEAD" else b""})
