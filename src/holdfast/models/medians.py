"""Medians of a matrix's columns, in the place of nulls that are too few to learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.models.blocks import CACHED_ROWS, COLUMNS_AT_A_TIME, copy_columns, room_for
from holdfast.models.estimator import Matrix


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
    room = room_for(x, len(few))
    for first in range(0, len(few), COLUMNS_AT_A_TIME):
        some = few[first : first + COLUMNS_AT_A_TIME]
        for k, column in zip(some, copy_columns(x, some, room), strict=True):
            empty = np.flatnonzero(np.isnan(column)) if missing[k] else ()
            middle = (len(x) - missing[k] - 1) // 2
            column.partition(middle)  # NaN are last
            medians[k] = float(column[middle])
            if missing[k]:
                x[empty, k] = column[middle]
    return [medians.get(k) for k in columns]
