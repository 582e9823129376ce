"""A table that lies in a database."""

from __future__ import annotations

import re

from pydantic import field_validator, model_validator

from holdfast.config.base import Section

_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^".]+)'


class Database(Section):
    """A table of a database: DuckDB (a file) or PostgreSQL."""

    url: str | None = None
    """``duckdb:///file.duckdb`` (relative to ``sources``) or ``postgresql://user@host:port/database``; no password."""
    url_from: str | None = None
    """The environment variable that holds the url, where it has a password. Its value is never stored."""
    table: str
    """``table`` or ``schema.table``, as the database spells it; a name with a dot in it goes in double quotes."""

    @model_validator(mode="after")
    def _one_url(self) -> Database:
        if (self.url is None) == (self.url_from is None):
            raise ValueError("give url or url_from (the name of an environment variable), one of them")
        if self.url is not None and not self.url.startswith(("duckdb:///", "postgresql://")):
            raise ValueError(f"url {self.url.partition(':')[0]!r} is not known; write duckdb:///… or postgresql://…")
        if self.url is not None and ":" in self.url.partition("://")[2].rpartition("@")[0]:
            raise ValueError("a password does not belong into YAML; put the whole url into the environment (url_from)")
        return self

    @field_validator("table")
    @classmethod
    def _one_or_two_names(cls, table: str) -> str:
        if not re.fullmatch(rf"{_IDENTIFIER}(\.{_IDENTIFIER})?", table):
            raise ValueError(f"{table!r} is not a table's name; write table or schema.table")
        return table

    @property
    def names(self) -> tuple[str, ...]:
        """``table`` or ``schema, table``, without quotes."""
        found = re.findall(_IDENTIFIER, self.table)
        return tuple(n[1:-1].replace('""', '"') if n.startswith('"') else n for n in found)
