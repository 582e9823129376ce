"""(c) Who is in the population: everybody at risk by what was known, whatever came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from holdfast.audit import label_windows
from holdfast.audit.ends import Ends
from holdfast.audit.label_windows import LOOK_BACK
from holdfast.audit.names import fix
from holdfast.audit.opinion import Opinion
from holdfast.audit.report import Finding, Outcome
from holdfast.audit.rows import Story
from holdfast.audit.subject import Subject
from holdfast.clock import naive
from holdfast.snapshots.population import STATES

CHECK = "labels"
KEYS = ["customer_id", "cutoff"]
FALSE_ALARM = 1e-3
"""A difference of outcome between those in and out is called chance up to this probability."""


def check(subject: Subject, population: pa.Table, ends: Ends) -> Outcome:
    """Compare the stored customers of every cutoff with those at risk."""
    stored = subject.stored.select([*KEYS, "label"])
    missing = population.join(stored.select(KEYS), KEYS, join_type="left anti")
    extra = stored.join(population.select(KEYS), KEYS, join_type="left anti")
    kept = population.join(stored.select(KEYS), KEYS, join_type="left semi")
    findings: list[Finding] = []
    if missing.num_rows:
        findings.append(_missing(population, missing, kept, ends))
    if extra.num_rows:
        findings += _extra(subject, extra, stored, ends)
    repeated = stored.group_by(KEYS).aggregate([([], "count_all")])
    repeated = repeated.filter(pc.greater(repeated.column("count_all"), 1))
    if repeated.num_rows:
        what = f"{repeated.num_rows:,} snapshots are there more than once"
        rows = repeated.slice(0, 5).to_pylist()
        findings.append(
            Finding("dataset-differs", CHECK, "high", "population", what, fix("dataset-differs"), repeated.num_rows,
                    stored.num_rows, tuple(rows))
        )  # fmt: skip
    looked = f"{population.num_rows:,} customers at risk at {len(subject.cutoffs)} cutoffs, by the tables"
    return Outcome(looked, findings)


def by_oracle(
    subject: Subject, told: Mapping[str, Story], opinion: Opinion, ends: Ends, *, labels_too: bool = True
) -> Outcome:
    """The same, and the labels, of some customers at every cutoff, by the slow oracle.

    Parameters
    ----------
    labels_too : False where the labels are known to be wrong, and why: fewer of them would only be named less surely
    """
    rows = [
        {"customer_id": customer, "cutoff": naive(cutoff.at), "state": found[0], "label": found[1]}
        for customer, story in told.items()
        for cutoff in subject.cutoffs
        if (found := opinion.state(customer, story, cutoff)) is not None and found[0] in STATES
    ]
    due = pa.Table.from_pylist(rows, pa.schema([
        ("customer_id", pa.string()), ("cutoff", pa.timestamp("us")), ("state", pa.string()), ("label", pa.int8())
    ]))  # fmt: skip
    mine = pc.is_in(subject.stored.column("customer_id"), pa.array(list(told), pa.string()))
    small = replace(subject, stored=subject.stored.filter(mine))
    compared = check(small, due, ends)
    looked = f"{len(told):,} of them at every cutoff by the oracle"
    return Outcome(looked, [*compared.findings, *(label_windows.windows(small, due, ends) if labels_too else ())])


def _missing(population: pa.Table, missing: pa.Table, kept: pa.Table, ends: Ends) -> Finding:
    """Customers at risk who are not there: is their outcome another than that of those who are?"""
    now = _rate(missing, kept, "label")
    later = _eventually(missing, kept, ends)
    said = [
        f"{words} among the missing {a:.1%}, among the others {b:.1%}"
        for words, (a, b, p) in (("churned in the window:", now), ("left at any time:", later))
        if p < FALSE_ALARM
    ]
    name = "population-by-outcome" if said else "population-differs"
    what = f"{missing.num_rows:,} snapshots of customers at risk are not in the dataset"
    what += f"; {'; '.join(said)}" if said else "; their outcome is like that of the others"
    rows = missing.select([*KEYS, "state", "label"]).slice(0, 5).to_pylist()
    return Finding(
        name, CHECK, "high", "population", what, fix(name), missing.num_rows, population.num_rows, tuple(rows)
    )


def _extra(subject: Subject, extra: pa.Table, stored: pa.Table, ends: Ends) -> list[Finding]:
    """Snapshots of customers who are not at risk."""
    start = {naive(c.at): naive(c.label_window.start) for c in subject.cutoffs}
    positive = extra.filter(pc.fill_null(pc.equal(extra.column("label"), 1), False))
    gone: list[dict[str, Any]] = []
    if ends.churned and positive.num_rows:
        some = positive.slice(0, 500).to_pylist()
        told = ends.of([r["customer_id"] for r in some])
        for row in some:
            opens = start[row["cutoff"]]
            before = [t for t in told.get(row["customer_id"], []) if opens - LOOK_BACK <= t < opens]
            if before:
                gone.append({**row, "end": max(before)})
    found: list[Finding] = []
    rest = extra
    if gone:
        name = "label-window-opens-early"
        what = (
            f"{positive.num_rows:,} snapshots with label 1 are of customers who had left before the label window opens"
        )
        found.append(
            Finding(name, CHECK, "high", "population", what, fix(name), positive.num_rows, stored.num_rows, tuple(gone))
        )
        rest = extra.filter(pc.invert(pc.fill_null(pc.equal(extra.column("label"), 1), False)))
    if rest.num_rows:
        others = stored.join(extra.select(KEYS), KEYS, join_type="left anti")
        a, b, p = _rate(rest, others, "label")
        by_outcome = p < FALSE_ALARM and not gone
        name = "population-by-outcome" if by_outcome else "population-differs"
        what = f"{rest.num_rows:,} snapshots are of customers who are not at risk at their cutoff"
        what += f"; {a:.1%} of them churned, of the others {b:.1%}" if by_outcome else ""
        rows = rest.slice(0, 5).to_pylist()
        found.append(
            Finding(name, CHECK, "high", "population", what, fix(name), rest.num_rows, stored.num_rows, tuple(rows))
        )
    return found


Rates = tuple[float, float, float]
"""Share here, share there, and the probability of so large a difference by chance."""


def _rate(mine: pa.Table, others: pa.Table, column: str) -> Rates:
    def counted(table: pa.Table) -> tuple[int, int]:
        values = table.column(column).drop_null()
        return int(pc.sum(values).as_py() or 0), len(values)

    return _compare(*counted(mine), *counted(others))


def _eventually(missing: pa.Table, kept: pa.Table, ends: Ends) -> Rates:
    """The same of the customers, and whether they left at any time after."""
    if not ends.churned:
        return 0.0, 0.0, 1.0
    left = pa.array(sorted(set(ends.customer.to_pylist()) - {None}), pa.string())
    out = missing.column("customer_id").unique()
    always = kept.column("customer_id").unique()
    always = always.filter(pc.invert(pc.is_in(always, out)))
    a, b = (int(pc.sum(pc.is_in(c, left)).as_py() or 0) for c in (out, always))
    return _compare(a, len(out), b, len(always))


def _compare(churned_here: int, here: int, churned_there: int, there: int) -> Rates:
    """Both churn rates, and the probability of so large a difference by chance (Fisher's exact test)."""
    if not here or not there:
        return 0.0, 0.0, 1.0
    from scipy.stats import fisher_exact  # a second to import, needed only where something differs

    table = [[churned_here, here - churned_here], [churned_there, there - churned_there]]
    return churned_here / here, churned_there / there, float(fisher_exact(table).pvalue)
