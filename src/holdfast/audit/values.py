"""(b) Stored values against an independent recomputation, and the wrong rule that explains each difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from holdfast.audit.cells import ENOUGH, Cell, Moves, unexplained
from holdfast.audit.company import Company
from holdfast.audit.names import fix
from holdfast.audit.opinion import Opinion, Values
from holdfast.audit.recompute import Differences
from holdfast.audit.report import Finding, Outcome
from holdfast.audit.rows import Story
from holdfast.audit.subject import Subject
from holdfast.audit.wrong_rules import ALL_AT_ONCE, Asked, explanations, named
from holdfast.clock import utc
from holdfast.features.definitions import feature_schema

CHECK = "values"
MOST_EXPLAINED = 160
"""Differing snapshots that wrong rules are tried on, at most; each costs some twenty recomputations."""
ALSO = 0.1
"""Further rules name one if they explain this share that no other explains."""


def check(
    subject: Subject, pairs: Sequence[int], told: Mapping[str, Story], opinion: Opinion, different: Differences,
    company: Company,
) -> Outcome:  # fmt: skip
    """Recompute the sampled snapshots with the oracle and explain what differs.

    Parameters
    ----------
    pairs : row numbers of ``subject.stored``
    different : the same comparison against the fast path, of many more snapshots
    """
    schema = feature_schema(subject.config.data, subject.config.features)
    findings = _columns(subject, schema.names)
    at_cutoff = {c.at: c for c in subject.cutoffs}
    last = last_cutoffs(subject)
    rows = subject.stored.take(list(pairs)).to_pylist()
    wrong: list[tuple[Asked, Values, dict[str, Any], list[str]]] = []
    compared = 0
    ordered = sorted(at_cutoff)
    for row in rows:
        customer, cutoff = row["customer_id"], at_cutoff[utc(row["cutoff"])]
        honest = opinion.features(customer, told[customer], cutoff)
        names = [n for n in schema.names if n in row and n in honest]
        compared += len(names)
        differ = [n for n in names if not same(row[n], honest[n])]
        if differ:
            place = ordered.index(cutoff.at)
            after = at_cutoff[ordered[place + 1]] if place + 1 < len(ordered) else None
            asked = Asked(customer, told[customer], cutoff, after, at_cutoff[last[customer]])
            wrong.append((asked, honest, row, differ))
    cells = _explained(subject, opinion, wrong)
    at_first = first_cutoffs(subject)

    def moves(cell: Cell) -> bool:
        """Whether the feature must change between the customer's first and last cutoff."""
        ends = (at_cutoff[at_first[cell.customer]], at_cutoff[last[cell.customer]])
        a, b = (opinion.features(cell.customer, told[cell.customer], c).get(cell.feature) for c in ends)
        return not same(a, b)

    findings += _findings(subject, cells, different, moves, company)
    findings += _engine_alone(cells, different)
    looked = (
        f"{compared:,} values of {len(rows):,} snapshots by the oracle, chosen where a wrong rule would show; "
        f"{different.looked_at:,} snapshots at {different.cutoffs} cutoffs computed again on the engine"
    )
    return Outcome(looked, findings)


def same(stored: Any, expected: float | str | None) -> bool:
    """Bit for bit, as float32."""
    if stored is None or expected is None or isinstance(stored, str) or isinstance(expected, str):
        return bool(stored == expected)
    return bool(np.float32(stored) == np.float32(expected))


def last_cutoffs(subject: Subject) -> dict[str, datetime]:
    """The last cutoff that holds each customer."""
    return _edge(subject, "max")


def first_cutoffs(subject: Subject) -> dict[str, datetime]:
    """The first cutoff that holds each customer."""
    return _edge(subject, "min")


def _edge(subject: Subject, which: str) -> dict[str, datetime]:
    table = subject.stored.select(["customer_id", "cutoff"]).group_by("customer_id").aggregate([("cutoff", which)])
    ids, ends = (table.column(n).to_pylist() for n in ("customer_id", f"cutoff_{which}"))
    return {c: utc(t) for c, t in zip(ids, ends, strict=True)}


def _columns(subject: Subject, declared: Sequence[str]) -> list[Finding]:
    """Columns of the dataset that the configuration does not give, and the other way round."""
    stored = subject.dataset.manifest.schema.names
    found: list[Finding] = []
    for name in stored:
        if name not in declared:
            what = "this column of the dataset comes from no declared feature, so nothing vouches for it"
            found.append(Finding("feature-undeclared", CHECK, "medium", name, what, fix("feature-undeclared")))
    lacking = [n for n in declared if n not in stored]
    if lacking:
        what = f"{len(lacking)} declared features are not in the dataset: {', '.join(lacking[:5])}"
        found.append(
            Finding("dataset-differs", CHECK, "medium", "features", what, fix("dataset-differs"), len(lacking))
        )  # fmt: skip
    return found


