"""Contractual churn: stays, several to a customer, with gaps (DESIGN 3.3 and 3.5).

A stay covers ``(start, end]`` of the cutoffs. Stays that overlap or follow one another within `grace` are a chain,
and churn is the end of a chain: whoever comes back in time has not left. By what was known at a cutoff a customer
is at risk if a stay covers it whose chain holds a stay that goes on for all one knows; otherwise they had given notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import ibis

from holdfast.artifacts.versions import instant
from holdfast.config.data import Label

PAIR = ["customer_id", "cutoff"]
NEVER = datetime(9999, 1, 1)  # noqa: DTZ001 (tables are zoneless)
OF_CUTOFF = ["cutoff", "k", "label_start", "label_end", "label_available_at"]


def single_stays(stays: Any, cutoffs: Any, label: Label, known_as_of: datetime) -> Any:
    """What `chained_stays` gives, where every customer has one stay: there are no chains to follow."""
    t = _at_cutoffs(stays, cutoffs, known_as_of)
    covered = t.end.isnull() | (t.end >= t.cutoff)
    told = _known_end_before(t, t.cutoff) | (t.notice < t.cutoff).fill_null(False)
    seen = (t.start_available_at < t.cutoff) & ~told
    t = t.mutate(
        covered=covered, seen=seen, known_then=t.start_available_at < t.cutoff,
        churn=_churns(t.end_reason, label.reasons),
    )  # fmt: skip
    return t.filter(t.covered | t.seen).drop("start_available_at", "end_available_at", "notice", "end_reason")


def chained_stays(stays: Any, cutoffs: Any, label: Label, known_as_of: datetime) -> Any:
    """Every (customer, cutoff) that a stay covers in truth, or seemed to by what was known at the cutoff.

    Returns
    -------
    Ibis table
        customer_id, the columns of the cutoff, start (the first known then), end (of the chain that covers the
        cutoff; null: open), churn (whether its reason counts), covered, seen, known_then (of a covering stay).
    """
    truth = chains(stays, label, known_as_of)
    inside = truth.join(
        cutoffs, [truth.start < cutoffs.cutoff, truth.end.isnull() | (truth.end >= cutoffs.cutoff)]
    )  # fmt: skip
    covered = inside.group_by(PAIR).aggregate(
        last=inside["last"].max(), churn=inside.churn.any(), covered=inside.count() > 0,
        known_then=(inside.start_available_at < inside.cutoff).any(),
    )  # fmt: skip
    seen = _seen(stays, cutoffs, label)
    either = covered.outer_join(seen, PAIR)
    either = either.select(
        customer_id=ibis.coalesce(either.customer_id, either.customer_id_right),
        cutoff=ibis.coalesce(either.cutoff, either.cutoff_right),
        start=either.start,
        end=either["last"].nullif(_never()),
        churn=either.churn.fill_null(False),
        covered=either.covered.fill_null(False),
        seen=either.seen.fill_null(False),
        known_then=either.known_then.fill_null(False),
    )
    return cutoffs.select(OF_CUTOFF).inner_join(either, "cutoff")


def seen_stays(stays: Any, cutoffs: Any, label: Label, *, several: bool) -> Any:
    """(customer, cutoff) at risk by what was known strictly before each cutoff: customer_id, OF_CUTOFF, start."""
    if several:
        return _seen(stays, cutoffs, label).inner_join(cutoffs.select(OF_CUTOFF), "cutoff").drop("seen")
    ended_known = ibis.ifelse(stays.end.notnull(), stays.end_available_at, ibis.null("timestamp(6)"))
    told = ibis.least(ended_known, stays.notice)  # null only where both are
    known = stays.select("customer_id", "start", "start_available_at", told=told)
    joined = known.join(
        cutoffs.select(OF_CUTOFF),
        [
            known.start < cutoffs.cutoff,
            known.start_available_at < cutoffs.cutoff,
            known.told.isnull() | (known.told >= cutoffs.cutoff),
        ],
    )
    return joined.select("customer_id", *OF_CUTOFF, "start")


def first_starts(stays: Any, cutoffs: Any) -> Any:
    """The first start of each customer by what was known strictly before each cutoff: customer_id, cutoff, start."""
    known = stays.join(cutoffs, [stays.start < cutoffs.cutoff, stays.start_available_at < cutoffs.cutoff])
    return known.group_by(PAIR).aggregate(start=known.start.min())


def chains(stays: Any, label: Label, known_as_of: datetime) -> Any:
    """The stays and ends known by ``known_as_of``, with what became of the chain that each belongs to.

    Returns
    -------
    Ibis table
        The stays that cover any time at all, first (when the chain began), last (when it ended; `NEVER`: open) and
        churn (whether a stay that ended it ended for a reason that counts).
    """
    t = _known(stays, known_as_of)
    t = _chains(t.filter(t.end.isnull() | (t.end > t.start)), ["customer_id"], label)
    chain = ibis.window(group_by=["customer_id", "chain"])
    t = t.mutate(first=t.start.min().over(chain), last=t.end.fill_null(_never()).max().over(chain))
    counts = _churns(t.end_reason, label.reasons) & (t.end == t["last"]).fill_null(False)
    return t.mutate(churn=counts.any().over(chain))


def _seen(stays: Any, cutoffs: Any, label: Label) -> Any:
    """PAIR, start and seen (true) of those at risk by what was known then; stays known ahead count as going on."""
    t = stays.join(cutoffs.select("cutoff"), stays.start_available_at < cutoffs.cutoff)
    known_end = _known_end_before(t, t.cutoff)
    t = t.select(
        *PAIR,
        first=t.start.min().over(ibis.window(group_by=PAIR)),
        start=t.start,
        end=known_end.ifelse(t.end, ibis.null("timestamp(6)")),
        goes_on=~known_end & ~(t.notice < t.cutoff).fill_null(False),
    )
    t = _chains(t.filter(t.end.isnull() | (t.end > t.start)), PAIR, label)
    covers = (t.start < t.cutoff) & (t.end.isnull() | (t.end >= t.cutoff))
    chains = t.group_by([*PAIR, "chain"]).aggregate(
        start=t["first"].min(), seen=covers.any() & t.goes_on.any(),
    )  # fmt: skip
    return chains.filter(chains.seen).drop("chain")


def _chains(t: Any, keys: Sequence[str], label: Label) -> Any:
    """Number the chains of each key: ``chain`` grows where a stay begins more than `grace` after all before it."""
    order = {"group_by": list(keys), "order_by": [t.start, t.end.fill_null(_never())]}
    reach = t.end.fill_null(_never()).max().over(ibis.window(**order, preceding=(None, 1)))
    t = t.mutate(breaks=(t.start - ibis.interval(days=label.grace.days) > reach).fill_null(False).cast("int64"))
    order = {"group_by": list(keys), "order_by": [t.start, t.end.fill_null(_never())]}
    return t.mutate(chain=t.breaks.sum().over(ibis.window(**order, preceding=None, following=0))).drop("breaks")


def _known(stays: Any, known_as_of: datetime) -> Any:
    """Stays and ends known by ``known_as_of``."""
    now = instant(known_as_of)
    known = stays.filter(stays.start_available_at < now)
    ended = _known_end_before(known, now)
    return known.mutate(
        end=ended.ifelse(known.end, ibis.null("timestamp(6)")),
        end_available_at=ended.ifelse(known.end_available_at, ibis.null("timestamp(6)")),
        end_reason=ended.ifelse(known.end_reason, ibis.null("string")),
    )


def _at_cutoffs(stays: Any, cutoffs: Any, known_as_of: datetime) -> Any:
    known = _known(stays, known_as_of)
    known = known.select(
        "customer_id", "start", "start_available_at", "end", "end_available_at", "end_reason", "notice"
    )  # fmt: skip
    return known.join(cutoffs.select(OF_CUTOFF), known.start < cutoffs.cutoff)


def _known_end_before(t: Any, instant: Any) -> Any:
    return (t.end.notnull() & (t.end_available_at < instant)).fill_null(False)


def _churns(reason: Any, reasons: Sequence[str] | None) -> Any:
    return ibis.literal(True) if reasons is None else reason.isin(list(reasons)).fill_null(False)


def _never() -> Any:
    return ibis.literal(NEVER).cast("timestamp(6)")
