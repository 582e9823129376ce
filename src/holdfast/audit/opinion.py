"""The independent recomputation: what the slow oracle says of single customers and snapshots."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from holdfast.audit import oracle_features
from holdfast.audit import oracle_snapshots as oracle
from holdfast.audit.rows import Story
from holdfast.audit.subject import Subject
from holdfast.clock import naive
from holdfast.config.data import DataSection
from holdfast.snapshots.calendar import Cutoff

Values = dict[str, float | str | None]


class Opinion:
    """What the oracle says of single snapshots.

    Parameters
    ----------
    begins : rows of nobody, see `holdfast.audit.rows.begins_rows`
    """

    def __init__(self, subject: Subject, begins: Story) -> None:
        self._data: dict[str, Any] = subject.config.data.model_dump(mode="json")
        self._wanted: dict[str, Any] = subject.config.features.model_dump(mode="json")
        self._begins = begins
        self._section = subject.config.data
        self._churn = _churn(subject.config.data)
        self._known = naive(subject.known_as_of)
        self._complete = naive(subject.complete_through)

    def features(self, customer: str, story: Story, cutoff: Cutoff, *, microseconds: int = 0) -> Values:
        """The features of a customer at a cutoff as they are stored; ``microseconds`` moves what counts as before."""
        tables = {name: [*rows, *self._begins.get(name, ())] for name, rows in story.items()}
        found = oracle_features.features(
            tables, self._data, self._wanted, cutoff=naive(cutoff.at) + timedelta(microseconds=microseconds),
            anchor=cutoff.grid.anchor_day, customers={customer},
        )  # fmt: skip
        return {name: oracle_features.float32(value) for name, value in found.get(customer, {}).items()}

    def state(self, customer: str, story: Story, cutoff: Cutoff) -> tuple[str, int | None] | None:
        """State and label of a customer at a cutoff, or why they are left out; None where there is nobody."""
        at, anchor, data = naive(cutoff.at), cutoff.grid.anchor_day, self._section
        known = {"known_as_of": self._known, "complete_through": self._complete}
        if data.label.churn == "contractual":
            assert data.stays is not None  # checked on load
            return oracle.snapshot(story[data.stays[0]], at, anchor, self._churn, **known)
        rows = story[data.label.events or ""]
        mine = [r for r in oracle.events_at(rows, at) if r["customer_id"] == customer]
        final = [r for r in oracle.believed(rows, ["event_id"], self._known) if not r["deleted"]]
        final = [r for r in final if r["customer_id"] == customer]
        return oracle.inactivity(mine, final, at, anchor, self._churn, **known)


def _churn(data: DataSection) -> oracle.Churn:
    """The label section as the oracle reads it."""
    label = data.label
    columns = getattr(data.tables[label.events], "columns", {}) if label.events is not None else {}
    accepted = {f"c_{c}": [columns[c].stored(word) for word in words] for c, words in label.where.items()}
    return oracle.Churn(
        lead=str(label.lead),
        horizon=str(label.window),
        grace=label.grace.days,
        delay=label.delay.days,
        reasons=label.reasons,
        active_within=label.active_within,
        qualifies=lambda row: all(row[c] in values for c, values in accepted.items()),
    )
