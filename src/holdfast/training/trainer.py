"""Training: candidates on folds, the best calibrated and fitted, measured once, and put in a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso
from holdfast.config.learning import TrainingSection
from holdfast.evaluation.intervals import evaluate
from holdfast.models.bundle import Bundle, Provenance
from holdfast.models.calibrate import Calibrator, choose_calibrator
from holdfast.models.prior import month_of
from holdfast.models.reference import reference_of
from holdfast.models.registry import params_of
from holdfast.training.candidates import (
    Candidate,
    EncodedFolds,
    Fitted,
    cross_calibrated,
    fit,
    out_of_fold,
    schema_of,
)
from holdfast.training.comparison import compare
from holdfast.training.measuring import CampaignOf, Measured, measure
from holdfast.training.prior_shift import PriorShift, prior_shift, shift_again
from holdfast.training.rows import FloatArray, Fold, FoldPlan, IntArray, TrainingRows, recorded
from holdfast.training.selection import best, chosen_without
from holdfast.training.tuning import search


@dataclass(frozen=True)
class Facts:
    """What the bundle's manifest says of where it came from."""

    dataset_id: str
    config_hash: str
    code_version: str
    libraries: Mapping[str, str]
    extra: Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """A bundle with the evidence for it.

    Attributes
    ----------
    bundle : what may serve: fitted on everything matured
    evaluated : what was measured, fitted before the test; None where that is ``bundle`` itself
    measured : what the evaluated one's predictions are worth; the folds' own where history is reconstructed
    """

    bundle: Bundle
    evaluated: Bundle | None
    measured: Measured
    metrics: dict[str, Any]


