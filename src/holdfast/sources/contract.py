"""Is a table as declared? Checked in the engine in one pass; reported bounded, with examples.

While a table is read, each row gets masks: a bit for each check that it violates. What is wrong is then counted without
looking at the cells again, and rows are left out by their masks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.config.data import CheckName, OnViolation, Table
from holdfast.errors import MAX_EXAMPLES, MAX_PROBLEMS, Problem
from holdfast.sources.canonical import CLOCK_ALONE, CLOCK_AND_ZONE, Canonical
from holdfast.sources.checks import RowCheck

BITS = 60
"""Checks per mask: an int64 has room for them."""

DROP_FIX = "Or leave them out: checks: {{{}: drop}}."


@dataclass(frozen=True)
class Finding:
    """Something that is not as declared, and what was done about it: ``error``, ``warn`` or ``drop``."""

    check: CheckName
    done: OnViolation
    problem: Problem
    count: int


@dataclass(frozen=True)
class Report:
    """Where a table comes from, to say it in problems.

    Attributes
    ----------
    where : ``table 'usage' (/data/usage.csv)``
    first_file : the name of the first file with a row that violates a check, where that is known
    """

    where: str
    first_file: Callable[[RowCheck], str | None]

    def at(self, source: str | None) -> str:
        return self.where if source is None else f"{self.where} column '{source}'"


def masked(table: Any, columns: Mapping[str, Canonical], checks: Sequence[RowCheck]) -> Any:
    """The canonical columns of a parsed table, ``repeats``, the masks ``m_0``, … and clocks ``z_…`` of texts."""
    bits = [c.bad.fill_null(False).ifelse(_bit(i), ibis.literal(0, "int64")) for i, c in enumerate(checks)]
    masks = {
        f"m_{i // BITS}": reduce(lambda a, b: a + b, bits[i : i + BITS], ibis.literal(0, "int64"))
        for i in range(0, len(checks), BITS)
    }
    values = {
        name: table[name] if column.instead is None else table[name].fill_null(table[column.instead])
        for name, column in columns.items()
    }
    clocks = {z: table[z] for z in table.columns if z.startswith("z_")}
    return table.select(**values, repeats=table.repeats, **masks, **clocks)


def _bit(i: int) -> Any:
    return ibis.literal(1 << (i % BITS), "int64")


def violates(masks: Any, i: int) -> Any:
    """Whether rows of a masked table violate the check of this number."""
    return (masks[f"m_{i // BITS}"] & _bit(i)) != 0


def rows_of(engine: Engine, masks: Any) -> tuple[int, bool]:
    """How many rows a masked table has, and whether any of them violates anything."""
    bad = reduce(lambda a, b: a | b, [masks[m] != 0 for m in masks.columns if m.startswith("m_")])
    row = engine.to_arrow(masks.aggregate(rows=masks.count(), bad=bad.any())).to_pylist()[0]
    return int(row["rows"]), bool(row["bad"])


def findings(
    engine: Engine, masks: Any, cells: Any, checks: Sequence[RowCheck], rows: int, report: Report
) -> list[Finding]:
    """What is wrong with single rows. ``cells`` is the parsed table, read once more where a raw cell is the example."""
    counts = {f"k{i}": violates(masks, i).sum() for i in range(len(checks))}
    row = engine.to_arrow(masks.aggregate(**counts)).to_pylist()[0]
    found: list[Finding] = []
    for i, check in enumerate(checks):
        if count := int(row[f"k{i}"] or 0):
            examples: tuple[object, ...] = ()
            where = report.at(check.source)
            if len(found) < MAX_PROBLEMS:  # no more are shown
                raw = check.example.startswith("r_")
                table, bad = (cells, check.bad) if raw else (masks, violates(masks, i))
                examples = examples_of(engine, table.filter(bad)[check.example])
                if check.action == "error" and (file := report.first_file(check)):
                    where = f"{where}, first in {file}"
            fix = check.fix if check.action != "error" else f"{check.fix} {DROP_FIX.format(check.check)}".strip()
            what = f"{check.what} in {count:,} of {rows:,} rows"
            done: OnViolation = "drop" if check.leaves_out and check.action == "warn" else check.action
            found.append(Finding(check.check, done, Problem(where, what, fix, count, examples), count))
    return found


def examples_of(engine: Engine, column: Any) -> tuple[object, ...]:
    """The first few different values, as text."""
    found = column.cast("string").name("example").as_table().distinct()
    rows = engine.to_arrow(found.order_by("example").limit(MAX_EXAMPLES)).column("example").to_pylist()
    return tuple(r for r in rows if r is not None)


def kept(masks: Any, checks: Sequence[RowCheck]) -> Any:
    """The rows of a masked table that no check leaves out."""
    for i, check in enumerate(checks):
        if check.leaves_out:
            masks = masks.filter(~violates(masks, i))
    return masks


def mixed_zones(
    engine: Engine, masks: Any, cells: Any, config: Table, columns: Mapping[str, Canonical], rows: int, report: Report
) -> tuple[Any, list[Finding]]:
    """Times with and without a zone in one column: those without are violations of ``type``.

    Returns
    -------
    masked table, findings
        The table less the rows, or the cells of nullable columns, that are left out.
    """
    clocks = [z for z in masks.columns if z.startswith("z_")]
    if not clocks:
        return masks, []
    counts = {f"{z}_{kind}": (masks[z] == kind).sum() for z in clocks for kind in (CLOCK_ALONE, CLOCK_AND_ZONE)}
    row = engine.to_arrow(masks.aggregate(**counts)).to_pylist()[0]
    found: list[Finding] = []
    for z in clocks:
        count = int(row[f"{z}_{CLOCK_ALONE}"] or 0)
        if not count or not row[f"{z}_{CLOCK_AND_ZONE}"]:
            continue
        name = z.removeprefix("z_")
        column = columns[name]
        assert column.source is not None
        action = config.on_violation("type", column.source)
        alone = masks[z] == CLOCK_ALONE
        if action == "drop" and column.declared and config.columns[column.source].nullable:
            masks = masks.mutate(**{name: alone.ifelse(ibis.null("timestamp(6)"), masks[name])})
        elif action == "drop":
            masks = masks.filter(~alone)
        examples = examples_of(engine, cells.filter(cells[z] == CLOCK_ALONE)[f"r_{name}"])
        what = f"times with and without a zone (mixed zones): {count:,} of {rows:,} rows have none"
        fix = f"Write the zone into all. With checks: {{type: warn}} those without are read as {config.timezone}."
        problem = Problem(report.at(column.source), what, fix, count, examples)
        found.append(Finding("type", action, problem, count))
    return masks, found
