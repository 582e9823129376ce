"""How long one customer takes: a prediction with its reasons, on this machine."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from holdfast.evaluation.arrays import FloatArray
from holdfast.models.bundle import Bundle
from holdfast.models.golden import as_table

REPEATS = 7


def single_row_seconds(bundle: Bundle, repeats: int = REPEATS) -> FloatArray:
    """(n,) seconds of predicting and explaining each row of the golden sample alone.

    The best of ``repeats`` counts: the others say what else the machine was doing. What the API adds (HTTP, the store)
    is not in it.
    """
    table = as_table(bundle.golden["rows"], bundle.schema)
    seconds = np.full(len(table), np.inf)
    for _ in range(repeats):
        for i in range(len(table)):
            row = table.slice(i, 1)
            began = perf_counter()
            bundle.predict(row)
            bundle.explain(row)
            seconds[i] = min(seconds[i], perf_counter() - began)
    return seconds
