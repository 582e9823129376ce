"""The online store of one project on a Redis server, which projects may share."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from holdfast.errors import NotReadyError, UsageError, shown
from holdfast.stores.online_redis_connect import connect
from holdfast.stores.online_redis_format import Keys
from holdfast.stores.online_redis_read import RedisReader
from holdfast.stores.online_redis_write import RedisWriter

SCHEMES = ("redis", "rediss")
_VARIABLE = "HOLDFAST_REDIS_URL"
_PREFIX = "holdfast:{}:online:"


class RedisStore:
    """The store of ``project`` at ``url``. Nothing is sent before it is read or written.

    Raises
    ------
    UsageError
        The address is not one, or redis-py is not installed.
    """

    local = False

    def __init__(self, url: str, project: str) -> None:
        self._url = url
        self._keys = Keys(_PREFIX.format(project))
        self._address = address_of(url)
        self._client  # noqa: B018 - a missing extra is said now, not at the first request

    @cached_property
    def _client(self) -> Any:
        return connect(self._url)

    def reader(self) -> RedisReader:
        return RedisReader(self._client, self._keys, self._address)

    def writer(self) -> RedisWriter:
        return RedisWriter(self._client, self._keys, self._address)

    def place(self, generation: str) -> str:
        return f"{self._address} {self._keys.of(generation, '*')}"

    def bundle_dirs(self) -> set[str]:
        try:
            reader = self.reader()
        except NotReadyError:
            return set()
        before = reader.previous()
        return {reader.meta.bundle_dir, *([] if before is None else [before.bundle_dir])}


def address_of(url: str) -> str:
    """Scheme, host, port and database of an address: what may be shown of it.

    Raises
    ------
    UsageError
        It is not ``redis://`` or ``rediss://``.
    """
    how = f"Set {_VARIABLE} to redis://[user:password@]host:port/database, or rediss:// for TLS."
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
    except ValueError:
        raise UsageError(f"{_VARIABLE} is not an address: its host or port is wrong", fix=how) from None
    if parts.scheme not in SCHEMES:
        raise UsageError(f"{_VARIABLE} is of the scheme {shown(parts.scheme)}", fix=how)
    if not parts.hostname or not re.fullmatch(r"(/\d*)?", parts.path):
        raise UsageError(f"{_VARIABLE} has no host, or its database is not a number", fix=how)
    return f"{parts.scheme}://{parts.hostname}:{port}/{parts.path[1:] or 0}"
