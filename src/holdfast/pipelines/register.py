"""A trained bundle becomes a version: gate, model card and ledger. Serving it and telling MLflow come after."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.artifacts.dataset import Dataset
from holdfast.artifacts.files import write_text
from holdfast.audit.splits import SplitRecord
from holdfast.clock import naive, parse_instant
from holdfast.errors import DataError, NotFoundError, StoreError
from holdfast.models.bundle import Bundle
from holdfast.pipelines.audit import refusals
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.materialize import MaterializeReport
from holdfast.training.gate import compare_with_champion
from holdfast.training.gate import decide as judge
from holdfast.training.model_card import model_card
from holdfast.training.rows import FloatArray, FoldPlan, TrainingRows
from holdfast.training.trainer import Trained

IMPORTANCE_ROWS = 20_000
TOP_MEASURES = 15
MANY = 1_000_000


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
    serving : what the API reads now; None before the first generation, or where the caller serves
    removed : old versions whose bundles were removed since (``training.retention``)
    warnings : what is not as it should be, though the version is made: MLflow that cannot be written, for example
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
    serving: MaterializeReport | None = None
    removed: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            **vars(self),
            "path": str(self.path),
            "card": str(self.card),
            "serving": None if self.serving is None else self.serving.to_json(),
            "removed": list(self.removed),
            "warnings": list(self.warnings),
        }


def register(
    workspace: Workspace,
    dataset: Dataset,
    rows: TrainingRows,
    plan: FoldPlan,
    trained: Trained,
    run_id: str | None,
    actor: str,
) -> TrainReport:
    """Save the bundle, ask the gate, write the model card, record the version and write the ledger.

    The same bundle always gets the same number, so a run that was killed and run again changes nothing twice.
    """
    state, project, bundle = workspace.state, workspace.name, trained.bundle
    number = state.next_version(project, bundle.sha256, dataset.manifest.dataset_id)
    path = workspace.models / str(number)
    _clear_leftover(workspace, number, path)
    bundle.save(path)
    champion = state.champion(project)
    is_champion = champion is not None and champion.version == number
    said = _said_before(workspace, number) if is_champion else None
    if said is None:
        other = None if champion is None or is_champion else champion
        comparison = None if other is None else _against(workspace, other.path, rows, plan, trained)
        verdict = judge(
            trained.measured.evaluation,
            trained.metrics["test"]["ece"],
            workspace.config.training.promotion,
            comparison=comparison,
        )
        leaks = refusals(workspace, dataset, [SplitRecord.of(trained.metrics)])
        said = {
            "passed": verdict.passed and not leaks,
            "reasons": [*verdict.reasons, *leaks],
            "evidence": {**verdict.evidence, "audit": leaks},
        }
    importance = global_importance(bundle, rows)
    card = workspace.reports / f"model-{number}.md"
    write_text(
        card,
        model_card(
            project=project, version=str(number), manifest=bundle.manifest, metrics=trained.metrics,
            dataset=dataset.manifest.to_json(), importance=importance, verdict=said,
        ),
    )  # fmt: skip
    state.record_version(
        project, number, bundle_sha256=bundle.sha256, dataset_id=dataset.manifest.dataset_id,
        estimator=bundle.provenance.estimator, path=str(path.relative_to(workspace.var)),
        metrics=trained.metrics["test"]["metrics"], run_id=run_id,
    )  # fmt: skip
    if not is_champion:
        _settle(workspace, number, said, actor)
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


def _said_before(workspace: Workspace, number: int) -> dict[str, Any] | None:
    """What the gate said of the champion when it was a challenger.

    Trained again, it is not compared with itself: its model card would lose why it was promoted.
    """
    lines = workspace.state.history(workspace.name, limit=MANY)
    return next((dict(e.evidence) for e in lines if e.to_version == number and "passed" in e.evidence), None)


def _settle(workspace: Workspace, number: int, said: dict[str, Any], actor: str) -> None:
    """Write the gate's word into the ledger."""
    state, project = workspace.state, workspace.name
    if said["passed"]:
        state.promote(project, number, actor=actor, why="the gate said yes", evidence=said)
    else:
        state.challenge(project, number)
        state.refuse(project, number, actor=actor, why="; ".join(said["reasons"]), evidence=said)


def _against(
    workspace: Workspace, champion_path: str, rows: TrainingRows, plan: FoldPlan, trained: Trained
) -> dict[str, Any]:
    """The challenger against the champion, on snapshots that neither trained on."""
    try:
        champion = Bundle.load(workspace.var / champion_path)
    except (NotFoundError, StoreError) as e:  # a new model is how one gets out of that
        return _incomparable(f"the champion's bundle cannot be used: {e.message}")
    config = workspace.config.training
    unseen, p = trained.measured.rows, trained.measured.p
    asked, answers = (_question(b.provenance.extra["label"]) for b in (trained.bundle, champion))
    if asked != answers:
        changed = ", ".join(k for k in sorted(asked | answers) if asked.get(k) != answers.get(k))
        return _incomparable(f"the champion answers another question (label: {changed})")
    if not plan.timed or not champion.provenance.extra.get("timed"):
        # nobody is held out of a champion trained on every customer: only its own folds' figures can be compared,
        # and only if they are of the same snapshots
        if champion.provenance.extra["snapshots"] != trained.bundle.provenance.extra["snapshots"]:
            return _incomparable("the champion was measured on other snapshots")
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
        return _incomparable(f"the champion reads other features than this dataset has ({lacking})")
    return compare_with_champion(
        rows.y[unseen], p, theirs_p, rows.customers[unseen], config.promotion,
        replicates=config.bootstrap, seed=config.seed,
    )  # fmt: skip


def _question(label: Mapping[str, str]) -> dict[str, str]:
    """What a label asks; how long the business waits for late news does not change that."""
    return {key: value for key, value in label.items() if key != "delay"}


def _incomparable(why: str) -> dict[str, Any]:
    fix = "look at both cards, then: holdfast models promote VERSION --force --why …"
    return {"better": False, "why": f"{why}, so the two cannot be compared; {fix}"}


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
