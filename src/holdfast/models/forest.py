"""Exact path-dependent TreeSHAP for many rows, on trees read from the library's own model.

The values are those of Lundberg et al. 2020 (Nature Machine Intelligence 2:56-67), path-dependent. As in Nadel and
Wettenstein's WOODELF, a row matters to a tree only by the pattern of its answers to the splits: contributions are
tabulated by pattern once per model, and explaining is comparing, looking up and adding. Here a table is that of a
block: some splits at the bottom of a tree with all above them, at most `BITS`, and the sum of all its leaves.

In a block's leaf of value w, feature j holds a share r_j of the training rows along the path and lets this row pass or
not, o_j in {0, 1}. The Shapley value of the product game is the integral (Owen's multilinear extension)

    phi_j = w (o_j - r_j) * integral over q in [0, 1] of the product over i != j of (q o_i + (1 - q) r_i),

a polynomial in q, for which Gauss and Legendre's quadrature is exact.

A single row is answered by `holdfast.models.one_row`, from the same tables. Both are imported where they are first
needed: most commands explain nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import treelite
from numpy.typing import NDArray

from holdfast.evaluation.arrays import BoolArray, FloatArray, IntArray
from holdfast.models.estimator import Matrix

LESS, LESS_OR_EQUAL = 2, 3  # treelite's Operator: XGBoost splits on <, LightGBM on <=
BITS = 8  # a pattern is a byte; tables of 300 trees of depth 6 then take some 35 MB
CHUNK_ROWS = 16_384  # what is alive at a time stays in the cache
LIGHTGBM_ZERO = np.float32(1e-35)  # LightGBM reads what is no larger as 0, and splits there; 0 is not <= -1e-35
LEAST_SHARE = 1e-100  # of a child without training rows: products must not be divided by 0


class TooDeep(Exception):
    """A tree is deeper than `BITS`: its patterns would not fit a table."""


@dataclass(frozen=True)
class Split:
    """A split that sends rows left as the library does: float32 comparison, or membership of a set of codes."""

    feature: int
    threshold: np.float32
    less_or_equal: bool
    missing_left: bool
    codes_left: BoolArray | None  # by category code; the last entry stands for all codes from there on

    def left(self, values: Matrix) -> NDArray[np.uint8]:
        """1 where a row goes left."""
        if self.codes_left is not None:
            missing = np.isnan(values)
            code = np.where(missing, 0, values).astype(np.int64).clip(0, len(self.codes_left) - 1)
            return np.where(missing, self.missing_left, self.codes_left[code]).view(np.uint8)
        if self.missing_left:
            right = values > self.threshold if self.less_or_equal else values >= self.threshold
            return np.logical_not(right, out=right).view(np.uint8)
        left = values <= self.threshold if self.less_or_equal else values < self.threshold
        return left.view(np.uint8)


@dataclass(frozen=True)
class Block:
    """The leaves below some splits.

    Attributes
    ----------
    splits : their answers are the pattern's last bits; those of the splits above come first
    tables : by feature, (2 ** bits,) contributions by pattern
    """

    splits: tuple[Split, ...]
    tables: tuple[tuple[int, FloatArray], ...]


@dataclass(frozen=True)
class Fork:
    """A split too high up for a block, and what is below it."""

    split: Split
    below: tuple[Fork | Block, Fork | Block]


def trees_of(model: treelite.Model) -> list[Tree]:
    """Its trees; `TooDeep` if one is deeper than `BITS`."""
    trees = [Tree(model.get_tree_accessor(i)) for i in range(model.num_tree)]
    if any(tree.depth() > BITS for tree in trees):
        raise TooDeep
    return trees


class Forest:
    """A treelite model as blocks; built once per fitted model.

    Raises
    ------
    TooDeep
        A tree is deeper than `BITS`.
    """

    def __init__(self, model: treelite.Model) -> None:
        # a tree that is one leaf moves the base only
        self._trees = [tree.compiled() for tree in trees_of(model) if tree.left[0] >= 0]

    def contributions(self, x: Matrix) -> FloatArray:
        """(n, f) contributions, without the base. A row's do not depend on the others, nor on the threads."""
        out = np.zeros(x.shape, dtype=np.float64)
        starts = range(0, len(x), CHUNK_ROWS)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start, found in zip(
                starts, pool.map(lambda s: self._chunk(x[s : s + CHUNK_ROWS]), starts), strict=True
            ):
                out[start : start + CHUNK_ROWS] = found.T
        return out

    def _chunk(self, x: Matrix) -> FloatArray:
        columns = np.ascontiguousarray(x.T)
        sums = np.zeros(columns.shape, dtype=np.float64)
        found = np.empty(len(x), dtype=np.float64)
        index = np.empty(len(x), dtype=np.intp)

        def add(node: Fork | Block, pattern: NDArray[np.uint8]) -> None:
            if isinstance(node, Fork):
                pattern = _with(pattern, node.split, columns)
                for child in node.below:
                    add(child, pattern)
                return
            for split in node.splits:
                pattern = _with(pattern, split, columns)
            np.copyto(index, pattern)
            for feature, table in node.tables:
                # no index is out of bounds; "clip" only says not to buffer
                np.take(table, index, out=found, mode="clip")
                sums[feature] += found

        for tree in self._trees:
            add(tree, np.zeros(len(x), dtype=np.uint8))
        return sums


