"""Expressions are exact, small, and refused in words where they are anything else."""

from __future__ import annotations

import pytest

from holdfast.config.data import Column
from holdfast.config.expression import Expression

COLUMNS = {
    "amount": Column(type="number", scale=2), "refund": Column(type="number", scale=2),
    "fine": Column(type="number", scale=6), "paid": Column(type="boolean"), "kind": Column(type="category"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "scale", "columns"),
    [
        ("amount - refund", 2, ("amount", "refund")), ("amount*refund", 4, ("amount", "refund")),
        ("-(amount - 0.125) * paid", 3, ("amount", "paid")), ("+amount + 10", 2, ("amount",)),
        ("2.50 * amount", 3, ("amount",)), ("1e3 * amount + amount", 2, ("amount",)),
    ],
)  # fmt: skip
def test_scales_and_columns(text: str, scale: int, columns: tuple[str, ...]) -> None:
    found = Expression.parse(text, COLUMNS)
    assert (found.scale, found.columns) == (scale, columns)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("amount / refund", r"'amount / refund' is not allowed; an expression has columns, numbers, \+, - and \*"),
        ("amount -", "'amount -' is not an expression"),
        ("amont", "there is no column 'amont'; did you mean 'amount'"),
        ("kind + 1", "'kind' is a category, not a number"),
        ("1 + 2", "names no column"),
        ("fine * fine", "has 12 decimal digits, at most 9"),
        ("amount * 1e30", "is too large"),
        ("amount + True", "is not allowed"),
        ("amount + 'x'", "is not allowed"),
        ("max(amount)", "is not allowed"),
        ("amount + 1j", "is not allowed"),
        ("amount ** 2", "is not allowed"),
        ("amount + 0x10", "is not a decimal number"),
        ("(" * 400 + "amount" + ")" * 400, "is not an expression"),
    ],
)
def test_what_is_no_expression(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Expression.parse(text, COLUMNS)
