"""``holdfast train``: offline store -> candidates -> bundle -> gate -> ledger -> what the API reads -> MLflow."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib.metadata import version as installed
from typing import Any

import numpy as np

from holdfast import __version__
from holdfast.artifacts.dataset import Dataset
from holdfast.artifacts.memory import given_back
from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso, naive, utc
from holdfast.config.data import DataSection
from holdfast.config.schema import Config
from holdfast.errors import ConfigError, Problem, StoreError, did_you_mean
from holdfast.features.definitions import EXPOSURE
from holdfast.monitoring.reference import reference_histograms
from holdfast.pipelines.archive import archive
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.campaign import campaign_of
from holdfast.pipelines.mirror import mirror
from holdfast.pipelines.register import TrainReport, register
from holdfast.pipelines.same_config import require_same_config
from holdfast.pipelines.serve_champion import Served, ensure_served
from holdfast.snapshots.calendar import Cutoff
from holdfast.snapshots.splits import customer_folds, everything_matured, require_purged, walk_forward
from holdfast.stores.offline import latest_dataset
from holdfast.training.candidates import schema_of
from holdfast.training.rows import FloatArray, Fold, FoldPlan, IntArray, TrainingRows
from holdfast.training.trainer import Facts
from holdfast.training.trainer import train as fit_and_measure

LIBRARIES = ("xgboost-cpu", "lightgbm", "numpy", "scipy", "optuna", "treelite", "matplotlib")
HISTOGRAMS = "histograms"


@given_back()
def train(
    workspace: Workspace,
    *,
    dataset: Dataset | None = None,
    run_id: str | None = None,
    actor: str = "holdfast train",
    serve: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> TrainReport:
    """Train on a dataset (the latest by default), register the version, and promote and serve it if the gate says yes.

    The same dataset, configuration and seed give the same bundle, and so the same version: a run that was killed
    and run again changes nothing twice. A search that its seconds ended does so again where it did, for as long as its
    journal is there: training on another dataset removes it. A champion that an earlier, killed run promoted but did
    not serve is served.

    Parameters
    ----------
    serve : False for a caller that scores, decides and materialises itself

    Raises
    ------
    NotReadyError
        There is no dataset.
    ConfigError
        The dataset is of another configuration, or features are named that it does not have.
    DataError
        Too little matured history.
    HoldfastError
        The new champion cannot be scored with, and the API goes on with the old one.
    """
    config = workspace.config
    found = dataset or latest_dataset(workspace.var)
    require_same_config(config, found)
    rows = TrainingRows.of(found)
    _check_names(config, found)
    plan = fold_plan(config, found, rows)
    threads = config.training.threads or os.cpu_count() or 1
    facts = Facts(
        dataset_id=found.manifest.dataset_id,
        config_hash=config.hash("data", "features", "training", "scoring", "decisions"),
        code_version=__version__,
        libraries={name: installed(name) for name in LIBRARIES},
        extra=_extra(config.data, found, rows, plan),
    )
    trained = fit_and_measure(
        rows, plan, config.training, facts, threads=threads, progress=progress, journals=workspace.var / "tuning",
        reference=lambda r, train_rows, p: {HISTOGRAMS: _histograms(config, r, train_rows, p, threads)},
        campaign=lambda some: campaign_of(config, rows, some),
    )  # fmt: skip
    progress("registering")
    report = register(workspace, found, rows, plan, trained, run_id, actor)
    served = ensure_served(workspace, progress=progress) if serve else Served(None)
    progress("MLflow")  # last: it only mirrors the ledger, and must not keep the API on the old model
    warnings = (*served.warnings, *mirror(workspace).warnings)
    removed: list[int] = []
    if not warnings:  # what MLflow has not been told of, it will be told from the bundle
        try:
            removed = archive(workspace).removed
        except StoreError as e:
            warnings = (str(e),)
    return replace(report, serving=served.now, removed=tuple(removed), warnings=warnings)


def fold_plan(config: Config, dataset: Dataset, rows: TrainingRows) -> FoldPlan:
    """Purged walk-forward folds where history was recorded; customer-grouped ones where it was reconstructed."""
    folds = config.training.folds
    if dataset.manifest.history == "reconstructed":
        ids = rows.table.column("customer_id").to_pylist()
        group = customer_folds(ids, folds.groups, seed=config.training.seed)
        everything = np.arange(len(rows), dtype=np.int64)
        return FoldPlan(
            [Fold(f"group {k + 1}", everything[group != k], everything[group == k]) for k in range(folds.groups)],
            Fold("all matured snapshots", everything, np.zeros(0, np.int64)),
            timed=False,
            everything=everything,
        )
    known = {c.cutoff: c.label_available_at for c in dataset.manifest.cutoffs if c.states.get("matured")}
    split = walk_forward(sorted(known.items()), folds)
    require_purged(split, known)

    def rows_of(cutoffs: tuple[datetime, ...]) -> IntArray:
        wanted = np.array([naive(c) for c in cutoffs], dtype="datetime64[us]")
        return np.flatnonzero(np.isin(rows.cutoffs, wanted)).astype(np.int64)

    def named(cutoffs: tuple[datetime, ...]) -> str:
        return iso(cutoffs[0]) if len(cutoffs) == 1 else f"{iso(cutoffs[0])} to {iso(cutoffs[-1])}"

    return FoldPlan(
        [Fold(named(f.test), rows_of(f.train), rows_of(f.test)) for f in split.folds],
        Fold(named(split.final.test), rows_of(split.final.train), rows_of(split.final.test)),
        timed=True,
        everything=rows_of(everything_matured(sorted(known), folds)),
    )


def _check_names(config: Config, dataset: Dataset) -> None:
    """Feature names that the configuration mentions must exist."""
    names = dataset.manifest.schema.names
    mentioned = {
        **{f"training.exclude.{i}": n for i, n in enumerate(config.training.exclude)},
        **{f"training.slices.{i}": n for i, n in enumerate(config.training.slices)},
        "decisions.value.revenue": config.decisions.value.revenue,
        **{f"decisions.actions.{a}.when.{n}": n for a, action in config.decisions.actions.items() for n in action.when},
    }
    problems = _estimator_problems(config, dataset) + [
        Problem(key, f"there is no feature '{name}'", did_you_mean(name, names))
        for key, name in mentioned.items()
        if name not in names
    ]
    kinds = {"decisions.value.revenue": "number", **{key: "category" for key in mentioned if ".when." in key}}
    problems += [
        Problem(key, f"'{mentioned[key]}' is a {found}, not a {kind}")
        for key, kind in kinds.items()
        if mentioned[key] in names and (found := dataset.manifest.schema[mentioned[key]].kind) != kind
    ]
    if problems:
        raise ConfigError("the configuration names features that do not fit", problems)


def _estimator_problems(config: Config, dataset: Dataset) -> list[Problem]:
    """What estimators name must be left by ``exclude``, and be a number where it has a direction."""
    left = dataset.manifest.schema.without(config.training.exclude)
    problems: list[Problem] = []
    for name, estimator in config.training.estimators.items():
        at = f"training.estimators.{name}"
        own = schema_of(left, estimator)
        numbers = [f.name for f in own if f.kind == "number"]
        problems += [
            Problem(f"{at}.features.{i}", f"there is no feature '{n}' to train on", did_you_mean(n, left.names))
            for i, n in enumerate(estimator.features)
            if n not in left.names
        ]
        problems += [
            Problem(
                f"{at}.monotone.{n}",
                "is a category: it has no order" if n in own.names else f"{name} has no feature '{n}' to train on",
                did_you_mean(n, numbers),
            )
            for n in estimator.monotone
            if n not in numbers
        ]
    return problems


def _extra(data: DataSection, dataset: Dataset, rows: TrainingRows, plan: FoldPlan) -> dict[str, Any]:
    return {
        "project": dataset.manifest.project,
        "known_as_of": iso(dataset.manifest.known_as_of),
        "history": dataset.manifest.history,
        "label": dict(dataset.manifest.label),
        "timed": plan.timed,
        "windows": {
            c: iso(Cutoff.of(utc(t.astype(object)), data.label, data.cutoffs).label_window.end)
            for c, t in _by_cutoff(rows)
        },
        "snapshots": {c: int((rows.cutoffs == t).sum()) for c, t in _by_cutoff(rows)},
        "tested_on": plan.final.name if plan.timed else "customer-grouped folds",
    }


def _by_cutoff(rows: TrainingRows) -> list[tuple[str, Any]]:
    return [(iso(t.astype(object)), t) for t in np.unique(rows.cutoffs)]


def _histograms(
    config: Config, rows: TrainingRows, train_rows: IntArray, p: FloatArray, threads: int
) -> dict[str, Any]:
    # exposure only says how much history there is, which grows by itself: that is no drift
    exposure = [f.name for f in rows.schema if f.group == EXPOSURE]
    schema = rows.schema.without([*config.training.exclude, *exposure])
    bins = config.monitoring.drift.bins
    found = reference_histograms(rows.take(train_rows, ["customer_id"]), FeatureSchema(()), bins, scores=p)
    for part in rows.of_features(train_rows, schema, partial(reference_histograms, bins=bins), threads):
        found["features"] |= part["features"]
    return found
