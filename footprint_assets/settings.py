"""Every constant a person may want to change, with its unit, in one place.

Values come from the environment (prefix ``FOOTPRINT_``, nested with ``__``) and from a ``.env`` file. Compute rooms
never read the environment: they receive one of the frozen groups below. The JSON of the groups an asset uses is its
configuration hash, so a changed constant recomputes exactly the tables that depend on it.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    RootModel,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from footprint_assets.errors import FootprintError
from footprint_assets.guard import TOKEN

PREFIX, NESTED, DOTENV = "FOOTPRINT_", "__", ".env"
THREADS = f"{PREFIX}THREADS"
"""Threads of a process (`background`); no setting, for no number depends on it."""
NANOS_PER_SECOND = 1_000_000_000
PRICE_SCALE = 1_000_000_000
"""DBN prices are int64 in units of 1e-9 points."""


class SettingsRefused(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A setting in the environment or ``.env`` is not valid, or there is none of that name."""


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


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("a centred window has an odd number of rows")
    return value


OddRows = Annotated[PositiveInt, AfterValidator(_odd)]
"""Length of a centred window."""

HORIZONS = (120, 240, 480)


def _a_horizon(value: int) -> int:
    if value not in HORIZONS:
        raise ValueError(f"the horizons are {', '.join(map(str, HORIZONS))}")
    return value


Horizon = Annotated[int, AfterValidator(_a_horizon)]
"""How long after a decision the labels look, s."""


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
    max_gap_seconds: int = Field(
        60, gt=0, description="Longest hole inside an RTH window before it is partial, s."
    )
    naked_pocs: int = Field(5, ge=0, description="Untouched prior points of control kept, the latest first.")
    profile_nodes: int = Field(
        3, ge=0, description="Prior high and low volume nodes kept, the strongest first."
    )
    round_points: BarSizes = Field((25, 50, 100), description="Steps of the round-number levels, pts.")
    round_levels: int = Field(
        3, ge=0, description="Round numbers kept on each side of the Globex open, each step."
    )


class HistorySettings(_Group):
    """What is remembered of the sessions before a trade date."""

    sessions: int = Field(20, gt=0, description="Prior sessions the look-back table holds.")
    profile_days: int = Field(3, gt=1, description="Complete sessions a time-of-day profile averages.")
    profile_min_days: int = Field(3, gt=1, description="Fewest sessions it is given from.")


class ProfileSettings(_Group):
    """Time-price opportunities, volume nodes, and when a profile or a day is called what."""

    tpo_minutes: int = Field(30, ge=30, le=390, description="Length of a TPO bracket, min.")
    tail_rows: int = Field(2, gt=0, description="Shortest run of single prints that makes a tail, rows.")
    smoothing_rows: OddRows = Field(5, description="Centred window of the smoothed profile, rows, odd.")
    hvn_multiple: float = Field(
        1.2, gt=0, description="Multiple of the smoothed profile's median a high volume node reaches."
    )
    lvn_multiple: float = Field(
        0.5, gt=0, description="Multiple of the smoothed profile's median a low volume node stays under."
    )
    shape_skew: float = Field(0.3, ge=0, description="Size of the volume skew of a P or b profile.")
    thin_ib_multiple: float = Field(
        2.5, gt=1, description="Range over initial balance range above which a thin profile is an I."
    )
    thin_tpo_count: float = Field(
        3.0, gt=0, description="Mean TPO count of the traded rows up to which a profile is thin."
    )
    open_minutes: int = Field(30, gt=0, description="Time after the cash open that types it, min.")
    open_drive_ib: float = Field(0.5, gt=0, description="Share of the initial balance range that is a drive.")
    open_reversal_ib: float = Field(
        0.25, gt=0, description="Share of the initial balance range a rejected first move reaches."
    )
    open_reference_ticks: int = Field(
        4, ge=0, description="Distance at which a reference price counts as tested, ticks."
    )
    trend_ib_multiple: float = Field(
        2.0, gt=1, description="Range over initial balance range from which a one-sided day is a trend day."
    )
    nontrend_range_multiple: float = Field(
        0.5,
        gt=0,
        description="Share of the mean prior cash range below which a day within its balance is NonTrend.",
    )


