"""The code version changes when numbers may, and only then."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from footprint_assets import code_version as versions
from footprint_assets_tests.small_market import TABLES

KERNEL = '''
"""A kernel."""
from footprint_assets.{room}.deeper import STEP
LIMIT = 3

def kernel(x):
    """Multiply."""
    return x * LIMIT * STEP  # the limit
'''
DEEPER = "STEP = 2\n"
ASSET = '''
"""An asset module."""
from footprint_assets.{room}.kernel import kernel
from footprint_assets.{room} import deeper

SCALE = 10

def asset(x):
    """One row a kernel."""
    return Shift(1).of(helper(kernel(x)))

def helper(x):
    return x + 1

class Shift:
    def __init__(self, by):
        self.by = by

    def of(self, x):
        return x << self.by

def stranger(x):
    return x - 1
'''


@pytest.fixture
def version_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The code version of an asset in a package of three small modules, each given as source."""
    room = "kernels.of_a_test"
    folder = tmp_path / "of_a_test"
    folder.mkdir()
    (folder / "__init__.py").touch()
    import footprint_assets.kernels

    monkeypatch.setattr(
        footprint_assets.kernels, "__path__", [*footprint_assets.kernels.__path__, str(tmp_path)]
    )
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def forget() -> None:
        for name in [name for name in sys.modules if "of_a_test" in name]:
            del sys.modules[name]
        importlib.invalidate_caches()
        versions._module.cache_clear()
        versions._is_module.cache_clear()

    def version(asset: str = ASSET, kernel: str = KERNEL, deeper: str = DEEPER) -> str:
        forget()
        for name, source in (("kernel", kernel), ("deeper", deeper)):
            (folder / f"{name}.py").write_text(source.format(room=room))
        at = tmp_path / f"asset_{abs(hash((asset, kernel, deeper)))}.py"
        at.write_text(asset.format(room=room))
        spec = importlib.util.spec_from_file_location("asset_of_a_test", at)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["asset_of_a_test"] = module
        spec.loader.exec_module(module)
        return versions.code_version(module.asset)

    yield version
    forget()


def test_the_same_code_has_the_same_version(version_of: Callable[..., str]) -> None:
    assert version_of() == version_of()
    assert len(version_of()) == 16


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("asset", '"""One row a kernel."""', '"""Another text."""'),
        ("asset", "    return x + 1", "    # why not\n    return x + 1"),
        ("asset", "helper(kernel(x))", "helper(\n        kernel(x)\n    )"),
        ("asset", "return x - 1", "return x - 2"),
        ("kernel", "  # the limit", "  # another comment"),
        ("kernel", '"""Multiply."""', '"""Multiply three numbers."""'),
        ("deeper", "STEP = 2", "# a step\n\nSTEP = 2"),
    ],
    ids=[
        "docstring",
        "comment",
        "layout",
        "unused helper",
        "kernel comment",
        "kernel docstring",
        "deeper comment",
    ],
)
def test_words_layout_and_code_nothing_uses_do_not_change_it(
    version_of: Callable[..., str], part: str, old: str, new: str
) -> None:
    sources = {"asset": ASSET, "kernel": KERNEL, "deeper": DEEPER}
    assert old in sources[part]

    assert version_of(**{part: sources[part].replace(old, new)}) == version_of()


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("asset", "helper(kernel(x))", "kernel(helper(x))"),
        ("asset", "return x << self.by", "return x >> self.by"),
        ("asset", "return x + 1", "return x + 2"),
        ("kernel", "LIMIT = 3", "LIMIT = 4"),
        ("kernel", "x * LIMIT * STEP", "x * LIMIT + STEP"),
        ("deeper", "STEP = 2", "STEP = 3"),
    ],
    ids=["own code", "method", "helper", "kernel constant", "kernel code", "constant two imports away"],
)
def test_code_and_constants_the_asset_reaches_change_it(
    version_of: Callable[..., str], part: str, old: str, new: str
) -> None:
    sources = {"asset": ASSET, "kernel": KERNEL, "deeper": DEEPER}
    assert old in sources[part]

    assert version_of(**{part: sources[part].replace(old, new)}) != version_of()


def test_a_constant_beside_the_asset_changes_it_where_the_asset_uses_it(
    version_of: Callable[..., str],
) -> None:
    using = ASSET.replace("return x + 1", "return x + SCALE")

    assert version_of(asset=using.replace("SCALE = 10", "SCALE = 11")) != version_of(asset=using)
    assert version_of(asset=ASSET.replace("SCALE = 10", "SCALE = 11")) == version_of(asset=ASSET)


def test_a_constant_made_of_another_or_imported_alone_changes_it(version_of: Callable[..., str]) -> None:
    derived = ASSET.replace("SCALE = 10", "BASE = 5\nSCALE = BASE * 2").replace("x + 1", "x + SCALE")
    alone = "from footprint_assets.{room}.deeper import STEP\n\ndef asset(x):\n    return x + STEP\n"

    assert version_of(asset=derived.replace("BASE = 5", "BASE = 6")) != version_of(asset=derived)
    assert version_of(asset=alone, deeper="STEP = 3") != version_of(asset=alone, deeper="STEP = 2")


def modules_behind(table: str) -> set[str]:
    (function,) = [t.code for t in TABLES if t.key == table]
    return {
        name.removeprefix("footprint_assets.") for name in versions._closure(versions._reached(function)[1])
    }


def test_every_table_reaches_the_kernels_its_numbers_come_from() -> None:
    assert "kernels.footprint" in modules_behind("silver.future.footprint_price")
    assert "kernels.value_area" in modules_behind("silver.future.footprint_price")
    assert "kernels.book_events" in modules_behind("silver.future.market_by_price_10_clean")
    assert "sources.dbn" in modules_behind("bronze.future.trades")
    assert "sources.columns" in modules_behind("bronze.future.definition")
    assert "transforms.deliveries" in modules_behind("silver.future.trades_clean")
    assert "kernels.footprint" not in modules_behind("silver.future.trades_clean")


def test_tables_of_different_code_have_different_versions() -> None:
    # The tables of every level are computed by the same functions.
    functions = {table.code.__code__ for table in TABLES}
    assert len({versions.code_version(table.code) for table in TABLES}) == len(functions)


def test_passes_that_ask_at_once_before_anything_is_remembered_get_what_one_alone_gets(
    tmp_path: Path,
) -> None:
    script = (
        "import sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from footprint_assets.assets import tables\n"
        "from footprint_assets.code_version import code_version\n"
        "from footprint_assets.settings import Settings\n"
        "codes = [table.code for table in tables(Settings())]\n"
        "threads = int(sys.argv[1])\n"
        "sys.setswitchinterval(1e-4)\n"
        "with ThreadPoolExecutor(threads) as pool:\n"
        "    print(*pool.map(code_version, codes))\n"
    )

    def asked(threads: int) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", script, str(threads)],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / str(threads) / "kernels")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    at_once = asked(8)
    assert len(at_once) > 40
    assert at_once == asked(1)
