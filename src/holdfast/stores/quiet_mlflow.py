"""MLflow without its noise, and without the network."""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

from holdfast.errors import HoldfastError, StoreError

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # a kept connection would go on with a file that is no longer there
}
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
            f"the MLflow registry {uri.rpartition('@')[2]} failed: {why[0] if why else type(e).__name__}",
            fix="Check that it is reachable and writable; the promotion ledger is not affected.",
        ) from e
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def load_mlflow() -> Any:
    """Import MLflow (about 3 s the first time) with telemetry off. Call it inside `quiet_mlflow`."""
    os.environ.update(ENVIRONMENT)
    return importlib.import_module("mlflow")


def check_reachable(uri: str) -> None:
    """Connect once. MLflow itself retries for 100 s before it says that a database is not there.

    Raises
    ------
    SQLAlchemyError, ModuleNotFoundError
        The database cannot be read, or its driver is missing.
    """
    engine = create_engine(uri, poolclass=NullPool)
    inspect(engine).has_table("experiments")
