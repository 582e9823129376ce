"""The online store on SQLite: what its files are, and what is done where they are damaged. The rest: conformance."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from holdfast.errors import DataError, NotReadyError, StoreError
from holdfast.stores import online_pack
from holdfast.stores.online import OnlineReader, OnlineStore, SqliteStore
from holdfast.stores.online_format import FORMAT_VERSION, POINTER
from online_tables import Tables, serve, tables, write

IDS = [f"C{i:03d}" for i in range(100)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "online"


@pytest.fixture
def store(folder: Path) -> OnlineStore:
    return SqliteStore(folder)


def test_writing_again_gives_the_same_name_and_bytes(store: OnlineStore, folder: Path, tmp_path: Path) -> None:
    t = tables(IDS)
    first = write(store, t)
    chunked = Tables(pa.concat_tables([t.features[:40], t.features[40:]]), t.schema, t.scores, t.decisions)
    assert write(SqliteStore(tmp_path / "other"), chunked) == first
    assert (tmp_path / "other" / f"{first}.sqlite").read_bytes() == (folder / f"{first}.sqlite").read_bytes()
    assert write(store, t, bundle="b2") != first
    assert write(store, tables(IDS, seed=2)) != first


def test_pieces_make_one_generation(
    store: OnlineStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online_pack, "PIECE", 7)
    t = tables(IDS)
    reader = serve(store, t)
    rows = list(reader.scan())
    assert [r.customer_id for r in rows] == IDS
    assert [r.features for r in rows] == t.features.drop_columns(["customer_id"]).to_pylist()
    assert [r.reasons for r in rows] == t.scores.column("reasons").to_pylist()
    assert [r.decision for r in rows] == t.decisions.select(online_pack.DECISION_FIELDS).to_pylist()
    best = sorted(rows, key=lambda r: (-(r.expected_value or 0), r.customer_id))
    assert [r.customer_id for r in reader.worklist(limit=100).rows] == [r.customer_id for r in best]
    cut = [pa.concat_tables([x[:33], x[33:40], x[40:]]) for x in (t.features, t.scores, t.decisions)]
    name = write(SqliteStore(tmp_path / "other"), Tables(cut[0], t.schema, *cut[1:]))
    assert name == reader.current().generation
    assert (tmp_path / "other" / f"{name}.sqlite").read_bytes() == (folder / f"{name}.sqlite").read_bytes()


def test_an_older_format_is_refused_and_keeps_no_bundle(store: OnlineStore, folder: Path) -> None:
    old = serve(store, tables(IDS)).current().generation
    serve(store, tables(IDS, seed=2))
    with closing(sqlite3.connect(folder / f"{old}.sqlite")) as connection:
        connection.execute("UPDATE meta SET value = '1' WHERE key = 'format_version'")
        connection.execute("UPDATE meta SET value = 'models/0' WHERE key = 'bundle_dir'")
        connection.commit()
    assert store.bundle_dirs() == {"models/1"}
    with pytest.raises(StoreError, match=f"its format is 1, this Holdfast reads {FORMAT_VERSION}.*materialize"):
        store.writer().switch(old)


def test_the_tables_must_be_of_the_same_customers(store: OnlineStore, folder: Path) -> None:
    t, other = tables(IDS[:5]), tables([*IDS[:4], "Z"])
    with pytest.raises(DataError, match="decisions: row 4 is another customer"):
        write(store, Tables(t.features, t.schema, t.scores, other.decisions))
    with pytest.raises(DataError, match="scores: 4 customers, where features have 5"):
        write(store, Tables(t.features, t.schema, tables(IDS[:4]).scores, t.decisions))
    with pytest.raises(DataError, match="must ascend"):
        write(store, tables(["B", "A"]))
    with pytest.raises(DataError, match="must ascend"):
        write(store, tables(["A", "A"]))
    with pytest.raises(DataError, match="'f0' is missing"):
        write(store, Tables(t.features.drop_columns(["f0"]), t.schema, t.scores, t.decisions))
    assert not list(folder.glob("*")) if folder.exists() else True


@pytest.mark.parametrize("damage", ["cut", "grown", "deleted", "text", "empty", "other"])
def test_a_damaged_generation_is_refused(store: OnlineStore, folder: Path, damage: str) -> None:
    name = write(store, tables(IDS))
    store.writer().switch(name)
    file = folder / f"{name}.sqlite"
    data = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    elif damage == "other":
        file.write_bytes((folder / f"{write(store, tables(IDS, seed=9))}.sqlite").read_bytes())
    else:
        file.write_bytes(
            {"cut": data[: len(data) // 2], "grown": data + b"x", "text": b"hello" * 99, "empty": b""}[damage]
        )
    with pytest.raises(StoreError, match=f"{name}.sqlite cannot be read.*holdfast materialize"):
        OnlineReader(folder)


def test_a_page_lost_inside_is_an_error_and_not_an_answer(store: OnlineStore, folder: Path) -> None:
    name = write(store, tables([f"C{i:05d}" for i in range(2000)]))
    store.writer().switch(name)
    file = folder / f"{name}.sqlite"
    data = bytearray(file.read_bytes())
    data[8192 * 4 :] = b"\xff" * (len(data) - 8192 * 4)
    file.write_bytes(data)
    with pytest.raises(StoreError, match="cannot be read"):
        [OnlineReader(folder).get(f"C{i:05d}") for i in range(2000)]


@pytest.mark.parametrize("text", ["", "{}", "[]", '"x"', '{"generation": "../x"}', "\xff"])
def test_a_damaged_pointer_is_refused_and_mended_by_a_switch(store: OnlineStore, folder: Path, text: str) -> None:
    name = write(store, tables(IDS))
    store.writer().switch(name)
    (folder / POINTER).write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match="CURRENT"):
        OnlineReader(folder)
    store.writer().switch(name)
    assert OnlineReader(folder).get("C001") is not None


def test_a_failed_refresh_leaves_the_old_generation_in_use(store: OnlineStore, folder: Path) -> None:
    reader = serve(store, tables(IDS))
    name = write(store, tables(IDS, seed=2))
    store.writer().switch(name)
    (folder / f"{name}.sqlite").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be read"):
        reader.refresh()
    assert reader.get("C001") is not None
    (folder / POINTER).unlink()
    with pytest.raises(NotReadyError):
        reader.refresh()
    assert reader.get("C001") is not None
    reader.close()
