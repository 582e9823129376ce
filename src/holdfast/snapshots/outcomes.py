"""Who churned after an instant of their own, such as a treatment: the label's meaning without its cutoffs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import ibis

from holdfast.config.data import DataSection
from holdfast.snapshots.activity import qualifying
from holdfast.snapshots.stays import chains


def churned(
    tables: Mapping[str, Any], data: DataSection, moments: Any, *, known_as_of: datetime
) -> Any:  # fmt: skip
    """Add ``churned`` to moments: whether the customer left in ``[at, until)``, by what is known at ``known_as_of``.

    Parameters
    ----------
    moments : customer_id, at, until and others; rows of customers that are not known are left out
    """
    keys = ["customer_id", "at", "until"]
    if data.label.churn == "inactivity":
        later = qualifying(tables, data, known_as_of)
        back = moments.select(keys).join(
            later,
            [
                moments.customer_id == later.customer_id,
                later.event_time >= moments["at"],
                later.event_time < moments.until,
            ],
        )
        back = back.select(keys).distinct().mutate(back=ibis.literal(True))
        joined = moments.left_join(back, keys)
        return joined.select(moments, churned=joined.back.isnull())
    assert data.stays is not None  # checked on load
    stays = chains(tables[data.stays[0]], data.label, known_as_of)
    left = moments.select(keys).join(
        stays,
        [
            moments.customer_id == stays.customer_id,
            stays["first"] <= moments["at"],
            stays["last"] >= moments["at"],
            stays["last"] < moments.until,
            stays.churn,
        ],
    )
    left = left.select(keys).distinct().mutate(left=ibis.literal(True))
    joined = moments.semi_join(stays, "customer_id").left_join(left, keys)
    return joined.select(*moments.columns, churned=joined.left.notnull())
