"""Fixtures every room's tests share."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from footprint_assets.settings import Settings
from footprint_assets_tests import small_market

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, then those of many tests: what comes last keeps one process, not several.

    Processes of pytest-xdist take files in this order (``--dist loadfile --no-loadscope-reorder``).
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    count = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in slow, -count[item.path], item.path))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real market data beside the repository; tests over it skip where it is absent."""
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real market data (../shared/data) is not on this machine")
    return path


@pytest.fixture(scope="session")
def built_market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A drop folder and a lake of two trade dates of the small market; read only.

    One process of pytest-xdist builds them, each has a copy.
    """
    mine = tmp_path_factory.getbasetemp()
    shared = mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine
    built, half = shared / "built-market", shared / "half-built-market"
    with (shared / "built-market.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            shutil.rmtree(half, ignore_errors=True)
            small_market.write_drop(half / "dbn", (small_market.DAY, small_market.NEXT))
            small_market.build_lake(small_market.settings_of(half), small_market.DAY, small_market.NEXT)
            half.rename(built)
    root = mine / "market"
    shutil.copytree(built, root)
    return small_market.settings_of(root)


@pytest.fixture
def own_market(built_market: Settings, tmp_path: Path) -> Settings:
    """A copy of the built market, to be changed."""
    shutil.copytree(built_market.lake_root.parent, tmp_path / "market")
    return small_market.settings_of(tmp_path / "market")
