"""What the values of one feature do to the margin: dependence and beeswarm, binned so that nobody's row is in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from holdfast.artifacts.schema import FeatureSpec
from holdfast.evaluation.arrays import BoolArray, FloatArray

BINS = 20
LEVELS = 12
SWARM_BINS = 40
MIN_BAND_ROWS = 10  # fewer than this are too few to describe
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Band:
    """Rows with like values of one feature.

    Attributes
    ----------
    value : the median of a number, the level of a category, or None for unknown values
    n : rows
    low, median, high : the 10%, 50% and 90% quantiles of their contributions, in log-odds
    """

    value: float | str | None
    n: int
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Bead:
    """Rows with like contributions of one feature: a beeswarm without anybody's row in it.

    Attributes
    ----------
    contribution : the middle of the bin, in log-odds
    n : rows
    value_rank : their mean rank by value, 0 (lowest) to 1 (highest); None where none has an ordered value
    """

    contribution: float
    n: int
    value_rank: float | None


@dataclass(frozen=True)
class Effect:
    """What the values of one feature do.

    Attributes
    ----------
    feature, label, kind : see `holdfast.artifacts.schema.FeatureSpec`
    direction : Spearman's correlation of value and contribution, -1 to 1; None for a category or a constant
    dependence : by value, lowest first (levels: most frequent first), unknown last
    swarm : by contribution, lowest first
    """

    feature: str
    label: str
    kind: str
    direction: float | None
    dependence: tuple[Band, ...]
    swarm: tuple[Bead, ...]


def effect(feature: FeatureSpec, column: pa.ChunkedArray, contribution: FloatArray) -> Effect:
    """The effect of one feature.

    Parameters
    ----------
    column : (n,) values of the feature's own type
    contribution : (n,) log-odds
    """
    if feature.kind == "number":
        values = column.to_numpy().astype(np.float64)
        known = np.isfinite(values)
        rank = np.full(len(values), np.nan)
        rank[known] = _ranks(values[known])
        bands = _number_bands(values, rank, known, contribution)
        direction = _correlation(rank[known], _ranks(contribution[known]))
    else:
        levels = np.asarray(column.to_pylist(), dtype=object)
        known = np.array([level is not None for level in levels], dtype=np.bool_)
        rank = np.full(len(levels), np.nan)
        direction = None
        names, counts = np.unique(levels[known].astype(str), return_counts=True)
        ordered = sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
        found = [_band(name, contribution[levels == name]) for name, _ in ordered[:LEVELS]]
        bands = [band for band in found if band is not None]
    unknown = _band(None, contribution[~known])
    bands += [] if unknown is None else [unknown]
    return Effect(feature.name, feature.label, feature.kind, direction, tuple(bands), _swarm(contribution, rank))


def _number_bands(values: FloatArray, rank: FloatArray, known: BoolArray, contribution: FloatArray) -> list[Band]:
    """Bands of like many rows; equal values share a rank, so they are never in two bands."""
    bands: list[Band] = []
    bins = min(BINS, max(1, int(known.sum()) // MIN_BAND_ROWS))
    number = np.minimum(np.floor(rank * bins), bins - 1)
    for k in range(bins):
        mine = known & (number == k)
        band = _band(float(np.median(values[mine])) if mine.any() else None, contribution[mine])
        bands += [] if band is None else [band]
    return bands


def _band(value: float | str | None, contribution: FloatArray) -> Band | None:
    if len(contribution) < MIN_BAND_ROWS:
        return None
    low, median, high = (float(q) for q in np.quantile(contribution, QUANTILES))
    return Band(value, len(contribution), low, median, high)


def _swarm(contribution: FloatArray, rank: FloatArray) -> tuple[Bead, ...]:
    edges = np.linspace(contribution.min(), contribution.max(), SWARM_BINS + 1)
    number = np.clip(np.searchsorted(edges, contribution, side="right") - 1, 0, SWARM_BINS - 1)
    beads: list[Bead] = []
    for k in np.unique(number).tolist():
        mine = number == k
        ranks = rank[mine & np.isfinite(rank)]
        middle = float((edges[k] + edges[k + 1]) / 2)
        beads.append(Bead(middle, int(mine.sum()), float(ranks.mean()) if len(ranks) else None))
    return tuple(beads)


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks from 0 to 1; equal values share their mean rank."""
    if len(values) < 2:
        return np.zeros(len(values), dtype=np.float64)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    ranks: FloatArray = middle[inverse] / (len(values) - 1)
    return ranks


def _correlation(a: FloatArray, b: FloatArray) -> float | None:
    """Pearson's, of ranks; None where one of them does not vary."""
    if len(a) < 2:
        return None
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else None
