"""The Spark engine behind Ibis: the same expressions as on DuckDB, run in a cluster's executors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.artifacts.engine import BatchFunction, Part
from holdfast.errors import DataError, HoldfastError, Problem, StoreError
from holdfast.stores.duckdb_files import read_error
from holdfast.stores.engine import NULL_MARK, SEPARATOR, DuckDBEngine, check_name
from holdfast.stores.parts import write_part
from holdfast.stores.spark_session import quiet, spark_session
from holdfast.stores.spark_sql import spark_sql
from holdfast.stores.spark_tasks import MapBatches, ReadCsv, WritePart, failure_in, without_zones

PARTS_AT_A_TIME = 8
_HASH_DIGITS = 15  # 60 bits of md5 fit an int64


class SparkEngine:
    """Ibis on a Spark cluster. Files must lie where every executor finds them under the same path.

    Parameters
    ----------
    scratch : folder for Spark's log and, in local mode, for what does not fit in memory
    master : ``local[2]``, ``spark://host:7077``, ``yarn``, ``k8s://…``
    options : Spark's own settings
    """

    def __init__(self, scratch: Path, *, master: str, options: Mapping[str, str] | None = None) -> None:
        self._session = spark_session(master, options or {}, scratch)
        self._names: set[str] = set()

    def columns(self, files: Sequence[Path]) -> dict[str, str]:
        """See `holdfast.artifacts.engine.Engine`. Headers and footers only: the driver reads them."""
        with DuckDBEngine(threads=1) as small:
            return small.columns(files)

    def read(self, files: Sequence[Path], name: str, *, text: bool) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        check_name(name)
        with _running(str(files[0])):
            frame = self._parquet(files) if files[0].suffix.lower() == ".parquet" else self._csv(files, text=text)
            return self._view(frame, name)

    def from_arrow(self, table: pa.Table, name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        check_name(name)
        with quiet():
            return self._view(self._session.createDataFrame(table), name, ibis.schema(table.schema))

    def materialize(self, expression: Any, name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`. The executors keep the rows; plans do not grow with the steps."""
        check_name(name)
        with _running():
            return self._view(self._frame(expression).localCheckpoint(eager=True), name, expression.schema())

    def view(self, expression: Any, name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        check_name(name)
        with _running():
            return self._view(self._frame(expression), name, expression.schema())

    def to_arrow(self, expression: Any) -> pa.Table:
        """See `holdfast.artifacts.engine.Engine`."""
        with _running(), quiet():
            return without_zones(self._frame(expression).toArrow())

    def drop(self, *names: str) -> None:
        """See `holdfast.artifacts.engine.Engine`."""
        for name in names:
            check_name(name)
            self._session.catalog.dropTempView(name)
            self._names.discard(name)

    def drop_others(self, *kept: str) -> None:
        """See `holdfast.artifacts.engine.Engine`."""
        self.drop(*(self._names - set(kept)))

    def row_hash(self, table: Any, columns: Sequence[str]) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        parts = [table[name].cast("string").fill_null(NULL_MARK) for name in columns]
        digest = ibis.literal(SEPARATOR).join(parts).hexdigest("md5")
        return _conv(digest.substr(0, _HASH_DIGITS), 16, 10).cast("int64")

    def repeated(self, table: Any, keys: Sequence[str], name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        keyed = table.filter(*[table[k].notnull() for k in keys])
        found = keyed.group_by(list(keys)).having(keyed.count() > 1).aggregate(n=keyed.count())
        found = self.materialize(found, name)
        return found if self.to_arrow(found.limit(1)).num_rows else None

    def map_batches(self, expression: Any, function: BatchFunction, schema: pa.Schema, name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`. The function is broadcast."""
        check_name(name)
        with _running(), quiet():
            shared = self._session.sparkContext.broadcast(function)
            frame = self._frame(expression).mapInArrow(MapBatches(shared, schema), _spark_schema(schema))
            return self._view(frame.localCheckpoint(eager=True), name, ibis.schema(schema))

    def write_parts(self, parts: Sequence[Part], schema: pa.Schema) -> list[int]:
        """See `holdfast.artifacts.engine.Engine`. Executors write, several files at a time."""
        with ThreadPoolExecutor(PARTS_AT_A_TIME) as pool, quiet():
            return list(pool.map(lambda part: self._write_part(part, schema), parts))

    def _write_part(self, part: Part, schema: pa.Schema) -> int:
        with _running(str(part.file)):
            rows = self._frame(part.rows).repartition(1)
            told = rows.mapInArrow(WritePart(part.file, schema, part.cutoff), "rows long").collect()
        if told:
            return int(told[0]["rows"])
        return write_part(part.file, schema.empty_table(), schema, part.cutoff)  # nothing to run on

    def close(self) -> None:
        """Forget the tables; the application stays for the process's next engine."""
        with suppress(HoldfastError), _running():  # an application that is gone has no tables
            self.drop_others()

    def __enter__(self) -> SparkEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _frame(self, expression: Any) -> Any:
        return self._session.sql(spark_sql(expression))

    def _view(self, frame: Any, name: str, said: Any = None) -> Any:
        """A named table of the types it has; of its times, those that were ``said`` to have no zone have none."""
        times = {column: kind for column, kind in dict(said or {}).items() if kind.is_timestamp()}
        # Spark knows of some columns that they have no null, DuckDB of none: tables of one kind are to be of one schema
        kinds = {column: kind.copy(nullable=True) for column, kind in ibis.schema(_arrow_schema(frame)).items()}
        schema = {**kinds, **times}
        frame.select(*[_zoned(field) for field in frame.schema.fields]).createOrReplaceTempView(name)
        self._names.add(name)
        return ibis.table(ibis.schema(schema), name=name)

    def _parquet(self, files: Sequence[Path]) -> Any:
        """Files of equal columns are read together, others are united by name, as DuckDB does it."""
        groups: dict[pa.Schema, list[str]] = {}
        for file in files:
            try:
                schema = pq.read_schema(file).remove_metadata()
            except (OSError, pa.ArrowException) as e:
                raise read_error(str(e), where=str(file)) from e
            groups.setdefault(schema, []).append(str(file))
        reader = self._session.read.option("recursiveFileLookup", True)  # a folder's name is no column
        frames = [_micros(reader.parquet(*paths), schema) for schema, paths in groups.items()]
        whole = frames[0]
        for frame in frames[1:]:
            whole = whole.unionByName(frame, allowMissingColumns=True)
        return whole

    def _csv(self, files: Sequence[Path], *, text: bool) -> Any:
        """Each file is read by one executor with DuckDB's reader: the same cells and the same errors."""
        columns = self.columns(files)
        paths = self._session.createDataFrame([(str(f),) for f in files], "path string").repartition(len(files))
        schema = ", ".join(f"`{c.replace('`', '``')}` string" for c in columns)
        with quiet():
            return paths.mapInArrow(ReadCsv(tuple(columns)), schema)


@ibis.udf.scalar.builtin(name="conv")  # type: ignore[untyped-decorator]
def _conv(digits: str, of: int, to: int) -> str:  # type: ignore[empty-body]
    """Spark's function: a number's digits in another base."""


def _micros(frame: Any, schema: pa.Schema) -> Any:
    """Times in nanoseconds, which Spark reads as integers, as the times they are."""
    from pyspark.sql import functions as sf

    for field in schema:
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            time = sf.timestamp_micros(sf.floor(sf.col(f"`{field.name}`") / 1000).cast("bigint"))
            frame = frame.withColumn(field.name, time if field.type.tz else time.cast("timestamp_ntz"))
    return frame


def _zoned(field: Any) -> Any:
    """A column; a time without a zone as one of UTC, which is all that Spark's functions of time work on."""
    from pyspark.sql import functions as sf
    from pyspark.sql.types import TimestampNTZType

    column = sf.col(f"`{field.name.replace('`', '``')}`")
    return column.cast("timestamp").alias(field.name) if isinstance(field.dataType, TimestampNTZType) else column


def _arrow_schema(frame: Any) -> pa.Schema:
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(frame.schema, timezone="UTC")


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema, prefer_timestamp_ntz=True)


@contextmanager
def _running(where: str = "sources") -> Iterator[None]:
    """Engine failures become errors a person can act on."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, ConnectionError) as e:
        raise _explained(str(e), where) from e


def _explained(message: str, where: str) -> HoldfastError:
    own = failure_in(message)
    if own is not None:
        return own
    lines = message.strip().splitlines() or ["it ended"]
    first = next((line.removeprefix(": ") for line in lines if line.startswith(": ")), lines[0])
    condition = re.search(r"\[([A-Z_]+)[.\]]", message)
    match condition[1] if condition else "":
        case "ARITHMETIC_OVERFLOW" | "NUMERIC_VALUE_OUT_OF_RANGE" | "CAST_OVERFLOW":
            fix = "Check the largest values, or declare a smaller scale."
            problem = Problem("sources", "a sum or a product has more than 38 digits", fix)
            return DataError("numbers are too large to add up exactly", [problem])
        case "CANNOT_READ_FILE" | "FAILED_READ_FILE" | "PATH_NOT_FOUND" | "UNABLE_TO_INFER_SCHEMA":
            return read_error(first, where=where)
        case "OUT_OF_MEMORY":
            return HoldfastError(f"Spark ran out of memory: {first}", fix="Raise spark.executor.memory.")
    return StoreError(f"Spark failed: {first}", fix="See Spark's log.")
