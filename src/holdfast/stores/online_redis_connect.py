"""Connections to Redis: few, bounded in time, and errors that say no secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.errors import StoreError, UnreachableError, UsageError

CONNECTIONS = 16
"""Of one process; threads beyond that wait for one."""
TIMEOUT_SECONDS = 2.0
"""For a connection, an answer, or a free connection."""


def connect(url: str) -> Any:
    """A client with a bounded pool. It connects when first used, and again after the server was away.

    Raises
    ------
    UsageError
        redis-py is not installed.
    """
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ModuleNotFoundError as e:
        raise UsageError(
            "serving.store is redis, and redis-py is missing", fix="Run: pip install 'holdfast[redis]'"
        ) from e
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        # once more, at once: a connection that was idle while the server restarted is found dead only when it is used
        retry=Retry(NoBackoff(), 1),
    )
    return redis.Redis(connection_pool=pool)


@contextmanager
def store_errors(address: str) -> Iterator[None]:
    """Let the client's errors leave as StoreError, or UnreachableError, with the address but without its password."""
    from redis.exceptions import ConnectionError as Disconnected
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as TooLate

    try:
        yield
    except (RedisError, OSError) as e:
        said = str(e).splitlines()[0] if str(e) else type(e).__name__
        kind = UnreachableError if isinstance(e, Disconnected | TooLate | OSError) else StoreError
        raise kind(
            f"the online store {address} failed: {said}",
            fix="Check that the server is reachable (HOLDFAST_REDIS_URL) and has memory; then: holdfast materialize",
        ) from e
