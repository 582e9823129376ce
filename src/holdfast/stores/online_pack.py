"""From three tables to the online store's packed rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.artifacts.batches import DECISION_SCHEMA, SCORE_SCHEMA
from holdfast.artifacts.schema import FeatureSchema
from holdfast.errors import DataError, Problem
from holdfast.stores.online_digest import Digest, feed
from holdfast.stores.online_format import NO_CODE
from holdfast.stores.online_json import json_lists, json_objects

PIECE = 65_536
"""Rows packed, and hashed, at once. It is part of the format: another number gives other names."""
COLUMNS = ("customer_id", "probability", "tier", "segment", "expected_value", "value_rank", "probability_rank")
_ELSEWHERE = ("customer_id", "cutoff", "probability", "tier", "segment", "expected_value")
DECISION_FIELDS = tuple(name for name in DECISION_SCHEMA.names if name not in _ELSEWHERE)


@dataclass(frozen=True)
class Packed:
    """Rows ready to insert, ordered by customer_id. They are packed `PIECE` at a time, when they are asked for.

    Attributes
    ----------
    features : the number features, then the codes of the category features (int32)
    beside : `COLUMNS`, reasons and `DECISION_FIELDS`; null where a value is unknown
    categories : per category feature, the value of each code
    """

    features: pa.Table
    beside: pa.Table
    categories: list[list[str]]

    def __len__(self) -> int:
        return int(self.beside.num_rows)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of the ``customer`` table's columns."""
        for start in range(0, len(self), PIECE):
            beside = self.beside.slice(start, PIECE).combine_chunks()
            columns = {name: beside.column(name).combine_chunks() for name in beside.column_names}
            reasons = json_lists(columns["reasons"])
            decisions = json_objects({name: columns[name] for name in DECISION_FIELDS})
            yield from zip(
                *(columns[name].to_pylist() for name in COLUMNS), self._blobs(start, len(beside)),
                reasons.to_pylist(), decisions.to_pylist(), strict=True,
            )  # fmt: skip

    def _blobs(self, start: int, rows: int) -> list[bytes]:
        matrix = np.empty((rows, self.features.num_columns), dtype="<i4")
        for place, column in enumerate(self.features.slice(start, rows).columns):
            found = column.to_numpy()
            matrix[:, place] = found.view("<i4") if found.dtype == np.float32 else found
        data, width = matrix.tobytes(), matrix.strides[0]
        return [data[i * width : (i + 1) * width] for i in range(rows)]

    def update(self, digest: Digest) -> None:
        """Feed all content to a hash, a piece at a time: however the tables are chunked, the hash is the same."""
        for table in (self.features, self.beside):
            for start in range(0, len(self), PIECE):
                for column in table.slice(start, PIECE).columns:
                    feed(digest, column.combine_chunks())
        for values in self.categories:
            feed(digest, pa.array([str(len(values)), *values], pa.string()))


def pack(features: pa.Table, schema: FeatureSchema, scores: pa.Table, decisions: pa.Table) -> Packed:
    """Check that the three tables are of the same customers and can be served.

    Raises
    ------
    DataError
        They are not, a column is missing or of another type, or money or a contribution is infinite.
    """
    scores = _conform(scores, SCORE_SCHEMA, "scores")
    decisions = _conform(decisions, DECISION_SCHEMA, "decisions")
    ids = _same_customers({"features": features, "scores": scores, "decisions": decisions})
    table = schema.conform(features)
    coded = [_category(table.column(f.name)) for f in schema if f.kind == "category"]
    numbers = [_number(table.column(f.name)) for f in schema if f.kind == "number"]
    packed = [*numbers, *(codes for codes, _ in coded)]
    value = _known(decisions.column("expected_value"))
    beside = {
        "customer_id": ids,
        "probability": scores.column("probability"),
        "tier": scores.column("tier"),
        "segment": decisions.column("segment"),
        "expected_value": value,
        "value_rank": _ranks(value),
        "probability_rank": _ranks(scores.column("probability")),
        "reasons": scores.column("reasons"),
        **{name: _known(decisions.column(name)) for name in DECISION_FIELDS},
    }
    _finite(beside)
    return Packed(
        pa.table(packed, names=[str(i) for i in range(len(packed))]), pa.table(beside), [values for _, values in coded]
    )


def _conform(table: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    try:
        return table.select(schema.names).cast(schema)
    except (KeyError, ValueError) as e:  # ArrowInvalid is a ValueError
        raise DataError(f"{where} cannot be materialised", [Problem(where, str(e))]) from e


def _same_customers(tables: dict[str, pa.Table]) -> pa.Array:
    problems: list[Problem] = []
    first: pa.ChunkedArray | None = None
    for where, table in tables.items():
        if "customer_id" not in table.column_names:
            raise DataError("the tables cannot be materialised", [Problem(where, "column 'customer_id' is missing")])
        ids = table.column("customer_id").cast(pa.string())
        if first is None:
            first = ids
            if ids.null_count:
                problems.append(Problem(where, "customer_id is null", count=ids.null_count))
            rising = pc.less(ids.slice(0, max(len(ids) - 1, 0)), ids.slice(1))
            if len(ids) > 1 and not pc.all(rising).as_py():
                problems.append(Problem(where, "customer_id must ascend without repeats", "Sort by customer_id."))
        elif len(ids) != len(first):
            problems.append(Problem(where, f"{len(ids)} customers, where features have {len(first)}"))
        elif not ids.equals(first):
            at = pc.index(pc.equal(ids, first), False).as_py()
            problems.append(
                Problem(
                    where,
                    f"row {at} is another customer than in features",
                    examples=(ids[at].as_py(), first[at].as_py()),
                )
            )
    if problems:
        raise DataError("features, scores and decisions must hold the same customers in the same order", problems)
    assert first is not None
    return first.combine_chunks()


def _number(column: pa.ChunkedArray) -> NDArray[np.float32]:
    values = pc.fill_null(column, float("nan")).to_numpy().astype("<f4", copy=True)
    values[np.isnan(values)] = np.nan  # one NaN for every way of not knowing, so that equal content has equal bytes
    found: NDArray[np.float32] = values
    return found


def _category(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    values = sorted(v for v in pc.unique(column).to_pylist() if v is not None)
    codes = pc.fill_null(pc.index_in(column, value_set=pa.array(values, pa.string())), NO_CODE)
    return codes.to_numpy().astype("<i4"), values


def _known(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN as null."""
    return pc.if_else(pc.is_nan(column), None, column) if pa.types.is_floating(column.type) else column


def _ranks(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Places in descending order of ``column``, then of customer_id, as the rows are; unknown last."""
    order = np.argsort(-pc.fill_null(column, float("nan")).to_numpy(), kind="stable")
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _finite(beside: dict[str, Any]) -> None:
    """JSON has no infinity; nor does money."""
    amounts = {f"decisions, {n}": beside[n] for n in DECISION_FIELDS if pa.types.is_floating(beside[n].type)}
    contributions = [pc.struct_field(chunk.flatten(), "contribution") for chunk in beside["reasons"].chunks]
    amounts["scores, reasons"] = pa.chunked_array(contributions, pa.float64())
    problems = [
        Problem(where, "a value is not finite", count=count)
        for where, column in amounts.items()
        if (count := pc.sum(pc.invert(pc.is_finite(column))).as_py())
    ]
    if problems:
        raise DataError("scores and decisions cannot be materialised", problems)
