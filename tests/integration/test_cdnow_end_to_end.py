"""CDNOW's file, import to monitoring: the known counts, the honest figures, and the whole run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.artifacts.dataset import Dataset
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.imports import import_dataset
from holdfast.pipelines.run import run
from holdfast.pipelines.train import train

pytestmark = pytest.mark.slow

FILE = "cdnow/CDNOW_master.txt"
UNTUNED = "training.tuning.trials=0"  # the search takes minutes: benchmarks/cdnow.py has it
KNOWN = {
    "1998-01-01": (6_343, 0.596, 0.697), "1998-02-01": (5_961, 0.582, 0.702), "1998-03-01": (5_937, 0.587, 0.714),
    "1998-04-01": (6_055, 0.615, 0.722),
}  # fmt: skip
"""Test cutoff -> snapshots, base rate, and the least ROC-AUC of a model trained on purged earlier cutoffs."""
ALONE = (
    "training.estimators={lightgbm: {params: "
    "{rounds: 150, learning_rate: 0.04, depth: 3, min_rows: 100, subsample: 0.8, colsample: 0.5}}}"
)
"""One of the four in conf/cdnow; the whole run below has all of them."""
LEAK = 0.75
"""No honest model has come near it at any of these cutoffs (DESIGN section 6)."""


@pytest.fixture(scope="module")
def opened(
    root: Path, shared_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Workspace]]:
    home = tmp_path_factory.mktemp("cdnow")
    shutil.copytree(root / "conf" / "cdnow", home / "conf" / "cdnow")
    spaces: list[Workspace] = []

    def opened(*sets: str) -> Workspace:
        spaces.append(open_workspace("cdnow", root=home, environ={}, sets=[UNTUNED, *sets]))
        return spaces[-1]

    import_dataset(opened(), "cdnow", shared_data(FILE))
    yield opened
    for workspace in spaces:
        workspace.state.close()


@pytest.fixture(scope="module")
def dataset(opened: Callable[..., Workspace]) -> Dataset:
    return build(opened())


def test_the_snapshots_are_the_known_ones(dataset: Dataset) -> None:
    found = {c.cutoff.date().isoformat(): c for c in dataset.manifest.cutoffs}
    for cutoff, (n, base_rate, _) in KNOWN.items():
        assert found[cutoff].states == {"matured": n}
        assert round(found[cutoff].positives / n, 3) == base_rate
    may = found["1998-05-01"]
    assert (may.states, may.positives) == ({"immature": may.snapshots}, 0), "its window runs past the data's end"
    assert dataset.manifest.matured_cutoffs()[-1] == datetime(1998, 4, 1, tzinfo=UTC)
    assert dataset.manifest.schema.end_state == []


def test_trained_on_purged_earlier_cutoffs_it_reaches_what_honest_models_reach(
    opened: Callable[..., Workspace],
) -> None:
    cutoff = "1998-04-01"  # benchmarks/cdnow.py has all four
    workspace = opened(f"data.cutoffs.last={cutoff}", "training.folds.test_cutoffs=1", ALONE)
    trained = train(workspace, dataset=build(workspace))
    n, _, least = KNOWN[cutoff]
    test: dict[str, Any] = trained.metrics["test"]
    assert test["n"] == n
    assert least <= test["metrics"]["roc_auc"]["value"] < LEAK
    last = trained.metrics["folds"]["final"]
    assert last["name"] == cutoff


def test_the_whole_run(root: Path, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copytree(root / "conf" / "cdnow", tmp_path / "conf" / "cdnow")
    workspace = open_workspace("cdnow", root=tmp_path, environ={}, sets=[UNTUNED])
    import_dataset(workspace, "cdnow", shared_data(FILE))
    summary = run(workspace).to_json()
    workspace.state.close()
    assert summary["train"]["promoted"], summary["train"]["verdict"]
    assert summary["score"]["cutoff"] == "1998-07-01"
    assert summary["score"]["customers"] == summary["materialize"]["customers"] == 5_360
    assert summary["monitor"]["cutoff"] == "1998-07-01"
    by_cutoff = summary["train"]["metrics"]["test"]["by_cutoff"]
    assert {c["cutoff"]: c["n"] for c in by_cutoff} == {cutoff: n for cutoff, (n, _, _) in KNOWN.items()}
