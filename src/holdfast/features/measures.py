"""The states that buckets carry and windows combine, and the formulas that turn them into features.

A state is exact (counts and fixed-point sums in integers); each feature divides once (DESIGN 3.9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ibis

from holdfast.features.knowledge import days_between

WIDE = "decimal(38, 0)"  # 128-bit integers on every engine
WIDE_SUMS = ("s", "ss")
SUMS = ("n", "nv", *WIDE_SUMS)
STATES: dict[str, tuple[str, ...]] = {
    "count": ("n",),
    "sum": ("s",),
    "mean": ("nv", "s"),
    "std": ("nv", "s", "ss"),
    "min": ("mn",),
    "max": ("mx",),
    "trend": (),
    "ratio": ("nv", "s"),
    "share": ("n",),
    "recency": ("last",),
}


@dataclass(frozen=True)
class PlannedMeasure:
    """A measure ready to compute: where its rows and values are, and which states and windows it needs."""

    name: str
    column: str | None
    where: tuple[tuple[str, tuple[str | int, ...]], ...]
    scale: int
    windows: dict[str, list[int]]
    """Aggregation -> window months."""

    @property
    def states(self) -> list[str]:
        """The bucket states its aggregations need, in a fixed order."""
        need: set[str] = set()
        for aggregation in self.windows:
            states = STATES[aggregation]
            if self.column is None and aggregation == "ratio":
                states = ("n",)
            need.update(states)
        if "trend" in self.windows:
            need.add("n" if self.column is None else "s")
        return [s for s in ("n", "nv", "s", "ss", "mn", "mx", "last") if s in need]

    @property
    def y(self) -> str:
        """The state whose monthly values the trend is fitted to."""
        return f"{self.name}__n" if self.column is None else f"{self.name}__s"

    def condition(self, table: Any) -> Any:
        """Which rows count; None where all do."""
        if not self.where:
            return None
        found = ibis.literal(True)
        for column, values in self.where:
            found = found & table[column].isin(list(values)).fill_null(False)
        return found


def bucket_states(rows: Any, measures: Sequence[PlannedMeasure]) -> dict[str, Any]:
    """Aggregates of event rows: ``<measure>__<state>`` and ``rows`` (all rows of the table)."""
    found: dict[str, Any] = {"rows": rows.count()}
    for m in measures:
        for name in m.states:
            found[f"{m.name}__{name}"] = state_of(rows, m, name)
    return found


def state_of(rows: Any, m: PlannedMeasure, state: str, inside: Any = None) -> Any:
    """One state of event rows, of those ``inside`` where given; sums of nothing are null."""
    where = m.condition(rows)
    if inside is not None:
        where = inside if where is None else inside & where
    if state == "n":
        return rows.count(where=where)
    if state == "last":
        return rows.event_time.max(where=where)
    value = rows[m.column]
    if state == "nv":
        return value.count(where=where)
    if state == "s":
        return value.sum(where=where).cast(WIDE)
    if state == "ss":
        wide = value.cast(WIDE)
        return (wide * wide).sum(where=where).cast(WIDE)
    return value.min(where=where) if state == "mn" else value.max(where=where)


def combine(column: Any, state: str) -> Any:
    """How window states come from bucket states."""
    if state in ("mn",):
        return column.min()
    if state in ("mx", "last"):
        return column.max()
    return column.sum()


def needed_windows(measures: Iterable[PlannedMeasure]) -> dict[str, set[int]]:
    """Window months needed of each state column ``<measure>__<state>``, and of ``rows``."""
    need: dict[str, set[int]] = {}
    for m in measures:
        for aggregation, months in m.windows.items():
            states = ("n",) if aggregation == "ratio" and m.column is None else STATES[aggregation]
            lengths = set(months) | ({1} if aggregation == "ratio" and months else set())
            for state in states:
                need.setdefault(f"{m.name}__{state}", set()).update(lengths)
            if aggregation == "share":
                need.setdefault("rows", set()).update(lengths)
    return need


def features(t: Any, m: PlannedMeasure, covered: Any) -> dict[str, Any]:
    """Feature expressions of one measure over window states ``<measure>__<state>_<w>``.

    ``t`` also holds cutoff, exposed_from (the later of the customer's start and the source's begin),
    full_<w> and start_<w>m; ``covered`` is false where the source does not reach the cutoff.
    """
    found: dict[str, Any] = {}
    for aggregation, months in m.windows.items():
        for w in months:
            value = _formula(t, m, aggregation, w)
            found[f"{m.name}_{aggregation}_{w}m"] = ibis.ifelse(covered, value, ibis.null("float64")).cast("float32")
    return found


def _formula(t: Any, m: PlannedMeasure, aggregation: str, w: int) -> Any:
    def state(name: str, months: int = w) -> Any:
        return t[f"{m.name}__{name}_{months}"]

    unit = float(10**m.scale)
    match aggregation:
        case "count":
            return state("n").cast("float64")
        case "sum":
            return _f(state("s")) / unit
        case "mean":
            return _divide(state("s"), state("nv").cast("float64") * unit)
        case "std":
            n, s = state("nv").cast(WIDE), state("s")
            spread = _f(n * state("ss") - s * s)
            return (_divide(spread, _f(n * (n - 1)))).sqrt() / unit
        case "min":
            return _f(state("mn")) / unit
        case "max":
            return _f(state("mx")) / unit
        case "share":
            return _divide(state("n"), _f(t[f"rows_{w}"]))
        case "recency":
            return days_between(state("last"), t.cutoff)
        case "ratio":
            return _ratio(t, m, w)
        case "trend":
            return _slope(t, m, w) / unit
    raise AssertionError(aggregation)


def _ratio(t: Any, m: PlannedMeasure, w: int) -> Any:
    if m.column is None:
        # events per covered day, last month against the months before
        n1, nw = t[f"{m.name}__n_1"], t[f"{m.name}__n_{w}"]
        recent = days_between(ibis.greatest(t["start_1m"], t.exposed_from), t.cutoff)
        whole = days_between(ibis.greatest(t[f"start_{w}m"], t.exposed_from), t.cutoff)
        # rows before the customer's start lie outside what is covered: no earlier days, nothing to compare with
        return _divide(_f(n1) * (whole - recent), ibis.ifelse(whole > recent, _f(nw - n1) * recent, 0.0))
    s1, sw = t[f"{m.name}__s_1"], t[f"{m.name}__s_{w}"]
    n1, nw = t[f"{m.name}__nv_1"].cast(WIDE), t[f"{m.name}__nv_{w}"].cast(WIDE)
    top, bottom = _f(s1 * (nw - n1)), _f((sw - s1) * n1)
    return _divide(top, ibis.ifelse(nw > n1, bottom, ibis.null("float64")))


def _slope(t: Any, m: PlannedMeasure, w: int) -> Any:
    """Least-squares slope of monthly values over the full months covered; x is the bucket index."""
    sum_y, sum_by = t[f"{m.name}__y_{w}"], t[f"{m.name}__by_{w}"]
    n = t[f"full_{w}"].cast(WIDE)
    k = t.b.cast(WIDE)
    # x counts back from the cutoff: x = b - k, so sum(x) = -n(n-1)/2 and sum(x²) = n(n-1)(2n-1)/6
    sum_xy = sum_by - k * sum_y
    twice_sum_x = n * (n - 1) * -1
    top = n * sum_xy * 2 - twice_sum_x * sum_y
    six_bottom = n * n * (n * n - 1)  # 12 x (n sum(x²) - sum(x)²)
    return _divide(_f(top) * 6.0, ibis.ifelse(n >= 2, _f(six_bottom), ibis.null("float64")))


def _f(value: Any) -> Any:
    return value.cast("float64")


def _divide(top: Any, bottom: Any) -> Any:
    """``top / bottom``; null where the bottom is zero or unknown."""
    return _f(top) / _f(bottom).nullif(0.0)