class EpisodeSettings(_Group):
    """When price approaches, touches and leaves a level (one bar is 5 s)."""

    approach_ticks: int = Field(20, gt=0, description="Distance at which an approach begins, ticks.")
    approach_hysteresis_ticks: int = Field(
        4, ge=0, description="Distance beyond approach_ticks at which an approach is given up, ticks."
    )
    touch_ticks: int = Field(4, ge=0, description="Distance within which a trade touches the level, ticks.")
    reset_ticks: int = Field(8, gt=0, description="Distance that ends a touch, ticks.")
    reset_bars: int = Field(6, gt=0, description="Bars without a touching trade that end a touch.")
    cooldown_bars: int = Field(24, gt=0, description="Fewest bars between two attempts.")
    lookback_bars: int = Field(180, gt=0, le=16_560, description="Bars before the trigger.")
    forward_bars: int = Field(96, gt=0, le=16_560, description="Bars shown after the trigger.")
    extension_bars: int = Field(96, ge=0, le=16_560, description="Further bars shown for every re-touch.")
    nearby_ticks: int = Field(4, ge=0, description="Distance of levels that count as nearby, ticks.")
    max_gap_seconds: int = Field(60, gt=0, description="Longest pause of the book that is no gap, s.")
    sessions: tuple[Literal["ETH_ASIA", "ETH_LONDON", "RTH", "POST", "HOLIDAY"], ...] = Field(
        ("RTH",), min_length=1, description="Parts of the trade date in which levels are watched."
    )


class LabelSettings(_Group):
    """What counts as a break or a bounce, and the trade that is judged with it."""

    primary_barrier: Literal["4t", "8t", "16t", "atr1"] = Field(
        "8t", description="Barrier of the primary label."
    )
    primary_horizon_seconds: Horizon = Field(
        480, description="Horizon of the primary label: 120, 240 or 480, s."
    )
    atr_min_ticks: int = Field(4, gt=0, description="Smallest barrier of one average true range, ticks.")
    failed_break_ticks: int = Field(
        2, ge=0, description="Distance back through the level that fails a break, ticks."
    )
    retest_ticks: int = Field(2, ge=0, description="Distance of the level that is a retest, ticks.")
    stop_ticks: int = Field(4, gt=0, description="Stop of the judged trade, ticks from its entry.")
    target_1_ticks: int = Field(4, gt=0, description="Target of tradeable_1, ticks from the entry.")
    target_2_ticks: int = Field(
        8, gt=0, description="Target of tradeable_2 and of the R multiples, ticks from the entry."
    )
    slippage_ticks: int = Field(1, ge=0, description="Entry behind the opposite best quote, ticks.")
    fee_pts: float = Field(0.04, ge=0, description="Fee of a round turn, points.")
    score_split_seconds: int = Field(
        240, gt=0, multiple_of=5, description="End of the first score window, start of the second, s."
    )
    score_end_seconds: int = Field(360, gt=0, multiple_of=5, description="End of the second score window, s.")
    weak_pts: float = Field(1.0, ge=0, description="Mean distance beyond which outcome5 is no CHOP, points.")
    strong_pts: float = Field(
        2.0, ge=0, description="Mean distance of the second window that is STRONG, points."
    )

    @model_validator(mode="after")
    def _score_windows_follow_each_other(self) -> LabelSettings:
        if self.score_end_seconds <= self.score_split_seconds:
            raise ValueError("score_end_seconds must be after score_split_seconds")
        return self


class OrderFlowSettings(_Group):
    """What the order-flow features of a session take from the sessions before it."""

    order_size_sessions: int = Field(
        20, gt=0, description="Prior sessions whose aggressor orders set the size of a large one."
    )
    order_size_min_sessions: int = Field(
        1, gt=0, description="Fewest of them: one session holds tens of thousands of orders."
    )
    large_order_pct: int = Field(
        99, gt=0, le=100, description="Percentile of aggressor order size from which an order is large, %."
    )
    stoikov_sessions: int = Field(5, gt=0, description="Prior sessions the micro-price table is fitted on.")


class LevelLiquiditySettings(_Group):
    """The zone of resting size around a level, and what its state is called."""

    zone_ticks: int = Field(8, ge=0, description="Distance within which size defends a level, ticks.")
    baseline_bars: int = Field(180, gt=0, le=16_560, description="Bars the usual size is a median of.")
    ofi_ticks: int = Field(10, ge=0, description="Distance within which flow is near a level, ticks.")
    vacuum_ratio: float = Field(
        0.3, ge=0, description="Size added over size lost below which a draining zone is a VACUUM."
    )
    wall_ratio: float = Field(
        1.5, ge=0, description="Size added over size lost above which a filling zone is a WALL."
    )
    strong_flow_contracts: int = Field(
        100, ge=0, description="Net flow beyond which a zone drains or fills strongly, contracts."
    )
    absorption_ratio: float = Field(
        1.0, ge=0, description="Size added over size lost above which a zone absorbs."
    )
    weak_depth_contracts: int = Field(50, ge=0, description="Size below which a zone is WEAK, contracts.")
    balanced_flow_contracts: int = Field(
        50, ge=0, description="Net flow below which a zone is balanced, contracts."
    )
    churn_contracts: int = Field(
        100, ge=0, description="Size added and lost above which a balanced zone absorbs, contracts."
    )


