"""Five-second bars of the book: kernels in memory, and from the clean book's Parquet files to published tables.

The basic set every engine makes: time-weighted averages of ten bid and ask sizes and order counts, spread, mid and
microprice; order-flow imbalance of ten levels; records by action; traded volume by aggressor. A state lasts until the next
record, into the next bar where none follows. Rows that hold no record make no bar here.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.market import CLEAN, DAY, Data, publish
from benchmarks.model import Case, Facts, Line, Prepared, Side, best, faster, rate, ratio, value

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

BAR_NS = 5_000_000_000
POINT = 1e9
F_SNAPSHOT = 32
LEVELS = range(10)
SIDES = ("bid", "ask")
QUANTITIES = [f"{side}_{what}_{k:02d}" for what in ("sz", "ct") for side in SIDES for k in LEVELS]
PRICES = [f"{side}_px_{k:02d}" for side in SIDES for k in LEVELS]
INPUTS = ["ts_event", "action", "side", "flags", "size", *PRICES, *QUANTITIES]
STATES = [*QUANTITIES, "spread", "mid", "micro"]
OFI = [f"ofi_{k:02d}" for k in LEVELS]
ACTIONS = {"adds": "A", "cancels": "C", "modifies": "M", "trades": "T"}
COUNTS = ["records", *ACTIONS, "volume", "bought", "sold"]
NEVER = 2**62
"""Stands for the price of an absent level: worse than any other."""
REPEATS = 5


def clean_rows(data: Data, columns: list[str]) -> pl.LazyFrame:
    """The clean book of the front month, with instants as int64."""
    import polars as pl

    scan = pl.scan_parquet(data.parts(CLEAN), hive_partitioning=False).select(columns)
    return scan.with_columns(pl.col("ts_event").to_physical())


# ---------------------------------------------------------------- polars
def with_polars(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The basic set as one lazy query."""
    import polars as pl

    ts = pl.col("ts_event")
    end = (ts // BAR_NS + 1) * BAR_NS
    bid, ask, bid_size, ask_size = (pl.col(f"{s}_{w}_00") for w in ("px", "sz") for s in SIDES)
    rows = rows.with_columns(
        (ts // BAR_NS).alias("bar"),
        (pl.min_horizontal(ts.shift(-1), end) - ts).alias("w"),
        ((ask - bid) / POINT).alias("spread"),
        ((ask + bid) / (2 * POINT)).alias("mid"),
        ((bid * ask_size + ask * bid_size) / (bid_size + ask_size) / POINT).alias("micro"),
        *(_polars_ofi(k).alias(name) for k, name in zip(LEVELS, OFI, strict=True)),
    )
    trade = (pl.col("action") == "T") & (pl.col("flags") & F_SNAPSHOT == 0)
    size = pl.col("size").cast(pl.Int64)
    bars = rows.group_by(pl.col("bar").set_sorted(), maintain_order=True).agg(
        ts.first().alias("first"),
        pl.len().alias("records"),
        *((pl.col("action") == letter).sum().alias(name) for name, letter in ACTIONS.items()),
        size.filter(trade).sum().alias("volume"),
        size.filter(trade & (pl.col("side") == "B")).sum().alias("bought"),
        size.filter(trade & (pl.col("side") == "A")).sum().alias("sold"),
        *(pl.col(name).sum() for name in OFI),
        *((pl.col(name) * pl.col("w")).sum().alias(f"{name}_sum") for name in STATES),
        *(pl.col("w").filter(pl.col(name).is_not_null()).sum().alias(f"{name}_w") for name in STATES[-3:]),
        pl.col("w").sum().alias("w"),
        *(pl.col(name).last().alias(f"{name}_last") for name in STATES),
    )
    waited = pl.col("first") - pl.col("bar") * BAR_NS
    return bars.select("bar", *COUNTS, *OFI, *(_polars_average(name, waited).alias(name) for name in STATES))


def _polars_average(name: str, waited: pl.Expr) -> pl.Expr:
    import polars as pl

    before = pl.col(f"{name}_last").shift(1)
    weight = pl.col("w" if name in QUANTITIES else f"{name}_w")
    total = pl.col(f"{name}_sum") + (before * waited).fill_null(0)
    return total / (weight + pl.when(before.is_not_null()).then(waited).otherwise(0))


def _polars_ofi(k: int) -> pl.Expr:
    import polars as pl

    bid, ask = pl.col(f"bid_px_{k:02d}").fill_null(-NEVER), pl.col(f"ask_px_{k:02d}").fill_null(NEVER)
    bid_size, ask_size = pl.col(f"bid_sz_{k:02d}"), pl.col(f"ask_sz_{k:02d}")
    flow = (
        pl.when(bid >= bid.shift(1)).then(bid_size).otherwise(0)
        - pl.when(bid <= bid.shift(1)).then(bid_size.shift(1)).otherwise(0)
        - pl.when(ask <= ask.shift(1)).then(ask_size).otherwise(0)
        + pl.when(ask >= ask.shift(1)).then(ask_size.shift(1)).otherwise(0)
    )
    return pl.when((pl.col("action") != "R") & (pl.col("flags") & F_SNAPSHOT == 0)).then(flow).otherwise(0)


@contextmanager
def polars(data: Data) -> Prepared:
    """Polars over columns in memory."""
    rows = clean_rows(data, INPUTS).collect()
    yield lambda: with_polars(rows.lazy()).collect(), lambda bars: checks(_columns_of(bars))


@contextmanager
def polars_scan(data: Data) -> Prepared:
    """Polars from the Parquet files, streaming engine."""
    yield (
        lambda: with_polars(clean_rows(data, INPUTS)).collect(engine="streaming"),
        lambda bars: checks(_columns_of(bars)),
    )


@contextmanager
def polars_scan_in_memory(data: Data) -> Prepared:
    """Polars from the Parquet files, in-memory engine."""
    yield (
        lambda: with_polars(clean_rows(data, INPUTS)).collect(engine="in-memory"),
        lambda bars: checks(_columns_of(bars)),
    )


# ---------------------------------------------------------------- DuckDB
def duckdb_query(source: str) -> str:
    """The basic set in SQL; ``OVER ()`` keeps the order the rows come in and streams."""
    price = "(bid_px_00 * ask_sz_00 + ask_px_00 * bid_sz_00) / (bid_sz_00 + ask_sz_00) / 1e9"
    flow = "CASE WHEN action <> 'R' AND flags & 32 = 0 THEN {} ELSE 0 END"
    ofi = [flow.format(_duckdb_ofi(f"{k:02d}")) + f" AS {name}" for k, name in zip(LEVELS, OFI, strict=True)]
    trade = "action = 'T' AND flags & 32 = 0"
    per_bar = [
        "min(ts_event) AS first_ts",
        "count(*) AS records",
        *(f"count(*) FILTER (action = '{letter}') AS {name}" for name, letter in ACTIONS.items()),
        f"coalesce(sum(size) FILTER ({trade}), 0) AS volume",
        f"coalesce(sum(size) FILTER ({trade} AND side = 'B'), 0) AS bought",
        f"coalesce(sum(size) FILTER ({trade} AND side = 'A'), 0) AS sold",
        *(f"sum({name}) AS {name}" for name in OFI),
        *(f"sum({name} * w) AS {name}_sum" for name in STATES),
        *(f"sum(w) FILTER ({name} IS NOT NULL) AS {name}_w" for name in STATES[-3:]),
        "sum(w) AS w",
        *(f"last({name}) AS {name}_last" for name in STATES),
    ]
    averages = [
        f"(coalesce({name}_sum, 0) + coalesce({name}_before * waited, 0)) / "
        f"({'w' if name in QUANTITIES else f'coalesce({name}_w, 0)'} "
        f"+ CASE WHEN {name}_before IS NULL THEN 0 ELSE waited END) AS {name}"
        for name in STATES
    ]
    before = [f"lag({name}_last) OVER (ORDER BY bar) AS {name}_before" for name in STATES]
    return f"""
        WITH states AS (
            SELECT ts_event, action, side, flags, size, {", ".join(QUANTITIES)}, ts_event // {BAR_NS} AS bar,
                least(lead(ts_event) OVER (), (ts_event // {BAR_NS} + 1) * {BAR_NS}) - ts_event AS w,
                (ask_px_00 - bid_px_00) / 1e9 AS spread, (ask_px_00 + bid_px_00) / 2e9 AS mid, {price} AS micro,
                {", ".join(ofi)}
            FROM {source}
        ), bars AS (
            SELECT bar, {", ".join(per_bar)} FROM states GROUP BY bar
        ), carried AS (
            SELECT *, first_ts - bar * {BAR_NS} AS waited, {", ".join(before)} FROM bars
        )
        SELECT bar, {", ".join(COUNTS)}, {", ".join(OFI)}, {", ".join(averages)} FROM carried ORDER BY bar
    """  # noqa: S608 - no text of anybody's goes in


def _duckdb_ofi(level: str) -> str:
    terms = []
    for side, sign, gains, loses in (("bid", "+", ">=", "<="), ("ask", "-", "<=", ">=")):
        worst = -NEVER if side == "bid" else NEVER
        price, size = f"coalesce({side}_px_{level}, {worst})", f"{side}_sz_{level}"
        # The price before the first row is null, so both comparisons are not true and nothing flows.
        old = f"lag({price}) OVER ()"
        terms.append(
            f"{sign} (CASE WHEN {price} {gains} {old} THEN {size} ELSE 0 END"
            f" - CASE WHEN {price} {loses} {old} THEN lag({size}) OVER () ELSE 0 END)"
        )
    return f"({' '.join(terms)})"


@contextmanager
def duckdb(data: Data) -> Prepared:
    """DuckDB over columns in memory, in a table of its own."""
    import duckdb as engine

    connection = engine.connect()
    rows = clean_rows(data, INPUTS).collect().with_columns(_text("action"), _text("side")).to_arrow()
    connection.register("arrow_rows", rows)
    connection.execute("CREATE TABLE book AS SELECT * FROM arrow_rows")
    query = duckdb_query("book")
    yield lambda: connection.execute(query).fetchnumpy(), lambda bars: checks(dict(bars))


def _text(name: str) -> pl.Expr:
    import polars as pl

    return pl.col(name).cast(pl.String)


# ---------------------------------------------------------------- pandas
def with_pandas(frame: Any) -> Any:
    """The basic set with whole-column arithmetic and one ``groupby`` a kind of figure."""
    import numpy as np
    import pandas as pd

    ts = frame["ts_event"].to_numpy()
    bar = ts // BAR_NS
    end = (bar + 1) * BAR_NS
    weight = np.minimum(np.append(ts[1:], end[-1]), end) - ts
    bid, ask = frame["bid_px_00"].to_numpy(), frame["ask_px_00"].to_numpy()
    bid_size, ask_size = frame["bid_sz_00"].to_numpy(), frame["ask_sz_00"].to_numpy()
    quoted = (bid != -NEVER) & (ask != NEVER)
    with np.errstate(invalid="ignore", divide="ignore"):
        prices = {
            "spread": (ask - bid) / POINT,
            "mid": (ask + bid) / (2 * POINT),
            "micro": (bid * ask_size + ask * bid_size) / (bid_size + ask_size) / POINT,
        }
    states = frame[QUANTITIES].assign(**{name: np.where(quoted, v, np.nan) for name, v in prices.items()})
    flows = {name: _pandas_ofi(frame, k) for k, name in zip(LEVELS, OFI, strict=True)}
    action, side, size = (frame[name].to_numpy() for name in ("action", "side", "size"))
    is_flow = (action != ord("R")) & (frame["flags"].to_numpy() & F_SNAPSHOT == 0)
    traded = np.where((action == ord("T")) & is_flow, size, 0)
    counts = {name: action == ord(letter) for name, letter in ACTIONS.items()} | {
        "volume": traded,
        "bought": np.where(side == ord("B"), traded, 0),
        "sold": np.where(side == ord("A"), traded, 0),
    }
    added = pd.DataFrame(
        {"records": np.ones(len(ts), np.int64)}
        | counts
        | {name: np.where(is_flow, flow, 0) for name, flow in flows.items()}
        | {f"{name}_w": np.where(quoted, weight, 0) for name in prices}
        | {"w": weight}
    )
    sums = added.groupby(bar, sort=False).sum()
    weighted = states.mul(weight, axis=0).groupby(bar, sort=False).sum()
    is_last = np.append(bar[1:] != bar[:-1], True)
    last = states[is_last].set_axis(sums.index)
    first = ts[np.flatnonzero(np.append(True, bar[1:] != bar[:-1]))]
    waited = first - sums.index.to_numpy() * BAR_NS
    before = last.shift(1)
    weights = pd.DataFrame(
        {name: sums["w"] if name in QUANTITIES else sums[f"{name}_w"] for name in STATES}, index=sums.index
    )
    averages = (weighted + before.mul(waited, axis=0).fillna(0)) / (
        weights + before.notna().mul(waited, axis=0)
    )
    return pd.concat([sums[[*COUNTS, *OFI]], averages], axis=1)


def _pandas_ofi(frame: Any, k: int) -> NDArray[np.int64]:
    import numpy as np

    flow = np.zeros(len(frame), np.int64)
    for side, sign in (("bid", 1), ("ask", -1)):
        price, size = frame[f"{side}_px_{k:02d}"].to_numpy(), frame[f"{side}_sz_{k:02d}"].to_numpy()
        better, worse = price[1:] >= price[:-1], price[1:] <= price[:-1]
        gains, loses = (better, worse) if sign > 0 else (worse, better)
        flow[1:] += sign * (np.where(gains, size[1:], 0) - np.where(loses, size[:-1], 0))
    return flow


@contextmanager
def pandas(data: Data) -> Prepared:
    """Pandas over numpy columns in memory, letters as bytes, absent prices as sentinels."""
    import pandas as pd

    frame = pd.DataFrame(arrays_of(data))
    yield lambda: with_pandas(frame), lambda bars: checks({n: bars[n].to_numpy() for n in bars.columns})


def arrays_of(data: Data) -> dict[str, NDArray[Any]]:
    """The input columns as numpy arrays: letters as ASCII codes, absent prices as ``NEVER``."""
    import numpy as np
    import polars as pl

    rows = clean_rows(data, INPUTS).with_columns(
        *(pl.col(n).fill_null(-NEVER if n.startswith("bid") else NEVER) for n in PRICES)
    )
    frame = rows.collect()
    letters = {
        name: frame[name].cast(pl.String).to_numpy().astype("S1").view(np.uint8)
        for name in ("action", "side")
    }
    return {n: letters[n] if n in letters else np.ascontiguousarray(frame[n].to_numpy()) for n in INPUTS}


# ---------------------------------------------------------------- ours
@contextmanager
def ours(data: Data) -> Prepared:
    """The basic set by the method of the project's kernels, one thread, over the arrays the book pass works on."""
    import numpy as np

    from benchmarks.basic_set import basic_set
    from footprint_assets.kernels.book_events import UNDEF_PRICE

    arrays = arrays_of(data)
    rows = len(arrays["ts_event"])
    ladders = [
        np.array([[arrays[f"{side}_{what}_{k:02d}"] for k in LEVELS] for side in SIDES], kind)
        for what, kind in (("px", np.int64), ("sz", np.int32), ("ct", np.int32))
    ]
    ladders[0][np.abs(ladders[0]) == NEVER] = UNDEF_PRICE
    events = [arrays[name] for name in ("ts_event", "action", "side", "flags", "size")]

    def facts(result: tuple[NDArray[Any], ...]) -> Facts:
        averages, imbalance, counts = result
        columns = dict(zip(STATES, averages.T, strict=True)) | dict(zip(OFI, imbalance.T, strict=True))
        return checks(columns | dict(zip(COUNTS, counts.T, strict=True)))

    assert ladders[0].shape == (2, 10, rows)
    yield lambda: basic_set(*events, *ladders), facts


@contextmanager
def complete(data: Data) -> Prepared:
    """Every table of the book pass, from frames in memory to frames in memory, one thread."""
    from footprint_assets import calendar as cme
    from footprint_assets.lake import Lake
    from footprint_assets.transforms.book_batch import INPUT_COLUMNS
    from footprint_assets.transforms.book_pass import book_pass

    session, (symbol, _) = cme.session(DAY), data.front()
    with Lake(data.lake).read(CLEAN, DAY, symbol) as partition:
        frames = list(partition.frames(columns=list(INPUT_COLUMNS)))
    tick = data.settings().roots["ES"].tick_size_nanos

    def work() -> int:
        return sum(rows.height for _, rows in book_pass(frames, session, tick))

    yield work, lambda rows: {"bar_rows": rows, "book_records": sum(frame.height for frame in frames)}


@contextmanager
def published(data: Data) -> Prepared:
    """The book pass as the lake runs it: read, compute every table, validate, hash, publish."""
    with data.lake_with([CLEAN]) as lake:
        settings = data.settings(lake)
        yield lambda: publish(settings, BARS), lambda staged: {"tables": len(staged)}


BARS = "silver.future.market_by_price_10_bar5s"


# ---------------------------------------------------------------- agreement
def _columns_of(bars: pl.DataFrame) -> dict[str, NDArray[Any]]:
    return {name: bars[name].to_numpy() for name in bars.columns}


def checks(columns: dict[str, NDArray[Any]]) -> Facts:
    """Numbers that differ where any column or bar does: each column is weighed by its place."""
    import numpy as np

    def total(names: list[str]) -> float:
        return float(
            sum(
                (place + 1) * np.nansum(np.ma.filled(columns[name].astype(np.float64), np.nan))
                for place, name in enumerate(names)
            )
        )

    return {
        "bars": len(columns["records"]),
        "book_records": float(np.sum(columns["records"])),
        "averages": total(STATES),
        "imbalance": total(OFI),
        "counts": total(COUNTS),
    }


_AGREE = ("bars", "book_records", "averages", "imbalance", "counts")

KERNELS = Case(
    "bars",
    "Five-second bars of the book, in memory",
    (
        Side("ours", ours, repeats=REPEATS, needs_gb=7.0),
        Side("ours, every table of the book pass", complete, environment={"FOOTPRINT_THREADS": "1"}),
        Side("polars", polars, repeats=REPEATS, needs_gb=8.0),
        Side("DuckDB", duckdb, repeats=REPEATS, needs_gb=8.0),
        Side("pandas", pandas, repeats=REPEATS, needs_gb=14.0),
    ),
    (
        faster("bars, basic set: wall, polars / ours", "polars", 6.0),
        faster("bars, basic set: wall, pandas / ours", "pandas", 12.0),
        faster("bars, basic set: wall, DuckDB / ours", "DuckDB", 10.0),
        faster("bars, basic set: CPU, polars / ours", "polars", None, of="cpu_s"),
        Line("bars, basic set: records a second on one core", rate("ours", "book_records"), 30.0, "M/s"),
        Line(
            "bars, every table of the book pass: records a second on one core",
            rate("ours, every table of the book pass", "book_records", per="cpu_s"),
            6.0,
            "M/s",
        ),
    ),
    agree=_AGREE,
)

_STREAMING, _IN_MEMORY = "polars scan, streaming", "polars scan, in memory"

PUBLISHED = Case(
    "published_bars",
    "The clean book's Parquet files to published bars (the peer: the basic set, not even written)",
    (
        Side("ours", published),
        Side(_STREAMING, polars_scan),
        Side(_IN_MEMORY, polars_scan_in_memory),
    ),
    (
        Line(
            "clean Parquet to published bars: wall, the best polars scan / ours",
            best([ratio((peer, "wall_s"), ("ours", "wall_s")) for peer in (_STREAMING, _IN_MEMORY)]),
            1.8,
            ours=("ours", "wall_s"),
            peer=(_STREAMING, "wall_s"),
        ),
        Line(
            "clean Parquet to published bars: growth of memory, ours",
            value("ours", "growth_mb"),
            unit="MB",
            ours=("ours", "growth_mb"),
            peer=(_STREAMING, "growth_mb"),
        ),
    ),
    agree=_AGREE,
)
