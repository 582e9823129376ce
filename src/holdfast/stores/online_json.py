"""JSON texts from Arrow columns: the texts that Python's ``json`` writes, without a Python object for every row."""

from __future__ import annotations

from json.encoder import encode_basestring

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def json_objects(columns: dict[str, pa.Array]) -> pa.Array:
    """One object for every row.

    Parameters
    ----------
    columns : text or finite float64 by field name, of one length; nulls become ``null``. At least one.

    Returns
    -------
    array of text, as long as the columns
    """
    parts: list[pa.Array | str] = []
    for name, column in columns.items():
        parts += [f"{',' if parts else '{'}{encode_basestring(name)}:", _values(column)]
    return pc.binary_join_element_wise(*parts, "}", "")


def json_lists(lists: pa.Array) -> pa.Array:
    """One list of objects for every row; a null list is an empty one.

    Parameters
    ----------
    lists : array of lists of structs of text or finite float64

    Returns
    -------
    array of text, as long as ``lists``
    """
    structs = lists.flatten()  # skips null lists
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    names = [field.name for field in structs.type]
    objects = json_objects(dict(zip(names, structs.flatten(), strict=True)))
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, objects), ",")
    return pc.binary_join_element_wise("[", joined, "]", "")


def _values(column: pa.Array) -> pa.Array:
    """The text of every value; each different value is encoded once."""
    if pa.types.is_floating(column.type):
        bits = column.view(pa.int64()).dictionary_encode()  # by bits: 0.0 and -0.0 differ
        words = [repr(value) for value in bits.dictionary.view(pa.float64()).to_pylist()]
    else:
        bits = column.dictionary_encode()
        words = [encode_basestring(value) for value in bits.dictionary.to_pylist()]
    return pc.fill_null(pa.array(words, pa.string()).take(bits.indices), "null")
