"""The page of the errors misses none, and says of each what mends it."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import footprint_assets
from footprint_assets.error_docs import REMEDIES, Case, kinds
from footprint_assets.errors import FootprintError
from footprint_assets.table_docs import troubleshooting_page

PACKAGE = '''
from errors import FootprintError

WAY = "Wait."


class Busy(FootprintError):
    """Somebody else
    is at it.

    More.
    """


class VeryBusy(Busy):
    """Many are."""


class NoError(ValueError):
    """Not ours."""


def remedy(day):
    return f"run --date {day}" if day else "run"


def work(day, name):
    raise Busy(f"{name} is busy.", remedy=WAY)
    raise Busy("gone", where={}, remedy=remedy(day))
    raise VeryBusy(name, remedy=f"{name}.")
    raise NoError("no")
'''


def error_classes(base: type[FootprintError] = FootprintError) -> set[str]:
    """Every kind of error there is once the whole package is imported."""
    for module in pkgutil.walk_packages(footprint_assets.__path__, "footprint_assets."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
    found, waiting = set[str](), [base]
    while waiting:
        for child in waiting.pop().__subclasses__():
            if child.__module__.startswith("footprint_assets."):
                found.add(child.__name__)
                waiting.append(child)
    return found


def test_every_error_of_the_package_is_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTPRINT_LAKE_ROOT", "nowhere")
    named = error_classes()
    assert {kind.name for kind in kinds()} == named
    assert len(named) > 40
    page = troubleshooting_page()
    assert [name for name in sorted(named) if f"\n## {name}\n" not in page] == []


def test_every_error_says_what_it_means_and_what_mends_it() -> None:
    for kind in kinds():
        assert kind.meaning.endswith("."), kind.name
        assert kind.remedies or kind.members, f"{kind.name}: no place that raises it names a remedy"


def test_no_remedy_is_kept_for_an_error_whose_places_name_one() -> None:
    by_name = {kind.name: kind for kind in kinds()}
    for name in REMEDIES:
        assert by_name[name].remedies == (REMEDIES[name],), name


def test_what_the_source_says_is_read_and_what_it_cannot_say_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "errors.py").write_text("class FootprintError(Exception): ...\n")
    (tmp_path / "work.py").write_text(PACKAGE)
    busy, very = kinds(tmp_path)
    assert (busy.name, busy.family, busy.meaning) == ("Busy", "FootprintError", "Somebody else is at it.")
    assert busy.members == ("VeryBusy",)
    assert busy.cases == (
        Case("… is busy.", "Wait."),
        Case("gone", "run --date …"),
        Case("gone", "run"),
    )
    assert (very.family, very.cases, very.remedies) == ("Busy", (), ())
