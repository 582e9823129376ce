"""What each check finds, and what error, warn and drop do about it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from declared import declared, loaded, write

from holdfast.config.data import DataSection
from holdfast.errors import DataError

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
CUSTOMERS = "id,start,end\n1,2024-01-01,2024-03-01\n2,2024-01-05,\n3,2024-01-05,\n"
EVENTS: dict[str, Any] = {
    "kind": "events", "path": "e.csv", "key": "id", "id": "n", "time": "t", "available_at": "known",
    "columns": {"x": {"type": "number", "scale": 0, "min": 0}, "c": {"type": "category", "allowed": ["a", "b"]}},
}  # fmt: skip
HISTORY: dict[str, Any] = {
    "kind": "history", "path": "h.csv", "key": "id", "valid_from": "a", "valid_to": "b", "available_at": "known",
    "columns": {"p": {"type": "number", "scale": 0}},
}  # fmt: skip
GOOD = "1,g,2024-02-01,2024-02-01,1,a"


def of_events(root: Path, rows: str, **checks: str) -> tuple[Any, list[str]]:
    """The notes, and the ids of the events that are left; customer 2's event ``g`` is always fine."""
    write(root, c=CUSTOMERS, e=f"id,n,t,known,x,c\n{GOOD}\n{rows}\n")
    sources, found = loaded(root, declared(e={**EVENTS, "checks": checks}), now=NOW)
    return sources.tables["e"], [r["event_id"] for r in found["e"]]


CASES = [
    ("foreign_key", "9,n,2024-02-01,2024-02-01,1,a", True),
    ("outside", "1,n,2023-12-31,2024-02-01,1,a", True),
    ("outside", "1,n,2024-03-01 00:00:00.000001,2024-04-01,1,a", True),
    ("range", "1,n,2024-02-01,2024-02-01,-1,a", True),
    ("allowed", "1,n,2024-02-01,2024-02-01,1,z", True),
    ("future", "1,n,2024-06-02 12:00:01,2024-02-01,1,a", True),
    ("missing", "1,n,2024-02-01,,1,a", False),
    ("missing", ",n,2024-02-01,2024-02-01,1,a", False),
    ("type", "1,n,01/02/2024,2024-02-01,1,a", False),
    ("conflict", "1,n,2024-02-01,2024-02-01,1,a\n1,n,2024-02-01,2024-02-01,2,a", False),
]


@pytest.mark.parametrize(("check", "rows", "keepable"), CASES)
def test_error_refuses_warn_keeps_what_can_be_kept_and_drop_leaves_out(
    tmp_path: Path, check: str, rows: str, keepable: bool
) -> None:
    outside = {} if check in ("outside", "foreign_key") else {"outside": "drop"}
    with pytest.raises(DataError, match=f"e.csv.*Or leave them out: checks: {{{check}: drop}}"):
        of_events(tmp_path, rows, **{check: "error"})
    table, ids = of_events(tmp_path, rows, **{check: "drop"}, **({} if check == "future" else outside))
    assert ids == ["g"]
    assert [f.done for f in table.findings if f.check == check] == ["drop"]
    table, ids = of_events(tmp_path, rows, **{check: "warn"})
    assert (set(ids) == {"g", "n"}) == keepable
    done = "warn" if keepable else "drop"
    assert [f.done for f in table.findings if f.check == check] == [done]
    n = 2 if check == "conflict" else 1
    counted = table.notes["warned" if keepable else "dropped"].get(check)
    assert counted == (None if check == "future" else n), "what the clock says is not in the notes"


def test_at_the_start_and_at_the_end_is_not_outside(tmp_path: Path) -> None:
    table, ids = of_events(tmp_path, "1,n,2024-01-01,2024-02-01,1,a\n1,m,2024-03-01,2024-03-01,1,a")
    assert ids == ["g", "m", "n"]
    assert table.findings == ()


def test_strangers_and_events_outside_are_warned_of_by_default(tmp_path: Path) -> None:
    table, _ = of_events(tmp_path, "9,n,2024-02-01,2024-02-01,1,a\n1,m,2023-02-01,2024-02-01,1,a")
    assert table.notes == {
        "rows": 3, "exact_duplicates_dropped": 0, "warned": {"foreign_key": 1, "outside": 1}, "dropped": {},
    }  # fmt: skip
    assert "column 'id': customers that table 'customers' does not have in 1 of 3 rows (for example '9')" in str(
        table.findings[0].problem
    )


def test_a_cell_of_another_type_becomes_null_where_null_may_be(tmp_path: Path) -> None:
    write(tmp_path, c=CUSTOMERS, e="id,n,t,x,y\n1,a,2024-02-01,ten,ten\n1,b,2024-02-01,ten,1\n")
    columns = {"x": {"type": "number", "checks": {"type": "drop"}},
               "y": {"type": "number", "nullable": False, "checks": {"type": "drop"}}}  # fmt: skip
    table = {"kind": "events", "path": "e.csv", "key": "id", "id": "n", "time": "t", "columns": columns}
    sources, rows = loaded(tmp_path, declared(e=table))
    assert [(r["event_id"], r["c_x"], r["c_y"]) for r in rows["e"]] == [("b", None, 100)]
    assert sources.tables["e"].notes["dropped"] == {"type": 3}, "two cells of x, one row for y"


