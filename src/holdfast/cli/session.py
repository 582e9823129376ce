"""What every verb shares: the common options, the project's workspace, the recorded run and the answer."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from holdfast.cli import logs, progress, stdout
from holdfast.errors import GateRefused

if TYPE_CHECKING:
    from holdfast.config.load import Loaded
    from holdfast.pipelines.bootstrap import Workspace
    from holdfast.pipelines.running import Run

P = ParamSpec("P")
DEFAULT_PROJECT = "demo"

ProjectOption = Annotated[
    str | None, typer.Option("--project", "-p", metavar="NAME", help="A name under conf/, or a folder.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one configured value; may be repeated."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


@dataclass
class Session:
    """One call of a verb.

    Attributes
    ----------
    verb : the verb's name, for example ``models-promote``
    """

    verb: str
    project: str
    sets: tuple[str, ...] = ()
    json: bool = False
    quiet: bool = False
    run_id: str | None = None
    answered: bool = False
    documents: list[str] = field(default_factory=list)
    _workspace: Workspace | None = None

    def workspace(self) -> Workspace:
        """The project's workspace; its database is closed when the verb ends."""
        from holdfast.pipelines.bootstrap import open_workspace

        self._workspace = open_workspace(self.project, sets=self.sets)
        return self._workspace

    def close(self) -> None:
        """Close what the verb opened."""
        if self._workspace is not None and "state" in vars(self._workspace):  # a cached property, if it was asked for
            self._workspace.state.close()

    def loaded(self) -> Loaded:
        """The project's configuration alone: without the stores, which take a while to import."""
        from holdfast.config.load import find_project, load

        return load(find_project(self.project, root()), sets=self.sets, environ=os.environ)

    @contextmanager
    def recorded(self) -> Iterator[tuple[Workspace, Run]]:
        """The workspace, and the run that state.db will tell of."""
        from holdfast.pipelines.running import recorded_run

        workspace = self.workspace()
        with recorded_run(workspace, self.verb) as run, logs.of_run(run.run_id):
            self.run_id = run.run_id
            yield workspace, run

    @contextmanager
    def progress(self, name: str) -> Iterator[progress.Steps]:
        """Shows what is being done, on a terminal."""
        with progress.shown(name, quiet=self.quiet or self.json) as steps:
            yield steps

    def answer(self, report: dict[str, Any], render: Callable[[dict[str, Any]], list[Any]]) -> None:
        """Print the report: as one JSON document, or as a person reads it."""
        self.answered = True
        if self.json:
            envelope = {"verb": self.verb, "project": self.project, "run_id": self.run_id, "report": report}
            self.documents.append(stdout.document(envelope))
        elif not self.quiet:
            from holdfast.cli.render.parts import show

            show(render(report))


def verb(
    app: typer.Typer, name: str, *, panel: str | None = None, prefix: str = ""
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[Concatenate[Session, P], None]]:
    """Register a verb: its own parameters first, then the common options that every verb has."""

    def register(body: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
        own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]

        def command(
            project: str | None, set_: list[str] | None, json: bool, quiet: bool, *args: P.args, **kwargs: P.kwargs
        ) -> None:
            session = Session(
                f"{prefix}{name}".replace(" ", "-"), project or DEFAULT_PROJECT, tuple(set_ or ()), json, quiet
            )
            if project is None and "dataset" in kwargs:
                session.project = str(kwargs["dataset"])  # a public data set has a project of its own name
            try:
                if not json:
                    body(session, *args, **kwargs)
                    return
                with stdout.reserved() as write:
                    try:
                        body(session, *args, **kwargs)
                    finally:
                        write("".join(session.documents))
            except GateRefused as e:
                if not session.answered:
                    raise
                sys.stderr.write(f"holdfast: {e}\n")  # the report, printed already, is the one document
                raise typer.Exit(e.exit_code) from e
            finally:
                session.close()

        common = inspect.signature(_common, eval_str=True).parameters.values()
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *common)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # Typer reads it
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__name__, command.__doc__ = body.__name__, body.__doc__
        app.command(name, rich_help_panel=panel)(command)
        return body

    return register


def _common(
    project: ProjectOption = None, set_: SetOption = None, json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """The options that every verb has."""


def root() -> Path:
    """The folder that holds ``conf/`` and ``var/``: ``$HOLDFAST_HOME``, else the current one."""
    from holdfast.config.tree import HOME_VARIABLE

    return Path(os.environ.get(HOME_VARIABLE, ".")).resolve()
