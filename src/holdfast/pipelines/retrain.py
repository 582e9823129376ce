"""``holdfast retrain``: the trigger acts. Monitor, and if it says so build, train and, when promoted, serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.materialize import MaterializeReport
from holdfast.pipelines.monitor import monitor
from holdfast.pipelines.register import TrainReport
from holdfast.pipelines.serve_champion import ensure_served
from holdfast.pipelines.train import train


@dataclass(frozen=True)
class RetrainReport:
    """Why a retraining ran or did not, and what came of it."""

    triggered: bool
    why: list[str]
    trained: TrainReport | None
    serving: MaterializeReport | None

    def to_json(self) -> dict[str, Any]:
        return {
            "triggered": self.triggered,
            "why": self.why,
            "train": None if self.trained is None else self.trained.to_json(),
            "materialize": None if self.serving is None else self.serving.to_json(),
        }


def retrain(
    workspace: Workspace,
    *,
    force: bool = False,
    run_id: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> RetrainReport:
    """Retrain if a trigger fires (or ``force``); a promoted model is scored with and served at once.

    A champion that an earlier, killed run promoted but did not serve is served first. When the champion changes it is
    monitored too: the report that is left is of the model that serves.
    """
    before = workspace.state.champion(workspace.name)
    ensure_served(workspace, progress=progress)
    why = _reasons(workspace, run_id, progress)
    if force:
        why = ["asked for", *why]
    if not why:
        return RetrainReport(False, [], None, None)
    progress("building the dataset")
    dataset = build(workspace)
    trained = train(workspace, dataset=dataset, run_id=run_id, actor="holdfast retrain", progress=progress)
    if not trained.promoted:
        return RetrainReport(True, why, trained, None)
    if trained.serving is not None and (before is None or before.version != trained.version):
        progress("monitoring the new champion")
        monitor(workspace, run_id=run_id)
    return RetrainReport(True, why, trained, trained.serving)


def _reasons(workspace: Workspace, run_id: str | None, progress: Callable[[str], None]) -> list[str]:
    if workspace.state.champion(workspace.name) is None:
        return ["there is no champion yet"]
    progress("monitoring")
    return [reason.message for reason in monitor(workspace, run_id=run_id).report.triggers.reasons]
