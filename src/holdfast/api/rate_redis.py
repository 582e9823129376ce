"""The rate limit that all workers and machines share, through Redis."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from holdfast.api.metrics import Metrics
from holdfast.api.rate import InProcess
from holdfast.config.business import RateLimit

log = logging.getLogger("holdfast.api")

TIMEOUT_SECONDS = 0.25
"""For connecting and for an answer: a request waits no longer for leave to be counted."""
AGAIN_SECONDS = 5.0
"""A server that failed is left alone for so long, so that not every request waits for it."""
MAX_CONNECTIONS = 16

# The server's clock, so that machines whose clocks differ agree. A bucket that would be full again is forgotten.
_TAKE = """
local rate, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(bucket[1]) or most, tonumber(bucket[2]) or now
tokens = math.min(most, tokens + math.max(0, now - at) * rate)
local wait = 0
if tokens < 1 then wait = (1 - tokens) / rate else tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'at', string.format('%.17g', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((most - tokens) / rate * 1000) + 1000)
return string.format('%.17g', wait)
"""


class Shared:
    """Counts in Redis; in this process alone while that does not answer.

    Parameters
    ----------
    url : ``redis://…``; may hold a password, and is never shown
    prefix : of every key written, such as ``holdfast:<project>:rate:``
    clock : seconds that only ever rise, for when a server that failed is asked again
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        limit: RateLimit,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis.from_pool(pool)
        self._take = self._redis.register_script(_TAKE)
        self._prefix = prefix
        self._numbers = [limit.requests / limit.seconds, float(limit.requests)]
        self._alone = InProcess(limit, clock)
        self._metrics = metrics
        self._clock = clock
        self._failed_at: float | None = None

    async def take(self, key_id: str) -> float:
        if self._failed_at is not None and self._clock() < self._failed_at + AGAIN_SECONDS:
            return await self._alone.take(key_id)
        try:
            wait = float(await self._take(keys=[self._prefix + key_id], args=self._numbers))
        except (RedisError, OSError, TimeoutError) as e:
            if self._failed_at is None:
                log.error("Redis does not answer (%s): each process limits rates by itself", type(e).__name__)
            self._failed_at = self._clock()
            self._metrics.store_error("rate-limit")
            return await self._alone.take(key_id)
        if self._failed_at is not None:
            log.info("Redis answers: rate limits are shared again")
            self._failed_at = None
        return wait

    async def close(self) -> None:
        await self._redis.aclose()