class GoldSettings(_Group):
    """The window of the filtered bars."""

    filtered_start: dt.time = Field(dt.time(9, 30), description="Start of the filtered bars, ET.")
    filtered_end: dt.time = Field(
        dt.time(12, 30),
        description="End of the filtered bars, ET, excluded; 16:00 for the whole cash session.",
    )

    @model_validator(mode="after")
    def _the_window_ends_after_it_starts(self) -> GoldSettings:
        if self.filtered_end <= self.filtered_start:
            raise ValueError("filtered_end must be after filtered_start")
        return self


class VectorSettings(_Group):
    """The scaling of the setup vectors."""

    min_rows: int = Field(50, gt=1, description="Fewest earlier episodes that vectors are scaled by.")
    clip: float = Field(5.0, gt=0, description="Largest size of a slot.")


class ModelSettings(_Group):
    """How the models of level outcomes are trained."""

    min_sessions: int = Field(20, gt=1, description="Fewest trade dates with rows to train on.")
    window_months: int = Field(
        12, gt=0, description="Most months before its own that a month is learned from."
    )
    embargo_sessions: int = Field(
        3,
        ge=0,
        description="Trade dates left out between training and what is judged: the longest look-back.",
    )
    holdout_share: float = Field(
        0.2, gt=0, lt=1, description="Share of the last trade dates that the number of trees is found on."
    )
    max_rounds: int = Field(300, gt=0, description="Most trees of a booster.")
    patience: int = Field(30, gt=0, description="Trees without a gain after which no more are grown.")
    learning_rate: float = Field(0.05, gt=0, description="Share of a tree that counts.")
    num_leaves: int = Field(7, gt=1, description="Leaves of a tree.")
    min_data_in_leaf: int = Field(50, gt=0, description="Fewest rows of a leaf.")
    feature_fraction: float = Field(0.3, gt=0, le=1, description="Share of the features a tree may read.")
    lambda_l2: float = Field(5.0, ge=0, description="L2 penalty of a leaf.")
    max_bin: int = Field(127, gt=1, description="Bins of a feature.")
    hazard_features: int = Field(
        150,
        gt=0,
        description="Strongest features that time_to_threshold reads: it learns of every time bin of a row.",
    )
    num_threads: int = Field(
        1, gt=0, description="Threads of LightGBM; more lose where another process wants the cores."
    )
    seed: int = Field(7, ge=0, description="Of the features a tree may read.")


class RetrievalSettings(_Group):
    """How past setups like one are looked up, and how they count."""

    neighbours: int = Field(50, gt=0, description="Most neighbours.")
    per_session: int = Field(2, gt=0, description="Most neighbours of one trade date.")
    half_life_sessions: float = Field(
        60.0, gt=0, description="Age at which a neighbour counts half, trade dates."
    )
    prior_rows: float = Field(
        5.0, ge=0, description="Neighbours' worth of the segment's base rate in the chances."
    )


class TrackingSettings(_Group):
    """Where trainings are written down for people. No table depends on these."""

    kind: Literal["none", "jsonl", "mlflow", "wandb"] = Field(
        "jsonl",
        description="Nowhere, as lines of runs.jsonl, in MLflow on SQLite (extra tracking), or in Weights & Biases, "
        "offline (extra wandb).",
    )
    directory: Path | None = Field(
        None, description="Where; the folder tracking beside the lake where empty."
    )
    project: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")] = Field(
        "footprint-assets", description="Project of the runs in Weights & Biases."
    )


