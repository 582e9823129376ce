"""Expressions of measures: sums, differences and products of number columns and constants, exact in fixed point."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from holdfast.config.data import Column
from holdfast.errors import did_you_mean

LARGEST_SCALE = 9
LARGEST_UNITS = 10**18

Operator = Literal["column", "constant", "+", "-", "*"]


@dataclass(frozen=True)
class Expression:
    """A value in whole units of ``10**-scale``.

    Attributes
    ----------
    operator : ``column``, ``constant``, or what is done with left and right
    name : of the column
    units : the constant
    """

    operator: Operator
    scale: int
    name: str = ""
    units: int = 0
    left: Expression | None = None
    right: Expression | None = None

    @classmethod
    def parse(cls, text: str, columns: Mapping[str, Column]) -> Expression:
        """Read an expression over the declared columns of a table.

        >>> number = Column(type="number", scale=2)
        >>> Expression.parse("amount - 0.5 * refund", {"amount": number, "refund": number}).scale
        3

        Raises
        ------
        ValueError
            It is no sum, difference or product of number (or boolean) columns and constants.
        """
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
            raise ValueError(f"{text!r} is not an expression; write for example: amount - refund") from e
        found = _read(tree, text.strip(), columns)
        if not found.columns:
            raise ValueError(f"{text!r} names no column")
        if found.scale > LARGEST_SCALE:
            raise ValueError(
                f"{text!r} has {found.scale} decimal digits, at most {LARGEST_SCALE} are exact; "
                "declare smaller scales or write shorter constants"
            )
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is made of, each once."""
        if self.operator == "column":
            return (self.name,)
        sides = [s for s in (self.left, self.right) if s is not None]
        return tuple(dict.fromkeys(c for side in sides for c in side.columns))


def _read(node: ast.expr, text: str, columns: Mapping[str, Column]) -> Expression:
    match node:
        case ast.Name(id=name):
            return _column(name, columns)
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            return _constant(ast.get_source_segment(text, node) or str(value))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _read(operand, text, columns)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _joined("-", Expression("constant", 0), _read(operand, text, columns))
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() as op, right=right):
            word: Operator = "+" if isinstance(op, ast.Add) else "-" if isinstance(op, ast.Sub) else "*"
            return _joined(word, _read(left, text, columns), _read(right, text, columns))
    odd = ast.get_source_segment(text, node) or text
    raise ValueError(f"{odd!r} is not allowed; an expression has columns, numbers, +, - and * (and parentheses)")


def _column(name: str, columns: Mapping[str, Column]) -> Expression:
    column = columns.get(name)
    if column is None:
        raise ValueError(f"there is no column '{name}'; {did_you_mean(name, columns)}")
    if column.type not in ("number", "boolean"):
        raise ValueError(f"'{name}' is a {column.type}, not a number")
    return Expression("column", column.scale if column.type == "number" else 0, name=name)


def _constant(text: str) -> Expression:
    try:
        value = Decimal(text.replace("_", ""))
    except ArithmeticError as e:
        raise ValueError(f"{text!r} is not a decimal number") from e
    scale = max(-int(value.normalize().as_tuple().exponent), 0)
    units = int(value.scaleb(scale))
    if abs(units) > LARGEST_UNITS:
        raise ValueError(f"{text!r} is too large to compute with exactly")
    return Expression("constant", scale, units=units)


def _joined(operator: Operator, left: Expression, right: Expression) -> Expression:
    scale = left.scale + right.scale if operator == "*" else max(left.scale, right.scale)
    return Expression(operator, scale, left=left, right=right)
