"""``holdfast simulate``: the built-in company's tables into ``sources``, and the truth about it beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import UsageError
from holdfast.pipelines.bootstrap import Workspace
from holdfast.simulate import is_current
from holdfast.simulate import simulate as simulate_company
from holdfast.simulate.company import DESCRIPTION
from holdfast.simulate.swap import remove_stale


@dataclass(frozen=True)
class SimulateReport:
    """What the sources hold.

    Attributes
    ----------
    sources, truth : folders; only tests and benchmarks may read the truth
    written : False where the same company was there already
    as_configured : whether it is the company of ``data.simulate``, which ``holdfast run`` writes
    company : see `holdfast.simulate.SimulationSummary`
    """

    sources: Path
    truth: Path
    written: bool
    as_configured: bool
    company: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sources": str(self.sources), "truth": str(self.truth)}


def simulate(
    workspace: Workspace,
    *,
    customers: int | None = None,
    months: int | None = None,
    seed: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SimulateReport:
    """Write the company, unless the same one is there already.

    Parameters
    ----------
    customers, months, seed : by default as ``data.simulate`` says
    progress : called with (done, total)

    Raises
    ------
    UsageError
        The project has tables of its own, or an argument is out of range.
    StoreError
        The files cannot be written; what was there is as it was.
    """
    configured = workspace.config.data.simulate
    if configured is None:
        raise UsageError(
            f"the project {workspace.name} has tables of its own: its data.yaml has no simulate section",
            fix="Use --project demo, or add data.simulate.",
        )
    request: dict[str, Any] = {
        "customers": configured.customers if customers is None else customers,
        "months": configured.months if months is None else months,
        "seed": configured.seed if seed is None else seed,
        "start": configured.start,
    }
    sources, truth = workspace.sources, workspace.truth
    written = not is_current(sources, truth, **request)
    if written:
        _check_ours(sources)
        simulate_company(sources, truth, **request, progress=progress)
    else:
        for place in (sources, truth):  # a run that was killed after its last rename
            remove_stale(place)
    company = json.loads((sources / DESCRIPTION).read_text(encoding="utf-8"))
    as_configured = all(request[key] == getattr(configured, key) for key in request)
    return SimulateReport(sources, truth, written, as_configured, company)


def _check_ours(sources: Path) -> None:
    """A simulation replaces its folder whole: never one that holds anything else."""
    if sources.is_dir() and any(sources.iterdir()) and not (sources / DESCRIPTION).exists():
        raise UsageError(
            f"{sources} holds files that are no simulation, and would be lost",
            fix="Point data.sources elsewhere, or move them away.",
        )
