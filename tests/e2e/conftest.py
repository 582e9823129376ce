"""What the end-to-end tests share: a home with a small business in it, and ``holdfast`` inside this process."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # company.py

from company import write_company  # noqa: E402

from holdfast.cli.main import main  # noqa: E402


@dataclass(frozen=True)
class Said:
    """What a call of ``holdfast`` returned and printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Said]


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
