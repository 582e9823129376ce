"""Tree contributions by the faster exact way: the library's own for few rows or deep trees, `forest` for many rows,
`one_row` for one where a server has prepared it.

Probe rows of many are computed both ways on every call, and what does not agree is left to the library itself.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import numpy as np

from holdfast.evaluation.arrays import FloatArray
from holdfast.models.estimator import Matrix

if TYPE_CHECKING:
    import treelite

    from holdfast.models.forest import Forest
    from holdfast.models.one_row import OneRow

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4  # how far a row's contributions may sum from its margin, in log-odds
PROBES = 16


class TreeModel(Protocol):
    """What this module needs of a fitted tree model."""

    native_rows: int  # up to this many rows the library's own TreeSHAP is faster
    one_row: OneRow | None  # once prepared, if the trees are not too deep

    @property
    def n_features(self) -> int: ...
    def margin(self, x: Matrix) -> FloatArray: ...
    def native_contributions(self, x: Matrix) -> FloatArray: ...
    def forest(self) -> Forest:
        """`holdfast.models.forest.TooDeep` if it cannot be tabulated."""

    def trees(self) -> treelite.Model: ...
    def start(self) -> np.float32 | np.float64:
        """What the leaves of a row are added to, tree by tree, in the precision in which the library adds them."""


def contributions(model: TreeModel, x: Matrix) -> FloatArray:
    """(n, f + 1) exact contributions by the faster way, the base last.

    `PROBES` rows spread over ``x`` are computed both ways: should any differ by more than `TOLERANCE`, as
    after a library changed its file format, all rows are left to the library. So are single rows whose
    contributions miss their margin by more than that.
    """
    if len(x) == 1 and model.one_row is not None:
        found = model.one_row.contributions(x)
        return found if abs(found.sum() - model.margin(x)[0]) <= TOLERANCE else model.native_contributions(x)
    if len(x) <= model.native_rows:
        return model.native_contributions(x)
    from holdfast.models.forest import TooDeep  # here: most commands explain no batch

    try:
        forest = model.forest()
    except TooDeep:
        return model.native_contributions(x)
    probes = np.linspace(0, len(x) - 1, PROBES).astype(np.int64)
    native = model.native_contributions(np.ascontiguousarray(x[probes]))
    out = np.empty((len(x), model.n_features + 1), dtype=np.float64)
    out[:, :-1] = forest.contributions(x)
    out[:, -1] = native[0, -1]
    if not np.abs(out[probes] - native).max() <= TOLERANCE:
        logger.warning("fast TreeSHAP differs from the library's own; using the library's for %d rows", len(x))
        return model.native_contributions(x)
    wrong = np.flatnonzero(~(np.abs(out.sum(axis=1) - model.margin(x)) <= TOLERANCE))
    if len(wrong):
        out[wrong] = model.native_contributions(np.ascontiguousarray(x[wrong]))
    return out
