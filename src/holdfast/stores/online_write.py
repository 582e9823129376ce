"""Writing the online store: a generation at a time, then one pointer."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from holdfast.artifacts.files import TEMPORARY, write_json, writing_file
from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso
from holdfast.errors import NotFoundError, StoreError
from holdfast.stores.online_file import open_generation, read_meta
from holdfast.stores.online_format import (
    FORMAT_VERSION,
    INDEXES,
    MATERIALIZE,
    POINTER,
    SUFFIX,
    TABLES,
    Pointer,
    generation_file,
)
from holdfast.stores.online_meta import meta_text
from holdfast.stores.online_pack import Packed, pack
from holdfast.stores.online_row import GenerationMeta

GENERATION_DIGITS = 16
PAGE_BYTES = 8192  # a packed row of 60 features with its reasons is about 1.5 kB; fewer overflow pages than 4096
CACHE_KIB = 131_072  # of the writer alone; SQLite's own 2 MB would be written out and read again for each index


class OnlineWriter:
    """Writes generations into ``folder`` and switches between them. One writer at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self,
        features: pa.Table,
        schema: FeatureSchema,
        scores: pa.Table,
        decisions: pa.Table,
        *,
        bundle_sha256: str,
        model_version: str,
        cutoff: datetime,
        bundle_dir: str,
        dataset_id: str = "",
        config_hash: str = "",
    ) -> str:
        """Write one generation; it serves only after `switch`.

        Parameters
        ----------
        features : table of customer_id and the schema's columns
        scores, decisions : tables of SCORE_SCHEMA and DECISION_SCHEMA; all three hold the same customers, ordered
        bundle_dir : the bundle's folder, relative to var/<project>

        Returns
        -------
        str
            The generation's name: a hash of everything it holds, so repeating gives the same file.

        Raises
        ------
        DataError
            The tables do not hold the same customers in the same order, or do not fit their schemas.
        StoreError
            The disk is full or not writable. The store is as it was.
        """
        packed = pack(features, schema, scores, decisions)
        name = generation_name(packed, schema, bundle_sha256, model_version, cutoff)
        path = generation_file(self.folder, name)
        meta = meta_text(
            schema, len(packed), cutoff, generation=name, bundle_sha256=bundle_sha256, model_version=model_version,
            bundle_dir=bundle_dir, dataset_id=dataset_id, config_hash=config_hash,
        )  # fmt: skip
        with writing_file(path) as temporary:
            try:
                _fill(temporary, packed, meta)
            except sqlite3.Error as e:
                raise StoreError(f"cannot write {path}: {e}", fix="Free disk space or check permissions.") from e
        return name

    def switch(self, generation: str) -> Pointer:
        """Make ``generation`` the one that serves; keep the one before, remove older ones.

        Switching to what already serves changes nothing but this: readers open its file again.

        Raises
        ------
        NotFoundError
            There is no such generation.
        StoreError
            Its file cannot be read; the pointer is as it was.
        """
        path = generation_file(self.folder, generation)
        if not path.exists():
            raise NotFoundError(f"no generation {generation} in {self.folder}", fix=MATERIALIZE)
        meta = self._meta(path)
        now = self._current()
        previous = None if now is None else now.previous if now.generation == generation else now.generation
        pointer = Pointer(
            generation, meta.bundle_sha256, meta.model_version, meta.cutoff, meta.bundle_dir, previous=previous
        )
        # though nothing in it changes: readers see that it was written, and open a file that was written anew
        write_json(self.folder / POINTER, pointer.to_json())
        self._remove_all_but({generation, previous})
        return pointer

    def _meta(self, path: Path) -> GenerationMeta:
        with closing(open_generation(path)) as connection:
            return read_meta(connection, path)

    def _current(self) -> Pointer | None:
        if not (self.folder / POINTER).exists():
            return None
        try:
            return Pointer.read(self.folder)
        except StoreError:
            return None  # a broken pointer is mended by the switch

    def _remove_all_but(self, kept: set[str | None]) -> None:
        for file in self.folder.iterdir():
            old = file.suffix == SUFFIX and not file.name.startswith(TEMPORARY) and file.stem not in kept
            if old or file.name.startswith(TEMPORARY):  # what killed writers left
                file.unlink(missing_ok=True)


def generation_name(
    packed: Packed, schema: FeatureSchema, bundle_sha256: str, model_version: str, cutoff: datetime
) -> str:
    """A hash of the bundle, the cutoff and every row's content."""
    digest = hashlib.sha256(
        json.dumps([FORMAT_VERSION, bundle_sha256, model_version, iso(cutoff), schema.sha256]).encode()
    )
    packed.update(digest)
    return digest.hexdigest()[:GENERATION_DIGITS]


def _fill(path: Path, packed: Packed, meta: dict[str, str]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    with closing(connection):
        # A half-written file never gets its name, so nothing here needs a journal; `writing_file` syncs at the end.
        for pragma in (
            f"page_size={PAGE_BYTES}", "journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE",
            f"cache_size=-{CACHE_KIB}", "temp_store=MEMORY",  # indexes are sorted in memory
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        for statement in TABLES.split(";"):
            connection.execute(statement)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", sorted(meta.items()))
        connection.executemany(
            "INSERT INTO category VALUES (?, ?, ?)",
            ((place, code, v) for place, values in enumerate(packed.categories) for code, v in enumerate(values)),
        )
        connection.executemany("INSERT INTO customer VALUES (?,?,?,?,?,?,?,?,?,?)", packed.rows())
        for statement in INDEXES.split(";"):
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("ANALYZE")
