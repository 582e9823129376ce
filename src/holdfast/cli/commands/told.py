"""Verbs that tell what happened: runs and alerts."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.session import Session, verb

PANEL = "Operate"


def runs(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    of: Annotated[
        str | None, typer.Option("--verb", metavar="VERB", help="Only runs of this verb, for example train.")
    ] = None,
) -> None:
    """The latest runs, newest first: when, how they ended, how long they took, on which configuration and dataset."""
    from holdfast.cli.render import told as render
    from holdfast.pipelines.records import list_runs

    session.answer({"runs": list_runs(session.workspace(), verb=of, limit=limit)}, render.runs)


def alerts(session: Session, limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20) -> None:
    """The latest alerts of monitoring, newest first, and what to do about them."""
    from holdfast.cli.render import told as render
    from holdfast.pipelines.records import list_alerts

    session.answer({"alerts": list_alerts(session.workspace(), limit=limit)}, render.alerts)


def register(app: typer.Typer) -> None:
    """Add this module's verbs."""
    verb(app, "runs", panel=PANEL)(runs)
    verb(app, "alerts", panel=PANEL)(alerts)
