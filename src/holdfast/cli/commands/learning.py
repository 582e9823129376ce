"""The verb train."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli import words
from holdfast.cli.session import Session, verb
from holdfast.errors import GateRefused, UsageError

PANEL = "Model"


def train(
    session: Session,
    dataset_id: Annotated[
        str | None,
        typer.Option("--dataset", metavar="ID", help="A dataset's id, or how it begins; by default the latest."),
    ] = None,
    known_as_of: Annotated[
        str | None,
        typer.Option("--known-as-of", metavar="DATE", help="Train on the dataset of what was known then; built first."),
    ] = None,
) -> None:
    """Train the candidates, choose one, calibrate and measure it; if the gate says yes, promote and serve it.

    Exit code 3 says that the gate refused; the report says why.
    """
    from holdfast.cli.render import learning as render
    from holdfast.pipelines.build import build
    from holdfast.pipelines.train import train as run_train
    from holdfast.stores.offline import find_dataset

    known = words.instant(known_as_of, "--known-as-of")
    if known is not None and dataset_id is not None:
        fix = "Give one: a dataset already says what was known."
        raise UsageError("--dataset and --known-as-of exclude each other", fix=fix)
    with session.recorded() as (workspace, run), session.progress("training") as steps:
        dataset = None if dataset_id is None else find_dataset(workspace.var, dataset_id)
        if known is not None:
            with run.step("build"):
                dataset = build(workspace, known_as_of=known)
        with run.step("train"):
            report = run_train(workspace, dataset=dataset, run_id=run.run_id, progress=steps.step).to_json()
        run.dataset_id = report["dataset_id"]
        run.summary = {k: report[k] for k in ("version", "estimator", "promoted", "champion")}
        session.answer(report, lambda found: render.trained(found, workspace.name))
        if not report["promoted"]:
            raise GateRefused(f"version {report['version']} does not serve", report["verdict"]["reasons"])


def register(app: typer.Typer) -> None:
    """Add this module's verb."""
    verb(app, "train", panel=PANEL)(train)
