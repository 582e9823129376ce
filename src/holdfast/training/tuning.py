"""Tuning: Optuna over the folds, judged by out-of-fold log loss, within a budget, and going on where it was stopped.

Every trial depends on the seed and on the trials before it alone, so a search that was killed and goes on from its
journal ends where one that was not would have. Only the clock can make two runs differ, by `Tuning.seconds`; the
journal remembers when they ran out, so a search that is repeated ends where it did.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from holdfast.config.learning import EstimatorConfig, TrainingSection
from holdfast.config.parameters import PARAMETERS
from holdfast.training.candidates import Candidate, EncodedFolds, out_of_fold, with_params
from holdfast.training.journal import Journal, budget_of, journal_file, remove_others
from holdfast.training.rows import FloatArray
from holdfast.training.selection import Setting, best_line_loss, losses_of

log = logging.getLogger(__name__)

LOG_RATIO = 10.0
"""A search range whose ends differ by more than this factor is searched on a log scale."""
TRIALS_BEFORE_PRUNING = 5
SECONDS, LOSSES = "seconds", "losses"
"""What a trial's line in the journal has beside Optuna's own: how long it took, and the log loss of each fold alone."""


@dataclass(frozen=True)
class Searched:
    """All candidates and how they were found.

    Attributes
    ----------
    candidates : the best setting of each estimator and way of weighing
    trials : of every candidate and trial: ``estimator``, ``imbalance``, ``number``, ``state`` (complete or pruned),
        ``params``, ``value`` (out-of-fold log loss; null where pruned), ``pruned_after`` (folds; null where complete)
        and ``log_loss_by_fold`` (over the folds so far)
    stopped_by : of each candidate that was tuned: ``trials`` or ``seconds``
    settings : the params given of every candidate, and every complete trial
    """

    candidates: list[Candidate]
    trials: list[dict[str, Any]]
    stopped_by: list[dict[str, Any]]
    settings: list[Setting]


class _OutOfTime(Exception):
    pass


class _Behind(Exception):
    pass


def search(
    folds: EncodedFolds,
    config: TrainingSection,
    *,
    threads: int,
    folder: Path | None = None,
    identity: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Searched:
    """Every estimator with the params given, then the best of these and of what a search finds.

    The params given are always tried. The seconds are for these and for all searches together: each search gets its
    share of what the earlier ones left, less what it took before it was killed. They run out between folds, not only
    between trials.

    Parameters
    ----------
    folder : where journals are kept for a run that is killed to go on from, those of other datasets being removed; None
        to keep none
    identity : what trials depend on besides the configuration: the code, the libraries, and the dataset as
        ``dataset_id``
    clock : seconds, for tests

    Raises
    ------
    StoreError
        The journal cannot be written.
    """
    began = clock()
    if folder is not None:
        remove_others(folder, (identity or {})["dataset_id"])
    starts: list[Candidate] = []
    for name, estimator in config.estimators.items():
        for one in estimator.spread():
            progress(f"{_called(name, one)}: {len(folds)} folds")
            starts.append(out_of_fold(folds, name, one, seed=config.seed, threads=threads))
    candidates: list[Candidate] = []
    trials: list[dict[str, Any]] = []
    stopped: list[dict[str, Any]] = []
    settings = [Setting(c.name, c.config, losses_of(folds, c)) for c in starts]
    waiting = sum(bool(c.config.search) for c in starts) if config.tuning.trials else 0
    left = config.tuning.seconds - (clock() - began)
    for start in starts:
        if not (config.tuning.trials and start.config.search):
            candidates.append(start)
            continue
        study = _Study(
            folds, start, config, threads, Journal(journal_file(folder, identity or {}, start, config)), clock
        )
        candidates.append(study.run(max(0.0, left) / waiting, progress))
        waiting, left = waiting - 1, left - study.spent
        trials += study.told()
        settings += study.settings()
        said = {"estimator": start.name, "imbalance": start.config.imbalance[0], "stopped_by": study.stopped_by}
        stopped.append(said | {"trials": len(study.trials)})
        log.info("%s: the search ended by its %s", _called(start.name, start.config), study.stopped_by)
    return Searched(candidates, trials, stopped, settings)


class _Study:
    """The search of one candidate."""

    def __init__(
        self,
        folds: EncodedFolds,
        start: Candidate,
        config: TrainingSection,
        threads: int,
        journal: Journal,
        clock: Callable[[], float],
    ) -> None:
        self.folds, self.start, self.config = folds, start, config
        self.threads, self.journal, self.clock = threads, journal, clock
        self.found: tuple[int, Candidate] | None = None
        self.stopped_by = "trials"
        import optuna  # a second to import, and most runs do not tune

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna = optuna
        self.given = self._given()
        self.trials: list[Any] = journal.read()
        self.budget = budget_of(config)
        self.over = journal.stopped().get(self.budget)  # so many trials were done when these seconds ran out
        del self.trials[config.tuning.trials if self.over is None else min(self.over, config.tuning.trials) :]
        self.spent = float(sum(t.user_attrs[SECONDS] for t in self.trials))

    def run(self, share: float, progress: Callable[[str], None]) -> Candidate:
        """The best after as many trials as there may be, or after this share of the seconds."""
        tuning, called = self.config.tuning, _called(self.start.name, self.start.config)
        began, before = self.clock(), self.spent
        end = began + share - before
        if self.trials:
            progress(f"{called}: {len(self.trials)} of {tuning.trials} trials were done before")
        while len(self.trials) < tuning.trials:
            try:
                if self.over is not None or (now := self.clock()) >= end:
                    raise _OutOfTime
                progress(f"{called}: trial {len(self.trials) + 1} of {tuning.trials}")
                trial = self._trial(now, end)
            except _OutOfTime:
                self.stopped_by = "seconds"
                break
            self.journal.add(trial)
            self.trials.append(trial)
        self.spent = before + self.clock() - began
        if self.stopped_by == "seconds":
            self.spent = max(self.spent, share)  # a trial that never finished is on no record
            if self.over is None:
                self.journal.stop(self.budget, len(self.trials))
        return self._best()

    def _trial(self, began: float, end: float) -> Any:
        """One finished trial. Its sampler is fresh, so that only the trials before it and their number matter."""
        states = self.optuna.trial.TrialState
        sampler = self.optuna.samplers.TPESampler(seed=_seed(self.config.seed, len(self.trials)))
        study = self.optuna.create_study(direction="minimize", sampler=sampler)
        study.add_trials([*self.given, *self.trials])
        trial = study.ask(self._space())
        losses: dict[int, float] = {}

        def after(done: int, margin: FloatArray, y: FloatArray) -> None:
            losses[done] = best_line_loss(margin, y)
            if done == len(self.folds):
                return
            if self.config.tuning.pruning and self._behind(done, losses[done]):
                raise _Behind
            if self.clock() >= end:
                raise _OutOfTime

        value: float | None = None
        alone: tuple[float, ...] = ()
        try:
            found = out_of_fold(
                self.folds, self.start.name, with_params(self.start.config, trial.params), seed=self.config.seed,
                threads=self.threads, after=after,
            )  # fmt: skip
            value, alone = found.log_loss, losses_of(self.folds, found)
            if self.found is None or value < self.found[1].log_loss:
                self.found = len(self.trials), found
        except _Behind:
            pass
        return self.optuna.trial.create_trial(
            state=states.PRUNED if value is None else states.COMPLETE, value=value, params=trial.params,
            distributions=trial.distributions, intermediate_values=losses,
            user_attrs={SECONDS: self.clock() - began, LOSSES: list(alone)},
        )  # fmt: skip

    def _space(self) -> dict[str, Any]:
        """Optuna's distribution of every parameter that is searched."""
        found: dict[str, Any] = {}
        for key, (low, high) in sorted(self.start.config.search.items()):
            on_log_scale = low > 0 and high / low > LOG_RATIO
            if PARAMETERS[self.start.name][key] is int:
                found[key] = self.optuna.distributions.IntDistribution(int(low), int(high), log=on_log_scale)
            else:
                found[key] = self.optuna.distributions.FloatDistribution(low, high, log=on_log_scale)
        return found

    def _given(self) -> list[Any]:
        """The params given as a trial to learn from, where they lie within the search space."""
        space, start = self._space(), self.start
        params = {key: getattr(start.estimator, key) for key in space}
        if not all(space[key].low <= value <= space[key].high for key, value in params.items()):
            return []
        y = self.folds.rows.y[start.rows]
        losses = {
            done: best_line_loss(start.margin[start.fold < done], y[start.fold < done])
            for done in range(1, len(self.folds) + 1)
        }
        return [
            self.optuna.trial.create_trial(
                value=start.log_loss, params=params, distributions=space, intermediate_values=losses
            )
        ]

    def _behind(self, done: int, loss: float) -> bool:
        """Whether a trial is worse than the median of the complete ones after as many folds (Golovin et al. 2017).

        Optuna's own median pruner takes a trial's best value over all steps, which favours one with an easy first fold.
        """
        others = [t.intermediate_values[done] for t in [*self.given, *self.trials] if t.value is not None]
        return len(others) >= TRIALS_BEFORE_PRUNING and loss > median(others)

    def _best(self) -> Candidate:
        """The best setting, fitted again where it is one of an earlier run."""
        complete = [k for k, t in enumerate(self.trials) if t.value is not None]
        best = min(complete, key=lambda k: (self.trials[k].value, k), default=None)
        if best is None or not self.trials[best].value < self.start.log_loss:
            return self.start
        if self.found is not None and self.found[0] == best:
            return self.found[1]
        config = with_params(self.start.config, self.trials[best].params)
        return out_of_fold(self.folds, self.start.name, config, seed=self.config.seed, threads=self.threads)

    def settings(self) -> list[Setting]:
        return [
            Setting(self.start.name, with_params(self.start.config, t.params), tuple(t.user_attrs[LOSSES]))
            for t in self.trials
            if t.value is not None
        ]

    def told(self) -> list[dict[str, Any]]:
        config = self.start.config
        same = {"estimator": self.start.name, "imbalance": config.imbalance[0]}
        return [
            {
                **same,
                "number": number,
                "state": "pruned" if t.value is None else "complete",
                "params": {**config.params, **t.params},
                "value": t.value,
                "pruned_after": max(t.intermediate_values) if t.value is None else None,
                "log_loss_by_fold": [t.intermediate_values[k] for k in sorted(t.intermediate_values)],
            }
            for number, t in enumerate(self.trials)
        ]


def _called(name: str, config: EstimatorConfig) -> str:
    return name if config.imbalance == ("none",) else f"{name} ({config.imbalance[0]})"


def _seed(seed: int, trial: int) -> int:
    return int(np.random.SeedSequence([seed, trial]).generate_state(1)[0])
