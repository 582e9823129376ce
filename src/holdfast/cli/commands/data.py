"""Verbs about data: init, check, simulate, fetch, import, build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import words
from holdfast.cli.session import Session, root, verb

PANEL = "Data"


def init(
    session: Session,
    name: Annotated[str, typer.Argument(help="The new project; its files go to conf/NAME/.")],
    table: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="TABLE=PATH", help="A table: Parquet or CSV file, folder or glob. Repeat."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a configuration that is there.")] = False,
) -> None:
    """Write a first, commented configuration for your own tables, from their columns."""
    from holdfast.cli.render import data as render
    from holdfast.pipelines.init import init as run_init

    session.project = name
    report = run_init(root(), name, words.pairs(table or [], "--table"), force=force)
    session.answer(report.to_json(), render.init)


def check(session: Session) -> None:
    """Check the configuration and the tables: rows, watermark, cutoffs, and all problems at once."""
    from holdfast.cli.render import data as render
    from holdfast.pipelines.check import check as run_check

    with session.recorded() as (workspace, run), session.progress("checking"):
        report = run_check(workspace).to_json()
        run.summary = {"tables": {t["name"]: t["rows"] for t in report["tables"]}, "watermark": report["watermark"]}
    session.answer(report, render.check)


def simulate(
    session: Session,
    customers: Annotated[int | None, typer.Option(help="How many customers there ever are.")] = None,
    months: Annotated[int | None, typer.Option(help="Length of the history.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed is another company.")] = None,
) -> None:
    """Write the built-in company's tables (for projects with data.simulate, such as demo)."""
    from holdfast.cli.render import data as render
    from holdfast.pipelines.simulate import simulate as run_simulate

    with session.recorded() as (workspace, run), session.progress("simulating") as steps:
        report = run_simulate(workspace, customers=customers, months=months, seed=seed, progress=steps.count).to_json()
        run.summary = report["company"]
    session.answer(report, render.simulate)


def fetch(session: Session, dataset: Annotated[str, typer.Argument(help="A public data set: telco.")]) -> None:
    """Download a public data set, checked against a pinned sha256."""
    from holdfast.cli.render import data as render
    from holdfast.pipelines.imports import fetch_dataset

    with session.recorded() as (workspace, run), session.progress(f"downloading {dataset}") as steps:
        report = fetch_dataset(workspace, dataset, progress=steps.count).to_json()
        run.summary = report
    session.answer(report, render.fetch)


def import_(
    session: Session,
    dataset: Annotated[str, typer.Argument(help="A public data set: telco or cdnow.")],
    file: Annotated[Path | None, typer.Argument(help="Your copy; by default what fetch downloaded.")] = None,
) -> None:
    """Turn a public data set's file into the project's tables."""
    from holdfast.cli.render import data as render
    from holdfast.pipelines.imports import import_dataset

    with session.recorded() as (workspace, run), session.progress(f"importing {dataset}"):
        report = import_dataset(workspace, dataset, file).to_json()
        run.summary = report
    session.answer(report, render.import_)


def build(
    session: Session,
    cutoffs: Annotated[
        str | None, typer.Option(metavar="last", help="last: only the last cutoff whose labels are known.")
    ] = None,
    known_as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="Replay what was known then; by default the watermark.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build again even if the dataset is there.")] = False,
) -> None:
    """Build the dataset: a snapshot of every customer at every cutoff, with features and labels."""
    from holdfast.cli.render import data as render
    from holdfast.pipelines.build import build as run_build

    known = words.instant(known_as_of, "--known-as-of")
    with session.recorded() as (workspace, run), session.progress("building"):
        with run.step("build"):
            dataset = run_build(workspace, cutoffs=cutoffs, known_as_of=known, force=force)
        manifest = dataset.manifest
        run.dataset_id = manifest.dataset_id
        run.summary = {"snapshots": manifest.snapshots, "matured": manifest.matured, "positives": manifest.positives}
    session.answer({**manifest.to_json(), "path": str(dataset.path)}, render.build)


def register(app: typer.Typer) -> None:
    """Add this module's verbs."""
    verb(app, "init", panel=PANEL)(init)
    verb(app, "check", panel=PANEL)(check)
    verb(app, "simulate", panel=PANEL)(simulate)
    verb(app, "fetch", panel=PANEL)(fetch)
    verb(app, "import", panel=PANEL)(import_)
    verb(app, "build", panel=PANEL)(build)
