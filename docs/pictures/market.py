"""What the pictures are drawn from: a lake of the simulated market, with instants as New York wall time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from footprint_assets.lake import Lake

DAY = dt.date(2024, 6, 20)
"""Ordinary session of the simulated market, with an earlier cash session of the same contract."""
TREND_DAY = dt.date(2024, 6, 18)
"""Simulated session whose profile has two distributions, single prints and a tail."""
SYMBOL = "ESU4"
TICK = 0.25
BAR = np.timedelta64(5, "s")
LEVEL, ATTEMPT = "PM_HIGH", 1
"""The episode that is drawn; most pictures of the day show the minutes around it."""


@dataclass(frozen=True)
class Table:
    """One table of one trade date, with instants as New York wall time.

    Args:
        lake: The lake.
        day: Trade date.
    """

    lake: Lake
    day: dt.date

    def __call__(self, name: str, **between: tuple[dt.time, dt.time]) -> pl.DataFrame:
        """Read the rows of a silver table.

        Args:
            name: Name of the table.
            between: For a column of instants, the wall times of its first row and of the end.
        """
        with self.lake.read(f"silver.future.{name}", self.day, SYMBOL) as partition:
            frame = partition.frame(prices="points")
        frame = frame.with_columns(
            pl.col(column).dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
            for column, kind in frame.schema.items()
            if isinstance(kind, pl.Datetime)
        )
        for column, (start, end) in between.items():
            frame = frame.filter(
                pl.col(column) >= dt.datetime.combine(self.day, start),
                pl.col(column) < dt.datetime.combine(self.day, end),
            )
        return frame


def drawn_episode(table: Table) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The outcome and the episode that are drawn, one row each."""
    name = f"market_by_price_10_{LEVEL.lower()}"
    episode = table(f"{name}_episodes").filter(pl.col("attempt_index") == ATTEMPT)
    return table(f"{name}_outcomes").join(episode, on="episode_id", how="semi"), episode


def times(frame: pl.DataFrame, column: str) -> np.ndarray:
    """A column of instants as numpy sees them, for arithmetic and the time axis."""
    return frame[column].to_numpy()


def source(day: dt.date) -> str:
    """What the subtitle of every picture begins with."""
    return f"simulated market · {SYMBOL} · {day}"
