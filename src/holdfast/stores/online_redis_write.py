"""Writing the online store on Redis: a generation at a time, then one pointer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import pyarrow as pa

from holdfast.artifacts.schema import FeatureSchema
from holdfast.errors import NotFoundError, StoreError
from holdfast.stores.online_format import MATERIALIZE, RANKS, Pointer, is_generation
from holdfast.stores.online_meta import meta_text
from holdfast.stores.online_pack import pack
from holdfast.stores.online_redis_connect import store_errors
from holdfast.stores.online_redis_format import Group, Keys, RedisMeta, groups_of, packed_rows
from holdfast.stores.online_write import generation_name

BATCH = 500
"""Rows sent at once: about a megabyte. The server answers readers between two batches."""
_SLICE = 100


class RedisWriter:
    """Writes generations and switches between them. One writer at a time."""

    def __init__(self, client: Any, keys: Keys, address: str) -> None:
        self._client = client
        self._keys = keys
        self._address = address

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
        """Write one generation, as `OnlineWriter.write` does; it serves only after `switch`.

        Nobody sees it before it is whole, also where it takes the place of the same one: that serves until then, and
        what it had lost is there again.

        Raises
        ------
        DataError
            The tables do not hold the same customers in the same order, or do not fit their schemas.
        StoreError
            The server does not answer or has no memory left. What serves is as it was.
        """
        packed = pack(features, schema, scores, decisions)
        name = generation_name(packed, schema, bundle_sha256, model_version, cutoff)
        meta = meta_text(
            schema, len(packed), cutoff, generation=name, bundle_sha256=bundle_sha256, model_version=model_version,
            bundle_dir=bundle_dir, dataset_id=dataset_id, config_hash=config_hash,
        )  # fmt: skip
        groups = groups_of(packed)
        sizes = [[*group, rows] for group, rows in groups.items()]
        told = json.dumps({**meta, "categories": packed.categories, "groups": sizes}, ensure_ascii=False).encode()
        staged = f"new-{name}"
        with store_errors(self._address):
            self._remove(staged)  # what a killed writer left of it
            self._client.sadd(self._keys.generations, staged)
            self._client.sadd(self._keys.of(staged, "keys"), *self._keys.data(staged, len(groups)))
            self._send(staged, list(groups), packed_rows(packed, list(groups)))
            self._put(staged, name, len(groups), len(packed), told)
        return name

    def switch(self, generation: str) -> Pointer:
        """Make ``generation`` the one that serves; keep the one before, remove older ones and what killed writers left.

        Switching to what already serves changes nothing.

        Raises
        ------
        NotFoundError
            There is no such generation.
        StoreError
            It cannot be read, or the server does not answer. The pointer is as it was, or `generation`.
        """
        if not is_generation(generation):
            raise StoreError(f"{generation!r} is not a generation of {self._address}: 16 hex digits", fix=MATERIALIZE)
        with store_errors(self._address), self._client.pipeline() as pipeline:
            pipeline.watch(self._keys.current)  # two writers: the second one fails
            now = self._pointer(pipeline.get(self._keys.current))
            text = pipeline.get(self._keys.of(generation, "meta"))
            if text is None:
                raise NotFoundError(f"no generation {generation} at {self._address}", fix=MATERIALIZE)
            try:
                meta = RedisMeta.of(text).meta
            except (ValueError, KeyError, TypeError, AttributeError) as e:
                raise StoreError(f"the generation {generation} cannot be read: {e}", fix=MATERIALIZE) from e
            if not self._whole(generation, meta.rows):
                raise StoreError(f"the generation {generation} has lost rows", fix=MATERIALIZE)
            previous = None if now is None else now.previous if now.generation == generation else now.generation
            pointer = Pointer(
                generation, meta.bundle_sha256, meta.model_version, meta.cutoff, meta.bundle_dir, previous=previous
            )
            if pointer != now:
                pipeline.multi()
                pipeline.set(self._keys.current, json.dumps(pointer.to_json()))
                pipeline.execute()
            for name in sorted(n.decode() for n in self._client.smembers(self._keys.generations)):
                if name not in (generation, previous):
                    self._remove(name)
        return pointer

    def _pointer(self, text: bytes | None) -> Pointer | None:
        try:
            return None if text is None else Pointer.parse(text, self._keys.current)
        except StoreError:
            return None  # a broken pointer is mended by the switch

    def _put(self, staged: str, name: str, groups: int, rows: int, meta: bytes) -> None:
        """Give what is staged the generation's name, at once: renaming to a name that is free takes no time."""
        old, new = self._keys.data(name, groups), self._keys.data(staged, groups)
        with self._client.pipeline() as pipeline:
            pipeline.watch(*new)  # two writers: the first one fails
            if not self._whole(staged, rows):
                raise StoreError(
                    f"another writer removed the generation {name} at {self._address} while it was written",
                    fix=MATERIALIZE,
                )
            pipeline.multi()
            pipeline.sadd(self._keys.generations, name)
            pipeline.sadd(self._keys.of(name, "keys"), *old)
            pipeline.unlink(*old)
            for before, after in zip(new, old, strict=True) if rows else ():
                pipeline.rename(before, after)
            pipeline.set(self._keys.of(name, "meta"), meta)
            pipeline.delete(self._keys.of(staged, "keys"))
            pipeline.srem(self._keys.generations, staged)
            pipeline.execute()

    def _whole(self, generation: str, rows: int) -> bool:
        return bool(self._client.hlen(self._keys.of(generation, "rows")) == rows)

    def _send(self, name: str, groups: list[Group], rows: Iterator[tuple[str, int, int, int, bytes]]) -> None:
        key = self._keys
        while batch := list(islice(rows, BATCH)):
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.hset(key.of(name, "rows"), mapping={i: row for i, *_, row in batch})
                pipeline.rpush(key.of(name, "ids"), *(i for i, *_ in batch))
                for order, at in zip(RANKS, (2, 3), strict=True):
                    by_group: dict[int | None, dict[str, int]] = {None: {}}
                    for row in batch:
                        by_group[None][row[0]] = by_group.setdefault(row[1], {})[row[0]] = row[at]  # type: ignore[assignment]
                    for group, ranks in by_group.items():
                        pipeline.zadd(key.order(name, order, group), ranks)
                pipeline.execute()

    def _remove(self, name: str) -> None:
        """Remove a generation; UNLINK frees in a thread of the server, so it goes on answering."""
        self._client.delete(self._keys.of(name, "meta"))
        data = self._keys.of(name, "keys")
        left = [*self._client.smembers(data), data]
        for start in range(0, len(left), _SLICE):
            self._client.unlink(*left[start : start + _SLICE])
        self._client.srem(self._keys.generations, name)
