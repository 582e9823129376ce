"""What every rate limit does, in one process and through a real Redis, and what a shared one does without it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.api.metrics import Metrics
from holdfast.api.rate import InProcess, Limiter
from holdfast.config.business import RateLimit

if TYPE_CHECKING:
    from redis import Redis

REDIS = os.environ.get("HOLDFAST_TEST_REDIS", "redis://127.0.0.1:6379/0")
HOUR = 3600.0
SLOW = RateLimit(requests=3, seconds=3 * HOUR)
"""A token an hour: the time that a test takes gives none."""


@dataclass
class Clock:
    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Subject:
    """A kind of limit, and how its time passes."""

    make: Callable[[RateLimit], Limiter]
    later: Callable[[float], None]


def in_process() -> Iterator[Subject]:
    clock = Clock()

    def later(seconds: float) -> None:
        clock.at += seconds

    yield Subject(lambda limit: InProcess(limit, clock), later)


def server() -> Redis:
    """The test server, or a reason to skip, which fails where services must be there."""
    try:
        import redis

        client: Redis = redis.Redis.from_url(REDIS, socket_connect_timeout=3)
        client.ping()
    except (ModuleNotFoundError, OSError, *_redis_errors()) as e:
        reason = f"no Redis at HOLDFAST_TEST_REDIS or 127.0.0.1:6379: {e}"
        if os.environ.get("HOLDFAST_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return client


def _redis_errors() -> tuple[type[Exception], ...]:
    try:
        from redis.exceptions import RedisError
    except ModuleNotFoundError:
        return ()
    return (RedisError,)


def shared() -> Iterator[Subject]:
    client = server()
    from holdfast.api.rate_redis import Shared

    prefix = f"holdfast-test-{uuid4().hex}:rate:"

    def later(seconds: float) -> None:
        for key in client.scan_iter(f"{prefix}*"):
            client.hincrbyfloat(key, "at", -seconds)  # the server's clock is not ours to set

    yield Subject(lambda limit: Shared(REDIS, prefix, limit, Metrics("demo")), later)
    for key in client.scan_iter(f"{prefix}*"):
        assert client.pttl(key) > 0  # nothing stays for good
        client.delete(key)
    client.close()


@pytest.fixture(params=[in_process, shared], ids=["in process", "shared"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    yield from request.param()


def running(subject: Subject, limit: RateLimit, use: Callable[[Limiter], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        limiter = subject.make(limit)
        try:
            return await use(limiter)
        finally:
            await limiter.close()

    return asyncio.run(run())


def test_as_many_as_that_at_once_then_one_for_each_that_comes_back(subject: Subject) -> None:
    async def use(limiter: Limiter) -> list[float]:
        waits = [await limiter.take("a") for _ in range(5)]
        subject.later(HOUR)
        waits += [await limiter.take("a") for _ in range(2)]
        subject.later(HOUR / 2)
        waits.append(await limiter.take("a"))
        subject.later(100 * HOUR)
        return [*waits, *[await limiter.take("a") for _ in range(4)]]  # it holds no more than `requests`

    waits = running(subject, SLOW, use)
    expected = [0, 0, 0, HOUR, HOUR, 0, HOUR, HOUR / 2, 0, 0, 0, HOUR]
    assert waits == pytest.approx(expected, abs=60)
    assert [w == 0 for w in waits] == [e == 0 for e in expected]


def test_each_key_has_its_own(subject: Subject) -> None:
    async def use(limiter: Limiter) -> list[bool]:
        return [await limiter.take(key) == 0 for key in "aaaabbbbab"]

    assert running(subject, SLOW, use) == [True] * 3 + [False] + [True] * 3 + [False] * 3


def test_who_is_refused_pays_nothing(subject: Subject) -> None:
    async def use(limiter: Limiter) -> float:
        for _ in range(50):
            await limiter.take("a")
        subject.later(HOUR * 1.01)
        return await limiter.take("a")

    assert running(subject, SLOW, use) == 0


def test_many_at_once_are_counted_each(subject: Subject) -> None:
    async def use(limiter: Limiter) -> list[float]:
        return list(await asyncio.gather(*(limiter.take("a") for _ in range(40))))

    assert running(subject, RateLimit(requests=24, seconds=24 * HOUR), use).count(0) == 24


@settings(max_examples=50, deadline=None)
@given(
    requests=st.integers(1, 20),
    seconds=st.floats(0.1, 1000),
    pauses=st.lists(st.floats(0, 500), min_size=1, max_size=40),
)
def test_no_window_lets_through_more_than_it_should(requests: int, seconds: float, pauses: list[float]) -> None:
    clock = Clock()
    taken: list[float] = []

    async def use() -> None:
        limiter = InProcess(RateLimit(requests=requests, seconds=seconds), clock)
        for pause in pauses:
            clock.at += pause
            wait = await limiter.take("a")
            if wait == 0:
                taken.append(clock.at)
            else:  # after what it says, and not before, there is a token
                clock.at += wait * (1 + 1e-9) + 1e-9
                assert await limiter.take("a") == 0
                taken.append(clock.at)

    asyncio.run(use())
    for i, first in enumerate(taken):
        for j in range(i, len(taken)):
            allowed = requests + (taken[j] - first) * requests / seconds
            assert j - i + 1 <= allowed + 1e-6


@pytest.mark.parametrize("subject", [shared], ids=["shared"], indirect=True)
def test_two_processes_share_one_limit(subject: Subject) -> None:
    async def use() -> list[bool]:
        first, second = subject.make(SLOW), subject.make(SLOW)
        found = [await limiter.take("a") == 0 for limiter in (first, second, first, second)]
        await first.close()
        await second.close()
        return found

    assert asyncio.run(use()) == [True, True, True, False]


def test_without_redis_each_process_counts_alone(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("redis", reason="holdfast[redis] is not installed")
    from holdfast.api.rate_redis import AGAIN_SECONDS, Shared

    clock, metrics = Clock(), Metrics("demo")
    url = "redis://:secret@127.0.0.1:1/0"  # nothing listens there

    async def use() -> list[bool]:
        limiter = Shared(url, "holdfast-test:", SLOW, metrics, clock)
        found = [await limiter.take("a") == 0 for _ in range(4)]
        clock.at += AGAIN_SECONDS
        found.append(await limiter.take("a") == 0)
        await limiter.close()
        return found

    assert asyncio.run(use()) == [True, True, True, False, False]
    # asked at first and again after a while, not for every request; said once
    assert 'reason="rate-limit"} 2.0' in metrics.text().decode()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == [
        "Redis does not answer (ConnectionError): each process limits rates by itself"
    ]
    assert "secret" not in caplog.text


def test_redis_that_comes_back_is_used_again() -> None:
    client = server()
    from holdfast.api.rate_redis import AGAIN_SECONDS, Shared

    prefix, clock = f"holdfast-test-{uuid4().hex}:rate:", Clock()

    async def use() -> list[bool]:
        limiter = Shared(REDIS, prefix, SLOW, Metrics("demo"), clock)
        answers, limiter._take = limiter._take, _fails  # type: ignore[assignment]
        found = [await limiter.take("a") == 0]
        limiter._take = answers
        clock.at += AGAIN_SECONDS
        found += [await limiter.take("a") == 0 for _ in range(4)]
        await limiter.close()
        return found

    assert asyncio.run(use()) == [True, True, True, True, False]
    client.delete(f"{prefix}a")
    client.close()


async def _fails(**_: object) -> float:
    raise TimeoutError
