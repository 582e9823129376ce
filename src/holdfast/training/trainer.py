"""Training: candidates on folds, the best calibrated and fitted, measured once, and put in a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.artifacts.schema import FeatureSchema
from holdfast.config.learning import TrainingSection
from holdfast.evaluation.intervals import evaluate
from holdfast.models.bundle import Bundle, Provenance
from holdfast.models.calibrate import Identity
from holdfast.models.reference import reference_of
from holdfast.models.registry import params_of
from holdfast.training.candidates import Candidate, EncodedFolds, best, compare, cross_calibrated, fit, out_of_fold
from holdfast.training.measuring import Measured, measure
from holdfast.training.rows import FloatArray, FoldPlan, IntArray, TrainingRows, recorded
from holdfast.training.tuning import tuned


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
    """A bundle with the evidence for it."""

    bundle: Bundle
    measured: Measured
    candidates: list[dict[str, Any]]
    metrics: dict[str, Any]


def train(
    rows: TrainingRows,
    plan: FoldPlan,
    config: TrainingSection,
    facts: Facts,
    *,
    threads: int,
    reference: Callable[[TrainingRows, IntArray, FloatArray], Mapping[str, Any]],
    progress: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Choose, calibrate, fit and measure a model.

    Parameters
    ----------
    rows : matured snapshots
    plan : purged walk-forward folds, or customer-grouped ones
    reference : what monitoring wants remembered, from training rows and their unseen predictions
    progress : told what is being done

    Returns
    -------
    Trained
        The kept model is fitted on ``plan.final.train``. Where ``plan.timed`` it is measured once on
        ``plan.final.test``; otherwise the figures are those of the folds, each row predicted by a model that
        saw neither it nor any other row of its customer.
    """
    schema = rows.schema.without(config.exclude)
    folds = EncodedFolds(rows, schema, plan)
    candidates: list[Candidate] = []
    for name, estimator in config.estimators.items():
        progress(f"{name}: {len(plan.folds)} folds")
        candidates.append(tuned(folds, name, estimator, config.tuning, seed=config.seed, threads=threads))
    del folds  # as large as the data several times over
    chosen = best(candidates)
    progress(f"{chosen.name}: fitting on {len(plan.final.train):,} snapshots")
    fitted = fit(rows, plan.final.train, schema, chosen.estimator, chosen.config, seed=config.seed)
    calibrator = chosen.calibration.calibrator
    if plan.timed:
        margin = fitted.model.margin(fitted.encoder.transform(rows.take(plan.final.test)))
        unseen, p = plan.final.test, calibrator.probability(margin)
    else:
        unseen, p = chosen.rows, cross_calibrated(chosen, rows.y[chosen.rows], rows.customers[chosen.rows])
    progress("measuring, with intervals")
    measured = measure(rows, unseen, p, config, trained_on=plan.final.train if plan.timed else None)
    compared = compare(candidates)
    metrics: dict[str, Any] = {
        "test": measured.detail,
        "candidates": compared,
        "calibration": calibrator.kind,
        "folds": {
            "kind": "purged walk-forward" if plan.timed else "grouped by customer",
            "validation": [recorded(rows, fold) for fold in plan.folds],
            "final": recorded(rows, plan.final),
        },
        "end_state": _end_state(rows, schema, plan, chosen, config, measured, threads, progress),
    }
    training = rows.take(plan.final.train)
    provenance = Provenance(
        dataset_id=facts.dataset_id,
        config_hash=facts.config_hash,
        code_version=facts.code_version,
        estimator=chosen.name,
        seed=config.seed,
        params=params_of(chosen.estimator),
        libraries=dict(facts.libraries),
        extra=dict(facts.extra),
    )
    bundle = Bundle(
        encoder=fitted.encoder,
        model=fitted.model,
        calibrator=calibrator,
        reference={**reference_of(training, schema), **reference(rows, plan.final.train, p)},
        metrics=metrics,
        provenance=provenance,
    )
    return Trained(bundle, measured, compared, metrics)


def _end_state(
    rows: TrainingRows,
    schema: FeatureSchema,
    plan: FoldPlan,
    chosen: Candidate,
    config: TrainingSection,
    measured: Measured,
    threads: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """The figures without end-state columns, beside those with them."""
    columns = schema.end_state
    without = schema.without(columns)
    if not columns or not len(without):
        return {"columns": columns}
    progress(f"measuring again without {len(columns)} end-state columns")
    names = ("roc_auc", "average_precision")
    if plan.timed:
        fitted = fit(rows, plan.final.train, without, chosen.estimator, chosen.config, seed=config.seed)
        margin = fitted.model.margin(fitted.encoder.transform(rows.take(plan.final.test)))
        unseen, p = plan.final.test, Identity().probability(margin)  # a ranking needs no calibration
    else:
        again = out_of_fold(
            EncodedFolds(rows, without, plan, most_bytes=0), chosen.name, chosen.config, seed=config.seed,
            threads=threads, estimator=chosen.estimator,
        )  # fmt: skip
        unseen, p = again.rows, cross_calibrated(again, rows.y[again.rows], rows.customers[again.rows])
    bare = evaluate(
        rows.y[unseen], p, rows.customers[unseen], metrics=names, replicates=config.bootstrap, seed=config.seed
    )
    return {
        "columns": columns,
        "with": {name: measured.evaluation[name].to_json() for name in names},
        "without": {name: bare[name].to_json() for name in names},
    }
