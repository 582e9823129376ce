"""Who is at risk at each cutoff, and what became of them (DESIGN 3.3 and 3.5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import ibis

from holdfast.clock import naive


def _instant(value: datetime) -> Any:
    return ibis.literal(naive(value)).cast("timestamp(6)")


def training_population(customers: Any, cutoffs: Any, *, known_as_of: datetime, complete_through: datetime) -> Any:
    """Snapshots with labels, by what is known at ``known_as_of``.

    Parameters
    ----------
    customers : canonical customers table
    cutoffs : table of `holdfast.snapshots.calendar.cutoff_table`

    Returns
    -------
    Ibis table
        customer_id, cutoff, k, start, state (matured | immature | in_lead), label (null unless matured),
        label_available_at. One row per customer at risk: ``start < cutoff <= end``, less those whose end was
        known before the cutoff (they had given notice).
    """
    now = _instant(known_as_of)
    ended = customers.end.notnull() & (customers.end_available_at < now)
    known = customers.filter(customers.start_available_at < now).select(
        "customer_id",
        "start",
        end=ibis.ifelse(ended, customers.end, ibis.null("timestamp(6)")),
        end_available_at=ibis.ifelse(ended, customers.end_available_at, ibis.null("timestamp(6)")),
    )
    at_risk = known.join(
        cutoffs,
        [
            known.start < cutoffs.cutoff,
            known.end.isnull() | (known.end >= cutoffs.cutoff),
            known.end_available_at.isnull() | (known.end_available_at >= cutoffs.cutoff),
        ],
    )
    matured = at_risk.label_available_at <= _instant(min(known_as_of, complete_through))
    in_lead = (at_risk.end < at_risk.label_start).fill_null(False)
    churned = ((at_risk.end >= at_risk.label_start) & (at_risk.end < at_risk.label_end)).fill_null(False)
    state = ibis.cases((in_lead, "in_lead"), (matured, "matured"), else_="immature")
    return at_risk.select(
        "customer_id",
        "cutoff",
        "k",
        "start",
        "label_available_at",
        state=state,
        label=ibis.ifelse(state == "matured", churned.cast("int8"), ibis.null("int8")),
    )


def scoring_population(customers: Any, cutoffs: Any) -> Any:
    """Customers to score, by what was known strictly before each cutoff; no labels.

    A customer whose end lies before the cutoff but was not known yet is scored: that is what the business saw.
    """
    ended_known = ibis.ifelse(customers.end.notnull(), customers.end_available_at, ibis.null("timestamp(6)"))
    known = customers.select("customer_id", "start", "start_available_at", ended_known=ended_known)
    at_risk = known.join(
        cutoffs,
        [
            known.start < cutoffs.cutoff,
            known.start_available_at < cutoffs.cutoff,
            known.ended_known.isnull() | (known.ended_known >= cutoffs.cutoff),
        ],
    )
    return at_risk.select("customer_id", "cutoff", "k", "start", "label_available_at")


def counts(population: Any) -> Any:
    """Snapshots by cutoff and state, with positives."""
    return population.group_by(["cutoff", "state"]).aggregate(
        snapshots=population.count(), positives=population.label.sum().fill_null(0)
    )


def unknown_leavers(customers: Any, cutoffs: Any, *, known_as_of: datetime) -> Any:
    """How many customer-cutoffs scoring would have held but training does not: ended, not yet known to have."""
    ended = customers.filter(customers.end_available_at < _instant(known_as_of))
    joined = ended.join(
        cutoffs,
        [
            ended.start < cutoffs.cutoff,
            ended.start_available_at < cutoffs.cutoff,
            ended.end < cutoffs.cutoff,
            ended.end_available_at >= cutoffs.cutoff,
        ],
    )
    return joined.aggregate(n=joined.count())
