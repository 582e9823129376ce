"""``holdfast build``: sources -> snapshots -> features -> offline store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from holdfast.artifacts.dataset import CutoffCount, Dataset, DatasetManifest, snapshot_schema
from holdfast.artifacts.engine import Engine
from holdfast.artifacts.files import write_text
from holdfast.artifacts.schema import FeatureSchema
from holdfast.artifacts.versions import instant
from holdfast.clock import iso, utc
from holdfast.config.data import DataSection
from holdfast.config.schema import Config
from holdfast.errors import DataError, Problem, UsageError
from holdfast.features.compute import compute, window_lengths
from holdfast.features.definitions import feature_schema
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.knowledge import (
    DATASET_SECTIONS,
    Knowledge,
    dataset_id,
    facts_at,
    knowledge_of,
    noted,
    open_sources,
    sources_begin,
)
from holdfast.pipelines.reuse import Earlier, basis, earlier, take_over
from holdfast.snapshots.calendar import Cutoff, cutoff_table, require_matured, training_cutoffs
from holdfast.snapshots.population import STATES, at_risk, counts, everyone
from holdfast.sources.tables import Sources
from holdfast.stores.offline import DATASETS, LATEST, write_dataset

LAST_MATURED = "last"


def build(
    workspace: Workspace, *, cutoffs: str | None = None, known_as_of: datetime | None = None, force: bool = False
) -> Dataset:
    """Build the dataset of a project, or return the one that is there.

    Parameters
    ----------
    cutoffs : ``last`` keeps only the last matured cutoff
    known_as_of : replay what was known then

    Raises
    ------
    DataError, ConfigError
        The sources are not as declared, or the configuration does not fit them.
    """
    config = workspace.config
    with workspace.engine() as engine:
        sources = open_sources(workspace, engine, known_as_of)
        knowledge = knowledge_of(config, sources, known_as_of)
        planned = planned_cutoffs(engine, config, sources, knowledge, cutoffs)
        before = None if force else earlier(workspace.var, config, planned, knowledge.known_as_of)
        last = planned[-1].at
        instants = [knowledge.known_as_of, last, *([] if before is None else [before.until])]
        known, at_last, *at_until = facts_at(engine, sources, config.data, instants)
        if before is not None and not before.holds(basis(config, before.until, at_until[0])):
            before = None
        known = noted(sources, known)
        name = dataset_id(config, planned, known, knowledge)
        folder = workspace.var / DATASETS / name
        if not force and (folder / "manifest.json").exists():
            write_text(workspace.var / DATASETS / LATEST, f"{name}\n")
            return Dataset.open(folder)
        counted, parts, schema = _snapshots(engine, config, sources, planned, knowledge, before)
        manifest = DatasetManifest(
            dataset_id=name,
            project=workspace.name,
            known_as_of=knowledge.known_as_of,
            complete_through=knowledge.complete_through,
            history=config.data.history,
            reconstructed_why=config.data.reconstructed_why,
            anchor_days=config.data.cutoffs.anchor_days,
            every=config.data.cutoffs.every,
            label=label_of(config.data),
            schema=schema,
            cutoffs=tuple(c for c in counted if c.snapshots),
            sources=known,
            notes=_notes(counted),
            basis=basis(config, last, at_last),
            config=config.hashed(*DATASET_SECTIONS),
        )
        _require_learnable(manifest, only_last=cutoffs == LAST_MATURED)
        return write_dataset(workspace.var, manifest, engine, parts)


def planned_cutoffs(
    engine: Engine, config: Config, sources: Sources, knowledge: Knowledge, only: str | None
) -> list[Cutoff]:
    """The cutoffs of a build; ``only="last"`` keeps the last matured one.

    Raises
    ------
    ConfigError, UsageError
        The cutoffs or the label do not fit the data, or ``only`` is another word.
    """
    data = config.data
    found = training_cutoffs(
        data.cutoffs,
        data.label,
        begins=sources_begin(engine, sources, knowledge.known_as_of),
        longest_months=config.features.longest,
        known_as_of=knowledge.known_as_of,
    )
    require_matured(found, data.label, knowledge.known_as_of, knowledge.complete_through)
    if only is None:
        return found
    if only != LAST_MATURED:
        raise UsageError(f"--cutoffs {only!r} is not known", fix=f"Write --cutoffs {LAST_MATURED}, or leave it out.")
    return [c for c in found if c.matured(knowledge.known_as_of, knowledge.complete_through)][-1:]


def _snapshots(
    engine: Engine, config: Config, sources: Sources, cutoffs: Sequence[Cutoff], knowledge: Knowledge,
    before: Earlier | None,
) -> tuple[list[CutoffCount], dict[datetime, Any], FeatureSchema]:  # fmt: skip
    """Counts by cutoff, the snapshots by cutoff (expressions, or files that hold them) and the schema.

    Grids are computed one by one; features that an earlier dataset has are not computed again.
    """
    tables = {n: s.table for n, s in sources.tables.items()}
    counted = {c.at: CutoffCount(c.at, c.label_available_at, 0, 0, {}) for c in cutoffs}
    schema = feature_schema(config.data, config.features)
    parts: dict[datetime, Any] = {}
    for number, grid in enumerate(dict.fromkeys(c.grid for c in cutoffs)):
        mine = [c for c in cutoffs if c.grid == grid]
        table = engine.from_arrow(cutoff_table(mine, window_lengths(config.features)), f"cutoffs_{number}")
        all_of_them = engine.materialize(
            everyone(
                tables, config.data, table,
                known_as_of=knowledge.known_as_of, complete_through=knowledge.complete_through,
            ),
            f"everyone_{number}",
        )  # fmt: skip
        _count(engine, all_of_them, counted)
        population = engine.materialize(at_risk(all_of_them), f"population_{number}")
        engine.drop(f"everyone_{number}")
        taken = {} if before is None else take_over(engine, before, population, mine, schema, number)
        parts |= taken
        due = [c for c in mine if c.at not in taken and counted[c.at].snapshots]
        if not due:
            continue
        if taken:
            table = engine.from_arrow(cutoff_table(due, window_lengths(config.features)), f"cutoffs_{number}")
            population = engine.materialize(population.semi_join(table, "cutoff"), f"due_{number}")
        found, _ = compute(
            engine, population, table, tables, config.data, config.features,
            grid=grid, known_as_of=knowledge.known_as_of,
        )  # fmt: skip
        labels = population.select("customer_id", "cutoff", "label", "state", "label_available_at")
        joined = labels.inner_join(found, ["customer_id", "cutoff"]).select(*snapshot_schema(schema).names)
        result = engine.materialize(joined, f"snapshots_{number}")
        parts |= {c.at: result.filter(result.cutoff == instant(c.at)) for c in due}
    return list(counted.values()), dict(sorted(parts.items())), schema


def _count(engine: Engine, population: Any, counted: dict[datetime, CutoffCount]) -> None:
    for row in engine.to_arrow(counts(population).order_by(["cutoff", "state"])).to_pylist():
        at, state, n = utc(row["cutoff"]), row["state"], int(row["snapshots"])
        old = counted[at]
        if state not in STATES:
            counted[at] = CutoffCount(**{**vars(old), "excluded": {**old.excluded, state: n}})
            continue
        counted[at] = CutoffCount(
            at, old.label_available_at, old.snapshots + n, old.positives + int(row["positives"]),
            {**old.states, state: n}, old.excluded, old.other_reason + int(row["other_reason"]),
        )  # fmt: skip


def label_of(data: DataSection) -> dict[str, str]:
    """The churn definition in words; ``horizon`` is the window's length, whatever the definition."""
    said = {k: v for k, v in data.label.model_dump(mode="json").items() if v not in (None, {}, [])}
    return {k: v if isinstance(v, str) else str(v) for k, v in said.items()} | {"horizon": str(data.label.window)}


