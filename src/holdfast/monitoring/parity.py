"""Whether the online store answers what the offline side gives: the same customers twice, bit for bit.

Each value is there up to three times: as served, as stored when it was scored, and computed again from the tables.
What is served and was never stored is wrong whatever the tables say now. What was stored and no longer follows from
the tables is wrong too, unless the tables cannot replay it: then it is said that it could not be verified.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from holdfast.clock import iso
from holdfast.errors import MAX_EXAMPLES, Problem, shown

Row = Mapping[str, Any]
"""A customer's values by column: features, score and decision."""
Wrong = Literal["online", "offline"]
"""online: served, and not what was stored. offline: served as stored, and not what the tables and the bundle give."""

CUSTOMER = "customer"
"""The column of a difference that is about the whole row."""
_SAID: dict[Wrong, str] = {
    "online": "served otherwise than it was scored or decided",
    "offline": "served as stored, but the tables and the bundle give another value",
}
_FIX: dict[Wrong, str] = {
    "online": "Run: holdfast materialize",
    "offline": "See what changed in the tables of before the cutoff; then score, decide and materialize again.",
}


CONTRIBUTIONS_APART = 1e-6
"""In log-odds. A few rows are explained by the library itself, many by our tables: the two round otherwise."""


@dataclass(frozen=True)
class Difference:
    """One value that is not what it should be; ``expected`` is the other side's."""

    customer_id: str
    column: str
    wrong: Wrong
    served: Any
    expected: Any

    def __str__(self) -> str:
        return f"{self.customer_id}: served {shown(self.served)}, expected {shown(self.expected)}"


@dataclass(frozen=True)
class ParityReport:
    """What a sample of a generation's customers says of it.

    Attributes
    ----------
    generation, cutoff, model_version : what serves
    customers : how many it holds
    sampled : how many were looked at
    differences : all values that differ, by column, then by customer
    unverifiable : what could not be verified, and why, in words
    """

    generation: str
    cutoff: datetime
    model_version: str
    customers: int
    sampled: int
    differences: tuple[Difference, ...]
    unverifiable: tuple[str, ...]

    def counts(self) -> list[tuple[str, Wrong, list[Difference]]]:
        """The differences by column and by which side is wrong."""
        found: dict[tuple[str, Wrong], list[Difference]] = {}
        for difference in self.differences:
            found.setdefault((difference.column, difference.wrong), []).append(difference)
        return [(column, wrong, those) for (column, wrong), those in found.items()]

    def problems(self) -> list[Problem]:
        """The differences as problems, each with examples; these name customers."""
        return [
            Problem(column, _SAID[wrong], _FIX[wrong], len(those), tuple(map(str, those[:MAX_EXAMPLES])))
            for column, wrong, those in self.counts()
        ]

    @property
    def summary(self) -> str:
        """One line; no customer is in it."""
        if not self.differences:
            return f"{self.sampled:,} of {self.customers:,} customers sampled, all served as they should be"
        wrong = len({d.customer_id for d in self.differences})
        columns = [column for column, _, _ in self.counts()]
        more = f" and {len(columns) - MAX_EXAMPLES} more" if len(columns) > MAX_EXAMPLES else ""
        return f"{wrong:,} of {self.sampled:,} customers sampled differ in {', '.join(columns[:MAX_EXAMPLES])}{more}"

    def to_json(self) -> dict[str, Any]:
        """Counts by column; no customer is in it."""
        columns = [{"column": c, "wrong": wrong, "customers": len(those)} for c, wrong, those in self.counts()]
        return {
            "generation": self.generation,
            "cutoff": iso(self.cutoff),
            "model_version": self.model_version,
            "customers": self.customers,
            "sampled": self.sampled,
            "differences": columns,
            "unverifiable": list(self.unverifiable),
            "summary": self.summary,
        }


def differences(
    served: Mapping[str, Row | None], stored: Mapping[str, Row], computed: Mapping[str, Row], *, excused: bool = False
) -> tuple[list[Difference], dict[str, int]]:
    """Compare customers as served with what was stored of them, and with what is computed of them now.

    Parameters
    ----------
    served : by customer; None where the row cannot be decoded, and no entry where there is none
    stored, computed : rows of the columns that there are; of the customers that should be served
    excused : what is served as stored need not be what is computed now

    Returns
    -------
    (differences by column and customer, values that were excused by column)
    """
    found: list[Difference] = []
    pardoned: dict[str, int] = {}
    for customer in sorted(stored.keys() | computed.keys()):
        if customer not in served:
            lost: Wrong = "online" if customer in stored else "offline"
            found.append(Difference(customer, CUSTOMER, lost, None, "a row"))
            continue
        row = served[customer]
        if row is None:
            found.append(Difference(customer, CUSTOMER, "online", "a row that cannot be decoded", "a row"))
            continue
        then, now = stored.get(customer, {}), computed.get(customer, {})
        for column in sorted(then.keys() | now.keys()):
            value = row.get(column)
            if column in then and not same(value, then[column]):
                found.append(Difference(customer, column, "online", value, then[column]))
            elif column in now and not same(value, now[column], apart=CONTRIBUTIONS_APART):
                if excused and column in then:
                    pardoned[column] = pardoned.get(column, 0) + 1
                    continue
                wrong: Wrong = "offline" if column in then else "online"
                found.append(Difference(customer, column, wrong, value, now[column]))
    return sorted(found, key=lambda d: (d.column, d.customer_id)), pardoned


def same(one: Any, other: Any, *, apart: float = 0.0) -> bool:
    """Whether two values are the same, floats bit for bit, also within lists and mappings.

    ``apart`` is how far contributions, and they alone, may be from each other.
    """
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        near = {k for k in one if k == "contribution" and _near(one[k], other.get(k), apart)}
        return one.keys() == other.keys() and all(k in near or same(one[k], other[k], apart=apart) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b, apart=apart) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def _near(one: Any, other: Any, apart: float) -> bool:
    return isinstance(one, float) and isinstance(other, float) and abs(one - other) <= apart
