"""The verbs about the API's keys: keys create, list, revoke, log."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.artifacts.keys import Role
from holdfast.cli.session import Session, verb
from holdfast.errors import UsageError

PANEL = "Operate"
PREFIX = "keys-"


def create(
    session: Session,
    name: Annotated[str, typer.Option(help="What the key is for, for example crm.")],
    role: Annotated[
        Role,
        typer.Option(help="read: every GET; score: also POST /v1/scores and /v1/explanations; admin: also /v1/admin."),
    ],
) -> None:
    """Make a key for the API. It is printed once: only a hash of it is kept."""
    from holdfast.cli.render import keys as render
    from holdfast.pipelines.keys import create_key

    if session.quiet and not session.json:
        raise UsageError("--quiet would hide the key, which is shown once", fix="Leave it out, or use --json.")
    session.answer(create_key(session.workspace(), name, role), render.created)


def list_(session: Session) -> None:
    """Every key, newest first: name, role, when it was made, last used (to the minute) and revoked."""
    from holdfast.cli.render import keys as render
    from holdfast.pipelines.keys import list_keys

    session.answer({"keys": list_keys(session.workspace())}, render.keys)


def revoke(session: Session, key_id: Annotated[str, typer.Argument(help="A key's id, as keys list shows.")]) -> None:
    """Make a key useless. Running servers refuse it within 5 seconds."""
    from holdfast.cli.render import keys as render
    from holdfast.pipelines.keys import revoke_key

    session.answer(revoke_key(session.workspace(), key_id), render.revoked)


def log(session: Session, limit: Annotated[int, typer.Option(min=1, help="How many lines.")] = 20) -> None:
    """The log of admin calls, over the API and from here, newest first: who, what, and how it ended."""
    from holdfast.cli.render import keys as render
    from holdfast.pipelines.keys import admin_log

    session.answer({"log": admin_log(session.workspace(), limit=limit)}, render.log)


def register(app: typer.Typer) -> None:
    """Add this module's verbs."""
    keys = typer.Typer(no_args_is_help=True, help="The API's keys: create, list, revoke, log.")
    verb(keys, "create", prefix=PREFIX)(create)
    verb(keys, "list", prefix=PREFIX)(list_)
    verb(keys, "revoke", prefix=PREFIX)(revoke)
    verb(keys, "log", prefix=PREFIX)(log)
    app.add_typer(keys, name="keys", rich_help_panel=PANEL)
