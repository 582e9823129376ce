"""What every online store does: what is written is what is read, and nothing else is ever served."""

from __future__ import annotations

import math
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import DataError, NotFoundError, NotReadyError, StoreError, UsageError
from holdfast.stores import online_read, online_redis_read
from holdfast.stores.online import OnlineStore
from online_tables import CUTOFF, REASON, Tables, replace, serve, store_at, tables, write
from redis_server import ADDRESS, redis_project

IDS = [f"C{i:03d}" for i in range(100)]
TESTS = Path(__file__).parents[1]
KILLS = 20 if os.environ.get("HOLDFAST_ALL_KILLS") == "1" else 6


@dataclass(frozen=True)
class Place:
    """Where a store is, in words that another process understands."""

    address: str
    project: str

    def store(self) -> OnlineStore:
        return store_at(self.address, self.project)


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield Place(str(tmp_path / "online"), "-")
        return
    with redis_project() as project:
        yield Place(ADDRESS, project)


@pytest.fixture
def store(place: Place) -> OnlineStore:
    return place.store()


def test_a_row_has_everything(store: OnlineStore) -> None:
    t = tables(IDS)
    reader = serve(store, t)
    row = reader.get("C007")
    assert row is not None
    score, decision = t.scores.to_pylist()[7], t.decisions.to_pylist()[7]
    assert (row.customer_id, row.probability, row.tier) == ("C007", score["probability"], score["tier"])
    assert (row.segment, row.expected_value) == (decision["segment"], decision["expected_value"])
    assert row.reasons == [REASON] * 3
    assert row.decision["why"] == "worth it"
    assert row.decision["clv"] == decision["clv"]
    assert row.features["plan"] == t.features.column("plan")[7].as_py()
    assert (row.cutoff, row.model_version, row.generation) == (CUTOFF, "1", reader.current().generation)
    assert (reader.current().bundle_dir, reader.meta.rows, reader.meta.schema) == ("models/1", 100, t.schema)
    assert reader.get("nobody") is None
    assert store.bundle_dirs() == {"models/1"}
    assert row.generation in store.place(row.generation)


def test_both_stores_give_the_same_names_rows_and_pages(tmp_path: Path) -> None:
    t = tables(IDS)
    with redis_project() as project:
        stores = [store_at(address, project) for address in (str(tmp_path), ADDRESS)]
        sqlite, redis = (serve(store, t) for store in stores)
        assert sqlite.current() == redis.current()
        assert sqlite.meta == redis.meta
        for one, other in zip(sqlite.scan(), redis.scan(), strict=True):
            for name in (
                "customer_id",
                "probability",
                "tier",
                "segment",
                "expected_value",
                "_packed",
                "reasons",
                "decision",
            ):
                assert getattr(one, name) == getattr(other, name)
        first, same = (reader.worklist("low", limit=7) for reader in (sqlite, redis))
        assert first.next_cursor == same.next_cursor  # who holds one may go on after a move


def test_float32_survive_bit_for_bit(store: OnlineStore) -> None:
    column = np.array([-0.0, 1e-45, 3.4028235e38, -math.inf, 0.1, 16777217.0], dtype="float32")
    reader = serve(store, replace(tables(IDS[:6]), "f1", pa.array(column)))
    for row, value in zip(reader.scan(), column, strict=True):
        found = row.features["f1"]
        assert isinstance(found, float)
        assert struct.pack("<f", found) == value.tobytes()


def test_nan_and_null_are_both_unknown_and_the_same_content(store: OnlineStore) -> None:
    t = tables(IDS[:3])
    odd_nan = np.array([np.float32(1).view("<u4"), 0x7FC01234, 0], dtype="<u4")
    nan = replace(t, "f0", pa.array(odd_nan.view("<f4")))
    null = replace(t, "f0", pa.array([1.0, None, 0.0], pa.float32()))
    assert write(store, nan) == write(store, null)
    reader = serve(store, null)
    assert [row.features["f0"] for row in reader.scan()] == [1.0, None, 0.0]


def test_a_null_category_is_unknown_and_an_empty_one_is_not(store: OnlineStore) -> None:
    reader = serve(store, replace(tables(IDS[:3]), "plan", pa.array([None, "", "plus"])))
    assert [row.features["plan"] for row in reader.scan()] == [None, "", "plus"]