def _with(pattern: NDArray[np.uint8], split: Split, columns: Matrix) -> NDArray[np.uint8]:
    """A pattern with the answers to one more split as its last bit."""
    longer: NDArray[np.uint8] = np.left_shift(pattern, np.uint8(1))
    longer |= split.left(columns[split.feature])
    return longer


class Tree:
    """One tree as arrays, by node."""

    def __init__(self, tree: Any) -> None:
        def read(name: str) -> NDArray[Any]:
            return np.asarray(tree.get_field(name)).ravel()

        self.left, self.right = read("cleft").astype(int), read("cright").astype(int)
        self.feature, self.leaf = read("split_index").astype(int), read("leaf_value").astype(float)
        n = len(self.left)
        self.cover = next(c for c in (read("sum_hess"), read("data_count")) if len(c) == n).astype(float)
        default_left, operator, threshold = read("default_left"), read("cmp"), read("threshold")
        codes, begin, end = read("category_list"), read("category_list_begin"), read("category_list_end")
        right_child = read("category_list_right_child")
        self.splits: dict[int, Split] = {}
        for i in np.flatnonzero(self.left >= 0).tolist():
            known = operator[i] in (LESS, LESS_OR_EQUAL)
            at = _floor_float32(float(threshold[i]))
            self.splits[i] = Split(
                feature=int(self.feature[i]),
                threshold=at,
                less_or_equal=bool(operator[i] == LESS_OR_EQUAL and at != -LIGHTGBM_ZERO),
                missing_left=bool(default_left[i]),
                codes_left=None
                if known
                else _left_codes(codes[begin[i] : end[i]], listed_go_right=bool(right_child[i])),
            )

    def depth(self, node: int = 0) -> int:
        """Most splits on a path."""
        return 0 if self.left[node] < 0 else 1 + max(self.depth(self.left[node]), self.depth(self.right[node]))

    def compiled(self, node: int = 0, above: tuple[tuple[int, bool], ...] = ()) -> Fork | Block:
        """The blocks below a node, given the splits above it and the ways taken there."""
        inner = self._inner(node)
        if len(above) + len(inner) <= BITS:
            return self._block(node, above, inner)
        return Fork(
            self.splits[node],
            (
                self.compiled(self.left[node], (*above, (node, True))),
                self.compiled(self.right[node], (*above, (node, False))),
            ),
        )

    def _inner(self, node: int) -> list[int]:
        if self.left[node] < 0:
            return []
        return [node, *self._inner(self.left[node]), *self._inner(self.right[node])]

    def _block(self, node: int, above: tuple[tuple[int, bool], ...], inner: list[int]) -> Block:
        order = [*(split for split, _ in above), *inner]
        patterns = np.arange(2 ** len(order))
        goes_left = {split: (patterns >> (len(order) - 1 - k)) & 1 == 1 for k, split in enumerate(order)}
        features = sorted({int(self.feature[split]) for split in order})
        table = {feature: np.zeros(len(patterns)) for feature in features}
        for leaf, path in self._leaves(node, above):
            used = list(dict.fromkeys(int(self.feature[split]) for split, _ in path))
            passes = np.ones((len(used), len(patterns)), dtype=np.bool_)
            share = np.ones((len(used), 1))
            children = [*(split for split, _ in path[1:]), leaf]
            for (split, left), child in zip(path, children, strict=True):
                j = used.index(int(self.feature[split]))
                passes[j] &= goes_left[split] == left
                share[j] *= self.cover[child] / self.cover[split]
            values = _product_game(passes.astype(float), np.maximum(share, LEAST_SHARE))
            for j, feature in enumerate(used):
                table[feature] += self.leaf[leaf] * values[j]
        return Block(tuple(self.splits[i] for i in inner), tuple(table.items()))

    def _leaves(self, node: int, path: tuple[tuple[int, bool], ...]) -> list[tuple[int, tuple[tuple[int, bool], ...]]]:
        if self.left[node] < 0:
            return [(node, path)]
        return [
            *self._leaves(self.left[node], (*path, (node, True))),
            *self._leaves(self.right[node], (*path, (node, False))),
        ]


def _product_game(passes: FloatArray, share: FloatArray) -> FloatArray:
    """Shapley values of the game of one leaf, (u, patterns), from (u, patterns) o and (u, 1) r."""
    points, weights = _quadrature(len(passes))
    q = points[:, None, None]
    factors = q * passes + (1 - q) * share
    others = factors.prod(axis=1, keepdims=True) / factors
    values: FloatArray = (weights[:, None, None] * others).sum(axis=0) * (passes - share)
    return values


@cache
def _quadrature(n: int) -> tuple[FloatArray, FloatArray]:
    """Points and weights on [0, 1] that integrate polynomials of degree n - 1 exactly."""
    points, weights = np.polynomial.legendre.leggauss((n + 1) // 2)
    return (points + 1) / 2, weights / 2


def _floor_float32(threshold: float) -> np.float32:
    """The largest float32 at or below ``threshold``: for a float32 x, ``x <= threshold`` iff ``x <= floor``."""
    near = np.float32(threshold)
    return near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf))


def _left_codes(listed: Sequence[int] | IntArray, *, listed_go_right: bool) -> BoolArray:
    # XGBoost lists the codes that go right, and sends a code it never saw left; LightGBM the other way round
    size = 1 + max((int(c) for c in listed), default=0)
    table = np.zeros(size + 1, dtype=np.bool_)
    table[np.asarray(listed, dtype=np.int64)] = True
    return ~table if listed_go_right else table
