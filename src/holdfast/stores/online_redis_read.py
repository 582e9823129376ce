"""Reading the online store on Redis: thread-safe, always within one generation."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from holdfast.errors import NotFoundError, NotReadyError, StoreError
from holdfast.stores.online_cursor import check_page, decode, encode
from holdfast.stores.online_format import MATERIALIZE, Order, Pointer
from holdfast.stores.online_redis_connect import store_errors
from holdfast.stores.online_redis_format import Keys, RedisMeta
from holdfast.stores.online_row import GenerationMeta, OnlineRow, Page

SCANNED = 1000
"""Rows in memory while scanning."""
_TRIES = 5
"""Generations that may be removed, each by two switches, while one answer is sought."""

_T = TypeVar("_T")


class _Gone(Exception):
    """The generation was removed while it was read."""


class RedisReader:
    """Reads the generation that serves, and follows the pointer when told to `refresh`.

    How much a key holds is asked for after what is read of it, in the same round trip: one that was removed or lost
    some holds less, so what was read of it half is never answered with.

    Raises
    ------
    NotReadyError
        Nothing was materialised yet.
    StoreError
        The server does not answer, or what it holds is damaged.
    """

    def __init__(self, client: Any, keys: Keys, address: str) -> None:
        self._client = client
        self._keys = keys
        self._address = address
        self._lock = threading.Lock()
        self._seen: bytes | None = None
        self._now: tuple[Pointer, RedisMeta]
        self.refresh()

    def current(self) -> Pointer:
        """What serves, as last seen."""
        return self._now[0]

    @property
    def meta(self) -> GenerationMeta:
        """What the serving generation holds."""
        return self._now[1].meta

    def refresh(self) -> bool:
        """Follow the pointer if it changed: one small read when it did not. Returns whether it did.

        Raises
        ------
        NotReadyError, StoreError
            The new pointer or generation cannot be read. The reader stays on the old one and may be used.
        """
        with self._lock, store_errors(self._address):
            for _ in range(_TRIES):
                text = self._client.get(self._keys.current)
                if text is None:
                    raise NotReadyError(f"the online store {self._address} is empty", fix=MATERIALIZE)
                if text == self._seen:
                    return False
                pointer = Pointer.parse(text, f"{self._address} {self._keys.current}")
                meta = self._read_meta(pointer.generation)
                if meta is not None:
                    self._now, self._seen = (pointer, meta), text
                    return True
        raise self._damaged(pointer.generation, "it is missing")

    def previous(self) -> GenerationMeta | None:
        """The generation that served before, where it is kept and can be read."""
        name = self.current().previous
        with store_errors(self._address):
            text = None if name is None else self._client.get(self._keys.of(name, "meta"))
        try:
            return None if text is None else RedisMeta.of(text).meta
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # damaged, or of an older format

    def get(self, customer_id: str) -> OnlineRow | None:
        """One customer, or None if the generation does not hold it. One round trip."""
        return self.get_many([customer_id]).get(customer_id)

    def get_many(self, customer_ids: Sequence[str]) -> dict[str, OnlineRow]:
        """The customers that there are, by id, in the order asked; all of one generation."""
        unique = list(dict.fromkeys(customer_ids))
        return self._following(lambda now: self._rows(now, unique)) if unique else {}

    def worklist(
        self,
        tier: str | None = None,
        segment: str | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
        order: Order = "expected_value",
    ) -> Page:
        """One page of customers, highest ``order`` first, then by customer_id. Two round trips.

        A cursor stays on the generation, order and filters of its first page: give the same or none.

        Raises
        ------
        UsageError
            The cursor, limit or order is not one that may be given.
        NotFoundError
            The cursor's generation is no longer kept.
        """
        check_page(limit, order)
        query = [order, tier, segment]
        if cursor is None:
            return self._following(lambda now: self._page(now, -1, limit, order, query))
        name, after = decode(cursor, query)
        now = self._now[1]  # once: another thread may refresh
        try:
            with store_errors(self._address):
                kept = now if name == now.meta.generation else self._read_meta(name)
            if kept is None:
                raise _Gone
            return self._page(kept, after, limit, order, query)
        except _Gone:
            raise NotFoundError(
                f"the cursor's generation is no longer kept ({name})", fix="Start again without a cursor."
            ) from None

    def scan(self) -> Iterator[OnlineRow]:
        """All rows of the generation that serves at the first, by customer_id, `SCANNED` in memory.

        Raises
        ------
        StoreError
            Two switches have removed the generation meanwhile.
        """
        now = self._now[1]
        key = self._keys.of(now.meta.generation, "ids")
        for start in range(0, now.meta.rows, SCANNED):
            with store_errors(self._address):
                ids = [i.decode() for i in self._client.lrange(key, start, start + SCANNED - 1)]
            try:
                found = self._rows(now, ids)
            except _Gone as e:
                raise self._damaged(now.meta.generation, "it was removed while it was read") from e
            if len(found) != min(SCANNED, now.meta.rows - start):
                raise self._damaged(now.meta.generation, "customers are missing")
            yield from found.values()

    def close(self) -> None:
        """Close the idle connections."""
        self._client.connection_pool.disconnect()

    def _following(self, read: Callable[[RedisMeta], _T]) -> _T:
        for _ in range(_TRIES):
            now = self._now[1]
            try:
                return read(now)
            except _Gone as e:
                if not self.refresh() and self._now[1] is now:
                    raise self._damaged(now.meta.generation, "rows are missing") from e
        raise self._damaged(self.meta.generation, "generations went faster than they could be read")

    def _rows(self, now: RedisMeta, ids: Sequence[str]) -> dict[str, OnlineRow]:
        key = self._keys.of(now.meta.generation, "rows")
        with store_errors(self._address), self._client.pipeline(transaction=False) as pipeline:
            # surrogates are no text that Redis could hold, so no customer's id
            pipeline.hmget(key, [i.encode(errors="surrogatepass") for i in ids]) if ids else pipeline.echo("")
            pipeline.hlen(key)
            found, rows = pipeline.execute()
        if rows != now.meta.rows:
            raise _Gone
        try:
            return {
                i: OnlineRow(now.meta, now.columns(i, row))
                for i, row in zip(ids, found or [], strict=bool(ids))
                if row is not None
            }
        except ValueError as e:
            raise self._damaged(now.meta.generation, e) from e

    def _page(self, now: RedisMeta, after: int, limit: int, order: Order, query: list[str | None]) -> Page:
        generation, (_, tier, segment) = now.meta.generation, query
        with store_errors(self._address), self._client.pipeline(transaction=False) as pipeline:
            chosen = now.chosen(tier, segment)
            keys = [self._keys.order(generation, order, group) for group in chosen]
            for key in keys:
                pipeline.zrange(key, f"({after}", "+inf", byscore=True, offset=0, num=limit + 1, withscores=True)
            for key in keys:
                pipeline.zcard(key)
            answers = pipeline.execute()
        found, sizes = answers[: len(keys)], answers[len(keys) :]
        if sizes != now.rows(chosen):
            raise _Gone
        ranked = list(islice(heapq.merge(*found, key=lambda pair: pair[1]), limit + 1))
        rows = self._rows(now, [i.decode() for i, _ in ranked[:limit]])
        if len(rows) != min(limit, len(ranked)):
            raise self._damaged(generation, "customers of a work list are missing")
        cursor = encode(generation, int(ranked[limit - 1][1]), query) if len(ranked) > limit else None
        return Page(list(rows.values()), cursor, now.meta)

    def _read_meta(self, generation: str) -> RedisMeta | None:
        text = self._client.get(self._keys.of(generation, "meta"))
        try:
            return None if text is None else RedisMeta.of(text)
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise self._damaged(generation, e) from e

    def _damaged(self, generation: str, why: object) -> StoreError:
        where = self._keys.of(generation, "*")
        return StoreError(f"the online store's {where} at {self._address} cannot be read: {why}", fix=MATERIALIZE)
