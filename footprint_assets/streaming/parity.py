"""The proof: rows driven through the driver in micro-batches of random size, against the rows of the batch.

Cells are compared by their bits, rows by the key of the contract; where it has none, by sort columns and the place among
equal ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.streaming.driver import TABLES, Driver, Finished
from footprint_assets.streaming.followers import TABLES as FOLLOWING
from footprint_assets.streaming.followers import Followers
from footprint_assets.transforms import windows

LARGEST_BATCH = 2048
"""Rows of a micro-batch at most; their logarithm is uniform, so that single records come as often as hundreds."""
BATCHES_A_LIFE = 8
"""Micro-batches on average after which the driver is saved, dropped, and restored from the bytes."""
BARS_BETWEEN = 300
"""Bars after which the followers are asked again at most: each time they read the session so far."""
NEVER = int(np.iinfo(np.int64).max)

_PLACE = "_place"


@dataclass(frozen=True)
class Redriven:
    """What a driver made of some rows.

    Args:
        tables: Its rows by table key.
        left_out: Rows it did not take in, by name.
        rows: Rows it was given.
        batches: Micro-batches they came in.
        lives: Times it was restored from a checkpoint.
    """

    tables: Mapping[str, pl.DataFrame]
    left_out: Mapping[str, int]
    rows: int
    batches: int
    lives: int


@dataclass(frozen=True)
class Difference:
    """How the rows of a driver differ from those of the batch.

    Args:
        rows: Rows of the batch.
        missing: Rows of the batch the driver did not give.
        extra: Rows of the driver the batch does not have.
        cells: Cells of rows both have that differ in a bit.
        max_ulp: Largest distance of two floats that differ, in units in the last place.
        column: The first column with such a cell; empty without one.
    """

    rows: int
    missing: int
    extra: int
    cells: int
    max_ulp: int
    column: str

    @property
    def is_none(self) -> bool:
        """Whether the rows are identical."""
        return not self.missing and not self.extra and not self.cells


def redrive(
    frames: Iterable[pl.DataFrame],
    driver: Driver,
    rng: np.random.Generator,
    followers: Followers | None = None,
    trades: pl.DataFrame | None = None,
    from_ns: int = 0,
) -> Redriven:
    """Drive rows in micro-batches of random size through a driver that now and then dies and is restored.

    Args:
        frames: Rows with ``driver.COLUMNS`` in event order.
        driver: A driver before its first row.
        rng: Where the sizes and the deaths come from.
        followers: What follows its bars, if anything; asked at random times, and restored each time.
        trades: Rows of ``silver.future.trades_clean`` with ``followers.TRADE_COLUMNS``, for the followers.
        from_ns: Bars and shocks from before it are not followed.

    Returns:
        What came of it.
    """
    found: dict[str, list[pl.DataFrame]] = {}
    rows = batches = lives = 0
    ask_ns = from_ns + BAR_NS * int(rng.integers(1, BARS_BETWEEN))
    tape = _Tape(trades)
    for batch in micro_batches(frames, rng):
        rows, batches, last_ns = rows + batch.height, batches + 1, int(batch["ts_event"].to_physical()[-1])
        finished = driver.push(batch)
        _add(found, finished)
        if followers is not None:
            followers.push(_since(finished, from_ns), tape.until(last_ns))
            if last_ns > ask_ns:
                _add(found, followers.follow(last_ns, driver.waiting_shocks()))
                followers = Followers.restore(followers.checkpoint(), *followers.opened)
                ask_ns = last_ns + BAR_NS * int(rng.integers(1, BARS_BETWEEN))
        if rng.random() < 1 / BATCHES_A_LIFE:
            driver = Driver.restore(driver.checkpoint(), *driver.opened)
            lives += 1
    finished = driver.finish()
    _add(found, finished)
    if followers is not None:
        followers.push(_since(finished, from_ns), tape.until(NEVER))
        _add(found, followers.follow(NEVER, driver.waiting_shocks()))
    wanted = TABLES if followers is None else (*TABLES, *FOLLOWING)
    tables = {
        key: pl.concat(found[key]) if key in found else contracts.load(key).polars_schema.to_frame()
        for key in wanted
    }
    return Redriven(tables, driver.left_out, rows, batches, lives)


class _Tape:
    """Trades, given out as far as the book has come."""

    def __init__(self, trades: pl.DataFrame | None) -> None:
        self._trades = pl.DataFrame() if trades is None else trades
        self._ts = np.empty(0, np.int64) if trades is None else windows.times_ns(trades)
        self._at = 0

    def until(self, last_ns: int) -> pl.DataFrame:
        """The trades up to an instant, included, that were not given out before."""
        first, self._at = self._at, int(np.searchsorted(self._ts, last_ns, side="right"))
        return self._trades.slice(first, self._at - first)


def _since(finished: Finished, from_ns: int) -> Finished:
    """The rows from an instant on."""
    return {key: rows.filter(pl.col(time_of(key)).to_physical() >= from_ns) for key, rows in finished.items()}


def time_of(table: str) -> str:
    """The column that says when a row of a table is."""
    return "bar_ts" if "bar_ts" in contracts.load(table).polars_schema else "ts_event"


def micro_batches(frames: Iterable[pl.DataFrame], rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    """Cut frames into micro-batches of random size.

    Args:
        frames: The rows.
        rng: Where the sizes come from.

    Yields:
        1 to ``LARGEST_BATCH`` rows; none crosses two frames.
    """
    for frame in frames:
        at = 0
        while at < frame.height:
            size = int(LARGEST_BATCH ** rng.random())
            yield frame.slice(at, size)
            at += size


def _add(found: dict[str, list[pl.DataFrame]], finished: Finished) -> None:
    for key, frame in finished.items():
        found.setdefault(key, []).append(frame)


def difference(table: str, batch: pl.DataFrame, driven: pl.DataFrame) -> Difference:
    """Compare the rows of a table.

    Args:
        table: Dataset key.
        batch: Rows of the batch.
        driven: Rows of the driver, the same columns.

    Returns:
        How they differ; the rows are matched by key, not by place.
    """
    contract = contracts.load(table)
    keys = list(contract.key or contract.sort)
    one, other = batch, driven
    if not batch.select(keys).equals(driven.select(keys)):
        one, other = (_numbered(frame, keys) for frame in (batch, driven))
        common = one.join(other, on=[*keys, _PLACE], how="semi", nulls_equal=True).select(*keys, _PLACE)
        one, other = (
            common.join(frame, on=[*keys, _PLACE], how="left", nulls_equal=True, maintain_order="left")
            for frame in (one, other)
        )
    cells, max_ulp, first = 0, 0, ""
    for name in batch.columns:
        differ, ulp = _cells(one[name], other[name])
        if differ:
            cells, max_ulp, first = cells + differ, max(max_ulp, ulp), first or name
    return Difference(
        batch.height, batch.height - one.height, driven.height - one.height, cells, max_ulp, first
    )


def _numbered(frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """The rows with their place among those of an equal key."""
    return frame.with_columns(pl.int_range(pl.len()).over(keys).alias(_PLACE))


def _cells(one: pl.Series, other: pl.Series) -> tuple[int, int]:
    """How many cells differ, and by how many units in the last place at most; a null and a value by none."""
    if not one.dtype.is_float():
        return 0 if one.equals(other) else int(one.ne_missing(other).sum()), 0
    if one.null_count() == other.null_count():  # nearly always all there is to do
        bits, other_bits = (values.to_numpy().view(np.int64) for values in (one, other))
        if np.array_equal(bits, other_bits):
            return 0, 0
    known, other_known = (~values.is_null().to_numpy() for values in (one, other))
    bits, other_bits = (_ordered(values.fill_null(0.0).to_numpy()) for values in (one, other))
    differs = known & other_known & (bits != other_bits)
    # Python's numbers: the distance of two floats of different sign may exceed 64 bits.
    pairs = zip(bits[differs].tolist(), other_bits[differs].tolist(), strict=True)
    return int(differs.sum() + (known != other_known).sum()), max((abs(a - b) for a, b in pairs), default=0)


def _ordered(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Floats as integers whose order is theirs and whose difference counts the floats between; -0.0 is just below 0.0."""
    bits = values.view(np.int64)
    ordered: NDArray[np.int64] = np.where(bits < 0, ~bits ^ np.int64(-(2**63)), bits)
    return ordered
