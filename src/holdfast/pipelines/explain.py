"""``holdfast explain``: one customer's latest score, its reasons and the decision on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from holdfast.clock import iso
from holdfast.errors import NotFoundError, NotReadyError, did_you_mean
from holdfast.pipelines.bootstrap import Workspace
from holdfast.stores.scores import read_decisions, read_scores

CLOSE_IDS = 2000


@dataclass(frozen=True)
class Explanation:
    """Why one customer has her score, and what was decided; ``decision`` is None before `holdfast decide`."""

    customer_id: str
    score: Mapping[str, Any]
    decision: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        return {"customer_id": self.customer_id, **self.score, "decision": self.decision}


def explain(workspace: Workspace, customer_id: str) -> Explanation:
    """The latest score of a customer with its reasons and decision.

    Raises
    ------
    NotReadyError
        Nothing was scored yet.
    NotFoundError
        The customer has no score.
    """
    batch = read_scores(workspace.var)
    row = _row(batch.table, customer_id)
    if row is None:
        some = batch.table.column("customer_id").slice(0, CLOSE_IDS).to_pylist()
        hint = did_you_mean(customer_id, some)
        raise NotFoundError(
            f"customer '{customer_id}' has no score at {iso(batch.cutoff)}", fix=hint if "did you" in hint else ""
        )
    try:
        decisions = read_decisions(workspace.var, batch.cutoff)
        decision = _row(decisions.table, customer_id)
    except (NotReadyError, NotFoundError):
        decision = None
    for found in (row, decision or {}):
        found.pop("customer_id", None)
        found.pop("cutoff", None)
    return Explanation(customer_id, {"cutoff": iso(batch.cutoff), **row}, decision)


def _row(table: pa.Table, customer_id: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = table.filter(pc.equal(table.column("customer_id"), customer_id)).to_pylist()
    return found[0] if found else None