def test_ids_and_categories_may_be_any_text(store: OnlineStore) -> None:
    ids = sorted(["", "'; DROP TABLE customer; --", "Ærøskøbing", "客户-1", "🙂", "a b", "%00", "a\0b"], key=str.encode)
    reader = serve(store, replace(tables(ids), "plan", pa.array(["ß", "é", "e\u0301", "漢", "", "x", "y", "z"])))
    assert [reader.get(i).customer_id for i in ids] == ids  # type: ignore[union-attr]
    assert reader.get("🙂").features["plan"] == "z"  # type: ignore[union-attr]
    assert list(reader.get_many([*reversed(ids), "nobody", ids[0]])) == list(reversed(ids))
    assert [row.customer_id for row in reader.scan()] == ids


def test_any_rows_come_back(place: Place) -> None:
    row = st.tuples(st.none() | st.floats(width=32), st.none() | st.text(max_size=20))

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.dictionaries(st.text(max_size=20), row, max_size=12))
    def check(rows: dict[str, tuple[float | None, str | None]]) -> None:
        ids = sorted(rows, key=str.encode)
        t = replace(tables(ids), "f0", pa.array([rows[i][0] for i in ids], pa.float32()))
        reader = serve(place.store(), replace(t, "plan", pa.array([rows[i][1] for i in ids], pa.string())))
        for customer, (number, text) in rows.items():
            found = reader.get(customer)
            assert found is not None
            assert (found.customer_id, found.features["plan"]) == (customer, text)
            assert _bits(found.features["f0"]) == _bits(number)
        assert [r.customer_id for r in reader.scan()] == ids
        reader.close()

    check()


def _bits(value: Any) -> bytes | None:
    return None if value is None or math.isnan(value) else struct.pack("<f", value)


def test_get_many_takes_a_thousand_and_more(store: OnlineStore) -> None:
    ids = [f"C{i:05d}" for i in range(1200)]
    reader = serve(store, tables(ids))
    assert list(reader.get_many(ids)) == ids
    assert reader.get_many([]) == {}


def test_a_generation_may_be_empty_or_one_row_or_have_no_features(store: OnlineStore) -> None:
    reader = serve(store, tables([]))
    assert reader.get("C001") is None
    assert (reader.worklist().rows, list(reader.scan())) == ([], [])
    reader = serve(store, tables(["a"], numbers=0))
    assert [row.customer_id for row in reader.worklist().rows] == ["a"]
    assert [list(row.features) for row in reader.scan()] == [["plan"]]
    t = tables(["a"])
    bare = Tables(t.features.select(["customer_id"]), type(t.schema)(()), t.scores, t.decisions)
    assert [row.features for row in serve(store, bare).scan()] == [{}]


def test_the_tables_must_be_of_the_same_customers(store: OnlineStore) -> None:
    t, other = tables(IDS[:5]), tables([*IDS[:4], "Z"])
    with pytest.raises(DataError, match="decisions: row 4 is another customer"):
        write(store, Tables(t.features, t.schema, t.scores, other.decisions))
    with pytest.raises(NotReadyError, match="holdfast materialize"):
        store.reader()


def test_infinite_money_is_refused_and_nan_is_unknown(store: OnlineStore) -> None:
    t = tables(IDS[:2])
    reader = serve(store, replace(t, "clv", pa.array([1.0, math.nan])))
    assert reader.get("C001").decision["clv"] is None  # type: ignore[union-attr]
    with pytest.raises(DataError, match="not finite"):
        write(store, replace(t, "clv", pa.array([1.0, math.inf])))


def test_a_switch_keeps_one_generation_before(store: OnlineStore) -> None:
    writer = store.writer()
    names: list[str] = []
    for seed in range(3):
        names.append(write(store, tables(IDS, seed=seed)))
        first = writer.switch(names[-1])
        assert writer.switch(names[-1]) == first  # again: nothing changes
    reader = store.reader()
    assert (reader.current().generation, reader.current().previous) == (names[2], names[1])
    with pytest.raises(NotFoundError, match=names[0]):
        writer.switch(names[0])
    with pytest.raises(StoreError, match="not a generation"):
        writer.switch("../../etc/passwd")
    assert not reader.refresh()
    assert writer.switch(names[1]).previous == names[2]  # back again
    assert reader.refresh()
    assert reader.get("C001").generation == names[1]  # type: ignore[union-attr]


