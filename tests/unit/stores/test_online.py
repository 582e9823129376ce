"""The online store: what is written is what is read, and nothing else is ever served."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from online_tables import CUTOFF, REASON, Tables, tables, write

from holdfast.errors import DataError, NotFoundError, NotReadyError, StoreError, UsageError
from holdfast.stores.online import OnlineReader, OnlineWriter
from holdfast.stores.online_format import POINTER

IDS = [f"C{i:03d}" for i in range(100)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "online"


def serve(folder: Path, t: Tables, **other: Any) -> OnlineReader:
    OnlineWriter(folder).switch(write(folder, t, **other))
    return OnlineReader(folder)


def replace(t: Tables, name: str, column: Any) -> Tables:
    at = t.features.column_names.index(name)
    return Tables(t.features.set_column(at, name, column), t.schema, t.scores, t.decisions)


def test_a_row_has_everything(folder: Path) -> None:
    t = tables(IDS)
    reader = serve(folder, t)
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


def test_float32_survive_bit_for_bit(folder: Path) -> None:
    values = [-0.0, 1e-45, 3.4028235e38, -math.inf, 0.1, 16777217.0]
    column = np.array(values, dtype="float32")
    t = replace(tables(IDS[:6]), "f1", pa.array(column))
    reader = serve(folder, t)
    for customer, value in zip(IDS, column, strict=False):
        row = reader.get(customer)
        assert row is not None
        found = row.features["f1"]
        assert isinstance(found, float)
        assert struct.pack("<f", found) == value.tobytes()
        assert row.meta.vector(row._packed).dtype == np.dtype("float32")


def test_nan_and_null_are_both_unknown_and_the_same_content(folder: Path) -> None:
    t = tables(IDS[:3])
    odd_nan = np.array([1, 0x7FC01234, 0], dtype="<u4")
    odd_nan[0] = np.float32(1).view("<u4")
    nan = replace(t, "f0", pa.array(odd_nan.view("<f4")))
    null = replace(t, "f0", pa.array([1.0, None, 0.0], pa.float32()))
    assert write(folder, nan) == write(folder, null)
    reader = serve(folder, null)
    assert [reader.get(i).features["f0"] for i in IDS[:3]] == [1.0, None, 0.0]  # type: ignore[union-attr]


def test_a_null_category_is_unknown_and_an_empty_one_is_not(folder: Path) -> None:
    reader = serve(folder, replace(tables(IDS[:3]), "plan", pa.array([None, "", "plus"])))
    assert [reader.get(i).features["plan"] for i in IDS[:3]] == [None, "", "plus"]  # type: ignore[union-attr]


def test_ids_and_categories_may_be_any_text(folder: Path) -> None:
    ids = sorted(["'; DROP TABLE customer; --", "Ærøskøbing", "客户-1", "🙂", "a b", "%00"], key=str.encode)
    reader = serve(folder, replace(tables(ids), "plan", pa.array(["ß", "é", "e\u0301", "漢", "", "x"])))
    assert [reader.get(i).customer_id for i in ids] == ids  # type: ignore[union-attr]
    assert reader.get("🙂").features["plan"] == "x"  # type: ignore[union-attr]
    assert list(reader.get_many([*reversed(ids), "nobody", ids[0]])) == list(reversed(ids))


def test_get_many_takes_more_ids_than_one_query(folder: Path) -> None:
    ids = [f"C{i:05d}" for i in range(1200)]
    assert list(serve(folder, tables(ids)).get_many(ids)) == ids


def test_writing_again_gives_the_same_name_and_bytes(folder: Path, tmp_path: Path) -> None:
    t = tables(IDS)
    first = write(folder, t)
    chunked = Tables(pa.concat_tables([t.features[:40], t.features[40:]]), t.schema, t.scores, t.decisions)
    assert write(tmp_path / "other", chunked) == first
    assert (tmp_path / "other" / f"{first}.sqlite").read_bytes() == (folder / f"{first}.sqlite").read_bytes()
    assert write(folder, t, bundle="b2") != first
    assert write(folder, tables(IDS, seed=2)) != first


def test_empty_batches_can_be_served(folder: Path) -> None:
    reader = serve(folder, tables([]))
    assert reader.get("C001") is None
    assert reader.worklist().rows == []


def test_the_tables_must_be_of_the_same_customers(folder: Path) -> None:
    t, other = tables(IDS[:5]), tables([*IDS[:4], "Z"])
    with pytest.raises(DataError, match="decisions: row 4 is another customer"):
        write(folder, Tables(t.features, t.schema, t.scores, other.decisions))
    with pytest.raises(DataError, match="scores: 4 customers, where features have 5"):
        write(folder, Tables(t.features, t.schema, tables(IDS[:4]).scores, t.decisions))
    with pytest.raises(DataError, match="must ascend"):
        write(folder, tables(["B", "A"]))
    with pytest.raises(DataError, match="must ascend"):
        write(folder, tables(["A", "A"]))
    with pytest.raises(DataError, match="'f0' is missing"):
        write(folder, Tables(t.features.drop_columns(["f0"]), t.schema, t.scores, t.decisions))
    assert not list(folder.glob("*")) if folder.exists() else True


def test_switch_keeps_one_generation_before(folder: Path) -> None:
    writer = OnlineWriter(folder)
    names: list[str] = []
    for seed in range(3):
        names.append(write(folder, tables(IDS, seed=seed)))
        writer.switch(names[-1])
        writer.switch(names[-1])  # again: nothing changes
    (folder / ".tmp~left.sqlite~0~x").touch()
    pointer = writer.switch(names[2])
    assert (pointer.generation, pointer.previous) == (names[2], names[1])
    assert {f.stem for f in folder.glob("*.sqlite")} == set(names[1:])
    assert not list(folder.glob(".tmp~*"))
    with pytest.raises(NotFoundError, match="0123456789abcdef"):
        writer.switch("0123456789abcdef")
    with pytest.raises(StoreError, match="not a generation"):
        writer.switch("../../etc/passwd")


def test_an_empty_store_says_what_to_run(folder: Path) -> None:
    with pytest.raises(NotReadyError, match="holdfast materialize"):
        OnlineReader(folder)


def test_infinite_money_is_refused_and_nan_is_unknown(folder: Path) -> None:
    t = tables(IDS[:2])
    at = t.decisions.column_names.index("clv")

    def with_clv(value: float) -> Tables:
        column = pa.array([1.0, value])
        return Tables(t.features, t.schema, t.scores, t.decisions.set_column(at, "clv", column))

    assert serve(folder, with_clv(math.nan)).get("C001").decision["clv"] is None  # type: ignore[union-attr]
    with pytest.raises(DataError, match="not finite"):
        write(folder, with_clv(math.inf))


@pytest.mark.parametrize("damage", ["cut", "grown", "deleted", "text", "empty", "other"])
def test_a_damaged_generation_is_refused(folder: Path, damage: str) -> None:
    name = write(folder, tables(IDS))
    OnlineWriter(folder).switch(name)
    file = folder / f"{name}.sqlite"
    data = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    elif damage == "other":
        file.write_bytes((folder / f"{write(folder, tables(IDS, seed=9))}.sqlite").read_bytes())
    else:
        file.write_bytes(
            {"cut": data[: len(data) // 2], "grown": data + b"x", "text": b"hello" * 99, "empty": b""}[damage]
        )
    with pytest.raises(StoreError, match=f"{name}.sqlite cannot be read.*holdfast materialize"):
        OnlineReader(folder)


def test_a_page_lost_inside_is_an_error_and_not_an_answer(folder: Path) -> None:
    name = write(folder, tables([f"C{i:05d}" for i in range(2000)]))
    OnlineWriter(folder).switch(name)
    file = folder / f"{name}.sqlite"
    data = bytearray(file.read_bytes())
    data[8192 * 4 :] = b"\xff" * (len(data) - 8192 * 4)
    file.write_bytes(data)
    with pytest.raises(StoreError, match="cannot be read"):
        [OnlineReader(folder).get(f"C{i:05d}") for i in range(2000)]


@pytest.mark.parametrize("text", ["", "{}", "[]", '"x"', '{"generation": "../x"}', "\xff"])
def test_a_damaged_pointer_is_refused_and_mended_by_a_switch(folder: Path, text: str) -> None:
    name = write(folder, tables(IDS))
    OnlineWriter(folder).switch(name)
    (folder / POINTER).write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match="CURRENT"):
        OnlineReader(folder)
    OnlineWriter(folder).switch(name)
    assert OnlineReader(folder).get("C001") is not None


@pytest.mark.parametrize("order", ["expected_value", "probability"])
@pytest.mark.parametrize("filters", [{}, {"tier": "high"}, {"segment": "top"}, {"tier": "low", "segment": "valued"}])
def test_pages_are_the_sorted_list_cut_up(folder: Path, order: Any, filters: dict[str, str]) -> None:
    t = tables(IDS)
    reader = serve(folder, t)
    rows = t.decisions.to_pylist()
    wanted = [
        r["customer_id"]
        for r in sorted(rows, key=lambda r: (-r[order], r["customer_id"]))
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


def test_unknown_values_come_last(folder: Path) -> None:
    t = tables(["a", "b", "c", "d"])
    at = t.decisions.column_names.index("expected_value")
    values = t.decisions.set_column(at, "expected_value", pa.array([None, 1.0, float("nan"), -5.0]))
    reader = serve(folder, Tables(t.features, t.schema, t.scores, values))
    assert [r.customer_id for r in reader.worklist().rows] == ["b", "d", "a", "c"]
    assert reader.get("a").expected_value is None  # type: ignore[union-attr]
    assert reader.get("c").expected_value is None  # type: ignore[union-attr]


def test_a_cursor_stays_on_its_generation_until_it_is_gone(folder: Path) -> None:
    reader = serve(folder, tables(IDS))
    first = reader.worklist(limit=10)
    rest = reader.worklist(limit=90, cursor=first.next_cursor)
    for seed in (2, 3):
        OnlineWriter(folder).switch(write(folder, tables(IDS, seed=seed)))
        if seed == 2:
            assert reader.refresh()
            again = reader.worklist(limit=90, cursor=first.next_cursor)
            assert again.generation == first.generation != reader.worklist().generation
            assert [r.customer_id for r in again.rows] == [r.customer_id for r in rest.rows]
            fresh = OnlineReader(folder).worklist(limit=90, cursor=first.next_cursor)
            assert [r.probability for r in fresh.rows] == [r.probability for r in rest.rows]
    assert reader.refresh()
    assert not reader.refresh()
    with pytest.raises(NotFoundError, match="no longer kept"):
        reader.worklist(cursor=first.next_cursor)


@pytest.mark.parametrize("cursor", ["", "x", "🙂", "bm90IGpzb24", "WyIuLi8uLi94IiwgMSwgW11d", "bnVsbA"])
def test_a_made_up_cursor_is_refused(folder: Path, cursor: str) -> None:
    with pytest.raises(UsageError, match="is not a cursor"):
        serve(folder, tables(IDS)).worklist(cursor=cursor)


def test_a_cursor_keeps_its_order_and_filters(folder: Path) -> None:
    reader = serve(folder, tables(IDS))
    cursor = reader.worklist(limit=5, tier="high").next_cursor
    with pytest.raises(UsageError, match="of another order, tier or segment"):
        reader.worklist(limit=5, cursor=cursor)
    with pytest.raises(UsageError, match="limit is 0"):
        reader.worklist(limit=0)
    with pytest.raises(UsageError, match="did you mean 'probability'"):
        reader.worklist(order="probabilty")  # type: ignore[arg-type]


def test_a_failed_refresh_leaves_the_old_generation_in_use(folder: Path) -> None:
    reader = serve(folder, tables(IDS))
    name = write(folder, tables(IDS, seed=2))
    OnlineWriter(folder).switch(name)
    (folder / f"{name}.sqlite").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be read"):
        reader.refresh()
    assert reader.get("C001") is not None
    (folder / POINTER).unlink()
    with pytest.raises(NotReadyError):
        reader.refresh()
    assert reader.get("C001") is not None
    reader.close()
