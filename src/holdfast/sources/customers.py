"""From when to when somebody was a customer, to hold other tables against."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.artifacts.versions import instant
from holdfast.sources.columns import NEVER


def spans(engine: Engine, stays: Any, known_as_of: datetime | None) -> Any:
    """One row per customer: ``s_customer``, ``s_first`` start and ``s_last`` end (`NEVER`: still a customer).

    An end not known by ``known_as_of`` is not there.
    """
    never = ibis.literal(NEVER).cast("timestamp(6)")
    end = stays.end.fill_null(never)
    if known_as_of is not None:
        end = (stays.end_available_at < instant(known_as_of)).fill_null(False).ifelse(end, never)
    found = stays.group_by(s_customer=stays.customer_id).aggregate(s_first=stays.start.min(), s_last=end.max())
    return engine.materialize(found, "known_customers")


def beside(table: Any, known: Any) -> Any:
    """``table`` with what is known of each row's customer; nulls where nothing is."""
    return table.left_join(known, table.customer_id == known.s_customer)
