"""The verbs about versions: models list, show, compare, promote, rollback, history, archive, mirror."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.session import Session, verb
from holdfast.errors import UsageError

PANEL = "Model"
PREFIX = "models-"

VersionArgument = Annotated[int, typer.Argument(min=1, help="A version's number, as models list shows.")]
WhyOption = Annotated[str | None, typer.Option("--why", help="The reason, kept in the promotion ledger.")]


def list_(session: Session) -> None:
    """Every version, newest first."""
    from holdfast.cli.render import versions as render
    from holdfast.pipelines.models import list_versions

    session.answer({"versions": list_versions(session.workspace())}, render.versions)


def show(
    session: Session,
    version: Annotated[int | None, typer.Argument(help="By default the champion.")] = None,
) -> None:
    """One version: what it is, on what it was trained, and how good it is."""
    from holdfast.cli.render import versions as render
    from holdfast.pipelines.models import show_version

    session.answer(show_version(session.workspace(), version), render.version)


def compare(
    session: Session,
    first: VersionArgument,
    second: VersionArgument,
) -> None:
    """Two versions side by side; also on the same snapshots, those that neither learnt from, if there are any."""
    from holdfast.cli.render import versions as render
    from holdfast.pipelines.compare import compare

    with session.progress("comparing"):
        report = compare(session.workspace(), first, second)
    session.answer(report, render.comparison)


def promote(
    session: Session,
    version: VersionArgument,
    why: WhyOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote a version that the gate refused; needs --why.")
    ] = False,
) -> None:
    """Make a version the champion and serve it; the ledger keeps who and why. Exit code 3: the gate refused it."""
    from holdfast.cli.render import versions as render
    from holdfast.pipelines.models import promote

    with session.recorded() as (workspace, run), session.progress("promoting"):
        report = promote(workspace, version, why=why, force=force)
        run.summary = report
    session.answer(report, render.change)


def rollback(
    session: Session,
    version: Annotated[int | None, typer.Argument(help="By default the champion before this one.")] = None,
    why: WhyOption = None,
) -> None:
    """Go back to an earlier champion and serve it. One that was killed is finished when it is run again."""
    from holdfast.cli.render import versions as render
    from holdfast.pipelines.models import rollback

    with session.recorded() as (workspace, run), session.progress("rolling back"):
        report = rollback(workspace, version, why=why, run_id=run.run_id)
        run.summary = report
    session.answer(report, render.change)


def history(session: Session, limit: Annotated[int, typer.Option(min=1, help="How many lines.")] = 20) -> None:
    """The promotion ledger: who served since when, and why."""
    from holdfast.cli.render import versions as render
    from holdfast.pipelines.models import history

    session.answer({"history": history(session.workspace(), limit=limit)}, render.history)


def archive(
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
    from holdfast.cli.render import versions as render
    from holdfast.pipelines.archive import archive

    if version is not None and keep is not None:
        raise UsageError("a version and --keep exclude each other", fix="Give one.")
    with session.recorded() as (workspace, run):
        report = archive(workspace, version, keep=keep, dry_run=dry_run).to_json()
        run.summary = report
    session.answer(report, render.archived)


def mirror(session: Session) -> None:
    """Tell MLflow what it lacks: versions that it missed while it did not answer, and who is champion."""
    from holdfast.cli.render import versions as render
    from holdfast.pipelines.mirror import make_up

    with session.recorded() as (workspace, run), session.progress("MLflow"):
        report = {"changed": make_up(workspace)}
        run.summary = report
    session.answer(report, render.mirrored)


def register(app: typer.Typer) -> None:
    """Add this module's verbs."""
    models = typer.Typer(
        no_args_is_help=True, help="Versions: list, show, compare, promote, rollback, history, archive, mirror."
    )
    verb(models, "list", prefix=PREFIX)(list_)
    verb(models, "show", prefix=PREFIX)(show)
    verb(models, "compare", prefix=PREFIX)(compare)
    verb(models, "promote", prefix=PREFIX)(promote)
    verb(models, "rollback", prefix=PREFIX)(rollback)
    verb(models, "history", prefix=PREFIX)(history)
    verb(models, "archive", prefix=PREFIX)(archive)
    verb(models, "mirror", prefix=PREFIX)(mirror)
    app.add_typer(models, name="models", rich_help_panel=PANEL)
