"""The examples and the notebook's cells run."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import pytest

SMALL = {
    "HOLDFAST__DATA__SIMULATE__CUSTOMERS": "400",
    "HOLDFAST__DATA__SIMULATE__MONTHS": "24",
    "HOLDFAST__TRAINING__ESTIMATORS": "{logistic: {}}",
    "HOLDFAST__TRAINING__BOOTSTRAP": "50",
    "HOLDFAST__TRAINING__PROMOTION__MIN_LIFT": "-1",
    "HOLDFAST__TRAINING__PROMOTION__MAX_CALIBRATION_ERROR": "0.9",
}


@pytest.fixture
def demo(home: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(root / "conf", home / "conf")
    for name, value in SMALL.items():
        monkeypatch.setenv(name, value)
    return home


@pytest.mark.slow
def test_quickstart(demo: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(root / "examples" / "quickstart.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert said.startswith("customers: 400\nsnapshots: ")
    assert "ROC-AUC on unseen months: 0." in said


@pytest.mark.slow
def test_tour(demo: Path, root: Path) -> None:
    """Cell by cell in one namespace, as a notebook does; without a kernel, which would be many more packages."""
    notebook = json.loads((root / "notebooks" / "tour.ipynb").read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        assert cell["outputs"] == [], "commit it without output"
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    assert "decisions" in names
