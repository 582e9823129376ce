"""Words of the command line that need reading: instants and table=path pairs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from holdfast.clock import parse_instant
from holdfast.errors import UsageError


def instant(text: str | None, option: str) -> datetime | None:
    """``2024-12-01`` or an ISO instant; None stays None.

    Raises
    ------
    UsageError
        It is neither.
    """
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as e:
        raise UsageError(f"{option} {text!r} is not a date", fix="Write 2024-12-01 or 2024-12-01T09:30:00Z.") from e


def pairs(words: Sequence[str], option: str) -> dict[str, Path]:
    """``table=path`` words, in order.

    Raises
    ------
    UsageError
        There are none, one lacks the name or the path, or a name comes twice.
    """
    found: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (equals and name and path):
            raise UsageError(f"{option} {word!r} is not name=path", fix=f"Write {option} customers=customers.csv.")
        if name in found:
            raise UsageError(f"{option} names {name!r} twice", fix="Give one path: a file, a folder or a glob.")
        found[name] = Path(path)
    if not found:
        raise UsageError("no tables are given", fix=f"Write {option} customers=customers.csv, and one for each table.")
    return found
