"""Local times -> UTC, the same on every engine: a zone becomes a tree of comparisons, made once in Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import ibis

from holdfast.clock import naive

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2070, 1, 1, tzinfo=UTC)
"""Before and after, the clocks do not change: a source's history is younger, and nobody knows the rules to come."""


def local_to_utc(local: Any, zone: str) -> Any:
    """The UTC timestamp of a zoneless one that shows the local time of ``zone``.

    A local time that is there twice or not at all, because the clocks change, is read as the later of its two
    readings (with the offset of before, or of after): nothing is then known before it happened.
    """
    return _tree(local, *_changes(zone))


def _tree(local: Any, offsets: tuple[timedelta, ...], changes: tuple[datetime, ...]) -> Any:
    """Binary search: ``offsets[i]`` holds for local times before ``changes[i]``."""
    if not changes:
        return local - ibis.interval(seconds=int(offsets[0].total_seconds()))
    middle = len(changes) // 2
    before = _tree(local, offsets[: middle + 1], changes[:middle])
    after = _tree(local, offsets[middle + 1 :], changes[middle + 1 :])
    return (local < ibis.literal(changes[middle]).cast("timestamp(6)")).ifelse(before, after)


@lru_cache
def _changes(name: str) -> tuple[tuple[timedelta, ...], tuple[datetime, ...]]:
    """The offsets of a zone, and the local times at which each but the first begins.

    Clocks that go from offset a to b at the instant u skip the local times [u + a, u + b), or show [u + b, u + a)
    twice. The later reading of a skipped time is with a, of a doubled one with b: either way b begins at u + b.
    """
    zone = ZoneInfo(name)
    at, offsets, changes = FIRST, [_offset(FIRST, zone)], []
    while at < LAST:
        following = at + timedelta(days=1)
        if _offset(following, zone) != offsets[-1]:
            instant = _between(at, following, zone)
            offsets.append(_offset(following, zone))
            changes.append(naive(instant) + offsets[-1])
        at = following
    return tuple(offsets), tuple(changes)


def _between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second that has the offset of ``after``."""
    old = _offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if _offset(middle, zone) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    found = instant.astimezone(zone).utcoffset()
    assert found is not None
    return found
