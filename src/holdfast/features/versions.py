"""The rows of an events table by when each was known: which count in the end, which did not at some cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.artifacts.versions import marked
from holdfast.clock import utc
from holdfast.features.job import EventsJob
from holdfast.features.knowledge import bucket, known_rows, midnight
from holdfast.features.plan import SLOPE, buckets_of_days
from holdfast.features.states import evaluated


@dataclass(frozen=True)
class Versions:
    """The rows of a table by what is known of them.

    Attributes
    ----------
    every : all versions that exist for this build: customer_id, event_time, available_at, b and kb (buckets of the
        event and of its availability), the plan's columns and, where the table can have them, superseded_at and deleted
    settled : those that stand in the end
    replaced : those that do not; None where there are none
    lags : how many buckets after its own a settled row is known at most, where the delay is constant
    """

    every: Any
    settled: Any
    replaced: Any
    lags: int


def versions_of(engine: Engine, job: EventsJob) -> Versions:
    """The rows of the job's table that exist for its build."""
    config, plan = job.config, job.plan
    known = known_rows(job.table, job.known_as_of)
    lags = buckets_of_days(config.delay.days)
    b = bucket(known.event_time, job.grid)
    punctual = config.available_at is None and not lags and not _any(engine, known.available_at > known.event_time)
    columns = {
        **{c: known[c] for c in ("customer_id", "event_time", "available_at", *plan.columns)},
        **{name: evaluated(known, e).cast("int64") for name, e in plan.expressions.items()},
        **{c: known[c] for c, there in (("event_id", config.id), ("deleted", config.deleted)) if there},
        **{c: known[c] for c in ("repeats",) if c in known.columns},
        "b": b,
        "kb": b if punctual else bucket(known.available_at, job.grid),
    }
    rows = known.select(**columns)
    rows = rows.mutate(lag=ibis.greatest(rows.kb - rows.b, 0)) if lags else rows
    if config.id is None:
        return Versions(rows, rows, None, lags)
    if "repeats" not in rows.columns:
        rows, _ = marked(engine, rows, ["event_id"], f"{job.prefix}_again")
    several = rows.filter(rows.repeats).drop("repeats")
    later = several.available_at.lead().over(ibis.window(group_by="event_id", order_by=several.available_at))
    several = engine.materialize(several.mutate(superseded_at=later), f"{job.prefix}_several")
    if not engine.to_arrow(several.limit(1)).num_rows:  # as nearly always
        return Versions(rows, _standing(rows), None, lags)
    single = rows.filter(~rows.repeats).drop("repeats").mutate(superseded_at=ibis.null("timestamp(6)"))
    every = single.union(several, distinct=False)
    settled = _standing(every.filter(every.superseded_at.isnull()))
    return Versions(every, settled, several.filter(several.superseded_at.notnull()), lags)


def _any(engine: Engine, condition: Any) -> bool:
    """Whether a condition holds for any row."""
    return bool(engine.to_arrow(condition.any().name("found")).column("found")[0].as_py())


def _standing(rows: Any) -> Any:
    return rows.filter(rows.deleted == 0) if "deleted" in rows.columns else rows


@dataclass(frozen=True)
class Coverage:
    """What a look over all rows says of a table.

    Attributes
    ----------
    begins : by k, when the source begins, as it was known at each cutoff that it covers
    late : whether any row came late
    complete : the columns of values without a null
    """

    begins: dict[int, datetime]
    late: bool
    complete: frozenset[str]


def coverage(engine: Engine, job: EventsJob, versions: Versions) -> Coverage:
    """Look over all rows once.

    A source begins at the midnight at or before the first event known; older rows that came later must not reach back
    into cutoffs before them.
    """
    rows = versions.every
    counts = {"first": rows.event_time.min(), "late": (rows.kb - rows.b > versions.lags).sum()}
    values = sorted({s.column for s in job.plan.needed if s.kind == "nv" and s.column in job.plan.columns})
    counts |= {f"nulls_{i}": rows[c].isnull().sum() for i, c in enumerate(values)}
    found = engine.to_arrow(rows.group_by("kb").aggregate(**counts)).to_pylist()
    arrived = sorted((row["kb"], row["first"]) for row in found)
    begins: dict[int, datetime] = {}
    earliest: datetime | None = None
    for k in range(job.ks[0], job.ks[1] + 1):
        while arrived and arrived[0][0] <= k:
            first = midnight(utc(arrived.pop(0)[1]))
            earliest = first if earliest is None else min(earliest, first)
        if earliest is not None and earliest < job.grid.at(k):
            begins[k] = earliest
    late = any(row["late"] and row["kb"] > job.ks[0] for row in found)
    complete = frozenset(c for i, c in enumerate(values) if not any(row[f"nulls_{i}"] for row in found))
    return Coverage(begins, late, complete)


def dirty_pairs(
    engine: Engine, job: EventsJob, versions: Versions, pairs: Any, begins: Mapping[int, datetime], *, late: bool
) -> Any:
    """(customer_id, k) where what was known differs from the settled rows before the cutoff; None where nowhere.

    A settled version is missing at cutoffs in (event_time, available_at]; a replaced one was believed at cutoffs in
    (max(event_time, available_at), superseded_at]. Where the source was thought to begin later than in the end, other
    months are full.
    """
    if not job.plan.reach or job.known_as_of <= job.grid.at(job.ks[0]):
        return None  # whatever this build knows was known at every cutoff, as always in scoring
    spans: list[Any] = []
    if late:
        rows = versions.settled.filter(versions.settled.kb - versions.settled.b > versions.lags)
        spans.append(rows.select("customer_id", low=rows.b, high=rows.kb - 1))
    if versions.replaced is not None:
        rows = versions.replaced
        until = bucket(rows.superseded_at, job.grid) - 1
        spans.append(rows.select("customer_id", low=ibis.greatest(rows.b, rows.kb), high=until))
    found: list[Any] = []
    for span in spans:
        span = span.filter(span.low <= span.high, span.high >= job.ks[0], span.low <= job.ks[1])
        within = [pairs.customer_id == span.customer_id, pairs.k >= span.low, pairs.k <= span.high]
        found.append(pairs.semi_join(span, within).select("customer_id", "k"))
    early = [k for k, at in begins.items() if at != begins[job.ks[1]]]
    if early and any(state.kind in SLOPE for state in job.plan.needed):
        found.append(pairs.filter(pairs.k <= max(early)).select("customer_id", "k"))
    if not found:
        return None
    dirty = found[0] if len(found) == 1 else ibis.union(*found, distinct=True)
    dirty = engine.materialize(dirty, f"{job.prefix}_dirty")
    return dirty if engine.to_arrow(dirty.limit(1)).num_rows else None
