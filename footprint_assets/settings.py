"""Every constant a person may want to change, with its unit, in one place.

Values come from the environment (prefix ``FOOTPRINT_``, nested with ``__``) and from a ``.env`` file. Compute rooms
never read the environment: they receive one of the frozen groups below. The JSON of the groups an asset uses is its
configuration hash, so a changed constant recomputes exactly the tables that depend on it.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, RootModel
from pydantic_settings import BaseSettings, SettingsConfigDict

NANOS_PER_SECOND = 1_000_000_000
PRICE_SCALE = 1_000_000_000
"""DBN prices are int64 in units of 1e-9 points."""


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    chooses_tables: ClassVar[frozenset[str]] = frozenset()
    """Fields that say which tables there are; no table's numbers depend on them."""


class Root(_Group):
    """A futures product root traded on CME Globex."""

    tick_size_nanos: int = Field(250_000_000, gt=0, description="Minimum price increment, 1e-9 points.")
    point_value: float = Field(50.0, gt=0, description="Dollars a point a contract.")


class Roots(RootModel[dict[str, Root]]):
    """Product roots by name, as a group tables depend on: another name is another lake, even of an equal tick."""

    model_config = ConfigDict(frozen=True)


_Value = TypeVar("_Value")


def _no_repeats(values: tuple[_Value, ...]) -> tuple[_Value, ...]:
    if len(set(values)) < len(values):
        raise ValueError("no value may be given twice")
    return values


BarSizes = Annotated[tuple[PositiveInt, ...], AfterValidator(_no_repeats)]
"""Sizes of the bars of one kind: each makes bars of its own name."""


class IngestSettings(_Group):
    """What the strict DBN reader accepts."""

    dataset: str = Field("GLBX.MDP3", description="The only Databento dataset accepted.")
    require_frame_checksum: bool = Field(False, description="Refuse zstd frames without a content checksum.")
    max_file_bytes: int = Field(64 * 2**30, gt=0, description="Largest decompressed file, bytes.")
    max_compression_ratio: int = Field(
        400, gt=0, description="Largest decompressed/compressed ratio of a file."
    )
    max_metadata_bytes: int = Field(64 * 2**20, gt=0, description="Largest metadata header, bytes.")
    max_quarantined_share: float = Field(
        0.001, ge=0, le=1, description="Quarantined rows/rows above which a table fails."
    )


class BarSettings(_Group):
    """Which bars are built from trades."""

    ohlcv_seconds: BarSizes = Field(
        (1, 10, 60, 120, 300, 1800, 3600, 86400), description="OHLCV intervals, s."
    )
    time_seconds: BarSizes = Field((5, 60, 120, 300, 1800), description="Footprint time bars, s.")
    range_ticks: BarSizes = Field((10,), description="Footprint range bars: largest high - low, ticks.")
    volume_contracts: BarSizes = Field((1000,), description="Footprint volume bars, contracts.")
    tick_trades: BarSizes = Field((2000,), description="Footprint tick bars, trades.")


class FootprintSettings(_Group):
    """Diagonal imbalance, value area and row size (the field's usual defaults)."""

    ticks_per_row: int = Field(1, gt=0, description="Price row height, ticks.")
    imbalance_ratio: float = Field(
        3.0, gt=1, description="Diagonal volume ratio that counts as an imbalance."
    )
    imbalance_min_volume: int = Field(10, ge=0, description="Smallest dominating volume, contracts.")
    imbalance_min_difference: int = Field(
        0, ge=0, description="Smallest difference of the two volumes, contracts."
    )
    imbalance_zero: Literal["infinite", "one", "ignore"] = Field(
        "infinite",
        description="A zero on the other side of the diagonal: infinite ratio, counted as 1, or no imbalance.",
    )
    stacked_rows: int = Field(3, gt=1, description="Consecutive imbalances that make a stack.")
    value_area_pct: int = Field(70, gt=0, le=100, description="Share of volume inside the value area, %.")
    value_area_rows: int = Field(
        2, ge=1, le=2, description="Rows compared at each step of the value-area expansion."
    )
    exhaustion_ratio: float = Field(
        2.0, gt=1, description="Factor by which the attacking side shrinks into an exhausted extreme."
    )
    absorption_quantile_pct: int = Field(
        90, ge=0, le=100, description="Quantile of the row volumes an absorbing row reaches, %."
    )
    absorption_mean_multiple: float = Field(
        2.0, gt=0, description="Multiple of the mean row volume an absorbing row reaches."
    )
    absorption_rejection_ticks: int = Field(
        2, ge=0, description="Distance of the close from an absorbing row, ticks."
    )
    cluster_mean_multiple: float = Field(
        2.0, gt=0, description="Multiple of the mean row volume that makes a cluster."
    )


def _no_placeholder(names: tuple[str, ...]) -> tuple[str, ...]:
    if "LEVEL" in names:
        raise ValueError("LEVEL stands for every level in the names of contracts; no level is called so")
    return names


LevelNames = Annotated[
    tuple[Annotated[str, Field(pattern="^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$")], ...],
    AfterValidator(_no_repeats),
    AfterValidator(_no_placeholder),
]
"""Names of levels, which in lower case become parts of table and column names."""


class LevelSettings(_Group):
    """Windows of the price levels, Eastern wall time, and which levels have tables of their own."""

    chooses_tables: ClassVar[frozenset[str]] = frozenset({"pipelines"})

    pipelines: LevelNames = Field(
        ("PM_HIGH", "PM_LOW", "OR_HIGH", "OR_LOW", "SMA_90"),
        description="Levels whose approaches become tables of their own, as session_levels and level_series_5s name them.",
    )
    premarket_start: dt.time = Field(dt.time(4, 0), description="Start of the US pre-market, ET.")
    opening_range_minutes: int = Field(
        15, gt=0, description="Opening range that OR_HIGH/OR_LOW mean, min after 09:30 ET."
    )
    opening_ranges: BarSizes = Field((5, 15, 30), description="Opening ranges always stored, min.")
    initial_balance_minutes: int = Field(60, gt=0, description="Initial balance, min after 09:30 ET.")
    lookback_sessions: int = Field(3, gt=0, description="Prior sessions a look-back reads.")
    max_gap_seconds: int = Field(
        60, gt=0, description="Longest hole inside an RTH window before it is partial, s."
    )


class HistorySettings(_Group):
    """What is remembered of the sessions before a trade date."""

    sessions: int = Field(20, gt=0, description="Prior sessions the look-back table holds.")
    profile_days: int = Field(3, gt=1, description="Complete sessions a time-of-day profile averages.")
    profile_min_days: int = Field(3, gt=1, description="Fewest sessions it is given from.")


class Settings(BaseSettings):
    """The settings of one run of the project."""

    model_config = SettingsConfigDict(
        env_prefix="FOOTPRINT_", env_nested_delimiter="__", env_file=".env", extra="ignore", frozen=True
    )

    lake_root: Path = Field(Path("data/lake"), description="Where the Parquet lake lives.")
    dbn_dir: Path = Field(Path("data/dbn"), description="The drop folder of Databento files.")
    roots: dict[str, Root] = Field(
        default_factory=lambda: {"ES": Root(), "NQ": Root(point_value=20.0)},
        description="Product roots that enter the lake.",
    )
    ingest: IngestSettings = IngestSettings()
    bars: BarSettings = BarSettings()
    footprint: FootprintSettings = FootprintSettings()
    levels: LevelSettings = LevelSettings()
    history: HistorySettings = HistorySettings()

    @classmethod
    def from_env(cls) -> Settings:
        """Read the settings from the environment and ``.env``."""
        return cls()
