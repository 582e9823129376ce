"""A journal of finished trials on disk, in Optuna's own format (its dashboard reads it).

A trial is written as one line when it has finished, so a run that is killed leaves finished trials and, at most, a torn
last line, which is cut off. One more line says that the seconds ran out, so that a search that ended does not go on.
The project's lock is held by whoever trains, so Optuna's own, which a killed run would leave behind for half a minute,
is not taken.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.config.learning import TrainingSection
from holdfast.errors import StoreError
from holdfast.training.candidates import Candidate

log = logging.getLogger(__name__)

STUDY = "tuning"
STOPPED = "stopped"


class Journal:
    """The finished trials of one search; kept nowhere where ``path`` is None."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._study: Any = None

    def read(self) -> list[Any]:
        """Optuna's trials, in order; none where there is no journal, or one that cannot be read."""
        if self.path is None:
            return []
        with _writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _cut_torn_lines(self.path)
            try:
                self._study = _open(self.path)
            except (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError) as error:
                log.warning("%s cannot be read (%s): the search begins anew", self.path, error)
                self.path.unlink()
                self._study = _open(self.path)
        return list(self._study.trials)

    def add(self, trial: Any) -> None:
        """Write a finished trial.

        Raises
        ------
        StoreError
            The file cannot be written.
        """
        if self._study is None:
            return
        with _writing(self.path):
            self._study.add_trial(trial)

    def stopped(self) -> dict[str, int]:
        """How many trials had finished when a budget had run out, by budget; empty where none has."""
        return {} if self._study is None else dict(self._study.user_attrs.get(STOPPED, {}))

    def stop(self, budget: str, trials: int) -> None:
        """Remember that a budget ran out after so many trials.

        Raises
        ------
        StoreError
            The file cannot be written.
        """
        if self._study is None:
            return
        with _writing(self.path):
            self._study.set_user_attr(STOPPED, {**self.stopped(), budget: trials})


def journal_file(
    folder: Path | None, identity: Mapping[str, Any], start: Candidate, config: TrainingSection
) -> Path | None:
    """The journal of all that a trial depends on; how many trials and how long is none of it."""
    if folder is None:
        return None
    said = {
        **identity,
        "estimator": start.name,
        "candidate": start.config.model_dump(mode="json"),
        "exclude": sorted(config.exclude),
        "folds": config.folds.model_dump(mode="json"),
        "pruning": config.tuning.pruning,
        "seed": config.seed,
    }
    return folder / f"{identity['dataset_id']}-{_digest(said)}.log"


def budget_of(config: TrainingSection) -> str:
    """The seconds, and who shares them: with fewer estimators beside it, a search has more of the same seconds."""
    estimators = {str(name): e.model_dump(mode="json") for name, e in config.estimators.items()}
    return f"{config.tuning.seconds} seconds, {_digest(estimators)}"


def remove_others(folder: Path, dataset_id: str) -> None:
    """Remove the journals of other datasets: no search will go on from them.

    Raises
    ------
    StoreError
        One cannot be removed.
    """
    for path in folder.glob("*.log"):
        if not path.name.startswith(f"{dataset_id}-"):
            with _writing(path):
                path.unlink(missing_ok=True)


class _Held:
    """In place of Optuna's lock: the project's is held."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _open(path: Path) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    held: Any = _Held()
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path), lock_obj=held))
    if not storage.get_all_studies():
        optuna.create_study(study_name=STUDY, direction="minimize", storage=storage)
    study = optuna.load_study(study_name=STUDY, storage=storage)
    if not all(t.state.is_finished() for t in study.trials):
        raise ValueError("a trial in it never finished")
    return study


def _cut_torn_lines(path: Path) -> None:
    """Cut off what a kill or a full disk left at the end: Optuna would stumble over it only when it writes."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        lines = file.read().split(b"\n")[:-1]  # what no newline ends was never finished
        while lines and not _is_object(lines[-1]):
            lines.pop()
        file.truncate(sum(len(line) + 1 for line in lines))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


@contextmanager
def _writing(path: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write the tuning journal {path}: {error.strerror}", fix="Check the disk and permissions."
        ) from error


def _digest(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]
