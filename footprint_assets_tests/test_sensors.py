"""The sensor: whatever way files reach the drop folder, each trade date is run for each delivery, once, when whole."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets.arrivals import READ_SCHEMAS, CursorUnknown, Progress, trade_dates
from footprint_assets.assets import bronze
from footprint_assets.build import build_definitions
from footprint_assets.jobs import LAKE_DAILY
from footprint_assets.lake import Lake
from footprint_assets.resources import Workbench
from footprint_assets.runs import dagster_home
from footprint_assets.sensors import IN_ORDER, build_sensors
from footprint_assets.settings import AutomationSettings, IngestSettings, Settings
from footprint_assets.sources.catalog import Catalog, FileEntry, covering
from footprint_assets.sources.records import SCHEMAS
from footprint_assets.tables import Scope
from footprint_assets_tests.drop_folder import EVE, Watched, claim, deliver, rewrite, write_manifest
from footprint_assets_tests.small_market import DAY, KEYS, NEXT, THIRD, settings_of, write_drop
from footprint_assets_tests.sources.dbn_files import metadata, write

HOLIDAY = dt.date(2025, 4, 18)
"""Good Friday: closed, not even an evening."""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("dagster_home")
    with dg.instance_for_test(temp_dir=str(home)) as instance:
        yield instance


@pytest.fixture
def drop(tmp_path: Path, instance: dg.DagsterInstance) -> Watched:
    return Watched(tmp_path, instance)


def whole_day(folder: Path, day: dt.date = DAY, schema: str = "trades") -> list[Path]:
    """The two UTC days of a trade date that is no Monday."""
    return deliver(folder, day - dt.timedelta(1), day, schema=schema)


def known(drop: Watched, *utc_days: dt.date) -> None:
    """Files that were taken long ago."""
    deliver(drop.folder, *utc_days)
    drop.settle()


def test_an_empty_folder_is_skipped_and_says_so(drop: Watched) -> None:
    assert drop.tick() == []
    assert drop.skipped == "Nothing new in the drop folder."


def test_new_files_of_a_date_are_one_request_once_they_are_unchanged_for_a_tick(drop: Watched) -> None:
    known(drop, EVE)
    deliver(drop.folder, DAY)
    deliver(drop.folder, DAY, schema="mbp-10")

    assert drop.tick() == []
    assert "2 files are still arriving, such as glbx-mdp3-20250604.mbp-10.dbn.zst" in drop.skipped
    (request,) = drop.requests()
    assert request.partition_key == "2025-06-04"
    assert request.tags["footprint/files"] == "3"  # the evening before is in the file of the day before
    assert drop.settle() == []


def test_the_evening_a_file_ends_with_requests_no_date(drop: Watched) -> None:
    whole_day(drop.folder)

    assert drop.settle() == ["2025-06-03", "2025-06-04"]
    assert drop.settle() == []  # 2025-06-05 has two hours and waits for nobody: its own file will name it


def test_a_file_that_grows_is_waited_for_and_holds_back_its_date(drop: Watched) -> None:
    known(drop, EVE)
    deliver(drop.folder, DAY)
    (book,) = deliver(drop.folder, DAY, schema="mbp-10")
    content = book.read_bytes()
    book.write_bytes(content[:40])
    assert drop.tick() == []
    for size in (80, 120, len(content) - 1):
        book.write_bytes(content[:size])
        assert drop.tick() == []
        assert "2025-06-04 waits: glbx-mdp3-20250604.mbp-10.dbn.zst is still arriving." in drop.skipped
    book.write_bytes(content)

    assert drop.tick() == []
    assert drop.tick() == ["2025-06-04"]
    assert not any("refused" in note for note in drop.said)


def test_a_date_is_requested_again_when_a_file_is_delivered_again(drop: Watched) -> None:
    known(drop, EVE, DAY)
    keys = set()
    for _ in range(3):
        rewrite(drop.folder / "glbx-mdp3-20250604.trades.dbn.zst")
        assert drop.tick() == []
        (request,) = drop.requests()
        assert request.partition_key == "2025-06-04"
        keys.add(request.run_key)
    assert len(keys) == 3


def test_a_delivery_that_comes_back_as_it_was_has_a_run_key_of_its_own(drop: Watched, tmp_path: Path) -> None:
    known(drop, EVE)
    (path,) = deliver(drop.folder, DAY)
    drop.tick()
    (first,) = drop.requests()
    aside = path.rename(tmp_path / "aside")
    assert drop.settle() == []
    aside.rename(path)
    drop.tick()
    (second,) = drop.requests()

    assert first.partition_key == second.partition_key
    assert first.run_key.split(":")[:2] == second.run_key.split(":")[:2]  # the same files
    assert first.run_key != second.run_key


def test_a_correction_under_another_name_requests_its_date_again(drop: Watched) -> None:
    known(drop, EVE, DAY)
    deliver(drop.folder / "corrections", DAY)

    assert drop.settle() == ["2025-06-04"]


def test_late_and_out_of_order_files_request_their_own_dates(drop: Watched) -> None:
    known(drop, THIRD, NEXT)
    deliver(drop.folder, dt.date(2024, 12, 3))
    assert drop.settle() == ["2024-12-03"]
    deliver(drop.folder, DAY)  # the evening of NEXT is in it

    assert drop.settle() == ["2025-06-04", "2025-06-05"]


def test_a_monday_is_made_of_sunday_and_monday(drop: Watched) -> None:
    friday, sunday, monday = dt.date(2025, 6, 6), dt.date(2025, 6, 8), dt.date(2025, 6, 9)
    known(drop, dt.date(2025, 6, 5), friday)
    deliver(drop.folder, sunday)
    assert drop.settle() == []
    deliver(drop.folder, monday)
    assert drop.settle() == ["2025-06-09"]
    assert not any("no file holds" in note for note in drop.said)


def test_a_batch_folder_is_taken_at_once_when_every_hash_is_the_manifest_s(drop: Watched) -> None:
    batch = drop.folder / "GLBX-20250606-TEST"
    files = [*whole_day(batch), *whole_day(batch, schema="mbp-10")]
    write_manifest(batch, map(claim, files))
    (batch / "symbology.json").write_text("{}")
    (batch / "condition.json").write_text(
        json.dumps(
            [
                {"date": "2025-06-03", "condition": "available"},
                {"date": "2025-06-04", "condition": "degraded"},
            ]
        )
    )

    assert drop.tick() == ["2025-06-03", "2025-06-04"]
    assert "The vendor calls the data of UTC day 2025-06-04 degraded." in drop.said
    assert drop.settle() == []


def test_a_file_that_is_not_what_its_manifest_says_is_refused_once_and_holds_back_its_dates_only(
    drop: Watched,
) -> None:
    batch = drop.folder / "GLBX-20250606-TEST"
    bad, next_day, third = deliver(batch, DAY, NEXT, THIRD)
    (good,) = deliver(batch, DAY, schema="mbp-10")
    cut = deliver(batch, THIRD, schema="mbp-10")[0]
    write_manifest(
        batch,
        [
            claim(bad, hash=f"sha256:{'0' * 64}"),
            claim(cut, size=10**6),
            *map(claim, (next_day, third, good)),
        ],
    )
    known(drop, EVE)

    refusals = [note for note in drop.said if "is refused" in note]
    assert len(refusals) == 2
    assert "rule=manifest_hash" in refusals[0]
    assert f"the vendor's manifest says {'0' * 64}" in refusals[0]
    assert "rule=manifest_size" in refusals[1]
    assert drop.settle() == []
    assert not drop.said
    assert (
        "2025-06-04 waits: GLBX-20250606-TEST/glbx-mdp3-20250604.trades.dbn.zst was refused." in drop.skipped
    )

    write_manifest(batch, map(claim, (bad, good, next_day, third, cut)))  # the vendor corrects the manifest
    assert drop.tick() == ["2025-06-04", "2025-06-05", "2025-06-06"]


def test_only_so_many_bytes_are_compared_in_a_tick(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    drop = Watched(tmp_path, instance, compared_bytes_per_tick=1)
    files = deliver(drop.folder, EVE, DAY)
    write_manifest(drop.folder, map(claim, files))

    assert drop.tick() == []  # one file is always compared
    assert "1 files are still arriving" in drop.skipped
    assert drop.tick() == ["2025-06-03", "2025-06-04"]


def test_a_damaged_file_is_shown_once_and_does_not_hold_back_other_dates(drop: Watched) -> None:
    deliver(drop.folder, EVE, DAY, NEXT)
    bad = drop.folder / "glbx-mdp3-20250605.trades.dbn.zst"
    content = bad.read_bytes()
    rewrite(bad, content[:30])
    (drop.folder / "empty.dbn").touch()
    (drop.folder / "page.dbn").write_bytes(b"<html>403</html>")

    assert drop.settle() == ["2025-06-03", "2025-06-04"]
    refused = sorted(note.split(" is refused: ")[0] for note in drop.said if "is refused" in note)
    assert refused == ["empty.dbn", "glbx-mdp3-20250605.trades.dbn.zst", "page.dbn"]
    assert any("rule=truncated_frame" in note and "Remedy: " in note for note in drop.said)
    assert drop.settle() == []
    assert not drop.said

    rewrite(bad, content)
    assert drop.settle() == ["2025-06-05"]


def test_a_date_waits_for_a_good_copy_of_a_file_that_was_refused(drop: Watched) -> None:
    known(drop, EVE)
    (book,) = deliver(drop.folder, DAY, schema="mbp-10")
    book.write_bytes(book.read_bytes()[:30])
    deliver(drop.folder, DAY)
    assert drop.settle() == []
    assert "2025-06-04 waits: glbx-mdp3-20250604.mbp-10.dbn.zst was refused." in drop.skipped
    book.unlink()

    assert drop.tick() == ["2025-06-04"]


def test_a_file_that_was_taken_is_shown_where_it_cannot_be_read_any_more(drop: Watched) -> None:
    known(drop, EVE)
    drop.settings = drop.settings.model_copy(update={"ingest": IngestSettings(dataset="XNAS.ITCH")})

    assert drop.settle() == []
    assert [note.split("rule=")[1].split("]")[0] for note in drop.said] == ["dataset"]


def test_a_file_of_a_closed_day_is_logged_with_the_holiday_and_makes_no_run(drop: Watched) -> None:
    deliver(drop.folder, HOLIDAY, dt.date(2025, 6, 7))

    assert drop.settle() == []
    for text in (*drop.said, drop.skipped):
        assert "20250418" not in text or "2025-04-18 is no session (Good Friday)" in text
    assert len(drop.said) == 2
    assert "2025-06-07 is no session (Saturday)" in drop.said[1]
    assert drop.settle() == []
    assert not drop.said


def test_files_nothing_is_made_of_are_logged_with_the_reason(drop: Watched) -> None:
    deliver(drop.folder, dt.date(2010, 5, 3), dt.date(2031, 1, 15))
    deliver(drop.folder, DAY, schema="ohlcv-1m")

    assert drop.settle() == []
    assert [note.partition(" makes no trade date: ")[2][:36] for note in drop.said] == [
        "its range lies outside the calendar,",
        "no table is made of schema ohlcv-1m.",
        "its range lies outside the calendar,",
    ]


def test_a_hostile_name_is_refused_in_one_harmless_line(drop: Watched, tmp_path: Path) -> None:
    (outside,) = deliver(tmp_path / "elsewhere", DAY)
    (drop.folder / "glbx-mdp3-20250604.trades.dbn.zst").symlink_to(outside)
    deliver(drop.folder, DAY, name="a\nRunRequest 2025-06-04\x1b[31m.dbn.zst")
    deliver(drop.folder, DAY, name=f"{'n' * 240}\udcff.dbn")  # no UTF-8
    deliver(drop.folder, EVE)

    assert drop.settle() == ["2025-06-03"]
    refusals = [note for note in drop.said if "is refused" in note]
    assert [note.split("rule=")[1].split("]")[0] for note in refusals[:2]] == ["name", "outside_folder"]
    assert len(refusals) == 3
    assert all(note.isprintable() for note in refusals)
    assert refusals[0].startswith("a\\nRunRequest 2025-06-04\\x1b[31m.dbn.zst is refused")


def test_a_live_recording_is_run_when_it_has_stopped(drop: Watched) -> None:
    session = cme.session(DAY)
    header = metadata(None, start=session.open_ns, end=None, stype_in=None, symbols=(), mappings=())
    path = write(drop.folder, header, "live.dbn")
    for reached in (session.rth_open_ns, session.rth_close_ns, session.close_ns):
        os.utime(path, ns=(reached, reached))
        assert drop.tick() == []

    assert drop.tick() == ["2025-06-04"]
    assert not drop.said  # until it was last written nothing is missing


def test_a_path_of_300_characters_is_like_any_other(drop: Watched) -> None:
    known(drop, EVE)
    deliver(drop.folder / ("d" * 150) / ("e" * 150), DAY)

    assert drop.settle() == ["2025-06-04"]


def test_a_manifest_names_files_of_its_own_folder_only(drop: Watched, tmp_path: Path) -> None:
    (outside,) = deliver(tmp_path / "elsewhere", NEXT)
    batch = drop.folder / "GLBX-20250606-TEST"
    files = whole_day(batch)
    hostile = [
        claim(outside, filename=f"../../elsewhere/{outside.name}"),
        claim(outside, filename="a\nb", size=-1),
        7,
    ]
    write_manifest(batch, [*map(claim, files), *hostile])  # type: ignore[list-item]

    assert drop.tick() == ["2025-06-03", "2025-06-04"]
    assert len([note for note in drop.said if "which is no file with a size and a sha256" in note]) == 3
    assert all(note.isprintable() for note in drop.said)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000])
def test_files_beside_a_manifest_that_cannot_be_read_are_taken_without_it(
    drop: Watched, content: bytes
) -> None:
    whole_day(drop.folder)
    (drop.folder / "manifest.json").write_bytes(content)

    assert drop.tick() == []
    assert "The vendor's manifest.json cannot be read" in drop.said[0]
    assert drop.tick() == ["2025-06-03", "2025-06-04"]
    assert not any("manifest.json" in note for note in drop.said)


def test_500_files_at_once_are_requested_some_dates_a_tick_and_none_is_lost(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    drop = Watched(tmp_path, instance, requests_per_tick=40)
    days = [dt.date(2024, 6, 2) + dt.timedelta(n) for n in range(250)]
    for schema in ("trades", "mbp-10"):
        deliver(drop.folder, *days, schema=schema)
    assert drop.tick() == []
    ticks = []
    while dates := drop.tick():
        ticks.append(dates)

    assert [len(dates) for dates in ticks[:-1]] == [40] * (len(ticks) - 1)
    assert [date for dates in ticks for date in dates] == list(map(str, cme.sessions(days[0], days[-1])))
    assert len(drop.cursor or "") < 500 * 10


def test_a_date_that_is_no_partition_yet_is_deferred_and_not_lost(drop: Watched) -> None:
    drop.now = dt.datetime.combine(DAY, dt.time(20, 30), cme.NEW_YORK)
    known(drop, EVE)
    deliver(drop.folder, DAY)
    assert drop.settle() == []
    assert "2025-06-04 waits: its partition begins at midnight in New York." in drop.skipped
    drop.now = dt.datetime.combine(DAY, dt.time(23, 59, 59), cme.NEW_YORK)
    assert drop.tick() == []
    drop.now = dt.datetime.combine(NEXT, dt.time(), cme.NEW_YORK)

    assert drop.tick() == ["2025-06-04"]


def test_a_date_waits_for_its_evening_while_files_arrive_and_no_longer(drop: Watched) -> None:
    deliver(drop.folder, DAY)
    drop.tick()
    deliver(drop.folder, dt.date(2025, 3, 3))  # something else is being copied
    assert drop.tick() == []
    assert "2025-06-04 waits: no file holds 2025-06-03 22:00 to 2025-06-04 00:00 UTC yet." in drop.skipped

    assert drop.tick() == ["2025-03-03", "2025-06-04"]
    assert "2025-06-04 is run although no file holds 2025-06-03 22:00 to 2025-06-04 00:00 UTC." in drop.said


def test_a_cursor_without_a_version_is_migrated(drop: Watched) -> None:
    (eve, day) = whole_day(drop.folder)
    drop.cursor = json.dumps(
        {path.name: f"{path.stat().st_mtime_ns}-{path.stat().st_size}" for path in (eve, day)}
    )

    assert drop.settle() == []
    assert json.loads(drop.cursor)["version"] == 1
    rewrite(day)
    assert drop.settle() == ["2025-06-04"]


@pytest.mark.parametrize(
    "cursor", ["no json", "[]", "3", '{"version": 2}', '{"version": 1}', '{"a.dbn": 7}', '{"a.dbn": "7"}']
)
def test_a_cursor_nobody_understands_stops_the_sensor_with_the_remedy(drop: Watched, cursor: str) -> None:
    drop.cursor = cursor
    with pytest.raises(CursorUnknown, match="reset the sensor's cursor"):
        drop.tick()


def test_a_forgotten_cursor_requests_everything_again(drop: Watched) -> None:
    known(drop, EVE)
    deliver(drop.folder, DAY)
    drop.tick()
    (first,) = drop.requests()
    drop.cursor = None
    drop.tick()

    assert first.run_key not in {request.run_key for request in drop.requests()}


def test_a_cursor_is_read_as_it_was_written() -> None:
    progress = Progress(
        "abc", 3, frozenset({"a"}), frozenset({"b", "c"}), frozenset(), frozenset({DAY, NEXT})
    )
    assert Progress.of_cursor(progress.as_cursor()) == progress
    assert Progress.of_cursor(Progress("abc").as_cursor()) == Progress("abc")


def test_unchanged_files_are_neither_opened_nor_listed_in_vain(
    drop: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = drop.folder / "GLBX-20250606-TEST"
    write_manifest(batch, map(claim, whole_day(batch)))
    known(drop, EVE, DAY)
    opened: list[Any] = []
    real_open = os.open
    monkeypatch.setattr(os, "open", lambda path, *a, **k: opened.append(path) or real_open(path, *a, **k))
    for path in drop.folder.rglob("*.zst"):
        path.chmod(0)

    assert drop.tick() == []
    assert not [path for path in opened if str(drop.folder) in str(path)]


def test_a_first_look_requests_no_date_the_lake_has_of_the_same_files(
    own_market: Settings, instance: dg.DagsterInstance
) -> None:
    drop = Watched(own_market.lake_root.parent, instance)
    (book,) = drop.folder.glob("*20250605.mbp-10*")
    lake = Lake(drop.settings.lake_root)

    assert drop.settle() == ["2025-06-03"]  # its evening alone made no lake
    assert "2 trade dates are in the lake, made of these very files: no run." in drop.said
    rewrite(book)  # nobody has read it since
    assert drop.settle() == ["2025-06-05"]
    drop.cursor = None
    shutil.rmtree(lake.layout.partition("gold.future.setup_vectors", DAY, "ESM5"))
    shutil.rmtree(lake.layout.partition("gold.future.setup_vectors", DAY, "NQM5"))
    assert drop.settle() == ["2025-06-03", "2025-06-04", "2025-06-05"]


def test_the_schemas_that_make_runs_are_those_bronze_opens(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    for schema in SCHEMAS:
        deliver(settings.dbn_dir, DAY, schema=schema)
    scope = Scope.of(DAY, Workbench(settings))

    opened = {ref.name.split(".")[1] for table in bronze.TABLES for ref in table.sources(scope)}
    assert opened == set(READ_SCHEMAS)


@given(
    start=st.datetimes(dt.datetime(2024, 12, 20), dt.datetime(2025, 7, 10)),
    length=st.timedeltas(dt.timedelta(microseconds=1), dt.timedelta(days=9)),
)
def test_a_file_has_the_trade_dates_bronze_opens_it_for(start: dt.datetime, length: dt.timedelta) -> None:
    start_ns, end_ns = (
        int(at.replace(tzinfo=dt.UTC).timestamp() * 10**6) * 1000 for at in (start, start + length)
    )
    entry = FileEntry(
        Path("a"), "a", 1, 1, "trades", "GLBX.MDP3", start_ns, end_ns, 3, (), None, start.date(), None
    )
    days = cme.sessions(start.date() - dt.timedelta(9), start.date() + dt.timedelta(20))

    assert trade_dates(entry) == [
        day
        for day in days
        if covering(Catalog(Path(), (entry,), None), "trades", *cme.session(day).window_ns)
    ]


def test_the_shipped_instance_runs_what_the_sensor_starts_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    dagster_home(settings_of(tmp_path))
    with dg.DagsterInstance.get() as shipped:
        limits = shipped.get_concurrency_config().run_queue_config.tag_concurrency_limits
        assert limits == [{"key": key, "limit": 1} for key in IN_ORDER]
        assert "FRESHNESS_DAEMON" in shipped.get_required_daemon_types()


def test_the_sensor_is_off_until_the_settings_say_otherwise() -> None:
    (off,), (on,) = build_sensors(AutomationSettings()), build_sensors(AutomationSettings(running=True))
    assert off.default_status == dg.DefaultSensorStatus.STOPPED
    assert on.default_status == dg.DefaultSensorStatus.RUNNING


def test_the_requests_of_the_sensor_publish_the_day(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    drop = Watched(tmp_path, instance)
    write_drop(drop.folder, (DAY,))
    drop.tick()
    requests = drop.requests()
    request = next(request for request in requests if request.partition_key == "2025-06-04")
    result = (
        build_definitions(drop.settings)
        .resolve_job_def(LAKE_DAILY)
        .execute_in_process(partition_key=request.partition_key, tags=request.tags, instance=instance)
    )

    assert result.success
    lake = Lake(drop.settings.lake_root)
    assert all(lake.dates(key) == [DAY] for key in KEYS)
    assert drop.settle() == []
