"""Equal questions share answers, and no answer is older than its question."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from footprint_assets.guard import Message
from footprint_assets.shared_answers import SharedAnswers

QUERY = json.dumps({"query": "{ assetNodes { id } }"}).encode()
OTHER = json.dumps({"query": "{ version }"}).encode()
CHANGE = json.dumps({"query": "mutation { wipe }"}).encode()
HIDDEN = QUERY.replace(b"assetNodes", b"\\u006dutation")  # JSON may hide a letter, GraphQL cannot


@dataclass
class Server:
    """An application that answers with what it has seen, slowly: the first answers wait until they may go on."""

    answers: list[bytes] = field(default_factory=list)
    state: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        request = await receive()
        self.answers.append(request["body"])
        seen = self.state
        await self.open.wait()
        if self.fails:
            raise OSError("gone")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(seen).encode()})


async def ask(shared: SharedAnswers, body: bytes, path: str = "/graphql") -> str:
    """The body of the answer; the question comes in two parts."""
    parts = [
        {"type": "http.request", "body": body[5:], "more_body": False},
        {"type": "http.request", "body": body[:5], "more_body": True},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return parts.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    await shared({"type": "http", "method": "POST", "path": path}, receive, send)
    return str(sent[1]["body"].decode())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_those_who_come_while_an_answer_is_made_share_the_next_one() -> None:
    async def scene() -> None:
        server = Server()
        shared = SharedAnswers(server)
        first = asyncio.create_task(ask(shared, QUERY))
        await settle()
        server.state = 1  # after the first answer has begun
        rest = [asyncio.create_task(ask(shared, QUERY)) for _ in range(31)]
        await settle()
        assert len(server.answers) == 1
        server.open.set()
        assert await first == "0"
        assert [await task for task in rest] == ["1"] * 31
        assert server.answers == [QUERY, QUERY]
        assert await ask(shared, QUERY) == "1"  # nothing is kept: a later question is answered anew
        assert len(server.answers) == 3

    asyncio.run(scene())


@pytest.mark.parametrize("body", [CHANGE, HIDDEN, b"no JSON", b'{"query": 1}', b"[]"])
def test_what_may_change_something_is_never_shared(body: bytes) -> None:
    async def scene() -> None:
        server = Server()
        shared = SharedAnswers(server)
        asked = [asyncio.create_task(ask(shared, body)) for _ in range(3)]
        await settle()
        assert server.answers == [body] * 3
        server.open.set()
        await asyncio.gather(*asked)

    asyncio.run(scene())


def test_other_questions_and_other_paths_do_not_wait() -> None:
    async def scene() -> None:
        server = Server()
        shared = SharedAnswers(server)
        asked = [asyncio.create_task(ask(shared, body)) for body in (QUERY, OTHER)]
        asked.append(asyncio.create_task(ask(SharedAnswers(server), QUERY)))
        await settle()
        assert server.answers == [QUERY, OTHER, QUERY]
        server.open.set()
        await asyncio.gather(*asked)

    asyncio.run(scene())


def test_who_goes_away_takes_nobodys_answer_along_and_a_failure_is_everybodys() -> None:
    async def scene() -> None:
        server = Server()
        shared = SharedAnswers(server)
        gone, stays = (asyncio.create_task(ask(shared, QUERY)) for _ in range(2))
        await settle()
        gone.cancel()
        server.open.set()
        assert await stays == "0"
        server.fails = True
        failed = await asyncio.gather(*(ask(shared, QUERY) for _ in range(2)), return_exceptions=True)
        assert [type(error) for error in failed] == [OSError, OSError]
        server.fails = False
        assert await ask(shared, QUERY) == "0"

    asyncio.run(scene())
