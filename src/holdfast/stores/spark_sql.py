"""Ibis expressions as Spark SQL that means what DuckDB's means, bit for bit.

Where Spark's own meaning of an operation differs it is spelled out here, and nowhere else; the conformance suite
(tests/conformance/test_engines.py) holds both engines to it.
"""

from __future__ import annotations

from typing import Any

import ibis.expr.datatypes as dt
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import NULL, SQLGlotCompiler
from ibis.backends.sql.compilers.pyspark import PySparkCompiler

DIALECT = "spark"
TWO_64 = 1 << 64
WIDE = dt.Decimal(38, 0)
NUMBER = r"^[ \t]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t]*$"
"""What DuckDB takes for a number, but for underscores; Java takes other scripts and ends like ``1d`` as well."""
SPELLINGS = (
    (r"^(\d+)/(\d+)/(\d+)", "$1-$2-$3"),
    (r"(\d)[T ] *(\d)", "$1 $2"),
    (r"([.]\d{6})\d+", "$1"),
    (r"( \d+:\d+)(?![:\d])", "$1:00"),
    (r"(:.*[+-]\d\d):?(\d\d)$", "$1:$2"),
)
"""Of a time: slashes, T and many spaces, more than six decimals, no seconds, an offset without a colon."""
EXACT_ABOVE, EXACT_BELOW = 1e-4, 1e16
"""Floats between them are written without an exponent."""


