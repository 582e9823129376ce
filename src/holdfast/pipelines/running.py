"""Every verb runs inside `recorded_run`: state.db says when, with what, how long and how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import EXIT_DONE, EXIT_FAILED, GateRefused, HoldfastError, StoreError
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.lock import project_lock
from holdfast.stores.state_tables import Outcome


@dataclass
class Run:
    """What a verb notes about itself while it runs."""

    run_id: str
    timings: dict[str, float] = field(default_factory=dict)
    dataset_id: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step, in seconds."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = round(time.perf_counter() - began, 3)


@contextmanager
def recorded_run(workspace: Workspace, verb: str) -> Iterator[Run]:
    """Record a run of ``verb``, alone on its project; an error is recorded and raised on."""
    with project_lock(workspace.var):
        yield from _recorded(workspace, verb)


def _recorded(workspace: Workspace, verb: str) -> Iterator[Run]:
    state = workspace.state
    run = Run(state.start_run(verb, workspace.name, config_hash=workspace.config.hash()))
    outcome: Outcome = "failed"
    exit_code, error = EXIT_FAILED, None
    try:
        yield run
        outcome, exit_code = "done", EXIT_DONE
    except GateRefused as e:
        outcome, exit_code, error = "refused", e.exit_code, str(e)
        raise
    except HoldfastError as e:
        exit_code, error = e.exit_code, str(e)
        raise
    except KeyboardInterrupt:
        outcome, error = "killed", "interrupted"
        raise
    except BaseException as e:
        error = f"{type(e).__name__}: {e}"
        raise
    finally:
        # what went wrong is worth more than that it could not be written down
        with suppress(StoreError) if outcome != "done" else nullcontext():
            state.finish_run(
                run.run_id, outcome, exit_code=exit_code, dataset_id=run.dataset_id, timings=run.timings,
                summary=run.summary, error=error,
            )  # fmt: skip
