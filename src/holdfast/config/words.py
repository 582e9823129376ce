"""What pydantic found wrong, in plain words: the key path as written, the offending value and the fix."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from holdfast.config.documents import KeyPath
from holdfast.config.schema import Config
from holdfast.config.tree import SECRETS, Tree
from holdfast.errors import Problem, did_you_mean, shown

_KINDS = {
    "string": ("text", "Put it in quotes."),
    "int": ("a whole number", ""),
    "float": ("a number", ""),
    "finite": ("a finite number", ""),
    "bool": ("true or false", ""),
    "date": ("a date", "Write it as 2024-03-01."),
    "dict": ("a mapping", "Write key: value lines below it."),
    "model": ("a mapping", "Write key: value lines below it."),
    "list": ("a list", "Write [a, b], or one '- a' line each."),
    "tuple": ("a list", "Write [a, b], or one '- a' line each."),
}
_BOUNDS = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}


def problems_of(error: ValidationError, section: str, tree: Tree) -> list[Problem]:
    """Every error of a section's validation as a `Problem` with file, line, key path and value."""
    return [_problem(details, section, tree) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails, section: str, tree: Tree) -> Problem:
    path, parent = trace((section, *details["loc"]))
    kind, context = details["type"], details.get("ctx", {})
    if kind == "union_tag_not_found":
        path, kind = (*path, str(context["discriminator"]).strip("'")), "missing"
    elif kind == "union_tag_invalid":
        path, kind = (*path, str(context["discriminator"]).strip("'")), "literal_error"
        context, details["input"] = {"expected": context["expected_tags"]}, context["tag"]
    what, fix = _words(kind, context, details, path[-1], parent)
    value = details["input"]
    # A value_error says its value itself; a mapping's value would be the whole section, secrets included.
    if kind not in ("missing", "extra_forbidden", "value_error") and not isinstance(value, dict):
        what += ", not a secret of another kind" if path in SECRETS else f", not {shown(value)}"
    return Problem(tree.where(path), what, fix)


def _words(kind: str, context: Mapping[str, Any], details: ErrorDetails, word: str, parent: Any) -> tuple[str, str]:
    if kind == "missing":
        return "is missing", "Add it."
    if kind == "extra_forbidden":
        return "is not a known key", did_you_mean(word, getattr(parent, "model_fields", ()))
    if kind == "value_error":
        return details["msg"].removeprefix("Value error, "), ""
    if kind == "literal_error":
        choices = str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        return "must be one of " + ", ".join(choices), did_you_mean(str(details["input"]), choices)
    if kind in _BOUNDS:
        return "must be " + _BOUNDS[kind].format(**context), ""
    if kind == "too_short":
        return f"needs at least {context['min_length']}", ""
    if kind == "too_long":
        return f"may have at most {context['max_length']}", ""
    name = kind.split("_")[0]
    if name in _KINDS:
        return f"must be {_KINDS[name][0]}", _KINDS[name][1]
    return details["msg"][:1].lower() + details["msg"][1:], ""


def trace(loc: tuple[int | str, ...]) -> tuple[KeyPath, Any]:
    """The key path that pydantic's ``loc`` means, and the type that holds the last key.

    A ``loc`` also names the chosen member of a union and marks mapping keys; nobody wrote those in a file.

    >>> trace(("data", "tables", "plans", "history", "pth"))[0]
    ('data', 'tables', 'plans', 'pth')
    """
    holder: Any = None
    here: Any = Config
    path: list[str] = []
    for part in loc:
        here = _bare(here)
        if part == "[key]":
            continue
        if get_origin(here) in (Union, types.UnionType):
            here = next((m for m in get_args(here) if part in _tags(m)), None)
            continue
        holder = here
        path.append(str(part))
        here = _inside(here, str(part))
    return tuple(path), holder


def _bare(annotation: Any) -> Any:
    """A type without ``Annotated`` and without ``| None``."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [a for a in get_args(annotation) if a is not type(None)]
        if len(members) == 1:
            return _bare(members[0])
    return annotation


def _inside(annotation: Any, key: str) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        found = annotation.model_fields.get(key)
        return found.annotation if found else None
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return arguments[1]
    return arguments[0] if arguments else None


def _tags(member: Any) -> tuple[Any, ...]:
    kind = member.model_fields.get("kind") if isinstance(member, type) and issubclass(member, BaseModel) else None
    return get_args(kind.annotation) if kind and get_origin(kind.annotation) is Literal else ()