class JudgingSettings(_Group):
    """How what the models say is calibrated, judged and compared."""

    window_months: int = Field(
        12, gt=0, description="Months up to the partition's own that calibrators and reports read, at most."
    )
    calibrator: Literal["platt", "beta"] = Field("platt", description="Map of a probability.")
    min_rows: int = Field(
        200, gt=1, description="Fewest rows a map is fitted on; with fewer it changes nothing."
    )
    min_sessions: int = Field(10, gt=1, description="Fewest trade dates a map or a width is fitted on.")
    adaptive_gamma: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Step by which the interval of strength answers each trade date it missed too often or too rarely; "
        "0 for none, 0.01 where outcomes drift.",
    )
    score_step: float = Field(
        0.005, gt=0, lt=1, description="Steps that probabilities are rounded to for Venn-Abers intervals."
    )
    min_segment_rows: int = Field(60, gt=1, description="Fewest rows a report says a number of.")
    min_segment_sessions: int = Field(5, gt=1, description="Fewest trade dates a report says a number of.")
    min_effective: float = Field(
        10.0, gt=0, description="Effective neighbours from which an episode counts as covered."
    )
    draws: int = Field(200, gt=0, description="Draws of a band.")
    promotion_draws: int = Field(2000, gt=0, description="Draws of the p-value of a promotion.")
    promotion_p: float = Field(
        0.05, gt=0, lt=1, description="A challenger becomes champion below this p-value."
    )
    permutations: int = Field(2, gt=0, description="Orders drawn of a family of features.")
    retrained_families: int = Field(
        1,
        ge=0,
        description="Most important families without which the direction head is trained again, each month.",
    )
    seed: int = Field(11, ge=0, description="Of every draw.")


class ConfluenceWeights(_Group):
    """How much a level of each class counts where levels meet; a class of weight 0 takes no part."""

    premarket: float = Field(1.0, ge=0, description="PM_HIGH and PM_LOW.")
    opening_range: float = Field(0.9, ge=0, description="Opening ranges.")
    initial_balance: float = Field(0.9, ge=0, description="The initial balance.")
    moving_average: float = Field(0.8, ge=0, description="SMA_90 and EMA_20.")
    vwap: float = Field(0.7, ge=0, description="Anchored VWAPs and their bands.")
    session: float = Field(0.6, ge=0, description="Opens and the session's own extremes.")
    overnight: float = Field(0.6, ge=0, description="The overnight range.")
    prior_day: float = Field(0.6, ge=0, description="The prior cash session.")
    prior_week: float = Field(0.6, ge=0, description="The prior week.")
    profile: float = Field(0.6, ge=0, description="Points of control, value areas and volume nodes.")
    round: float = Field(
        0.0, ge=0, description="Round numbers, which are always near and have distances of their own."
    )
    option: float = Field(1.0, ge=0, description="Option walls and the gamma flip.")


class ApproachSettings(_Group):
    """What counts as at or near a level while price approaches it."""

    tape_ticks: int = Field(16, ge=0, description="Distance of the trades the level's tape holds, ticks.")
    at_level_ticks: int = Field(4, ge=0, description="Distance of volume that counts as at the level, ticks.")
    confluence_band_pts: float = Field(
        5.0, gt=0, description="Distance from which another level no longer counts, points."
    )
    confluence_weights: ConfluenceWeights = ConfluenceWeights()


class AutomationSettings(_Group):
    """When runs start by themselves. Changes take effect when the code is loaded again."""

    running: bool = Field(
        False, description="Whether sensor and schedules are on until somebody switches them in the UI."
    )
    poll_seconds: int = Field(60, ge=5, description="Time between two looks at the drop folder, s.")
    requests_per_tick: int = Field(10, gt=0, description="Most trade dates one look at the folder requests.")
    compared_bytes_per_tick: int = Field(
        2 * 2**30, gt=0, description="Bytes one look hashes to compare files with the vendor's manifest."
    )
    daily_at: dt.time = Field(
        dt.time(6, 30), description="When the trade date of the day before is run, ET, to the minute."
    )
    monthly_at: dt.time = Field(
        dt.time(10, 0),
        description="When it is looked whether the month before can be learned from, ET, to the minute.",
    )
    scrub_day: Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"] = Field(
        "SAT", description="Day of the week the whole lake is compared with its hashes."
    )
    scrub_at: dt.time = Field(dt.time(12, 0), description="When the scrub begins, ET, to the minute.")


class UiSettings(_Group):
    """Who may reach the UI."""

    hosts: tuple[Annotated[str, StringConstraints(pattern=r"^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)$")], ...] = Field(
        ("127.0.0.1", "localhost", "[::1]"),
        description="Names and addresses a browser may reach the UI under, lower case, without a port; the one it "
        "listens on counts as well.",
    )


