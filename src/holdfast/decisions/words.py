"""The words that go with a decision, built column-wise: a million rows are a handful of joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def fixed(values: NDArray[np.float64], decimals: int = 2) -> pa.Array:
    """Numbers as text with a fixed number of decimals; ``?`` for NaN.

    >>> fixed(np.array([1.005, -0.5, float("nan")]), 1).to_pylist()
    ['1.0', '-0.5', '?']
    """
    scale = 10**decimals
    known = np.isfinite(values)
    units = np.rint(np.where(known, values, 0.0) * scale).astype(np.int64)
    whole, part = np.divmod(np.abs(units), scale)
    text = pa.array(whole).cast(pa.string())
    if decimals:
        digits = pc.utf8_lpad(pa.array(part).cast(pa.string()), width=decimals, padding="0")
        text = pc.binary_join_element_wise(text, digits, ".")
    text = pc.binary_join_element_wise(pa.array(np.where(units < 0, "-", "")), text, "")
    return pc.if_else(pa.array(known), text, "?")


def escaped(text: str) -> str:
    """``text`` as it must stand in a template."""
    return text.replace("{", "{{").replace("}", "}}")


def fill(templates: Sequence[str], which: NDArray[np.int64], fields: Mapping[str, pa.Array]) -> pa.Array:
    """Row i is ``templates[which[i]]`` with ``{name}`` replaced by ``fields[name][i]``.

    >>> fill(["a {x}", "b"], np.array([1, 0]), {"x": pa.array(["7", "8"])}).to_pylist()
    ['b', 'a 8']
    """
    parts: list[pa.Array] = []
    places: list[NDArray[np.int64]] = []
    for code, template in enumerate(templates):
        rows = np.flatnonzero(which == code)
        if not len(rows):
            continue
        pieces: list[pa.Array] = []
        for literal, name, _, _ in Formatter().parse(template):
            pieces.append(pa.repeat(pa.scalar(literal), len(rows)))
            if name is not None:
                pieces.append(fields[name].take(pa.array(rows)))
        parts.append(pc.binary_join_element_wise(*pieces, ""))
        places.append(rows)
    if not parts:
        return pa.array([], pa.string())
    return pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(places), kind="stable")))
