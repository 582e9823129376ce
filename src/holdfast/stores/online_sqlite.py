"""The online store of one folder, on SQLite."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import NotReadyError, StoreError
from holdfast.stores.online_file import open_generation, read_meta
from holdfast.stores.online_format import Pointer, generation_file
from holdfast.stores.online_read import OnlineReader
from holdfast.stores.online_write import OnlineWriter


@dataclass(frozen=True)
class SqliteStore:
    """``folder``: ``var/<project>/online``."""

    folder: Path
    local = True

    def reader(self) -> OnlineReader:
        return OnlineReader(self.folder)

    def writer(self) -> OnlineWriter:
        return OnlineWriter(self.folder)

    def place(self, generation: str) -> str:
        return str(generation_file(self.folder, generation))

    def bundle_dirs(self) -> set[str]:
        try:
            pointer = Pointer.read(self.folder)
        except NotReadyError:
            return set()
        found = {pointer.bundle_dir}
        if pointer.previous is not None:
            file = generation_file(self.folder, pointer.previous)
            # one that is gone, damaged or of an older format is never read again, so it needs no bundle
            with suppress(StoreError), closing(open_generation(file)) as connection:
                found.add(read_meta(connection, file).bundle_dir)
        return found
