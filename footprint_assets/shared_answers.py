"""One answer for all who ask the same at the same time: every open page of the UI asks for the same graph.

An ASGI application around another one, free of Dagster. GraphQL is worked out in Python, one thread at a time, so that thirty-two
pages that load at once would wait for thirty-two answers. A question that is being answered is not joined, since its answer may be
older than the question; those who come meanwhile share the next one. So nobody waits for more than two answers, and no answer
is older than its question.
"""

from __future__ import annotations

import asyncio
import json

from footprint_assets.guard import GRAPHQL, Application, Message, Receive, Send

Answer = list[Message]


class SharedAnswers:
    """Answers equal GraphQL queries together, and hands everything else on.

    Args:
        application: The application behind, which knows no users: equal questions have equal answers.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._next: dict[bytes, asyncio.Task[Answer]] = {}
        self._begun: dict[bytes, asyncio.Task[Answer]] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if (scope["type"], scope.get("method"), scope.get("path")) != ("http", "POST", GRAPHQL):
            return await self._application(scope, receive, send)
        body = await _body_of(receive)
        if not _only_asks(body):
            return await self._application(scope, _replayed(body, receive), send)
        if body not in self._next:
            self._next[body] = asyncio.create_task(self._answer(scope, body, self._begun.get(body)))
        for message in await asyncio.shield(self._next[body]):  # who goes away takes nobody's answer along
            await send(dict(message))
        return None

    async def _answer(self, scope: Message, body: bytes, before: asyncio.Task[Answer] | None) -> Answer:
        """Make an answer as soon as the one before is made; who comes after that shares the one after."""
        if before is not None:
            await asyncio.wait([before])
        self._begun[body] = self._next.pop(body)
        answer: Answer = []

        async def keep(message: Message) -> None:
            answer.append(message)

        try:
            await self._application(scope, _replayed(body), keep)
        finally:
            del self._begun[body]
        return answer


async def _body_of(receive: Receive) -> bytes:
    """The whole body of a request."""
    parts = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


def _only_asks(body: bytes) -> bool:
    """Whether a request changes nothing: its document has no mutation, whatever it chooses of it."""
    try:
        query = json.loads(body)["query"]
    except (ValueError, KeyError, TypeError):
        return False
    return isinstance(query, str) and "mutation" not in query


def _replayed(body: bytes, then: Receive | None = None) -> Receive:
    """A request whose body has been read already."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        return await then() if then else {"type": "http.disconnect"}

    return receive
