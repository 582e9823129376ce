"""Why a customer's margin is what it is: contributions that add up, and the reasons read off them.

Contributions are exact and on the log-odds margin of the raw model: calibration moves the number shown, not
the reasons for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from holdfast.artifacts.schema import FeatureSchema
from holdfast.errors import DataError, HoldfastError, Problem
from holdfast.evaluation.arrays import FloatArray, IntArray
from holdfast.models.estimator import FittedModel, Matrix
from holdfast.models.tree_shap import TOLERANCE

Direction: TypeAlias = Literal["raises", "lowers"]
Value: TypeAlias = float | str | None

DEFAULT_TOP = 3
NONE = -1  # in `RankedReasons`: fewer groups move the margin that way


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for a customer's risk.

    Attributes
    ----------
    group : the measure, whose features' contributions are taken together
    feature, label : the feature of the group that moves the margin most in this direction, and its words
    value, typical : the customer's value (None if unknown) and the training median or mode
    direction : whether the group raises or lowers the risk
    contribution : of the whole group, in log-odds; negative for ``lowers``
    """

    group: str
    feature: str
    label: str
    value: Value
    typical: Value
    direction: Direction
    contribution: float


@dataclass(frozen=True)
class RankedReasons:
    """Reasons in columns, for writing many at once; all (n, top), strongest first.

    Attributes
    ----------
    group : position in :func:`groups_of`, or `NONE`
    feature : position in the schema, or `NONE`
    contribution : of the group, in log-odds; 0 where there is none
    """

    direction: Direction
    group: IntArray
    feature: IntArray
    contribution: FloatArray


def explained(model: FittedModel, x: Matrix, margin: FloatArray | None = None) -> FloatArray:
    """Exact contributions of a matrix, (n, f + 1) with the base last, checked to add up to the margin.

    Parameters
    ----------
    margin : (n,) of the same rows, where it is known already

    Raises
    ------
    HoldfastError
        A row's contributions miss its margin by more than `TOLERANCE`: the model file and the library that
        reads it do not belong together.
    """
    parts = model.contributions(x)
    gap = np.abs(parts.sum(axis=1) - (model.margin(x) if margin is None else margin))
    if len(gap) and not gap.max() <= TOLERANCE:
        raise HoldfastError(
            f"contributions of {model.name} do not add up: {int((~(gap <= TOLERANCE)).sum())} of {len(gap)} "
            f"rows are off by up to {float(np.nanmax(gap)):.3g} log-odds",
            fix="Train the model again with the libraries installed now",
        )
    return parts


def groups_of(schema: FeatureSchema) -> list[str]:
    """The schema's groups in order of their first feature."""
    return list(dict.fromkeys(f.group for f in schema))


def members_of(schema: FeatureSchema) -> list[list[int]]:
    """The positions of each group's features, the groups in order of their first feature."""
    members: dict[str, list[int]] = {}
    for i, f in enumerate(schema):
        members.setdefault(f.group, []).append(i)
    return list(members.values())


def rank_reasons(
    contributions: FloatArray,
    schema: FeatureSchema,
    *,
    top: int = DEFAULT_TOP,
    direction: Direction = "raises",
) -> RankedReasons:
    """The groups that move each row's margin most in one direction.

    Parameters
    ----------
    contributions : (n, n_features) log-odds by feature of the schema, without the base
    top : most reasons a row

    Notes
    -----
    Equal sums are ordered by the schema, so the same inputs always give the same reasons.
    """
    members = members_of(schema)
    n = len(contributions)
    # from here on larger is stronger
    signed = contributions if direction == "raises" else -contributions
    sums = np.empty((n, len(members)), dtype=np.float64)
    strongest = np.empty((n, len(members)), dtype=np.int64)
    for g, mine in enumerate(members):
        part = signed[:, mine]
        sums[:, g] = part.sum(axis=1)
        strongest[:, g] = np.array(mine)[part.argmax(axis=1)]
    shape = (n, top)
    group = np.full(shape, NONE, dtype=np.int64)
    feature = np.full(shape, NONE, dtype=np.int64)
    contribution = np.zeros(shape, dtype=np.float64)
    rows = np.arange(n)
    for k in range(min(top, len(members))):
        best = sums.argmax(axis=1)  # the first of equals
        value = sums[rows, best]
        found = value > 0
        group[found, k] = best[found]
        feature[found, k] = strongest[rows, best][found]
        contribution[found, k] = value[found]
        sums[rows, best] = -np.inf
    return RankedReasons(direction, group, feature, contribution if direction == "raises" else -contribution)


