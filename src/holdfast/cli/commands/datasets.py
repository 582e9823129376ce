"""The verbs about the offline store: datasets list, show, compare, verify, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.session import Session, verb
from holdfast.errors import UsageError

PREFIX = "datasets-"

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="A dataset's id, or how it begins.")]
OneArgument = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="A dataset's id, or how it begins; by default the latest.")
]


def list_(session: Session) -> None:
    """Every dataset, the one built last first: what it holds, its bytes, and the versions trained on it."""
    from holdfast.cli.render import datasets as render
    from holdfast.pipelines.datasets import list_datasets

    session.answer(list_datasets(session.workspace()), render.datasets)


def show(session: Session, wanted: OneArgument = None) -> None:
    """One dataset: its lineage (sources, configuration, known as of), its label, counts by cutoff, and its columns."""
    from holdfast.cli.render import datasets as render
    from holdfast.pipelines.datasets import show_dataset

    session.answer(show_dataset(session.workspace(), wanted), render.dataset)


def compare(session: Session, first: IdArgument, second: IdArgument) -> None:
    """What differs between two datasets: configuration, sources, features, counts by cutoff, and bytes."""
    from holdfast.cli.render import datasets as render
    from holdfast.pipelines.compare_datasets import compare_datasets

    session.answer(compare_datasets(session.workspace(), first, second), render.comparison)


def verify(session: Session, wanted: OneArgument = None) -> None:
    """Hold every file of a dataset to its manifest: bytes, columns, counts. Exit code 1: one is not as written."""
    from holdfast.cli.render import datasets as render
    from holdfast.pipelines.datasets import verify_dataset

    with session.progress("verifying"):
        report = verify_dataset(session.workspace(), wanted)
    session.answer(report, render.verified)


def remove(
    session: Session,
    wanted: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="One dataset; by default all but the newest and those needed."),
    ] = None,
    keep: Annotated[int | None, typer.Option("--keep", min=1, help="So many of the newest stay; 3 by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove old datasets. The latest stays, and those that the champion or a version not archived was trained on."""
    from holdfast.cli.render import datasets as render
    from holdfast.pipelines.remove_datasets import KEPT, remove_datasets

    if wanted is not None and keep is not None:
        raise UsageError("a dataset and --keep exclude each other", fix="Give one.")
    with session.recorded() as (workspace, run):
        report = remove_datasets(workspace, wanted, keep=keep or KEPT, dry_run=dry_run).to_json()
        run.summary = report
    session.answer(report, render.removed)


def register(app: typer.Typer) -> None:
    """Add this module's verbs."""
    datasets = typer.Typer(no_args_is_help=True, help="Datasets: list, show, compare, verify, remove.")
    verb(datasets, "list", prefix=PREFIX)(list_)
    verb(datasets, "show", prefix=PREFIX)(show)
    verb(datasets, "compare", prefix=PREFIX)(compare)
    verb(datasets, "verify", prefix=PREFIX)(verify)
    verb(datasets, "remove", prefix=PREFIX)(remove)
    app.add_typer(datasets, name="datasets", rich_help_panel="Data")
