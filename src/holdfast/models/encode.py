"""From feature rows to the matrix a model reads, and from its contributions back to features.

Numbers become float32 with NaN for null. A category becomes a column of whole-number codes, or one column
per level (one-hot) if it has few levels. Levels too rare to learn from share one code. A level never seen
in training is as good as unknown: NaN, like null. Where training had too few nulls to learn what one means, a null
is the median, or the rare levels' code (else the most frequent level's): left to themselves, boosters send what they
have never seen to either side of every split. Nothing about the data can make :meth:`Encoder.transform` fail; only a
column that is missing or of another kind does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.artifacts.schema import FeatureSchema
from holdfast.errors import ConfigError, Problem, StoreError, did_you_mean
from holdfast.evaluation.arrays import FloatArray
from holdfast.models.blocks import CACHED_ROWS
from holdfast.models.estimator import Matrix
from holdfast.models.levels import Levels, levels_of
from holdfast.models.medians import fill_in

FORMAT = "holdfast-encoder-2"
MIN_COUNT = 20  # rarer levels are grouped, and rarer nulls filled
MAX_LEVELS = 64  # XGBoost's max_cat_threshold: more levels would not be split on anyway

Pieces: TypeAlias = Callable[[Sequence[str]], Iterable[tuple[NDArray[np.int64], pa.Table]]]
"""Given names of columns: the rows' tables, each with the places of its rows."""


