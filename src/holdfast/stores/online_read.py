"""Reading the online store: thread-safe, always within one generation."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import NotFoundError, StoreError
from holdfast.stores.online_cursor import check_page, decode, encode
from holdfast.stores.online_file import broken, open_generation, read_meta
from holdfast.stores.online_format import (
    COLUMNS,
    POINTER,
    RANKS,
    Order,
    Pointer,
    generation_file,
    not_ready,
)
from holdfast.stores.online_row import GenerationMeta, OnlineRow, Page

IDS_PER_QUERY = 500  # below SQLite's oldest limit on parameters, 999
SCANNED = 1000
_SCAN = f"SELECT {COLUMNS} FROM customer ORDER BY customer_id LIMIT ?"  # noqa: S608
_SCAN_ON = f"SELECT {COLUMNS} FROM customer WHERE customer_id > ? ORDER BY customer_id LIMIT ?"  # noqa: S608
_GET = f"SELECT {COLUMNS} FROM customer WHERE customer_id = ?"  # noqa: S608 - a constant


class _Generation:
    """One open generation and its idle connections. Never changes, so threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = _identity(path)
        self._idle: list[sqlite3.Connection] = []
        self._retired = False
        connection = open_generation(path)
        try:
            self.meta: GenerationMeta = read_meta(connection, path)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def borrow(self) -> sqlite3.Connection:
        """A connection for one thread at a time."""
        try:
            return self._idle.pop()  # list.pop and append are atomic
        except IndexError:
            return open_generation(self.path)

    def give_back(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._retired:
            self.retire()

    def query(self, sql: str, values: Sequence[object]) -> list[Any]:
        """All rows of a query. SQLite's errors leave as StoreError."""
        connection = self.borrow()
        try:
            found = connection.execute(sql, values).fetchall()
        except sqlite3.Error as e:
            # not used again: the next query opens what then has this name, which may be a file that is whole
            connection.close()
            raise broken(self.path, e) from e
        except BaseException:
            self.give_back(connection)
            raise
        self.give_back(connection)
        return found

    def retire(self) -> None:
        """Close the idle connections now and the borrowed ones when they come back."""
        self._retired = True
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:  # another thread took the last one
                return


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name now; None if none has."""
    try:
        stat = path.stat()
    except OSError:
        return None  # opening it says why
    return stat.st_ino, stat.st_mtime_ns


class OnlineReader:
    """Reads the generation that serves, and follows CURRENT when told to `refresh`.

    Every method answers from one generation, even while another thread refreshes.

    Parameters
    ----------
    folder : ``var/<project>/online``

    Raises
    ------
    NotReadyError
        Nothing was materialised yet.
    StoreError
        The pointer or its generation cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pointer_file = folder / POINTER
        self._lock = threading.Lock()
        self._open: dict[str, _Generation] = {}
        self._seen: tuple[int, int, int] | None = None
        self._now: tuple[Pointer, _Generation]
        self.refresh()

    def current(self) -> Pointer:
        """What serves, as last seen."""
        return self._now[0]

    @property
    def meta(self) -> GenerationMeta:
        """What the serving generation holds: its schema, cutoff and row count."""
        return self._now[1].meta

    def refresh(self) -> bool:
        """Follow CURRENT if it changed; one stat when it did not. Returns whether it did.

        Raises
        ------
        NotReadyError, StoreError
            The new pointer or generation cannot be read. The reader stays on the old one and may be used.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        with self._lock:
            stamp = self._stamp()  # before the read: a switch in between is seen as a change next time
            if stamp == self._seen:
                return False
            try:
                self._follow(stamp)
            except StoreError:
                if (again := self._stamp()) == stamp:
                    raise
                self._follow(again)  # two switches in between removed the generation that was read of
            pointer = self._now[0]
            for name in set(self._open) - {pointer.generation, pointer.previous}:
                self._open.pop(name).retire()
        return True

    def _follow(self, stamp: tuple[int, int, int]) -> None:
        pointer = Pointer.read(self.folder)
        known = self._open.get(pointer.generation)
        if known is not None and known.file != _identity(known.path):  # written anew: a damaged one, mended
            self._open.pop(pointer.generation).retire()
        self._now = (pointer, self._generation(pointer.generation))
        self._seen = stamp

    def get(self, customer_id: str) -> OnlineRow | None:
        """One customer, or None if the generation does not hold it."""
        generation = self._now[1]
        found = generation.query(_GET, (customer_id,))
        return OnlineRow(generation.meta, found[0]) if found else None

    def get_many(self, customer_ids: Sequence[str]) -> dict[str, OnlineRow]:
        """The customers that the generation holds, by id, in the order asked; all of one generation."""
        generation = self._now[1]
        found: dict[str, OnlineRow] = {}
        unique = list(dict.fromkeys(customer_ids))
        for start in range(0, len(unique), IDS_PER_QUERY):
            some = unique[start : start + IDS_PER_QUERY]
            marks = ",".join("?" * len(some))
            sql = f"SELECT {COLUMNS} FROM customer WHERE customer_id IN ({marks})"  # noqa: S608 - only marks
            found.update((c[0], OnlineRow(generation.meta, c)) for c in generation.query(sql, some))
        return {i: found[i] for i in unique if i in found}

    def worklist(
        self,
        tier: str | None = None,
        segment: str | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
        order: Order = "expected_value",
    ) -> Page:
        """One page of customers, highest ``order`` first, then by customer_id.

        A cursor stays on the generation, order and filters of its first page: give the same or none.

        Raises
        ------
        UsageError
            The cursor, limit or order is not one that may be given.
        NotFoundError
            The cursor's generation is no longer kept.
        """
        check_page(limit, order)
        generation, after = self._now[1], -1
        if cursor is not None:
            name, after = decode(cursor, [order, tier, segment])
            with self._lock:
                generation = self._generation(name, gone="the cursor's generation is no longer kept")
        rank = RANKS[order]
        where, values = [f"{rank} > ?"], [after]
        filters = [(c, v) for c, v in (("tier", tier), ("segment", segment)) if v is not None]
        where += [f"{column} = ?" for column, _ in filters]
        sql = f"SELECT {COLUMNS}, {rank} FROM customer WHERE {' AND '.join(where)} ORDER BY {rank} LIMIT ?"  # noqa: S608
        found = generation.query(sql, [*values, *(v for _, v in filters), limit + 1])
        rows = [OnlineRow(generation.meta, c[:-1]) for c in found[:limit]]
        more = len(found) > limit
        return Page(
            rows,
            encode(generation.meta.generation, found[limit - 1][-1], [order, tier, segment]) if more else None,
            generation.meta,
        )

    def scan(self) -> Iterator[OnlineRow]:
        """All rows of the generation that serves at the first, by customer_id, `SCANNED` in memory."""
        generation = self._now[1]
        found = generation.query(_SCAN, (SCANNED,))
        while found:
            yield from (OnlineRow(generation.meta, columns) for columns in found)
            found = generation.query(_SCAN_ON, (found[-1][0], SCANNED)) if len(found) == SCANNED else []

    def close(self) -> None:
        """Close every connection; the reader must not be used after."""
        with self._lock:
            for generation in self._open.values():
                generation.retire()
            self._open.clear()

    def _stamp(self) -> tuple[int, int, int]:
        try:
            stat = self._pointer_file.stat()
        except FileNotFoundError as e:
            raise not_ready(self.folder) from e
        return stat.st_mtime_ns, stat.st_ino, stat.st_size

    def _generation(self, name: str, *, gone: str = "") -> _Generation:
        """Open a generation once. The lock is held."""
        if name not in self._open:
            path = generation_file(self.folder, name)
            if gone and not path.exists():
                raise NotFoundError(f"{gone} ({name})", fix="Start again without a cursor.")
            self._open[name] = _Generation(path)
        return self._open[name]
