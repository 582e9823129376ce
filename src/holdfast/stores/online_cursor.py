"""Cursors of the work list: a place in one generation, order and filter. Clients hold them, so they are not trusted."""

from __future__ import annotations

import base64
import json

from holdfast.errors import UsageError, did_you_mean, shown
from holdfast.stores.online_format import RANKS, is_generation

MAX_PAGE = 1000


def check_page(limit: int, order: str) -> None:
    """Refuse, as a UsageError, what is not a page."""
    if not 1 <= limit <= MAX_PAGE:
        raise UsageError(f"limit is {limit}", fix=f"Give 1 to {MAX_PAGE}.")
    if order not in RANKS:
        raise UsageError(f"order is {shown(order)}", fix=did_you_mean(order, RANKS))


def encode(generation: str, rank: int, query: list[str | None]) -> str:
    """The cursor after the row of ``rank``."""
    return base64.urlsafe_b64encode(json.dumps([generation, rank, query]).encode()).decode().rstrip("=")


def decode(cursor: str, query: list[str | None]) -> tuple[str, int]:
    """The generation and rank of a cursor.

    Raises
    ------
    UsageError
        It is not a cursor, or one of another query.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        generation, rank, asked = json.loads(text)
        whole = isinstance(generation, str) and is_generation(generation) and type(rank) is int  # no bool
    except (ValueError, TypeError):
        whole = False
    if not whole:
        raise UsageError(f"{shown(cursor)} is not a cursor", fix="Give next_cursor of the page before, or none.")
    if asked != query:
        raise UsageError(
            "the cursor is of another order, tier or segment", fix="Repeat the first page's, or give none."
        )
    return generation, rank
