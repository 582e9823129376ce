"""Which version of a row of a canonical table was known when (DESIGN 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.clock import naive


def instant(value: datetime) -> Any:
    """A UTC instant as an engine literal."""
    return ibis.literal(naive(value)).cast("timestamp(6)")


def known_rows(table: Any, known_as_of: datetime) -> Any:
    """Rows that exist for a build: available strictly before ``known_as_of``."""
    return table.filter(table.available_at < instant(known_as_of))


def marked(engine: Engine, table: Any, keys: Sequence[str], name: str, *, rows: Any = None) -> tuple[Any, bool]:
    """Add ``repeats``: whether another row may have the same keys, none of them null.

    Parameters
    ----------
    name : of a table to keep while the result is used
    rows : the keys of these rows and maybe of more, where reading them costs less than reading ``table``

    Returns
    -------
    table, whether any row repeats
    """
    again = engine.repeated(table if rows is None else rows, keys, name)
    if again is None:
        return table.mutate(repeats=ibis.literal(False)), False
    again = again.select(*(again[k].name(f"again_{k}") for k in keys))
    beside = table.left_join(again, [table[k] == again[f"again_{k}"] for k in keys])
    return beside.select(*table.columns, repeats=beside[f"again_{keys[0]}"].notnull()), True


def with_superseded(versions: Any, keys: list[str]) -> Any:
    """Add ``superseded_at``: when a later version of the same key became available; null for the latest.

    A version is what the business knew at c iff ``available_at < c <= superseded_at`` (or null). Rows whose key is
    null are versions of themselves.
    """
    many = versions.group_by(keys).having(versions.count() > 1).aggregate(versions=versions.count())
    many = many.filter(*[many[k].notnull() for k in keys]).drop("versions")
    several = versions.semi_join(many, keys)
    several = several.mutate(
        superseded_at=several.available_at.lead().over(ibis.window(group_by=keys, order_by=several.available_at))
    )
    single = versions.anti_join(many, keys).mutate(superseded_at=ibis.null("timestamp(6)"))
    return several.union(single, distinct=False)
