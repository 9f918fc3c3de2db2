"""What is measured, one module a subject: ours and its peers side by side, and the lines they decide."""

from __future__ import annotations

from benchmarks.cases import bars, bronze, day, footprint, judgement, learning, parallel, silver, start

CASES = (
    bronze.CASE,
    silver.CASE,
    bars.KERNELS,
    bars.PUBLISHED,
    footprint.FOOTPRINT,
    footprint.OHLCV,
    day.WHOLE,
    day.ACCOUNTS,
    start.CASE,
    parallel.AT_ONCE,
    parallel.BACKFILL,
    *learning.CASES,
    judgement.CASE,
)
"""In the order of the report."""
