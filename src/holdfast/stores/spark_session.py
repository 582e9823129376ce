"""One Spark application per process, started on first use; its log goes to a file, not to the terminal."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError, NotReadyError

LOG = "spark.log"
MEANING = {
    "spark.sql.ansi.enabled": "true",  # an overflow is an error, never a wrong number
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # a checkpoint keeps constraints on columns that it has not; a union over it then fails (Spark 4.3)
    "spark.sql.constraintPropagation.enabled": "false",
}
"""What results rest on: never configured otherwise."""
DEFAULTS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "WARN",
    "spark.driver.maxResultSize": "0",  # what is fetched was asked for
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",  # a model scores many rows at a time faster
}
LOCAL_DEFAULTS = {
    "spark.driver.memory": "4g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}

_running: dict[str, Any] = {}


def spark_session(master: str, options: Mapping[str, str], scratch: Path) -> Any:
    """A session of its own (views, settings) in this process's application; another master or options start it anew.

    Parameters
    ----------
    scratch : folder for the log and, in local mode, for what does not fit in memory; the application's first one counts

    Raises
    ------
    NotReadyError
        PySpark or Java is not installed.
    HoldfastError
        Spark does not start.
    """
    local = master.startswith("local")
    settings = {**DEFAULTS, **(LOCAL_DEFAULTS if local else {}), **options, **MEANING}
    wanted = (master, tuple(sorted(settings.items())))
    if _running.get("wanted") != wanted:
        stop_spark()
        folders = {"spark.sql.warehouse.dir": str(scratch / "spark-warehouse")}
        if local:
            folders["spark.local.dir"] = str(scratch)
        _running["session"] = _start(master, {**folders, **settings}, scratch / LOG)
        _running["wanted"] = wanted
    return _running["session"].newSession()


def stop_spark() -> None:
    """End this process's application, if there is one."""
    session = _running.pop("session", None)
    _running.pop("wanted", None)
    if session is not None:
        session.stop()


def _start(master: str, settings: Mapping[str, str], log: Path) -> Any:
    try:
        from pyspark.sql import SparkSession
    except ImportError as e:
        raise NotReadyError("engine.kind is spark, but PySpark is missing", fix="pip install 'holdfast[spark]'") from e
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("holdfast")
    for name, value in settings.items():
        builder = builder.config(name, value)
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)  # it repeats every error, with its SQL
    try:
        with quiet(), _stderr_to(log):
            return builder.getOrCreate()
    except Exception as e:  # py4j, OSError and RuntimeError alike: all mean that it does not start
        raise HoldfastError(
            f"Spark does not start at {master}: {str(e).strip().splitlines()[0] if str(e).strip() else e!r}",
            fix=f"Check engine.master, engine.options and that Java 17 is installed; the log is {log}.",
        ) from e


@contextmanager
def quiet() -> Iterator[None]:
    """Without PySpark's warning about a pandas that nothing here uses with it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
        yield


@contextmanager
def _stderr_to(log: Path) -> Iterator[None]:
    """The JVM inherits standard error once, for good."""
    sys.stderr.flush()
    saved = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
