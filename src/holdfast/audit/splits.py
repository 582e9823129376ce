"""(d) Split hygiene: what a trained bundle records of its folds, judged by when labels were known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from holdfast.artifacts.dataset import DatasetManifest
from holdfast.audit.names import fix
from holdfast.audit.report import Finding, Note, Outcome
from holdfast.clock import iso, parse_instant
from holdfast.errors import MAX_EXAMPLES
from holdfast.snapshots.calendar import Cutoff

CHECK = "splits"


@dataclass(frozen=True)
class FoldRecord:
    """One fold as the bundle records it.

    Attributes
    ----------
    train, test : cutoffs
    shared_customers, shared_snapshots : how many customers and snapshots are on both sides
    """

    name: str
    train: tuple[datetime, ...]
    test: tuple[datetime, ...]
    shared_customers: int
    shared_snapshots: int


@dataclass(frozen=True)
class SplitRecord:
    """The folds of one version: ``timed`` walks forward in time, otherwise folds are groups of customers."""

    version: int | None
    timed: bool
    folds: tuple[FoldRecord, ...]
    complete: bool

    @classmethod
    def of(cls, metrics: Mapping[str, Any], *, version: int | None = None) -> SplitRecord:
        """The record in a bundle's metrics (`holdfast.training.trainer`)."""
        folds = metrics["folds"]
        again = [metrics["refit"]["fold"]] if "refit" in metrics else []
        listed = [*folds["validation"], folds["final"], *again]
        complete = all("test_cutoffs" in f for f in listed)
        return cls(
            version,
            str(folds["kind"]).startswith("purged"),
            tuple(_fold(f) for f in listed if "test_cutoffs" in f),
            complete,
        )

    @property
    def where(self) -> str:
        return "this model" if self.version is None else f"version {self.version}"


def _fold(entry: Mapping[str, Any]) -> FoldRecord:
    def instants(words: Iterable[str]) -> tuple[datetime, ...]:
        return tuple(parse_instant(w) for w in words)

    return FoldRecord(
        str(entry["name"]),
        instants(entry["train_cutoffs"]),
        instants(entry["test_cutoffs"]),
        int(entry.get("shared_customers", 0)),
        int(entry.get("shared_snapshots", 0)),
    )


def check(manifest: DatasetManifest, cutoffs: Sequence[Cutoff], churn: str, records: Sequence[SplitRecord]) -> Outcome:
    """Every recorded fold of every version of the dataset.

    Parameters
    ----------
    cutoffs : the manifest's, with label windows from the configuration
    churn : what the label calls churn
    """
    known = {c.at: c.label_available_at for c in cutoffs}
    complete_through = min(manifest.known_as_of, manifest.complete_through)
    matured = {c.at for c in cutoffs if c.matured(manifest.known_as_of, complete_through)}
    findings = _looks_reconstructed(manifest, churn)
    notes: list[Note] = []
    for record in records:
        findings += judge(record, manifest.history, known, matured)
        if not record.complete:
            notes.append(Note(CHECK, record.where, "does not record the cutoffs of its folds; train it again"))
    if manifest.history == "reconstructed":
        said = f"history is reconstructed, and folds are groups of customers: {manifest.reconstructed_why}"
        notes.append(Note(CHECK, "data.history", said))
    folds = sum(len(r.folds) for r in records)
    looked = f"{folds} folds of {len(records)} trained versions" if folds else "no version is trained on it yet"
    return Outcome(looked, findings, notes)


