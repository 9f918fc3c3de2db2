"""What a wheel holds: all that runs, without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from footprint_assets import contracts
from footprint_assets_tests.conftest import REPOSITORY


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_installed_package_has_the_contracts_of_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "info").mkdir()
    build = ["setup.py", "-q", "egg_info", "--egg-base", str(tmp_path / "info"), "build_py", "--build-lib"]
    subprocess.run([sys.executable, *build, str(tmp_path / "built")], cwd=REPOSITORY, check=True)
    program = "from footprint_assets import contracts; print(contracts.CONTRACTS_DIR, *contracts.all_keys())"
    folder, *keys = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "built")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert Path(folder).is_relative_to(tmp_path)
    assert keys == contracts.all_keys()
    assert files_in(Path(folder)) == files_in(contracts.CONTRACTS_DIR)