def train(
    rows: TrainingRows,
    plan: FoldPlan,
    config: TrainingSection,
    facts: Facts,
    *,
    threads: int,
    journals: Path | None = None,
    reference: Callable[[TrainingRows, IntArray, FloatArray], Mapping[str, Any]],
    campaign: CampaignOf | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Choose, calibrate, fit and measure a model.

    Parameters
    ----------
    rows : matured snapshots
    plan : purged walk-forward folds, or customer-grouped ones
    journals : folder of the search's journals, for a run that is killed to go on from
    reference : what monitoring wants remembered, from training rows and their unseen predictions
    campaign : the project's, for the profit of what is measured
    progress : told what is being done

    Returns
    -------
    Trained
        Where ``plan.timed`` a model fitted on ``plan.final.train`` is measured once on ``plan.final.test``, and the
        one that may serve is the same fitted again on ``plan.everything``, calibrated on the margins of the folds
        and the test. Otherwise the figures are those of the folds, each row predicted by a model that saw neither
        it nor any other row of its customer, and whose settings were the best on the other folds: the ones chosen on
        all of them, which the model has that may serve, owe some of their figures to luck.
    """
    schema = rows.schema.without(config.exclude)
    folds = EncodedFolds(rows, schema, plan)
    identity = {"dataset_id": facts.dataset_id, "code": facts.code_version, "libraries": dict(facts.libraries)}
    searched = search(folds, config, threads=threads, folder=journals, identity=identity, progress=progress)
    chosen = best(searched.candidates)
    p = np.zeros(0)
    if not plan.timed:
        progress("predicting each fold with what was best on the others")
        p = chosen_without(folds, searched.settings, searched.candidates, seed=config.seed, threads=threads)
    del folds  # as large as the data several times over
    schema = schema_of(schema, chosen.config)
    shift = PriorShift(False, "not asked for (training.prior_shift)")
    if config.prior_shift:
        progress(f"{chosen.name}: what the months add")
        shift = prior_shift(rows, plan, schema, chosen, seed=config.seed, threads=threads)
    calibrator = shift.applied_to(chosen.calibration.calibrator)
    progress(f"{chosen.name}: fitting on {len(plan.final.train):,} snapshots")
    fitted = fit(rows, plan.final.train, schema, chosen.estimator, chosen.config, seed=config.seed, threads=threads)
    unseen, margin = chosen.rows, chosen.margin
    if plan.timed:
        unseen = plan.final.test
        margin = fitted.margin(rows, unseen)
        p = own = calibrator.probability(margin, month_of(rows.cutoffs[unseen]))
    else:
        own = cross_calibrated(chosen, rows.y[unseen], rows.customers[unseen])
    progress("measuring, with intervals")
    measured = measure(rows, unseen, p, config, trained_on=plan.final.train if plan.timed else None, campaign=campaign)
    metrics: dict[str, Any] = {
        "test": measured.detail,
        "candidates": compare(searched.candidates, rows),
        "tuning": searched.stopped_by,
        "trials": searched.trials,
        "calibration": calibrator.kind,
        "prior_shift": shift.to_json(),
        "folds": {
            "kind": "purged walk-forward" if plan.timed else "grouped by customer",
            "validation": [recorded(rows, fold) for fold in plan.folds],
            "final": recorded(rows, plan.final),
        },
        "end_state": _end_state(rows, schema, plan, chosen, calibrator, config, own, threads, progress),
    }

    def bundle(
        fitted: Fitted, calibrator: Calibrator, train: IntArray, metrics: Mapping[str, Any], **extra: Any
    ) -> Bundle:
        provenance = Provenance(
            dataset_id=facts.dataset_id,
            config_hash=facts.config_hash,
            code_version=facts.code_version,
            estimator=chosen.name,
            seed=config.seed,
            params=params_of(chosen.estimator),
            libraries=dict(facts.libraries),
            extra={**facts.extra, "trained_on": _cutoffs(rows, train) if plan.timed else [], **extra},
        )
        about = {**_typical(rows, train, schema, threads), **reference(rows, train, own)}
        return Bundle(fitted.encoder, fitted.model, calibrator, about, metrics, provenance)

    evaluated = bundle(fitted, calibrator, plan.final.train, metrics)
    if not plan.timed:
        return Trained(evaluated, None, measured, metrics)
    progress(f"{chosen.name}: fitting again on everything matured, {len(plan.everything):,} snapshots")
    again = fit(rows, plan.everything, schema, chosen.estimator, chosen.config, seed=config.seed, threads=threads)
    # the test's margins are unseen too, and the newest there are
    seen = np.concatenate([chosen.rows, unseen])
    newest = choose_calibrator(
        np.concatenate([chosen.margin, margin]), rows.y[seen], clusters=rows.customers[seen]
    ).calibrator
    shift = shift_again(shift, rows, plan, newest, margin)
    metrics = {
        **metrics,
        "refit": {
            "calibration": newest.kind,
            "prior_shift": shift.to_json(),
            "fold": recorded(rows, Fold("everything matured", plan.everything, np.zeros(0, np.int64))),
        },
    }
    serves = bundle(again, shift.applied_to(newest), plan.everything, metrics, evaluated=evaluated.sha256)
    return Trained(serves, evaluated, measured, metrics)


def _typical(rows: TrainingRows, train: IntArray, schema: FeatureSchema, threads: int) -> dict[str, Any]:
    parts = rows.of_features(train, schema, reference_of, threads)
    named = {key: {k: v for part in parts for k, v in part[key].items()} for key in ("typicals", "ranges")}
    return {"n": len(train), **named}


def _cutoffs(rows: TrainingRows, numbers: IntArray) -> list[str]:
    return [iso(c) for c in np.unique(rows.cutoffs[numbers]).astype(object)]


def _end_state(
    rows: TrainingRows,
    schema: FeatureSchema,
    plan: FoldPlan,
    chosen: Candidate,
    calibrator: Calibrator,
    config: TrainingSection,
    own: FloatArray,
    threads: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """The figures without end-state columns, beside those with them: ``own``, by the same settings on the same rows."""
    columns = schema.end_state
    without = schema.without(columns)
    if not columns or not len(without):
        return {"columns": columns}
    progress(f"measuring again without {len(columns)} end-state columns")
    names = ("roc_auc", "average_precision")
    if plan.timed:
        fitted = fit(
            rows, plan.final.train, without, chosen.estimator, chosen.config, seed=config.seed, threads=threads
        )
        margin = fitted.margin(rows, plan.final.test)
        unseen = plan.final.test
        p = calibrator.probability(margin, month_of(rows.cutoffs[unseen]))  # the months may change the order of both
    else:
        again = out_of_fold(
            EncodedFolds(rows, without, plan, most_bytes=0), chosen.name, chosen.config, seed=config.seed,
            threads=threads, estimator=chosen.estimator,
        )  # fmt: skip
        unseen, p = again.rows, cross_calibrated(again, rows.y[again.rows], rows.customers[again.rows])

    def figures(p: FloatArray) -> dict[str, Any]:
        found = evaluate(
            rows.y[unseen], p, rows.customers[unseen], metrics=names, replicates=config.bootstrap, seed=config.seed
        )
        return {name: found[name].to_json() for name in names}

    return {"columns": columns, "with": figures(own), "without": figures(p)}
