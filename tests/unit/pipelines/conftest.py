"""A tiny company that was run once, and copies of it to work on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_company import Opener, open_tiny, put_conf

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
