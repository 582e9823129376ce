"""A trained bundle becomes a version: registry, gate, ledger and model card."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.artifacts.dataset import Dataset
from holdfast.artifacts.files import write_text
from holdfast.clock import naive, parse_instant
from holdfast.errors import DataError
from holdfast.models.bundle import Bundle
from holdfast.pipelines.bootstrap import Workspace
from holdfast.training.gate import Verdict, compare_with_champion
from holdfast.training.gate import decide as judge
from holdfast.training.model_card import model_card
from holdfast.training.rows import FloatArray, FoldPlan, TrainingRows
from holdfast.training.trainer import Trained

IMPORTANCE_ROWS = 20_000
TOP_MEASURES = 15


@dataclass(frozen=True)
class TrainReport:
    """What a training run did.

    Attributes
    ----------
    version : the version's number; the same bundle always has the same
    promoted : whether it serves now
    verdict : the gate's, as JSON
    metrics : the bundle's metrics
    importance : measures by share of the mean absolute contribution
    champion : the version that serves
    """

    version: int
    estimator: str
    bundle_sha256: str
    dataset_id: str
    promoted: bool
    verdict: Mapping[str, Any]
    metrics: Mapping[str, Any]
    importance: list[dict[str, Any]]
    champion: int | None
    path: Path
    card: Path

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "path": str(self.path), "card": str(self.card)}


def register(
    workspace: Workspace,
    dataset: Dataset,
    rows: TrainingRows,
    plan: FoldPlan,
    trained: Trained,
    run_id: str | None,
    actor: str,
) -> TrainReport:
    """Save the bundle, record the version, ask the gate, write the ledger and the model card.

    The same bundle always gets the same number, so a run that was killed and run again changes nothing twice.
    """
    state, project, bundle = workspace.state, workspace.name, trained.bundle
    number = state.next_version(project, bundle.sha256, dataset.manifest.dataset_id)
    path = workspace.models / str(number)
    _clear_leftover(workspace, number, path)
    bundle.save(path)
    champion = state.champion(project)
    is_champion = champion is not None and champion.version == number
    comparison = None if champion is None or is_champion else _against(workspace, champion.path, rows, plan, trained)
    verdict = judge(
        trained.measured.evaluation,
        trained.metrics["test"]["ece"],
        workspace.config.training.promotion,
        comparison=comparison,
    )
    importance = global_importance(bundle, rows)
    said = {"passed": verdict.passed, "reasons": list(verdict.reasons), "evidence": dict(verdict.evidence)}
    card = workspace.reports / f"model-{number}.md"
    write_text(
        card,
        model_card(
            project=project, version=str(number), manifest=bundle.manifest, metrics=trained.metrics,
            dataset=dataset.manifest.to_json(), importance=importance, verdict=said,
        ),
    )  # fmt: skip
    logged = workspace.registry.log_version(
        path,
        bundle_sha256=bundle.sha256,
        dataset_id=dataset.manifest.dataset_id,
        params={"estimator": bundle.provenance.estimator, **bundle.provenance.params},
        metrics=_numbers(trained.metrics),
    )
    state.record_version(
        project, number, bundle_sha256=bundle.sha256, dataset_id=dataset.manifest.dataset_id,
        estimator=bundle.provenance.estimator, path=str(path.relative_to(workspace.var)),
        metrics=trained.metrics["test"]["metrics"], run_id=run_id, mlflow_version=logged.version,
        mlflow_run_id=logged.run_id,
    )  # fmt: skip
    _settle(workspace, number, verdict, said, actor, already=is_champion)
    serving = state.champion(project)
    return TrainReport(
        version=number,
        estimator=bundle.provenance.estimator,
        bundle_sha256=bundle.sha256,
        dataset_id=dataset.manifest.dataset_id,
        promoted=serving is not None and serving.version == number,
        verdict=said,
        metrics=trained.metrics,
        importance=importance,
        champion=None if serving is None else serving.version,
        path=path,
        card=card,
    )


def _clear_leftover(workspace: Workspace, number: int, path: Path) -> None:
    """A folder that no recorded version owns was left by a killed run, perhaps of another configuration."""
    if all(row.version != number for row in workspace.state.versions(workspace.name)):
        shutil.rmtree(path, ignore_errors=True)


def _settle(
    workspace: Workspace, number: int, verdict: Verdict, said: dict[str, Any], actor: str, *, already: bool
) -> None:
    """Write the gate's word into the ledger, and mirror the ledger to MLflow."""
    state, project = workspace.state, workspace.name
    if not already:
        if verdict.passed:
            state.promote(project, number, actor=actor, why="the gate said yes", evidence=said)
        else:
            state.challenge(project, number)
            state.refuse(project, number, actor=actor, why="; ".join(verdict.reasons), evidence=said)
    workspace.registry.repair(state)


