"""The whole audit of one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from holdfast.audit import (
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
from holdfast.audit.subject import Subject

SUPERSEDED = ("value-differs", "feature-undeclared", "implausible-auc", "level-gives-label-away")
"""Said of a feature only where no finding that says why names it."""


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
    outcomes["splits"].append(splits.check(subject))
    say("audit: features computed again")
    different = differences(subject, due)
    of = {name: times_of(subject, name) for name in timed_tables(subject)}
    begins = begins_rows(subject, of)
    hard = hard_rows(subject, of, subject.effort.pairs)
    starts = _starts(due)
    pairs = [row for row in pick(subject, hard, different) if _key(subject, row) in starts]
    say(f"audit: {len(pairs)} snapshots by the slow oracle")
    told = stories(subject, subject.stored.column("customer_id").take(pa.array(pairs, pa.int64())).to_pylist())
    opinion = Opinion(subject, begins)
    outcomes["labels"].append(population.by_oracle(subject, told, opinion, ends))
    outcomes["values"].append(values.check(subject, pairs, told, opinion, different))
    if subject.effort.metamorphic:
        say("audit: unusable rows deleted, scrambled and duplicated")
    outcomes["metamorphic"].append(metamorphic.check(subject, pairs, told, begins, starts))
    say("audit: features and columns that know too much")
    company = company_of(subject, ends)
    outcomes["suspicion"] += [
        suspicion.check(subject),
        identity.check(subject, ends),
        encoded.check(subject, company),
        end_state.check(subject, company),
    ]
    say("audit: sources")
    outcomes["sources"].append(hygiene.check(subject, company, ends))
    return _report(subject, outcomes)


def _report(subject: Subject, outcomes: dict[str, list[Outcome]]) -> AuditReport:
    findings = [f for name in CHECKS for outcome in outcomes[name] for f in outcome.findings]
    notes: list[Note] = [n for name in CHECKS for outcome in outcomes[name] for n in outcome.notes]
    return AuditReport(
        project=subject.dataset.manifest.project,
        dataset_id=subject.dataset.manifest.dataset_id,
        versions=tuple(r.version for r in subject.splits if r.version is not None),
        sample=subject.effort.pairs,
        seed=subject.seed,
        looked_at={name: "; ".join(o.looked_at for o in outcomes[name] if o.looked_at) for name in CHECKS},
        findings=tuple(_without_echoes(findings)),
        notes=tuple(notes),
    )


def _without_echoes(findings: Sequence[Finding]) -> list[Finding]:
    """Less what was said before, and what only says that a feature is odd where another finding says why."""
    explained = {f.where for f in findings if f.name not in SUPERSEDED}
    told: set[tuple[str, str]] = set()
    found: list[Finding] = []
    for f in findings:
        if (f.name, f.where) not in told and not (f.name in SUPERSEDED and f.where in explained):
            told.add((f.name, f.where))
            found.append(f)
    return found


def _key(subject: Subject, row: int) -> tuple[str, datetime]:
    return (
        subject.stored.column("customer_id")[row].as_py(),
        subject.stored.column("cutoff")[row].as_py(),
    )


def _starts(due: pa.Table) -> dict[Any, datetime]:
    ids, at, start = (due.column(n).to_pylist() for n in ("customer_id", "cutoff", "start"))
    return {(c, t): s for c, t, s in zip(ids, at, start, strict=True)}
