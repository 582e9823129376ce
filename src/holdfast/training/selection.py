"""Which setting is best: of all folds, and for each fold without it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.config.learning import EstimatorConfig
from holdfast.evaluation.calibration import log_loss, logit_line
from holdfast.models.calibrate import Identity, Sigmoid
from holdfast.training.candidates import Candidate, EncodedFolds, cross_calibrated, out_of_fold
from holdfast.training.rows import FloatArray


@dataclass(frozen=True)
class Setting:
    """One of all that were tried on every fold.

    Attributes
    ----------
    losses : (folds,) log loss of each fold by itself, after the best line through its margins
    """

    name: str
    config: EstimatorConfig
    losses: tuple[float, ...]


def best(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate with the least out-of-fold log loss."""
    return min(candidates, key=Candidate.rank)


def best_without(settings: Sequence[Setting], sizes: Sequence[int]) -> list[Setting]:
    """For every fold, of so many rows, the setting with the least log loss on the others; the first of equals."""
    total = np.array([s.losses for s in settings]) * np.array(sizes)
    # without the fold, and not all less the fold: that would leave a rounding error of it
    return [settings[int(np.delete(total, k, axis=1).sum(axis=1).argmin())] for k in range(len(sizes))]


def chosen_without(
    folds: EncodedFolds, settings: Sequence[Setting], known: Sequence[Candidate], *, seed: int, threads: int
) -> FloatArray:
    """(m,) probabilities of all folds' rows, each fold's by the setting that was best on the other folds.

    The best setting of many is partly the luckiest: on the rows that chose it, it looks better than it is. Its
    calibrator too is fitted on the other folds, on the margins of that same setting.

    Parameters
    ----------
    known : candidates that need not be fitted again
    """
    found, p = list(known), np.zeros(sum(len(f.test) for f in folds.folds))
    for k, setting in enumerate(best_without(settings, [len(f.test) for f in folds.folds])):
        one = next((c for c in found if (c.name, c.config) == (setting.name, setting.config)), None)
        if one is None:
            one = out_of_fold(folds, setting.name, setting.config, seed=seed, threads=threads)
            found.append(one)
        at = one.fold == k
        p[at] = cross_calibrated(one, folds.rows.y[one.rows], folds.rows.customers[one.rows])[at]
    return p


def losses_of(folds: EncodedFolds, found: Candidate) -> tuple[float, ...]:
    """Of each fold alone; 0 where it predicts nothing."""
    parts = [(found.margin[at], folds.rows.y[found.rows[at]]) for at in (found.fold == k for k in range(len(folds)))]
    return tuple(best_line_loss(margin, y) if len(y) else 0.0 for margin, y in parts)


def best_line_loss(margin: FloatArray, y: FloatArray) -> float:
    """Log loss after the best line through the margins, so that weighing the classes does not look like an error.

    The base rate's where no rising line helps.
    """
    base = np.full(len(y), min(max(float(y.mean()), 1 / (len(y) + 2)), 1 - 1 / (len(y) + 2)))
    if y.min() == y.max():
        return log_loss(y, base)
    intercept, slope = logit_line(margin, y)
    if not (math.isfinite(intercept) and slope > 0):
        return min(log_loss(y, base), log_loss(y, Identity().probability(margin)))
    return log_loss(y, Sigmoid(intercept, slope).probability(margin))
