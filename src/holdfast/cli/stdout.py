"""Keeping stdout for the answer: with ``--json`` it carries one document and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STDOUT, STDERR = 1, 2


def document(value: Any) -> str:
    """One JSON document. NaN and infinities are not JSON, and are refused."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


@contextmanager
def reserved() -> Iterator[Callable[[str], None]]:
    """Send all that is printed inside to stderr; the yielded function writes to the real stdout.

    Some libraries print, from Python and from C, so the file descriptor is moved too where stdout is one.
    """
    real = sys.stdout
    written: list[str] = []
    saved = _moved_away()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield written.append
    finally:
        if saved is not None:
            os.dup2(saved, STDOUT)
            os.close(saved)
        real.write("".join(written))
        real.flush()


def _moved_away() -> int | None:
    """Point file descriptor 1 at stderr; returns a copy of what it was, or None where stdout is not it."""
    try:
        if sys.stdout.fileno() != STDOUT or sys.stderr.fileno() != STDERR:
            return None
    except (OSError, ValueError):  # a test's buffer has no file descriptor
        return None
    sys.stdout.flush()
    saved = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    return saved
