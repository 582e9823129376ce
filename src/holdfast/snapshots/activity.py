"""Inactivity churn: no qualifying event for some days, of those who had one not long before (DESIGN 3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import ibis

from holdfast.artifacts.versions import known_rows, with_superseded
from holdfast.config.data import DataSection, EventsTable
from holdfast.errors import ConfigError, Problem
from holdfast.snapshots.stays import OF_CUTOFF, PAIR, first_starts


def active(tables: Mapping[str, Any], data: DataSection, cutoffs: Any) -> Any:
    """Who has a qualifying event in ``[cutoff - active_within, cutoff)``, by what was known strictly before the cutoff.

    Returns
    -------
    Ibis table
        customer_id, the columns of the cutoff, and start: the stay's first, or else the first event of any sort.
    """
    events = _versions(tables, data)
    shown = events.filter(_qualifies(events, data))
    seen = shown.join(cutoffs, [shown.event_time >= _since(cutoffs, data), *_believed(shown, cutoffs.cutoff)])
    found = seen.select(*PAIR).distinct().inner_join(_first_events(events, cutoffs), PAIR)
    found = found.select(*PAIR, "first")
    if data.stays is not None:
        starts = first_starts(tables[data.stays[0]], cutoffs)
        found = found.left_join(starts, PAIR).select(*PAIR, first=ibis.coalesce(ibis._.start, ibis._.first))
    found = found.inner_join(cutoffs.select(OF_CUTOFF), "cutoff")
    return found.select("customer_id", *OF_CUTOFF, start="first")


def came_back(tables: Mapping[str, Any], data: DataSection, cutoffs: Any, known_as_of: datetime) -> Any:
    """PAIR of those with a qualifying event in the label window, by what is known at ``known_as_of``."""
    shown = qualifying(tables, data, known_as_of)
    found = shown.join(cutoffs, [shown.event_time >= cutoffs.label_start, shown.event_time < cutoffs.label_end])
    return found.select(*PAIR).distinct()


def was_active(tables: Mapping[str, Any], data: DataSection, cutoffs: Any, known_as_of: datetime) -> Any:
    """PAIR of those who were active before the cutoff by what is known at ``known_as_of``."""
    shown = qualifying(tables, data, known_as_of)
    found = shown.join(cutoffs, [shown.event_time >= _since(cutoffs, data), shown.event_time < cutoffs.cutoff])
    return found.select(*PAIR).distinct()


def _first_events(events: Any, cutoffs: Any) -> Any:
    """PAIR and the first event that was known; only rows older than all that were known before them can be it."""
    lasting = events.filter(events.superseded_at.isnull())
    known = ibis.greatest(lasting.event_time, lasting.available_at)
    lasting = lasting.select("customer_id", "event_time", "available_at", "superseded_at", known=known)
    before = ibis.window(group_by="customer_id", order_by=[lasting.known, lasting.event_time], preceding=(None, 1))
    lasting = lasting.mutate(oldest=lasting.event_time.min().over(before))
    records = lasting.filter(lasting.oldest.isnull() | (lasting.event_time < lasting.oldest))
    columns = ["customer_id", "event_time", "available_at", "superseded_at"]
    passing = events.filter(events.superseded_at.notnull()).select(columns)
    either = records.select(columns).union(passing, distinct=False)
    seen = either.join(cutoffs, _believed(either, cutoffs.cutoff))
    return seen.group_by(PAIR).aggregate(first=seen.event_time.min())


def _believed(events: Any, cutoff: Any) -> list[Any]:
    return [
        events.event_time < cutoff,
        events.available_at < cutoff,
        events.superseded_at.isnull() | (events.superseded_at >= cutoff),
    ]


def _versions(tables: Mapping[str, Any], data: DataSection, known_as_of: datetime | None = None) -> Any:
    """Versions of the events that show activity, with superseded_at; deletions are left out after they superseded."""
    name, config = _source(data)
    events = tables[name] if known_as_of is None else known_rows(tables[name], known_as_of)
    if config.id is None:
        events = events.mutate(superseded_at=ibis.null("timestamp(6)"))
    else:
        events = with_superseded(events, ["event_id"])
    return events.filter(events.deleted == 0)


def qualifying(tables: Mapping[str, Any], data: DataSection, known_as_of: datetime) -> Any:
    """The events that show activity, each as it is known at ``known_as_of``."""
    events = _versions(tables, data, known_as_of)
    return events.filter(events.superseded_at.isnull() & _qualifies(events, data))


def _qualifies(events: Any, data: DataSection) -> Any:
    """Which rows show that a customer is active.

    Raises
    ------
    ConfigError
        A word of ``label.where`` is no value of its column.
    """
    _, config = _source(data)
    found = ibis.literal(True)
    for name, words in data.label.where.items():
        try:
            values = [config.columns[name].stored(word) for word in words]
        except ValueError as e:
            where = f"data.label.where.{name}"
            raise ConfigError("the configuration does not fit the data", [Problem(where, str(e))]) from e
        found = found & events[f"c_{name}"].isin(values).fill_null(False)
    return found


def _source(data: DataSection) -> tuple[str, EventsTable]:
    assert data.label.events is not None  # checked on load
    config = data.tables[data.label.events]
    assert isinstance(config, EventsTable)
    return data.label.events, config


def _since(cutoffs: Any, data: DataSection) -> Any:
    assert data.label.active_within is not None  # checked on load
    return cutoffs.cutoff - ibis.interval(days=data.label.active_within)
