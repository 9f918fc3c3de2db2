"""Random books as rows of the clean book, and what the batch makes of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.streaming import TABLES, Driver
from footprint_assets.streaming.driver import Finished
from footprint_assets.streaming.parity import difference
from footprint_assets.transforms.book_pass import book_pass
from footprint_assets_tests.kernels.bar5s_records import START, SYMBOL, TICK, frame, random_stream
from footprint_assets_tests.kernels.book_walk import walk

SESSION = cme.session(dt.date(2023, 12, 26))
OPENED = (SESSION, SYMBOL, TICK)


def book(seed: int, size: int) -> pl.DataFrame:
    """Records of one contract: a book that walks and is shocked, then one of any shape, with waits of many seconds."""
    walked = walk(seed, size - size // 2)
    later = (walked[-1].ts if walked else START) - START
    wild = [replace(record, ts=record.ts + later) for record in random_stream(seed, size // 2)]
    rows = frame([*walked, *wild][:size]).with_row_index("record_index")
    types = contracts.load("silver.future.market_by_price_10_clean").polars_schema
    return rows.with_columns(
        (pl.col("record_index") // 2).cast(types["sequence"]).alias("sequence"),
        pl.col("record_index").cast(types["record_index"]),
    )


def batch_of(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The tables of the batch; those without a row too."""
    found = book_pass([rows], SESSION, TICK)
    return together(Finished([part]) for part in found)


def together(parts: Iterable[Mapping[str, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    """What was handed out in parts."""
    found = {key: [contracts.load(key).polars_schema.to_frame()] for key in TABLES}
    for part in parts:
        for key, rows in part.items():
            assert rows.height, "no frame is empty"
            found[key].append(rows)
    return {key: pl.concat(frames) for key, frames in found.items()}


def driven(rows: pl.DataFrame, cuts: Iterable[int], deaths: Iterable[int] = ()) -> dict[str, pl.DataFrame]:
    """The tables of a driver whose rows come in pieces, and which is restored from its bytes before some rows."""
    driver, parts, dying = Driver(*OPENED), [], set(deaths)
    for start, end in pairwise(sorted({0, rows.height, *cuts, *dying})):
        if start in dying:
            driver = Driver.restore(driver.checkpoint(), *OPENED)
        parts.append(driver.push(rows[start:end]))
    return together([*parts, driver.finish()])


def differences(batch: Mapping[str, pl.DataFrame], stream: Mapping[str, pl.DataFrame]) -> dict[str, object]:
    """Tables in which two sets of tables differ, by so much as a bit or the order of two rows."""
    found = {key: difference(key, rows, stream[key]) for key, rows in batch.items()}
    return {key: one for key, one in found.items() if not one.is_none or not batch[key].equals(stream[key])}
