"""Redraws of who was a customer and who left, from hazards that are known; and how often intervals cover the truth."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from holdfast.evaluation.campaign import Campaign
from holdfast.evaluation.intervals import evaluate
from holdfast.evaluation.weighting import METRICS, Presort

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SHOWN = ("roc_auc", "average_precision", "log_loss", "profit")


@dataclass(frozen=True)
class Paths:
    """What N customers' snapshots would be at T successive cutoffs if none of them left.

    Attributes
    ----------
    p : (N, T) the model's probabilities; NaN where the customer had not come yet
    hazard : (N, T) true probabilities of leaving before the next cutoff
    campaign : of the N * T snapshots, customer by customer
    """

    p: FloatArray
    hazard: FloatArray
    campaign: Campaign

    def truth(self, metrics: Sequence[str] = SHOWN) -> dict[str, float]:
        """Each metric's value over infinitely many customers drawn from these, with labels drawn from the hazards.

        A snapshot exists with the probability that its customer has stayed so far. It counts as a churner with that
        times its hazard, and as a stayer with the rest.
        """
        there = np.isfinite(self.p)
        stayed = np.cumprod(np.where(there, 1 - self.hazard, 1.0), axis=1)
        reached = np.concatenate([np.ones((len(stayed), 1)), stayed[:, :-1]], axis=1)[there]
        leaves = reached * self.hazard[there]
        rows = np.flatnonzero(there.ravel())
        presort = Presort(
            np.repeat([1.0, 0.0], len(rows)), np.tile(self.p[there], 2), self.campaign.take(np.tile(rows, 2))
        )
        weighting = presort.weigh(np.concatenate([leaves, reached - leaves]))
        return {name: METRICS[name](weighting) for name in metrics}

    def redraw(self, n: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray, IntArray]:
        """Draw n customers with replacement and let each live: nobody is seen again after leaving.

        Returns
        -------
        rows, y, customers : the snapshots among the N * T, their labels, and which of the n drawn they belong to
        """
        who = rng.integers(0, len(self.p), size=n)
        there = np.isfinite(self.p[who])
        leaves = there & (rng.random(there.shape) < self.hazard[who])
        gone = np.cumsum(leaves, axis=1) - leaves > 0
        seen = there & ~gone
        rows = who[:, None] * there.shape[1] + np.arange(there.shape[1])
        customers = np.broadcast_to(np.arange(n)[:, None], there.shape)
        return rows[seen], leaves[seen].astype(np.float64), customers[seen]


def intervals(
    paths: Paths, n: int, redraws: int, *, replicates: int, seed: int, workers: int = 1, metrics: Sequence[str] = SHOWN
) -> Mapping[str, FloatArray]:
    """Value, lower and upper bound of each metric in each redraw, (redraws, 3) by metric."""
    once = partial(_once, n=n, replicates=replicates, seed=seed, metrics=metrics)
    if workers == 1:
        found = [once(number, paths=paths) for number in range(redraws)]
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_hold, initargs=(paths,)) as pool:
            found = list(pool.map(once, range(redraws), chunksize=5))
    return {name: np.array([one[name] for one in found]) for name in metrics}


def covered(found: FloatArray, truth: float) -> tuple[int, int, int]:
    """In how many redraws the truth lies below the interval, above it, and inside."""
    below, above = int((truth < found[:, 1]).sum()), int((truth > found[:, 2]).sum())
    return below, above, len(found) - below - above


_held: list[Paths] = []


def _hold(paths: Paths) -> None:
    _held.append(paths)


def _once(
    number: int, *, n: int, replicates: int, seed: int, metrics: Sequence[str], paths: Paths | None = None
) -> dict[str, tuple[float, float, float]]:
    mine = _held[0] if paths is None else paths
    rows, y, customers = mine.redraw(n, np.random.default_rng([seed, number]))
    result = evaluate(
        y, mine.p.ravel()[rows], customers, metrics=metrics, campaign=mine.campaign.take(rows), replicates=replicates,
        seed=number,
    )  # fmt: skip
    return {name: (m.value, m.low, m.high) for name, m in result.metrics.items()}
