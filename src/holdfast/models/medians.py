"""Medians of a matrix's columns, in the place of nulls that are too few to learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.models.estimator import Matrix

CACHED_ROWS = 2_048
"""A matrix's rows at a time: what is made of them stays in the processor's cache, and takes no fresh memory."""
COLUMNS_AT_A_TIME = 8


def fill_in(x: Matrix, columns: Sequence[int], min_count: int) -> list[float | None]:
    """Put the lower median of what is known in the place of NaN, where there are fewer than ``min_count`` of them.

    Returns
    -------
    By column the median; None where there are more NaN, or nothing else.
    """
    missing = np.zeros(x.shape[1], dtype=np.int64)
    for start in range(0, len(x), CACHED_ROWS):
        missing += np.isnan(x[start : start + CACHED_ROWS]).sum(axis=0)
    few = [k for k in columns if missing[k] < min(min_count, len(x))]
    medians: dict[int, float] = {}
    room = np.empty((min(len(few), COLUMNS_AT_A_TIME), len(x)), dtype=np.float32)
    for first in range(0, len(few), COLUMNS_AT_A_TIME):
        some = few[first : first + COLUMNS_AT_A_TIME]
        for start in range(0, len(x), CACHED_ROWS):
            room[: len(some), start : start + CACHED_ROWS] = x[start : start + CACHED_ROWS, some].T
        for k, column in zip(some, room, strict=False):
            empty = np.flatnonzero(np.isnan(column)) if missing[k] else ()
            middle = (len(x) - missing[k] - 1) // 2
            column.partition(middle)  # NaN are last
            medians[k] = float(column[middle])
            if missing[k]:
                x[empty, k] = column[middle]
    return [medians.get(k) for k in columns]
