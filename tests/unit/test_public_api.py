"""What ``from holdfast import …`` offers; a change of it is a decision."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import holdfast
from holdfast.pipelines.project import Project


def test_the_names_are_pinned() -> None:
    assert holdfast.__all__ == ["DataError", "Dataset", "HoldfastError", "NotReadyError", "Project", "__version__"]
    assert all(getattr(holdfast, name) is not None for name in holdfast.__all__)
    assert dir(holdfast) == sorted(holdfast.__all__)


def test_the_verbs_are_pinned() -> None:
    public = {name for name, _ in inspect.getmembers(Project) if not name.startswith("_")}
    assert public == {
        "alerts", "audit", "build", "check", "config", "dataset", "datasets", "decide", "explain", "features",
        "materialize", "monitor", "retrain", "run", "runs", "score", "simulate", "train",
    }  # fmt: skip


def test_importing_is_light() -> None:
    code = "import sys, holdfast; print(len([m for m in sys.modules if m.startswith('holdfast')]))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "1"


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="public are DataError"):
        holdfast.project  # noqa: B018
