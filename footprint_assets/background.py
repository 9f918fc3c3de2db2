"""The second core: work done ahead of the thread that needs it, or behind the thread that gave it.

Decompression, Parquet and kernels give the interpreter up while they run, so a thread is enough. What is computed, and
in which order, is the same with one thread as with two.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

_ASKED: Final = os.environ.get("FOOTPRINT_THREADS", "")
THREADS: Final = int(_ASKED) if _ASKED.isdecimal() else min(2, os.cpu_count() or 1)
"""Threads a process works with: 2 for one trade date after the other, 1 where every core has a process of its own.

``FOOTPRINT_THREADS`` says otherwise (`settings` refuses what is no number). Like the threads of polars it belongs to the
process, so it is no setting.
"""

_END: Final = object()


def ahead(items: Iterator[T], depth: int = 1) -> Generator[T, None, None]:
    """Take the items of an iterator before they are asked for.

    Args:
        items: Where they come from; runs in a thread of its own. What it gives must stay valid while the next ``depth``
            items are made.
        depth: Items made ahead.

    Yields:
        The items, in their order. An exception of the iterator is raised where its item would be. Whoever stops early
        closes the generator, which waits for the item being made.
    """
    if THREADS == 1:
        yield from items
        return
    with ThreadPoolExecutor(1, "ahead") as thread:
        waiting: deque[Future[object]] = deque(thread.submit(next, items, _END) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(thread.submit(next, items, _END))
                yield item  # type: ignore[misc]  # not the end, so an item
        finally:
            for pending in waiting:
                pending.cancel()


def aside(work: Callable[[], T]) -> T:
    """Do work in a thread of its own, and wait for it.

    An interrupt strikes the main thread, wherever it is. There it would be raised inside a callback of native code, which
    cannot take it (polars panics); so native code runs beside, and the thread that waits takes it when the work is over.

    Args:
        work: What to do.

    Returns:
        What it gives; its exceptions are raised.
    """
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    thread = threading.Thread(target=run, name="aside")
    try:
        thread.start()
        return result.result()
    finally:
        if thread.is_alive():  # interrupted, perhaps before start() returned
            thread.join()


class Behind:
    """Work given away: one piece at a time, in the order given, while the giver goes on.

    At most one piece waits or runs, so that memory stays bounded. An exception of a piece is raised by the next call.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def run(self, work: Callable[[], None]) -> None:
        """Wait for the piece before, then start this one."""
        self.wait()
        if THREADS == 1:
            work()
            return
        self._thread = self._thread or ThreadPoolExecutor(1, "behind")
        self._last = self._thread.submit(work)

    def wait(self) -> None:
        """Wait for the piece given last."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """Wait for the piece given last, and end the thread."""
        try:
            self.wait()
        finally:
            if self._thread is not None:
                self._thread.shutdown()
                self._thread = None
