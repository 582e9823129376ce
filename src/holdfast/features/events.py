"""Features of one events table.

Most rows are known before the first cutoff that could use them: they are aggregated once to (customer, bucket), and
windows in months are made of buckets. Rows that arrived late or were corrected change what was known at a few
(customer, cutoff) pairs only; those pairs, and windows in days, read the rows known at their own cutoff.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.clock import Span
from holdfast.features import direct
from holdfast.features.definitions import length
from holdfast.features.formulas import Formulas, full_months
from holdfast.features.frames import frames
from holdfast.features.job import EventsJob
from holdfast.features.knowledge import first_full_bucket, instant
from holdfast.features.plan import MONTH, Plan
from holdfast.features.states import of_rows
from holdfast.features.versions import Versions, coverage, dirty_pairs, versions_of

FEW_CUTOFFS = 6
"""Up to so many cutoffs, reading the buckets of each pair costs less than frames over all months."""


def event_features(engine: Engine, job: EventsJob) -> list[Any]:
    """The features of an events table, as tables of customer_id, k and float32 columns.

    Pairs whose cutoff the source does not reach have no rows: all is unknown there.
    """
    versions = versions_of(engine, job)
    covered = coverage(engine, job, versions)
    begins = covered.begins
    if not begins:
        return []
    job = replace(job, plan=job.plan.completed(covered.complete))
    pairs = _covered_pairs(engine, job, begins)
    dirty = dirty_pairs(engine, job, versions, pairs, begins, late=covered.late)
    clean, unclean = pairs, None
    if dirty is not None:
        clean = engine.materialize(pairs.anti_join(dirty, ["customer_id", "k"]), f"{job.prefix}_clean")
        unclean = engine.materialize(pairs.semi_join(dirty, ["customer_id", "k"]), f"{job.prefix}_unclean")
    found = [_features(engine, job, _month_states(engine, job, versions, clean), "features", months=True)]
    if unclean is not None:
        states = _as_of(job, versions, unclean, months=True)
        found = [found[0].union(_features(engine, job, states, "exact", months=True), distinct=False)]
    if job.plan.day_reach:
        found.append(_features(engine, job, _as_of(job, versions, pairs, months=False), "days", months=False))
    engine.drop(*(f"{job.prefix}_{t}" for t in ("again", "several", "pairs", "dirty", "clean", "unclean", "spine")))
    return found


def _covered_pairs(engine: Engine, job: EventsJob, begins: Mapping[int, datetime]) -> Any:
    """The pairs whose cutoff the source reaches, with what the customer and the source cover."""
    pairs = job.pairs.filter(job.pairs.k >= min(begins))
    *earlier, last = {at: k for k, at in begins.items()}.items()  # each with the last cutoff that it was believed at
    since: Any = instant(last[0])
    if earlier:
        since = ibis.cases(*[(pairs.k <= k, instant(at)) for at, k in earlier], else_=since)
    exposed_from = ibis.greatest(pairs.start, since)
    starts = [f"start_{w}" for w in _compared(job.plan)]
    return engine.materialize(
        pairs.select(
            "customer_id", "k", "cutoff", *starts, exposed_from=exposed_from,
            first_full=first_full_bucket(exposed_from, job.grid),
        ),
        f"{job.prefix}_pairs",
    )  # fmt: skip


def _compared(plan: Plan) -> list[Span]:
    """The windows whose starts the ratio of rows needs."""
    found = {w for m in plan.measures if m.column is None for w in m.windows.get("ratio", [])}
    return sorted({*found, MONTH} if found else set(), key=length)


def _month_states(engine: Engine, job: EventsJob, versions: Versions, pairs: Any) -> Any:
    """Window states of pairs at which the settled rows are what was known."""
    plan, ks, lags = job.plan, job.ks, versions.lags
    if not plan.reach:
        return pairs
    rows = versions.settled
    rows = rows.filter(rows.b.between(ks[0] - plan.reach + 1, ks[1]))
    if ks[0] == ks[1]:  # as in scoring: nobody else reads a bucket, so none is made
        rows = rows.filter(rows.lag <= ks[0] - rows.b) if lags else rows
        seen = direct.of_one_cutoff(pairs, rows)
        return direct.states(seen, plan, direct.over_rows(seen), months=True).join(pairs, ["customer_id", "k"])
    if ks[1] - ks[0] < FEW_CUTOFFS and not any(state.kind == "u" for state in plan.needed):
        keys = ["customer_id", "b", *(["lag"] if lags else [])]
        buckets = rows.group_by(keys).aggregate(**{plan.name(s): of_rows(rows, s) for s in plan.carried})

        def known(pair: Any, piece: Any) -> list[Any]:
            return [piece.lag <= pair.k - piece.b] if lags else []

        seen = direct.windows(pairs, job.offsets, buckets, known, plan.reach)
        states = direct.states(seen, plan, direct.over_buckets(seen, plan), months=True)
        return states.join(pairs, ["customer_id", "k"])
    columns = {plan.name(s): of_rows(rows, s) for s in plan.carried}
    for j in range(lags):
        columns |= {f"{plan.name(s)}_d{j}": of_rows(rows, s, rows.lag <= j) for s in plan.carried}
    buckets = rows.group_by("customer_id", "b").aggregate(**columns)
    return frames(engine, plan, rows, buckets, pairs, job.months, ks, lags, job.prefix)


def _as_of(job: EventsJob, versions: Versions, pairs: Any, *, months: bool) -> Any:
    """Window states of pairs, each from the versions known strictly before its own cutoff."""
    rows = versions.every

    def known(pair: Any, row: Any) -> list[Any]:
        found = [row.available_at < pair.cutoff]
        if "deleted" in row.columns:
            found.append(row.deleted == 0)
        if "superseded_at" in row.columns:
            found.append(row.superseded_at.isnull() | (row.superseded_at >= pair.cutoff))
        return found

    seen = direct.windows(pairs, job.offsets, rows, known, job.plan.reach if months else job.plan.day_reach)
    return direct.states(seen, job.plan, direct.over_rows(seen), months=months).join(pairs, ["customer_id", "k"])


def _features(engine: Engine, job: EventsJob, states: Any, name: str, *, months: bool) -> Any:
    columns = Formulas(states, job.plan).features(months=months)
    if months:
        columns[f"{job.name}_exposure_months"] = full_months(states, job.longest).cast("float32")
    return engine.materialize(states.select("customer_id", "k", **columns), f"{job.prefix}_{name}")
