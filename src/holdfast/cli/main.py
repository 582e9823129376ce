"""The ``holdfast`` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from holdfast import __version__
from holdfast.cli import failures, logs
from holdfast.cli.commands import acting, auditing, data, datasets, features, keys, learning, models, told, whole
from holdfast.errors import EXIT_DONE, HoldfastError

app = typer.Typer(
    name="holdfast",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Who is about to leave, why, what keeping them is worth, and whom to contact.",
)
for group in (whole, data, datasets, features, learning, models, auditing, acting, keys, told):
    group.register(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"holdfast {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 is done, 1 failed, 2 wrong usage or configuration, 3 a gate said no, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if words is None else words)
    as_json = "--json" in arguments
    try:
        logs.configure(os.environ)
        code = app(args=arguments, prog_name="holdfast", standalone_mode=False)
    except (HoldfastError, typer.TyperException) as e:
        return failures.report(e, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("holdfast: interrupted\n")
        return failures.EXIT_INTERRUPTED
    except Exception as e:
        return failures.report(e, as_json=as_json)
    if code == failures.EXIT_INTERRUPTED:  # Typer turns Ctrl-C into this code
        sys.stderr.write("holdfast: interrupted; run it again to go on\n")
    return code if isinstance(code, int) else EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
