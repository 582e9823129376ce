"""The golden sample: made-up rows with the answers that a bundle gave where it was made.

A bundle that answers otherwise on another machine, or with other libraries, is refused when it is loaded. The rows are
drawn from the training ranges, feature by feature: no customer's row is kept in a bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.artifacts.schema import FeatureSchema
from holdfast.errors import StoreError
from holdfast.evaluation.arrays import FloatArray

ROWS = 32
TOLERANCE = 1e-6
"""How far a probability may be off on another machine."""
UNSEEN = "(a level never seen)"

Predict = Callable[[pa.Table], FloatArray]


def golden_sample(reference: Mapping[str, Any], schema: FeatureSchema, predict: Predict) -> dict[str, Any]:
    """Rows and what ``predict`` says of them, as JSON.

    Parameters
    ----------
    reference : of the bundle; its ``ranges`` give the values (see `holdfast.models.reference.reference_of`)

    Returns
    -------
    dict
        ``rows``: by feature, `ROWS` values, null and (for categories) a level never seen among them;
        ``probability``: (`ROWS`,) answers.
    """
    rng = np.random.default_rng(0)
    rows: dict[str, list[Any]] = {}
    for feature in schema:
        known = reference["ranges"][feature.name]
        if feature.kind == "number":
            values = [known["min"], *known["quantiles"].values(), known["max"], None]
        else:
            values = [*known["levels"], UNSEEN, None]
        rows[feature.name] = [values[i] for i in rng.integers(0, len(values), ROWS)]
    return {"rows": rows, "probability": predict(as_table(rows, schema)).tolist()}


def as_table(rows: Mapping[str, list[Any]], schema: FeatureSchema) -> pa.Table:
    """The rows of a golden sample as features."""
    return pa.table({f.name: pa.array(rows[f.name], f.arrow_type) for f in schema})


def check_golden(golden: Mapping[str, Any], schema: FeatureSchema, predict: Predict, *, where: str) -> None:
    """Compare what ``predict`` says now with what was written.

    Raises
    ------
    StoreError
        A probability is off by more than `TOLERANCE`, or the sample cannot be read.
    """
    try:
        written = np.asarray(golden["probability"], dtype=np.float64)
        gap = float(np.abs(predict(as_table(golden["rows"], schema)) - written).max())
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        what = f"the golden sample of {where} cannot be read: {error}"
        raise StoreError(what, fix="Train the model again") from error
    if not gap <= TOLERANCE:
        raise StoreError(
            f"{where} answers otherwise here than where it was made: the golden sample is off by up to {gap:.3g}, more "
            f"than {TOLERANCE:g}",
            fix="Install the library versions that its manifest names, or train the model again",
        )
