"""The levels of a category column, and the code of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.models.estimator import Matrix

RARE = "(rare)"


@dataclass(frozen=True)
class Levels:
    """The known levels of one category column.

    Attributes
    ----------
    level : names, sorted
    code : each level's code; rare ones share the highest
    one_hot : one matrix column per code rather than one column of codes
    missing : the code of a null and of a level not known; None where these are NaN
    """

    level: tuple[str, ...]
    code: tuple[int, ...]
    one_hot: bool
    missing: int | None = None

    @property
    def width(self) -> int:
        return self.size if self.one_hot else 1

    @property
    def size(self) -> int:
        return max(self.code, default=-1) + 1

    @cached_property
    def arrow(self) -> pa.Array:
        return pa.array(self.level, pa.string())

    @cached_property
    def codes(self) -> Matrix:
        return np.array([*self.code, np.nan if self.missing is None else self.missing], dtype=np.float32)

    def name_of(self, code: int) -> str:
        names = [level for level, c in zip(self.level, self.code, strict=True) if c == code]
        return names[0] if len(names) == 1 else RARE

    def encode(self, column: pa.Array | pa.ChunkedArray) -> Matrix:
        """Codes of a string column, (n,) float32; null and levels not known are as ``missing`` says."""
        position = pc.fill_null(pc.index_in(column, self.arrow), len(self.level))
        codes: Matrix = self.codes[position.to_numpy()]
        return codes

    def columns(self, column: pa.Array | pa.ChunkedArray) -> Matrix:
        """As the matrix has them: the codes, (n,), or the one-hot columns, (n, width)."""
        codes = self.encode(column)
        if not self.one_hot:
            return codes
        hot = codes[:, None] == np.arange(self.width, dtype=np.float32)
        # a missing category is missing in each of its columns
        return np.where(np.isnan(codes)[:, None], np.float32(np.nan), hot.astype(np.float32))


def levels_of(counts: Mapping[str | None, int], one_hot_max: int, min_count: int, max_levels: int) -> Levels:
    """The levels of a column, from how often each, and null, was seen; see `Encoder.fit` for the bounds."""
    pairs = sorted(
        ((level, count) for level, count in counts.items() if level is not None), key=lambda pair: (-pair[1], pair[0])
    )
    kept = [level for level, count in pairs if count >= min_count]
    if len(kept) < len(pairs) or len(kept) > max_levels:
        kept = kept[: max_levels - 1]
    own = {level: code for code, level in enumerate(sorted(kept))}
    names = sorted(level for level, _ in pairs)
    code = tuple(own.get(level, len(own)) for level in names)
    missing = None
    if names and counts.get(None, 0) < min_count:
        missing = len(own) if len(own) < len(names) else own[pairs[0][0]]
    return Levels(tuple(names), code, 0 < max(code, default=-1) + 1 <= one_hot_max, missing)