def _looks_reconstructed(manifest: DatasetManifest, churn: str) -> list[Finding]:
    """A history said to be recorded in which everybody leaves at one cutoff: it was rebuilt from one extract."""
    counts = [c for c in manifest.cutoffs if c.states.get("matured")]
    positives = sum(c.positives for c in counts)
    rows = sum(c.states["matured"] for c in counts)
    if manifest.history != "recorded" or churn != "contractual" or len(counts) < MIN_CUTOFFS:
        return []
    most = max(counts, key=lambda c: c.positives)
    if positives < MIN_POSITIVES or most.positives < AT_ONE * positives or most.states["matured"] > rows / 2:
        return []
    what = (
        f"{most.positives:,} of {positives:,} churners are at the one cutoff {iso(most.cutoff)}, though {len(counts)} "
        "have labels: a history rebuilt from one extract looks so, and a split by time means nothing there"
    )
    found = [{"cutoff": c.cutoff, "snapshots": c.snapshots, "positives": c.positives} for c in counts[-MAX_EXAMPLES:]]
    return [_finding("history-looks-reconstructed", "data.history", what, most.positives, positives, found)]


MIN_CUTOFFS, MIN_POSITIVES, AT_ONE = 4, 50, 0.95


def judge(
    record: SplitRecord, history: str, known: Mapping[datetime, datetime], matured: Iterable[datetime]
) -> list[Finding]:
    """What is wrong with one record.

    Parameters
    ----------
    known : label_available_at of every cutoff of the dataset
    matured : the cutoffs whose labels may be used
    """
    found: list[Finding] = []
    if history == "reconstructed" and record.timed:
        what = "the history is reconstructed from one extract, and the folds split it in time"
        found.append(_finding("reconstructed-time-split", record.where, what, 1, None, ()))
    found += _by_row(record, history)
    found += _purge(record, known)
    usable = set(matured)
    strange = [(f, c) for f in record.folds for c in (*f.train, *f.test) if c not in usable]
    if strange:
        n = len({c for _, c in strange})
        what = f"{n} cutoffs whose labels are not known by known_as_of are trained on or measured"
        rows = [{"fold": f.name, "cutoff": c, "label_available_at": known.get(c)} for f, c in strange]
        found.append(_finding("immature-label-filled", record.where, what, len(strange), None, rows))
    return found


def _by_row(record: SplitRecord, history: str) -> list[Finding]:
    mixed: list[dict[str, Any]] = []
    for fold in record.folds:
        shared = sorted(set(fold.train) & set(fold.test))
        row = {
            "fold": fold.name, "cutoffs_on_both_sides": len(shared), "customers_on_both_sides": fold.shared_customers,
            "snapshots_on_both_sides": fold.shared_snapshots,
        }  # fmt: skip
        by_row = bool(shared) if record.timed or history == "recorded" else fold.shared_customers > 0
        if by_row or fold.shared_snapshots:
            mixed.append(row)
    if not mixed:
        return []
    side = "cutoffs" if record.timed or history == "recorded" else "customers"
    what = f"{len(mixed)} of {len(record.folds)} folds have the same {side} in training and test"
    return [_finding("row-wise-split", record.where, what, len(mixed), len(record.folds), mixed)]


def _purge(record: SplitRecord, known: Mapping[datetime, datetime]) -> list[Finding]:
    if not record.timed:
        return []
    late: list[dict[str, Any]] = []
    folds: set[str] = set()
    for fold in record.folds:
        if not fold.test:
            continue
        first = min(fold.test)
        for c in fold.train:
            if c in fold.test:
                continue  # that is a row-wise split
            if c not in known or known[c] > first:
                folds.add(fold.name)
                late.append(
                    {"fold": fold.name, "first_test_cutoff": first, "trained_on": c, "label_available_at": known.get(c)}
                )
    if not late:
        return []
    what = (
        f"{len(folds)} of {len(record.folds)} folds train on {len(late)} cutoffs whose labels were known only after "
        f"the first test cutoff (for example {iso(late[0]['trained_on'])})"
    )
    return [_finding("purge-missing", record.where, what, len(late), None, late)]


def _finding(
    name: str, where: str, what: str, count: int, of: int | None, rows: Sequence[Mapping[str, Any]]
) -> Finding:
    return Finding(name, CHECK, "high", where, what, fix(name), count, of, tuple(rows))
