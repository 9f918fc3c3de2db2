"""The rules of what a model is given: whole grids, features that are there, names, labels, nothing from the future."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.checks.finding import LOOK, Check, Finding
from footprint_assets.checks.reading import frame, instant, root_of, symbols
from footprint_assets.contracts import CONTRACTS_DIR
from footprint_assets.lake import Lake
from footprint_assets.resources import Workbench
from footprint_assets.settings import NANOS_PER_SECOND
from footprint_assets.tables import sessions_before

BARS = "silver.future.market_by_price_10_bar5s"
OHLCV = "silver.future.ohlcv"
MARKET_FEATURES = "gold.future.market_features"
LEVEL_FEATURES = "gold.future.level_features"
SIGNALS = "gold.future.levels_signals"
BAR_NS = 5 * NANOS_PER_SECOND
CLASSES = ("BREAK", "BOUNCE", "CHOP")
COMPARED_FEATURES = 8
"""Features of a date compared between the market and the attempts; other dates compare others."""
FEATURE_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
LEVEL_FEATURE_NAME = re.compile(r"bar5s_[a-z0-9]+(_[a-z0-9]+)+")
SHOWN = 5


def grid_complete(bench: Workbench, day: dt.date) -> list[Finding]:
    """Five-second bars of the book follow each other without a hole from the first to the last."""
    findings = []
    for symbol in symbols(bench, BARS, day):
        starts = frame(bench, BARS, day, symbol, ["bar_ts"])["bar_ts"].to_physical()
        expected = (starts[-1] - starts[0]) // BAR_NS + 1 if len(starts) else 0
        breaks = (starts.diff() != BAR_NS).arg_true()
        first = {"row": breaks[0], "bar_ts": instant(starts[breaks[0]])} if len(breaks) else None
        facts = {"bars": len(starts), "expected": expected, "count": len(breaks), "first": first}
        findings.append(Finding(symbol, not len(breaks), facts))
    return findings


def feature_names(bench: Workbench, day: dt.date) -> list[Finding]:
    """Published features are those of features.json, each once, of one pipeline, named by its grammar and level."""
    listed, findings = _listed_features(), []
    misnamed = sorted(badly_named(listed, [name.lower() for name in bench.settings.levels.pipelines]))
    twice = sorted(name for name, pipelines in listed.items() if len(pipelines) > 1)
    unlisted = sorted(_unlisted(listed))
    for symbol in symbols(bench, MARKET_FEATURES, day):
        wrong = [*misnamed, *twice, *unlisted]
        facts: dict[str, object] = {
            "features": len(listed),
            "count": len(wrong),
            "first": wrong[0] if wrong else None,
            "misnamed": misnamed[:SHOWN],
            "of_two_pipelines": twice[:SHOWN],
            "unlisted": unlisted[:SHOWN],
        }
        findings.append(Finding(symbol, not wrong, facts))
    return findings


def _unlisted(listed: Mapping[str, list[str]]) -> Iterator[str]:
    """Features of the contracts the tables are published under that features.json does not list."""
    for key in (MARKET_FEATURES, SIGNALS):
        yield from (name for name in contracts.load(key).columns_of_kind("feature") if name not in listed)


@cache
def _listed_features(root: Path = CONTRACTS_DIR) -> Mapping[str, list[str]]:
    """Pipelines of every feature of features.json, by name."""
    found: dict[str, list[str]] = {}
    for row in json.loads((root / "features.json").read_bytes())["features"]:
        found.setdefault(row["name"], []).append(row["pipeline"])
    return found


def badly_named(listed: Mapping[str, list[str]], levels: list[str]) -> Iterator[str]:
    """Features that break the grammar of names, or lack the level they are of.

    Args:
        listed: Pipelines of every feature, by name.
        levels: Names of the levels in lower case.
    """
    for name, pipelines in listed.items():
        grammar = LEVEL_FEATURE_NAME if "LEVEL" in pipelines else FEATURE_NAME
        if not grammar.fullmatch(name):
            yield name
    for level in levels:
        of_level = contracts.load(contracts.level_key(LEVEL_FEATURES, level)).columns_of_kind("feature")
        yield from (
            name
            for name in of_level
            if not name.startswith(f"{level}_")
            or "LEVEL" not in listed.get(name.removeprefix(f"{level}_"), ())
        )


def features_of_decision(bench: Workbench, day: dt.date) -> list[Finding]:
    """The market an attempt is shown is that of the bar its decision ends, of no later one; some features every date.

    That no value of a bar depends on what comes after it is shown by recomputing a session with its future removed,
    which the test suite does for every table.
    """
    findings, features = [], features_of_date(day)
    for symbol in symbols(bench, SIGNALS, day):
        attempts = frame(bench, SIGNALS, day, symbol, ["episode_id", "decision_ts", *features])
        bars = frame(bench, MARKET_FEATURES, day, symbol, ["bar_ts", *features])
        ended = bars.with_columns(
            (pl.col("bar_ts").to_physical() + BAR_NS)
            .cast(attempts.schema["decision_ts"])
            .alias("decision_ts")
        ).drop("bar_ts")
        both = attempts.with_row_index("row").join(ended, on="decision_ts", how="left", suffix="_of_bar")
        differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_of_bar")) for name in features)
        wrong = both.filter(differs).sort("row")
        first = (
            {
                "row": wrong["row"][0],
                "episode_id": wrong["episode_id"][0],
                "feature": _different(wrong, features),
            }
            if wrong.height
            else None
        )
        rate = wrong.height / max(attempts.height, 1)
        facts = {"attempts": attempts.height, "count": wrong.height, "rate": rate, "first": first}
        findings.append(Finding(symbol, not wrong.height, facts))
    return findings


def features_of_date(day: dt.date) -> list[str]:
    """The features of the market that are compared on a trade date."""
    signals = set(contracts.load(SIGNALS).columns)
    names = [name for name in contracts.load(MARKET_FEATURES).columns_of_kind("feature") if name in signals]
    stride = max(len(names) // COMPARED_FEATURES, 1)
    return names[day.toordinal() % stride :: stride][:COMPARED_FEATURES]


def _different(rows: pl.DataFrame, features: list[str]) -> str:
    row = rows.row(0, named=True)
    return next((name for name in features if row[name] != row[f"{name}_of_bar"]), features[0])


def labels_balanced(bench: Workbench, day: dt.date) -> list[Finding]:
    """Of a contract's attempts over the last sessions each class of the primary label has a fair share."""
    quality, findings = bench.settings.quality, []
    days = (*sessions_before(day, quality.label_sessions - 1), day)
    for symbol in symbols(bench, SIGNALS, day):
        counts = dict.fromkeys((*CLASSES, "UNDEFINED"), 0)
        for earlier in days:
            manifest = bench.lake.manifests(SIGNALS, earlier).get(symbol)
            if manifest is not None and manifest.rows:
                labels = _labels(bench.lake.root, earlier, symbol, manifest.generation)
                for name, rows in labels["outcome"].value_counts().iter_rows():
                    counts[name] += rows
        decided = sum(counts[name] for name in CLASSES)
        facts: dict[str, Any] = {"attempts": sum(counts.values()), "decided": decided}
        if decided < quality.min_labels:
            why = f"decided attempts: {decided}, needed: {quality.min_labels}"
            findings.append(Finding.skip(symbol, why, **facts))
            continue
        shares = {name: counts[name] / decided for name in CLASSES}
        low, high = quality.label_share_low, quality.label_share_high
        balanced = all(low <= share <= high for share in shares.values())
        findings.append(Finding(symbol, balanced, facts | shares | {"low": low, "high": high}))
    return findings


