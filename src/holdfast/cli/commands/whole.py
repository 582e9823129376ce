"""Verbs about the whole: run, serve, config."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Annotated, Literal

import typer

from holdfast.cli.session import Session, verb

PANEL = "Whole"

Mode = Literal["full", "data", "features", "train", "score", "decide", "monitor"]


def run(
    session: Session,
    mode: Annotated[Mode, typer.Option(help="full, or only up to and including this part.")] = "full",
) -> None:
    """Everything once, from tables to decisions, monitoring and the online store, with a summary.

    Exit code 3 says that the gate refused a first model: there is none to go on with.
    """
    from holdfast.cli.render import summary as render
    from holdfast.pipelines.run import run as run_all

    with session.recorded() as (workspace, recorded), session.progress("running") as steps:
        report = run_all(workspace, mode=mode, recorded=recorded, progress=steps.step).to_json()
        recorded.summary = {name: str(path) for name, path in report["files"].items()}
    session.answer(report, render.run)


def config_show(
    session: Session,
    section: Annotated[str | None, typer.Argument(help="Only this section or key, for example data.label.")] = None,
) -> None:
    """Every configured value, with where it came from."""
    from holdfast.cli.render import whole as render
    from holdfast.config.load import explain
    from holdfast.errors import UsageError, did_you_mean

    loaded = session.loaded()
    rows = explain(loaded)
    if section is not None:
        kept = [r for r in rows if r.key == section or r.key.startswith(f"{section}.")]
        if not kept:
            prefixes = {".".join(r.key.split(".")[: section.count(".") + 1]) for r in rows}
            raise UsageError(f"there is no configured {section!r}", fix=did_you_mean(section, prefixes))
        rows = kept
    report = {
        "project": loaded.project,
        "folder": str(loaded.folder),
        "hash": loaded.config.hash(),
        "values": [{"key": r.key, "value": r.value, "origin": r.origin} for r in rows],
    }
    session.answer(report, render.config)


def serve(
    session: Session,
    host: Annotated[str | None, typer.Option(help="By default serving.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="By default serving.port.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Serve the API: scores, reasons and decisions from the online store. /docs describes it.

    On an address that other machines reach, every request needs a key: holdfast keys create.
    """
    workspace = session.workspace()
    serving = workspace.config.serving
    at = (serving.host if host is None else host, serving.port if port is None else port)
    # The API is the other door, beside this one: it is started here by name, never used (DESIGN section 2).
    api = import_module("holdfast.api.serve")
    _ = workspace.online  # says now if its address is missing or wrong
    settings = api.Settings(workspace.online_folder, workspace.models, serving, workspace.name, workspace.state_url)
    if not session.quiet:
        logging.getLogger("holdfast.api").setLevel(logging.INFO)
        typer.echo(f"http://{at[0]}:{at[1]} (documentation: /docs); Ctrl-C stops it", err=True)
    api.serve(settings, *at, workers=workers)


def register(app: typer.Typer) -> None:
    """Add this module's verbs."""
    verb(app, "run", panel=PANEL)(run)
    verb(app, "serve", panel=PANEL)(serve)
    config = typer.Typer(no_args_is_help=True, help="Configuration: show.")
    verb(config, "show", prefix="config-")(config_show)
    app.add_typer(config, name="config", rich_help_panel=PANEL)
