"""The content of Arrow columns as bytes to hash: the same for every chunking, and whatever lies under nulls."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc


class Digest(Protocol):
    """A hash, as `hashlib` has them."""

    def update(self, data: bytes, /) -> None: ...


def feed(digest: Digest, column: pa.Array) -> None:
    """Feed one column to a hash, so that other content has other bytes.

    Parameters
    ----------
    column : array of numbers, text, or lists of structs of them; a null list is an empty one
    """
    kind = column.type
    if pa.types.is_list(kind):
        structs = column.flatten()  # skips null lists
        _numbers(digest, pc.fill_null(pc.list_value_length(column), 0))
        for field in structs.flatten():
            feed(digest, field)
        return
    _numbers(digest, column.is_valid().cast(pa.uint8()))
    if not pa.types.is_string(kind):
        _numbers(digest, pc.fill_null(column, 0))
        return
    texts = pc.fill_null(column, "")
    _numbers(digest, pc.binary_length(texts))
    offsets = pa.Array.from_buffers(pa.int32(), len(texts) + 1, [None, texts.buffers()[1]], offset=texts.offset)
    if len(texts):
        digest.update(texts.buffers()[2][offsets[0].as_py() : offsets[-1].as_py()])


def _numbers(digest: Digest, column: pa.Array) -> None:
    digest.update(column.to_numpy(zero_copy_only=False).tobytes())
