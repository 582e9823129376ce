"""Fixtures for every test."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# a machine that is busy for a moment proves nothing wrong
settings.register_profile("holdfast", settings(), deadline=None)
settings.load_profile("holdfast")

if TYPE_CHECKING:
    from holdfast.stores.spark_engine import SparkEngine

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """A path below the real data, which is not ours to commit: ``$HOLDFAST_DATA`` or ``../shared/data``.

    A test that needs it is skipped where it is missing, except in CI, where it must run.
    """

    def path(name: str) -> Path:
        folder = Path(os.environ.get("HOLDFAST_DATA") or ROOT.parent / "shared" / "data")
        file = folder / name
        if not file.exists():
            reason = f"real data is missing: no {file}; set HOLDFAST_DATA to the folder that holds {name}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        return file

    return path


SPARK = {
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m",
    "spark.executorEnv.PYTHONPATH": str(ROOT / "tests" / "conformance"),  # functions of tests run in executors
}
"""A test's few rows are not worth many tasks, compiled plans or optimised machine code."""


@pytest.fixture(scope="session")
def spark_settings() -> dict[str, str]:
    """Spark's settings; without Spark, a test that asks for them is skipped, except where CI has it."""
    missing = "PySpark (make setup-spark)" if importlib.util.find_spec("pyspark") is None else ""
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        missing = "Java 17"
    if missing and os.environ.get("HOLDFAST_REQUIRE_SPARK") == "1":
        pytest.fail(f"{missing} is not installed")
    if missing:
        pytest.skip(f"{missing} is not installed")
    return SPARK


@pytest.fixture(scope="session")
def spark_engine(spark_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkEngine]:
    """An engine of the one local Spark of this process."""
    from holdfast.stores.spark_engine import SparkEngine

    with SparkEngine(tmp_path_factory.mktemp("spark"), master="local[2]", options=spark_settings) as engine:
        yield engine