class QualitySettings(_Group):
    """When a check warns and when it fails. No table's numbers depend on these."""

    min_records: int = Field(
        50_000, ge=0, description="Fewest book records of a contract whose shares and pauses are judged."
    )
    min_trades: int = Field(
        1_000, ge=0, description="Fewest trades of a contract whose distribution is judged."
    )
    history_sessions: int = Field(20, gt=0, description="Sessions before a date that it is compared with.")
    min_sessions: int = Field(5, gt=0, description="Fewest of them that a comparison is made with.")
    row_count_low: float = Field(
        0.2, ge=0, le=1, description="Share of the median rows of full sessions under which a date warns."
    )
    row_count_high: float = Field(
        5.0, ge=1, description="Multiple of the median rows of full sessions above which a date warns."
    )
    duplicate_share: float = Field(
        0.0001, ge=0, le=1, description="Share of rows delivered again above which a date warns."
    )
    receive_delay_seconds: float = Field(
        5.0, gt=0, description="Time between event and receipt from which a record is late, s."
    )
    receive_delay_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of late records above which a date warns; 0.01 judges the 99th percentile.",
    )
    sequence_step: int = Field(
        100_000,
        gt=0,
        description="Step of the channel's sequence numbers above which messages may be missing.",
    )
    bad_book_warn_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of cash-session records flagged maybe-bad-book above which a date warns.",
    )
    bad_book_error_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of cash-session records flagged maybe-bad-book above which a date fails.",
    )
    bad_ts_share: float = Field(
        0.001, ge=0, le=1, description="Share of records flagged bad-ts-recv above which a date warns."
    )
    locked_share: float = Field(
        0.0001,
        ge=0,
        le=1,
        description="Share of cash-session states with a locked book above which a date warns.",
    )
    unknown_side_share: float = Field(
        0.05, ge=0, le=1, description="Share of trades without an aggressor above which a date warns."
    )
    buy_share_low: float = Field(
        0.4, ge=0, le=1, description="Share of buyer-initiated contracts under which a date warns."
    )
    buy_share_high: float = Field(
        0.6, ge=0, le=1, description="Share of buyer-initiated contracts above which a date warns."
    )
    book_trade_share: float = Field(
        0.001,
        ge=0,
        le=1,
        description="Share of volume by which book and trades may differ before a date fails.",
    )
    pause_warn_seconds: float = Field(
        60.0, gt=0, description="Pause of the book in the cash session above which a date warns, s."
    )
    pause_error_seconds: float = Field(
        300.0, gt=0, description="Pause of the book in the cash session above which a date fails, s."
    )
    correlated: tuple[tuple[str, str], ...] = Field(
        (("ES", "SPY"),), description="Pairs of roots whose one-minute returns are compared."
    )
    correlation: float = Field(
        0.95,
        ge=-1,
        le=1,
        description="Correlation of one-minute cash-session returns under which a pair warns.",
    )
    null_sessions: int = Field(
        5, gt=0, description="Sessions before a date whose shares of nulls it is compared with."
    )
    null_share_rise: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Rise of a feature's share of nulls over the sessions before above which it warns.",
    )
    null_day_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of features that are null all day for once above which a date fails.",
    )
    drift_index: float = Field(
        0.25, gt=0, description="Population stability index of a feature above which it warns."
    )
    drift_bins: int = Field(10, gt=1, description="Quantile bins of the population stability index.")
    drift_features_share: float = Field(
        0.5, ge=0, le=1, description="Share of features that drift above which a date warns."
    )
    label_sessions: int = Field(
        60, gt=0, description="Sessions, the date included, whose labels are counted."
    )
    label_share_low: float = Field(
        0.05, ge=0, le=1, description="Share of a class of the primary label under which a date warns."
    )
    label_share_high: float = Field(
        0.85, ge=0, le=1, description="Share of a class of the primary label above which a date warns."
    )
    min_labels: int = Field(
        100,
        gt=0,
        description="Fewest decided attempts whose classes are judged: of fewer a class is absent by chance.",
    )
    parity_minutes: int = Field(
        30,
        ge=0,
        description="Minutes of a session whose book the audit drives again record by record; 0 for all of it.",
    )
    lone_feature_warn_auc: float = Field(
        0.65,
        ge=0.5,
        le=1,
        description="AUC of one feature alone above which a month warns, where chance gives less.",
    )
    lone_feature_error_auc: float = Field(
        0.75,
        ge=0.5,
        le=1,
        description="AUC of one feature alone above which a month fails, where chance gives less.",
    )
    fresh_by: dt.time = Field(
        dt.time(9, 0), description="Time of the next day by which a trade date is to be published, ET."
    )

    @model_validator(mode="after")
    def _warnings_come_first(self) -> QualitySettings:
        for kind in ("bad_book_{}_share", "pause_{}_seconds", "lone_feature_{}_auc"):
            if getattr(self, kind.format("error")) < getattr(self, kind.format("warn")):
                raise ValueError(f"{kind.format('error')} must not be below {kind.format('warn')}")
        return self


