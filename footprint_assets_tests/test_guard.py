"""The rules of the guard, and that it hands on what it does not refuse; real requests are in ``ui/test_launcher.py``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from footprint_assets.guard import Access, Guard, Message, Request, refusal_of

OURS = Access(frozenset({"127.0.0.1", "localhost", "[::1]"}), token="t" * 32)
HOST = (b"host", b"127.0.0.1:3000")
JSON = (b"content-type", b"application/json")
BEARER = (b"authorization", b"Bearer " + b"t" * 32)


def scope(
    *headers: tuple[bytes, bytes], path: str = "/graphql", method: str = "POST", kind: str = "http"
) -> Message:
    return {"type": kind, "method": method, "path": path, "headers": list(headers)}


def status(*headers: tuple[bytes, bytes], access: Access = OURS, **asked: Any) -> int | None:
    refusal = refusal_of(Request.of(scope(*headers, **asked)), access)
    return refusal.status if refusal else None


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST:3000", "[::1]:3000", "localhost:80"])
def test_a_known_host_passes_with_any_port(host: str) -> None:
    assert status((b"host", host.encode()), JSON) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "::1",
        "localhost.",
        "localhost:",
        "localhost:http",
        "localhost.evil.example",
        "a@localhost",
        "127.1",
    ],
)
def test_any_other_host_is_refused(host: str) -> None:
    assert status((b"host", host.encode()), JSON) == 403


@pytest.mark.parametrize("name", ["host", "content-type", "authorization"])
def test_a_header_that_decides_is_sent_once(name: str) -> None:
    headers = {"host": HOST, "content-type": JSON, "authorization": BEARER}
    path = "/report_asset_check/x" if name == "authorization" else "/graphql"
    assert status(*headers.values(), path=path) is None
    assert status(*headers.values(), headers[name], path=path) in (403, 415)


def test_one_foreign_origin_among_several_is_refused() -> None:
    ours, foreign = (b"origin", b"http://127.0.0.1:3000"), (b"origin", b"http://evil.example")
    assert status(HOST, JSON, ours) is None
    assert status(HOST, JSON, ours, foreign) == 403


def test_the_same_origin_is_the_same_port_with_or_without_tls() -> None:
    assert status(HOST, JSON, (b"origin", b"https://127.0.0.1:3000")) is None
    for other in (
        b"http://127.0.0.1",
        b"http://127.0.0.1:30000",
        b"http://localhost:3000",
        b"ftp://127.0.0.1:3000",
    ):
        assert status(HOST, JSON, (b"origin", other)) == 403


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json ;x=y"]
)
def test_json_may_carry_parameters(media: str) -> None:
    assert status(HOST, (b"content-type", media.encode())) is None


def test_reports_are_closed_without_a_token() -> None:
    assert status(HOST, BEARER, path="/report_asset_check/x") is None
    for nobody in (Access(OURS.hosts), Access(OURS.hosts, token="")):
        assert status(HOST, BEARER, path="/report_asset_check/x", access=nobody) == 403
        assert (
            status(HOST, (b"authorization", b"Bearer "), path="/report_asset_check/x", access=nobody) == 403
        )


@pytest.mark.parametrize(
    "path", ["/", "/assets/gold/future/x", "/locations/a.b@c/jobs/", "/runs/1-2", "/_next/static/a.js"]
)
def test_the_paths_of_the_pages_are_plain(path: str) -> None:
    assert status(HOST, path=path, method="GET") is None


async def answered(connection: Message) -> list[Message]:
    """What goes out for a connection, with an application behind that answers everything."""
    sent: list[Message] = []

    async def behind(_scope: Message, _receive: Any, send: Any) -> None:
        await send({"type": "behind"})

    async def receive() -> Message:
        raise AssertionError("a refused request is not read")

    async def send(message: Message) -> None:
        sent.append(message)

    await Guard(behind, OURS)(connection, receive, send)
    return sent


def test_the_guard_answers_for_the_application_or_hands_on() -> None:
    assert asyncio.run(answered(scope(HOST, JSON))) == [{"type": "behind"}]
    assert asyncio.run(answered({"type": "lifespan"})) == [{"type": "behind"}]
    start, body = asyncio.run(answered(scope(JSON)))
    assert (start["status"], body["body"].decode()[:11]) == (403, "This server")
    _, body = asyncio.run(answered(scope(HOST, method="HEAD")))
    assert body["body"] == b""
    assert asyncio.run(answered(scope(kind="websocket"))) == [{"type": "websocket.close", "code": 1008}]
