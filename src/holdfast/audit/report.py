"""What an audit says: findings with a stable name and evidence, and notes of what was declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from holdfast.clock import iso
from holdfast.errors import MAX_EXAMPLES

Severity = Literal["high", "medium"]
"""``high``: the figures of a model trained on this are wrong. ``medium``: they may be; look at the evidence."""

CHECKS: Mapping[str, str] = {
    "metamorphic": "rows that cannot be used at a cutoff change no feature of it",
    "values": "stored values equal an independent recomputation",
    "labels": "label windows, lead, maturity, and who is in the population",
    "splits": "nothing is trained on that was known only after the test begins",
    "suspicion": "no feature knows too much",
    "sources": "no row says what came after it",
}
"""The six checks, in the order of the report."""


@dataclass(frozen=True)
class Finding:
    """Something undeclared or wrong.

    Attributes
    ----------
    name : stable, of `holdfast.audit.names`
    check : one of `CHECKS`
    where : the table, column, feature, cutoff or fold
    count, of : how many cells, snapshots, customers or cutoffs of how many looked at
    evidence : at most `MAX_EXAMPLES` rows, as JSON
    """

    name: str
    check: str
    severity: Severity
    where: str
    what: str
    fix: str
    count: int = 0
    of: int | None = None
    evidence: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        rows = [{k: plain(v) for k, v in row.items()} for row in self.evidence[:MAX_EXAMPLES]]
        object.__setattr__(self, "evidence", tuple(rows))

    def __str__(self) -> str:
        return f"{self.name} ({self.where}): {self.what}"


@dataclass(frozen=True)
class Note:
    """Something declared, or not looked at, that a reader should know."""

    check: str
    where: str
    what: str


@dataclass(frozen=True)
class Outcome:
    """What one check found, and what it looked at, in words."""

    looked_at: str
    findings: Sequence[Finding] = ()
    notes: Sequence[Note] = ()


@dataclass(frozen=True)
class AuditReport:
    """All checks of one dataset. No wall clock: the same artefacts and seed give the same report."""

    project: str
    dataset_id: str
    versions: tuple[int, ...]
    sample: int
    seed: int
    looked_at: Mapping[str, str]
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...] = field(default=())

    @property
    def clean(self) -> bool:
        return not self.findings

    def reasons(self) -> list[str]:
        """One sentence per finding, for a gate."""
        return [str(f) for f in self.findings]

    def to_json(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "dataset_id": self.dataset_id,
            "versions": list(self.versions),
            "sample": self.sample,
            "seed": self.seed,
            "clean": self.clean,
            "checks": [
                {"name": name, "claim": claim, "looked_at": self.looked_at.get(name, "")}
                for name, claim in CHECKS.items()
            ],
            "findings": [{**asdict(f), "evidence": list(f.evidence)} for f in self.findings],
            "notes": [asdict(n) for n in self.notes],
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> AuditReport:
        """Read what :meth:`to_json` wrote; KeyError or TypeError if it is not that."""
        return cls(
            project=body["project"],
            dataset_id=body["dataset_id"],
            versions=tuple(body["versions"]),
            sample=body["sample"],
            seed=body["seed"],
            looked_at={check["name"]: check["looked_at"] for check in body["checks"]},
            findings=tuple(Finding(**{**f, "evidence": tuple(f["evidence"])}) for f in body["findings"]),
            notes=tuple(Note(**n) for n in body["notes"]),
        )


def plain(value: Any) -> Any:
    """A cell as JSON holds it: numbers as they print, times as text, and no NaN."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.9g}") if value == value and abs(value) != float("inf") else str(value)
    return str(value)