def _against(
    workspace: Workspace, champion_path: str, rows: TrainingRows, plan: FoldPlan, trained: Trained
) -> dict[str, Any]:
    """The challenger against the champion, on snapshots that neither trained on."""
    champion = Bundle.load(workspace.var / champion_path)
    config = workspace.config.training
    unseen, p = trained.measured.rows, trained.measured.p
    if not plan.timed or not champion.provenance.extra.get("timed"):
        # nobody is held out of a champion trained on every customer: only its own folds' figures can be compared,
        # and only if they are of the same snapshots
        if champion.provenance.extra["snapshots"] != trained.bundle.provenance.extra["snapshots"]:
            return {
                "better": False,
                "why": "the champion was measured on other snapshots, so the two cannot be compared; look at both "
                "cards, then: holdfast models promote VERSION --force --why …",
            }
        theirs = champion.metrics["test"]["metrics"]["log_loss"]
        mine = trained.measured.evaluation["log_loss"]
        better = mine.high < theirs["value"]
        why = (
            f"out-of-fold log loss {mine.value:.5f} (up to {mine.high:.5f}) is not below the champion's "
            f"{theirs['value']:.5f}"
        )
        return {"better": better, "why": "" if better else why, "champion_log_loss": theirs}
    seen = np.array([naive(parse_instant(c)) for c in champion.provenance.extra["trained_on"]], "datetime64[us]")
    known = ~np.isin(rows.cutoffs[unseen], seen)
    unseen, p = unseen[known], p[known]
    if not len(unseen) or rows.y[unseen].sum() in (0, len(unseen)):
        return {"better": False, "why": "there are no matured snapshots that neither model trained on"}
    try:
        theirs_p = champion.predict(rows.take(unseen))
    except DataError as e:  # features.yaml has changed since: a new model must still be possible
        lacking = "; ".join(problem.what for problem in e.problems[:3])
        return {
            "better": False,
            "why": f"the champion reads other features than this dataset has, so the two cannot be compared "
            f"({lacking}); look at both cards, then: holdfast models promote VERSION --force --why …",
        }
    return compare_with_champion(
        rows.y[unseen], p, theirs_p, rows.customers[unseen], config.promotion,
        replicates=config.bootstrap, seed=config.seed,
    )  # fmt: skip


def global_importance(bundle: Bundle, rows: TrainingRows) -> list[dict[str, Any]]:
    """Measures by their share of the mean absolute contribution, on an even sample of the training rows."""
    step = max(1, len(rows) // IMPORTANCE_ROWS)
    table = rows.take(np.arange(0, len(rows), step, dtype=np.int64))
    contributions, _ = bundle.contributions(table)
    sums: dict[str, FloatArray] = {}
    labels: dict[str, str] = {}
    for j, feature in enumerate(bundle.schema):
        sums[feature.group] = sums.get(feature.group, 0.0) + contributions[:, j]
        labels.setdefault(feature.group, feature.label.partition(",")[0])
    sizes = {group: float(np.abs(total).mean()) for group, total in sums.items()}
    whole = sum(sizes.values()) or 1.0
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:TOP_MEASURES]
    return [{"measure": g, "label": labels[g], "share": round(size / whole, 6)} for g, size in ordered]


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    found = {name: m["value"] for name, m in metrics["test"]["metrics"].items() if m["value"] is not None}
    return {**found, "ece": metrics["test"]["ece"], "base_rate": metrics["test"]["base_rate"]}
