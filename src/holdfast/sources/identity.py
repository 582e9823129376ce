"""Copies, versions and values that come twice, and versions that overlap: what only several rows together show."""

from __future__ import annotations

from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.config.data import CheckName, CustomersTable, EventsTable, HistoryTable, OnViolation, Table
from holdfast.errors import DataError, Problem
from holdfast.sources.contract import DROP_FIX, Finding, examples_of

CORRECTION = "A correction must become available later than what it corrects."


def identity_of(config: Table) -> tuple[CheckName, list[str], str, str] | None:
    """What one row alone may have: the check, the columns, and in words what is wrong and its fix.

    None where rows may be equal: events without an id of their own.
    """
    if isinstance(config, HistoryTable):
        what = "one version with different content available at the same instant"
        return "conflict", ["customer_id", "valid_from", "available_at"], what, CORRECTION
    if isinstance(config, EventsTable):
        what = f"one '{config.id}' with different content available at the same instant"
        fix = f"Which is right? {CORRECTION}"
        return ("conflict", ["event_id", "available_at"], what, fix) if config.id is not None else None
    if config.id is not None:
        what = f"several rows for one '{config.id}' of a customer"
        return "conflict", ["customer_id", "subscription_id"], what, "A subscription has one row."
    fix = "A customers table has one row per customer"
    fix += ", or an id of its own for each subscription." if config.start is not None else "."
    return "unique", ["customer_id"], f"several rows for one '{config.key}'", fix


def subject_of(config: Table) -> list[str]:
    """The columns that rows have alike which say the same, contradict each other, or are versions of one thing."""
    identity = identity_of(config)
    return [] if identity is None else [key for key in identity[1] if key != "available_at"]


def settle(engine: Engine, table: Any, config: Table, where: str, *, name: str) -> tuple[Any, int, list[Finding]]:
    """Leave exact copies out, and find rows that contradict each other, of rows marked by `subject_of`.

    Returns
    -------
    table, exact copies left out, findings
        Rows in conflict are left out unless the table is refused: none of them can be kept.
    """
    identity = identity_of(config)
    assert identity is not None
    check, keys, what, fix = identity
    several = engine.materialize(table.filter(table.repeats), f"{name}_several")
    repeated = engine.repeated(several, keys, f"{name}_repeated")
    if repeated is None:  # versions of one thing, each with an instant of its own
        engine.drop(f"{name}_several")
        return table, 0, []
    different = engine.materialize(several.semi_join(repeated, keys).distinct(), f"{name}_different")
    counts = (repeated.n.sum(), different.count())
    rows, left = (int(engine.to_arrow(count.as_table()).column(0)[0].as_py()) for count in counts)
    found: list[Finding] = []
    others = [several.anti_join(repeated, keys), different]
    if (conflicts := engine.repeated(different, keys, f"{name}_conflicts")) is not None:
        found = _finding(engine, conflicts, conflicts[keys[0]], config, check, where, what, fix)
        others[1] = different.anti_join(conflicts, keys)
    settled = engine.view(ibis.union(table.filter(~table.repeats), *others, distinct=False), f"{name}_settled")
    return settled, rows - left, found


def _finding(
    engine: Engine, bad: Any, example: Any, config: Table, check: CheckName, where: str, what: str, fix: str,
    column: str | None = None, *, keepable: bool = False, unit: str = "times",
) -> list[Finding]:  # fmt: skip
    row = engine.to_arrow(bad.aggregate(keys=bad.count(), rows=bad.n.sum())).to_pylist()[0]
    if not row["keys"]:
        return []
    action = config.on_violation(check, column)
    if action == "error":
        fix = f"{fix} {DROP_FIX.format(check)}".strip()
    problem = Problem(where, f"{what}: {row['keys']:,} {unit}", fix, int(row["keys"]), examples_of(engine, example))
    done: OnViolation = "drop" if action == "warn" and not keepable else action
    return [Finding(check, done, problem, int(row["rows"]))]


def unique_values(engine: Engine, table: Any, config: Table, where: str) -> tuple[Any, list[Finding]]:
    """Values that come twice in a column declared ``unique``; versions of one event or state share theirs."""
    found: list[Finding] = []
    for name, column in config.columns.items():
        if not column.unique:
            continue
        c = f"c_{name}"
        t = table.filter(table[c].notnull())
        if isinstance(config, EventsTable) and config.id is not None:
            several = t.event_id.nunique() + t.event_id.isnull().sum() > 1
        elif isinstance(config, HistoryTable):
            t = t.group_by(["customer_id", "valid_from", c]).aggregate(versions=t.count())
            several = t.count() > 1
        else:
            several = t.count() > 1
        n = t.versions.sum() if isinstance(config, HistoryTable) else t.count()
        bad = t.group_by(c).having(several).aggregate(n=n)
        finding = _finding(engine, bad, bad[c], config, "unique", f"{where} column '{name}'",
                           "a value more than once", "It is declared unique.", name, keepable=True)  # fmt: skip
        found += finding
        if finding and finding[0].done == "drop":
            table = table.anti_join(bad, c)
    return table, found


def overlapping(engine: Engine, table: Any, config: Table, where: str) -> tuple[Any, list[Finding]]:
    """Latest-known versions of a customer that are valid at the same time."""
    if not isinstance(config, HistoryTable) or config.valid_to is None:
        return table, []
    versions = ["customer_id", "valid_from"]
    latest = table.mutate(
        rank=ibis.row_number().over(ibis.window(group_by=versions, order_by=table.available_at.desc())),
        n=table.count().over(ibis.window(group_by=versions)),
    )
    latest = latest.filter(latest["rank"] == 0)
    customer = {"group_by": "customer_id", "order_by": latest.valid_from}
    reach = latest.valid_to.max().over(ibis.window(**customer, preceding=(None, 1)))
    both = latest.mutate(before=reach > latest.valid_from,
                         after=latest.valid_from.lead().over(ibis.window(**customer)) < latest.valid_to)  # fmt: skip
    bad = both.filter(both.before.fill_null(False) | both.after.fill_null(False))
    bad = bad.select(*versions, "n")
    found = _finding(engine, bad, bad.customer_id, config, "overlap", where, "versions of one customer overlap",
                     "End a version where the next begins.", keepable=True, unit="versions")  # fmt: skip
    if found and found[0].done == "drop":
        table = table.anti_join(bad, versions)
    return table, found


def require_churner(engine: Engine, table: Any, config: CustomersTable, where: str) -> None:
    """A company that nobody leaves teaches nothing.

    Raises
    ------
    DataError
        No customer has an end.
    """
    if not engine.to_arrow(table.aggregate(ends=table.end.count())).column("ends")[0].as_py():
        what = f"no customer ever ends: column '{config.end}' is empty"
        problem = Problem(where, what, "Without churners nothing can be learned.")
        raise DataError(f"{where} is not as declared", [problem])
