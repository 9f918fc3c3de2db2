"""Overlapping deliveries: several files that cover the same window become one stream, each event once.

Byte-identical rows inside one file are distinct fills and stay. Only re-delivered copies go: of every row the result
holds the maximum over the files of its count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from footprint_assets.errors import FootprintError

EVENT_ORDER = ("ts_event", "sequence", "record_index")
REORDER_HORIZON_NS = 10 * 1_000_000_000
"""How far ``ts_event`` may lie behind the receive time before a row counts as late, ns."""


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
    streams = [iter(part) for part in parts]
    heads: list[pl.DataFrame | None] = [None] * len(streams)

    def refill(i: int) -> bool:
        batch = next((b for b in streams[i] if b.height), None)
        if batch is None:
            return False
        head = heads[i]
        times = batch["ts_recv"]
        if not times.is_sorted() or (head is not None and head["ts_recv"][-1] > times[0]):
            raise DeliveryOrderError(
                "A delivery goes back in receive time.",
                where={"delivery": i, "record_index": batch["record_index"][0]},
                remedy="download the file again; ingest shows the file's own faults.",
            )
        heads[i] = batch if head is None else pl.concat([head, batch])
        return True

    live = [refill(i) for i in range(len(streams))]
    while any(head is not None for head in heads):
        last = [head["ts_recv"][-1] for i, head in enumerate(heads) if head is not None and live[i]]
        limit = min(last) if last else None
        ready: list[pl.DataFrame] = []
        for i, head in enumerate(heads):
            if head is None:
                continue
            cut = head.height if limit is None else head["ts_recv"].search_sorted(limit, side="left")
            if cut:
                ready.append(head[:cut])
                heads[i] = head[cut:] if cut < head.height else None
        for i, head in enumerate(heads):
            # The stream that sets the limit must move on, or nothing ever would.
            if live[i] and (head is None or head["ts_recv"][-1] == limit):
                live[i] = refill(i)
        if len(ready) == 1:
            yield ready[0]
        elif ready:
            yield _largest_count(ready, tally)


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


def in_event_order(
    batches: Iterable[pl.DataFrame], tally: DeliveryTally, horizon_ns: int = REORDER_HORIZON_NS
) -> Iterator[pl.DataFrame]:
    """Put a stream in receive order into event order: stable by ``(ts_event, sequence, record_index)``.

    Exchange files arrive nearly sorted, so the order is verified first and mended inside a short horizon only.

    Args:
        batches: Batches in receive order with ``ts_event``, ``ts_recv``, ``sequence``, ``record_index``.
        tally: Receives late rows: those whose ``ts_event`` lies before what has already been passed on.
        horizon_ns: How long rows wait for earlier events, ns.

    Yields:
        Batches whose concatenation is sorted by ``ts_event``.
    """
    waiting: pl.DataFrame | None = None
    passed = None
    horizon = pl.duration(nanoseconds=horizon_ns)
    for batch in batches:
        frame = batch if waiting is None else pl.concat([waiting, batch])
        if passed is not None:
            late = pl.col("ts_event") < passed
            if frame.select(late.any()).item():
                tally.late.append(frame.filter(late))
                frame = frame.filter(~late)
                if frame.is_empty():
                    waiting = None
                    continue
        if not _sorted(frame):
            frame = frame.sort(*EVENT_ORDER, maintain_order=True)
        edge = batch.select(pl.col("ts_recv").last() - horizon).item()
        cut = frame["ts_event"].search_sorted(edge, side="left")
        if cut:
            passed = frame["ts_event"][cut - 1]
            yield frame[:cut]
        waiting = frame[cut:] if cut < frame.height else None
    if waiting is not None:
        yield waiting


def _sorted(frame: pl.DataFrame) -> bool:
    """Whether rows stand in event order already; one pass, no copy."""
    times, sequence = pl.col("ts_event"), pl.col("sequence")
    return bool(
        frame.select(
            (
                (times.diff() < pl.duration(nanoseconds=0))
                | ((times.diff() == pl.duration(nanoseconds=0)) & (sequence.cast(pl.Int64).diff() < 0))
            )
            .any()
            .not_()
        ).item()
    )
