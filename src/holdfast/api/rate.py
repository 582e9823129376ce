"""How often a key may ask: a bucket of tokens, which fills at a steady rate and holds as many as ``requests``.

A request takes one token, whatever it asks for: what one may ask for is limited by itself (``serving.max_batch``,
``serving.max_body_bytes``), and the body need not be read to refuse it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from holdfast.config.business import RateLimit


class Limiter(Protocol):
    """Counts the requests of each key."""

    async def take(self, key_id: str) -> float:
        """Seconds to wait before the next token is there; 0 if one was taken."""

    async def close(self) -> None:
        """Let go of what it holds."""


class InProcess:
    """Counts in this process alone: each worker lets through as much as `limit` says.

    Parameters
    ----------
    clock : seconds that only ever rise
    """

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = limit.requests / limit.seconds
        self._most = float(limit.requests)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # no more of them than keys

    async def take(self, key_id: str) -> float:
        now = self._clock()
        tokens, at = self._buckets.get(key_id, (self._most, now))
        tokens = min(self._most, tokens + (now - at) * self._rate)
        if tokens < 1:
            self._buckets[key_id] = (tokens, now)
            return (1 - tokens) / self._rate
        self._buckets[key_id] = (tokens - 1, now)
        return 0.0

    async def close(self) -> None:
        self._buckets.clear()
