"""``holdfast audit``: the leakage audit of a dataset, and of the models trained on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from holdfast.artifacts.dataset import Dataset
from holdfast.artifacts.files import write_json, write_text
from holdfast.audit.html import page
from holdfast.audit.report import AuditReport
from holdfast.audit.run import audit as run_checks
from holdfast.audit.run import with_splits
from holdfast.audit.splits import SplitRecord
from holdfast.audit.subject import FULL, GATE, Effort, Subject, cutoffs_of, read_stored
from holdfast.errors import HoldfastError
from holdfast.models.bundle import METRICS
from holdfast.models.folder import read_folder
from holdfast.pipelines.audited import keep, standing, state_of
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.knowledge import facts, open_sources
from holdfast.stores.offline import latest_dataset
from holdfast.stores.state_tables import VersionRow

SEED = 7


def audit(
    workspace: Workspace,
    *,
    dataset: Dataset | None = None,
    sample: int | None = None,
    seed: int = SEED,
    effort: Effort = FULL,
    splits: Iterable[SplitRecord] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> AuditReport:
    """Audit a dataset (the latest by default) against its sources, its configuration and the folds trained on it.

    Parameters
    ----------
    sample : snapshots that the slow oracle recomputes; by default those of ``effort``
    splits : of models not recorded yet; by default those of every version trained on the dataset

    Raises
    ------
    NotReadyError
        There is no dataset, or its sources are not there.
    DataError, StoreError
        The sources are not as declared, or the dataset cannot be read.
    """
    found = dataset or latest_dataset(workspace.var)
    records = recorded_splits(workspace, found) if splits is None else tuple(splits)
    effort = effort if sample is None else replace(effort, pairs=sample)
    state = state_of(workspace, found)
    progress("audit: reading the sources")
    with workspace.engine() as engine:
        sources = open_sources(workspace, engine)
        known = facts(engine, sources, workspace.config.data, found.manifest.known_as_of)
        stored, kept = read_stored(found, effort.snapshots)
        report = run_checks(
            Subject(
                config=workspace.config,
                engine=engine,
                tables={name: source.table for name, source in sources.tables.items()},
                dataset=found,
                cutoffs=cutoffs_of(found, workspace.config),
                stored=stored,
                kept=kept,
                splits=records,
                changed=_changed(found, known),
                watermark=sources.watermark,
                effort=effort,
                seed=seed,
                progress=progress,
            )
        )
    keep(workspace, found, state, effort, report)
    return report


def refusals(workspace: Workspace, dataset: Dataset, splits: Iterable[SplitRecord] | None = None) -> list[str]:
    """What the audit says against promoting a model of a dataset; nothing may be promoted that cannot be audited.

    The reduced audit (`holdfast.audit.subject.GATE`), unless a clean one still stands (`holdfast.pipelines.audited`):
    then only the model's folds are new.
    """
    try:
        records = recorded_splits(workspace, dataset) if splits is None else tuple(splits)
        report = standing(workspace, dataset)
        if report is None:
            report = audit(workspace, dataset=dataset, effort=GATE, splits=records)
        else:
            report = with_splits(report, dataset, workspace.config, records)
    except HoldfastError as e:
        return [f"the audit could not be run: {e}"]
    write_reports(workspace, report)
    return [f"audit: {reason}" for reason in report.reasons()]


def refusals_of(workspace: Workspace, version: int) -> list[str]:
    """The same of a version that is recorded already.

    Raises
    ------
    NotFoundError
        There is no such version.
    """
    row = workspace.state.version(workspace.name, version)
    try:
        dataset = Dataset.open(workspace.datasets / row.dataset_id)
        splits = [_splits_of(workspace, row)]
    except HoldfastError as e:
        return [f"the audit could not be run: {e}"]
    return refusals(workspace, dataset, splits)


def recorded_splits(workspace: Workspace, dataset: Dataset) -> tuple[SplitRecord, ...]:
    """What the versions trained on a dataset record of their folds, newest first; those that are archived do not."""
    rows = workspace.state.versions(workspace.name)
    return tuple(
        _splits_of(workspace, row)
        for row in rows
        if row.dataset_id == dataset.manifest.dataset_id and (workspace.var / row.path).exists()
    )


def _splits_of(workspace: Workspace, row: VersionRow) -> SplitRecord:
    return SplitRecord.of(json.loads(read_folder(workspace.var / row.path)[METRICS]), version=row.version)


def write_reports(workspace: Workspace, report: AuditReport, html: Path | None = None) -> dict[str, str]:
    """Write the report as JSON and HTML; returns where they are."""
    base = workspace.reports / f"audit-{report.dataset_id}"
    files = {"json": base.with_suffix(".json"), "html": html or base.with_suffix(".html")}
    write_json(files["json"], report.to_json())
    write_text(files["html"], page(report))
    return {name: str(path) for name, path in files.items()}


def _changed(dataset: Dataset, known: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """Tables whose rows known at the dataset's known_as_of are not those it was built of."""
    built = dataset.manifest.sources
    return tuple(n for n, facts_ in known.items() if n in built and built[n].get("hash") != facts_["hash"])
