"""Runs the command line in this process, as a person would in a shell."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from footprint_assets.cli import app, main

GROUP = get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = sorted(GROUP.commands)
"""Names of every command."""


@dataclass(frozen=True)
class Said:
    """What a command left behind.

    Args:
        code: Exit code.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: str
    err: str


class Shell:
    """A working directory whose lake and drop folder are the defaults, ``data/lake`` and ``data/dbn``.

    Args:
        folder: The working directory.
        monkeypatch: Puts everything back after the test.
        capsys: Catches the output.
    """

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        for name in ("FOOTPRINT_LAKE_ROOT", "FOOTPRINT_DBN_DIR", "DAGSTER_HOME"):
            # Set first, so that what the command itself puts there is removed after the test.
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)

    def __call__(self, command: str) -> Said:
        """Run ``footprint-assets`` with the arguments of a command line."""
        self._monkeypatch.setattr(
            sys, "argv", ["footprint-assets", *map(os.path.expanduser, shlex.split(command))]
        )
        self._capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        captured = self._capsys.readouterr()
        return Said(code, captured.out, captured.err)