@lru_cache(4096)
def _labels(root: Path, day: dt.date, symbol: str, _generation: str) -> pl.DataFrame:
    """The primary labels of a date; remembered, because many later dates look back on them."""
    with Lake(root).read(SIGNALS, day, symbol, verify="size") as partition:
        labels = partition.frame(["episode_id", "outcome", "is_complete", "label_end_ts"])
    return labels.with_columns(pl.col("outcome").cast(pl.String)).with_row_index("row")


def labels_whole(bench: Workbench, day: dt.date) -> list[Finding]:
    """A label is given only where it was seen: a chop over its whole horizon, any other before the record ends."""
    findings = []
    for symbol, manifest in bench.lake.manifests(SIGNALS, day).items():
        attempts = _labels(bench.lake.root, day, symbol, manifest.generation)
        span = bench.lake.manifests(BARS, day)[symbol].time_range
        end = span.max_ns + BAR_NS if span else 0
        unseen = (pl.col("outcome") == "CHOP") & ~pl.col("is_complete")
        beyond = (pl.col("outcome") != "UNDEFINED") & (pl.col("label_end_ts").to_physical() > end)
        wrong = attempts.filter((unseen | beyond).fill_null(value=True))
        first = {"row": wrong["row"][0], "episode_id": wrong["episode_id"][0]} if wrong.height else None
        rate = wrong.height / max(attempts.height, 1)
        facts = {"attempts": attempts.height, "count": wrong.height, "rate": rate, "first": first}
        findings.append(Finding(symbol, not wrong.height, facts))
    return findings


