"""Features of one events table: buckets once, ROWS frames over a dense spine, and an exact path for the rest.

Most rows are known before the first cutoff that could use them: they are aggregated once to (customer, bucket)
and every window is a frame over the spine. Rows that arrived late or were corrected change what was known at a
few (customer, cutoff) pairs only; those pairs are recomputed from the versions known at their own cutoff.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa

from holdfast.artifacts.engine import Engine
from holdfast.clock import Grid, naive, utc
from holdfast.config.data import EventsTable
from holdfast.features import measures as ms
from holdfast.features.knowledge import (
    bucket,
    first_full_bucket,
    instant,
    known_rows,
    midnight,
    with_superseded,
)
from holdfast.features.measures import PlannedMeasure


@dataclass(frozen=True)
class EventsJob:
    """What to compute of one events table."""

    number: int
    """Tells the tables of one computation apart; their names may hold anything."""
    name: str
    config: EventsTable
    table: Any
    measures: Sequence[PlannedMeasure]
    longest: int


def event_features(
    engine: Engine, job: EventsJob, population: Any, *, grid: Grid, known_as_of: datetime, ks: tuple[int, int]
) -> Any:
    """Features of an events table for a population on one grid.

    Parameters
    ----------
    population : customer_id, cutoff, k, start and ``start_<w>m`` of every window, one row per pair
    ks : first and last grid index of the population

    Returns
    -------
    Ibis table
        customer_id, k and the features (float32), one row per population row.
    """
    prefix = f"events_{job.number}"
    versions = known_rows(job.table, known_as_of)
    if job.config.id is not None:
        versions = with_superseded(versions, ["event_id"])
    else:
        versions = versions.mutate(superseded_at=ibis.null("timestamp(6)"))
    versions = versions.mutate(b=bucket(versions.event_time, grid))
    versions = engine.materialize(versions, f"{prefix}_versions")

    begins = _begins(engine, versions, grid, ks)
    population = population.inner_join(_begins_table(engine, begins, f"{prefix}_begins"), "k")
    dirty = engine.materialize(_dirty_pairs(versions, population, grid, begins[ks[1]]), f"{prefix}_dirty")
    exposed = population.mutate(exposed_from=ibis.greatest(population.start, population.begins))
    exposed = exposed.mutate(first_full=first_full_bucket(exposed.exposed_from, grid))

    settled = versions.filter(versions.superseded_at.isnull(), versions.deleted == 0)
    if engine.to_arrow(dirty.limit(1)).num_rows:
        fast = _frames(engine, job, settled, exposed.anti_join(dirty, ["customer_id", "k"]), ks, prefix)
        exact = _as_of(job, versions, exposed.semi_join(dirty, ["customer_id", "k"]))
        states = fast.union(exact.select(*fast.columns), distinct=False)
    else:  # always so when scoring: nothing is known later than the cutoff
        states = _frames(engine, job, settled, exposed, ks, prefix)

    covered = states.cutoff > states.begins
    found: dict[str, Any] = {}
    for m in job.measures:
        found |= ms.features(states, m, covered)
    found[f"{job.name}_exposure_months"] = _full_months(states, job.longest).cast("float32")
    result = engine.materialize(states.select("customer_id", "k", **found), f"{prefix}_features")
    engine.drop(*(f"{prefix}_{t}" for t in ("versions", "begins", "dirty", "steps", "spine")))
    return result


def _begins(engine: Engine, versions: Any, grid: Grid, ks: tuple[int, int]) -> dict[int, datetime]:
    """When the source begins, as it was known at each cutoff: the midnight at or before the first event known then.

    Older rows that came later must not reach back into cutoffs before them. Where nothing was known yet it is the
    cutoff itself: none of the window is covered.
    """
    first = versions.group_by(known=bucket(versions.available_at, grid)).aggregate(first=versions.event_time.min())
    rows = sorted((row["known"], row["first"]) for row in engine.to_arrow(first).to_pylist())
    found: dict[int, datetime] = {}
    begins: datetime | None = None
    for k in range(ks[0], ks[1] + 1):
        while rows and rows[0][0] <= k:
            earliest = midnight(utc(rows.pop(0)[1]))
            begins = earliest if begins is None else min(begins, earliest)
        found[k] = grid.at(k) if begins is None else begins
    return found


def _begins_table(engine: Engine, begins: Mapping[int, datetime], name: str) -> Any:
    columns = [pa.array(list(begins), pa.int64()), pa.array([naive(b) for b in begins.values()], pa.timestamp("us"))]
    return engine.from_arrow(pa.table(columns, names=["k", "begins"]), name)


def _dirty_pairs(versions: Any, population: Any, grid: Grid, begins: datetime) -> Any:
    """(customer_id, k) where what was known differs from the settled rows before the cutoff.

    A settled version is missing at cutoffs in (event_time, available_at]; a superseded one was believed at
    cutoffs in (max(event_time, available_at), superseded_at]. Where the source was thought to begin later than in the
    end (``begins``), other months count as full.
    """
    late = versions.filter(versions.superseded_at.isnull()).select(
        "customer_id", low=versions.b, high=bucket(versions.available_at, grid) - 1
    )
    replaced = versions.filter(versions.superseded_at.notnull())
    believed = ibis.greatest(replaced.event_time, replaced.available_at)
    replaced = replaced.select("customer_id", low=bucket(believed, grid), high=bucket(replaced.superseded_at, grid) - 1)
    spans = late.union(replaced, distinct=False)
    spans = spans.filter(spans.low <= spans.high).distinct()
    every = population.select("customer_id", "k", "begins")
    pairs = every.join(spans, ["customer_id", every.k >= spans.low, every.k <= spans.high])
    early = every.filter(every.begins != instant(begins)).select("customer_id", "k")
    return pairs.select("customer_id", "k").union(early, distinct=False).distinct()


def _frames(engine: Engine, job: EventsJob, settled: Any, pairs: Any, ks: tuple[int, int], prefix: str) -> Any:
    """Window states by ROWS frames over a dense (customer, bucket) spine."""
    first, last = ks[0] - job.longest + 1, ks[1]
    rows = settled.filter(settled.b.between(first, last))
    buckets = rows.group_by(["customer_id", "b"]).aggregate(**ms.bucket_states(rows, job.measures))
    customers = pairs.group_by("customer_id").aggregate(first_full=pairs.first_full.min())
    steps = engine.from_arrow(pa.table({"b": pa.array(range(first, last + 1), pa.int64())}), f"{prefix}_steps")
    spine = customers.cross_join(steps)
    spine = spine.left_join(buckets, ["customer_id", "b"]).drop("customer_id_right", "b_right")
    spine = engine.materialize(spine, f"{prefix}_spine")

    def frame(w: int) -> Any:
        return ibis.window(group_by="customer_id", order_by="b", preceding=w - 1, following=0)

    columns: dict[str, Any] = {}
    for state, lengths in sorted(ms.needed_windows(job.measures).items()):
        kind = state.rpartition("__")[2]
        for w in sorted(lengths):
            value = ms.combine(spine[state], kind).over(frame(w))
            if kind in ms.WIDE_SUMS:
                value = value.cast(ms.WIDE)
            columns[f"{state}_{w}"] = value.fill_null(0) if kind in ("rows", *ms.SUMS) else value
    full = spine.b >= spine.first_full
    for m in job.measures:
        for w in m.windows.get("trend", []):
            y = ibis.ifelse(full, spine[m.y].fill_null(0), 0).cast(ms.WIDE)
            columns[f"{m.name}__y_{w}"] = y.sum().over(frame(w)).cast(ms.WIDE)
            columns[f"{m.name}__by_{w}"] = (y * spine.b.cast(ms.WIDE)).sum().over(frame(w)).cast(ms.WIDE)
    framed = spine.select("customer_id", "b", **columns)
    joined = pairs.mutate(b=pairs.k).inner_join(framed, ["customer_id", "b"])
    return _with_full(joined, job)


def _as_of(job: EventsJob, versions: Any, pairs: Any) -> Any:
    """Window states of the dirty pairs, each from the versions known strictly before its own cutoff."""
    pairs = pairs.mutate(b=pairs.k)
    rows = versions.rename(event_b="b")
    seen = pairs.left_join(
        rows,
        [
            pairs.customer_id == rows.customer_id,
            rows.available_at < pairs.cutoff,
            rows.superseded_at.isnull() | (rows.superseded_at >= pairs.cutoff),
            rows.deleted == 0,
            rows.event_time < pairs.cutoff,
            rows.event_b > pairs.k - job.longest,
        ],
    )
    keys = list(pairs.columns)
    columns: dict[str, Any] = {}
    by_name = {m.name: m for m in job.measures}
    for state, lengths in sorted(ms.needed_windows(job.measures).items()):
        name, _, kind = state.rpartition("__")
        for w in sorted(lengths):
            inside = (seen.event_b > seen.k - w).fill_null(False)
            if kind == "rows":
                columns[f"{state}_{w}"] = seen.count(where=inside)
                continue
            value = ms.state_of(seen, by_name[name], kind, inside)
            columns[f"{state}_{w}"] = value.fill_null(0) if kind in ms.SUMS else value
    for m in job.measures:
        for w in m.windows.get("trend", []):
            inside = ((seen.event_b > seen.k - w) & (seen.event_b >= seen.first_full)).fill_null(False)
            condition = m.condition(seen)
            inside = inside if condition is None else inside & condition
            y = (ibis.ifelse(seen.event_b.notnull(), 1, 0) if m.column is None else seen[m.column]).cast(ms.WIDE)
            columns[f"{m.name}__y_{w}"] = y.sum(where=inside).cast(ms.WIDE).fill_null(0)
            columns[f"{m.name}__by_{w}"] = (y * seen.event_b.cast(ms.WIDE)).sum(where=inside).cast(ms.WIDE).fill_null(0)
    return _with_full(seen.group_by(keys).aggregate(**columns), job)


def _with_full(states: Any, job: EventsJob) -> Any:
    """Add ``full_<w>``: full months covered by each window that a trend is fitted over."""
    lengths = sorted({w for m in job.measures for w in m.windows.get("trend", [])})
    return states.mutate(**{f"full_{w}": _full_months(states, w) for w in lengths})


def _full_months(states: Any, w: int) -> Any:
    """How many of the window's months the customer and the source cover in full."""
    return ibis.greatest(states.k - ibis.greatest(states.k - w + 1, states.first_full) + 1, 0)
