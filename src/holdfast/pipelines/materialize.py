"""``holdfast materialize``: scores, decisions and features of a cutoff into the online store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso
from holdfast.errors import NotReadyError
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.serving_model import champion
from holdfast.stores.scores import DECISIONS, SCORES, check_made_of, read_decisions, read_features, read_scores


@dataclass(frozen=True)
class MaterializeReport:
    """The generation that serves now."""

    generation: str
    cutoff: datetime
    customers: int
    model_version: int
    path: str

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "cutoff": iso(self.cutoff)}


def materialize(workspace: Workspace, *, cutoff: datetime | None = None) -> MaterializeReport:
    """Write one generation of the online store and switch to it.

    Raises
    ------
    NotReadyError
        There are no scores or decisions by the champion at the cutoff, or they are not of one another.
    """
    best = champion(workspace)
    scores = read_scores(workspace.var, cutoff)
    decisions = read_decisions(workspace.var, scores.cutoff)
    _, features, facts = read_features(workspace.var, scores.cutoff)
    for what, manifest, verb in ((SCORES, scores.manifest, "score"), (DECISIONS, decisions.manifest, "decide")):
        if manifest["bundle_sha256"] != best.bundle.sha256:
            raise NotReadyError(
                f"the {what} of {iso(scores.cutoff)} are by model version {manifest['model_version']}, the champion is "
                f"{best.version}",
                fix=f"Run: holdfast {verb} --cutoff {iso(scores.cutoff)} --project {workspace.name}",
            )
        check_made_of(workspace.var, what, scores.cutoff)
    writer = workspace.online.writer()
    generation = writer.write(
        features, FeatureSchema.from_json(facts["schema"]), scores.table, decisions.table,
        bundle_sha256=best.bundle.sha256, model_version=str(best.version), cutoff=scores.cutoff,
        bundle_dir=best.path, dataset_id=best.dataset_id, config_hash=workspace.config.hash(),
    )  # fmt: skip
    writer.switch(generation)
    place = workspace.online.place(generation)
    return MaterializeReport(generation, scores.cutoff, scores.table.num_rows, best.version, place)
