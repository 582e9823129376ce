"""The stored snapshots against the same computed again from the tables, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.audit.subject import Subject, moment, times
from holdfast.clock import Grid
from holdfast.evaluation.arrays import BoolArray, IntArray
from holdfast.features.compute import compute, window_lengths
from holdfast.snapshots.calendar import Cutoff, cutoff_table
from holdfast.snapshots.population import training_population

MOST_KEPT = 400
"""Differing cells remembered of each feature; all are counted."""


@dataclass
class Differences:
    """Cells whose stored value is not the computed one.

    Attributes
    ----------
    counts : differing cells by feature
    cells : (row of ``Subject.stored``, computed value) of up to `MOST_KEPT` of them by feature
    looked_at : snapshots compared
    """

    looked_at: int = 0
    cutoffs: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    cells: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)


def chosen_cutoffs(subject: Subject) -> list[Cutoff]:
    """The cutoffs to compute again: all, or as many as the effort allows, spread over the whole range."""
    by_grid: dict[Grid, list[Cutoff]] = {}
    for c in subject.cutoffs:
        by_grid.setdefault(c.grid, []).append(c)
    grids = list(by_grid)
    if len(grids) > subject.effort.grids:
        picked = subject.rng("grids").choice(len(grids), subject.effort.grids, replace=False)
        grids = [grids[i] for i in sorted(picked)]
    found = sorted((c for g in grids for c in by_grid[g]), key=lambda c: c.at)
    most = subject.effort.cutoffs
    if most and len(found) > most and subject.stored.num_rows > SMALL:
        step = np.linspace(0, len(found) - 1, most).round().astype(int)
        found = [found[i] for i in sorted(set(step.tolist()))]
    return found


SMALL = 30_000
"""So few snapshots are always computed again in full."""


def populations(subject: Subject) -> pa.Table:
    """customer_id, cutoff, start, state, label, label_available_at of everybody at risk, by the tables."""
    parts: list[pa.Table] = []
    for number, mine in enumerate(_by_grid(subject.cutoffs)):
        table = subject.engine.from_arrow(cutoff_table(mine), f"audit_cutoffs_{number}")
        found = training_population(
            subject.tables, subject.config.data, table, known_as_of=subject.known_as_of,
            complete_through=subject.complete_through,
        )  # fmt: skip
        columns = ("customer_id", "cutoff", "start", "state", "label", "label_available_at")
        parts.append(subject.engine.to_arrow(subject.only_kept(found.select(*columns))))
        subject.engine.drop(f"audit_cutoffs_{number}")
    return pa.concat_tables(parts).sort_by([("cutoff", "ascending"), ("customer_id", "ascending")])


def differences(subject: Subject, population: pa.Table) -> Differences:
    """Compare every stored feature at the chosen cutoffs with the one computed again.

    Parameters
    ----------
    population : of `populations`; snapshots that should not be there are left out
    """
    found = Differences()
    rng = subject.rng("differences")
    names = [f.name for f in subject.dataset.manifest.schema]
    for cutoff, computed in _computed(subject, population):
        rows = np.flatnonzero(times(subject.stored.column("cutoff")) == moment(cutoff.at))
        at = pc.index_in(subject.stored.column("customer_id").take(pa.array(rows)), computed.column("customer_id"))
        there = np.asarray(pc.is_valid(at).to_numpy(zero_copy_only=False))
        rows, at = rows[there], pa.array(np.asarray(at.drop_null().to_numpy(zero_copy_only=False)))
        found.looked_at += len(rows)
        found.cutoffs += 1
        stored, again = subject.stored.take(pa.array(rows)), computed.take(at)
        for name in names:
            if name not in again.column_names:
                continue
            differ = np.flatnonzero(_differ(stored.column(name), again.column(name)))
            if len(differ):
                _remember(found, name, rows, differ, again.column(name), rng)
    return found


def _remember(
    found: Differences, name: str, rows: IntArray, differ: IntArray, again: pa.ChunkedArray, rng: np.random.Generator
) -> None:
    found.counts[name] = found.counts.get(name, 0) + len(differ)
    some = rng.choice(differ, min(len(differ), MOST_KEPT // 8), replace=False)
    cells = found.cells.setdefault(name, [])
    cells += [(int(rows[i]), again[int(i)].as_py()) for i in np.sort(some)][: MOST_KEPT - len(cells)]


def _differ(a: pa.ChunkedArray, b: pa.ChunkedArray) -> BoolArray:
    """Which cells are not the same bits; null equals null."""
    if pa.types.is_floating(a.type):
        x = np.asarray(a.cast(pa.float32()).to_numpy(zero_copy_only=False), dtype=np.float32)
        y = np.asarray(b.cast(pa.float32()).to_numpy(zero_copy_only=False), dtype=np.float32)
        return np.asarray((x != y) & ~(np.isnan(x) & np.isnan(y)))
    mark = "\x00"
    return np.asarray(
        pc.not_equal(pc.fill_null(a.cast(pa.string()), mark), pc.fill_null(b.cast(pa.string()), mark)).to_numpy(
            zero_copy_only=False
        )
    )


def _computed(subject: Subject, population: pa.Table) -> Iterator[tuple[Cutoff, pa.Table]]:
    chosen = chosen_cutoffs(subject)
    for number, mine in enumerate(_by_grid(chosen)):
        part = population.filter(pc.is_in(population.column("cutoff"), _instants(mine)))
        table = features_of(subject, subject.tables, part.select(["customer_id", "cutoff", "start"]), mine, f"{number}")
        for cutoff in mine:
            yield cutoff, table.filter(pc.equal(table.column("cutoff"), _instants([cutoff])[0]))


def features_of(
    subject: Subject, tables: Mapping[str, Any], population: pa.Table, cutoffs: Sequence[Cutoff], salt: str
) -> pa.Table:
    """customer_id, cutoff and the features of a population whose cutoffs lie on one grid, by the feature path.

    Parameters
    ----------
    population : customer_id, cutoff, start
    salt : tells the tables of one computation from another's
    """
    engine, config = subject.engine, subject.config
    grid = cutoffs[0].grid
    k = {moment(c.at): grid.index(c.at) for c in cutoffs}
    ks = pa.array([k[t] for t in times(population.column("cutoff"))], pa.int64())
    lengths = window_lengths(config.features)
    table = engine.from_arrow(cutoff_table(cutoffs, lengths), f"audit_grid_{salt}")
    pairs = engine.from_arrow(population.append_column("k", ks), f"audit_pairs_{salt}")
    found, _ = compute(
        engine, pairs, table, tables, config.data, config.features, grid=grid, known_as_of=subject.known_as_of
    )
    return engine.to_arrow(found)


def _by_grid(cutoffs: Sequence[Cutoff]) -> list[list[Cutoff]]:
    found: dict[Grid, list[Cutoff]] = {}
    for c in cutoffs:
        found.setdefault(c.grid, []).append(c)
    return list(found.values())


def _instants(cutoffs: Sequence[Cutoff]) -> pa.Array:
    return pa.array(np.array([moment(c.at) for c in cutoffs], dtype="datetime64[us]"), pa.timestamp("us"))
