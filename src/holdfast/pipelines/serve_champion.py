"""From the ledger's champion to what the API reads: score, decide, materialise, and flip the pointer last."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from holdfast.errors import (
    DataError,
    HoldfastError,
    NotFoundError,
    NotReadyError,
    StoreError,
    UnreachableError,
    UsageError,
)
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.decide import decide
from holdfast.pipelines.materialize import MaterializeReport, materialize
from holdfast.pipelines.score import ScoreReport, score
from holdfast.stores.online import Reader
from holdfast.stores.scores import score_cutoffs
from holdfast.stores.state_tables import VersionRow

UNREADY = (UsageError, DataError, NotFoundError, NotReadyError)
"""What a first champion may wait for: tables or a configuration that do not allow scoring yet. A store that fails is no
such reason."""


@dataclass(frozen=True)
class Served:
    """What the API reads now (None before the first generation), and why it is not the champion, if it is not."""

    now: MaterializeReport | None
    warnings: tuple[str, ...] = ()


def unserved(workspace: Workspace) -> VersionRow | None:
    """The ledger's champion where the online store does not serve it; None where it does, or where there is none.

    A verb that was killed between the ledger and the online store leaves one.
    """
    row = workspace.state.champion(workspace.name)
    if row is None:
        return None
    reader = _reader(workspace)
    if reader is None:
        return row
    try:
        return None if reader.current().bundle_sha256 == row.bundle_sha256 else row
    finally:
        reader.close()


def serving(workspace: Workspace) -> MaterializeReport | None:
    """The generation that the API reads now."""
    reader = _reader(workspace)
    if reader is None:
        return None
    try:
        now = reader.current()
        place = workspace.online.place(now.generation)
        return MaterializeReport(now.generation, now.cutoff, reader.meta.rows, int(now.model_version), place)
    finally:
        reader.close()


def ensure_served(workspace: Workspace, *, progress: Callable[[str], None] = lambda _: None) -> Served:
    """Serve the ledger's champion, unless it is served already.

    Where nothing was served before, a champion that cannot be scored with yet is a warning: no API is the worse for it.

    Raises
    ------
    HoldfastError
        It cannot be served, and the API goes on with the model before.
    """
    row = unserved(workspace)
    if row is None:
        return Served(serving(workspace))
    progress(f"serving version {row.version}")
    return serve(workspace, row.version)


def serve(workspace: Workspace, version: int) -> Served:
    """As `ensure_served`, also where ``version``, the champion, is served already: by its newest scores."""
    before = serving(workspace)
    try:
        return Served(serve_champion(workspace))
    except UNREADY as e:
        retry = f"Then run: holdfast models promote {version} --project {workspace.name}"
        if before is None:
            return Served(None, (f"version {version} is champion, but cannot be served yet: {_full(e)} {retry}",))
        raise HoldfastError(
            f"version {version} is champion, but the API goes on with version {before.model_version}: {_full(e)}",
            fix=retry,
        ) from e


def serve_champion(workspace: Workspace) -> MaterializeReport:
    """A generation by the champion. The API goes on with the old one until all of the new is there.

    Raises
    ------
    NotReadyError
        There is no champion.
    """
    at = score_newest(workspace).cutoff
    decide(workspace, cutoff=at)
    return materialize(workspace, cutoff=at)


def score_newest(workspace: Workspace) -> ScoreReport:
    """Score the latest cutoff of the grid; or a later one, where that was scored before.

    Someone who scores between two cutoffs of the grid must not be set back by a promotion, and what reads the latest
    scores must not find another model's.
    """
    report = score(workspace)
    known = score_cutoffs(workspace.var)
    if known[-1] > report.cutoff:
        with suppress(UsageError):  # the tables reach less far now than when it was scored
            return score(workspace, cutoff=known[-1])
    return report


def _reader(workspace: Workspace) -> Reader | None:
    """None where nothing serves: before the first generation, and where the store is broken and must be made anew. Of
    a server that does not answer nobody knows."""
    try:
        return workspace.online.reader()
    except UnreachableError:
        raise
    except (NotReadyError, StoreError):
        return None


def _full(error: HoldfastError) -> str:
    text = str(error)
    return text if text.endswith((".", "?")) else f"{text}."