@pytest.mark.parametrize("order", ["expected_value", "probability"])
def test_pages_are_the_sorted_list_cut_up(store: OnlineStore, order: Any) -> None:
    t = tables(IDS)
    reader = serve(store, t)
    for filters in ({}, {"tier": "high"}, {"segment": "top"}, {"tier": "low", "segment": "valued"}, {"tier": "none"}):
        wanted = [
            r["customer_id"]
            for r in sorted(t.decisions.to_pylist(), key=lambda r: (-r[order], r["customer_id"]))
            if all(r[k] == v for k, v in filters.items())
        ]
        found: list[str] = []
        cursor = None
        while True:
            page = reader.worklist(**filters, limit=7, cursor=cursor, order=order)
            found += [r.customer_id for r in page.rows]
            cursor = page.next_cursor
            if cursor is None:
                break
            assert len(page.rows) == 7
        assert found == wanted


def test_unknown_values_come_last(store: OnlineStore) -> None:
    reader = serve(
        store, replace(tables(["a", "b", "c", "d"]), "expected_value", pa.array([None, 1.0, math.nan, -5.0]))
    )
    assert [r.customer_id for r in reader.worklist().rows] == ["b", "d", "a", "c"]
    assert [r.expected_value for r in reader.scan()] == [None, 1.0, None, -5.0]


def test_a_segment_may_be_unknown(store: OnlineStore) -> None:
    reader = serve(store, replace(tables(["a", "b"]), "segment", pa.array([None, "top"])))
    assert [r.segment for r in reader.scan()] == [None, "top"]
    assert [r.customer_id for r in reader.worklist(segment="top").rows] == ["b"]
    assert len(reader.worklist().rows) == 2


def test_a_cursor_stays_on_its_generation_until_it_is_gone(store: OnlineStore) -> None:
    reader = serve(store, tables(IDS))
    first = reader.worklist(limit=10)
    rest = reader.worklist(limit=90, cursor=first.next_cursor)
    store.writer().switch(write(store, tables(IDS, seed=2)))
    assert reader.refresh()
    for again in (reader, store.reader()):
        page = again.worklist(limit=90, cursor=first.next_cursor)
        assert page.generation == first.generation != again.worklist().generation
        assert [r.probability for r in page.rows] == [r.probability for r in rest.rows]
    store.writer().switch(write(store, tables(IDS, seed=3)))
    assert reader.refresh()
    assert not reader.refresh()
    with pytest.raises(NotFoundError, match="no longer kept"):
        reader.worklist(cursor=first.next_cursor)


@pytest.mark.parametrize("cursor", ["", "x", "🙂", "bm90IGpzb24", "WyIuLi8uLi94IiwgMSwgW11d", "bnVsbA"])
def test_a_made_up_cursor_is_refused(store: OnlineStore, cursor: str) -> None:
    with pytest.raises(UsageError, match="is not a cursor"):
        serve(store, tables(IDS[:3])).worklist(cursor=cursor)


def test_a_cursor_keeps_its_order_and_filters(store: OnlineStore) -> None:
    reader = serve(store, tables(IDS))
    cursor = reader.worklist(limit=5, tier="high").next_cursor
    with pytest.raises(UsageError, match="of another order, tier or segment"):
        reader.worklist(limit=5, cursor=cursor)
    with pytest.raises(UsageError, match="limit is 0"):
        reader.worklist(limit=0)
    with pytest.raises(UsageError, match="did you mean 'probability'"):
        reader.worklist(order="probabilty")  # type: ignore[arg-type]


