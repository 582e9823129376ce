"""Opening a generation's file: read-only, immutable, checked."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from holdfast.errors import StoreError
from holdfast.stores.online_format import MATERIALIZE
from holdfast.stores.online_meta import meta_of
from holdfast.stores.online_row import GenerationMeta

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100


def open_generation(path: Path) -> sqlite3.Connection:
    """Open a generation for reading; the connection may pass between threads, one at a time.

    Raises
    ------
    StoreError
        The file is missing, cut short or not SQLite.
    """
    _check_whole(path)
    try:
        # immutable: no locks and no journal look-ups. No mmap: a file cut short would kill the process (SIGBUS).
        return sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1",
            uri=True,
            check_same_thread=False,
            isolation_level=None,
        )
    except sqlite3.Error as e:
        raise broken(path, e) from e


def _check_whole(path: Path) -> None:
    """SQLite notices a missing tail only when a query reaches it, so compare the size with the header's."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        size = path.stat().st_size
    except FileNotFoundError as e:
        raise broken(path, "the file is missing") from e
    except OSError as e:
        raise broken(path, e.strerror or e) from e
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise broken(path, "it is not an SQLite file")
    page_size = int.from_bytes(header[16:18], "big")
    expected = (65536 if page_size == 1 else page_size) * int.from_bytes(header[28:32], "big")
    if size != expected:
        raise broken(path, f"it has {size} bytes, its header says {expected}")


def read_meta(connection: sqlite3.Connection, path: Path) -> GenerationMeta:
    """Read what the generation is.

    Raises
    ------
    StoreError
        The file is damaged, of another format version, or under another generation's name.
    """
    try:
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        categories: dict[int, list[str]] = {}
        for place, value in connection.execute("SELECT feature, value FROM category ORDER BY feature, code"):
            categories.setdefault(place, []).append(value)
        found = meta_of(meta, categories)
    except (sqlite3.Error, KeyError, ValueError, TypeError) as e:
        raise broken(path, e) from e
    if found.generation != path.stem:
        raise broken(path, f"it holds the generation {found.generation!r}")
    return found


def broken(path: Path, why: object) -> StoreError:
    """The error for a generation that cannot be read."""
    return StoreError(f"the online store's {path} cannot be read: {why}", fix=MATERIALIZE)
