"""The committed bundles, the rows put to them, and their answers: how they are read and compared.

::

    bundles/NAME/   one bundle of each estimator, as training writes it
    rows.json       feature columns and ``cutoff``: snapshots of a simulated company, and hard ones
    answers.json    by estimator ``probability`` and ``margin``, (n,), and ``contribution``, (n, features + 1)

Shared with ``benchmarks/other_machine.py``; ``renew.py`` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from holdfast.artifacts.schema import FeatureSchema
from holdfast.models.bundle import Bundle

HERE = Path(__file__).resolve().parent
BUNDLES, ROWS, ANSWERS = HERE / "bundles", HERE / "rows.json", HERE / "answers.json"
ESTIMATORS = ("xgboost", "lightgbm", "logistic", "rfm")
TOLERANCE = 1e-6
BULK = 2_400
"""Rows; more than 2,000 are scored on all cores and explained from our own tables, fewer by the library itself."""

Answers = Mapping[str, NDArray[np.float64]]


def rows(schema: FeatureSchema) -> pa.Table:
    """The committed rows."""
    columns = json.loads(ROWS.read_text(encoding="utf-8"))
    cutoffs = pa.array([datetime.fromisoformat(at) for at in columns["cutoff"]], pa.timestamp("us"))
    return pa.table({"cutoff": cutoffs, **{f.name: pa.array(columns[f.name], f.arrow_type) for f in schema}})


def written(name: str) -> Answers:
    """The committed answers of one estimator."""
    found = json.loads(ANSWERS.read_text(encoding="utf-8"))[name]
    return {kind: np.array(values, dtype=np.float64) for kind, values in found.items()}


def answers(bundle: Bundle, table: pa.Table) -> Answers:
    """What a bundle says of some rows, the base of the contributions last among them."""
    parts, base = bundle.contributions(table)
    return {
        "probability": bundle.predict(table),
        "margin": bundle.margin(table),
        "contribution": np.column_stack([parts, np.full(len(parts), base)]),
    }


def in_bulk(table: pa.Table) -> pa.Table:
    """The rows, repeated until there are about `BULK`."""
    return pa.concat_tables([table] * -(-BULK // len(table)))


def repeated(told: Answers, n: int) -> Answers:
    """Answers to rows that are repeated until there are ``n``."""
    return {kind: np.concatenate([values] * (n // len(values))) for kind, values in told.items()}


def deviations(here: Answers, there: Answers) -> dict[str, float]:
    """The largest absolute difference of each kind of answer; infinite where a number stands against NaN."""
    return {
        kind: float(np.nan_to_num(np.abs(here[kind] - there[kind]), nan=np.inf, posinf=np.inf).max()) for kind in there
    }
