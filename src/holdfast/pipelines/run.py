"""``holdfast run``: the whole main job once, and a summary of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from holdfast.artifacts.dataset import Dataset
from holdfast.clock import iso
from holdfast.errors import GateRefused, UsageError, did_you_mean
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.decide import decide
from holdfast.pipelines.materialize import materialize
from holdfast.pipelines.monitor import monitor
from holdfast.pipelines.running import Run
from holdfast.pipelines.serve_champion import score_newest, unserved
from holdfast.pipelines.simulate import simulate
from holdfast.pipelines.train import train

Mode = Literal["full", "data", "features", "train", "score", "decide", "monitor"]
STAGES: tuple[str, ...] = ("data", "features", "train", "score", "decide", "monitor")


@dataclass
class RunSummary:
    """What a run did, stage by stage; each stage's own report as JSON, None where it was not asked for."""

    project: str
    mode: str
    stages: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "mode": self.mode,
            **{name: self.stages.get(name) for name in (*STAGES[:1], "dataset", *STAGES[2:], "materialize")},
            "files": self.files,
            "seconds": self.seconds,
        }


def run(
    workspace: Workspace,
    mode: Mode = "full",
    *,
    recorded: Run | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> RunSummary:
    """Run every stage up to and including ``mode``; ``full`` is all of them.

    A champion that the challenger does not beat goes on serving; that is no failure of the run.

    Raises
    ------
    UsageError
        There is no such mode.
    GateRefused
        There was no champion, and the gate said no to the first.
    """
    if mode not in get_args(Mode):
        raise UsageError(f"there is no mode '{mode}'", fix=did_you_mean(mode, get_args(Mode)))
    run_id = None if recorded is None else recorded.run_id
    clock = recorded or Run("")
    summary = RunSummary(workspace.name, mode)
    dataset: Dataset | None = None
    cutoff: datetime | None = None
    for stage in STAGES:
        progress(stage)
        with clock.step(stage):
            if stage == "data":
                summary.stages["data"] = _data(workspace)
            elif stage == "features":
                dataset = build(workspace)
                clock.dataset_id = dataset.manifest.dataset_id
                summary.stages["dataset"] = dataset_summary(dataset)
            elif stage == "train":
                trained = train(
                    workspace, dataset=dataset, run_id=run_id, actor="holdfast run", progress=progress,
                    serve=mode == stage,  # the stages after this one do it otherwise
                )  # fmt: skip
                summary.stages["train"] = trained.to_json()
                if trained.champion is None:
                    raise GateRefused(
                        f"version {trained.version} does not serve, and there is no other to score with",
                        trained.verdict["reasons"],
                    )
                if trained.serving is not None:
                    summary.stages["materialize"] = trained.serving.to_json()
            elif stage == "score":
                scored = score_newest(workspace)
                cutoff = scored.cutoff
                summary.stages["score"] = scored.to_json()
                if mode == stage and unserved(workspace) is not None:
                    # promotion serves, however far the run was to go
                    decide(workspace, cutoff=cutoff)
                    summary.stages["materialize"] = materialize(workspace, cutoff=cutoff).to_json()
            elif stage == "decide":
                summary.stages["decide"] = decide(workspace, cutoff=cutoff).to_json()
                progress("online store")
                summary.stages["materialize"] = materialize(workspace, cutoff=cutoff).to_json()
            else:
                summary.stages["monitor"] = monitor(workspace, run_id=run_id).to_json()
        if stage == mode:
            break
    summary.files = _files(workspace, summary)
    summary.seconds = dict(clock.timings)
    return summary


def _data(workspace: Workspace) -> dict[str, Any] | None:
    """The built-in company, where the project is simulated; a project's own tables are checked when built."""
    return simulate(workspace).to_json() if workspace.config.data.simulate is not None else None


def dataset_summary(dataset: Dataset) -> dict[str, Any]:
    """A dataset's manifest in short."""
    manifest = dataset.manifest
    states: dict[str, int] = {}
    for cutoff in manifest.cutoffs:
        for state, n in cutoff.states.items():
            states[state] = states.get(state, 0) + n
    return {
        "dataset_id": manifest.dataset_id,
        "history": manifest.history,
        "reconstructed_why": manifest.reconstructed_why,
        "known_as_of": iso(manifest.known_as_of),
        "complete_through": iso(manifest.complete_through),
        "label": manifest.label,
        "first_cutoff": iso(manifest.cutoffs[0].cutoff),
        "last_cutoff": iso(manifest.cutoffs[-1].cutoff),
        "cutoffs": len(manifest.cutoffs),
        "snapshots": manifest.snapshots,
        "matured": manifest.matured,
        "positives": manifest.positives,
        "states": states,
        "features": len(manifest.schema),
        "end_state": manifest.schema.end_state,
        "sources": manifest.sources,
        "notes": manifest.notes,
        "path": str(dataset.path),
    }


def _files(workspace: Workspace, summary: RunSummary) -> dict[str, str]:
    found = {
        "dataset": summary.stages.get("dataset"),
        "model": summary.stages.get("train"),
        "scores": summary.stages.get("score"),
        "decisions": summary.stages.get("decide"),
        "online": summary.stages.get("materialize"),
        "monitoring": summary.stages.get("monitor"),
    }
    paths = {name: str(stage["path"]) for name, stage in found.items() if stage is not None}
    if summary.stages.get("train") is not None:
        paths["card"] = str(summary.stages["train"]["card_html"])
    return paths
