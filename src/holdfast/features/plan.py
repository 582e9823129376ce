"""From configured measures to what is computed: columns, conditions, windows, and the states they need.

A state is what rows, buckets and windows carry of a measure: exact counts, fixed-point sums and extremes. Measures
that need the same state share it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from holdfast.clock import Span
from holdfast.config.data import Column, DataSection
from holdfast.config.expression import Expression
from holdfast.config.features import FeaturesSection
from holdfast.errors import ConfigError, Problem
from holdfast.features.definitions import length, measure_windows, parts_of, windows_of

Where: TypeAlias = "tuple[tuple[str, tuple[str | int, ...]], ...]"
"""Canonical columns, each with the values it may have."""

MONTH = Span(months=1)


@dataclass(frozen=True)
class State:
    """One exact quantity of some rows.

    Attributes
    ----------
    kind : n (rows), nv (values), s (sum), ss (sum of squares), mn, mx, low and high (first and last time), fi and la
        (first and last value by time), u (distinct values), y and by (for the slope: monthly sums, and times month)
    column : of the values; None: the rows themselves
    where : which rows count
    """

    kind: str
    column: str | None
    where: Where

    @property
    def base(self) -> State:
        """The bucket state that a slope's sums are made of."""
        return State("n" if self.column is None else "s", self.column, self.where)


SLOPE = ("y", "by")
OF_VALUES = {
    "sum": ("s",),
    "mean": ("nv", "s"),
    "std": ("nv", "s", "ss"),
    "min": ("mn",),
    "max": ("mx",),
    "first": ("fi",),
    "last": ("la",),
    "n_unique": ("u",),
}
OF_ROWS = {"count": ("n",), "recency": ("high",), "mean_gap": ("n", "low", "high")}


@dataclass(frozen=True)
class PlannedMeasure:
    """A measure ready to compute; ``by`` is expanded: one measure for each value."""

    name: str
    column: str | None
    """A canonical column, or that of an expression; None: the rows themselves."""
    where: Where
    whole: Where
    """The rows that a share is a share of."""
    scale: int
    windows: Mapping[str, list[Span]]
    """Aggregation -> windows."""
    complete: bool = False
    """No row lacks a value: there are as many values as rows, which other measures count as well."""

    def state(self, kind: str) -> State:
        """A state of this measure's rows (``n low high``) or values."""
        kind = "n" if kind == "nv" and self.complete else kind
        return State(kind, None if kind in ("n", "low", "high") else self.column, self.where)

    def needs(self, aggregation: str) -> list[State]:
        """The states that an aggregation is computed from."""
        if aggregation in OF_VALUES:
            return [self.state(kind) for kind in OF_VALUES[aggregation]]
        if aggregation in OF_ROWS:
            return [self.state(kind) for kind in OF_ROWS[aggregation]]
        if aggregation == "share":
            return [self.state("n"), State("n", None, self.whole)]
        if aggregation == "ratio":
            return [self.state("n")] if self.column is None else [self.state("nv"), self.state("s")]
        return [self.state(kind) for kind in SLOPE]


