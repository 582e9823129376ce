"""The exception tree: exit codes, bounded messages, hints."""

from __future__ import annotations

import pytest

from holdfast import errors
from holdfast.errors import (
    MAX_EXAMPLES,
    MAX_PROBLEMS,
    MAX_VALUE_CHARS,
    ConfigError,
    DataError,
    GateRefused,
    HoldfastError,
    NotFoundError,
    NotReadyError,
    Problem,
    StoreError,
    UnreachableError,
    UsageError,
    did_you_mean,
    shown,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HoldfastError("x"), 1),
        (UsageError("x"), 2),
        (ConfigError("x", []), 2),
        (DataError("x", []), 1),
        (NotFoundError("x"), 1),
        (NotReadyError("x"), 1),
        (StoreError("x"), 1),
        (UnreachableError("x"), 1),
        (GateRefused("x", []), 3),
    ],
)
def test_every_error_is_a_holdfast_error_with_its_exit_code(error: HoldfastError, code: int) -> None:
    assert isinstance(error, HoldfastError)
    assert error.exit_code == code


def test_the_tree_in_the_docstring_names_every_public_error_with_its_code() -> None:
    lines = (errors.__doc__ or "").splitlines()
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, HoldfastError) and not name.startswith("_"):
            assert any(name in line and f"exit {kind.exit_code}" in line for line in lines), name


def test_a_configuration_error_is_a_usage_error() -> None:
    assert issubclass(ConfigError, UsageError)


def test_the_message_ends_with_the_fix() -> None:
    error = NotFoundError("no dataset", fix="Run: holdfast build")
    assert str(error) == "no dataset. Run: holdfast build"
    assert (error.message, error.fix) == ("no dataset", "Run: holdfast build")
    assert str(NotFoundError("no dataset")) == "no dataset"


def test_a_problem_says_where_what_examples_and_fix() -> None:
    problem = Problem("usage.minutes", "3 values are negative", "Drop them.", 3, (-1, -2))
    assert str(problem) == "usage.minutes: 3 values are negative (for example -1, -2). Drop them."
    assert str(Problem("usage", "is empty")) == "usage: is empty"


def test_messages_are_bounded_and_attributes_are_not() -> None:
    problem = Problem("w", "what", examples=tuple("x" * 1000 for _ in range(100)))
    assert str(problem).count("…") == MAX_EXAMPLES
    error = DataError("headline", [problem] * (MAX_PROBLEMS + 3))
    assert len(error.problems) == MAX_PROBLEMS + 3
    lines = str(error).splitlines()
    assert len(lines) == 1 + MAX_PROBLEMS + 1
    assert lines[-1] == "  … and 3 more"


def test_values_are_quoted_and_cut() -> None:
    assert shown("a") == "'a'"
    assert len(shown("x" * 500)) == MAX_VALUE_CHARS


def test_a_refusal_lists_its_reasons() -> None:
    error = GateRefused("not promoted", ["worse by 0.01", "not calibrated"])
    assert error.reasons == ("worse by 0.01", "not calibrated")
    assert str(error) == "not promoted\n  - worse by 0.01\n  - not calibrated"


@pytest.mark.parametrize(
    ("word", "choices", "hint"),
    [
        ("horizn", ["lead", "horizon"], "did you mean 'horizon'?"),
        ("zzz", ["b", "a", "a"], "choose from: a, b"),
        ("zzz", [], "there is nothing to choose from"),
        ("zzz", [f"k{i:02d}" for i in range(30)], "choose from: " + ", ".join(f"k{i:02d}" for i in range(20)) + ", …"),
    ],
)
def test_hints_name_the_closest_or_list_the_first_choices(word: str, choices: list[str], hint: str) -> None:
    assert did_you_mean(word, choices) == hint
