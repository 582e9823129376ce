"""Times in text, against a slow reader in plain Python that shares no code with the engine's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.config.data import EventsTable
from holdfast.sources.canonical import canonical_columns, parsed
from holdfast.stores.engine import DuckDBEngine


def slow_time(cell: str, zone: str) -> datetime | None:
    """What a cell means, read letter by letter."""
    text = cell.strip(" \t\r\n")
    day, rest = _date(text)
    if day is None:
        return None
    if rest == "":
        return day
    if rest[0] not in "T " or not rest[1:].lstrip(" "):
        return None
    clock, rest = _clock(rest[1:].lstrip(" "))
    if clock is None:
        return None
    local = day + clock
    if rest == "":
        both = [local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)]
        return max(both).replace(tzinfo=None)
    return _in_zone(local, rest)


def _digits(text: str, most: int) -> tuple[str, str]:
    n = 0
    while n < len(text) and n < most and text[n] in "0123456789":
        n += 1
    return text[:n], text[n:]


def _date(text: str) -> tuple[datetime | None, str]:
    year, rest = _digits(text, 4)
    mark = rest[:1]
    if len(year) < 4 or mark not in ("-", "/"):
        return None, ""
    month, rest = _digits(rest[1:], 2)
    if not month or rest[:1] != mark:
        return None, ""
    day, rest = _digits(rest[1:], 2)
    if not day:
        return None, ""
    try:
        return datetime(int(year), int(month), int(day)), rest  # noqa: DTZ001
    except ValueError:
        return None, ""


def _clock(text: str) -> tuple[timedelta | None, str]:
    hour, rest = _digits(text, 2)
    minute, rest = _digits(rest[1:], 2) if rest[:1] == ":" else ("", "")
    second, fraction = "0", ""
    if rest[:1] == ":":
        second, rest = _digits(rest[1:], 2)
        if len(second) < 2:
            return None, ""
        if rest[:1] == ".":
            fraction, rest = _digits(rest[1:], 99)
            if not fraction:
                return None, ""
    if not hour or len(minute) < 2 or int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        return None, ""
    micros = int((fraction + "000000")[:6])
    return timedelta(hours=int(hour), minutes=int(minute), seconds=int(second), microseconds=micros), rest


def _in_zone(local: datetime, rest: str) -> datetime | None:
    name = rest.lstrip(" ")
    if name in ("Z", "UTC", "GMT"):
        return local
    if name[0] in "+-":
        hours, after = _digits(name[1:], 2)
        colon = after[:1] == ":"
        minutes, after = _digits(after[1:] if colon else after, 2)
        if len(hours) < 2 or after or int(hours) > 14 or (minutes == "" and colon) or len(minutes) == 1:
            return None
        if int(minutes or 0) > 59:
            return None
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return local - offset if name[0] == "+" else local + offset
    return None


def two(low: int, high: int) -> st.SearchStrategy[str]:
    """A number with or without a zero in front, now and then one too large."""
    return st.tuples(st.integers(low, high + 1), st.booleans()).map(lambda p: f"{p[0]:02d}" if p[1] else str(p[0]))


DATES = st.builds(
    lambda y, m, d, mark, other: f"{y}{mark}{m}{other or mark}{d}", st.integers(1990, 2040), two(1, 12), two(1, 31),
    st.sampled_from("-/"), st.sampled_from(["", "", "", "", "-", "/", "."]),
)  # fmt: skip
CLOCKS = st.builds(
    lambda gap, h, m, s, f: f"{gap}{h}:{m}{s}{f if s else ''}",
    st.sampled_from([" ", "T", "  ", "", "t", " T"]), two(0, 23), two(0, 59).filter(lambda m: len(m) == 2),
    st.one_of(st.just(""), two(0, 59).map(lambda s: f":{s}")),
    st.sampled_from(["", "", ".5", ".123456", ".1234567", "."]),
)  # fmt: skip
OFFSETS = st.sampled_from(
    [
        "",
        "",
        "",
        "Z",
        " Z",
        "UTC",
        " GMT",
        "+01",
        "+01:00",
        "-0530",
        " +0100",
        "+1",
        "+01:0",
        "+01:60",
        " PM",
        "EST",
        "z",
    ]
)
NOISE = st.sampled_from(
    ["", "  ", "now", "epoch", "today", "20240301", "2024", "2024-03", "12:00", "1e5", "NaT", "-", ":"]
)
CELLS = st.one_of(
    NOISE,
    DATES,
    st.builds(lambda d, c, z, pad: f"{pad}{d}{c}{z}{pad}", DATES, CLOCKS, OFFSETS, st.sampled_from(["", " "])),
)
TABLE: dict[str, Any] = {"kind": "events", "path": "e.csv", "key": "id", "time": "t"}
EARLIEST = datetime(1, 1, 2)  # noqa: DTZ001


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[list[str], str], list[Any]]]:
    """Reads cells of a CSV file in the engine."""
    file = tmp_path_factory.mktemp("times") / "e.csv"

    with DuckDBEngine(threads=1) as engine:

        def read(cells: list[str], zone: str) -> list[Any]:
            config = EventsTable.model_validate({**TABLE, "timezone": zone})
            file.write_text("id,t\n" + "".join(f'{i},"{cell}"\n' for i, cell in enumerate(cells)), encoding="utf-8")
            raw = engine.read([file], "raw", text=True)
            table = parsed(raw, canonical_columns(config, raw), zone)
            found = engine.to_arrow(table.select(i=table.customer_id.cast("int64"), t=table.event_time).order_by("i"))
            return list(found.column("t").to_pylist())

        yield read


def slowly(cells: list[str], zone: str) -> list[datetime | None]:
    return [t if t is None else max(t, EARLIEST) for t in (slow_time(cell, zone) for cell in cells)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cells=st.lists(CELLS, min_size=1, max_size=40), zone=st.sampled_from(["UTC", "Europe/Berlin"]))
@example(cells=["2024-02-29", "2023-02-29", "2024-03-31 02:30", "2024-10-27 2:30", "0001-01-01"], zone="Europe/Berlin")
def test_fast_and_slow_read_the_same(fast: Any, cells: list[str], zone: str) -> None:
    assert fast(cells, zone) == slowly(cells, zone)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_every_date_with_every_clock_and_zone(fast: Any, zone: str) -> None:
    dates = ["2024-03-01", "2024-3-1", "2024/3/1", "2024-2-30", "2024/03-01", "2024-13-01", "2024-1-0", "2024.3.1"]
    clocks = ["", " 9:05", " 09:05", "T9:05:07", " 9:05:60", " 24:00", " 23:59:59.9999999", " 0:10", "  1:00", "t1:00",
              "T 1:00:00.5", " 1:60", " 1:0", "1:00", " 10:00:00."]  # fmt: skip
    zones = ["", "Z", " Z", "UTC", " UTC", "  GMT", "+01", "+01:00", "-0530", " +0100", " -05:30", "+1", "+01:0",
             "+01:60",
             "+14", "+15:00", "+19:00", "+00:59", " PM", "EST", "z", "+0100Z", "+01 00", " +1:00", "-00"]  # fmt: skip
    cells = [d + c + z for d in dates for c in clocks for z in zones]
    slow = slowly(cells, zone)
    assert sum(t is not None for t in slow) > 250
    assert fast(cells, zone) == slow
