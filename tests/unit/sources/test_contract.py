"""Is a table as declared? Every problem has its words, and few examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from declared import declared, loaded, write

from holdfast.errors import MAX_EXAMPLES, MAX_PROBLEMS, DataError

EVENTS: dict[str, Any] = {
    "kind": "events", "path": "e.csv", "key": "id", "id": "n", "time": "t", "available_at": "known",
    "columns": {"x": {"type": "number", "scale": 2}},
}  # fmt: skip
HISTORY: dict[str, Any] = {
    "kind": "history", "path": "h.csv", "key": "id", "valid_from": "a", "valid_to": "b", "available_at": "known",
    "columns": {"p": {"type": "number"}},
}  # fmt: skip


def problems(root: Path, data: Any) -> list[str]:
    with pytest.raises(DataError) as caught:
        loaded(root, data)
    return [str(p) for p in caught.value.problems]


def of_events(root: Path, rows: str, column: dict[str, Any] | None = None) -> list[str]:
    write(root, e=f"id,n,t,known,x\n{rows}\n")
    table = EVENTS if column is None else {**EVENTS, "columns": {"x": column}}
    return problems(root, declared(e=table))


def of_customers(root: Path, text: str) -> list[str]:
    write(root, c=text)
    return problems(root, declared())


def of_history(root: Path, rows: str) -> list[str]:
    write(root, h=f"id,a,b,known,p\n{rows}\n")
    return problems(root, declared(h=HISTORY))


def test_missing_columns_are_all_named(tmp_path: Path) -> None:
    found = of_customers(tmp_path, "id,begin\n1,2024-01-01\n")
    assert len(found) == 2
    assert "column 'start' is missing" in found[0]
    assert "column 'end' is missing" in found[1]


def test_problems_of_all_tables_come_together(tmp_path: Path) -> None:
    write(tmp_path, c="id,start,end\n1,x,\n", e="id,n,t,known,x\n1,1,y,2024-01-01,1\n")
    found = problems(tmp_path, declared(e=EVENTS, h=HISTORY))
    assert [("customers" in p, "'e'" in p, "h.path" in p) for p in found] == [
        (True, False, False), (False, True, False), (False, False, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,start,end\n", "has no rows"),
        ("id,start,end\n1,2024-01-02,2024-01-01\n", "'end' before 'start' in 1 of 1 rows (for example '1')"),
        ("id,start,end\n1,,2024-01-01\n", "column 'start': missing values in 1 of 1 rows"),
        ("id,start,end\n,2024-01-01,2024-01-01\n", "column 'id': missing values in 1 of 1 rows"),
        ("id,start,end\n1,2024-01-01,\n", "no customer ever ends: column 'end' is empty"),
        (
            "id,start,end\n1,2024-01-01,2024-02-01\n1,2024-01-01,2024-02-02\n",
            "several rows for one 'id': 1 times (for example '1')",
        ),
    ],
)
def test_customers(tmp_path: Path, text: str, message: str) -> None:
    assert [message in p for p in of_customers(tmp_path, text)] == [True]


@pytest.mark.parametrize(
    ("rows", "column", "message"),
    [
        ("1,1,2024-01-01,,1", None, "column 'known': missing values"),
        ("1,1,,2024-01-01,1", None, "column 't': missing values"),
        ("1,1,2024-01-01,2024-01-01,", {"type": "number", "nullable": False}, "column 'x': missing values in 1"),
        ("1,1,2024-01-01,2024-01-01,-1", {"type": "number", "min": 0}, "values below min 0 in 1 of 1 rows (for"),
        ("1,1,2024-01-01,2024-01-01,0.28", {"type": "number", "min": 0.285}, "below min 0.285"),
        ("1,1,2024-01-01,2024-01-01,11", {"type": "number", "max": 10}, "values above max 10"),
        ("1,1,2024-01-01,2024-01-01,c", {"type": "category", "allowed": ["a", "b"]}, "not in allowed in 1 of 1 rows"),
        ("1,1,2024-01-01,2024-01-01,3", {"type": "number", "allowed": ["1", "2"]}, "not in allowed in 1 of 1 rows"),
        ("1,1,2024-01-01,2024-01-01,no", {"type": "boolean", "allowed": ["yes"]}, "not in allowed in 1 of 1 rows"),
        (
            "1,1,2024-01-01,2024-01-05,1\n2,1,2024-01-02,2024-01-05,1", None,
            "one 'n' with different content available at the same instant: 1 times (for example '1')",
        ),
    ],
)  # fmt: skip
def test_events(tmp_path: Path, rows: str, column: dict[str, Any] | None, message: str) -> None:
    assert [message in p for p in of_events(tmp_path, rows, column)] == [True]


def test_a_derived_availability_is_not_a_second_problem(tmp_path: Path) -> None:
    write(tmp_path, e="id,n,t,known,x\n1,1,,2024-01-01,1\n")
    table = {k: v for k, v in EVENTS.items() if k != "available_at"}
    assert len(problems(tmp_path, declared(e=table))) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,2024-02-01,2024-01-01,2024-01-01,1", "'b' before 'a' in 1 of 1 rows"),
        ("1,2024-01-01,,,1", "column 'known': missing values"),
        ("1,2024-01-01,,2024-01-01,1\n1,2024-01-01,,2024-01-01,2", "one version with different content available"),
        (
            "1,2024-01-01,2024-03-01,2024-01-01,1\n1,2024-02-01,,2024-02-01,2",
            "versions of one customer overlap: 2 versions (for example '1'). End a version where the next begins",
        ),
    ],
)
def test_history(tmp_path: Path, rows: str, message: str) -> None:
    assert [message in p for p in of_history(tmp_path, rows)] == [True]


def test_a_correction_of_an_overlap_is_no_overlap(tmp_path: Path) -> None:
    rows = "1,2024-01-01,2024-03-01,2024-01-01,1\n1,2024-01-01,2024-02-01,2024-01-05,1\n1,2024-02-01,,2024-02-01,2"
    write(tmp_path, h=f"id,a,b,known,p\n{rows}\n")
    assert len(loaded(tmp_path, declared(h=HISTORY))[1]["h"]) == 3


def test_exact_copies_of_identified_rows_say_nothing_new(tmp_path: Path) -> None:
    row = "1,1,2024-01-01,2024-01-01,1"
    write(
        tmp_path, c="id,start,end\n" + "1,2024-01-01,2024-02-01\n" * 2,
        e="\n".join(["id,n,t,known,x", row, row, "1,,2024-01-01,2024-01-01,1", "1,,2024-01-01,2024-01-01,1"]),
    )  # fmt: skip
    sources, rows = loaded(tmp_path, declared(e=EVENTS))
    assert len(rows["customers"]) == 1
    assert len(rows["e"]) == 3, "rows without an id are events of their own"
    assert sources.tables["e"].notes["exact_duplicates_dropped"] == 1


def test_equal_rows_without_an_id_stay(tmp_path: Path) -> None:
    write(tmp_path, e="id,t\n1,2024-01-01\n1,2024-01-01\n")
    table = {"kind": "events", "path": "e.csv", "key": "id", "time": "t"}
    assert len(loaded(tmp_path, declared(e=table))[1]["e"]) == 2


def test_examples_and_problems_are_bounded(tmp_path: Path) -> None:
    columns = {f"x{i}": {"type": "number"} for i in range(30)}
    header = ",".join(["id", "n", "t", *columns])
    rows = [",".join(["1", str(i), "2024-01-01", *[f"bad{i:02d}"] * 30]) for i in range(20)]
    write(tmp_path, e="\n".join([header, *rows]))
    table = {"kind": "events", "path": "e.csv", "key": "id", "id": "n", "time": "t", "columns": columns}
    with pytest.raises(DataError) as caught:
        loaded(tmp_path, declared(e=table))
    assert len(caught.value.problems) == 30
    assert caught.value.problems[0].examples == tuple(f"bad{i:02d}" for i in range(MAX_EXAMPLES))
    assert str(caught.value).count("\n  - ") == MAX_PROBLEMS
    assert "… and 20 more" in str(caught.value)
