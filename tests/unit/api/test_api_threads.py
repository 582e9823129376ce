"""Work in threads: given up after a while, and the pool has an end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from holdfast.api import threads
from holdfast.api.problems import Unavailable


def test_slow_work_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SECONDS", 0.05)
    release = threading.Event()
    with pytest.raises(Unavailable) as caught:
        asyncio.run(threads.run(release.wait))
    assert (caught.value.status, caught.value.kind) == (503, "slow")
    assert caught.value.headers["Retry-After"]
    release.set()
    monkeypatch.undo()
    assert asyncio.run(threads.run(max, 1, 2)) == 2


def test_a_timeout_of_the_works_own_is_the_works() -> None:
    def fail() -> None:
        raise TimeoutError("a socket's")

    with pytest.raises(TimeoutError, match="a socket's"):
        asyncio.run(threads.run(fail))


def test_slow_work_is_a_503(api, monkeypatch: pytest.MonkeyPatch) -> None:
    from holdfast.api import explanations
    from serving_world import ROW

    release = threading.Event()
    monkeypatch.setattr(threads, "SECONDS", 0.05)
    monkeypatch.setattr(explanations, "explain", lambda *_: release.wait(10))
    answer = api.post("/v1/explanations", json={"rows": [ROW, ROW]})  # one alone needs no thread
    release.set()
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:holdfast:slow")
    assert answer.headers["retry-after"]