def row_reasons(
    contributions: Sequence[float], members: Sequence[Sequence[int]], top: int, direction: Direction
) -> list[tuple[int, float]]:
    """What :func:`rank_reasons` says of a row alone, which takes a tenth of the time: feature and group's contribution.

    Parameters
    ----------
    contributions : (n_features,)
    members : of each group the positions of its features, as :func:`members_of` gives them
    """
    sign = 1.0 if direction == "raises" else -1.0
    sums = [(sign * sum([contributions[i] for i in mine]), mine) for mine in members]
    # sorting keeps equals, and `max` takes the first of them: both in the schema's order
    best = sorted([found for found in sums if found[0] > 0], key=lambda found: -found[0])[:top]
    return [(max(mine, key=lambda i: sign * contributions[i]), sign * value) for value, mine in best]


def reasons(
    contributions: FloatArray,
    schema: FeatureSchema,
    rows: pa.Table,
    typical: Mapping[str, Value],
    top: int = DEFAULT_TOP,
    direction: Direction = "raises",
) -> list[list[Reason]]:
    """Up to ``top`` reasons of each row, strongest first.

    Parameters
    ----------
    contributions : (n, n_features) as :meth:`holdfast.models.bundle.Bundle.contributions` gives them
    rows : (n,) the feature rows themselves, for their values
    typical : training median or mode by feature

    Raises
    ------
    DataError
        ``contributions`` and ``rows`` differ in length or do not fit the schema.
    """
    if contributions.shape != (rows.num_rows, len(schema)):
        what = f"shape is {contributions.shape}, not ({rows.num_rows}, {len(schema)})"
        raise DataError("these rows cannot be explained", [Problem("contributions", what)])
    ranked = rank_reasons(contributions, schema, top=top, direction=direction)
    values = _values(ranked.feature, schema, rows)
    features = [(f.group, f.name, f.label, typical.get(f.name)) for f in schema]
    out: list[list[Reason]] = []
    for picked, row_values, parts in zip(
        ranked.feature.tolist(), values.tolist(), ranked.contribution.tolist(), strict=True
    ):
        row = []
        for i, value, part in zip(picked, row_values, parts, strict=True):
            if i == NONE:
                break
            group, name, label, usual = features[i]
            row.append(Reason(group, name, label, value, usual, direction, part))
        out.append(row)
    return out


def _values(picked: IntArray, schema: FeatureSchema, rows: pa.Table) -> NDArray[np.object_]:
    """The value of each picked feature, (n, top): one column is read at a time, never a row."""
    used = np.unique(picked[picked != NONE]).tolist()
    table = FeatureSchema(tuple(schema.features[i] for i in used)).conform(rows)
    values = np.full(picked.shape, None, dtype=object)
    for k, i in enumerate(used):
        at = picked == i
        values[at] = as_values(table.column(k).take(pa.array(np.nonzero(at)[0])))
    return values


def as_values(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """A column as Python values: a float32 as the shortest decimal that is it (0.1, not 0.10000000149)."""
    if pa.types.is_float32(column.type):
        column = column.cast(pa.string()).cast(pa.float64())
        numbers: NDArray[np.object_] = column.to_numpy().astype(object)
        numbers[column.is_null().to_numpy()] = None
        return numbers
    out = np.empty(len(column), dtype=object)
    out[:] = column.to_pylist()
    return out
