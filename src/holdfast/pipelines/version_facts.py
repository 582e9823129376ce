"""What MLflow is told of a version, out of its bundle, the ledger and the reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast import __version__
from holdfast.evaluation.names import name_of
from holdfast.models.bundle import Bundle
from holdfast.pipelines.bootstrap import Workspace
from holdfast.stores.registry_run import VersionFacts
from holdfast.stores.state_tables import PromotionRow, VersionRow

GATE = {"promote": "passed", "refuse": "refused"}
MOST_CHARS = 4_900
"""Of a description: MLflow's column holds 5,000."""
NAMED = ("roc_auc", "average_precision", "log_loss")
"""The figures of a description."""


def facts_of(workspace: Workspace, row: VersionRow, bundle: Bundle) -> VersionFacts:
    """Everything of one version.

    Parameters
    ----------
    bundle : the version's, loaded
    """
    provenance, said = bundle.provenance, gate_line(workspace, row.version)
    gate = gate_word(said)
    snapshots = {c: int(n) for c, n in provenance.extra.get("snapshots", {}).items()}
    return VersionFacts(
        bundle=workspace.var / row.path,
        bundle_sha256=row.bundle_sha256,
        dataset_id=row.dataset_id,
        params={"estimator": provenance.estimator, "seed": provenance.seed, **flat(provenance.params)},
        metrics=numbers(bundle.metrics["test"]),
        tags={
            "holdfast_version": str(row.version),
            "holdfast": __version__,
            "gate": gate,
            "known_as_of": str(provenance.extra.get("known_as_of", "")),
            "features": str(len(bundle.schema)),
            "evaluated_sha256": str(provenance.extra.get("evaluated", "")),
        },
        description=description(row, bundle, gate, "" if said is None else said.why),
        source=str(workspace.datasets / row.dataset_id),
        profile={"snapshots": sum(snapshots.values()), "cutoffs": len(snapshots)},
        trials=bundle.metrics.get("trials", ()),
        files=_files(workspace.reports, row.version),
    )


def gate_line(workspace: Workspace, version: int) -> PromotionRow | None:
    """The line of the ledger with what the gate said of a version, the last time that it was asked."""
    lines = workspace.state.lines_about(workspace.name, version)
    return next((line for line in lines if "checks" in line.evidence), None)


def gate_word(line: PromotionRow | None) -> str:
    """``passed``, ``refused`` or ``not asked``."""
    return "not asked" if line is None else GATE[line.action]


def description(row: VersionRow, bundle: Bundle, gate: str, why: str) -> str:
    """One paragraph for people who find the version in MLflow."""
    test, extra = bundle.metrics["test"], bundle.provenance.extra
    figures = [
        f"{name_of(name)} {m['value']:.3f}" + (f" ({m['low']:.3f} to {m['high']:.3f})" if m["low"] is not None else "")
        for name in NAMED
        if (m := test["metrics"].get(name)) and m["value"] is not None
    ]
    label = ", ".join(f"{k} {v}" for k, v in sorted(extra.get("label", {}).items()))
    again = bundle.metrics.get("refit")
    fitted = (
        f"; fitted again on all {again['fold']['train']:,} that had matured, after it was measured" if again else ""
    )
    said = (
        f"Version {row.version} of holdfast: {bundle.provenance.estimator} with {len(bundle.schema)} features, "
        f"trained on dataset {row.dataset_id}, known as of {extra.get('known_as_of', 'an unknown time')} "
        f"(label: {label}){fitted}. On {test['n']:,} unseen snapshots, of which {test['base_rate']:.2%} churned: "
        f"{', '.join(figures)}. "
        f"The gate: {gate}{f' ({why})' if why else ''}."
    )
    return said if len(said) <= MOST_CHARS else f"{said[: MOST_CHARS - 1]}…"


def numbers(test: Mapping[str, Any]) -> dict[str, float]:
    """The measured figures of unseen snapshots, their intervals' ends as figures of their own."""
    found: dict[str, float] = {}
    for name, metric in test["metrics"].items():
        for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high")):
            if metric.get(key) is not None:
                found[name + suffix] = float(metric[key])
    counts = {"unseen_snapshots": test["n"], "unseen_positives": test["positives"]}
    return {**found, **counts, "ece": test["ece"], "base_rate": test["base_rate"]}


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by dotted name; lists as JSON.

    >>> flat({"depth": 3, "constraints": {"tenure": -1}, "bins": [1, 2]})
    {'depth': 3, 'constraints.tenure': -1, 'bins': '[1, 2]'}
    """
    found: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = json.dumps(value) if isinstance(value, list | tuple | dict) else value
    return found


def _files(reports: Path, version: int) -> list[Path]:
    """The model card."""
    return sorted(reports.glob(f"model-{version}.*"))
