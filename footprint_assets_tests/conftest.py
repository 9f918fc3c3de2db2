"""Fixtures every room's tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from footprint_assets.settings import Settings
from footprint_assets_tests import small_market

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real market data beside the repository; tests over it skip where it is absent."""
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real market data (../shared/data) is not on this machine")
    return path


@pytest.fixture(scope="session")
def built_market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A drop folder and a lake of two trade dates of the small market; read only."""
    root = tmp_path_factory.mktemp("market")
    small_market.write_drop(root / "dbn", (small_market.DAY, small_market.NEXT))
    settings = small_market.settings_of(root)
    small_market.build_lake(settings, small_market.DAY, small_market.NEXT)
    return settings


@pytest.fixture
def own_market(built_market: Settings, tmp_path: Path) -> Settings:
    """A copy of the built market, to be changed."""
    shutil.copytree(built_market.lake_root.parent, tmp_path / "market")
    return small_market.settings_of(tmp_path / "market")
