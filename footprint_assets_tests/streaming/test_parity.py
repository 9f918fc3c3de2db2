"""The comparison finds what differs, and says by how much; a redriven book does not."""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint_assets.checks.stream_parity import SETTLED_NS, Stretch, stretch
from footprint_assets.streaming import TABLES, Driver
from footprint_assets.streaming.parity import LARGEST_BATCH, difference, micro_batches, redrive
from footprint_assets_tests.streaming.books import OPENED, batch_of, book, differences

BARS, _, PRICES, _, BBO = TABLES
ROWS = book(31, 500)
BATCH = batch_of(ROWS)
MINUTE_NS = 60 * 10**9


def test_a_redriven_book_is_the_batch_and_says_how_it_was_driven() -> None:
    found = redrive(
        [ROWS[at : at + 20] for at in range(0, 500, 20)], Driver(*OPENED), np.random.default_rng(1)
    )

    assert differences(BATCH, found.tables) == {}
    assert (found.rows, found.left_out) == (500, {"late_event": 0, "redelivered_copy": 0})
    assert found.batches > found.lives > 0


def test_micro_batches_are_of_all_sizes_and_lose_no_row() -> None:
    frame = pl.DataFrame({"a": np.arange(40_000)})
    parts = list(micro_batches([frame, frame.head(3)], np.random.default_rng(2)))

    assert pl.concat(parts).equals(pl.concat([frame, frame.head(3)]))
    sizes = [part.height for part in parts[:-1]]
    assert min(sizes) == 1
    assert 1_000 < max(sizes) <= LARGEST_BATCH


def test_one_unit_in_the_last_place_is_found() -> None:
    name, rows = "bar5s_state_obi0_twa", BATCH[BARS]
    at = int(rows[name].is_not_null().arg_max())
    value = rows[name][at]
    other = rows.with_columns(
        pl.when(pl.int_range(pl.len()) == at).then(float(np.nextafter(value, 2))).otherwise(name).alias(name)
    )

    found = difference(BARS, rows, other)

    assert (found.missing, found.extra, found.cells, found.max_ulp, found.column) == (0, 0, 1, 1, name)


def test_minus_zero_is_not_zero_and_null_is_not_a_value() -> None:
    rows = BATCH[BARS].head(3).with_columns(bar5s_state_obi0_twa=pl.Series([0.0, None, 1.0]))
    other = rows.with_columns(bar5s_state_obi0_twa=pl.Series([-0.0, 1.0, 1.0]))

    found = difference(BARS, rows, other)

    assert (found.cells, found.max_ulp) == (2, 1)


def test_rows_are_matched_by_key_where_one_is_missing_or_too_many() -> None:
    rows = BATCH[PRICES]
    found = difference(
        PRICES, rows.filter(pl.int_range(pl.len()) != 5), rows.filter(pl.int_range(pl.len()) != 9)
    )

    assert (found.rows, found.missing, found.extra, found.cells) == (rows.height - 1, 1, 1, 0)


def test_rows_without_a_key_are_matched_by_time_and_place() -> None:
    rows = BATCH[BBO]
    twice = pl.concat([rows.head(1), rows])

    assert difference(BBO, rows, rows).is_none
    found = difference(BBO, rows, twice)
    assert (found.missing, found.extra) == (0, 1)


def test_a_stretch_begins_behind_a_ladder_a_minute_earlier_and_is_driven_a_minute_longer() -> None:
    ts = ROWS["ts_event"].to_physical().to_numpy()
    for seed in range(20):
        part = stretch(ROWS, 4, np.random.default_rng(seed))
        assert part.until_ns - part.from_ns == 4 * MINUTE_NS
        assert part.from_ns % (5 * 10**9) == 0
        driven = ROWS[part.first : part.end]
        if part.first:
            assert ts[part.first] < part.from_ns - SETTLED_NS
            assert driven["action"][0] in ("A", "C", "M")
        if part.end < len(ts):
            assert ts[part.end - 1] >= part.until_ns + SETTLED_NS


def test_a_short_session_is_driven_whole() -> None:
    ts = ROWS["ts_event"].to_physical().to_list()
    whole = Stretch(0, 500, ts[0] // (5 * 10**9) * 5 * 10**9, (ts[-1] // (5 * 10**9) + 1) * 5 * 10**9)

    assert stretch(ROWS, 600, np.random.default_rng(1)) == whole
    assert stretch(ROWS, 0, np.random.default_rng(1)) == whole


def test_a_stretch_gives_the_rows_of_the_whole_session() -> None:
    for seed in range(3):
        part = stretch(ROWS, 5, np.random.default_rng(seed))
        found = redrive([ROWS[part.first : part.end]], Driver(*OPENED), np.random.default_rng(seed))
        for key, rows in BATCH.items():
            time = pl.col(rows.columns[0]).to_physical()
            inside = time.is_between(part.from_ns, part.until_ns, closed="left")
            assert difference(key, rows.filter(inside), found.tables[key].filter(inside)).is_none, key
