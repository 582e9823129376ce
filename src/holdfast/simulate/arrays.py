"""Names for the arrays of the simulator, its nulls, and small drawing helpers.

Instants are whole seconds since 1970 in int64. Codes point into a vocabulary. A null is ``NULL`` in an integer
array (times and counts), ``NO_CODE`` among codes and NaN among measures, until Arrow takes over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Columns = dict[str, NDArray[Any]]

NULL = int(np.iinfo(np.int64).min)
NO_CODE = -1
DAY = 86_400
NEVER = int(np.iinfo(np.int64).max)


def pick(uniform: Floats, shares: Floats) -> Ints:
    """Codes drawn with ``shares`` from uniform draws: the same draw gives a near code under near shares.

    >>> pick(np.array([0.1, 0.6, 0.99]), np.array([0.5, 0.25, 0.25])).tolist()
    [0, 1, 2]
    """
    edges = np.cumsum(shares)[:-1]
    return np.searchsorted(edges, uniform, side="right").astype(np.int64)


def whole(values: Floats) -> Ints:
    """Values cut down to whole numbers."""
    return np.floor(values).astype(np.int64)


def fixed(values: Floats, decimals: int) -> Floats:
    """Values at a decimal scale, each the double nearest to that decimal.

    >>> fixed(np.array([1.005001, 2.0]), 2).tolist()
    [1.01, 2.0]
    """
    scale = float(10**decimals)
    rounded: Floats = np.rint(values * scale) / scale
    return rounded


def logistic(values: Floats) -> Floats:
    result: Floats = 1.0 / (1.0 + np.exp(-values))
    return result


class Rows:
    """The rows of one table, gathered month by month as blocks of columns."""

    def __init__(self) -> None:
        self._blocks: list[Columns] = []

    def add(self, **columns: NDArray[Any]) -> None:
        self._blocks.append(columns)

    def columns(self) -> Columns:
        names = self._blocks[0]
        return {name: np.concatenate([block[name] for block in self._blocks]) for name in names}
