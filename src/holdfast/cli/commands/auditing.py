"""The verb that proves what the others claim: audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.session import Session, verb
from holdfast.errors import GateRefused

PANEL = "Model"


def audit(
    session: Session,
    dataset_id: Annotated[
        str | None,
        typer.Option("--dataset", metavar="ID", help="A dataset's id, or how it begins; by default the latest."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Where the HTML report goes; by default to reports/.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Snapshots that the slow recomputation looks at; by default 300.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another sample.")] = 7,
) -> None:
    """Prove that no snapshot, feature, label or split sees the future, from the artefacts alone.

    Looks at the sources, the configuration, the stored dataset and the folds of the versions trained on it. What is
    declared is a note; what is undeclared or wrong is a finding, and exit code 3.
    """
    from holdfast.cli.render import auditing as render
    from holdfast.pipelines.audit import audit as run_audit
    from holdfast.pipelines.audit import write_reports
    from holdfast.stores.offline import find_dataset

    with session.recorded() as (workspace, run), session.progress("auditing") as steps:
        dataset = None if dataset_id is None else find_dataset(workspace.var, dataset_id)
        with run.step("audit"):
            found = run_audit(workspace, dataset=dataset, sample=sample, seed=seed, progress=steps.step)
        run.dataset_id = found.dataset_id
        run.summary = {"findings": sorted({f.name for f in found.findings})}
        files = write_reports(workspace, found, html)
        session.answer({**found.to_json(), "files": files}, render.audit)
        if not found.clean:
            n = len(found.findings)
            raise GateRefused(f"the audit has {n} finding{'' if n == 1 else 's'}", found.reasons())


def register(app: typer.Typer) -> None:
    """Add this module's verb."""
    verb(app, "audit", panel=PANEL)(audit)
