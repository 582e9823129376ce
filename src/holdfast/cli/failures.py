"""What went wrong, in plain words on stderr or as a JSON document, and the exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from dataclasses import asdict
from typing import Any

from holdfast.cli.stdout import document
from holdfast.errors import (
    EXIT_FAILED,
    MAX_EXAMPLES,
    MAX_PROBLEMS,
    ConfigError,
    DataError,
    GateRefused,
    HoldfastError,
    shown,
)

DEBUG_VARIABLE = "HOLDFAST_DEBUG"
EXIT_INTERRUPTED = 130
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""A full or locked disk is no bug, wherever it is met."""


def report(error: BaseException, *, as_json: bool) -> int:
    """Say what went wrong; returns the exit code.

    A traceback is for developers: it is shown only with ``HOLDFAST_DEBUG=1``.
    """
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error, file=sys.stderr)
    described = describe(error)
    if as_json:
        sys.stdout.write(document({"error": described}))
    else:
        sys.stderr.write(f"holdfast: {described['message']}\n")
    return int(described["exit_code"])


def describe(error: BaseException) -> dict[str, Any]:
    """An error as JSON: ``kind``, ``message``, ``exit_code`` and, where there are such, ``problems`` or ``reasons``."""
    code = getattr(error, "exit_code", EXIT_FAILED)
    found: dict[str, Any] = {"kind": type(error).__name__, "message": _message(error), "exit_code": code}
    if isinstance(error, HoldfastError) and error.fix:
        found["fix"] = error.fix
    if isinstance(error, (ConfigError, DataError)):
        listed = error.problems[:MAX_PROBLEMS]
        found["problems"] = [{**asdict(p), "examples": [shown(e) for e in p.examples[:MAX_EXAMPLES]]} for p in listed]
        found["problems_in_all"] = len(error.problems)
    if isinstance(error, GateRefused):
        found["reasons"] = list(error.reasons)
    return found


def _message(error: BaseException) -> str:
    if isinstance(error, HoldfastError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory. Free some, or use fewer customers, cutoffs or windows."
    if isinstance(error, OSError) and error.errno in DISK:
        where = f" ({error.filename})" if error.filename else ""
        return f"cannot write: {error.strerror}{where}. Free disk space or check permissions."
    if hasattr(error, "format_message"):  # Typer's: a wrong word on the command line
        said = str(error.format_message())
        return f"{said}{'' if said.endswith(('.', '?')) else '.'} See: holdfast --help"
    first = (str(error).strip().splitlines() or [""])[0]
    return f"unexpected {type(error).__name__}: {first} (run with {DEBUG_VARIABLE}=1 for the traceback)"
