"""Rules that read more than a run should: every byte, the clock, twenty sessions of features. For the audit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.checks.finding import GET_AGAIN, LOOK, Check, Finding
from footprint_assets.checks.reading import manifests_before, root_of
from footprint_assets.lake import Lake, Manifest
from footprint_assets.resources import Workbench
from footprint_assets.settings import QualitySettings

MARKET_FEATURES = "gold.future.market_features"
FRONT_MONTH = "bronze.future.front_month"
SHOWN = 5
SMALLEST_SHARE = 1e-4
"""Stands for an empty bin of the stability index, whose logarithm would have no end."""


def files_unharmed(bench: Workbench, day: dt.date) -> list[Finding]:
    """Every file of every table is byte for byte what its manifest recorded."""
    damaged = list(bench.lake.scrub(start=day, end=day))
    first = None
    if damaged:
        found = damaged[0]
        first = {"table": found.table, "symbol": found.symbol, "file": found.file, "found": found.actual[:16]}
    return [Finding("*", not damaged, {"count": len(damaged), "first": first})]


def features_present(bench: Workbench, day: dt.date) -> list[Finding]:
    """No feature of the market is null much more often than on the full sessions before, or null all day for once.

    Some that are null all day are a warning: an opening range with a hole has none of its features. Many are an error.
    """
    quality, findings = bench.settings.quality, []
    for symbol, manifest in bench.lake.manifests(MARKET_FEATURES, day).items():
        session = cme.session(day)
        if session.is_early_close or session.rth_open_ns is None or not manifest.rows:
            findings.append(Finding.skip(symbol, "no full session", rows=manifest.rows))
            continue
        root = root_of(bench, day, symbol)
        before = manifests_before(bench, MARKET_FEATURES, day, root, quality.history_sessions)
        full = [m for d, m in before.items() if m.rows and not cme.session(d).is_early_close]
        if len(full) < quality.null_sessions:
            why = f"full sessions before it: {len(full)}, needed: {quality.null_sessions}"
            findings.append(Finding.skip(symbol, why, rows=manifest.rows))
            continue
        findings.append(_features_present(bench.lake, manifest, full[-quality.null_sessions :], quality))
    return findings


def _features_present(
    lake: Lake, manifest: Manifest, before: list[Manifest], quality: QualitySettings
) -> Finding:
    now = _null_shares(lake.root, manifest.dt, manifest.symbol, manifest.generation)
    earlier = [_null_shares(lake.root, m.dt, m.symbol, m.generation) for m in before]
    usual = {name: [shares[name] for shares in earlier] for name in now}
    gone = sorted(name for name, share in now.items() if share == 1.0 and max(usual[name]) < 1)
    rise = {name: share - median(usual[name]) for name, share in now.items()}
    risen = sorted((name for name in rise if rise[name] > quality.null_share_rise), key=lambda n: -rise[n])
    worst = risen[0] if risen else gone[0] if gone else None
    facts: dict[str, object] = {
        "features": len(now),
        "count": len({*gone, *risen}),
        "rate": len({*gone, *risen}) / len(now),
        "rise_above": quality.null_share_rise,
        "error_above": quality.null_day_share,
        "first": None if worst is None else {"feature": worst, "null_share": now[worst], "rise": rise[worst]},
        "null_all_day": gone[:SHOWN],
        "risen": risen[:SHOWN],
    }
    fails = len(gone) / len(now) > quality.null_day_share
    return Finding(manifest.symbol, not gone and not risen, facts, "ERROR" if fails else "WARN")


@lru_cache(64)
def _null_shares(root: Path, day: dt.date, symbol: str, _generation: str) -> dict[str, float]:
    """Share of nulls of every feature of the market, of a trade date."""
    features = contracts.load(MARKET_FEATURES).columns_of_kind("feature")
    with Lake(root).read(MARKET_FEATURES, day, symbol, verify="size") as partition:
        rows = partition.frame(list(features))
    return {name: nulls / rows.height for name, nulls in rows.null_count().row(0, named=True).items()}


def features_stable(bench: Workbench, day: dt.date) -> list[Finding]:
    """Most features of the market are distributed in cash hours as on the sessions before, by the stability index.

    The population stability index over quantile bins of the sessions before: sum of (p - q) ln(p / q) over the bins
    (Siddiqi, Credit Risk Scorecards, 2006). Above 0.25 a feature counts as drifted.
    """
    quality, findings = bench.settings.quality, []
    for symbol, manifest in bench.lake.manifests(MARKET_FEATURES, day).items():
        before = manifests_before(
            bench, MARKET_FEATURES, day, root_of(bench, day, symbol), quality.history_sessions
        )
        earlier = [m for d, m in before.items() if m.rows and cme.session(d).rth_open_ns is not None]
        if len(earlier) < quality.min_sessions:
            why = f"sessions before it: {len(earlier)}, needed: {quality.min_sessions}"
            findings.append(Finding.skip(symbol, why))
        elif cme.session(day).rth_open_ns is None or not manifest.rows:
            findings.append(Finding.skip(symbol, "no cash session"))
        else:
            findings.append(_features_stable(bench.lake, manifest, earlier, quality))
    return findings


def _features_stable(
    lake: Lake, manifest: Manifest, earlier: Sequence[Manifest], quality: QualitySettings
) -> Finding:
    now = _cash_rows(lake, manifest)
    usual = pl.concat([_cash_rows(lake, m) for m in earlier])
    index = {
        name: stability_index(_values(usual[name]), _values(now[name]), quality.drift_bins)
        for name in now.columns
    }
    drifted = sorted(
        (n for n, value in index.items() if value > quality.drift_index), key=lambda n: -index[n]
    )
    rate = len(drifted) / len(index)
    facts = {
        "features": len(index),
        "sessions": len(earlier),
        "count": len(drifted),
        "rate": rate,
        "drift_above": quality.drift_index,
        "warn_above": quality.drift_features_share,
        "first": {"feature": drifted[0], "index": round(index[drifted[0]], 4)} if drifted else None,
        "worst": drifted[:SHOWN],
    }
    return Finding(manifest.symbol, rate <= quality.drift_features_share, facts)


def _cash_rows(lake: Lake, manifest: Manifest) -> pl.DataFrame:
    """The features of cash hours that are numbers."""
    schema = contracts.load(MARKET_FEATURES).polars_schema
    features = [
        name for name in contracts.load(MARKET_FEATURES).columns_of_kind("feature") if schema[name].is_float()
    ]
    session = cme.session(manifest.dt)
    with lake.read(manifest.table, manifest.dt, manifest.symbol, verify="size") as partition:
        rows = partition.frame(["bar_ts", *features])
    start, end = session.rth_open_ns or 0, session.rth_close_ns or 0
    return rows.filter(pl.col("bar_ts").to_physical().is_between(start, end, closed="left")).drop("bar_ts")


def _values(column: pl.Series) -> NDArray[np.float64]:
    return column.drop_nulls().to_numpy()


def stability_index(usual: NDArray[np.float64], now: NDArray[np.float64], bins: int) -> float:
    """The population stability index of one sample against another.

    Args:
        usual: The sample that sets the quantile bins; float64[n].
        now: The sample that is compared; float64[m].
        bins: Quantile bins; equal quantiles are one edge.

    Returns:
        Sum of (p - q) ln(p / q) over the bins; 0 where either sample is empty.
    """
    if not len(usual) or not len(now):
        return 0.0
    edges = np.unique(np.quantile(usual, np.linspace(0, 1, bins + 1)[1:-1]))
    shares = []
    for sample in (usual, now):
        counts = np.bincount(np.searchsorted(edges, sample, side="right"), minlength=len(edges) + 1)
        shares.append(np.maximum(counts / len(sample), SMALLEST_SHARE))
    p, q = shares
    return float(((p - q) * np.log(p / q)).sum())


def no_session_missing(bench: Workbench, day: dt.date) -> list[Finding]:
    """Every session since the published one before is published too, as far as the drop folder has files of it."""
    before = [published for published in bench.lake.dates(FRONT_MONTH) if published < day]
    if not before:
        return [Finding.skip("*", "no session is published before it")]
    missing = [session for session in cme.sessions(before[-1], day) if before[-1] < session < day]
    covered = set(bench.covered_dates(missing[0], missing[-1])) if missing else set()
    facts = {
        "count": len(missing),
        "first": {"trade_date": missing[0]} if missing else None,
        "with_files": sorted(covered & set(missing))[:SHOWN],
    }
    return [Finding("*", not missing, facts)]


def published_in_time(bench: Workbench, day: dt.date) -> list[Finding]:
    """The trade date is published; asked of the last one whose files were due, at nine o'clock of the day after."""
    published = bench.lake.dates(FRONT_MONTH)
    facts = {"last_published": published[-1] if published else None, "by": bench.settings.quality.fresh_by}
    return [Finding("*", day in published, facts)]


def due_by(now: dt.datetime, fresh_by: dt.time) -> dt.date:
    """The last trade date that is to be published.

    Args:
        now: An instant with a time zone.
        fresh_by: Time of the day after a trade date by which it is due, ET.

    Returns:
        The last session before today, or before yesterday where it is not that time yet.
    """
    local = now.astimezone(cme.NEW_YORK)
    is_due = local.time() >= fresh_by
    return cme.previous_session(local.date() if is_due else local.date() - dt.timedelta(days=1))


CHECKS: tuple[Check, ...] = (
    Check.of(files_unharmed, FRONT_MONTH, "ERROR"),
    Check.of(
        no_session_missing,
        FRONT_MONTH,
        "WARN",
        remedy="put the files of the missing sessions into the drop folder, then footprint-assets run",
    ),
    Check.of(features_present, MARKET_FEATURES, "ERROR", warns_first=True, remedy=LOOK),
    Check.of(features_stable, MARKET_FEATURES, "WARN", remedy=LOOK),
)

FRESHNESS = replace(Check.of(published_in_time, FRONT_MONTH, "WARN", remedy=GET_AGAIN), reads=())
"""Asked of the date that is due, published or not."""
