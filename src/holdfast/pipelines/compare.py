"""``holdfast models compare``: two versions side by side, and paired on snapshots that neither learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from holdfast.artifacts.dataset import Dataset
from holdfast.clock import iso, naive, utc
from holdfast.config.learning import TrainingSection
from holdfast.errors import DataError, NotFoundError, NotReadyError, StoreError, UsageError
from holdfast.evaluation.intervals import paired_difference
from holdfast.models.bundle import Bundle
from holdfast.models.importance import even_sample, global_importance
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.contest import evaluated_folder, question, unseen_from
from holdfast.pipelines.models import version_json
from holdfast.pipelines.version_facts import flat, gate_line, gate_word
from holdfast.stores.offline import latest_dataset
from holdfast.training.rows import TrainingRows

PAIRED = ("log_loss", "roc_auc")


@dataclass(frozen=True)
class Side:
    """One of the two: its row as JSON, what the gate said, and its bundles unless they were removed."""

    row: dict[str, Any]
    gate: str
    bundle: Bundle | None
    evaluated: Bundle | None

    @property
    def models(self) -> list[Bundle]:
        """What may stand for it: the version itself, and the model that it was when it was measured."""
        return [model for model in (self.bundle, self.evaluated) if model is not None]

    @property
    def figures(self) -> Mapping[str, Any]:
        """Metrics of its unseen snapshots, by name."""
        found: Mapping[str, Any] = (
            self.row["metrics"] if self.bundle is None else self.bundle.metrics["test"]["metrics"]
        )
        return found

    @property
    def about(self) -> dict[str, Any]:
        """What it is, and on what it was measured."""
        keys = ("version", "status", "bundle", "estimator", "dataset_id", "created_at")
        found = {**{key: self.row[key] for key in keys}, "gate": self.gate}
        if self.bundle is None:
            return found
        test, extra = self.bundle.metrics["test"], self.bundle.provenance.extra
        return {
            **found,
            "label": dict(extra["label"]),
            "known_as_of": extra["known_as_of"],
            "features": len(self.bundle.schema),
            "measured_on": {"snapshots": test["n"], "positives": test["positives"], "what": extra["tested_on"]},
            "calibration": {"kind": self.bundle.metrics["calibration"], "error": test["ece"]},
        }


def compare(workspace: Workspace, first: int, second: int) -> dict[str, Any]:
    """Two versions side by side; every pair in the result is (first, second).

    Returns
    -------
    dict
        ``versions``; ``metrics`` by name; ``params`` that differ; ``features`` that one alone reads; ``importance`` by
        measure; ``paired``, the differences second - first on snapshots that neither learnt from, or ``why_not``.

    Raises
    ------
    NotFoundError
        There is no such version.
    UsageError
        Both are the same.
    """
    if first == second:
        raise UsageError("these are the same version", fix="See: holdfast models list")
    sides = (_side(workspace, first), _side(workspace, second))
    report = {
        "versions": [side.about for side in sides],
        "metrics": _paired_up(*(side.figures for side in sides)),
        "params": {},
        "features": None,
        "importance": [],
        "paired": None,
        "why_not": "",
    }
    a, b = (side.bundle for side in sides)
    if a is None or b is None:
        gone = first if a is None else second
        return {**report, "why_not": f"the bundle of version {gone} was removed"}
    params = _paired_up(*(flat(bundle.provenance.params) for bundle in (a, b)))
    report["params"] = {name: pair for name, pair in params.items() if pair[0] != pair[1]}
    names = [bundle.schema.names for bundle in (a, b)]
    report["features"] = {
        "only_first": [name for name in names[0] if name not in names[1]],
        "only_second": [name for name in names[1] if name not in names[0]],
    }
    try:
        dataset = latest_dataset(workspace.var)
        rows = TrainingRows.of(dataset)
        report["importance"] = _importance(a, b, rows)
        report["paired"] = paired(workspace.config.training, *sides, dataset, rows)
    except (NotReadyError, NotFoundError, StoreError, DataError) as e:
        report["why_not"] = e.message
    return report


def paired(
    training: TrainingSection, first: Side, second: Side, dataset: Dataset, rows: TrainingRows
) -> dict[str, Any]:
    """Differences ``metric(second) - metric(first)`` on the matured snapshots that neither learnt anything about.

    These lie after the windows of all labels that either was trained on. A version that serves was fitted on everything
    matured; where the model that it was when it was measured leaves more snapshots, that one stands for it.

    Raises
    ------
    NotReadyError
        There are no such snapshots, or the two do not answer the same question.
    DataError
        One reads features that the dataset does not have.
    """
    assert first.bundle is not None
    assert second.bundle is not None
    labels = [question(side.bundle.provenance.extra["label"]) for side in (first, second) if side.bundle is not None]
    if labels[0] != labels[1] or labels[0] != question(dataset.manifest.label):
        raise NotReadyError("the two, or the latest dataset, have another label")
    if not all(side.bundle.provenance.extra["timed"] for side in (first, second) if side.bundle is not None):
        raise NotReadyError("one was trained on customers of every cutoff: there is nothing that it has not seen")
    stands = [min(side.models, key=unseen_from) for side in (first, second)]
    start = max(unseen_from(model) for model in stands)
    unseen = np.flatnonzero(rows.cutoffs >= np.datetime64(naive(start), "us")).astype(np.int64)
    y = rows.y[unseen]
    if not len(y) or y.sum() in (0, len(y)):
        raise NotReadyError(f"no matured snapshots from {iso(start)} on, which neither learnt from")
    table, customers = rows.take(unseen), rows.customers[unseen]
    p, q = (model.predict(table) for model in stands)
    return {
        "snapshots": len(y),
        "positives": int(y.sum()),
        "cutoffs": [iso(utc(c)) for c in np.unique(rows.cutoffs[unseen]).astype(object)],
        "as_evaluated": [model is not side.bundle for model, side in zip(stands, (first, second), strict=True)],
        "differences": {
            metric: paired_difference(
                y, q, p, customers, metric=metric, replicates=training.bootstrap, seed=training.seed
            ).to_json()
            for metric in PAIRED
        },
    }


def _side(workspace: Workspace, version: int) -> Side:
    row = workspace.state.version(workspace.name, version)
    found, path = version_json(workspace, row), workspace.var / row.path
    bundle = Bundle.load(path) if found["bundle"] else None
    twin = evaluated_folder(path)
    return Side(found, gate_word(gate_line(workspace, version)), bundle, Bundle.load(twin) if twin.exists() else None)


def _importance(first: Bundle, second: Bundle, rows: TrainingRows) -> list[dict[str, Any]]:
    """Measures by share of the mean absolute contribution, those that matter most to either first."""
    some = even_sample(np.arange(len(rows), dtype=np.int64))
    shares = [
        {
            row["measure"]: row
            for row in global_importance(bundle, rows.take(some), rows.customers[some], replicates=0).to_json()[
                "measures"
            ]
        }
        for bundle in (first, second)
    ]
    found = [
        {"measure": name, "label": (a or b)["label"], "shares": [a and a["share"], b and b["share"]]}
        for name, (a, b) in _paired_up(*shares).items()
    ]
    return sorted(found, key=lambda row: (-max(share or 0.0 for share in row["shares"]), row["measure"]))


def _paired_up(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Values of both by name, None where one has none; in the order of the first."""
    return {name: [first.get(name), second.get(name)] for name in dict.fromkeys((*first, *second))}