def _explained(
    subject: Subject, opinion: Opinion, wrong: Sequence[tuple[Asked, Values, dict[str, Any], list[str]]]
) -> list[Cell]:
    """The differing cells, those of some snapshots with the rules that give them; every feature gets its share."""
    kinds = _kinds(subject)
    tried: Counter[str] = Counter()
    order = subject.rng("explain").permutation(len(wrong))
    chosen: list[int] = []
    for i in order:
        names = wrong[i][3]
        if len(chosen) < MOST_EXPLAINED and (len(chosen) < MOST_EXPLAINED // 4 or any(tried[n] < 12 for n in names)):
            chosen.append(int(i))
            tried.update(names)
    cells: list[Cell] = []
    for i in sorted(chosen):
        asked, honest, row, differ = wrong[i]
        rules: dict[str, set[str]] = {n: set() for n in differ}
        for rule, values in explanations(opinion, subject.config.data, asked):
            for n in differ:
                if n in values and same(row[n], values[n]) and not (rule == ALL_AT_ONCE and rules[n]):
                    rules[n].add(named(rule, kinds[n]))
        cells += [
            Cell(n, asked.customer, asked.cutoff.at, row[n], honest[n], frozenset(rules[n])) for n in differ
        ]  # fmt: skip
    return cells


def _kinds(subject: Subject) -> dict[str, type]:
    """The kind of table each feature comes from."""
    data = subject.config.data
    schema = feature_schema(data, subject.config.features)
    return {f.name: type(data.tables[f.source]) if f.source in data.tables else object for f in schema}


ORDER = (
    "cutoff-instant-included", "late-event-used", "correction-used-early", "deletion-ignored", "later-version-used",
    "later-events-used", "final-value-copied-back",
)  # fmt: skip
"""Among rules that explain equally many cells, the first is meant."""


def _engine_alone(cells: Sequence[Cell], different: Differences) -> list[Finding]:
    """Features that the engine gives otherwise than stored where the oracle agrees with what is stored."""
    explained = {c.feature for c in cells}
    return [
        Finding(
            "value-differs", CHECK, "high", feature,
            f"{n:,} stored values are not what the engine gives now, although the oracle agrees with them",
            fix("value-differs"), n, different.looked_at,
        )
        for feature, n in different.counts.items()
        if feature not in explained
    ]  # fmt: skip


def _findings(
    subject: Subject, cells: Sequence[Cell], different: Differences, moves: Moves, company: Company
) -> list[Finding]:
    """One finding per rule, over all features it explains; and one per feature that none explains."""
    by_feature: dict[str, list[Cell]] = {}
    for cell in cells:
        by_feature.setdefault(cell.feature, []).append(cell)
    overall: Counter[str] = Counter(rule for cell in cells for rule in cell.explained)
    blamed: dict[str, list[Cell]] = {}
    riddles: dict[str, list[Cell]] = {}
    for feature, mine in by_feature.items():
        left = list(mine)
        rules: list[str] = []
        while left:
            votes: Counter[str] = Counter(rule for cell in left for rule in cell.explained)
            if not votes:
                break
            best = max(votes, key=lambda r: (votes[r], overall[r], -ORDER.index(r)))
            if votes[best] < max(1.0, (ENOUGH if not rules else ALSO) * len(mine)):
                break
            rules.append(best)
            blamed.setdefault(best, []).extend(c for c in left if best in c.explained)
            left = [c for c in left if best not in c.explained]
        if not rules:
            riddles[feature] = mine
    found = [_blamed(rule, mine, different) for rule, mine in blamed.items()]
    found += [unexplained(subject, feature, mine, different, moves, company) for feature, mine in riddles.items()]
    return found


def _blamed(rule: str, cells: Sequence[Cell], different: Differences) -> Finding:
    features = sorted({c.feature for c in cells})
    what = (
        f"{len(cells)} stored values differ from the recomputation and are what this mistake gives, in "
        f"{len(features)} features"
    )
    if different.looked_at:
        total = sum(different.counts.get(f, 0) for f in features)
        what += f"; these features differ in {total:,} cells of {different.looked_at:,} snapshots computed again"
    where = ", ".join(features[:5]) + (", …" if len(features) > 5 else "")
    return Finding(rule, CHECK, "high", where, what, fix(rule), len(cells), None, tuple(c.evidence() for c in cells))
