"""Overlapping deliveries: several files that cover the same window become one stream, each event once.

Byte-identical rows inside one file are distinct fills and stay. Only re-delivered copies go: of every row the result
holds the maximum over the files of its count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.errors import FootprintError
from footprint_assets.kernels.event_order import event_order, newest_of_none

EVENT_ORDER = ("ts_event", "sequence", "record_index")
REORDER_HORIZON_NS = 10 * 1_000_000_000
"""How far ``ts_event`` of a row out of order may lie behind its receive time before the row counts as late, ns."""

Int64 = NDArray[np.int64]


class DeliveryOrderError(FootprintError):
    """A delivery is not in receive order, so it cannot be merged in bounded memory."""


@dataclass
class DeliveryTally:
    """Rows that did not pass, by named rule."""

    redelivered_copies: int = 0
    late: list[pl.DataFrame] = field(default_factory=list)


def merge_deliveries(parts: Sequence[Iterable[pl.DataFrame]], tally: DeliveryTally) -> Iterator[pl.DataFrame]:
    """Merge deliveries in receive order and drop re-delivered copies.

    Args:
        parts: One stream of batches a delivery; each sorted by ``ts_recv``, all with the same columns, among them
            ``record_index`` (the row's position in its own file, which is no part of its identity).
        tally: Receives the number of re-delivered copies.

    Yields:
        Batches in receive order. A window only one delivery covers passes through untouched.

    Raises:
        DeliveryOrderError: A delivery goes back in receive time.
    """
    streams = [_in_receive_order(part, i) for i, part in enumerate(parts)]
    heads = {i: head for i, stream in enumerate(streams) if (head := next(stream, None)) is not None}
    ended = set(range(len(streams))) - set(heads)

    def refill(i: int) -> None:
        more = next(streams[i], None)
        if more is None:
            ended.add(i)
        else:
            heads[i] = pl.concat([heads[i], more]) if i in heads else more

    while heads:
        starts = sorted((int(_numbers(head, "ts_recv")[0]), i) for i, head in heads.items())
        first = starts[0][1]
        if len(starts) == 1 or _numbers(heads[first], "ts_recv")[-1] < starts[1][0]:
            yield heads.pop(first)
            refill(first)
            continue
        last = {i: int(_numbers(head, "ts_recv")[-1]) for i, head in heads.items() if i not in ended}
        limit = min(last.values(), default=None)
        ready = []
        for i, head in list(heads.items()):
            cut = head.height if limit is None else int(np.searchsorted(_numbers(head, "ts_recv"), limit))
            ready += [head[:cut]] if cut else []
            heads[i] = head[cut:]
            if cut == head.height:
                del heads[i]
        for i in last:
            # The stream that sets the limit must move on, or nothing ever would.
            if i not in heads or last[i] == limit:
                refill(i)
        if len(ready) == 1:
            yield ready[0]
        elif ready:
            yield _largest_count(ready, tally)


def _numbers(frame: pl.DataFrame, column: str) -> Int64:
    found: Int64 = frame[column].to_physical().to_numpy()
    return found


def _in_receive_order(batches: Iterable[pl.DataFrame], delivery: int) -> Iterator[pl.DataFrame]:
    """The batches that hold rows, refused where one goes back in receive time."""
    newest = None
    for batch in batches:
        if batch.is_empty():
            continue
        times = _numbers(batch, "ts_recv")
        if (newest is not None and newest > times[0]) or (times[1:] < times[:-1]).any():
            raise DeliveryOrderError(
                "A delivery goes back in receive time.",
                where={"delivery": delivery, "record_index": batch["record_index"][0]},
                remedy="download the file again; ingest shows the file's own faults.",
            )
        newest = times[-1]
        yield batch


def _largest_count(frames: list[pl.DataFrame], tally: DeliveryTally) -> pl.DataFrame:
    """The multiset union of frames of one window: of each row the maximum over the frames of its count."""
    identity = [name for name in frames[0].columns if name != "record_index"]
    numbered = [
        frame.with_columns(pl.int_range(pl.len()).over(identity).alias("_copy"), pl.lit(i).alias("_delivery"))
        for i, frame in enumerate(frames)
    ]
    merged = pl.concat(numbered)
    kept = merged.unique(subset=[*identity, "_copy"], keep="first", maintain_order=True)
    tally.redelivered_copies += merged.height - kept.height
    return kept.sort("ts_recv", "sequence", "_delivery", "record_index", maintain_order=True).drop(
        "_copy", "_delivery"
    )


class EventOrder:
    """Puts a stream in receive order into event order: stable by ``(ts_event, sequence, record_index)``.

    Exchange files arrive nearly sorted, so the order is verified first and mended inside a short horizon only. A batch in
    order passes as it is, once no later row may come before its last one. Any cut of the stream gives the same rows.

    Args:
        tally: Receives late rows: those that come after a later event, and after the horizon.
        horizon_ns: How long rows wait for earlier events, ns.
    """

    CARRIED: ClassVar[tuple[str, ...]] = ("held", "_newest")

    def __init__(self, tally: DeliveryTally, horizon_ns: int = REORDER_HORIZON_NS) -> None:
        self._tally, self._horizon_ns = tally, horizon_ns
        self._held: list[pl.DataFrame] = []
        self._newest = newest_of_none()

    @property
    def held(self) -> pl.DataFrame | None:
        """The rows that wait; None without any."""
        return pl.concat(self._held) if self._held else None

    @held.setter
    def held(self, rows: pl.DataFrame | None) -> None:
        self._held = [] if rows is None else [rows]

    def push(self, batch: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Take a batch in, and hand out the rows no later one may come before.

        Args:
            batch: At least one row with ``ts_event``, ``ts_recv``, ``sequence`` and ``record_index``, in receive order;
                never received before those of an earlier batch.

        Yields:
            Rows in event order.
        """
        frame = batch
        ts_event, sequence, index, ts_recv = (_numbers(batch, name) for name in (*EVENT_ORDER, "ts_recv"))
        late, backwards = event_order(ts_event, sequence, index, ts_recv, self._horizon_ns, self._newest)
        if late.any():
            self._tally.late.append(batch.filter(late))
            frame = batch.filter(~late)
        self._held.append(frame)
        edge = int(ts_recv[-1]) - self._horizon_ns
        if backwards:
            mended = pl.concat(self._held).sort(*EVENT_ORDER, maintain_order=True)
            cut = int(np.searchsorted(_numbers(mended, "ts_event"), edge))
            self._held = [mended[:cut], mended[cut:]]
        self._held = [frame for frame in self._held if frame.height]
        while self._held and _numbers(self._held[0], "ts_event")[-1] < edge:
            yield self._held.pop(0)

    def rest(self) -> Iterator[pl.DataFrame]:
        """The rows that wait when the stream is over."""
        while self._held:
            yield self._held.pop(0)
