"""Markets in which something is known about levels: what was planted is in the files, and in the rows drawn without one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.lake import Lake
from footprint_assets.sample import SampleRequestRefused, write_sample
from footprint_assets.sample.edge import (
    ATTEMPTS_FILE,
    KNOWN_EDGE,
    NOTHING,
    Shown,
    draw_outcomes,
    read_attempts,
)
from footprint_assets.sample.known_edge import TABLE, gold_rows, shown_in, write_gold
from footprint_assets_tests.sample.market_files import ladders, read_all

DAY = dt.date(2024, 6, 18)
RECORDS = 40_000
TICK = 250_000_000
BARRIER, HORIZON_NS = 8, 480 * 10**9


@dataclass(frozen=True)
class Planted:
    """A directed session of ES alone, with the trades and the books of the contract that leads."""

    paths: list[Path]
    attempts: pl.DataFrame
    trades: pl.DataFrame
    books: np.ndarray


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("known-edge")
    paths = write_sample(folder, DAY, DAY, RECORDS, roots=("ES",), mode="known-edge")
    attempts = read_attempts(folder / ATTEMPTS_FILE)
    trades, books = (of_leader(read_all(paths, schema)) for schema in ("trades", "mbp-10"))
    tape = {
        "ts": trades["ts_event"].astype(np.int64),
        "tick": trades["price"] // TICK,
        "bought": trades["size"] * np.where(trades["side"] == b"B", 1, -1) * (trades["side"] != b"N"),
    }
    return Planted(paths, attempts, pl.DataFrame(tape), books)


def of_leader(records: np.ndarray) -> np.ndarray:
    """The records of the contract with most of them."""
    return records[records["instrument_id"] == np.bincount(records["instrument_id"]).argmax()]


def fate(trades: pl.DataFrame, level: int, direction: int, decision: int) -> str:
    """The slow, obvious outcome of an attempt: the first barrier a trade reaches."""
    path = trades.filter(pl.col("ts").is_between(decision, decision + HORIZON_NS, closed="left"))
    for tick in path["tick"]:
        if (tick - level) * direction >= BARRIER:
            return "BREAK"
        if (tick - level) * direction <= -BARRIER:
            return "BOUNCE"
    return "CHOP"


def test_levels_are_the_extremes_of_what_traded(planted: Planted) -> None:
    opens = cme.session(DAY).rth_open_ns
    spans = {"PM": (opens - int(5.5 * 3600) * 10**9, opens), "OR": (opens, opens + 900 * 10**9)}
    for name, span in spans.items():
        traded = planted.trades.filter(pl.col("ts").is_between(*span, closed="left"))["tick"] / 4
        of_level = planted.attempts.filter(pl.col("level_type").str.starts_with(name))
        said = dict(of_level.group_by("level_type").agg(pl.col("level_price").unique().implode()).iter_rows())
        assert said  # price may not have come to both
        assert said.items() <= {f"{name}_HIGH": [traded.max()], f"{name}_LOW": [traded.min()]}.items()


def test_an_attempt_is_decided_at_the_end_of_the_bar_that_first_touches(planted: Planted) -> None:
    bar = 5 * 10**9
    for row in planted.attempts.iter_rows(named=True):
        level, direction = round(row["level_price"] * 4), row["approach_direction"]
        decision = _ns(row["decision_ts"])
        near = planted.trades.filter((pl.col("tick") - level) * direction >= -4)["ts"]
        assert decision % bar == 0
        assert near.is_between(decision - bar, decision, closed="left").any()
        assert not near.is_between(decision - 12 * bar, decision - bar, closed="left").any()


def test_what_was_drawn_happens(planted: Planted) -> None:
    seen = [
        fate(
            planted.trades, round(row["level_price"] * 4), row["approach_direction"], _ns(row["decision_ts"])
        )
        for row in planted.attempts.iter_rows(named=True)
    ]
    assert planted.attempts.height > 40
    assert set(planted.attempts["outcome"]) == {"BREAK", "BOUNCE", "CHOP"}
    assert (planted.attempts["outcome"] == pl.Series(seen)).mean() > 0.97


def test_what_an_attempt_shows_is_what_the_records_say_until_it_is_decided(planted: Planted) -> None:
    """The law as docs/sample-market.md has it, counted anew from the files."""
    ends = np.searchsorted(planted.books["ts_event"], planted.attempts["decision_ts"].to_physical())
    for row, end in zip(planted.attempts.iter_rows(named=True), ends, strict=True):
        level, decision = round(row["level_price"] * 4), _ns(row["decision_ts"])
        book = ladders(planted.books[end - 1])
        size = sum(size for side in book.values() for price, size, _ in side if price == level * TICK)
        minute = pl.col("ts").is_between(decision - 60 * 10**9, decision, closed="left")
        near = planted.trades.filter(minute & (pl.col("tick") - level).is_between(-16, 16))["bought"]
        imbalance = near.sum() * row["approach_direction"] / near.abs().sum()
        assert row["wall"] == pytest.approx(np.log2(max(size, 1) / 43))
        assert row["flow"] == pytest.approx(imbalance - 0.65)
        assert row["tempo"] == pytest.approx(np.log2(len(near) / (3e-4 * RECORDS)))


def test_chances_are_those_of_the_law(planted: Planted) -> None:
    wall, flow, tempo = (planted.attempts[name].to_numpy() for name in ("wall", "flow", "tempo"))
    decided = 1.5 - 0.5 * wall + 2.0 * flow + 1.7 * tempo
    breaks = -0.6 * wall + 3.8 * flow + 2.0 * tempo
    assert planted.attempts["p_tradeable"].to_numpy() == pytest.approx(1 / (1 + np.exp(-decided)))
    assert planted.attempts["p_break"].to_numpy() == pytest.approx(1 / (1 + np.exp(-breaks)))


def test_the_same_arguments_give_the_same_bytes(planted: Planted, tmp_path: Path) -> None:
    again = write_sample(tmp_path, DAY, DAY, RECORDS, roots=("ES",), mode="known-edge")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in planted.paths]
    assert read_attempts(tmp_path / ATTEMPTS_FILE).equals(planted.attempts)


def test_a_market_with_no_edge_shows_the_same_and_means_nothing(planted: Planted, tmp_path: Path) -> None:
    """The same market until the first outcome: what is shown does not know what follows."""
    paths = write_sample(tmp_path, DAY, DAY, RECORDS, roots=("ES",), mode="null")
    attempts = read_attempts(tmp_path / ATTEMPTS_FILE)
    assert attempts.height > 40
    assert attempts["p_break"].unique().to_list() == [0.5]
    assert attempts["p_tradeable"].n_unique() == 1
    facts = pl.exclude("outcome", "^p_.*$")
    assert attempts[:1].select(facts).equals(planted.attempts[:1].select(facts))
    first = _ns(attempts["decision_ts"][0])
    books = of_leader(read_all(paths, "mbp-10"))
    assert np.array_equal(books[books["ts_event"] < first], planted.books[planted.books["ts_event"] < first])


def test_nobody_plants_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SampleRequestRefused, match="cannot plant"):
        write_sample(tmp_path, DAY, DAY, 3_000, roots=("NQ",), mode="null")


@pytest.mark.parametrize(("edge", "spread"), [(KNOWN_EDGE, 0.60), (NOTHING, 0.0)])
def test_outcomes_are_drawn_as_often_as_their_chances_say(edge, spread: float) -> None:
    random = np.random.default_rng(5)
    shown = Shown(*(random.standard_normal((3, 200_000)) * [[1.15], [0.25], [0.45]]))
    outcome = draw_outcomes(random, edge, shown)
    decided = outcome != "CHOP"
    assert decided.mean() == pytest.approx(edge.p_tradeable(shown).mean(), abs=0.005)
    pushed = 4 * shown.flow - shown.wall
    strong, weak = decided & (pushed > 1.5), decided & (pushed < -1.5)
    gap = (outcome[strong] == "BREAK").mean() - (outcome[weak] == "BREAK").mean()
    assert gap == pytest.approx(spread, abs=0.03)
    for part in (strong, weak):
        told = edge.p_break(shown)[part].mean()
        assert (outcome[part] == "BREAK").mean() == pytest.approx(told, abs=0.01)


def test_drawn_rows_keep_the_contract_and_show_what_their_chances_are_made_of(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    days = [DAY, dt.date(2024, 6, 19)]  # Juneteenth has no cash session
    chances = write_gold(lake, days, episodes=20)
    with lake.read(TABLE, DAY) as snapshot:
        rows = next(iter(snapshot)).frame()
    assert [day for day in days if lake.manifests(TABLE, day)] == [DAY]
    assert chances.height == 20
    assert rows.schema == contracts.load(TABLE).polars_schema
    again = gold_rows(DAY, episodes=20)
    assert rows.equals(again.signals)
    shown = shown_in(rows)
    assert KNOWN_EDGE.p_break(shown) == pytest.approx(again.chances["p_break"].to_numpy())
    assert KNOWN_EDGE.p_tradeable(shown) == pytest.approx(again.chances["p_tradeable"].to_numpy())
    nulls = np.array(rows.select(pl.col("^bar5s_.*$").is_null().mean()).row(0))
    assert 0.10 < nulls.mean() < 0.20


def _ns(ts: dt.datetime) -> int:
    return int((ts - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds()) * 10**9
