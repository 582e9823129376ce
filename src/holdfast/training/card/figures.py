"""Figures of a card as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.evaluation.names import name_of, ordered

NOTHING = "–"


def number(value: Any, digits: int = 4) -> str:
    """A number, a flag or a word; a dash for None."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{digits}f}" if isinstance(value, float) else str(value)


def between(metric: Mapping[str, Any], digits: int = 4) -> str:
    """A metric's interval; a dash where it has none."""
    low, high = metric.get("low"), metric.get("high")
    return NOTHING if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"


def with_interval(metric: Mapping[str, Any] | None, digits: int = 3) -> str:
    """A metric with its interval in one cell; a dash where it is not defined."""
    if metric is None or metric.get("value") is None:
        return NOTHING
    interval = between(metric, digits)
    return f"{metric['value']:.{digits}f}" + ("" if interval == NOTHING else f" ({interval})")


def is_metric(found: Any) -> bool:
    return isinstance(found, Mapping) and "value" in found


def rows_of(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(name, value, interval) of each metric or plain figure of a mapping, one level into mappings of them.

    The order does not depend on the mapping's: what was written and read again has another.
    """
    for key, value in ordered(found).items():
        if is_metric(value):
            defined = value["value"] is not None
            yield name_of(key), number(value["value"]) if defined else "not defined", between(value)
        elif isinstance(value, Mapping):
            inner = rows_of({k: v for k, v in value.items() if is_metric(v) or not isinstance(v, Mapping | list)})
            yield from ((f"{name_of(key)}: {name}", said, interval) for name, said, interval in inner)
        elif isinstance(value, int | float | str):
            yield name_of(key), number(value), NOTHING
