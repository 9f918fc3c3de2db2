"""A session with a planted edge from the vendor's files to `levels_signals`: what was planted can be read there."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from benchmarks.known_edge import SIGNALS, make_lake
from footprint_assets.lake import Lake
from footprint_assets.ml.scores import auc
from footprint_assets.sample import write_sample
from footprint_assets.sample.edge import ATTEMPTS_FILE, KNOWN_EDGE, read_attempts
from footprint_assets.sample.known_edge import SHOWN_AS, shown_in
from footprint_assets_tests.small_market import rows

DAY = dt.date(2024, 6, 18)
RECORDS = 40_000


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Every planted attempt beside the episode that the tables made of it; nulls where they made none."""
    folder = tmp_path_factory.mktemp("edge")
    write_sample(folder / "dbn", DAY, DAY, RECORDS, roots=("ES",), mode="known-edge")
    make_lake(folder, [DAY])
    (signals,) = rows(Lake(folder / "lake"), SIGNALS, DAY).values()
    planted = read_attempts(folder / "dbn" / ATTEMPTS_FILE)
    key = ["level_type", "approach_direction", "decision_ts"]
    return planted.join(signals, on=key, how="left", suffix="_seen", maintain_order="left")


def test_an_attempt_is_an_episode_with_the_outcome_that_was_drawn(episodes: pl.DataFrame) -> None:
    found = episodes.drop_nulls("episode_id")
    assert episodes.height > 40
    assert found.height > 0.95 * episodes.height
    assert (found["level_price"] == found["level_price_seen"]).all()
    assert (found["outcome"] == found["outcome_seen"].cast(pl.String)).mean() > 0.95


def test_what_an_attempt_showed_stands_in_its_columns(episodes: pl.DataFrame) -> None:
    """The director counts in the records it writes, the tables in the files: both find the same."""
    found = episodes.drop_nulls("episode_id")
    seen = shown_in(found, RECORDS)
    for what in SHOWN_AS:
        assert getattr(seen, what) == pytest.approx(found[what].to_numpy()), what


def test_the_columns_tell_breaks_from_bounces_as_the_law_does(episodes: pl.DataFrame) -> None:
    decided = episodes.filter(pl.col("outcome_seen").is_in(["BREAK", "BOUNCE"]))
    y = (decided["outcome_seen"] == "BREAK").cast(pl.Int64).to_numpy()
    assert auc(y, KNOWN_EDGE.p_break(shown_in(decided, RECORDS))) > 0.65
