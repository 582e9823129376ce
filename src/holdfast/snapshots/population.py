"""Who is at risk at each cutoff, and what became of them (DESIGN 3.3 and 3.5).

Tables are canonical and by name, cutoffs a `holdfast.snapshots.calendar.cutoff_table`; there is one row per customer
and cutoff. The rules of each definition of churn are in `stays` (contractual) and `activity` (inactivity).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import ibis

from holdfast.artifacts.versions import instant
from holdfast.config.data import DataSection
from holdfast.snapshots import activity, stays

STATES = ("matured", "immature", "in_lead")
"""matured snapshots train; immature ones wait for their labels; those in_lead ended before the label window."""

EXCLUDED = ("notice", "ended_but_not_known", "start_not_known", "activity_not_known")
"""Why somebody is not in the training population.

notice               still a customer, and known to be leaving: neither trained on nor scored
ended_but_not_known  no customer any more, and not known to have left: scored then, not trained on
start_not_known      a customer, and not known to be one yet: neither
activity_not_known   active (inactivity churn), and not known to be: neither
"""


def training_population(
    tables: Mapping[str, Any], data: DataSection, cutoffs: Any, *, known_as_of: datetime, complete_through: datetime
) -> Any:
    """Snapshots with labels, by what is known at ``known_as_of``, of those whom scoring would have held.

    Returns
    -------
    Ibis table
        customer_id, cutoff, k, start (the first known before the cutoff), state (matured | immature | in_lead),
        label (null unless matured), label_available_at.
    """
    return at_risk(everyone(tables, data, cutoffs, known_as_of=known_as_of, complete_through=complete_through))


def at_risk(everyone: Any) -> Any:
    """The training population among `everyone`."""
    return everyone.filter(everyone.state.isin(STATES)).drop("other_reason")


def scoring_population(tables: Mapping[str, Any], data: DataSection, cutoffs: Any) -> Any:
    """Customers to score, by what was known strictly before each cutoff; no labels.

    A customer whose end lies before the cutoff but was not known yet is scored: that is what the business saw.
    """
    if data.label.churn == "inactivity":
        found = activity.active(tables, data, cutoffs)
    else:
        assert data.stays is not None  # checked on load
        name, config = data.stays
        found = stays.seen_stays(tables[name], cutoffs, data.label, several=config.id is not None)
    return found.select("customer_id", "cutoff", "k", "start", "label_available_at")


def everyone(
    tables: Mapping[str, Any], data: DataSection, cutoffs: Any, *, known_as_of: datetime, complete_through: datetime
) -> Any:
    """The training population and, for the count, whom it leaves out and why.

    Returns
    -------
    Ibis table
        As of `training_population`, state also one of `EXCLUDED`; other_reason says of a matured snapshot that the
        customer left in the label window for a reason that is no churn.
    """
    now = instant(min(known_as_of, complete_through))
    find = _inactive if data.label.churn == "inactivity" else _contractual
    found = find(tables, data, cutoffs, known_as_of)
    matured = found.label_available_at <= now
    state = ibis.cases((found.why.notnull(), found.why), (matured, "matured"), else_="immature")
    known = state == "matured"
    return found.select(
        "customer_id", "cutoff", "k", "start", "label_available_at", state=state,
        label=ibis.ifelse(known, (found.leaves & found.churn).cast("int8"), ibis.null("int8")),
        other_reason=known & found.leaves & ~found.churn,
    )  # fmt: skip


def _contractual(tables: Mapping[str, Any], data: DataSection, cutoffs: Any, known_as_of: datetime) -> Any:
    assert data.stays is not None  # checked on load
    name, config = data.stays
    find = stays.single_stays if config.id is None else stays.chained_stays
    t = find(tables[name], cutoffs, data.label, known_as_of)
    why = ibis.cases(
        (~t.covered, "ended_but_not_known"),
        (~t.seen & t.known_then, "notice"),
        (~t.seen, "start_not_known"),
        ((t.end < t.label_start).fill_null(False), "in_lead"),
        else_=ibis.null("string"),
    )
    leaves = ((t.end >= t.label_start) & (t.end < t.label_end)).fill_null(False)
    return t.select("customer_id", "cutoff", "k", "start", "label_available_at", "churn", why=why, leaves=leaves)


def _inactive(tables: Mapping[str, Any], data: DataSection, cutoffs: Any, known_as_of: datetime) -> Any:
    columns = ["customer_id", "cutoff", "k", "start", "label_available_at"]
    seen = activity.active(tables, data, cutoffs).select(columns)
    stayed = activity.came_back(tables, data, cutoffs, known_as_of).mutate(stayed=ibis.literal(True))
    labelled = seen.left_join(stayed, stays.PAIR)
    labelled = labelled.select(*columns, why=ibis.null("string"), leaves=labelled.stayed.isnull())
    unseen = activity.was_active(tables, data, cutoffs, known_as_of).anti_join(seen, stays.PAIR)
    unseen = unseen.inner_join(cutoffs.select("cutoff", "k", "label_available_at"), "cutoff").mutate(
        start=ibis.null("timestamp(6)"), why=ibis.literal("activity_not_known"), leaves=ibis.literal(False)
    )
    either = labelled.union(unseen.select(labelled.columns), distinct=False)
    return either.mutate(churn=ibis.literal(True))


def counts(everyone: Any) -> Any:
    """Customers by cutoff and state, with positives and those who left for another reason."""
    return everyone.group_by(["cutoff", "state"]).aggregate(
        snapshots=everyone.count(),
        positives=everyone.label.sum().fill_null(0),
        other_reason=everyone.other_reason.sum().fill_null(0),
    )
