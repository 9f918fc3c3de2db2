"""Compiled kernels are found again by the same code, and by no other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import footprint_assets

PACKAGE = Path(footprint_assets.__file__).parent


def cache_of(package: Path, cache: Path) -> Path:
    told = "import os, footprint_assets; print(os.environ['NUMBA_CACHE_DIR'])"
    environment = os.environ | {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(cache)}
    run = subprocess.run(
        [sys.executable, "-c", told],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=package.parent,
    )
    return Path(run.stdout.strip())


def test_a_changed_kernel_changes_the_cache_of_all_and_a_child_process_shares_its_parents(
    tmp_path: Path,
) -> None:
    copy = tmp_path / "copy" / "footprint_assets"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = cache_of(copy, tmp_path)
    assert before.parent == tmp_path
    assert cache_of(copy, before) == before

    with (copy / "kernels" / "lanes.py").open("a") as kernel:
        kernel.write("# changed\n")

    assert cache_of(copy, tmp_path) != before
