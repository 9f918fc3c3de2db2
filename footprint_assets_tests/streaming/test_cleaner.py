"""The cleaner gives the clean book of the batch, whatever arrives late and wherever it dies."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.streaming import CheckpointOfOtherStream
from footprint_assets.streaming.cleaner import Cleaner
from footprint_assets.transforms.book import clean_book
from footprint_assets.transforms.deliveries import DeliveryTally
from footprint_assets_tests.kernels.bar5s_records import SYMBOL
from footprint_assets_tests.streaming.books import SESSION, book

OPENED = SESSION, SYMBOL


def received(seed: int, size: int) -> pl.DataFrame:
    """Records in receive order, some more than ten seconds after their event and after later ones."""
    delays = np.random.default_rng(seed).choice([0, 1, 3 * 10**9, 14 * 10**9], size, p=[0.6, 0.2, 0.1, 0.1])
    rows = book(seed, size)
    arrival = pl.Series(rows["ts_event"].to_physical().to_numpy() + delays).cast(rows["ts_event"].dtype)
    return rows.with_columns(arrival.alias("ts_recv")).sort("ts_recv", maintain_order=True)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 25), st.data())
def test_records_give_the_clean_book_of_the_batch(seed: int, size: int, data: st.DataObject) -> None:
    rows, tally = received(seed, size), DeliveryTally()
    batch = pl.concat(list(clean_book([[rows]], SESSION, tally)))
    deaths = data.draw(st.sets(st.integers(0, size - 1), max_size=5))
    cleaner, parts = Cleaner(*OPENED), []

    for i in range(size):
        if i in deaths:
            cleaner = Cleaner.restore(cleaner.checkpoint(), *OPENED)
        parts.append(cleaner.push(rows[i]))
    left_out = cleaner.left_out
    parts.append(cleaner.finish())

    assert pl.concat(part for part in parts if part.height).equals(batch)
    assert left_out == {"late_event": sum(late.height for late in tally.late)}


def test_a_record_waits_until_none_may_come_before_it() -> None:
    rows = book(43, 2)
    times = pl.Series([0, 10_000_000_001]) + SESSION.open_ns
    rows = rows.with_columns(
        times.cast(rows["ts_event"].dtype).alias(name) for name in ("ts_event", "ts_recv")
    )
    cleaner = Cleaner(*OPENED)

    assert cleaner.push(rows[0]).is_empty()
    assert cleaner.push(rows[1])["record_index"].to_list() == [0]
    assert cleaner.finish()["record_index"].to_list() == [1]


def test_a_checkpoint_of_another_contract_is_refused() -> None:
    with pytest.raises(CheckpointOfOtherStream, match="fact=symbol"):
        Cleaner.restore(Cleaner(*OPENED).checkpoint(), SESSION, "ESM4")
