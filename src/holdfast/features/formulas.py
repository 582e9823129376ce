"""The formulas that turn window states into features; each divides once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ibis

from holdfast.clock import Span
from holdfast.features.knowledge import days_between
from holdfast.features.plan import MONTH, Plan, PlannedMeasure, State
from holdfast.features.states import WIDE, value_of


class Formulas:
    """Feature expressions over a table of window states.

    Parameters
    ----------
    t : states (`Plan.name` of state and window), k, cutoff, first_full and, for the ratio of rows, exposed_from (the
        later of the customer's start and the source's begin) and ``start_<w>`` of its windows
    """

    def __init__(self, t: Any, plan: Plan) -> None:
        self.t, self.plan = t, plan

    def features(self, *, months: bool) -> dict[str, Any]:
        """Name -> expression, of the windows in months or of those in days."""
        return {
            f"{m.name}_{aggregation}_{w}": self._of(m, aggregation, w).cast("float32")
            for m, aggregation, w in features_of(self.plan, months=months)
        }

    def _of(self, m: PlannedMeasure, aggregation: str, w: Span) -> Any:
        def state(kind: str) -> Any:
            return self._state(m.state(kind), w)

        match aggregation:
            case "count":
                return state("n")
            case "n_unique":
                return state("u")
            case "sum":
                return _scaled(state("s"), m.scale)
            case "mean":
                return _f(state("s")) / _scaled_up(_f(state("nv")), m.scale).nullif(0.0)
            case "std":
                n, s = state("nv").cast(WIDE), state("s")
                return _scaled((_f(n * state("ss") - s * s) / _f(n * (n - 1)).nullif(0.0)).sqrt(), m.scale)
            case "min":
                return _scaled(state("mn"), m.scale)
            case "max":
                return _scaled(state("mx"), m.scale)
            case "first":
                return _scaled(value_of(state("fi")), m.scale)
            case "last":
                return _scaled(value_of(state("la")), m.scale)
            case "share":
                return _f(state("n")) / _f(self._state(State("n", None, m.whole), w)).nullif(0.0)
            case "recency":
                return days_between(state("high"), self.t.cutoff)
            case "mean_gap":
                gaps = state("n") - 1
                return days_between(state("low"), state("high")) / ibis.ifelse(gaps > 0, _f(gaps), None)
            case "ratio":
                return self._ratio_of_rows(m, w) if m.column is None else self._ratio(m, w)
            case "trend":
                return _scaled(self._slope(m, w), m.scale)
        raise AssertionError(aggregation)

    def _state(self, state: State, w: Span) -> Any:
        return self.t[self.plan.name(state, w)]

    def _ratio_of_rows(self, m: PlannedMeasure, w: Span) -> Any:
        """Events per covered day, last month against the months before."""
        t = self.t
        n1, nw = self._state(m.state("n"), MONTH), self._state(m.state("n"), w)
        recent = days_between(ibis.greatest(t.start_1m, t.exposed_from), t.cutoff)
        whole = days_between(ibis.greatest(t[f"start_{w}"], t.exposed_from), t.cutoff)
        # rows before the customer's start lie outside what is covered: no earlier days, nothing to compare with
        earlier = ibis.ifelse(whole > recent, _f(nw - n1) * recent, 0.0)
        return _f(n1) * (whole - recent) / earlier.nullif(0.0)

    def _ratio(self, m: PlannedMeasure, w: Span) -> Any:
        s1, sw = self._state(m.state("s"), MONTH), self._state(m.state("s"), w)
        n1, nw = (self._state(m.state("nv"), span).cast(WIDE) for span in (MONTH, w))
        bottom = ibis.ifelse(nw > n1, _f((sw - s1) * n1), None)
        return _f(s1 * (nw - n1)) / bottom.nullif(0.0)

    def _slope(self, m: PlannedMeasure, w: Span) -> Any:
        """Least-squares slope of monthly values over the full months covered; x is the bucket index."""
        sum_y, sum_by = self._state(m.state("y"), w), self._state(m.state("by"), w)
        n = full_months(self.t, w.months).cast(WIDE)
        # x counts back from the cutoff: x = b - k, so sum(x) = -n(n-1)/2 and sum(x²) = n(n-1)(2n-1)/6
        sum_xy = sum_by - self.t.k.cast(WIDE) * sum_y
        top = n * (sum_xy * 2 + (n - 1) * sum_y)
        twelfth = ibis.ifelse(n >= 2, _f(n * n * (n * n - 1)), None)  # n sum(x²) - sum(x)², times 12
        return _f(top) * 6.0 / twelfth


def features_of(plan: Plan, *, months: bool) -> Iterator[tuple[PlannedMeasure, str, Span]]:
    """Measure, aggregation and window of every feature of a plan, of the windows in months or of those in days."""
    for m in plan.measures:
        for aggregation, spans in m.windows.items():
            yield from ((m, aggregation, w) for w in spans if bool(w.months) == months)


def full_months(t: Any, w: int) -> Any:
    """How many of the last ``w`` months the customer and the source cover in full."""
    return ibis.greatest(t.k - ibis.greatest(t.k - w + 1, t.first_full) + 1, 0)


def _scaled(value: Any, scale: int) -> Any:
    return _f(value) / float(10**scale) if scale else _f(value)


def _scaled_up(value: Any, scale: int) -> Any:
    return value * float(10**scale) if scale else value


def _f(value: Any) -> Any:
    return value.cast("float64")
