"""The sample market: simulated ES and NQ files in the vendor's format, so that the project runs without market data.

Everything here is invented by a seeded simulator and says nothing about any real market; only the format, the trading
hours and the record conventions are those of the exchange and the vendor. ``instruments`` lists contracts, ``schedule``
shapes a session, ``book`` simulates order books, ``reference`` makes definitions and statistics, ``files`` writes DBN,
``market`` runs it all. Where something is to be known about levels, ``edge`` states the law, ``attempts`` plants it in the market,
and ``known_edge`` draws rows of gold by it without a market. Nothing here reads market data, and nothing in the pipeline depends
on this room.
"""

from __future__ import annotations

from footprint_assets.sample.market import (
    DEFAULT_END,
    DEFAULT_RECORDS,
    DEFAULT_SEED,
    DEFAULT_START,
    SampleRequestRefused,
    write_sample,
)

__all__ = [
    "DEFAULT_END",
    "DEFAULT_RECORDS",
    "DEFAULT_SEED",
    "DEFAULT_START",
    "SampleRequestRefused",
    "write_sample",
]