def test_a_scan_stays_on_its_generation(store: OnlineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (online_read, online_redis_read):
        monkeypatch.setattr(module, "SCANNED", 9)
    reader = serve(store, tables(IDS))
    generation = reader.current().generation
    rows = reader.scan()
    found = [next(rows)]
    store.writer().switch(write(store, tables(IDS, seed=2)))
    assert reader.refresh()
    found += rows
    assert [r.customer_id for r in found] == IDS
    assert {r.generation for r in found} == {generation}


def test_a_switch_under_readers_never_mixes_generations(store: OnlineStore) -> None:
    writer = store.writer()
    contents = [tables(IDS, seed=seed) for seed in range(3)]
    names = [write(store, t) for t in contents]
    truth = {n: t.scores.column("probability").to_pylist() for n, t in zip(names, contents, strict=True)}
    writer.switch(names[0])
    reader = store.reader()
    stop = threading.Event()
    wrong: list[str] = []
    seen: set[str] = set()

    def read(follow: bool) -> None:
        try:
            while not stop.is_set():
                if follow:  # the others find out that what they read of was removed
                    reader.refresh()
                rows = list(reader.get_many(IDS).values())
                found = {r.generation for r in rows}
                one = reader.get(IDS[7])
                page = reader.worklist(limit=100)
                assert len(found) == 1, found
                assert one is not None
                assert one.probability == truth[one.generation][7]
                assert [r.probability for r in rows] == truth[rows[0].generation]
                assert sorted(r.probability for r in page.rows) == sorted(truth[page.generation])
                seen.update(found)
        except Exception as e:
            wrong.append(repr(e))

    threads = [threading.Thread(target=read, args=(i < 2,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(1, 51):
        name = write(store, contents[turn % 3])  # the one before last was removed
        writer.switch(name)
    stop.set()
    for thread in threads:
        thread.join()
    reader.close()
    assert wrong == []
    assert len(seen) == 3


WRITERS = """
import os, sys
sys.path.insert(0, sys.argv[1])
from online_tables import store_at, tables, write
contents = [tables([f"C{i:03d}" for i in range(100)], seed=seed) for seed in range(3)]
while True:  # one after the other is forked and killed: importing is what takes the time
    child = os.fork()
    if child == 0:
        store = store_at(*sys.argv[2:4])
        while True:
            for t in contents:
                store.writer().switch(write(store, t))
    print(child, flush=True)
    os.waitpid(child, 0)
"""


def test_a_killed_writer_leaves_the_old_generation_or_the_new(place: Place) -> None:
    contents = [tables(IDS, seed=seed) for seed in range(3)]
    store = place.store()
    truth = {write(store, t): t.scores.column("probability").to_pylist() for t in contents}
    reader = serve(store, contents[0])
    delays = random.Random(5)
    command = [sys.executable, "-c", WRITERS, str(TESTS), place.address, place.project]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writers:
        assert writers.stdout is not None
        for kill in range(KILLS):
            writer = int(writers.stdout.readline())
            end = time.monotonic() + delays.uniform(0, 0.25)
            while time.monotonic() < end:
                check(reader, truth)
            if kill == KILLS - 1:
                writers.kill()  # so that it starts no other
            os.kill(writer, signal.SIGKILL)
            check(reader, truth)
            check(place.store().reader(), truth)
    before = reader.current().generation
    store.writer().switch(write(store, tables(IDS, seed=3)))  # the next writer succeeds and clears what is left
    assert left_over(place) == set()
    assert reader.refresh()
    assert reader.current().previous == before


def check(reader: Any, truth: dict[str, list[float]]) -> None:
    """Everybody is there, as one generation has them."""
    reader.refresh()
    rows = list(reader.get_many(IDS).values())
    assert [r.probability for r in rows] == truth[rows[0].generation]
    assert len({r.generation for r in rows}) == 1


def left_over(place: Place) -> set[str]:
    """What is there besides the present and the previous generation."""
    pointer = place.store().reader().current()
    kept = (pointer.generation, pointer.previous)
    if not place.address.startswith("redis:"):
        return {f.name for f in Path(place.address).iterdir() if f.stem not in (*kept, "CURRENT")}
    import redis

    client = redis.Redis.from_url(ADDRESS)
    prefix = f"holdfast:{place.project}:online:"
    names = {key.decode().removeprefix(prefix) for key in client.scan_iter(f"{prefix}*", count=1000)}
    client.close()
    return {n for n in names if n.partition(":")[0] not in (*kept, "current", "generations")}
