"""Vectors of 256 numbers to look up similar setups by: features at the decision, scaled by earlier sessions.

The order of the slots is part of the table: a change of it is a new major version of the contract.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from footprint_assets import contracts
from footprint_assets.settings import VectorSettings

TABLE = "gold.future.setup_vectors"
WIDTH = 256

_SIDES = ("bid", "ask")
_BANDS = ("p0_1", "p1_2", "p2_3")
SLOT_GROUPS: Mapping[str, tuple[str, ...]] = {
    "snapshot": (
        "bar5s_approach_dist_to_level_pts_eob",
        "bar5s_approach_alignment_eob",
        "bar5s_state_spread_pts_eob",
        "bar5s_state_obi0_eob",
        "bar5s_state_obi10_eob",
        *(f"bar5s_state_cdi_{band}_eob" for band in _BANDS),
        *(f"bar5s_depth_{side}10_qty_eob" for side in _SIDES),
        *(f"bar5s_depth_{side}_{band}_frac_eob" for side in ("below", "above") for band in _BANDS),
        *(f"bar5s_wall_{side}_maxz_eob" for side in _SIDES),
        *(f"bar5s_wall_{side}_nearest_strong_dist_pts_eob" for side in _SIDES),
        "bar5s_lvl_total_size_at_level_eob",
        "bar5s_lvl_size_at_level_imbal_eob",
        "bar5s_lvl_wall_at_level",
        "bar5s_lvldepth_imbal_eob",
        "bar5s_lvldepth_cdi_p0_1_eob",
        "bar5s_lvldepth_cdi_p1_2_eob",
        "bar5s_lvl_flow_toward_net_sum",
        "bar5s_lvl_flow_away_net_sum",
        "bar5s_lvl_flow_toward_away_imbal_sum",
        "bar5s_trade_vol_sum",
        "bar5s_trade_signed_vol_sum",
        "bar5s_trade_imbal",
        "bar5s_ofi_norm_m00_sum",
        "bar5s_ofi_integrated_sum",
        "tox_vpin",
        "rv_rv_w60",
    ),
    "derivative": tuple(
        f"bar5s_deriv_{base}_{order}_{window}"
        for base in (
            *("dist", "lvlimbal", "sizeatlvl", "lvlcdi01", "lvltoward"),
            *("obi0", "obi10", "cdi01", "wbidz", "waskz"),
        )
        for order in ("d1", "d2")
        for window in ("w12", "w36")
    ),
    "profile": tuple(
        f"bar5s_setup_{name}"
        for name in (
            *("start_dist_pts", "min_dist_pts", "max_dist_pts", "dist_range_pts"),
            *("approach_bars", "retreat_bars", "approach_ratio"),
            *("early_velocity", "mid_velocity", "late_velocity", "velocity_trend"),
            *("obi0_start", "obi0_end", "obi0_delta", "obi0_min", "obi0_max"),
            *("obi10_start", "obi10_end", "obi10_delta"),
            *("total_trade_vol", "total_signed_vol", "trade_imbal_pct", "flow_imbal_total"),
            *("bid_wall_max_z", "ask_wall_max_z", "wall_imbal"),
            *("size_at_level_delta", "size_at_level_max", "size_at_level_early_late_ratio"),
            "flow_toward_early_late_ratio",
        )
    ),
    "shape": (
        *(f"bar5s_shape_{side}_sz_frac_l{level:02d}_eob" for side in _SIDES for level in range(10)),
        *(f"bar5s_shape_{side}_ct_frac_l{level:02d}_eob" for side in _SIDES for level in range(5)),
    ),
    "momentum": tuple(
        f"bar5s_approach_{name}_{window}"
        for name in ("velocity_pts_per_min", "accel_pts_per_min2", "path_efficiency")
        for window in ("w12", "w36", "w72", "w180")
    ),
}
"""The feature of each slot by the group it belongs to: the book at the trigger bar, its rates of change, the profile of
the approach, the shape of the book and the momentum of price."""
SLOTS = tuple(name for group in SLOT_GROUPS.values() for name in group)
"""The feature of slot ``v_0``, ``v_1``, ...; the slots after them are padding."""
VECTOR = tuple(f"v_{slot}" for slot in range(WIDTH))
AT_TRIGGER = {
    "velocity_at_trigger": "bar5s_approach_velocity_pts_per_min_w12",
    "obi0_at_trigger": "bar5s_state_obi0_eob",
    "wall_imbal_at_trigger": "bar5s_setup_wall_imbal",
}
"""Features shown beside the vector as they are, by their name there."""
FIT_COLUMNS = ("symbol", "session_date", "level_type", "episode_id", *SLOTS)
"""The columns of ``gold.future.levels_signals`` that a fit reads."""
TODAY_COLUMNS = (
    *("symbol", "session_date", "level_type", "episode_id", "level_price", "trigger_bar_ts"),
    *("approach_direction", "outcome", "outcome_score"),
    *dict.fromkeys((*SLOTS, *AT_TRIGGER.values())),
)
"""The columns of it that the vectors of a trade date read."""
_MONTH_AND_YEAR = "[FGHJKMNQUVXZ][0-9]{1,2}"


@dataclass(frozen=True)
class Fit:
    """What the vectors of one level were scaled by.

    Args:
        scope: ``LEVEL`` earlier episodes of the level, ``ALL_LEVELS`` of every level, ``NONE`` too few: no vectors.
        rows: Episodes in the window.
        first_session: Earliest trade date of them; ``None`` without rows.
        last_session: Latest trade date of them.
    """

    scope: str
    rows: int
    first_session: dt.date | None
    last_session: dt.date | None

    def as_note(self) -> dict[str, str | int | None]:
        """Plain values for the manifest."""
        first, last = (day.isoformat() if day else None for day in (self.first_session, self.last_session))
        return {"scope": self.scope, "rows": self.rows, "first_session": first, "last_session": last}


@dataclass(frozen=True)
class SetupVectors:
    """The vectors of one contract and trade date.

    Args:
        frame: Rows of ``gold.future.setup_vectors``.
        fits: What each level's were scaled by.
    """

    frame: pl.DataFrame
    fits: Mapping[str, Fit]

    def notes(self) -> dict[str, object]:
        """What the manifest keeps: the fit of each level and the feature of each slot."""
        return {
            "normaliser": {level: fit.as_note() for level, fit in self.fits.items()},
            "slots": list(SLOTS),
        }


def setup_vectors(
    signals: pl.DataFrame,
    prior_signals: pl.DataFrame,
    root: str,
    trade_date: dt.date,
    settings: VectorSettings,
) -> SetupVectors:
    """Scale the features of every episode by the episodes of earlier sessions.

    A slot is ``(x - median) / IQR`` clipped, as in scikit-learn's ``RobustScaler``; where the quartiles coincide the
    range takes the place of the IQR, and a feature that never moved gives 0. A feature that is not known gives 0, the
    median; ``known_slots`` tells them apart.

    Args:
        signals: ``TODAY_COLUMNS`` of ``gold.future.levels_signals`` of one contract and trade date.
        prior_signals: ``FIT_COLUMNS`` of the same table at earlier trade dates, of any contract.
        root: Product root of the contract; episodes of other roots are left out.
        trade_date: The trade date; rows of it or later are left out.
        settings: Fewest episodes of a fit, and the bound of a slot.

    Returns:
        The vectors and their fits. Without enough earlier episodes every slot is null.
    """
    prior = prior_signals.filter(
        pl.col("symbol").str.contains(f"^{re.escape(root)}{_MONTH_AND_YEAR}$"),
        pl.col("session_date") < trade_date,
    ).sort("episode_id")
    frames, fits = [pl.DataFrame(schema=contracts.load(TABLE).polars_schema)], {}
    for level in signals["level_type"].unique().sort():
        episodes = signals.filter(pl.col("level_type") == level)
        own = prior.filter(pl.col("level_type") == level)
        window, scope = (own, "LEVEL") if own.height >= settings.min_rows else (prior, "ALL_LEVELS")
        if window.height < settings.min_rows:
            scope = "NONE"
        fits[level] = Fit(scope, window.height, *_sessions(window))
        vectors = _unscaled(episodes) if scope == "NONE" else _scaled(episodes, window, settings.clip)
        frames.append(pl.concat([_metadata(episodes), vectors], how="horizontal"))
    return SetupVectors(pl.concat(frames).sort("vector_id"), fits)


def known_slots(signals: pl.DataFrame) -> pl.DataFrame:
    """Which slots hold a known feature and not the 0 that stands for an unknown one.

    Args:
        signals: Rows of ``gold.future.levels_signals``.

    Returns:
        ``episode_id`` and a boolean for every slot that is no padding, one row a row of ``signals``.
    """
    return signals.select(
        "episode_id",
        *(pl.col(name).is_not_null().alias(slot) for slot, name in zip(VECTOR, SLOTS, strict=False)),
    )


def vector_id(episode_id: str) -> int:
    """Number of an episode for indices that know no text: the first 63 bits of the SHA-256 of its name.

    Args:
        episode_id: Name of the episode.

    Returns:
        A number >= 0; the same on every machine. A collision breaks the key of the table and is not published.
    """
    return int.from_bytes(hashlib.sha256(episode_id.encode()).digest()[:8], "big") >> 1


def _metadata(episodes: pl.DataFrame) -> pl.DataFrame:
    return episodes.select(
        pl.Series("vector_id", [vector_id(name) for name in episodes["episode_id"]], pl.Int64),
        "episode_id",
        pl.col("session_date").alias("dt"),
        *("symbol", "level_type", "level_price", "trigger_bar_ts", "approach_direction"),
        *("outcome", "outcome_score"),
        *(pl.col(name).cast(pl.Float64).alias(shown) for shown, name in AT_TRIGGER.items()),
    )


def _sessions(window: pl.DataFrame) -> tuple[dt.date | None, dt.date | None]:
    first, last = window.select(
        pl.col("session_date").min().alias("first"), pl.col("session_date").max().alias("last")
    ).row(0)
    return first, last


def _unscaled(episodes: pl.DataFrame) -> pl.DataFrame:
    unknown = pl.repeat(None, episodes.height, dtype=pl.Float32, eager=True)
    return pl.DataFrame([unknown.alias(slot) for slot in VECTOR])


def _scaled(episodes: pl.DataFrame, window: pl.DataFrame, bound: float) -> pl.DataFrame:
    floats = window.select(pl.col(SLOTS).cast(pl.Float64))
    centre = floats.median().row(0)
    scale = _scales(floats)
    slots = [
        ((pl.col(name).cast(pl.Float64) - middle) / width)
        .clip(-bound, bound)
        .fill_null(0.0)
        .cast(pl.Float32)
        .alias(slot)
        if width is not None
        else pl.repeat(0.0, pl.len(), dtype=pl.Float32).alias(slot)
        for slot, name, middle, width in zip(VECTOR, SLOTS, centre, scale, strict=False)
    ]
    padding = [pl.repeat(0.0, pl.len(), dtype=pl.Float32).alias(slot) for slot in VECTOR[len(SLOTS) :]]
    return episodes.select(*slots, *padding)


def _scales(floats: pl.DataFrame) -> tuple[float | None, ...]:
    """IQR of each column, the range where it is 0, ``None`` where that is 0 too or nothing is known."""
    quarter, three = (
        floats.select(pl.all().quantile(q, interpolation="linear")).row(0) for q in (0.25, 0.75)
    )
    low, high = floats.min().row(0), floats.max().row(0)
    return tuple(
        None if a is None else (c - a) or (d - b) or None
        for a, b, c, d in zip(quarter, low, three, high, strict=True)
    )
