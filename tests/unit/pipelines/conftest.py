"""A tiny company that was run once, and copies of it to work on."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tiny_company import Opener, open_tiny, put_conf

from holdfast.artifacts.dataset import Dataset
from holdfast.audit.splits import SplitRecord
from holdfast.pipelines.audit import refusals
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.run import RunSummary, run


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens workspaces, and closes their databases at the end."""
    spaces: list[Workspace] = []

    def opener(root: Path, *sets: str) -> Workspace:
        spaces.append(open_tiny(root, sets))
        return spaces[-1]

    yield opener
    for space in spaces:
        space.state.close()


@pytest.fixture(scope="session")
def audits() -> dict[tuple[str, tuple[SplitRecord, ...]], list[str]]:
    """What the audit said of each dataset and folds."""
    return {}


@pytest.fixture(autouse=True)
def audited_once(audits: dict[tuple[str, tuple[SplitRecord, ...]], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a training here is the audit, and most are of the same dataset and folds: these are audited once."""

    def once(workspace: Workspace, dataset: Dataset, splits: Iterable[SplitRecord]) -> list[str]:
        key = dataset.manifest.dataset_id, tuple(splits)
        if key not in audits:
            audits[key] = refusals(workspace, dataset, key[1])
        return list(audits[key])

    monkeypatch.setattr("holdfast.pipelines.judge.refusals", once)


@pytest.fixture(scope="session")
def finished(root, tmp_path_factory) -> tuple[Path, RunSummary]:
    """A root where everything was run once; not to be written to."""
    home = tmp_path_factory.mktemp("finished")
    put_conf(root, home)
    workspace = open_tiny(home)
    summary = run(workspace)
    workspace.state.close()
    return home, summary


@pytest.fixture
def copied(finished, tmp_path) -> Path:
    """A copy of that root."""
    home, _ = finished
    shutil.copytree(home, tmp_path / "copy")
    return tmp_path / "copy"
