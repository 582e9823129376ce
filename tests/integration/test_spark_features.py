"""Populations and every kind of feature of generated histories: Spark gives the bits that DuckDB gives.

DuckDB's are held to the slow oracle (tests/property).
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from holdfast.artifacts.engine import Engine
from holdfast.clock import Span, utc
from holdfast.config.data import Cutoffs, Label
from holdfast.features.compute import compute, window_lengths
from holdfast.snapshots.calendar import Cutoff, cutoff_table
from holdfast.snapshots.population import scoring_population, training_population
from holdfast.stores.engine import DuckDBEngine
from holdfast.stores.spark_engine import SparkEngine

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))
import companies
from companies import FIRST_MONTH, LAST_MONTH

from holdfast.audit import oracle_snapshots as oracle

pytestmark = pytest.mark.slow

DATA, FEATURES, _ = companies.sections()
LABEL = Label(lead=Span(days=10), horizon=Span(months=2), delay=Span(days=5))
ANCHOR = 31
CUSTOMERS = 40


def computed(engine: Engine, rows: Any) -> tuple[pa.Table, pa.Table]:
    """The training population, and the features of everyone to score, in order."""
    data = DATA.model_copy(update={"label": LABEL})
    calendar = Cutoffs(anchor_days=(ANCHOR,))
    cutoffs = [
        Cutoff.of(utc(oracle.grid(ANCHOR, k)), LABEL, calendar) for k in range(FIRST_MONTH, LAST_MONTH + 1)
    ]  # fmt: skip
    now = cutoffs[-1].at + timedelta(days=40)
    tables = companies.load(engine, rows)
    grid = engine.from_arrow(cutoff_table(cutoffs, window_lengths(FEATURES)), "cutoffs")
    trained = training_population(tables, data, grid, known_as_of=now, complete_through=now)
    at_risk = engine.materialize(scoring_population(tables, data, grid), "population")
    found, _ = compute(engine, at_risk, grid, tables, data, FEATURES, grid=cutoffs[0].grid, known_as_of=now)
    keys = ["cutoff", "customer_id"]
    return engine.to_arrow(trained.order_by(keys)), engine.to_arrow(found.order_by(keys))


def test_populations_and_features_are_bit_identical(spark_engine: SparkEngine) -> None:
    chance = companies.Chance(5)
    chance.anchor = ANCHOR
    rows = companies.company(chance, CUSTOMERS)
    with DuckDBEngine(threads=2) as duckdb:
        population, features = computed(duckdb, rows)
    other_population, other_features = computed(spark_engine, rows)
    assert population.num_rows > CUSTOMERS
    assert features.num_columns > 100
    assert other_population.equals(population)
    assert other_features.schema == features.schema
    for name in features.column_names:  # NaN or not, null or not: the same
        assert other_features.column(name).equals(features.column(name)), name