class SparkCompiler(PySparkCompiler):  # type: ignore[misc]
    """`PySparkCompiler` with DuckDB's meaning of numbers, times and counts. A method per Ibis operation."""

    __slots__ = ()

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:
        """A float is a double: to Spark, 0.5 is a decimal."""
        if dtype.is_floating():
            return self.cast(sge.Literal.string(repr(float(value))), dtype)
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Field(self, op: Any, *, rel: Any, name: str) -> Any:
        """Ibis's own asks for an option that only its Spark backend registers."""
        return SQLGlotCompiler.visit_Field(self, op, rel=rel, name=name)

    def visit_IsNull(self, op: Any, *, arg: Any) -> Any:
        """NaN is a value."""
        return arg.is_(NULL)

    def visit_NotNull(self, op: Any, *, arg: Any) -> Any:
        """NaN is a value."""
        return arg.is_(sg.not_(NULL))

    def visit_CountStar(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Nothing counted is 0, not null."""
        return super().visit_CountStar(op, arg=arg, where=None) if where is None else self.f.anon.count_if(where)

    def visit_Sum(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Sums of int64 have 38 digits: Spark's own overflow."""
        if op.arg.dtype.is_int64() or op.arg.dtype.is_uint64():
            arg = self.cast(arg, WIDE)
        return super().visit_Sum(op, arg=arg, where=where)

    def visit_Divide(self, op: Any, *, left: Any, right: Any) -> Any:
        """Division is of doubles, also of integers that are decimals to Spark."""
        return sge.Div(
            this=self._double(op.left.dtype, left), expression=self._double(op.right.dtype, right), typed=False
        )

    def visit_FloorDivide(self, op: Any, *, left: Any, right: Any) -> Any:
        """Of integers, exactly: Spark divides integers as doubles."""
        if not (op.left.dtype.is_integer() and op.right.dtype.is_integer()):
            return super().visit_FloorDivide(op, left=left, right=right)
        rest = self.f.anon.pmod(left, right)
        return sge.IntDiv(this=sge.paren(sge.paren(left) - rest), expression=sge.paren(right))

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:
        """Numbers are rounded to integers, as DuckDB does it; wide integers become doubles with its rounding."""
        of = op.arg.dtype
        if of.is_decimal() and to.is_floating():
            return self.cast(self._double(of, arg), to)
        if of.is_floating() and to.is_string():
            return self._spelled(arg)
        return self.cast(self._rounded(of, to, arg), to)

    def visit_RegexReplace(self, op: Any, *, arg: Any, pattern: Any, replacement: Any) -> Any:
        r"""A group is written ``\1`` in Ibis and DuckDB, ``$1`` in Spark."""
        with_groups = self.f.anon.regexp_replace(replacement, r"\\(\d)", r"\$$1")
        return self.f.anon.regexp_replace(arg, pattern, with_groups)

    def visit_TryCast(self, op: Any, *, arg: Any, to: Any) -> Any:
        """Text is read as DuckDB reads it, and as nothing else."""
        of = op.arg.dtype
        if of.is_string() and to.is_timestamp():
            return self._time(arg)
        if of.is_string() and to.is_numeric():
            return self.if_(self._matches(arg, NUMBER), self._try(arg, to), NULL)
        return self._try(self._rounded(of, to, arg), to)

    def visit_ScalarUDF(self, op: Any, **kw: Any) -> Any:
        """DuckDB's ``timezone(zone, time)``: a wall clock's time in UTC."""
        if op.__func_name__ == "timezone":
            zone, time = kw.values()
            return self.f.anon.to_utc_timestamp(time, zone)
        return super().visit_ScalarUDF(op, **kw)

    def _try(self, arg: Any, to: Any) -> Any:
        return sge.TryCast(this=arg, to=self.type_mapper.from_ibis(to), safe=True)

    def _matches(self, arg: Any, pattern: str) -> Any:
        return sge.RegexpLike(this=arg, expression=sge.Literal.string(pattern))

    def _rounded(self, of: Any, to: Any, arg: Any) -> Any:
        if to.is_integer() and of.is_floating():
            return self.f.anon.rint(arg)  # half to even
        if to.is_integer() and of.is_decimal() and of.scale:
            return self.f.round(arg, 0)  # half away from zero
        return arg

    def _double(self, of: Any, arg: Any) -> Any:
        """DuckDB makes a double of a wide integer in two halves, and of a negative one from its complement."""
        if not of.is_decimal() or of.scale:
            return arg if of.is_float64() else self.cast(arg, dt.float64)
        whole = sge.paren(arg)
        low = self.f.anon.pmod(whole.copy(), sge.convert(TWO_64))
        high = sge.IntDiv(this=sge.paren(whole.copy() - low.copy()), expression=sge.convert(TWO_64))
        negative = -sge.paren(self.cast(-whole.copy() - 1, dt.float64)) - sge.convert(1)
        both = self.cast(low, dt.float64) + self.cast(high, dt.float64) * self.cast(sge.convert(TWO_64), dt.float64)
        return sge.Case(
            ifs=[
                self.if_(whole.copy().between(0, TWO_64), self.cast(whole.copy(), dt.float64)),
                self.if_(whole.copy().between(-TWO_64, 0), negative),
            ],
            default=both,
        )

    def _spelled(self, arg: Any) -> Any:
        """A float as DuckDB writes it."""
        text = self.cast(arg, dt.string)
        plain = self.f.anon.regexp_replace(
            self.cast(self._try(text.copy(), dt.Decimal(38, 20)), dt.string), r"(\.\d+?)0*$", "$1"
        )
        short = self.f.anon.regexp_replace(self.f.lower(text.copy()), r"\.0e", "e")
        signed = self.f.anon.regexp_replace(short, r"e(\d)", "e+$1")
        padded = self.f.anon.regexp_replace(signed, r"e([+-])(\d)$", "e$10$2")
        exact = self.f.abs(arg.copy()).between(EXACT_ABOVE, EXACT_BELOW) | arg.copy().eq(0)
        return self.if_(exact, self.f.coalesce(plain, text.copy()), padded)

    def _time(self, text: Any) -> Any:
        """A time from text, put as Spark knows it."""
        for pattern, instead in SPELLINGS:
            text = self.f.anon.regexp_replace(text, pattern, instead)
        return self._try(text, dt.timestamp)


compiler = SparkCompiler()


def spark_sql(expression: Any) -> str:
    """The SQL of an Ibis expression."""
    found: str = compiler.to_sqlglot(expression.unbind()).sql(dialect=DIALECT)
    return found
