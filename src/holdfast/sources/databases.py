"""Tables of databases: the declared columns, and of the rows those that exist for a build, are copied to Parquet.

Every engine reads the copy as it reads other files. It lies in a scratch folder, is written batch by batch, and is
removed when the sources are loaded. All tables of one database are read as of one instant.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote

import pyarrow.parquet as pq

from holdfast.clock import naive
from holdfast.config.data import CustomersTable, Database, EventsTable, HistoryTable, Table
from holdfast.errors import ConfigError, DataError, Problem, StoreError, did_you_mean
from holdfast.sources.files import empty, require_columns

Kind = Literal["plain", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "other"]
"""How a column is read: as it is, as a time (which may be infinite), or as its text."""

ANY_ZONE = timedelta(days=1)
"""A local time is this close to UTC; the engine leaves out what is too many."""


class Connection(Protocol):
    """A database, open for reading one instant of it."""

    def columns(self, names: Sequence[str]) -> dict[str, Kind]:
        """The columns of ``table`` or ``schema, table``; none where there is no such table."""

    def tables(self) -> list[str]:
        """The names of the tables there are, of those outside the usual schema with it."""

    def copy(self, sql: str, file: Path) -> None:
        """Write the rows of a query to a Parquet file."""

    def close(self) -> None:
        """Let go of it."""


class Databases:
    """The databases of a project, each opened once.

    Parameters
    ----------
    root : the folder that DuckDB files are relative to
    scratch : where to make the folder for the copies; by default the system's
    environ : holds the urls that are secret
    """

    def __init__(self, root: Path, scratch: Path | None, environ: Mapping[str, str]) -> None:
        self._root, self._scratch, self._environ = root, scratch, environ
        self._open: dict[str, Connection] = {}
        self._folder: Path | None = None
        self._exit = ExitStack()

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def files(self, name: str, config: Table, known_as_of: datetime) -> tuple[list[Path], str]:
        """A table's rows that were available before ``known_as_of`` (or a little later), as files, and where from.

        Raises
        ------
        DataError
            There is no such table, it has no rows, or it lacks a column.
        StoreError
            The database cannot be reached or read.
        ConfigError
            The variable with its url is not set, or holds none.
        """
        declared = config.database
        assert declared is not None
        url = self._url(name, declared)
        place = f"{shown(url)}, {declared.table}"
        try:
            connection = self._connection(name, url)
            columns = connection.columns(declared.names)
            if not columns:
                what = f"there is no table '{declared.table}' in {shown(url)}"
                hint = did_you_mean(declared.table, connection.tables())
                problem = Problem(f"data.tables.{name}.database.table", what, f"Check the name and its case: {hint}")
                raise DataError("a source is missing", [problem])
            require_columns(columns, config, f"table '{name}' ({place})")
            file = self._scratch_folder() / f"table_{len(list(self._scratch_folder().iterdir()))}.parquet"
            connection.copy(select(declared.names, columns, config, known_as_of), file)
            if not pq.read_metadata(file).num_rows:  # none, or none that was known by then
                one = file.with_suffix(".one")
                connection.copy(f"SELECT 1 AS one FROM {_table(declared.names)} LIMIT 1", one)  # noqa: S608 - quoted
                if not pq.read_metadata(one).num_rows:
                    raise empty(f"table '{name}' ({place})")
        except StoreError as e:
            raise StoreError(f"table '{name}' ({declared.table}): {e.message}", fix=e.fix) from e.__cause__
        return [file], place

    def _url(self, name: str, declared: Database) -> str:
        if declared.url is not None:
            return declared.url
        variable = declared.url_from or ""
        url = self._environ.get(variable, "")
        scheme, _, rest = url.partition("://")
        url = f"{scheme.partition('+')[0]}://{rest}"  # SQLAlchemy's postgresql+psycopg:// is postgresql://
        if not url.startswith(("duckdb:///", "postgresql://")):
            what = f"the environment variable {variable} {'holds no url' if rest else 'is not set'}"
            fix = "Set it to duckdb:///file or postgresql://user:password@host:port/database."
            raise ConfigError(
                "a database has no address", [Problem(f"data.tables.{name}.database.url_from", what, fix)]
            )
        return url

    def _connection(self, name: str, url: str) -> Connection:
        if url not in self._open:
            connection: Connection
            if url.startswith("duckdb:"):
                from holdfast.sources.duckdb_file import DuckDBFile

                path = self._root / unquote(url.removeprefix("duckdb:///"))
                connection = DuckDBFile(path, where=f"data.tables.{name}.database.url")
            else:
                from holdfast.sources.postgres import Postgres

                connection = Postgres(url)
            self._exit.callback(connection.close)
            self._open[url] = connection
        return self._open[url]

    def _scratch_folder(self) -> Path:
        if self._folder is None:
            try:
                if self._scratch is not None:
                    self._scratch.mkdir(parents=True, exist_ok=True)
                folder = tempfile.TemporaryDirectory(prefix="sources-", dir=self._scratch, ignore_cleanup_errors=True)
            except OSError as e:
                raise StoreError(f"cannot write to {self._scratch}: {e.strerror}", fix="Free disk space.") from e
            self._folder = Path(self._exit.enter_context(folder))
        return self._folder


def shown(url: str) -> str:
    """A url without its password and options."""
    scheme, _, rest = url.partition("://")
    rest = rest.partition("?")[0]
    user, at, host = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}"


def select(names: Sequence[str], columns: Mapping[str, Kind], config: Table, known_as_of: datetime) -> str:
    """The query for the declared columns of the rows that were available before ``known_as_of`` or a day later."""
    wanted = [_cell(column, columns[column]) for column in config.source_columns()]
    sql = f"SELECT {', '.join(wanted)} FROM {_table(names)}"  # noqa: S608 - quoted
    column, delay = _available(config)
    if column is not None and columns[column] not in ("plain", "other"):
        before = naive(known_as_of - delay + ANY_ZONE)
        bound = _literal(f"{before:%Y-%m-%d %H:%M:%S.%f}", columns[column])
        sql += f" WHERE {quoted(column)} < {bound} OR {quoted(column)} IS NULL"
    return sql


def _table(names: Sequence[str]) -> str:
    return ".".join(map(quoted, names))


def _available(config: Table) -> tuple[str | None, timedelta]:
    """The column with when a row became available, and how long after it did."""
    if isinstance(config, EventsTable):
        return config.available_at or config.time, timedelta(days=config.delay.days)
    if isinstance(config, HistoryTable):
        return config.available_at or config.valid_from, timedelta()
    assert isinstance(config, CustomersTable)
    return config.start_available_at or config.start, timedelta()


def _cell(column: str, kind: Kind) -> str:
    name = quoted(column)
    if kind == "plain":
        return name
    if kind == "other":
        return f"CAST({name} AS TEXT) AS {name}"
    time = f"CAST({name} AS {kind})"
    never, ever = _literal("9999-12-31 00:00:00", kind), _literal("0001-01-01 00:00:00", kind)
    cases = f"WHEN {_literal('infinity', kind)} THEN {never} WHEN {_literal('-infinity', kind)} THEN {ever}"
    return f"CASE {time} {cases} ELSE {time} END AS {name}"  # Arrow has no infinite times


def _literal(text: str, kind: Kind) -> str:
    zone = "+00" if kind == "TIMESTAMP WITH TIME ZONE" and "infinity" not in text else ""
    return f"CAST('{text}{zone}' AS {kind})"


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
