"""Reads YAML into frozen dataclasses, checking keys, types and ranges by the fields' annotations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NewType, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from holdfast.errors import Problem, did_you_mean
from holdfast.simulate.arrays import Floats

Probability = NewType("Probability", float)
Positive = NewType("Positive", float)
Section = TypeVar("Section")


@dataclass(frozen=True)
class Levels:
    """A number for each of some names, in order."""

    names: tuple[str, ...]
    numbers: tuple[float, ...]

    @property
    def values(self) -> Floats:
        return np.array(self.numbers, dtype=np.float64)

    def __getitem__(self, name: str) -> float:
        return self.numbers[self.names.index(name)]


@dataclass(frozen=True)
class Shares(Levels):
    """Levels that are probabilities and sum to one."""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _named(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(_is_number(v) for v in value.values())


def _sums_to_one(value: object) -> bool:
    return (
        isinstance(value, dict) and _named(value) and min(value.values()) >= 0 and abs(sum(value.values()) - 1.0) < 1e-9
    )


def _levels(kind: type[Levels]) -> Callable[[Any], Levels]:
    return lambda value: kind(tuple(str(k) for k in value), tuple(float(v) for v in value.values()))


# annotation: what a value must be (in words), the test for it, and how it is read
_READERS: dict[Any, tuple[str, Callable[[Any], bool], Callable[[Any], Any]]] = {
    int: ("a whole number, 0 or more", lambda v: type(v) is int and v >= 0, int),
    float: ("a number", _is_number, float),
    str: ("text", lambda v: isinstance(v, str), str),
    Probability: ("a probability", lambda v: _is_number(v) and 0 <= v <= 1, float),
    Positive: ("a number above 0", lambda v: _is_number(v) and v > 0, float),
    Levels: ("a number for each name", _named, _levels(Levels)),
    Shares: ("shares that sum to 1", _sums_to_one, _levels(Shares)),
    tuple[float, ...]: (
        "a list of numbers",
        lambda v: isinstance(v, list) and all(map(_is_number, v)),
        lambda v: tuple(map(float, v)),
    ),
}


def read_section(kind: type[Section], raw: object, where: str, problems: list[Problem]) -> Section | None:
    """``raw`` as the dataclass ``kind``; what is wrong is added to ``problems`` and None returned."""
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # every kind is a dataclass
    if not isinstance(raw, dict):
        problems.append(Problem(where, "is not a mapping", examples=(raw,)))
        return None
    before = len(problems)
    unknown = [key for key in raw if key not in names]
    problems += [Problem(f"{where}: {k}", "is not a key", did_you_mean(str(k), names)) for k in unknown]
    problems += [Problem(f"{where}: {name}", "is missing") for name in names if name not in raw]
    values = {name: _read(hints[name], raw[name], f"{where}: {name}", problems) for name in names if name in raw}
    return kind(**values) if len(problems) == before else None


def _read(hint: Any, raw: object, where: str, problems: list[Problem]) -> Any:
    if is_dataclass(hint) and hint not in _READERS:
        return read_section(hint if isinstance(hint, type) else type(hint), raw, where, problems)
    if get_origin(hint) is dict:
        inner = get_args(hint)[1]
        if not isinstance(raw, dict) or not raw:
            problems.append(Problem(where, "is not a mapping", examples=(raw,)))
            return None
        return {str(k): read_section(inner, v, f"{where}.{k}", problems) for k, v in raw.items()}
    words, fits, read = _READERS[hint]
    if not fits(raw):
        problems.append(Problem(where, f"is not {words}", examples=(raw,)))
        return None
    return read(raw)
