"""A matrix by blocks of rows that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.models.estimator import Matrix

CACHED_ROWS = 2_048
"""Rows at a time: what is made of them takes no fresh memory."""
COLUMNS_AT_A_TIME = 8


def room_for(x: Matrix, columns: int) -> Matrix:
    """(k, n) not filled: for :func:`copy_columns`, of at most ``COLUMNS_AT_A_TIME`` and ``columns`` columns."""
    return np.empty((min(columns, COLUMNS_AT_A_TIME), len(x)), dtype=np.float32)


def copy_columns(x: Matrix, columns: Sequence[int], room: Matrix) -> Matrix:
    """(len(columns), n) some columns, as the first rows of ``room``; they are the caller's to change."""
    for start in range(0, len(x), CACHED_ROWS):
        room[: len(columns), start : start + CACHED_ROWS] = x[start : start + CACHED_ROWS, columns].T
    return room[: len(columns)]
