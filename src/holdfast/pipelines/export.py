"""``holdfast export``: the scores and decisions of a cutoff as one CSV file, for a CRM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from holdfast.artifacts.files import writing_file
from holdfast.clock import iso
from holdfast.decisions.policy import STATUSES
from holdfast.errors import NotReadyError, StoreError, UsageError, did_you_mean, shown
from holdfast.pipelines.bootstrap import Workspace
from holdfast.stores.scores import DECISIONS, SCORES, ScoredRows, check_made_of, scored_rows

EXPORTS = "exports"
FROM_SCORES = ("probability", "tier", "decile")
UNKNOWN = "unknown"
ABSENT = -1
FROM_DECISIONS = ("clv", "expected_loss", "segment", "status", "action", "cost", "expected_value", "why")


@dataclass(frozen=True)
class ExportReport:
    """What was written."""

    cutoff: datetime
    customers: int
    model_version: str
    columns: Sequence[str]
    path: Path

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "cutoff": iso(self.cutoff), "columns": list(self.columns), "path": str(self.path)}


def export(
    workspace: Workspace,
    *,
    cutoff: datetime | None = None,
    statuses: Sequence[str] = (),
    output: Path | None = None,
) -> ExportReport:
    """Write one line per customer, in customer_id order; memory does not grow with their number.

    Parameters
    ----------
    cutoff : by default the latest that was scored
    statuses : of decisions, to keep; all by default
    output : the file; by default ``var/<project>/exports/<cutoff>.csv``

    Raises
    ------
    UsageError
        A status is none that decisions have.
    NotReadyError
        Scores or decisions are missing, or are not of one another.
    StoreError
        They cannot be read, do not hold the same customers, or the file cannot be written; one that was there is as
        it was.
    """
    for status in statuses:
        if status not in STATUSES:
            raise UsageError(f"--status is {shown(status)}", fix=did_you_mean(status, STATUSES))
    scores = scored_rows(workspace.var, SCORES, cutoff)
    decisions = scored_rows(workspace.var, DECISIONS, scores.cutoff)
    if decisions.manifest["bundle_sha256"] != scores.manifest["bundle_sha256"]:
        raise NotReadyError(
            f"the decisions of {iso(scores.cutoff)} are by model version {decisions.manifest['model_version']}, the "
            f"scores by {scores.manifest['model_version']}",
            fix=f"Run: holdfast decide --cutoff {iso(scores.cutoff)} --project {workspace.name}",
        )
    check_made_of(workspace.var, DECISIONS, scores.cutoff)
    path = output or workspace.var / EXPORTS / f"{iso(scores.cutoff)}.csv"
    reasons = workspace.config.scoring.reasons
    schema = _lines(scores.schema.empty_table(), decisions.schema.empty_table(), reasons).schema
    customers = 0
    with writing_file(path) as temporary, pa.csv.CSVWriter(temporary, schema) as writer:
        for scored, decided in _together(scores, decisions):
            kept = pc.is_in(decided.column("status"), value_set=pa.array(statuses or STATUSES, pa.string()))
            lines = _lines(scored.filter(kept), decided.filter(kept), reasons)
            writer.write_table(lines)
            customers += lines.num_rows
    return ExportReport(scores.cutoff, customers, str(scores.manifest["model_version"]), schema.names, path)


def _together(scores: ScoredRows, decisions: ScoredRows) -> Iterator[tuple[pa.Table, pa.Table]]:
    """The same customers of both, some at a time: both files are in customer_id order."""
    for scored, decided in zip_longest(scores.batches(), decisions.batches()):
        same = scored is not None and decided is not None
        if not (same and scored.column("customer_id").equals(decided.column("customer_id"))):
            raise StoreError(
                f"{scores.file} and {decisions.file} do not hold the same customers",
                fix=f"Run: holdfast decide --cutoff {iso(scores.cutoff)}",
            )
        yield scored, decided


def _lines(scored: pa.Table, decided: pa.Table, reasons: int) -> pa.Table:
    found = {
        "customer_id": scored.column("customer_id"),
        "cutoff": scored.column("cutoff").cast(pa.date32()),
        **{name: scored.column(name) for name in FROM_SCORES},
        **{name: decided.column(name) for name in FROM_DECISIONS},
    }
    lists = scored.column("reasons").combine_chunks()
    for number in range(reasons):
        found[f"reason_{number + 1}"] = _reason(lists, number)
    return pa.table({**found, "model_version": scored.column("model_version")})


def _reason(lists: pa.ListArray, number: int) -> pa.Array:
    """The text of one reason of each customer; null where there are fewer."""
    one = pc.list_slice(lists, number, number + 1)
    found = pc.list_flatten(one)
    place = np.full(len(lists), ABSENT, dtype=np.int64)
    place[pc.list_parent_indices(one)] = np.arange(len(found))
    reason = found.take(pa.array(place, mask=place == ABSENT))
    label, value, typical = (pc.struct_field(reason, name) for name in ("label", "value", "typical"))
    said = pc.binary_join_element_wise(label, pc.fill_null(value, UNKNOWN), ": ")
    return pc.binary_join_element_wise(said, " (typical ", pc.fill_null(typical, UNKNOWN), ")", "")
