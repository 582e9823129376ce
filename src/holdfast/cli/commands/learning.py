"""Verbs about models: train and models (list, show, promote, rollback, history, archive, mirror)."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli import words
from holdfast.cli.session import Session, verb
from holdfast.errors import GateRefused, UsageError

PANEL = "Model"
PREFIX = "models-"

VersionArgument = Annotated[int, typer.Argument(min=1, help="A version's number, as models list shows.")]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, kept in the promotion ledger.")]


def train(
    session: Session,
    dataset_id: Annotated[
        str | None, typer.Option("--dataset", metavar="ID", help="A dataset's id; by default the latest.")
    ] = None,
    known_as_of: Annotated[
        str | None,
        typer.Option("--known-as-of", metavar="DATE", help="Train on the dataset of what was known then; built first."),
    ] = None,
) -> None:
    """Train the candidates, choose one, calibrate and measure it; if the gate says yes, promote and serve it.

    Exit code 3 says that the gate refused; the report says why.
    """
    from holdfast.artifacts.dataset import Dataset
    from holdfast.cli.render import learning as render
    from holdfast.pipelines.build import build
    from holdfast.pipelines.train import train as run_train

    known = words.instant(known_as_of, "--known-as-of")
    if known is not None and dataset_id is not None:
        fix = "Give one: a dataset already says what was known."
        raise UsageError("--dataset and --known-as-of exclude each other", fix=fix)
    with session.recorded() as (workspace, run), session.progress("training") as steps:
        dataset = None if dataset_id is None else Dataset.open(workspace.datasets / dataset_id)
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


def models_list(session: Session) -> None:
    """Every version, newest first."""
    from holdfast.cli.render import learning as render
    from holdfast.pipelines.models import list_versions

    session.answer({"versions": list_versions(session.workspace())}, render.versions)


def models_show(
    session: Session,
    version: Annotated[int | None, typer.Argument(help="By default the champion.")] = None,
) -> None:
    """One version: what it is, on what it was trained, and how good it is."""
    from holdfast.cli.render import learning as render
    from holdfast.pipelines.models import show_version

    session.answer(show_version(session.workspace(), version), render.version)


def models_promote(
    session: Session,
    version: VersionArgument,
    why: WhyOption = "promoted by hand",
    force: Annotated[bool, typer.Option("--force", help="Promote a version that the gate refused.")] = False,
) -> None:
    """Make a version the champion and serve it; the ledger keeps who and why. Exit code 3: the gate refused it."""
    from holdfast.cli.render import learning as render
    from holdfast.pipelines.models import promote

    with session.recorded() as (workspace, run), session.progress("promoting"):
        report = promote(workspace, version, why=why, force=force)
        run.summary = report
    session.answer(report, render.change)


def models_rollback(
    session: Session,
    version: Annotated[int | None, typer.Argument(help="By default the champion before this one.")] = None,
    why: WhyOption = "rolled back by hand",
) -> None:
    """Go back to an earlier champion and serve it. One that was killed is finished when it is run again."""
    from holdfast.cli.render import learning as render
    from holdfast.pipelines.models import rollback

    with session.recorded() as (workspace, run), session.progress("rolling back"):
        report = rollback(workspace, version, why=why, run_id=run.run_id)
        run.summary = report
    session.answer(report, render.change)


def models_history(session: Session, limit: Annotated[int, typer.Option(min=1, help="How many lines.")] = 20) -> None:
    """The promotion ledger: who served since when, and why."""
    from holdfast.cli.render import learning as render
    from holdfast.pipelines.models import history

    session.answer({"history": history(session.workspace(), limit=limit)}, render.history)


def models_archive(
    session: Session,
    version: Annotated[
        int | None, typer.Argument(min=1, help="One version; by default all but the newest and those needed.")
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="So many of the newest stay; by default training.retention.versions."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove the bundles of old versions; ledger, figures and cards stay. Training does so by itself.

    The champion, the challenger, three champions before, and whatever the API reads keep theirs.
    """
    from holdfast.cli.render import learning as render
    from holdfast.pipelines.archive import archive

    if version is not None and keep is not None:
        raise UsageError("a version and --keep exclude each other", fix="Give one.")
    with session.recorded() as (workspace, run):
        report = archive(workspace, version, keep=keep, dry_run=dry_run).to_json()
        run.summary = report
    session.answer(report, render.archived)


def models_mirror(session: Session) -> None:
    """Tell MLflow what it lacks: versions that it missed while it did not answer, and who is champion."""
    from holdfast.cli.render import learning as render
    from holdfast.pipelines.mirror import make_up

    with session.recorded() as (workspace, run), session.progress("MLflow"):
        report = {"changed": make_up(workspace)}
        run.summary = report
    session.answer(report, render.mirrored)


def register(app: typer.Typer) -> None:
    """Add this module's verbs."""
    verb(app, "train", panel=PANEL)(train)
    models = typer.Typer(
        no_args_is_help=True, help="Versions: list, show, promote, rollback, history, archive, mirror."
    )
    verb(models, "list", prefix=PREFIX)(models_list)
    verb(models, "show", prefix=PREFIX)(models_show)
    verb(models, "promote", prefix=PREFIX)(models_promote)
    verb(models, "rollback", prefix=PREFIX)(models_rollback)
    verb(models, "history", prefix=PREFIX)(models_history)
    verb(models, "archive", prefix=PREFIX)(models_archive)
    verb(models, "mirror", prefix=PREFIX)(models_mirror)
    app.add_typer(models, name="models", rich_help_panel=PANEL)