@dataclass(frozen=True)
class Plan:
    """What to compute of one events table."""

    measures: Sequence[PlannedMeasure]
    expressions: dict[str, Expression]
    """Column -> the expression it holds."""

    def completed(self, columns: Collection[str]) -> Plan:
        """The plan where these columns have no nulls."""
        return Plan([replace(m, complete=m.column in columns) for m in self.measures], self.expressions)

    @cached_property
    def needed(self) -> dict[State, list[Span]]:
        """Every state of a window, with its windows, in a fixed order."""
        found: dict[State, set[Span]] = {}
        for m in self.measures:
            for aggregation, spans in m.windows.items():
                extra = {MONTH} if aggregation == "ratio" and spans else set()
                for state in m.needs(aggregation) if spans else ():
                    found.setdefault(state, set()).update(spans, extra)
        return {state: sorted(spans, key=length) for state, spans in found.items()}

    @cached_property
    def carried(self) -> list[State]:
        """The states that buckets carry: all but distinct values, and the bases of the slopes."""
        return list(dict.fromkeys(s.base if s.kind in SLOPE else s for s in self.needed if s.kind != "u"))

    @cached_property
    def _numbers(self) -> dict[State, int]:
        return {state: i for i, state in enumerate(dict.fromkeys([*self.carried, *self.needed]))}

    def name(self, state: State, span: Span | None = None) -> str:
        """The column of a state, or of a state in a window."""
        name = f"{state.kind}_{self._numbers[state]}"
        return name if span is None else f"{name}_{span}"

    def months(self, state: State) -> list[Span]:
        """Windows in months of a state."""
        return [s for s in self.needed[state] if s.months]

    def days(self, state: State) -> list[Span]:
        """Windows in days of a state."""
        return [s for s in self.needed[state] if not s.months]

    @cached_property
    def reach(self) -> int:
        """Months of the longest window in months; 0 where there is none."""
        return max((s.months for spans in self.needed.values() for s in spans), default=0)

    @cached_property
    def day_reach(self) -> int:
        """How many buckets the longest window in days may touch; 0 where there is none."""
        return max((buckets_of_days(s.days) for spans in self.needed.values() for s in spans), default=0)

    @property
    def columns(self) -> list[str]:
        """Canonical columns of the table that are read, expressions aside."""
        states = [*self.needed]
        values = [s.column for s in states if s.column is not None and s.column not in self.expressions]
        return sorted({*values, *(c for s in states for c, _ in s.where)})


def buckets_of_days(days: int) -> int:
    """How many monthly buckets ``days`` before a grid instant touch at most: no month is shorter than 28 days."""
    return -(-days // 28)


def plan_of(table: str, data: DataSection, features: FeaturesSection) -> Plan | None:
    """What to compute of an events table; None where nothing is asked of it.

    Raises
    ------
    ConfigError
        A word of ``where`` or ``by`` is no value of its column, or an expression cannot be computed.
    """
    planned: list[PlannedMeasure] = []
    expressions: dict[str, Expression] = {}
    columns: Mapping[str, Column] = data.tables[table].columns
    for name, measure in features.measures.items():
        if measure.table != table:
            continue
        scale, column = 0, None
        if measure.column is not None:
            column, declared = f"c_{measure.column}", columns[measure.column]
            scale = declared.scale if declared.type == "number" else 0
        elif measure.expression is not None:
            parsed = _parsed(name, measure.expression, columns)
            column = next((c for c, e in expressions.items() if e == parsed), f"x_{len(expressions)}")
            expressions[column], scale = parsed, parsed.scale
        whole = _stored(name, "where", measure.where.items(), columns)
        windows: dict[str, list[Span]] = {
            a: measure_windows(a, windows_of(measure, features)) for a in measure.aggregations
        }
        for part in parts_of(name, measure):
            where = (*whole, *_stored(name, "by", part.by, columns))
            of = whole if part.by else ()
            planned.append(PlannedMeasure(part.name, column, where, of, scale, windows))
    return Plan(planned, expressions) if planned else None


def _parsed(measure: str, text: str, columns: Mapping[str, Column]) -> Expression:
    try:
        return Expression.parse(text, columns)
    except ValueError as e:
        problem = Problem(f"features.measures.{measure}.expression", str(e))
        raise ConfigError("a feature cannot be computed", [problem]) from e


def _stored(measure: str, key: str, words: Iterable[tuple[str, Sequence[str]]], columns: Mapping[str, Column]) -> Where:
    """Words of configuration as the columns hold them: a boolean is 0 or 1, a number is in units of its scale."""
    found: list[tuple[str, tuple[str | int, ...]]] = []
    for name, values in words:
        try:
            found.append((f"c_{name}", tuple(columns[name].stored(word) for word in values)))
        except ValueError as e:
            problem = Problem(f"features.measures.{measure}.{key}.{name}", f"{e}; the column is a {columns[name].type}")
            raise ConfigError("a feature cannot be computed", [problem]) from e
    return tuple(found)
