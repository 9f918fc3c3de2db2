"""The order of fsync and rename that a power cut respects, read off the calls a publication makes.

After a power cut a file has its content only if it was synced, and a name only if its directory was. So every file is
synced before its directory, every directory before the rename that makes it public, and the public directory before
``publish`` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from footprint_assets.lake import Lake, fsops
from footprint_assets_tests.lake.support import DAY, TABLE, publish

Call = tuple[str, tuple[str, ...]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
    made: list[Call] = []

    def record(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def recorded(*args: object, **kwargs: object) -> object:
            names = tuple(
                str(Path(f"/proc/self/fd/{a}").readlink()) if isinstance(a, int) else str(a)
                for a in args
                if not isinstance(a, bytes | bytearray)
            )
            made.append((name, names))
            return function(*args, **kwargs)

        return recorded

    for name in fsops.MUTATING:
        monkeypatch.setattr(fsops, name, record(name, getattr(fsops, name)))
    return made


def positions(calls: list[Call], name: str, *paths: str) -> list[int]:
    return [n for n, call in enumerate(calls) if call == (name, paths)]


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, {"ESU5": 1}), ({"ESU5": 1}, {"ESU5": 2}), ({"ESM5": 1, "NQM5": 1}, {"ESU5": 2, "NQM5": 2})],
)
def test_everything_is_durable_before_it_is_public_and_public_before_it_is_claimed(
    tmp_path: Path, calls: list[Call], before: dict[str, int], after: dict[str, int]
) -> None:
    lake = Lake(tmp_path / "lake")
    if before:
        publish(lake, before)
    calls.clear()
    publish(lake, after)
    for symbol in after:
        target = str(lake.layout.partition(TABLE, DAY, symbol))
        (renamed,) = [
            n
            for n, (name, paths) in enumerate(calls)
            if name.startswith("rename_") and paths[1:] == (target,)
        ]
        staged = calls[renamed][1][0]
        created = [
            (n, p[0])
            for n, (name, p) in enumerate(calls)
            if name == "create" and Path(p[0]).parent == Path(staged)
        ]
        assert {Path(path).name for _, path in created} == {
            "part-00000.parquet",
            "_MANIFEST.json",
            "_SUCCESS",
        }
        synced_directory = max(n for n in positions(calls, "fsync", staged) if n < renamed)
        for _, path in created:
            last_write = max(positions(calls, "write", path))
            assert any(last_write < n < synced_directory for n in positions(calls, "fsync", path)), path
        assert any(n > renamed for n in positions(calls, "fsync", str(Path(target).parent)))


def test_an_intent_is_durable_before_the_first_rename_and_goes_only_after_the_last_is_durable(
    tmp_path: Path, calls: list[Call]
) -> None:
    lake = Lake(tmp_path / "lake")
    publish(lake, {"ESM5": 1, "NQM5": 1})
    calls.clear()
    publish(lake, {"ESU5": 2, "NQM5": 2})
    (intent,) = {p[0] for name, p in calls if name == "create" and p[0].endswith(".intent.json")}
    renames = [n for n, (name, _) in enumerate(calls) if name.startswith("rename")]
    assert len(renames) == 3
    written = max(positions(calls, "write", intent))
    synced = [n for n in positions(calls, "fsync", intent) if n > written]
    assert min(n for n in positions(calls, "fsync", str(lake.layout.staging)) if n > synced[0]) < renames[0]
    (dropped,) = positions(calls, "unlink", intent)
    parents = {str(Path(calls[n][1][1]).parent) for n in renames if "symbol=" in calls[n][1][1]}
    for parent in parents | {str(Path(calls[n][1][0]).parent) for n in renames if "table=" in calls[n][1][0]}:
        assert any(renames[-1] < n < dropped for n in positions(calls, "fsync", parent)), parent
    old = [n for n, (name, p) in enumerate(calls) if name == "unlink" and "replaced=" in p[0]]
    assert min(old) > dropped


def test_a_new_directory_is_durable_in_its_parent_before_anything_is_made_inside(
    tmp_path: Path, calls: list[Call]
) -> None:
    lake = Lake(tmp_path / "lake")
    publish(lake, {"ESU5": 1})
    made = [
        (n, Path(p[0])) for n, (name, p) in enumerate(calls) if name == "mkdir" and ".staging/" not in p[0]
    ]
    assert lake.root in {path for _, path in made}
    for n, path in made:
        synced = [m for m in positions(calls, "fsync", str(path.parent)) if m > n]
        inside = [
            m for m, (_, p) in enumerate(calls) if m > n and any(name.startswith(f"{path}/") for name in p)
        ]
        assert synced
        assert synced[0] < min(inside)


def test_only_publications_of_more_than_one_rename_need_an_intent(tmp_path: Path, calls: list[Call]) -> None:
    lake = Lake(tmp_path / "lake")
    publish(lake, {"ESU5": 1})
    publish(lake, {"ESU5": 2})
    assert not [p for _, p in calls if p and p[0].endswith(".intent.json")]
