"""What the pages of models and setups are drawn of: a few rows of each kind, made by hand."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from footprint_assets.report import ModelTables, Setups, Signals
from footprint_assets.report.shell import Figure

HOSTILE = "<b>A</b></script><img src=x onerror=\"document.title='owned'\">"


def report(**changes: Any) -> pl.DataFrame:
    """A report with one score and ten bins of a probability."""
    shared = {"low": 0.5, "high": 0.7, "null_low": 0.4, "null_high": 0.6, "rows": 40, "sessions": 8}
    auc = {"measure": "auc", "split": "all", "segment": "all", "value": 0.65, "reference": 0.5}
    bins = [
        {"measure": "reliability", "split": "bin", "segment": f"{k:02d}", "value": x + 0.02, "reference": x}
        | {"low": x - 0.1, "high": x + 0.1, "null_low": x - 0.08, "null_high": x + 0.08}
        for k, x in ((k, 0.05 + k / 10) for k in range(10))
    ]
    rows = [
        {"subject": "p_break"} | shared | row | {"is_beyond_null": row["measure"] == "auc"} | changes
        for row in (auc, *bins)
    ]
    return pl.DataFrame(rows)


def curve(x: str, y: str, values: list[float]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            x: [(k + 1) / len(values) for k in range(len(values))],
            "rows": [10 * (k + 1) for k in range(len(values))],
            y: values,
            "low": [value - 0.1 for value in values],
            "high": [value + 0.1 for value in values],
        }
    )


def model_tables(word: str = "ofi") -> ModelTables:
    """Every part of the model page; ``word`` stands where names from the data stand."""
    signals = Signals(
        "log odds",
        pl.DataFrame(
            {
                "episode_id": ["a", "b"],
                "decision": [word, "then"],
                "said": ["p_break 71%"] * 2,
                "outcome": ["BREAK", None],
            }
        ),
        pl.DataFrame({"base": [0.1, 0.1], word: [0.5, -0.25], "depth": [-0.2, 0.1]}),
    )
    return ModelTables(
        figures=[Figure("Episodes", "412")],
        lift={word: curve("share", "lift", [1.8, 1.5, 1.2, 1.0])},
        coverage={
            "strength": {
                "quantiles": curve("nominal", "observed", [0.3, 0.5, 0.8]),
                "interval": curve("nominal", "observed", [0.8]),
            }
        },
        families={"direction": pl.DataFrame({"family": [word, "depth"], "mean_size": [0.3, 0.1]})},
        signals={"direction": signals},
        reports={"Scores and calibration": report(segment=word) if word != "ofi" else report()},
        cards={
            "direction": f"# Card\n\n| a | b |\n|---|---|\n| 1 | {word} |\n\n![x](https://example.invalid/x.png) [l](https://example.invalid)"
        },
    )


def attempt(number: int, outcome: str | None, decision: str = "2024-06-18 10:31:05 ET") -> dict[str, Any]:
    return {
        "episode_id": f"e{number}",
        "decision": decision,
        "outcome": outcome,
        "distance": 0.3 + 0.01 * number,
        "share": 0.25,
        "strength_signed_pts": 1.5,
        "passage_s": 120.0 if outcome in ("BREAK", "BOUNCE") else None,
    }


def path(rise: float) -> pl.DataFrame:
    """Fifteen minutes to the level and eight from it."""
    seconds = list(range(-900, 481, 5))
    return pl.DataFrame(
        {
            "second": seconds,
            "distance_pts": [(rise if s > 0 else 2.0) * s / 300 + math.sin(s / 40) / 4 for s in seconds],
        }
    )


def setups(decision: str = "2024-06-18 10:31:05 ET") -> Setups:
    """An attempt with four like it; the path of the last is not in the lake."""
    like = [
        attempt(k, outcome, decision)
        for k, outcome in enumerate(("BREAK", "BOUNCE", "CHOP", "BREAK"), start=1)
    ]
    schema = {"outcome": pl.String, "passage_s": pl.Float64}
    paths = {f"e{k}": path(rise) for k, rise in enumerate((0.0, 2.0, -2.0, 0.1))}
    return Setups(
        pl.DataFrame([attempt(0, None, decision)], schema_overrides=schema),
        pl.DataFrame(like, schema_overrides=schema),
        paths,
        2.0,
        [Figure("Level", "5499.50")],
        [("direction: break, if decided", "61 %")],
    )
