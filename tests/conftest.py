"""Fixtures for every test."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """A path below the real data, which is not ours to commit: ``$HOLDFAST_DATA`` or ``../shared/data``.

    A test that needs it is skipped where it is missing, except in CI, where it must run.
    """

    def path(name: str) -> Path:
        folder = Path(os.environ.get("HOLDFAST_DATA") or ROOT.parent / "shared" / "data")
        file = folder / name
        if not file.exists():
            reason = f"real data is missing: no {file}; set HOLDFAST_DATA to the folder that holds {name}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        return file

    return path