def _notes(counted: Sequence[CutoffCount]) -> dict[str, Any]:
    """What must be said of the whole: whom the training population leaves out and why, over all cutoffs."""
    excluded: dict[str, int] = {}
    for count in counted:
        for why, n in count.excluded.items():
            excluded[why] = excluded.get(why, 0) + n
    found: dict[str, Any] = {"excluded": dict(sorted(excluded.items()))}
    if other := sum(c.other_reason for c in counted):
        found["left_for_another_reason"] = other
    return found


def _require_learnable(manifest: DatasetManifest, *, only_last: bool) -> None:
    if not manifest.snapshots:
        raise DataError(
            "there is nobody to learn from",
            [Problem("data.cutoffs", "no customer is at risk at any cutoff", "Check the cutoffs against the starts.")],
        )
    if manifest.positives:
        return
    if only_last:
        last = manifest.cutoffs[-1]
        window = f"the label window of the last matured cutoff, {iso(last.cutoff)}"
        fix = "Leave --cutoffs out to learn from all cutoffs, or use a longer horizon."
        raise DataError(
            "there is nothing to learn", [Problem("--cutoffs last", f"no customer churns in {window}", fix)]
        )
    raise DataError(
        "there is nothing to learn",
        [
            Problem(
                "data.label",
                f"no customer churns in any of {len(manifest.matured_cutoffs())} matured label windows",
                "Check the ends (or events) and the label, or use a longer horizon.",
            )
        ],
    )