def returns_correlate(bench: Workbench, day: dt.date) -> list[Finding]:
    """One-minute returns of the pairs of roots that follow each other correlate in cash hours; ES with SPY."""
    quality, findings = bench.settings.quality, []
    of_root = {root_of(bench, day, symbol): symbol for symbol in symbols(bench, OHLCV, day)}
    for pair in quality.correlated:
        name = "/".join(pair)
        absent = [root for root in pair if root not in of_root]
        if absent:
            findings.append(Finding.skip("*", f"no {' and no '.join(absent)} in the lake", rule=name))
            continue
        both = _returns(bench, day, of_root[pair[0]]).join(
            _returns(bench, day, of_root[pair[1]]), on="bar_ts", suffix="_other"
        )
        if both.height < 2:
            findings.append(Finding.skip("*", f"{both.height} minutes in common", rule=name))
            continue
        rate = float(both.select(pl.corr("return", "return_other")).item() or 0.0)
        facts = {"rule": name, "minutes": both.height, "rate": rate, "warn_below": quality.correlation}
        findings.append(Finding("*", rate >= quality.correlation, facts))
    return findings


def _returns(bench: Workbench, day: dt.date, symbol: str) -> pl.DataFrame:
    """Log returns of the one-minute closes of cash hours."""
    session = cme.session(day)
    bars = frame(bench, OHLCV, day, symbol, ["interval", "bar_ts", "close"])
    start, end = session.rth_open_ns or 0, session.rth_close_ns or 0
    cash = pl.col("bar_ts").to_physical().is_between(start, end, closed="left")
    minutes = bars.filter((pl.col("interval") == "1m") & cash).sort("bar_ts")
    return minutes.select("bar_ts", pl.col("close").log().diff().alias("return")).drop_nulls()


CHECKS: tuple[Check, ...] = (
    Check.of(grid_complete, BARS, "ERROR"),
    Check.of(returns_correlate, OHLCV, "WARN", remedy=LOOK),
    Check.of(feature_names, MARKET_FEATURES, "ERROR", SIGNALS, remedy="footprint-assets contracts"),
    Check.of(features_of_decision, SIGNALS, "ERROR", MARKET_FEATURES),
    Check.of(labels_whole, SIGNALS, "ERROR", BARS),
    Check.of(labels_balanced, SIGNALS, "WARN", remedy=LOOK),
)
