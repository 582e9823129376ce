"""From the ledger's champion to what the API reads: score, decide, materialise, and flip the pointer last."""

from __future__ import annotations

from holdfast.errors import NotReadyError
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.decide import decide
from holdfast.pipelines.materialize import MaterializeReport, materialize
from holdfast.pipelines.score import score
from holdfast.stores.online import OnlineReader


def is_served(workspace: Workspace) -> bool:
    """Whether the online store serves the ledger's champion; also true where neither is there yet."""
    row = workspace.state.champion(workspace.name)
    try:
        reader = OnlineReader(workspace.online)
    except NotReadyError:
        return row is None
    try:
        return row is not None and reader.current().bundle_sha256 == row.bundle_sha256
    finally:
        reader.close()


def was_served(workspace: Workspace) -> bool:
    """Whether the online store ever served anything."""
    try:
        OnlineReader(workspace.online).close()
    except NotReadyError:
        return False
    return True


def serve_champion(workspace: Workspace) -> MaterializeReport:
    """A generation by the champion. The API goes on with the old one until all of the new is there.

    Raises
    ------
    NotReadyError
        There is no champion.
    """
    score(workspace)
    decide(workspace)
    return materialize(workspace)
