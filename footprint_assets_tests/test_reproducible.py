"""The bytes of a lake depend on its sources, its settings and its code, not on how many threads were there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from footprint_assets.lake import Lake
from footprint_assets.settings import Settings
from footprint_assets_tests.small_market import DAY, files_of, settings_of


@pytest.mark.slow
def test_one_thread_gives_the_bytes_of_many(built_market: Settings, tmp_path: Path) -> None:
    (tmp_path / "dbn").symlink_to(built_market.dbn_dir)
    program = f"""
        from pathlib import Path
        import polars as pl
        from footprint_assets_tests.small_market import DAY, build_lake, settings_of

        assert pl.thread_pool_size() == 1
        build_lake(settings_of(Path({str(tmp_path)!r})), DAY)
    """
    threads = dict.fromkeys(
        ("FOOTPRINT_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"), "1"
    )
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=Path(__file__).parents[1],
        env=os.environ | threads,
        check=True,
    )

    alone = files_of(Lake(settings_of(tmp_path).lake_root), day=DAY)

    assert len(alone) > 100
    assert alone == files_of(Lake(built_market.lake_root), day=DAY)
