"""Overlapping pulls of one window: each event once, no distinct fill lost."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.transforms.deliveries import (
    EVENT_ORDER,
    REORDER_HORIZON_NS,
    DeliveryOrderError,
    DeliveryTally,
    EventOrder,
    merge_deliveries,
)
from footprint_assets_tests.frames import SECOND, rows_of

TRADES = "bronze.future.trades"


def trades(*rows):
    return rows_of(TRADES, list(rows))


def merged(*parts, batch=2):
    tally = DeliveryTally()
    streams = [[part[i : i + batch] for i in range(0, part.height, batch)] for part in parts]
    out = list(merge_deliveries(streams, tally))
    return (pl.concat(out) if out else parts[0].clear()), tally


def test_byte_identical_fills_of_one_file_all_stay():
    fills = trades(*[{"ts_event": 0, "sequence": 1, "size": 5}] * 3)
    out, tally = merged(fills)
    assert out["size"].sum() == 15
    assert tally.redelivered_copies == 0


def test_a_second_pull_of_the_same_window_adds_nothing():
    fills = trades({"ts_event": 0, "sequence": 1}, {"ts_event": 0, "sequence": 1}, {"ts_event": 5})
    out, tally = merged(fills, fills)
    assert out.height == 3
    assert tally.redelivered_copies == 3


def test_of_each_row_the_largest_count_over_the_files_stays():
    one = {"ts_event": 0, "sequence": 1, "size": 4}
    out, tally = merged(trades(one), trades(one, one))
    assert (out.height, tally.redelivered_copies) == (2, 1)


def test_consecutive_day_files_are_only_joined():
    first, second = trades({"ts_event": 0}, {"ts_event": 9}), trades({"ts_event": 10}, {"ts_event": 11})
    out, tally = merged(first, second)
    assert out["ts_event"].to_physical().to_list() == [0, 9, 10, 11]
    assert tally.redelivered_copies == 0


def test_a_delivery_that_goes_back_in_receive_time_is_refused():
    with pytest.raises(DeliveryOrderError, match="receive time"):
        merged(trades({"ts_event": 9}, {"ts_event": 3}))


def in_event_order(batches, tally, horizon_ns=REORDER_HORIZON_NS):
    order = EventOrder(tally, horizon_ns)
    return [frame for batch in batches for frame in order.push(batch)] + list(order.rest())


event = st.tuples(st.integers(0, 6), st.integers(0, 2))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(event, max_size=12), min_size=1, max_size=3), st.integers(1, 4))
def test_the_merge_is_the_multiset_union_in_receive_order(files, batch):
    files = [sorted(file) for file in files]
    parts = [trades(*({"ts_event": ts, "sequence": seq} for ts, seq in file)) for file in files]
    out, tally = merged(*parts, batch=batch)
    union: Counter = Counter()
    for file in files:
        union |= Counter(file)
    got = list(zip(out["ts_event"].to_physical().to_list(), out["sequence"].to_list(), strict=True))
    assert Counter(got) == union
    assert out["ts_recv"].is_sorted()
    assert out.height + tally.redelivered_copies == sum(map(len, files))


def test_rows_inside_the_horizon_are_put_in_event_order_and_later_ones_set_aside():
    rows = rows_of(
        TRADES,
        [
            {"ts_event": 100 * SECOND, "ts_recv": 100 * SECOND},
            {"ts_event": 99 * SECOND, "ts_recv": 101 * SECOND},
            {"ts_event": 130 * SECOND, "ts_recv": 130 * SECOND},
            {"ts_event": 20 * SECOND, "ts_recv": 131 * SECOND},
        ],
    )
    tally = DeliveryTally()
    out = pl.concat(in_event_order([rows[i : i + 1] for i in range(4)], tally))
    assert (out["ts_event"].to_physical() // SECOND).to_list() == [99, 100, 130]
    assert [frame["record_index"].to_list() for frame in tally.late] == [[3]]


late_event = st.tuples(st.integers(0, 4), st.integers(0, 14), st.integers(0, 2))


@settings(max_examples=200, deadline=None)
@given(st.lists(late_event, min_size=1, max_size=15), st.integers(1, 5))
def test_any_cut_of_a_stream_gives_the_same_order_and_the_same_late_rows(steps, batch):
    received = 50
    rows = []
    for wait, behind, sequence in steps:
        received += wait
        rows.append({"ts_recv": received, "ts_event": received - behind, "sequence": sequence})
    stream = trades(*rows)

    def ordered(step):
        tally = DeliveryTally()
        cuts = [stream[i : i + step] for i in range(0, stream.height, step)]
        return pl.concat([stream.clear(), *in_event_order(cuts, tally, horizon_ns=6)]), tally.late

    whole, late = ordered(stream.height)
    cut, cut_late = ordered(batch)
    assert cut.equals(whole)
    assert pl.concat([stream.clear(), *late]).equals(pl.concat([stream.clear(), *cut_late]))
    assert whole.equals(whole.sort(*EVENT_ORDER))
    assert whole.height + sum(frame.height for frame in late) == stream.height
    assert all((frame["ts_recv"] - frame["ts_event"]).dt.total_nanoseconds().min() > 6 for frame in late)