@dataclass(frozen=True)
class Encoder:
    """A fitted encoding of one feature schema.

    Attributes
    ----------
    schema : the features it reads, in order
    levels : of each category feature, by name
    fill : what stands for a null, by name of a number feature that had too few of them to learn from
    """

    schema: FeatureSchema
    levels: Mapping[str, Levels]
    fill: Mapping[str, float]

    @classmethod
    def fit(
        cls,
        table: pa.Table,
        schema: FeatureSchema,
        *,
        one_hot_max: int = 0,
        min_count: int = MIN_COUNT,
        max_levels: int = MAX_LEVELS,
    ) -> Self:
        """Learn the levels of every category column, and what stands for nulls. Row order does not matter.

        Parameters
        ----------
        table : training rows; columns beyond ``schema`` are ignored
        one_hot_max : most levels for which a category becomes one-hot; 0 for codes always
        min_count : levels seen in fewer rows are grouped, and nulls seen in fewer rows filled
        max_levels : levels beyond the most frequent ``max_levels - 1`` are grouped too

        Raises
        ------
        DataError
            The table does not fit the schema.
        """
        places = np.arange(table.num_rows, dtype=np.int64)
        return cls.fit_transform(
            lambda _: [(places, table)], table.num_rows, schema,
            one_hot_max=one_hot_max, min_count=min_count, max_levels=max_levels,
        )[0]  # fmt: skip

    @classmethod
    def fit_transform(
        cls,
        pieces: Pieces,
        n: int,
        schema: FeatureSchema,
        *,
        one_hot_max: int = 0,
        min_count: int = MIN_COUNT,
        max_levels: int = MAX_LEVELS,
    ) -> tuple[Self, Matrix]:
        """:meth:`fit` and :meth:`transform` of the same rows, which are never in memory but for the matrix.

        Parameters
        ----------
        pieces : called with names of columns; the rows' tables, each with the places of its rows
        n : how many rows they are together
        """
        words = FeatureSchema(tuple(f for f in schema if f.kind == "category"))
        counted: dict[str, Counter[str | None]] = {name: Counter() for name in words.names}
        for _, table in pieces(words.names) if len(words) else ():
            for name, column in zip(words.names, words.columns_of(table), strict=True):
                counts = pc.value_counts(column)
                counted[name].update(
                    dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
                )
        levels = {name: levels_of(counts, one_hot_max, min_count, max_levels) for name, counts in counted.items()}
        bare = cls(schema, levels, {})
        x = bare.transform_pieces(pieces, n)
        medians = fill_in(x, bare._number_columns.tolist(), min_count)
        fill = dict(zip((f.name for f in schema if f.kind == "number"), medians, strict=True))
        return cls(schema, levels, {name: value for name, value in fill.items() if value is not None}), x

    @cached_property
    def _widths(self) -> tuple[int, ...]:
        return tuple(self.levels[f.name].width if f.kind == "category" else 1 for f in self.schema)

    @cached_property
    def source(self) -> tuple[int, ...]:
        """The feature (its position in the schema) of each matrix column."""
        return tuple(i for i, width in enumerate(self._widths) for _ in range(width))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each matrix column."""
        names: list[str] = []
        for f in self.schema:
            known = self.levels.get(f.name)
            if known is not None and known.one_hot:
                names += [f"{f.name}={known.name_of(c)}" for c in range(known.size)]
            else:
                names.append(f.name)
        return tuple(names)

    @property
    def n_columns(self) -> int:
        return len(self.source)

    @cached_property
    def categorical(self) -> tuple[int, ...]:
        """Matrix columns that hold codes, as :meth:`Estimator.fit` wants them."""
        coded = {f.name for f in self.schema if f.kind == "category" and not self.levels[f.name].one_hot}
        names = self.schema.names
        return tuple(k for k, i in enumerate(self.source) if names[i] in coded)

    def monotone(self, directions: Mapping[str, int]) -> tuple[int, ...]:
        """Per-column directions from directions by feature name; 0 for the rest.

        Raises
        ------
        ConfigError
            A name is not a number feature of the schema.
        """
        numbers = [f.name for f in self.schema if f.kind == "number"]
        problems = [
            Problem(f"monotone.{name}", "is no number feature", did_you_mean(name, numbers))
            for name in directions
            if name not in numbers
        ]
        if problems:
            raise ConfigError("monotone directions do not fit the features", problems)
        names = self.schema.names
        return tuple(directions.get(names[i], 0) for i in self.source)

    def transform(self, table: pa.Table) -> Matrix:
        """Encode rows.

        Parameters
        ----------
        table : (n,) rows with at least the schema's columns

        Returns
        -------
        (n, n_columns) float32; null, a level not known and an infinity are NaN, or what is filled in for it

        Raises
        ------
        DataError
            A column is missing or of another kind.
        """
        out = np.empty((table.num_rows, self.n_columns), dtype=np.float32)
        self._write(table, out)
        return out

    def transform_pieces(self, pieces: Pieces, n: int) -> Matrix:
        """The same of ``n`` rows that come in pieces (see :meth:`fit_transform`)."""
        out = np.empty((n, self.n_columns), dtype=np.float32)
        for at, table in pieces(self.schema.names):
            if np.array_equal(at, np.arange(at[0], at[0] + len(at))):
                self._write(table, out[at[0] : at[0] + len(at)])
            else:
                out[at] = self.transform(table)
        return out

    def encode(self, numbers: Matrix, words: Mapping[str, pa.Array]) -> Matrix:
        """:meth:`transform` of a few rows that are in no table: making one for a row takes longer than scoring it.

        Parameters
        ----------
        numbers : (n, k) the number features, in the schema's order; NaN where unknown
        words : (n,) of each category feature, by name
        """
        out = np.empty((len(numbers), self.n_columns), dtype=np.float32)
        out[:, self._number_columns] = numbers
        at = 0
        for feature, width in zip(self.schema, self._widths, strict=True):
            if feature.kind == "category":
                out[:, at : at + width] = self.levels[feature.name].columns(words[feature.name]).reshape(-1, width)
            at += width
        self._settle(out)
        return out

    def _write(self, table: pa.Table, out: Matrix) -> None:
        parts: list[tuple[int | slice, NDArray[Any]]] = []
        at = 0
        for feature, width, column in zip(self.schema, self._widths, self.schema.columns_of(table), strict=True):
            if feature.kind == "number":
                parts.append((at, column.to_numpy()))
            else:
                levels = self.levels[feature.name]
                parts.append((slice(at, at + width) if levels.one_hot else at, levels.columns(column)))
            at += width
        for start in range(0, len(out), CACHED_ROWS):
            some = out[start : start + CACHED_ROWS]
            for to, values in parts:
                some[:, to] = values[start : start + CACHED_ROWS]
            self._settle(some)

    def _settle(self, some: Matrix) -> None:
        """What no booster should see, in place."""
        # boosters refuse an infinity; a ratio with a zero below says nothing known
        infinite = np.isinf(some)
        if infinite.any():
            some[infinite] = np.nan
        # columns by themselves: NumPy is slow where it repeats a short row
        missing = np.isnan(some)
        for k in np.flatnonzero(missing.any(axis=0) & self._filled):
            some[missing[:, k], k] = self._fill_row[k]

    @cached_property
    def _number_columns(self) -> NDArray[np.int64]:
        numbers = [f.kind == "number" for f in self.schema]
        return np.array([k for k, i in enumerate(self.source) if numbers[i]], dtype=np.int64)

    @cached_property
    def _filled(self) -> NDArray[np.bool_]:
        return ~np.isnan(self._fill_row)

    @cached_property
    def _fill_row(self) -> Matrix:
        names = self.schema.names
        return np.array([self.fill.get(names[i], np.nan) for i in self.source], dtype=np.float32)

    def collapse(self, contributions: FloatArray) -> FloatArray:
        """Contributions of matrix columns (n, n_columns) summed to those of features (n, n_features)."""
        if self.n_columns == len(self.schema):
            return contributions
        out = np.zeros((len(contributions), len(self.schema)), dtype=np.float64)
        for k, i in enumerate(self.source):
            out[:, i] += contributions[:, k]
        return out

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "schema": self.schema.to_json(),
            "levels": {
                name: {"level": list(v.level), "code": list(v.code), "one_hot": v.one_hot, "missing": v.missing}
                for name, v in self.levels.items()
            },
            "fill": dict(self.fill),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote; StoreError if it is not that."""
        try:
            if body["format"] != FORMAT:
                raise ValueError(body["format"])
            levels = {
                name: Levels(tuple(v["level"]), tuple(v["code"]), bool(v["one_hot"]), v["missing"])
                for name, v in body["levels"].items()
            }
            fill = {name: float(value) for name, value in body["fill"].items()}
            return cls(FeatureSchema.from_json(body["schema"]), levels, fill)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError("this is not an encoder file", fix="Train the model again") from error
