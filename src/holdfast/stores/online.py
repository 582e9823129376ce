"""The online store: generations, each complete and immutable, and a pointer to the one that serves."""

from __future__ import annotations

from pathlib import Path

from holdfast.config.business import ServingSection
from holdfast.errors import UsageError
from holdfast.stores.online_format import Order, Pointer
from holdfast.stores.online_protocol import OnlineStore, Reader, Writer
from holdfast.stores.online_read import OnlineReader
from holdfast.stores.online_row import GenerationMeta, OnlineRow, Page
from holdfast.stores.online_sqlite import SqliteStore
from holdfast.stores.online_write import OnlineWriter

__all__ = [
    "GenerationMeta", "OnlineReader", "OnlineRow", "OnlineStore", "OnlineWriter", "Order", "Page", "Pointer", "Reader",
    "SqliteStore", "Writer", "online_store",
]  # fmt: skip


def online_store(serving: ServingSection, folder: Path, project: str) -> OnlineStore:
    """The store that ``serving.store`` asks for.

    Parameters
    ----------
    folder : ``var/<project>/online``, for SQLite

    Raises
    ------
    UsageError
        Redis is asked for, and its address is missing or wrong, or redis-py is not installed.
    """
    if serving.store == "sqlite":
        return SqliteStore(folder)
    if serving.redis_url is None:
        raise UsageError("serving.store is redis, and there is no address", fix="Set HOLDFAST_REDIS_URL.")
    from holdfast.stores.online_redis import RedisStore  # most projects have no use for it

    return RedisStore(serving.redis_url.get_secret_value(), project)