class Settings(BaseSettings):
    """The settings of one run of the project."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=NESTED, env_file=DOTENV, extra="ignore", frozen=True
    )

    lake_root: Path = Field(Path("data/lake"), description="Where the Parquet lake lives.")
    dbn_dir: Path = Field(Path("data/dbn"), description="The drop folder of Databento files.")
    pages_root: Path = Field(Path("build/pages"), description="Where Dagster writes HTML pages.")
    roots: dict[str, Root] = Field(
        default_factory=lambda: {"ES": Root(), "NQ": Root(point_value=20.0)},
        description="Product roots that enter the lake.",
    )
    ingest: IngestSettings = IngestSettings()
    bars: BarSettings = BarSettings()
    footprint: FootprintSettings = FootprintSettings()
    levels: LevelSettings = LevelSettings()
    episodes: EpisodeSettings = EpisodeSettings()
    labels: LabelSettings = LabelSettings()
    history: HistorySettings = HistorySettings()
    profile: ProfileSettings = ProfileSettings()
    order_flow: OrderFlowSettings = OrderFlowSettings()
    level_liquidity: LevelLiquiditySettings = LevelLiquiditySettings()
    gold: GoldSettings = GoldSettings()
    vectors: VectorSettings = VectorSettings()
    approach: ApproachSettings = ApproachSettings()
    automation: AutomationSettings = AutomationSettings()
    ui: UiSettings = UiSettings()
    models: ModelSettings = ModelSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    tracking: TrackingSettings = TrackingSettings()
    judging: JudgingSettings = JudgingSettings()
    quality: QualitySettings = QualitySettings()

    @classmethod
    def from_env(cls) -> Settings:
        """Read the settings from the environment and ``.env``.

        Raises:
            SettingsRefused: A value is not valid, or a variable with our prefix names no setting.
        """
        given = {**EnvSettingsSource(cls).env_vars, **DotEnvSettingsSource(cls).env_vars}
        _require_known({name.upper(): value or "" for name, value in given.items()})
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + NESTED.join(part for part in first["loc"] if isinstance(part, str)).upper()
            if first["type"] == "extra_forbidden":
                raise _no_such(name) from error
            raise SettingsRefused(
                f"{name} is not valid: {first['msg']}.",
                where={"value": first["input"]},
                remedy="correct the environment or .env; docs/settings.md lists every setting.",
            ) from error
        except SettingsError as error:
            field = "".join(re.findall(r'field "(\w+)"', str(error))).upper()
            raise SettingsRefused(
                f"A value of {PREFIX}{field} cannot be read: lists and groups are written as JSON.",
                remedy="write it like FOOTPRINT_LEVELS__PIPELINES='[\"PM_HIGH\"]'; docs/settings.md lists every setting.",
            ) from error


def _require_known(given: Mapping[str, str]) -> None:
    """Refuse what would be passed over without a word: the lake would be another one, or a number the default."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {THREADS, TOKEN}
    for name in given:
        if name.startswith(PREFIX) and name.partition(NESTED)[0] not in known:
            raise _no_such(name)
    threads = given.get(THREADS) or "1"
    if not (threads.isdecimal() and int(threads)):
        raise SettingsRefused(
            f"{THREADS} is no number of threads.", where={"value": threads}, remedy="set 1 or 2, or unset it."
        )


def _no_such(name: str) -> SettingsRefused:
    near = difflib.get_close_matches(name, [THREADS, TOKEN, *_variables(Settings, PREFIX)], n=1)
    return SettingsRefused(
        f"There is no setting {name}.",
        remedy=f"did you mean {near[0]}?" if near else "docs/settings.md lists every setting.",
    )


def _variables(group: type[BaseModel], prefix: str) -> Iterator[str]:
    """The variables that set a group."""
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _variables(field.annotation, f"{prefix}{name.upper()}{NESTED}")
        else:
            yield f"{prefix}{name.upper()}"
