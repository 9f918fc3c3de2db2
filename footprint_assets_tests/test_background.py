"""Work ahead and behind: order, exceptions, an early end, and the same with one thread."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from footprint_assets import background
from footprint_assets.background import Behind, ahead, aside


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(background, "THREADS", request.param)
    return int(request.param)


def counted(until: int, seen: list[str]) -> Iterator[int]:
    for number in range(until):
        seen.append(threading.current_thread().name)
        yield number
    raise ValueError("after the last")


def test_items_come_in_order_and_the_iterators_exception_after_them(threads: int) -> None:
    ran_in: list[str] = []
    items = ahead(counted(5, ran_in))
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="after the last"):
        next(items)
    assert all(name.startswith("ahead") == (threads == 2) for name in ran_in)


def test_an_early_end_makes_no_more_than_the_items_ahead(threads: int) -> None:
    ran_in: list[str] = []
    items = ahead(counted(100, ran_in), depth=2)
    assert next(items) == 0
    items.close()
    assert len(ran_in) <= 1 + 2 * (threads - 1) + (threads - 1)


def test_pieces_run_one_after_the_other_in_their_order(threads: int) -> None:
    done: list[int] = []
    behind = Behind()
    for number in range(50):
        behind.run(lambda number=number: done.append(number))  # type: ignore[misc]
    behind.close()
    assert done == list(range(50))


def test_the_exception_of_a_piece_reaches_the_giver_once(threads: int) -> None:
    def fail() -> None:
        raise OSError("disk full")

    def fail_behind() -> None:
        behind.run(fail)
        behind.wait()

    behind = Behind()
    with pytest.raises(OSError, match="disk full"):
        fail_behind()
    behind.close()


def test_an_interrupt_waits_for_work_done_aside() -> None:
    done: list[str] = []

    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        interrupted.wait(60)
        done.append("to its end")

    def interrupt(*_: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    interrupted = threading.Event()
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            aside(work)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["to its end"]


def test_work_done_aside_gives_its_result_and_its_exception() -> None:
    def fail() -> None:
        raise OSError("disk full")

    assert aside(lambda: 1) == 1
    with pytest.raises(OSError, match="disk full"):
        aside(fail)
