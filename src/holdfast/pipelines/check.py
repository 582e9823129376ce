"""``holdfast check``: is the configuration right, are the sources as declared, and can anything be learned?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from holdfast.clock import iso
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.build import planned_cutoffs
from holdfast.pipelines.knowledge import knowledge_of, open_sources
from holdfast.snapshots.calendar import Cutoff
from holdfast.sources.tables import SourceTable

DONE = {"warn": "warning", "drop": "dropped"}


@dataclass(frozen=True)
class TableCheck:
    """One table: its kind, rows, and exact copies among them (which are dropped).

    Attributes
    ----------
    end_state : the columns known only as of the extract; ``*`` is all of them
    warned, dropped : rows by check; a row may violate several
    findings : the same in words, with examples
    """

    name: str
    kind: str
    rows: int
    duplicates: int
    end_state: tuple[str, ...]
    warned: dict[str, int]
    dropped: dict[str, int]
    findings: tuple[str, ...]


@dataclass(frozen=True)
class CheckReport:
    """What a build would start from. Problems are raised, not reported: a report means there are none."""

    project: str
    folder: Path
    sources: Path
    config_hash: str
    tables: tuple[TableCheck, ...]
    watermark: datetime
    known_as_of: datetime
    complete_through: datetime
    cutoffs: tuple[datetime, ...]
    matured: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "folder": str(self.folder),
            "sources": str(self.sources),
            "config_hash": self.config_hash,
            "tables": [asdict(t) for t in self.tables],
            "watermark": iso(self.watermark),
            "known_as_of": iso(self.known_as_of),
            "complete_through": iso(self.complete_through),
            "cutoffs": {
                "first": iso(self.cutoffs[0]),
                "last": iso(self.cutoffs[-1]),
                "count": len(self.cutoffs),
                "matured": self.matured,
            },
            "notes": list(self.notes),
        }


def check(workspace: Workspace) -> CheckReport:
    """Read every declared table and plan the cutoffs, writing nothing but scratch.

    Raises
    ------
    DataError
        Tables are missing or not as declared; all problems together.
    ConfigError
        The cutoffs or the label do not fit the data.
    """
    config = workspace.config
    with workspace.engine() as engine:
        sources = open_sources(workspace, engine)
        knowledge = knowledge_of(config, sources, None)
        cutoffs = planned_cutoffs(engine, config, sources, knowledge, None)
        tables = tuple(_table(source) for source in sources.tables.values())
    return CheckReport(
        project=workspace.name,
        folder=workspace.loaded.folder,
        sources=workspace.sources,
        config_hash=config.hash(),
        tables=tables,
        watermark=sources.watermark,
        known_as_of=knowledge.known_as_of,
        complete_through=knowledge.complete_through,
        cutoffs=tuple(c.at for c in cutoffs),
        matured=sum(c.matured(knowledge.known_as_of, knowledge.complete_through) for c in cutoffs),
        notes=tuple(_notes(workspace, cutoffs, tables)),
    )


def _table(source: SourceTable) -> TableCheck:
    counts: dict[str, dict[str, int]] = {"warn": {}, "drop": {}}
    for finding in source.findings:
        found = counts[finding.done]
        found[finding.check] = found.get(finding.check, 0) + finding.count
    return TableCheck(
        name=source.name,
        kind=source.config.kind,
        rows=source.rows,
        duplicates=int(source.notes["exact_duplicates_dropped"]),
        end_state=_end_state(source.config),
        warned=counts["warn"],
        dropped=counts["drop"],
        findings=tuple(f"{DONE[f.done]}: {f.problem}" for f in source.findings),
    )


def _end_state(table: Any) -> tuple[str, ...]:
    """The columns known only as of the extract; ``*`` is all of them."""
    if table.kind != "customers":
        return ("*",) if table.end_state else ()
    return tuple(name for name, column in table.columns.items() if column.known_at == "extract")


def _notes(workspace: Workspace, cutoffs: Sequence[Cutoff], tables: Sequence[TableCheck]) -> list[str]:
    data = workspace.config.data
    notes: list[str] = []
    if data.history == "reconstructed":
        notes.append(f"The history is reconstructed from one extract. {data.reconstructed_why}".strip())
    used = set(workspace.config.features.attributes)
    for table in tables:
        leaky = [c for c in table.end_state if c == "*" or not used.isdisjoint({c, f"{table.name}.{c}"})]
        if leaky:
            what = "every column" if leaky == ["*"] else ", ".join(leaky)
            notes.append(f"{table.name}: {what} known only as of the extract, and used as features (end-state).")
    return notes
