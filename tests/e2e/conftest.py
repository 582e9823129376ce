"""What the end-to-end tests share: a home with a small business in it, and ``holdfast`` inside this process."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from company import Call, Said, write_company

from holdfast.cli.main import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that ``holdfast`` works in."""
    for name in list(os.environ):
        if name.startswith("HOLDFAST") and name not in ("HOLDFAST_REQUIRE_SERVICES", "HOLDFAST_DATA"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shop(home: Path) -> Path:
    """The folder of the tables of a small business, project ``shop``."""
    return write_company(home)


@pytest.fixture
def call(home: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Call ``holdfast`` in this process: importing its libraries once is what takes the time."""

    def run(*words: str) -> Said:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return Said(code, out, err)

    yield run
    logging.captureWarnings(False)
    logging.getLogger().handlers.clear()
