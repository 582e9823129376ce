"""One row at a time: margin and exact contributions from trees laid flat, in a tenth of a millisecond.

A library's call for one row is mostly preparation, and the making of contributions walks every path of every tree. Here
all splits of all trees answer at once, the leaves reached are added in the library's own order and precision, and the
contributions are looked up in the tables of `holdfast.models.forest`.

A margin must be the library's to the last bit, since a row alone and a row among many have one probability. So probe
rows are computed both ways before a model is used here, and one that differs anywhere is not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import treelite
from numpy.typing import NDArray

from holdfast.evaluation.arrays import BoolArray, FloatArray
from holdfast.models.estimator import Matrix
from holdfast.models.forest import BITS, Block, Fork, Split, TooDeep, Tree, trees_of
from holdfast.models.tree_shap import TOLERANCE, TreeModel

logger = logging.getLogger(__name__)

PROBES = 64
SEED = 0


def one_row_of(model: TreeModel) -> OneRow | None:
    """The trees of a model laid flat; None where they are too deep, cannot be read, or do not answer as the library
    does."""
    try:
        found = OneRow(model.trees(), model.n_features, model.start())
    except TooDeep:
        return None
    except Exception as error:  # of treelite, say, about a later library's format: slower is better than not at all
        logger.warning("single rows are left to the library: its trees cannot be laid flat: %s", error)
        return None
    x = found.probes()
    native = model.native_contributions(x)
    found.base = float(native[0, -1])
    margins = np.concatenate([found.margin(row) for row in x[:, None]])
    parts = np.concatenate([found.contributions(row) for row in x[:, None]])
    if not np.array_equal(margins, model.margin(x)) or not np.abs(parts - native).max() <= TOLERANCE:
        logger.warning("single rows are left to the library: trees laid flat answer otherwise than it does")
        return None
    return found


class OneRow:
    """The trees of one model. Only ever read, so threads may share it.

    Parameters
    ----------
    model : what treelite read
    n_features : columns of a row
    start : what leaves are added to, tree by tree, in the precision in which the library adds them

    Attributes
    ----------
    base : from which contributions start; set by `one_row_of`, as the library says it

    Raises
    ------
    TooDeep
        A tree is deeper than `holdfast.models.forest.BITS`.
    """

    base = 0.0

    def __init__(self, model: treelite.Model, n_features: int, start: np.float32 | np.float64) -> None:
        self._n_features = n_features
        trees = trees_of(model)
        self._start = start
        self._lay_nodes(trees)
        self._lay_tables(trees)
        self._last: tuple[bytes, tuple[float, BoolArray]] | None = None

    def _lay_nodes(self, trees: list[Tree]) -> None:
        """Splits first, then leaves, which are their own children."""
        splits = [split for tree in trees for split in tree.splits.values()]
        n_leaves = sum(int((tree.left < 0).sum()) for tree in trees)
        self._splits = splits
        self._feature = np.array([s.feature for s in splits], dtype=np.intp)
        # for a float32 x, x <= t iff x < the next float32
        self._below = np.array(
            [np.nextafter(s.threshold, np.float32(np.inf)) if s.less_or_equal else s.threshold for s in splits],
            dtype=np.float32,
        )
        self._missing_left = np.array([s.missing_left for s in splits], dtype=np.bool_)
        coded = [i for i, s in enumerate(splits) if s.codes_left is not None]
        self._coded = np.array(coded, dtype=np.intp)
        self._codes_left = _padded([splits[i] for i in coded])
        self._value = np.zeros(len(splits) + n_leaves, dtype=self._start.dtype)
        self._children = np.repeat(np.arange(len(self._value), dtype=np.intp), 2)
        self._roots = np.empty(len(trees), dtype=np.intp)
        at_split, at_leaf = 0, len(splits)
        for t, tree in enumerate(trees):
            place = np.empty(len(tree.left), dtype=np.intp)
            inner = list(tree.splits)
            leaves = np.flatnonzero(tree.left < 0)
            place[inner] = np.arange(at_split, at_split + len(inner))
            place[leaves] = np.arange(at_leaf, at_leaf + len(leaves))
            at_split, at_leaf = at_split + len(inner), at_leaf + len(leaves)
            self._children[2 * place[inner]] = place[tree.right[inner]]
            self._children[2 * place[inner] + 1] = place[tree.left[inner]]
            self._value[place[leaves]] = tree.leaf[leaves]
            self._roots[t] = place[0]
        self._depth = max((tree.depth() for tree in trees), default=0)

    def _lay_tables(self, trees: list[Tree]) -> None:
        """Every block's contributions one after the other: a line for each pattern, all as wide as the widest."""
        place = {id(split): i for i, split in enumerate(self._splits)}
        # trees that are one leaf move the base only
        blocks = [found for tree in trees if tree.left[0] >= 0 for found in _blocks(tree.compiled(), ())]
        width = max((len(block.tables) for _, block in blocks), default=0)
        lines = [2 ** len(splits) for splits, _ in blocks]
        # packed to a byte, the last answer is the lowest bit; what is before the first is always 0
        order = np.full((len(blocks), BITS), len(self._value), dtype=np.intp)
        feature = np.full((len(blocks), width), self._n_features, dtype=np.intp)  # beyond the last: nobody's
        self._tables = np.zeros((sum(lines), width), dtype=np.float64)
        self._first_line = np.cumsum([0, *lines], dtype=np.intp)[:-1]
        for b, (splits, block) in enumerate(blocks):
            order[b, BITS - len(splits) :] = [place[id(split)] for split in splits]
            feature[b, : len(block.tables)] = [j for j, _ in block.tables]
            for k, (_, values) in enumerate(block.tables):
                self._tables[self._first_line[b] :][: lines[b], k] = values
        self._order, self._feature_of = order.ravel(), feature.ravel()

    def margin(self, x: Matrix) -> FloatArray:
        """(1,) of (1, f): the library's own, bit for bit."""
        return np.array([self._read(x.tobytes())[0]], dtype=np.float64)

    def contributions(self, x: Matrix) -> FloatArray:
        """(1, f + 1) of (1, f), the base last."""
        _, went_left = self._read(x.tobytes())
        # eight to a block; `packbits` along an axis takes many times as long
        pattern = np.packbits(went_left.take(self._order))
        found = self._tables.take(self._first_line + pattern, axis=0).ravel()
        out = np.empty((1, self._n_features + 1), dtype=np.float64)
        out[0, :-1] = np.bincount(self._feature_of, found, minlength=self._n_features + 1)[:-1]
        out[0, -1] = self.base
        return out

    def _read(self, row: bytes) -> tuple[float, BoolArray]:
        """The margin of a row's bytes, and its answers: who explains a row asks for its margin too."""
        last = self._last
        if last is not None and last[0] == row:
            return last[1]
        found = self._read_bytes(row)
        self._last = row, found
        return found

    def _read_bytes(self, row: bytes) -> tuple[float, BoolArray]:
        went_left = self._answers(np.frombuffer(row, dtype=np.float32))
        node = self._roots
        for _ in range(self._depth):
            node = self._children.take(2 * node + went_left.take(node))
        terms = np.empty(len(node) + 1, dtype=self._value.dtype)
        terms[0] = self._start
        self._value.take(node, out=terms[1:])
        # a running sum adds one by one, as the library does; NumPy's sum adds halves
        return float(np.add.accumulate(terms)[-1]), went_left

    def _answers(self, row: NDArray[np.float32]) -> BoolArray:
        """Whether the row goes left at each node; False at leaves and in one more place, for `_order`."""
        out = np.zeros(len(self._value) + 1, dtype=np.bool_)
        mine = out[: len(self._feature)]
        values = row.take(self._feature)
        np.less(values, self._below, out=mine)  # False for NaN
        missing = np.isnan(row)
        if missing.any():
            mine |= missing.take(self._feature) & self._missing_left
        if len(self._coded):
            codes, last = values[self._coded], self._codes_left.shape[1] - 1
            at = np.where(np.isnan(codes), last, np.minimum(codes, last - 1)).astype(np.intp)
            mine[self._coded] = self._codes_left[np.arange(len(at)), at]
        return out

    def probes(self) -> Matrix:
        """(PROBES, f) rows around the trees' thresholds: at one, just below it, or unknown, in every column."""
        rng = np.random.default_rng(SEED)
        x = rng.normal(size=(PROBES, self._n_features)).astype(np.float32)
        for feature in range(self._n_features):
            mine = [s for s in self._splits if s.feature == feature]
            if any(s.codes_left is not None for s in mine):
                x[:, feature] = rng.integers(0, self._codes_left.shape[1], PROBES)
            elif mine:
                edges = np.array([s.threshold for s in mine], dtype=np.float32)
                below = np.nextafter(edges, np.float32(-np.inf))
                x[:, feature] = rng.choice(np.concatenate([edges, below]), PROBES)
        x[rng.random(x.shape) < 0.1] = np.nan
        return x


def _blocks(node: Fork | Block, above: tuple[Split, ...]) -> Iterator[tuple[tuple[Split, ...], Block]]:
    """The blocks below a node, each with its splits in the order of its pattern's bits."""
    if isinstance(node, Block):
        yield (*above, *node.splits), node
        return
    for child in node.below:
        yield from _blocks(child, (*above, node.split))


def _padded(splits: list[Split]) -> BoolArray:
    """(k, w + 1) of k splits on codes: which codes go left, larger ones as w - 1, and last what is unknown."""
    found = [s.codes_left for s in splits if s.codes_left is not None]
    width = max(map(len, found), default=0)
    out = np.empty((len(found), width + 1), dtype=np.bool_)
    for row, split, codes in zip(out, splits, found, strict=True):
        row[: len(codes)], row[len(codes) : -1], row[-1] = codes, codes[-1], split.missing_left
    return out
