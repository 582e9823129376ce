"""Exact path-dependent TreeSHAP for many rows, by woodelf on trees read from the library's own model.

The values are those of Lundberg et al. 2020 (Nature Machine Intelligence 2:56-67), path-dependent; the
algorithm is Nadel and Wettenstein's WOODELF. woodelf's own reader of models is not used, for three reasons:

- it moves XGBoost thresholds down one float32 step, so a row whose value is exactly that step goes the wrong
  way. Here thresholds are compared in float32, as XGBoost does;
- it refuses categorical splits. Here a split may be a set of codes;
- it wants pandas. Here columns are plain NumPy.

This module is imported when a batch is first explained: a server that answers single rows never loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import treelite
from numpy.typing import NDArray
from woodelf.core.cube_metric import ShapleyValues
from woodelf.core.trees.decision_trees_ensemble import DecisionTreeNode, DecisionTreesEnsemble
from woodelf.woodelf_sparse import hybrid_woodelf

from holdfast.evaluation.arrays import BoolArray, FloatArray
from holdfast.models.estimator import Matrix

LESS, LESS_OR_EQUAL = 2, 3  # treelite's Operator: XGBoost splits on <, LightGBM on <=
CHUNK_ROWS = 200_000  # bounds memory: patterns and sums of one chunk are alive at a time


class _Column(np.ndarray[Any, Any]):
    """A column or a condition, as woodelf asks for it: it calls ``to_numpy`` on what a split returns."""

    def to_numpy(self) -> NDArray[Any]:
        return self.view(np.ndarray)


def _column(values: NDArray[Any]) -> _Column:
    return np.asarray(values).view(_Column)


class _Columns:
    """The few words of a data frame that woodelf uses, over a matrix."""

    def __init__(self, x: Matrix) -> None:
        self._columns = [_column(np.ascontiguousarray(x[:, j])) for j in range(x.shape[1])]
        self._n = len(x)

    @property
    def columns(self) -> range:
        return range(len(self._columns))

    @property
    def index(self) -> range:
        return range(self._n)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, j: int) -> _Column:
        return self._columns[j]


class _Split(DecisionTreeNode):  # type: ignore[misc]  # woodelf has no types
    """A node that sends rows left as the library does: float32 comparison, or membership of a set of codes."""

    less_or_equal = False
    goes_left: BoolArray | None = None  # by category code; the last entry stands for all codes from there on

    def shall_go_left(self, row: _Columns, GPU: bool = False) -> _Column:
        values = row[self.feature_name]
        left: Any
        if self.goes_left is not None:
            missing = np.isnan(values)
            code = np.where(missing, 0, values).astype(np.int64).clip(0, len(self.goes_left) - 1)
            return _column(np.where(missing, self.nan_go_left, self.goes_left[code]))
        threshold = np.float32(self.value)
        if self.nan_go_left:
            left = ~(values > threshold) if self.less_or_equal else ~(values >= threshold)
        else:
            left = values <= threshold if self.less_or_equal else values < threshold
        return _column(left)


class Forest:
    """A treelite model as woodelf's trees; built once per fitted model."""

    def __init__(self, model: treelite.Model) -> None:
        trees = [_tree(model.get_tree_accessor(i)) for i in range(model.num_tree)]
        # a tree that is one leaf moves the base only
        self._trees = [t for t in trees if not t.is_leaf()]

    def contributions(self, x: Matrix) -> FloatArray:
        """(n, f) contributions, without the base."""
        out = np.zeros(x.shape, dtype=np.float64)
        if not self._trees:
            return out
        ensemble = DecisionTreesEnsemble(self._trees)
        for start in range(0, len(x), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            values = hybrid_woodelf(
                ensemble,
                _Columns(x[part]),
                None,
                ShapleyValues(),
                model_was_loaded=True,
                verbose=False,  # it prints otherwise
            )
            for feature, value in values.items():
                out[part, feature] = value
        return out


def _tree(tree: Any) -> _Split:
    def read(name: str) -> NDArray[Any]:
        return np.asarray(tree.get_field(name)).ravel()

    left, right = read("cleft").astype(int), read("cright").astype(int)
    feature, default_left, operator = read("split_index"), read("default_left"), read("cmp")
    threshold, leaf = read("threshold"), read("leaf_value")
    codes, begin, end = read("category_list"), read("category_list_begin"), read("category_list_end")
    right_child = read("category_list_right_child")
    cover = next(c for c in (read("sum_hess"), read("data_count")) if len(c) == len(left)).astype(float)

    nodes: list[_Split] = []
    for i in range(len(left)):
        inner = left[i] >= 0
        node = _Split(
            feature_name=int(feature[i]) if inner else None,
            value=float(threshold[i]) if inner else float(leaf[i]),
            right=None,
            left=None,
            nan_go_left=bool(default_left[i]),
            index=i,
            cover=float(cover[i]),
        )
        if inner and operator[i] == LESS_OR_EQUAL:
            node.less_or_equal = True
            node.value = float(_floor_float32(float(threshold[i])))
        elif inner and operator[i] != LESS:
            node.goes_left = _left_codes(codes[begin[i] : end[i]], listed_go_right=bool(right_child[i]))
        nodes.append(node)
    for i, node in enumerate(nodes):
        if left[i] >= 0:
            node.left, node.right = nodes[left[i]], nodes[right[i]]
            node.left.parent = node.right.parent = node
    root = nodes[0]
    root.depth = root.get_depth()
    return root


def _floor_float32(threshold: float) -> np.float32:
    """The largest float32 at or below ``threshold``: for a float32 x, ``x <= threshold`` iff ``x <= floor``."""
    near = np.float32(threshold)
    return near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf))


def _left_codes(listed: Sequence[int] | NDArray[Any], *, listed_go_right: bool) -> BoolArray:
    # XGBoost lists the codes that go right, and sends a code it never saw left; LightGBM the other way round
    size = 1 + max((int(c) for c in listed), default=0)
    table = np.zeros(size + 1, dtype=np.bool_)
    table[np.asarray(listed, dtype=np.int64)] = True
    return ~table if listed_go_right else table
