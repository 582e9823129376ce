"""The verb that tells what every feature means."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.session import Session, verb


def features(
    session: Session,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these tables, or features so beginning.")
    ] = None,
) -> None:
    """Every feature of the project: what it means, unit, source, window and what a null says. Nothing is computed."""
    from holdfast.cli.render import features as render
    from holdfast.pipelines.features import features as run_features

    session.answer(run_features(session.loaded(), names or []).to_json(), render.features)


def register(app: typer.Typer) -> None:
    """Add this module's verb."""
    verb(app, "features", panel="Data")(features)