def test_a_column_may_differ_from_its_table(tmp_path: Path) -> None:
    columns = {**EVENTS["columns"], "x": {**EVENTS["columns"]["x"], "checks": {"range": "drop"}}}
    write(tmp_path, c=CUSTOMERS, e=f"id,n,t,known,x,c\n{GOOD}\n1,n,2024-02-01,2024-02-01,-1,a\n")
    _, rows = loaded(tmp_path, declared(e={**EVENTS, "columns": columns, "checks": {"range": "error"}}))
    assert [r["event_id"] for r in rows["e"]] == ["g"]


def test_all_versions_in_conflict_go_and_others_stay(tmp_path: Path) -> None:
    rows = "1,n,2024-02-01,2024-02-01,1,a\n1,n,2024-02-01,2024-02-01,2,a\n1,n,2024-02-01,2024-02-09,3,a"
    write(tmp_path, c=CUSTOMERS, e=f"id,n,t,known,x,c\n{rows}\n")
    sources, found = loaded(tmp_path, declared(e={**EVENTS, "checks": {"conflict": "drop"}}))
    assert [r["c_x"] for r in found["e"]] == [3]
    assert sources.tables["e"].notes["dropped"] == {"conflict": 2}


@pytest.mark.parametrize("done", ["error", "warn", "drop"])
def test_several_rows_of_one_customer(tmp_path: Path, done: str) -> None:
    text = CUSTOMERS + "3,2024-01-05,2024-02-02\n"
    write(tmp_path, c=text)
    customers = {"kind": "customers", "path": "c.csv", "key": "id", "start": "start", "end": "end",
                 "checks": {"unique": done}}  # fmt: skip
    data = DataSection.model_validate({"tables": {"c": customers}})
    if done == "error":
        with pytest.raises(
            DataError, match=r"several rows for one 'id': 1 times .*id of its own for each subscription"
        ):
            loaded(tmp_path, data)
        return
    sources, rows = loaded(tmp_path, data)
    assert [r["customer_id"] for r in rows["c"]] == ["1", "2"], "neither of the two can be kept"
    assert sources.tables["c"].notes["dropped"] == {"unique": 2}


@pytest.mark.parametrize("done", ["error", "warn", "drop"])
def test_unique_values_may_come_again_in_a_correction_only(tmp_path: Path, done: str) -> None:
    columns = {"x": {"type": "number", "scale": 0, "unique": True}}
    rows = "1,a,2024-02-01,2024-02-01,7\n1,a,2024-02-01,2024-02-05,7\n"
    rows += "1,b,2024-02-01,2024-02-05,\n2,c,2024-02-01,2024-02-05,"
    table = {**EVENTS, "columns": columns, "checks": {"unique": done}}
    write(tmp_path, c=CUSTOMERS, e=f"id,n,t,known,x\n{rows}\n")
    assert loaded(tmp_path, declared(e=table))[0].tables["e"].findings == ()
    write(tmp_path, c=CUSTOMERS, e=f"id,n,t,known,x\n{rows}\n2,d,2024-02-01,2024-02-05,7\n")
    if done == "error":
        with pytest.raises(DataError, match=r"column 'x': a value more than once: 1 times \(for example '7'\)"):
            loaded(tmp_path, declared(e=table))
        return
    sources, found = loaded(tmp_path, declared(e=table))
    assert len(found["e"]) == (5 if done == "warn" else 2)
    assert sources.tables["e"].notes["warned" if done == "warn" else "dropped"] == {"unique": 3}


def test_versions_that_overlap_go_with_all_their_corrections(tmp_path: Path) -> None:
    rows = [
        "1,2024-01-01,2024-03-01,2024-01-01,1", "1,2024-01-10,2024-01-20,2024-01-01,2",  # the second lies in the first
        "1,2024-02-01,2024-02-09,2024-01-01,8", "1,2024-02-01,2024-02-10,2024-02-01,3",  # and so does this, corrected
        "1,2024-03-01,,2024-03-01,4", "2,2024-01-05,2024-01-06,2024-03-01,5",
    ]  # fmt: skip
    write(tmp_path, c=CUSTOMERS, h="id,a,b,known,p\n" + "\n".join(rows))
    with pytest.raises(DataError, match="overlap: 3 versions"):
        loaded(tmp_path, declared(h=HISTORY))
    sources, found = loaded(tmp_path, declared(h={**HISTORY, "checks": {"overlap": "drop"}}))
    assert sorted(r["c_p"] for r in found["h"]) == [4, 5]
    assert sources.tables["h"].notes["dropped"] == {"overlap": 4}
    sources, found = loaded(tmp_path, declared(h={**HISTORY, "checks": {"overlap": "warn"}}))
    assert len(found["h"]) == 6


