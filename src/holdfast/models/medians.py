"""Medians of a matrix's columns, in the place of nulls that are too few to learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.models.estimator import Matrix

BLOCK_ROWS = 65_536
CACHED_ROWS, COLUMNS_AT_A_TIME = 2_048, 8


def fill_in(x: Matrix, columns: Sequence[int], min_count: int) -> list[float | None]:
    """Put the lower median of what is known in the place of NaN, where there are fewer than ``min_count`` of them.

    Returns
    -------
    By column the median; None where there are more NaN, or nothing else.
    """
    missing = np.zeros(x.shape[1], dtype=np.int64)
    for start in range(0, len(x), BLOCK_ROWS):
        missing += np.isnan(x[start : start + BLOCK_ROWS]).sum(axis=0)
    few = [k for k in columns if missing[k] < min(min_count, len(x))]
    medians: dict[int, float] = {}
    for first in range(0, len(few), COLUMNS_AT_A_TIME):
        some = few[first : first + COLUMNS_AT_A_TIME]
        for k, column in zip(some, _columns_of(x, some), strict=True):
            known = column[~np.isnan(column)] if missing[k] else column
            middle = (len(known) - 1) // 2
            known.partition(middle)
            medians[k] = float(known[middle])
            if missing[k]:
                x[np.isnan(x[:, k]), k] = known[middle]
    return [medians.get(k) for k in columns]


def _columns_of(x: Matrix, columns: Sequence[int]) -> Matrix:
    """(k, n) some columns; block by block, which the processor's cache makes several times faster."""
    out = np.empty((len(columns), len(x)), dtype=np.float32)
    for start in range(0, len(x), CACHED_ROWS):
        out[:, start : start + CACHED_ROWS] = x[start : start + CACHED_ROWS, columns].T
    return out
