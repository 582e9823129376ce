"""Files that are not what their name says, or change while they are read: the message says which, where and the fix."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from declared import declared, loaded, write

from holdfast.errors import DataError
from holdfast.sources.tables import load_sources
from holdfast.stores.engine import DuckDBEngine

EVENTS: dict[str, Any] = {"kind": "events", "path": "e.csv", "key": "id", "id": "n", "time": "t",
                          "columns": {"x": {"type": "number", "scale": 0}}}  # fmt: skip
GOOD = "id,n,t,x\n1,a,2024-01-03,5\n1,b,2024-01-04,6\n"
ARROW = pa.table({"id": ["1"], "n": ["a"], "t": ["2024-01-03"], "x": [5]})

UNREADABLE: list[tuple[str, bytes, str]] = [
    ("nothing", b"", r"e\.csv: is empty: it has not even a header"),
    ("blank lines", b"\n\r\n\n", "is empty: it has not even a header"),
    ("gzip", gzip.compress(GOOD.encode()), r"is compressed \(gzip\)\. Unpack it"),
    ("spreadsheet", b"PK\x03\x04 and more", "is a ZIP archive or a spreadsheet"),
    ("Parquet", b"PAR1 and more", r"is a Parquet file\. Name it \.parquet"),
    ("UTF-16", GOOD.encode("utf-16"), "not UTF-8 text but UTF-16"),
    ("a column twice", b"id,n,t,x,x\n1,a,2024-01-03,5,6\n", r"has the column 'x' 2 times\. Which is meant\?"),
    ("a key twice", b"id;n;t;x;id\n1;a;2024-01-03;5;2\n", "has the column 'id' 2 times"),
    ("in capitals", b'id,n,t,"X",x\n1,a,2024-01-03,5,6\n', "columns that differ only in case: 'X', 'x'"),
    ("long row", f"{GOOD}1,c,2024-01-05,7,8\n".encode(), "the row at line 4 has 5 cells, the header 4"),
    ("short row", f"\ufeff{GOOD}\n1,c,2024-01-05\n".encode(), "the row at line 5 has 3 cells, the header 4"),
    ("open quote", f'{GOOD}1,"c,2024-01-05,7\n'.encode(), "the row at line 4 has 2 cells"),
    ("Latin-1", f"{GOOD}1,ü,2024-01-05,7\n".encode("latin-1"), "is not UTF-8 text: byte 0xfc in line 4"),
    ("line ends", f"{GOOD}1,c,2024-01-05,7\r\n".encode(), r"line 4 ends with '\\r\\n', those before it with '\\n'"),
]


@pytest.mark.parametrize(("content", "said"), [case[1:] for case in UNREADABLE], ids=[case[0] for case in UNREADABLE])
def test_what_is_no_csv_is_named_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    write(tmp_path, e=content)
    with pytest.raises(DataError, match=said) as caught:
        loaded(tmp_path, declared(e=EVENTS))
    assert len(caught.value.problems) == 1
    assert "2024-01-05" not in str(caught.value), "no customer's row is shown"


@pytest.mark.parametrize("content", [GOOD.replace("\n", "\r\n"), f"\ufeff{GOOD}", GOOD.replace(",", "|"),
                                     f"{GOOD}\n\n", "id,n,t,x,,\n1,a,2024-01-03,5,,\n1,b,2024-01-04,6,,\n",
                                     'id,n,t,"x"\n1,"a",2024-01-03,5\n1,b,2024-01-04,"6"\n'])  # fmt: skip
def test_csv_of_other_programs_reads_the_same(tmp_path: Path, content: str) -> None:
    write(tmp_path, e=content)
    assert [r["c_x"] for r in loaded(tmp_path, declared(e=EVENTS))[1]["e"]] == [5, 6]


def test_of_several_files_the_broken_one_is_named(tmp_path: Path) -> None:
    folder = {**EVENTS, "path": "e"}
    (tmp_path / "e").mkdir()
    write(tmp_path)
    (tmp_path / "e" / "a.csv").write_text(GOOD)
    (tmp_path / "e" / "b.csv").write_text("")
    assert len(loaded(tmp_path, declared(e=folder))[1]["e"]) == 2, "an empty part has no rows"
    (tmp_path / "e" / "b.csv").write_text("id,n,t,x\n1,c,2024-01-05,7,8\n")
    with pytest.raises(DataError, match=r"b\.csv: the row at line 2 has 5 cells"):
        loaded(tmp_path, declared(e=folder))
    (tmp_path / "e" / "b.csv").write_text("id;n;t;x\n1;c;2024-01-05;7\n")
    with pytest.raises(DataError, match=r"b\.csv: has semicolons between its cells, a\.csv has commas"):
        loaded(tmp_path, declared(e=folder))
    (tmp_path / "e" / "b.csv").unlink()
    (tmp_path / "e" / "b.csv").symlink_to("nowhere.csv")
    with pytest.raises(DataError, match=r"b\.csv: cannot be read: No such file"):
        loaded(tmp_path, declared(e=folder))


def test_a_parquet_file_with_a_column_twice(tmp_path: Path) -> None:
    write(tmp_path, e=ARROW.append_column("x", pa.array([6])))
    with pytest.raises(DataError, match=r"e\.parquet: has the column 'x' 2 times"):
        loaded(tmp_path, declared(e={**EVENTS, "path": "e.parquet"}))


def no_file(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("path", "spoil", "said"),
    [
        ("e.csv", no_file, "no Parquet or CSV file at .*Check path: did you mean 'c.csv'"),
        ("e.csv", a_folder, "the folder has none"),
        ("e.csv", a_link, "it is a link to e.csv, which is not there"),
        ("e**f/*.csv", no_file, "cannot be looked up: Invalid pattern"),
        ("e" * 300, no_file, "cannot be looked up: File name too long"),
        ("d-*.csv", no_file, "no Parquet or CSV file at"),
    ],
)
def test_where_there_is_no_file(tmp_path: Path, path: str, spoil: Callable[[Path], None], said: str) -> None:
    write(tmp_path, e=GOOD)
    spoil(tmp_path / "e.csv")
    with pytest.raises(DataError, match=rf"data\.tables\.e\.path: .*{said}"):
        loaded(tmp_path, declared(e={**EVENTS, "path": path}))


CHANGES: dict[str, Callable[[Path], object]] = {
    "fewer columns": lambda p: p.write_text("id,n,t\n1,a,2024-01-03\n"),
    "more rows": lambda p: p.write_text(f"{GOOD}1,c,2024-01-05,7\n"),
    "nothing in it": lambda p: p.write_text(""),
    "gone": no_file,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("step", ["columns", "read", "materialize"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, step: str, change: Callable[[Path], object]) -> None:
    """Replaced before the columns are read, before the rows are, or before the examples are looked up."""
    of_events: list[object] = []

    class Changing(DuckDBEngine):
        def columns(self, files: Any) -> Any:
            found = super().columns(files)
            of_events.extend(f for f in files if f.name == "e.csv")
            self._then("columns")
            return found

        def read(self, files: Any, name: str, *, text: bool) -> Any:
            found = super().read(files, name, text=text)
            self._then("read")
            return found

        def materialize(self, expression: Any, name: str) -> Any:
            found = super().materialize(expression, name)
            self._then("materialize")
            return found

        def _then(self, now: str) -> None:
            if of_events and now == step:
                of_events.clear()
                change(tmp_path / "e.csv")

    write(tmp_path, e=f"{GOOD}1,z,2024-01-05,ten\n")
    with Changing(threads=1) as engine, pytest.raises(DataError, match="while it was read") as caught:
        load_sources(engine, declared(e=EVENTS), tmp_path)
    assert "table 'e'" in str(caught.value)
    assert "e.csv" in str(caught.value)
