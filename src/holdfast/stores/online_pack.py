"""From three tables to the online store's packed rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.artifacts.batches import DECISION_SCHEMA, SCORE_SCHEMA
from holdfast.artifacts.schema import FeatureSchema
from holdfast.errors import DataError, Problem
from holdfast.stores.online_format import NO_CODE, WIDTH

_ELSEWHERE = ("customer_id", "cutoff", "probability", "tier", "segment", "expected_value")
DECISION_FIELDS = tuple(name for name in DECISION_SCHEMA.names if name not in _ELSEWHERE)


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


@dataclass(frozen=True)
class Packed:
    """Rows ready to insert, ordered by customer_id."""

    ids: list[str]
    columns: Sequence[list[Any]]
    """probability, tier, segment, expected_value, value_rank, probability_rank."""
    packed: NDArray[np.uint8]
    """Shape (rows, 4 x features)."""
    reasons: list[str]
    decisions: list[str]
    categories: list[list[str]]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of the ``customer`` table's columns."""
        width = self.packed.shape[1]
        data = self.packed.tobytes()
        blobs = (data[i * width : (i + 1) * width] for i in range(len(self)))
        return zip(self.ids, *self.columns, blobs, self.reasons, self.decisions, strict=True)

    def update(self, digest: _Digest) -> None:
        """Feed all content to a hash."""
        digest.update(json.dumps([self.ids, *self.columns, self.categories], ensure_ascii=False).encode())
        digest.update(self.packed.tobytes())
        digest.update(json.dumps([self.reasons, self.decisions], ensure_ascii=False).encode())


def pack(features: pa.Table, schema: FeatureSchema, scores: pa.Table, decisions: pa.Table) -> Packed:
    """Check that the three tables are of the same customers, and pack them.

    Raises
    ------
    DataError
        They are not, or a column is missing or of another type.
    """
    scores = _conform(scores, SCORE_SCHEMA, "scores")
    decisions = _conform(decisions, DECISION_SCHEMA, "decisions")
    ids = _same_customers({"features": features, "scores": scores, "decisions": decisions})
    table = schema.conform(features)
    numbers = [_number(table.column(f.name)) for f in schema if f.kind == "number"]
    coded = [_category(table.column(f.name)) for f in schema if f.kind == "category"]
    packed = (
        np.column_stack([*(n.view("<i4") for n in numbers), *(codes for codes, _ in coded)]) if len(schema) else None
    )
    matrix = np.zeros((len(ids), 0), dtype="<i4") if packed is None else np.ascontiguousarray(packed, dtype="<i4")
    return Packed(
        ids=ids.to_pylist(),
        columns=[
            scores.column("probability").to_pylist(),
            scores.column("tier").to_pylist(),
            decisions.column("segment").to_pylist(),
            _known(decisions.column("expected_value")).to_pylist(),
            _ranks(decisions.column("expected_value"), ids),
            _ranks(scores.column("probability"), ids),
        ],
        packed=matrix.view(np.uint8).reshape(len(ids), WIDTH * matrix.shape[1]),
        reasons=_finite(_json_lists, scores.column("reasons"), "scores, reasons"),
        decisions=_finite(_json_rows, decisions.select(DECISION_FIELDS), "decisions"),
        categories=[values for _, values in coded],
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
    return pc.if_else(pc.is_nan(column), None, column)


def _ranks(column: pa.ChunkedArray, ids: pa.Array) -> list[int]:
    """Places in descending order of ``column``, then of customer_id; unknown last."""
    order = pc.sort_indices(
        pa.table({"value": _known(column), "id": ids}), sort_keys=[("value", "descending"), ("id", "ascending")]
    ).to_numpy()
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    found: list[int] = ranks.tolist()
    return found


# One encoder: json.dumps with options builds a new one per call, which costs as much as the encoding.
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _finite(dump: Callable[[Any], list[str]], values: Any, where: str) -> list[str]:
    try:
        return dump(values)
    except ValueError as e:  # JSON has no infinity; nor does money
        raise DataError(f"{where} cannot be materialised", [Problem(where, f"a value is not finite: {e}")]) from e


def _json_lists(column: pa.ChunkedArray) -> list[str]:
    """Reasons by row. Goes by columns: ``to_pylist`` of nested structs is three times slower."""
    lists = column.combine_chunks()
    structs = lists.flatten()  # skips null lists
    names = [f.name for f in structs.type]
    dicts = [dict(zip(names, v, strict=True)) for v in zip(*(c.to_pylist() for c in structs.flatten()), strict=True)]
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths).tolist()
    return [_dumps(dicts[start:end]) for start, end in pairwise([0, *ends])]


def _json_rows(table: pa.Table) -> list[str]:
    names = table.column_names
    columns = [_known(c).to_pylist() if pa.types.is_floating(c.type) else c.to_pylist() for c in table.columns]
    return [_dumps(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