def test_an_end_that_became_known_nobody_says_when(tmp_path: Path) -> None:
    write(
        tmp_path, c="id,start,end,known\n1,2024-01-01,2024-02-01,\n2,2024-01-01,,\n3,2024-01-01,2024-02-01,2024-02-05\n"
    )
    table = {"kind": "customers", "path": "c.csv", "key": "id", "start": "start", "end": "end",
             "end_available_at": "known"}  # fmt: skip
    with pytest.raises(
        DataError, match=r"'known': missing values beside a known 'end' in 1 of 3 rows \(for example '1'"
    ):
        loaded(tmp_path, DataSection.model_validate({"tables": {"c": table}}))
    for done, ids in (("warn", ["1", "2", "3"]), ("drop", ["2", "3"])):
        data = DataSection.model_validate({"tables": {"c": {**table, "checks": {"missing": done}}}})
        _, rows = loaded(tmp_path, data)
        assert [r["customer_id"] for r in rows["c"]] == ids
        assert all(r["end_available_at"] == r["end"] for r in rows["c"] if r["customer_id"] != "3")


def test_when_everything_is_dropped_there_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, c=CUSTOMERS, e="id,n,t,known,x,c\n9,n,2024-02-01,2024-02-01,1,a\n")
    with pytest.raises(DataError, match="has no rows left: every one was dropped"):
        loaded(tmp_path, declared(e={**EVENTS, "checks": {"foreign_key": "drop"}}))


def test_the_first_of_several_files_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "jan.csv").write_text(f"id,n,t,known,x,c\n{GOOD}\n")
    (tmp_path / "e" / "feb.csv").write_text("id,n,t,known,x,c\n1,n,2024-02-01,2024-02-01,ten,a\n")
    with pytest.raises(DataError, match=r"column 'x', first in feb\.csv: cells that are not a number in 1 of 2 rows"):
        loaded(tmp_path, declared(e={**EVENTS, "path": "e"}))


def test_more_checks_than_an_integer_has_bits(tmp_path: Path) -> None:
    names = [f"x{i:02d}" for i in range(40)]
    write(tmp_path, e="id,n,t," + ",".join(names) + "\n1,a,2024-01-01," + ",".join(["1"] * 39 + ["-1"]) + "\n")
    columns = {name: {"type": "number", "min": 0} for name in names}
    table = {"kind": "events", "path": "e.csv", "key": "id", "id": "n", "time": "t", "columns": columns}
    with pytest.raises(DataError) as caught:
        loaded(tmp_path, declared(e=table))
    assert [p.where.rpartition(" ")[2] for p in caught.value.problems] == ["'x39'"]


@pytest.mark.parametrize("cells", [[7, 8], [True, False], [20240101.0, 1.5]], ids=["number", "boolean", "float"])
def test_a_column_that_cannot_hold_times(tmp_path: Path, cells: list[Any]) -> None:
    table = {"kind": "events", "path": "e.parquet", "key": "id", "id": "n", "time": "t"}
    write(tmp_path, e=pa.table({"id": ["1", "2"], "n": ["a", "b"], "t": cells}))
    with pytest.raises(DataError, match=r"column 't': cells that are not a time in 2 of 2 rows"):
        loaded(tmp_path, declared(e=table))


def test_events_before_1900_are_slips_and_old_starts_are_not(tmp_path: Path) -> None:
    rows = "1,g,2024-01-20,2024-01-20,1,a\n1,n,1899-12-31 23:59,2024-01-20,1,a\n1,m,-infinity,2024-01-20,1,a"
    with pytest.raises(DataError, match=r"'t': times before the year 1900 in 2 of 4 rows .*checks: \{range: drop\}"):
        of_events(tmp_path, rows.replace(",g,", ",h,"), outside="drop")
    for done in ("warn", "drop"):
        table, ids = of_events(tmp_path, rows.replace(",g,", ",h,"), outside="warn", range=done)
        assert ids == ["g", "h"]
        assert table.notes["dropped"]["range"] == 2
    write(tmp_path, c="id,start,end\n1,-infinity,2024-02-01\n2,1850-01-01,\n", e=f"id,n,t,known,x,c\n{GOOD}\n")
    loaded(tmp_path, declared(e=EVENTS))


def test_numbers_are_written_without_underscores(tmp_path: Path) -> None:
    table = {"kind": "events", "path": "e.csv", "key": "id", "time": "t", "columns": {"x": {"type": "number"}}}
    write(tmp_path, e="id,n,t,x\n1,a,2024-01-03,1_000\n")
    with pytest.raises(DataError, match=r"'x': cells that are not a number in 1 of 1 rows \(for example '1_000'\)"):
        loaded(tmp_path, declared(e=table))
