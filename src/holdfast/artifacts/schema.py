"""The feature schema: what every column of a snapshot means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from holdfast.errors import DataError, Problem, did_you_mean
from holdfast.types import FeatureKind


@dataclass(frozen=True)
class FeatureSpec:
    """One feature column.

    Attributes
    ----------
    name : systematic column name, for example ``usage_minutes_sum_3m``
    kind : ``number`` (float32 in Parquet, null means unknown) or ``category`` (string, null means unknown)
    group : the measure it belongs to, for example ``usage_minutes``; correlated windows of one measure
        share a group and are given as one reason
    label : business words, for example ``minutes used, last 3 months``
    unit : for example ``minutes`` or ``""``
    source : the source table
    window : ``3m``, ``6m``, ``12m`` or ``""`` for a value at the cutoff
    null_means : what a null says
    end_state : the value is known only as of the extract (DESIGN section 1)
    definition : how it is computed, in words
    """

    name: str
    kind: FeatureKind
    group: str
    label: str
    unit: str = ""
    source: str = ""
    window: str = ""
    null_means: str = ""
    end_state: bool = False
    definition: str = ""

    @property
    def arrow_type(self) -> pa.DataType:
        return pa.float32() if self.kind == "number" else pa.string()


@dataclass(frozen=True)
class FeatureSchema:
    """The ordered features of a dataset, and so of every bundle trained on it."""

    features: tuple[FeatureSpec, ...]

    def __iter__(self) -> Iterator[FeatureSpec]:
        return iter(self.features)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def names(self) -> list[str]:
        return [f.name for f in self.features]

    @property
    def end_state(self) -> list[str]:
        return [f.name for f in self.features if f.end_state]

    def __getitem__(self, name: str) -> FeatureSpec:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def without(self, names: Sequence[str]) -> FeatureSchema:
        """The same schema less the named features."""
        return FeatureSchema(tuple(f for f in self.features if f.name not in set(names)))

    def only(self, names: Sequence[str]) -> FeatureSchema:
        """The named features, in this schema's order."""
        return FeatureSchema(tuple(f for f in self.features if f.name in set(names)))

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(f) for f in self.features]

    @classmethod
    def from_json(cls, rows: Sequence[dict[str, Any]]) -> FeatureSchema:
        return cls(tuple(FeatureSpec(**row) for row in rows))

    @property
    def sha256(self) -> str:
        """A hash of names, kinds and order: two bundles agree on input iff this agrees."""
        text = json.dumps([[f.name, f.kind] for f in self.features])
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def arrow_types(self) -> tuple[pa.DataType, ...]:
        """Of each feature the type of its column."""
        return tuple(f.arrow_type for f in self.features)

    def columns_of(self, table: pa.Table) -> list[pa.ChunkedArray]:
        """The columns of :meth:`conform`, as they are where they fit already: asking for a cast of each would be half
        the time of scoring one row."""
        index = {name: i for i, name in enumerate(table.column_names)}
        columns = [table.column(index[f.name]) for f in self.features if f.name in index]
        if [column.type for column in columns] == [*self.arrow_types]:
            return columns
        return list(self.conform(table).columns)

    def conform(self, table: pa.Table, *, where: str = "feature rows") -> pa.Table:
        """Select this schema's columns from ``table`` in order, cast to their types.

        Raises
        ------
        DataError
            A column is missing or cannot be cast; the message is a readable diff.
        """
        have = table.column_names
        problems = [
            Problem(where, f"column '{name}' is missing", did_you_mean(name, set(have) - set(self.names)))
            for name in self.names
            if name not in have
        ]
        columns: list[pa.ChunkedArray] = []
        if not problems:
            for feature in self.features:
                column = table.column(feature.name)
                try:
                    columns.append(column.cast(feature.arrow_type))
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                    problems.append(
                        Problem(
                            where,
                            f"column '{feature.name}' is {column.type}, not a {feature.kind}",
                            examples=tuple(column.slice(0, 3).to_pylist()),
                        )
                    )
        if problems:
            raise DataError(f"{where} do not fit the feature schema", problems)
        return pa.table(columns, names=self.names)
