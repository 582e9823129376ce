"""The online store's format: one SQLite file per generation, a CURRENT pointer, packed feature rows.

``online/<generation>.sqlite`` never changes once it has its name; ``online/CURRENT`` (JSON) says which one
serves. A customer's features are one BLOB: the number features as little-endian float32 in schema order, then
one little-endian int32 code per category feature (``NO_CODE`` for null). The category dictionary is in the
``category`` table. Ranks of both work list orders are stored, so a page is a range of an index.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from holdfast.clock import iso, parse_instant
from holdfast.errors import NotReadyError, StoreError

FORMAT_VERSION = 2
POINTER = "CURRENT"
SUFFIX = ".sqlite"
NO_CODE = -1
WIDTH = 4  # bytes of a float32 and of a category code
MATERIALIZE = "Run: holdfast materialize"

Order = Literal["expected_value", "probability"]
RANKS: dict[Order, str] = {"expected_value": "value_rank", "probability": "probability_rank"}

_GENERATION = re.compile(r"[0-9a-f]{16}")

# Customers are wide. WITHOUT ROWID, whole rows would fill the inner pages too, six to a page, and a look-up would read
# eight such pages. As it is, it reads inner pages that are narrow and stay in memory, and one leaf of each tree.
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE category (feature INTEGER, code INTEGER, value TEXT NOT NULL, PRIMARY KEY (feature, code)) WITHOUT ROWID;
CREATE TABLE customer (
  customer_id TEXT NOT NULL PRIMARY KEY,
  probability REAL NOT NULL,
  tier TEXT NOT NULL,
  segment TEXT,
  expected_value REAL,
  value_rank INTEGER NOT NULL,
  probability_rank INTEGER NOT NULL,
  features BLOB NOT NULL,
  reasons TEXT NOT NULL,
  decision TEXT NOT NULL
);
"""

# In the order that `online_row.OnlineRow` takes them.
COLUMNS = "customer_id, probability, tier, segment, expected_value, features, reasons, decision"

# Each index covers both filters, so a page reads the index alone until its rows are found.
INDEXES = "".join(
    f"CREATE INDEX {rank}_{name} ON customer ({columns});\n"
    for rank in RANKS.values()
    for name, columns in (
        ("all", rank),
        ("tier", f"tier, {rank}, segment"),
        ("segment", f"segment, {rank}, tier"),
    )
)


def is_generation(text: str) -> bool:
    """Whether ``text`` may name a generation, and so a file."""
    return _GENERATION.fullmatch(text) is not None


def generation_file(folder: Path, generation: str) -> Path:
    """The file of a generation.

    Raises
    ------
    StoreError
        ``generation`` is not a generation's name (it comes from files and cursors, so it is not trusted).
    """
    if not is_generation(generation):
        raise StoreError(f"{generation!r} is not a generation of {folder}: 16 hex digits", fix=MATERIALIZE)
    return folder / f"{generation}{SUFFIX}"


@dataclass(frozen=True)
class Pointer:
    """What CURRENT says.

    Attributes
    ----------
    generation, bundle_sha256, model_version, cutoff : of the generation that serves
    bundle_dir : the bundle's folder, relative to var/<project>
    previous : the generation that served before, kept for readers still on it; or None
    """

    generation: str
    bundle_sha256: str
    model_version: str
    cutoff: datetime
    bundle_dir: str
    previous: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "cutoff": iso(self.cutoff)}

    @classmethod
    def read(cls, folder: Path) -> Pointer:
        """Read ``folder/CURRENT``.

        Raises
        ------
        NotReadyError
            Nothing was materialised yet.
        StoreError
            The pointer cannot be read.
        """
        file = folder / POINTER
        try:
            text = file.read_bytes()
        except FileNotFoundError as e:
            raise not_ready(folder) from e
        except OSError as e:
            raise StoreError(f"{file} is not an online store pointer: {e}", fix=MATERIALIZE) from e
        return cls.parse(text, file)

    @classmethod
    def parse(cls, text: bytes, where: object) -> Pointer:
        """The pointer that `to_json` gave. StoreError where it is none."""
        try:
            data = json.loads(text)
            pointer = cls(**{**data, "cutoff": parse_instant(data["cutoff"])})
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise StoreError(f"{where} is not an online store pointer: {e}", fix=MATERIALIZE) from e
        if not isinstance(pointer.generation, str) or not is_generation(pointer.generation):
            raise StoreError(f"{where} names {pointer.generation!r}, not a generation: 16 hex digits", fix=MATERIALIZE)
        return pointer


def not_ready(folder: Path) -> NotReadyError:
    """The error for a store that nothing was ever written to."""
    return NotReadyError(f"the online store {folder} is empty", fix=MATERIALIZE)
