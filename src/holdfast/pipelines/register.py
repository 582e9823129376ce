"""A trained bundle becomes a version: gate, model card and ledger. Serving it and telling MLflow come after."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.artifacts.dataset import Dataset
from holdfast.artifacts.files import write_text
from holdfast.evaluation.campaign import profit_curve
from holdfast.models.bundle import CARD_HTML, CARD_MD
from holdfast.models.importance import even_sample, global_importance
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.campaign import campaign_of
from holdfast.pipelines.contest import evaluated_folder, unseen_file, write_unseen
from holdfast.pipelines.judge import judge
from holdfast.pipelines.materialize import MaterializeReport
from holdfast.pipelines.version_facts import gate_line
from holdfast.training.card.data import CardData
from holdfast.training.card.html import html
from holdfast.training.card.markdown import markdown
from holdfast.training.rows import FoldPlan, TrainingRows
from holdfast.training.trainer import Trained

TOP_MEASURES = 15
TOP_EFFECTS = 6


@dataclass(frozen=True)
class TrainReport:
    """What a training run did.

    Attributes
    ----------
    version : the version's number; the same bundle always has the same
    evaluated_sha256 : of the bundle that was measured, before it was fitted again on everything matured; None where
        history is reconstructed and that is the version itself
    promoted : whether it serves now
    verdict : the gate's, as JSON
    metrics : the bundle's metrics
    importance : measures by share of the mean absolute contribution, with 95% intervals ``low`` and ``high``
    champion : the version that serves
    serving : what the API reads now; None before the first generation, or where the caller serves
    removed : old versions whose bundles were removed since (``training.retention``)
    warnings : what is not as it should be, though the version is made: MLflow that cannot be written, for example
    """

    version: int
    estimator: str
    bundle_sha256: str
    evaluated_sha256: str | None
    dataset_id: str
    promoted: bool
    verdict: Mapping[str, Any]
    metrics: Mapping[str, Any]
    importance: list[dict[str, Any]]
    champion: int | None
    path: Path
    card: Path
    card_html: Path
    serving: MaterializeReport | None = None
    removed: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            **vars(self),
            "path": str(self.path),
            "card": str(self.card),
            "card_html": str(self.card_html),
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
    """Save the bundles, ask the gate, write the model card, record the version and write the ledger.

    The version is the bundle that may serve. The one that was measured is kept beside it, as evidence.

    The same bundle always gets the same number, so a run that was killed and run again changes nothing twice.
    """
    from holdfast.training.card.plots import draw  # matplotlib takes a second, which nothing else need wait for

    state, project = workspace.state, workspace.name
    told = _told(workspace, dataset, rows, plan, trained)
    plots = draw(told)
    texts = {CARD_MD: markdown(told), CARD_HTML: html(told, plots)}
    bundle = replace(trained.bundle, written_golden=trained.bundle.golden, card=texts)
    number = state.next_version(project, bundle.sha256, dataset.manifest.dataset_id)
    path = workspace.models / str(number)
    _clear_leftover(workspace, number, path)
    evaluated_sha256 = None if trained.evaluated is None else trained.evaluated.sha256
    if trained.evaluated is None:
        write_unseen(unseen_file(path), rows, trained)
    else:
        trained.evaluated.save(evaluated_folder(path))
    bundle.save(path)
    champion = state.champion(project)
    is_champion = champion is not None and champion.version == number
    said = _said_before(workspace, number) if is_champion else None
    if said is None:
        verdict = judge(workspace, None if is_champion else champion, dataset, rows, trained, path)
        said = {**verdict.to_json(), "bundle_sha256": bundle.sha256, "evaluated_sha256": evaluated_sha256}
    told = replace(told, version=number, verdict=said)
    card, card_html = (workspace.reports / f"model-{number}.{kind}" for kind in ("md", "html"))
    write_text(card, markdown(told))
    write_text(card_html, html(told, plots))
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
        evaluated_sha256=evaluated_sha256,
        dataset_id=dataset.manifest.dataset_id,
        promoted=serving is not None and serving.version == number,
        verdict=said,
        metrics=trained.metrics,
        importance=[dict(measure) for measure in told.importance],
        champion=None if serving is None else serving.version,
        path=path,
        card=card,
        card_html=card_html,
    )


def _told(workspace: Workspace, dataset: Dataset, rows: TrainingRows, plan: FoldPlan, trained: Trained) -> CardData:
    """What the card of a version says before the gate has spoken."""
    bundle, measured, training = trained.bundle, trained.measured, workspace.config.training
    picked = even_sample(plan.everything)
    importance = global_importance(
        bundle, rows.take(picked), rows.customers[picked], replicates=training.bootstrap, seed=training.seed
    ).to_json()
    return CardData(
        project=workspace.name, manifest=bundle.manifest, metrics=bundle.metrics, dataset=dataset.manifest.to_json(),
        features=bundle.schema.names, importance=importance["measures"][:TOP_MEASURES],
        effects=importance["effects"][:TOP_EFFECTS], y=rows.y[measured.rows], p=measured.p,
        profit=profit_curve(rows.y[measured.rows], measured.p, campaign_of(workspace.config, rows, measured.rows)),
        currency=workspace.config.decisions.currency,
    )  # fmt: skip


def _clear_leftover(workspace: Workspace, number: int, path: Path) -> None:
    """A folder that no recorded version owns was left by a killed run, perhaps of another configuration."""
    if all(row.version != number for row in workspace.state.versions(workspace.name)):
        for folder in (path, evaluated_folder(path)):
            shutil.rmtree(folder, ignore_errors=True)
        unseen_file(path).unlink(missing_ok=True)


def _said_before(workspace: Workspace, number: int) -> dict[str, Any] | None:
    """What the gate said of the champion when it was a challenger.

    Trained again, it is not compared with itself: its model card would lose why it was promoted.
    """
    line = gate_line(workspace, number)
    return None if line is None else dict(line.evidence)


def _settle(workspace: Workspace, number: int, said: dict[str, Any], actor: str) -> None:
    """Write the gate's word into the ledger."""
    state, project = workspace.state, workspace.name
    if said["passed"]:
        state.promote(project, number, actor=actor, why="the gate said yes", evidence=said)
    else:
        state.challenge(project, number)
        state.refuse(project, number, actor=actor, why="; ".join(said["reasons"]), evidence=said)
