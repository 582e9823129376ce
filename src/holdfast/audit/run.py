"""The whole audit of one dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from holdfast.artifacts.dataset import Dataset
from holdfast.audit import (
    copied,
    encoded,
    end_state,
    hygiene,
    identity,
    labels,
    metamorphic,
    population,
    splits,
    suspicion,
    values,
)
from holdfast.audit.company import company_of
from holdfast.audit.ends import ends_of
from holdfast.audit.opinion import Opinion
from holdfast.audit.recompute import differences, populations
from holdfast.audit.report import CHECKS, AuditReport, Finding, Note, Outcome
from holdfast.audit.rows import begins_rows, stories, timed_tables, times_of
from holdfast.audit.sample import hard_rows, pick
from holdfast.audit.splits import SplitRecord
from holdfast.audit.subject import Subject, cutoffs_of
from holdfast.config.schema import Config
from holdfast.features.definitions import feature_schema

SUPERSEDED = (
    "value-differs", "feature-undeclared", "implausible-auc", "level-gives-label-away", "end-state-undeclared",
)  # fmt: skip
"""Said of a feature or column only where no finding that says why names it."""


def audit(subject: Subject) -> AuditReport:
    """Run the six checks.

    Raises
    ------
    HoldfastError
        The engine cannot run them; nothing is concluded then.
    """
    say = subject.progress
    say("audit: who is at risk, and labels")
    due = populations(subject)
    ends = ends_of(subject)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in CHECKS}
    outcomes["labels"] += [labels.check(subject, due, ends), population.check(subject, due, ends)]
    outcomes["splits"].append(splits_of(subject.dataset, subject.config, subject.splits))
    say("audit: features computed again")
    different = differences(subject, due)
    of = {name: times_of(subject, name) for name in timed_tables(subject)}
    begins = begins_rows(subject)
    hard = hard_rows(subject, of, subject.effort.pairs)
    starts = _starts(due)
    company = company_of(subject, ends)
    pairs = [row for row in pick(subject, hard, different) if _key(subject, row) in starts]
    say(f"audit: {len(pairs)} snapshots by the slow oracle")
    told = stories(subject, subject.stored.column("customer_id").take(pa.array(pairs, pa.int64())).to_pylist())
    opinion = Opinion(subject, begins)
    said = any(f.where == "label" for outcome in outcomes["labels"] for f in outcome.findings)
    outcomes["labels"].append(population.by_oracle(subject, told, opinion, ends, labels_too=not said))
    outcomes["values"].append(values.check(subject, pairs, told, opinion, different, company))
    if subject.effort.metamorphic:
        say("audit: unusable rows deleted, scrambled and duplicated")
    outcomes["metamorphic"].append(metamorphic.check(subject, pairs, told, begins, starts))
    say("audit: features and columns that know too much")
    outcomes["suspicion"] += [
        suspicion.check(subject),
        identity.check(subject, ends),
        encoded.check(subject, company),
        copied.check(subject, company),
        end_state.check(subject, company),
    ]
    say("audit: sources")
    outcomes["sources"].append(hygiene.check(subject, company, ends))
    return _report(subject, outcomes)


def splits_of(dataset: Dataset, config: Config, records: Sequence[SplitRecord]) -> Outcome:
    """The check of recorded folds, which asks neither the sources nor the snapshots."""
    return splits.check(dataset.manifest, cutoffs_of(dataset, config), config.data.label.churn, records)


def with_splits(report: AuditReport, dataset: Dataset, config: Config, records: Sequence[SplitRecord]) -> AuditReport:
    """A clean report with the check of other models' folds in the place of those it had."""
    outcome = splits_of(dataset, config, records)
    return replace(
        report,
        versions=_versions(records),
        looked_at={**report.looked_at, splits.CHECK: outcome.looked_at},
        findings=tuple(outcome.findings),
        notes=tuple(n for c in CHECKS for n in (outcome.notes if c == splits.CHECK else report.notes) if n.check == c),
    )


def _versions(records: Sequence[SplitRecord]) -> tuple[int, ...]:
    return tuple(r.version for r in records if r.version is not None)


def _report(subject: Subject, outcomes: dict[str, list[Outcome]]) -> AuditReport:
    findings = [f for name in CHECKS for outcome in outcomes[name] for f in outcome.findings]
    notes: list[Note] = [n for name in CHECKS for outcome in outcomes[name] for n in outcome.notes]
    return AuditReport(
        project=subject.dataset.manifest.project,
        dataset_id=subject.dataset.manifest.dataset_id,
        versions=_versions(subject.splits),
        sample=subject.effort.pairs,
        seed=subject.seed,
        looked_at={name: "; ".join(o.looked_at for o in outcomes[name] if o.looked_at) for name in CHECKS},
        findings=tuple(_without_echoes(findings, _column_of(subject.config))),
        notes=tuple(notes),
    )


def _without_echoes(findings: Sequence[Finding], column_of: Mapping[str, str]) -> list[Finding]:
    """Less what was said before, and what only says that a feature is odd where another finding says why.

    Parameters
    ----------
    column_of : the table's column behind each feature, of `_column_of`
    """
    explained = {f.where for f in findings if f.name not in SUPERSEDED}
    filled = any(f.name == "immature-label-filled" for f in findings)
    early = any(f.name == "label-window-opens-early" for f in findings)
    told: set[tuple[str, str]] = set()
    found: list[Finding] = []
    for f in findings:
        why = f.name in SUPERSEDED and (f.where in explained or column_of.get(f.where) in explained)
        why |= f.name == "only-positives" and filled
        why |= f.name == "label-window-closes-early" and early  # the window was moved as a whole
        if (f.name, f.where) not in told and not why:
            told.add((f.name, f.where))
            found.append(f)
    return found


def _column_of(config: Config) -> dict[str, str]:
    """The table's column that each feature is computed from, where it is one."""
    data, wanted = config.data, config.features
    groups = {name: f"{m.table}.{m.column}" for name, m in (wanted.measures or {}).items() if m.column is not None}
    groups |= {name: f"{v.table}.{v.column}" for name, v in (wanted.values or {}).items()}
    schema = feature_schema(data, wanted)
    attributes = {f"{table}_{c}": f"{table}.{c}" for table, t in data.tables.items() for c in getattr(t, "columns", {})}
    return attributes | {f.name: groups[f.group] for f in schema if f.group in groups}


def _key(subject: Subject, row: int) -> tuple[str, datetime]:
    return (
        subject.stored.column("customer_id")[row].as_py(),
        subject.stored.column("cutoff")[row].as_py(),
    )


def _starts(due: pa.Table) -> dict[Any, datetime]:
    ids, at, start = (due.column(n).to_pylist() for n in ("customer_id", "cutoff", "start"))
    return {(c, t): s for c, t, s in zip(ids, at, start, strict=True)}
