"""A clean audit stands until what it looked at changes: the next gate need not look again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from holdfast import __version__
from holdfast.artifacts.dataset import MANIFEST, Dataset
from holdfast.artifacts.files import stamps, write_json
from holdfast.audit.report import AuditReport
from holdfast.audit.subject import GATE, Effort
from holdfast.errors import DataError
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.knowledge import DATASET_SECTIONS
from holdfast.sources.files import table_files

KEY, REPORT = "of", "report"


def state_of(workspace: Workspace, dataset: Dataset) -> str | None:
    """A hash of what an audit looks at: the dataset's files, the sources', the configuration and Holdfast's version.

    Files count by inode, size and time of change. None where that cannot be told: tables in a database, or missing.
    """
    config, root = workspace.config, workspace.sources
    files = [dataset.path / MANIFEST, *(dataset.part(c.cutoff) for c in dataset.manifest.cutoffs)]
    for name, table in config.data.tables.items():
        if table.database is not None:
            return None
        try:
            files += table_files(root, table.path or "", where=f"data.tables.{name}.path")
        except DataError:
            return None  # the audit says what is missing
    found = {str(file): stamp for file, stamp in stamps(files).items()}
    what = {
        "dataset": dataset.manifest.dataset_id, "config": config.hash(*DATASET_SECTIONS), "files": found,
        "code": __version__,
    }  # fmt: skip
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def standing(workspace: Workspace, dataset: Dataset) -> AuditReport | None:
    """The clean report of an audit at least as thorough as the gate's, if nothing it looked at has changed since."""
    try:
        kept: dict[str, Any] = json.loads(_file(workspace, dataset).read_text(encoding="utf-8"))
        if kept[KEY] is None or kept[KEY] != state_of(workspace, dataset):
            return None
        return AuditReport.from_json(kept[REPORT])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # then it is made again


def keep(workspace: Workspace, dataset: Dataset, state: str | None, effort: Effort, report: AuditReport) -> None:
    """Remember a clean report; ``state`` is `state_of` from before the audit."""
    if state is not None and report.clean and effort.covers(GATE):
        write_json(_file(workspace, dataset), {KEY: state, REPORT: report.to_json()})


def _file(workspace: Workspace, dataset: Dataset) -> Path:
    return workspace.audits / f"{dataset.manifest.dataset_id}.json"
