"""One small sample market for all tests of this room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from footprint_assets.sample import DEFAULT_END, DEFAULT_SEED, DEFAULT_START, write_sample
from footprint_assets_tests.sample.market_files import read_all, symbols_of

SMALL = 3_000


@dataclass(frozen=True)
class SmallMarket:
    paths: list[Path]
    book: np.ndarray
    trades: np.ndarray
    symbols: dict[int, str]

    def of(self, symbol: str) -> np.ndarray:
        ids = [instrument_id for instrument_id, name in self.symbols.items() if name == symbol]
        return self.book[np.isin(self.book["instrument_id"], ids)]


@pytest.fixture(scope="session")
def small_market(tmp_path_factory: pytest.TempPathFactory) -> SmallMarket:
    """The default span with 3,000 records a session."""
    out = tmp_path_factory.mktemp("sample")
    paths = write_sample(out, DEFAULT_START, DEFAULT_END, SMALL, DEFAULT_SEED)
    symbols: dict[int, str] = {}
    for path in paths:
        symbols.update(symbols_of(path))
    return SmallMarket(paths, read_all(paths, "mbp-10"), read_all(paths, "trades"), symbols)
