"""Settings: from the environment and ``.env``, frozen, and each documented under the name that sets it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from footprint_assets.settings import Settings, SettingsRefused
from footprint_assets.table_docs import settings_page

LINE = re.compile(r"^\| `(FOOTPRINT_\w+)` \| `(.*)` \| (.*) \|$", re.MULTILINE)
DOCUMENTED = LINE.findall(settings_page())


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without ``.env``, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name, _, _ in DOCUMENTED:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def variables(group: dict[str, object], prefix: str) -> Iterator[str]:
    """The environment variable of every setting, groups inside groups included."""
    for name, value in group.items():
        if isinstance(value, dict) and name != "roots":
            yield from variables(value, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


def test_every_setting_is_documented() -> None:
    expected = set(variables(Settings().model_dump(mode="json"), "FOOTPRINT_"))
    assert {name for name, _, _ in DOCUMENTED} == expected
    assert all(meaning and "None" not in meaning for _, _, meaning in DOCUMENTED)


@pytest.mark.parametrize(
    ("name", "default"),
    [(name, default) for name, default, _ in DOCUMENTED],
)
def test_the_documented_default_set_in_the_environment_changes_nothing(
    name: str, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, default)
    assert Settings.from_env() == Settings()


def test_the_environment_sets_a_field_of_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTPRINT_FOOTPRINT__IMBALANCE_RATIO", "4")
    monkeypatch.setenv("FOOTPRINT_BARS__RANGE_TICKS", "[8, 16]")
    monkeypatch.setenv("FOOTPRINT_LEVELS__PIPELINES", '["PD_HIGH", "SMA_90"]')
    monkeypatch.setenv("FOOTPRINT_ROOTS", '{"NQ": {"point_value": 20}}')
    settings = Settings.from_env()
    assert settings.footprint.imbalance_ratio == 4.0
    assert settings.footprint.imbalance_min_volume == Settings().footprint.imbalance_min_volume
    assert settings.bars.range_ticks == (8, 16)
    assert settings.levels.pipelines == ("PD_HIGH", "SMA_90")
    assert list(settings.roots) == ["NQ"]


def test_a_dotenv_file_sets_what_the_environment_does_not(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / ".env").write_text("FOOTPRINT_LAKE_ROOT=from/file\nFOOTPRINT_DBN_DIR=files\nOTHER_TOOL=1\n")
    monkeypatch.setenv("FOOTPRINT_LAKE_ROOT", "from/environment")
    settings = Settings.from_env()
    assert (settings.lake_root, settings.dbn_dir) == (Path("from/environment"), Path("files"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FOOTPRINT_BARS__ATR_LENGTH", "0"),
        ("FOOTPRINT_BARS__OHLCV_SECONDS", "[60, 60]"),
        ("FOOTPRINT_BARS__TIME_SECONDS", "[0]"),
        ("FOOTPRINT_LEVELS__OPENING_RANGE_MINUTES", "0"),
        ("FOOTPRINT_FOOTPRINT__IMBALANCE_RATIO", "1"),
        ("FOOTPRINT_FOOTPRINT__VALUE_AREA_PCT", "101"),
        ("FOOTPRINT_INGEST__MAX_QUARANTINED_SHARE", "-0.1"),
        ("FOOTPRINT_INGEST__MAX_FILE_BITES", "1"),
        ("FOOTPRINT_LEVELS__PREMARKET_START", "4 o'clock"),
        ("FOOTPRINT_LEVELS__PIPELINES", '["pm_high"]'),
        ("FOOTPRINT_LEVELS__PIPELINES", '["PM__HIGH"]'),
        ("FOOTPRINT_LEVELS__PIPELINES", '["90_SMA"]'),
        ("FOOTPRINT_LEVELS__PIPELINES", '["PM_HIGH", "PM_HIGH"]'),
        ("FOOTPRINT_LEVELS__PIPELINES", '["LEVEL"]'),
        ("FOOTPRINT_HISTORY__SESSIONS", "0"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsRefused, match=name):
        Settings.from_env()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FOOTPRINT_LAKE_ROT", "elsewhere", "did you mean FOOTPRINT_LAKE_ROOT"),
        ("FOOTPRINT_LAKE__ROOT", "elsewhere", "did you mean FOOTPRINT_LAKE_ROOT"),
        ("FOOTPRINT_INGEST__MAX_FILE_BITES", "1", "did you mean FOOTPRINT_INGEST__MAX_FILE_BYTES"),
        ("FOOTPRINT_ROOTS", "ES", "FOOTPRINT_ROOTS cannot be read: .* JSON"),
        ("FOOTPRINT_THREADS", "many", "no number of threads"),
        ("FOOTPRINT_THREADS", "0", "no number of threads"),
    ],
)
def test_what_would_be_passed_over_is_refused_with_what_was_meant(
    name: str, value: str, says: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt lake would be another lake."""
    with monkeypatch.context() as patch:
        patch.setenv(name, value)
        with pytest.raises(SettingsRefused, match=says):
            Settings.from_env()
    (nowhere / ".env").write_text(f"{name}={value}\n")
    with pytest.raises(SettingsRefused, match=says):
        Settings.from_env()


def test_settings_do_not_change_once_read() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.lake_root = Path("elsewhere")  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.bars.tick_trades = (3,)  # type: ignore[misc]
