"""The champion: the version the ledger says serves, with its bundle."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import NotReadyError
from holdfast.models.bundle import Bundle
from holdfast.pipelines.bootstrap import Workspace


@dataclass(frozen=True)
class Champion:
    """A version and its bundle; ``path`` is relative to var/<project>."""

    version: int
    path: str
    dataset_id: str
    bundle: Bundle


def champion(workspace: Workspace) -> Champion:
    """Load the champion.

    Raises
    ------
    NotReadyError
        There is none yet.
    StoreError
        Its bundle was changed or is missing.
    """
    row = workspace.state.champion(workspace.name)
    if row is None:
        raise NotReadyError(
            f"project '{workspace.name}' has no champion", fix=f"Run: holdfast train --project {workspace.name}"
        )
    return Champion(row.version, row.path, row.dataset_id, Bundle.load(workspace.var / row.path))
