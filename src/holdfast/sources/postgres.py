"""A PostgreSQL database, read in Arrow batches over ADBC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.errors import StoreError
from holdfast.sources.databases import Kind, quoted, shown

PATIENCE = {"connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
"""Seconds and tries after which a server that does not answer counts as gone; options in the url win."""

_PLAIN = ("boolean", "smallint", "integer", "bigint", "real", "double precision", "text", "character")
_TIMES: dict[str, Kind] = {
    "date": "DATE", "timestamp without time zone": "TIMESTAMP", "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip


class Postgres:
    """See `holdfast.sources.databases.Connection`.

    Raises
    ------
    StoreError
        The driver is missing, or the server cannot be reached or refuses.
    """

    def __init__(self, url: str) -> None:
        self._shown = shown(url)
        try:
            from adbc_driver_postgresql import dbapi
        except ImportError as e:
            fix = "pip install 'holdfast[postgres]'"
            raise StoreError(f"the driver for {self._shown} is missing: {e}", fix=fix) from e
        self._error: type[Exception] = dbapi.Error
        self._secrets = _secrets(url)
        with self._failing("cannot be reached"):
            self._connection = dbapi.connect(_patient(url))
        try:
            self._rows("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        except StoreError:
            self.close()
            raise

    def columns(self, names: Sequence[str]) -> dict[str, Kind]:
        """See `holdfast.sources.databases.Connection`."""
        table = ".".join(map(quoted, names)).replace("'", "''")
        sql = f"""SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
                  WHERE attrelid = to_regclass('{table}') AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""  # noqa: S608
        return {name: _kind(type_) for name, type_ in self._rows(sql)}

    def tables(self) -> list[str]:
        """See `holdfast.sources.databases.Connection`."""
        sql = """SELECT CASE WHEN pg_table_is_visible(c.oid) THEN relname ELSE nspname || '.' || relname END::text
                 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                 WHERE relkind IN ('r', 'v', 'm', 'f', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema')"""
        return [row[0] for row in self._rows(sql)]

    def copy(self, sql: str, file: Path) -> None:
        """See `holdfast.sources.databases.Connection`; no more than a batch or two is in memory."""
        with self._connection.cursor() as cursor:
            with self._failing("cannot be read"):
                cursor.execute(sql)
                reader = cursor.fetch_record_batch()
            try:
                with pq.ParquetWriter(file, reader.schema) as writer:
                    while (batch := self._next(reader)) is not None:
                        writer.write_batch(batch)
            except OSError as e:
                raise StoreError(f"cannot write {file}: {e.strerror or e}", fix="Free disk space.") from e

    def close(self) -> None:
        """See `holdfast.sources.databases.Connection`."""
        with contextlib.suppress(self._error):  # a server that is gone needs no goodbye
            self._connection.close()

    def _next(self, reader: Any) -> pa.RecordBatch | None:
        with self._failing("broke off"):
            return next(reader, None)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._failing("cannot be read"), self._connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    @contextlib.contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except (self._error, pa.ArrowException, OSError) as e:
            said = str(e).partition("[libpq]")[2] or str(e)
            said = said.strip().splitlines()[0].removeprefix("Failed to connect: ")
            for secret in self._secrets:
                said = said.replace(secret, "***")
            fix = "Check the url, the server and the rights of its user, then run it again."
            raise StoreError(f"{self._shown} {what}: {said}", fix=fix) from None  # the cause may show the password


def _patient(url: str) -> str:
    separator = "&" if "?" in url else "?"
    given = {name for name, _ in parse_qsl(url.partition("?")[2])}
    more = {name: value for name, value in PATIENCE.items() if name not in given}
    return f"{url}{separator}{urlencode(more)}" if more else url


def _secrets(url: str) -> list[str]:
    """What must not be shown, as it is written and as it is meant."""
    before, _, options = url.partition("?")
    password = before.partition("://")[2].rpartition("@")[0].partition(":")[2]
    written = [password, *(o.partition("=")[2] for o in options.split("&") if "password" in o.lower())]
    return [text for word in written for text in (word, unquote(word)) if text]


def _kind(type_: str) -> Kind:
    if type_ in _TIMES:
        return _TIMES[type_]
    return "plain" if type_.startswith(_PLAIN) and not type_.endswith("[]") else "other"
