"""The passes of one run, as many at a time as a process has threads: the next that has its inputs is computed ahead.

Whoever runs the tables of a partition (Dagster, one step after the other) asks for pass after pass, in any order in
which each comes after its inputs. One computed before it is asked for is published at once, so that others can follow
it; what came of it waits. Which tables there are, and their bytes, are the same as computed one by one.

No pass is computed by the thread that asks: an interrupt strikes the one that waits, and ends a pass between two batches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from footprint_assets import background
from footprint_assets.errors import FootprintError
from footprint_assets.tables import AnyTable, Batch, PartitionScope, Staged, TableInput, Unchanged, stage_pass

Pass = tuple[AnyTable, ...]


@dataclass(frozen=True)
class Published:
    """A table's rows of one partition, validated and public; ``seconds`` is how long their pass took."""

    rows: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Refused:
    """A table of a pass that could not be published, or that comes after one."""

    error: FootprintError


Made = tuple[Published | Unchanged | Refused, ...]


class SideBySide:
    """The passes of one run.

    Args:
        passes: The passes that will be asked for, each after its inputs.
        present: Dataset keys of tables the run reads as they are; an input that is none of them and of no pass is made by
            somebody else, so that a pass with one waits until it is asked for.
        scope: The partition and the settings.
        run_id: The run that asks.
    """

    def __init__(self, passes: Sequence[Pass], present: Set[str], scope: PartitionScope, run_id: str) -> None:
        self._scope, self._run_id = scope, run_id
        self._needs = _needs(passes, present)
        self._urgent_first = sorted(
            passes, key=lambda together: -len(_dependents(together[0].key, self._needs))
        )
        self._threads = ThreadPoolExecutor(background.THREADS, "pass")
        self._running: dict[str, Future[Made]] = {}
        self._over: dict[str, Future[Made]] = {}
        self._published: set[str] = set()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin what can be computed before anything is asked for."""
        self._start_ready()

    def made(self, together: Pass) -> Made:
        """What came of a pass: computed by now, or computed while this waits.

        Args:
            together: Every table of the pass, in the order they are published.

        Returns:
            For each table what became of it.

        Raises:
            FootprintError: What stopped the pass before any table was published. Other passes go on, but for those that
                read its tables.
        """
        name = together[0].key
        try:
            if name not in self._running | self._over:
                self._start(together)
            self._start_ready()
            while name not in self._over:
                wait(self._running.values(), return_when=FIRST_COMPLETED)
                self._start_ready()
        except BaseException:  # an interrupt of the run
            self.stop()
            raise
        return self._over.pop(name).result()

    def stop(self) -> None:
        """Begin nothing more and publish nothing more; returns when what is being computed has ended, at its next batch."""
        self._stopped.set()
        self._urgent_first.clear()
        self._threads.shutdown(cancel_futures=True)

    def _start_ready(self) -> None:
        for name in [name for name, future in self._running.items() if future.done()]:
            self._over[name] = future = self._running.pop(name)
            if future.exception() is None and not any(isinstance(one, Refused) for one in future.result()):
                self._published.add(name)
        ready = [p for p in self._urgent_first if self._needs[p[0].key] <= self._published]
        for together in ready[: max(0, background.THREADS - len(self._running))]:
            self._start(together)

    def _start(self, together: Pass) -> None:
        self._urgent_first = [other for other in self._urgent_first if other[0].key != together[0].key]
        self._running[together[0].key] = self._threads.submit(self._make, together)

    def _make(self, together: Pass) -> Made:
        first, *others = together
        stoppable = replace(first, function=self._until_stopped(first.function))
        inputs = first.open_inputs(self._scope)
        staged = stage_pass((stoppable, *others), self._scope, inputs, self._run_id)
        try:
            self._go_on()
            return tuple(_published(staged))
        finally:
            for one in staged:
                if isinstance(one, Staged):
                    one.stage.discard()

    def _until_stopped(self, function: Callable[..., Iterable[Batch]]) -> Callable[..., Iterator[Batch]]:
        """A table's function that ends between two batches where the run has."""

        def batches(scope: PartitionScope, **inputs: TableInput) -> Iterator[Batch]:
            for batch in function(scope, **inputs):
                self._go_on()
                yield batch
                del batch  # nothing holds it while the next one is made

        return batches

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise InterruptedError("the run ended while a table was computed")


class Runs:
    """The runs of one graph in this process, one at a time."""

    def __init__(self) -> None:
        self._begun: tuple[str, SideBySide] | None = None

    def of(self, run_id: str) -> SideBySide | None:
        """The passes of a run, if they are begun."""
        return self._begun[1] if self._begun is not None and self._begun[0] == run_id else None

    def begin(
        self, run_id: str, graph: Iterable[Pass], wanted: Set[str], scope: PartitionScope
    ) -> SideBySide:
        """Begin the passes of a run: the first are computed from now on.

        Args:
            run_id: The run.
            graph: Every pass of the graph, each after its inputs.
            wanted: First dataset keys of the passes the run will ask for.
            scope: The partition and the settings.
        """
        passes = list(graph)
        present = {table.key for together in passes if together[0].key not in wanted for table in together}
        begun = SideBySide([p for p in passes if p[0].key in wanted], present, scope, run_id)
        self._begun = run_id, begun
        begun.start()
        return begun

    def end(self) -> None:
        """Leave the run: what it did not ask for is not computed or published."""
        if self._begun is not None:
            self._begun[1].stop()
            self._begun = None


def _published(staged: Iterable[Staged | Unchanged]) -> Iterator[Published | Unchanged | Refused]:
    """Publish table after table; where one cannot be, those after it must not stay, those before it do."""
    refused: Refused | None = None
    for one in staged:
        if isinstance(one, Staged) and refused is None:
            try:
                one.stage.publish()
            except FootprintError as error:
                refused = Refused(error)
        yield refused or (Published(one.rows, one.seconds) if isinstance(one, Staged) else one)


def _needs(passes: Sequence[Pass], present: Set[str]) -> dict[str, set[str]]:
    """What each pass waits for, by the key of its first table: passes by that of theirs, tables made elsewhere."""
    place = {table.key: together[0].key for together in passes for table in together}
    return {
        together[0].key: {place.get(key, key) for key in together[0].comes_after if key not in present}
        for together in passes
    }


def _dependents(name: str, needs: dict[str, set[str]]) -> set[str]:
    """The passes that cannot begin before one is published, those after them included."""
    found: set[str] = set()
    todo = {name}
    while todo:
        todo = {other for other, needed in needs.items() if needed & todo} - found
        found |= todo
    return found
