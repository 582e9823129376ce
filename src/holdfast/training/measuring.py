"""What predictions of unseen rows are worth: metrics with intervals, overall and wherever they may differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from holdfast.config.learning import TrainingSection
from holdfast.evaluation.calibration import brier, reliability_table
from holdfast.evaluation.campaign import Campaign
from holdfast.evaluation.intervals import Evaluation, evaluate
from holdfast.evaluation.slices import DEFAULT_METRICS, MIN_POSITIVES, MIN_ROWS, by_slice
from holdfast.evaluation.worse import CALIBRATION_MARGIN, LEVEL, RECALL_MARGIN, worse_slices
from holdfast.training.rows import FloatArray, IntArray, TrainingRows

PARTS = ("roc_auc", "average_precision", "log_loss", "observed_expected")
"""Metrics of each cutoff; slices have `DEFAULT_METRICS` and observed / expected."""

CampaignOf: TypeAlias = Callable[[IntArray], Campaign]
"""The project's campaign for these row numbers."""


@dataclass(frozen=True)
class Measured:
    """Predictions of rows the model has not seen, and what they are worth.

    Attributes
    ----------
    rows, p : (n,) row numbers, and their probabilities
    evaluation : all metrics with intervals
    detail : the same and more as JSON; see `measure`
    """

    rows: IntArray
    p: FloatArray
    evaluation: Evaluation
    detail: dict[str, Any]


def measure(
    rows: TrainingRows,
    unseen: IntArray,
    p: FloatArray,
    config: TrainingSection,
    *,
    trained_on: IntArray | None = None,
    campaign: CampaignOf | None = None,
) -> Measured:
    """Metrics of unseen rows with customer-clustered intervals: of all, by cutoff, by slice, of new customers.

    Parameters
    ----------
    rows : matured snapshots
    unseen, p : (n,) row numbers that the model did not train on, and its probabilities there
    config : replicates, seed, and the columns to slice by: any column of the dataset, also one that is excluded from
        the model (a protected one, say)
    trained_on : the row numbers that it did train on; None where no row was predicted by a model that knew its
        customer (customer-grouped folds)
    campaign : for the profit; it is left out if not given

    Returns
    -------
    Measured
        ``detail`` has, beside `Evaluation.to_json`: ``base_rate``, ``mean_probability``, ``ece``, ``brier_parts``
        (Murphy's), ``reliability`` (bins), ``by_cutoff``, ``slices`` by column, ``worse_slices`` and
        ``new_customers``.
    """
    y, customers = rows.y[unseen], rows.customers[unseen]
    offers = None if campaign is None else campaign(unseen)
    evaluation = evaluate(y, p, customers, campaign=offers, replicates=config.bootstrap, seed=config.seed)
    columns = {name: rows.values(name, unseen) for name in config.slices}
    slice_metrics = (*DEFAULT_METRICS, "observed_expected")
    detail: dict[str, Any] = {
        **evaluation.to_json(),
        "base_rate": evaluation.base_rate,
        "mean_probability": float(p.mean()),
        "ece": evaluation["ece"].value,
        "brier_parts": asdict(brier(y, p)),
        "reliability": [one.to_json() for one in reliability_table(y, p)],
        "by_cutoff": _by_cutoff(rows, unseen, p, offers, config),
        "slices": {
            name: by_slice(
                y, p, name, values, customers, metrics=slice_metrics, replicates=config.bootstrap, seed=config.seed
            ).to_json()
            for name, values in columns.items()
        },
        "worse_slices": _worse(y, p, columns, customers),
        "new_customers": _new_customers(rows, unseen, p, offers, trained_on, config),
    }
    return Measured(unseen, p, evaluation, detail)


def _part(
    rows: TrainingRows, unseen: IntArray, p: FloatArray, offers: Campaign | None, at: npt.NDArray[np.bool_],
    config: TrainingSection, metrics: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Metrics of some of the rows; only their number where one class is absent."""
    y, n = rows.y[unseen[at]], int(at.sum())
    positives = int(y.sum())
    if not 0 < positives < n:
        return {"n": n, "positives": positives}
    mine = None if offers is None else offers.take(at)
    names = metrics if offers is None else (*metrics, "profit")
    return evaluate(
        y, p[at], rows.customers[unseen[at]], metrics=names, campaign=mine, replicates=config.bootstrap,
        seed=config.seed,
    ).to_json()  # fmt: skip


def _by_cutoff(
    rows: TrainingRows, unseen: IntArray, p: FloatArray, offers: Campaign | None, config: TrainingSection
) -> list[dict[str, Any]]:
    cutoffs = rows.cutoffs[unseen]
    return [
        {"cutoff": str(cutoff)[:10], **_part(rows, unseen, p, offers, cutoffs == cutoff, config, PARTS)}
        for cutoff in np.unique(cutoffs)
    ]


def _worse(y: FloatArray, p: FloatArray, columns: Mapping[str, Any], customers: IntArray) -> dict[str, Any]:
    return {
        "level": LEVEL,
        "calibration_margin": CALIBRATION_MARGIN,
        "recall_margin": RECALL_MARGIN,
        "found": [one.to_json() for one in worse_slices(y, p, columns, customers)],
    }


def _new_customers(
    rows: TrainingRows, unseen: IntArray, p: FloatArray, offers: Campaign | None, trained_on: IntArray | None,
    config: TrainingSection,
) -> dict[str, Any]:  # fmt: skip
    """Metrics of customers of whom no row was trained on, or why there are none."""
    if trained_on is None:
        why = "every customer is one: folds are grouped by customer, so these are the figures of all"
        return {"n": len(unseen), "positives": int(rows.y[unseen].sum()), "why": why}
    new = ~np.isin(rows.customers[unseen], rows.customers[trained_on])
    n, positives = int(new.sum()), int(rows.y[unseen[new]].sum())
    if n < MIN_ROWS or positives < MIN_POSITIVES:
        why = f"fewer than {MIN_ROWS} snapshots or {MIN_POSITIVES} churners: too few to measure"
        return {"n": n, "positives": positives, "why": why}
    return _part(rows, unseen, p, offers, new, config, PARTS)
