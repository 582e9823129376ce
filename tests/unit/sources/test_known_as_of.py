"""What was not known yet is neither read nor checked, so a replay finds what was found then."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from declared import declared, loaded, write

from holdfast.config.data import DataSection
from holdfast.errors import DataError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CUSTOMERS: dict[str, Any] = {
    "kind": "customers", "path": "c.csv", "key": "id", "start": "start", "end": "end", "end_available_at": "told",
}  # fmt: skip
EVENTS: dict[str, Any] = {
    "kind": "events", "path": "e.csv", "key": "id", "id": "n", "time": "t", "available_at": "known",
    "columns": {"x": {"type": "number", "scale": 0, "min": 0}},
    "checks": {"conflict": "drop", "range": "drop", "foreign_key": "drop", "future": "drop"},
}  # fmt: skip
HISTORY: dict[str, Any] = {
    "kind": "history", "path": "h.csv", "key": "id", "valid_from": "a", "valid_to": "b", "available_at": "known",
    "columns": {"p": {"type": "number"}}, "checks": {"overlap": "drop"},
}  # fmt: skip
C = ["id,start,end,told", "1,2024-01-01,2024-02-10,2024-02-11", "2,2024-01-05,,"]
E = ["id,n,t,known,x", "1,a,2024-01-03,2024-01-03,1", "2,b,2024-01-06,2024-01-06,-1", "9,c,2024-01-05,2024-01-06,1"]
H = ["id,a,b,known,p", "1,2024-01-01,2024-02-01,2024-01-01,1", "1,2024-02-01,,2024-02-01,2"]
LATER_C = ["9,2024-03-01,,", "2,2024-04-01,,"]
LATER_E = ["1,a,2024-01-03,2024-03-03,7", "1,d,2024-02-12,2024-02-12,1", "1,e,x,2024-04-01,y",
           "1,f,2024-02-01,2024-02-12,1", "1,g,2024-02-02,2024-02-02,-2"]  # fmt: skip
LATER_H = ["1,2024-01-15,2024-01-20,2024-03-01,3"]
KNOWN = datetime(2024, 2, 12, tzinfo=UTC)


def data() -> DataSection:
    return DataSection.model_validate({"tables": {"customers": CUSTOMERS, "e": EVENTS, "h": HISTORY}})


def state(root: Path, c: list[str], e: list[str], h: list[str], **how: Any) -> Any:
    write(root, c="\n".join(c), e="\n".join(e), h="\n".join(h))
    sources, rows = loaded(root, data(), now=NOW, **how)
    return {n: (t.rows, t.notes) for n, t in sources.tables.items()}, rows, sources.watermark


def test_rows_of_later_change_nothing(tmp_path: Path) -> None:
    then = state(tmp_path, C, [*E, LATER_E[-1]], H)
    assert then[2] == KNOWN, "the watermark is what a build then was known as of"
    assert then[0]["e"][1]["dropped"] == {"range": 2, "foreign_key": 1}
    now = state(tmp_path, [*C, *LATER_C[:1]], [*E, *LATER_E], [*H, *LATER_H], known_as_of=KNOWN)
    assert now[:2] == then[:2]


def test_what_is_wrong_later_does_not_stop_a_replay(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="several rows for one 'id'"):
        state(tmp_path, [*C, *LATER_C], E, H)
    state(tmp_path, [*C, *LATER_C], E, H, known_as_of=KNOWN)


def test_an_end_not_known_yet_puts_nothing_outside(tmp_path: Path) -> None:
    rows = [*E, "1,z,2024-02-10 12:00,2024-02-10 12:00,1"]
    before = state(tmp_path, C, rows, H, known_as_of=datetime(2024, 2, 11, tzinfo=UTC))
    assert before[0]["e"][1]["warned"] == {}
    after = state(tmp_path, C, rows, H, known_as_of=KNOWN)
    assert after[0]["e"][1]["warned"] == {"outside": 1}


def test_a_table_may_begin_later_but_not_be_empty(tmp_path: Path) -> None:
    early = datetime(2024, 1, 2, tzinfo=UTC)
    notes, rows, _ = state(tmp_path, C, E, H, known_as_of=early)
    assert (notes["e"][0], rows["e"]) == (0, [])
    with pytest.raises(DataError, match="has no rows"):
        state(tmp_path, C, E[:1], H, known_as_of=early)


def test_rows_that_are_never_available_do_not_exist(tmp_path: Path) -> None:
    notes, rows, _ = state(tmp_path, C, [*E, "1,z,2024-01-03,9999-12-31,x", "1,y,2024-01-03,infinity,x"], H)
    assert notes["e"][0] == 3
    assert [r["event_id"] for r in rows["e"]] == ["a"]


def test_what_is_dropped_for_the_future_does_not_depend_on_the_day(tmp_path: Path) -> None:
    """``z`` is planned, and was known: on the day of the build it lies in the future, a year later it does not."""
    rows = [*E, "1,z,2024-08-01,2024-01-20,1"]
    write(tmp_path, c="\n".join(C), e="\n".join(rows), h="\n".join(H))
    found = [
        loaded(tmp_path, data(), now=now, known_as_of=known)
        for now, known in (
            (datetime(2024, 3, 1, tzinfo=UTC), None), (datetime(2024, 3, 1, tzinfo=UTC), KNOWN), (NOW, KNOWN),
        )
    ]  # fmt: skip
    assert [[r["event_id"] for r in rows["e"]] for _, rows in found] == [["a"]] * 3
    assert len({str(s.tables["e"].notes) for s, _ in found}) == 1
    assert found[0][0].watermark == KNOWN


def test_the_default_of_the_clock_is_today(tmp_path: Path) -> None:
    write(tmp_path, e="id,n,t,known,x\n1,a,2199-01-01,2024-01-03,1\n")
    table = {k: v for k, v in EVENTS.items() if k != "checks"}
    with pytest.raises(DataError, match="column 't': times later than tomorrow in 1 of 1 rows"):
        loaded(tmp_path, declared(e=table))
