"""MLflow without its noise, without what it would send home, and without its long waits."""

from __future__ import annotations

import importlib
import logging
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.pool import NullPool

from holdfast.errors import HoldfastError, StoreError

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # a kept connection would go on with a file that is no longer there
}
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""MLflow waits about four minutes for a server by default. Nobody needs to wait here: what was missed is made up for.
Whoever has a slow server may set these otherwise."""
CONNECT_SECONDS = 5
_LOGGERS = ("mlflow", "alembic", "mlflow.store.db.utils")


@contextmanager
def quiet_mlflow(uri: str) -> Iterator[None]:
    """Run a block of MLflow calls silently; its errors leave as StoreError.

    MLflow warns of its own dependencies' deprecations, logs each migration, and would send usage data.
    """
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except HoldfastError:
        raise
    except Exception as e:
        why = str(e).strip().splitlines()
        raise StoreError(
            f"the MLflow registry {_shown(uri)} failed: {_scrubbed(why[0], uri) if why else type(e).__name__}",
            fix="Check that it is reachable and writable; the promotion ledger is not affected.",
        ) from e
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def load_mlflow() -> Any:
    """Import MLflow (about 3 s the first time) with telemetry off. Call it inside `quiet_mlflow`."""
    os.environ.update(ENVIRONMENT)
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    return importlib.import_module("mlflow")


def is_server(uri: str) -> bool:
    """Whether an MLflow server stands between us and the database."""
    return uri.startswith(("http://", "https://"))


def patient(uri: str) -> str:
    """The address with a bounded wait for a connection, where the database would wait for minutes."""
    if not uri.startswith("postgresql"):
        return uri
    url = make_url(uri)
    if "connect_timeout" in url.query:
        return uri
    return url.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)}).render_as_string(hide_password=False)


def check_reachable(uri: str) -> None:
    """Connect once. MLflow itself retries for 100 s before it says that a database is not there.

    Raises
    ------
    SQLAlchemyError, ModuleNotFoundError
        The database cannot be read, or its driver is missing.
    OSError
        No server answers.
    """
    if is_server(uri):
        _check_answers(uri)
        return
    engine = create_engine(uri, poolclass=NullPool)
    inspect(engine).has_table("experiments")


def _check_answers(uri: str) -> None:
    """Any answer will do: some servers want a login, some have no such page, and certificates are MLflow's to judge."""
    parts = urllib.parse.urlsplit(uri)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    url = f"{bare.geturl().rstrip('/')}/health"
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_SECONDS):  # noqa: S310 - http or https, see is_server
            return
    except urllib.error.HTTPError as e:
        e.close()
    except urllib.error.URLError as e:
        if isinstance(e.reason, ssl.SSLError):
            return
        raise ConnectionError(f"there is no answer: {e.reason}") from e


def _shown(uri: str) -> str:
    return uri.partition("?")[0].rpartition("@")[2]


def _scrubbed(text: str, uri: str) -> str:
    """Without what may be a password: MLflow quotes the address in some of its errors."""
    before = uri.partition("//")[2].rpartition("@")[0]
    query = uri.partition("?")[2]
    for secret in (f"{before}@" if before else "", before.partition(":")[2], query):
        if secret:
            text = text.replace(secret, "")
    return text
