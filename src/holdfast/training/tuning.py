"""Tuning: Optuna over the folds, judged by out-of-fold log loss."""

from __future__ import annotations

import dataclasses
from typing import Any

from holdfast.config.learning import EstimatorConfig, Tuning
from holdfast.models.registry import make_estimator
from holdfast.training.candidates import Candidate, EncodedFolds, out_of_fold, with_params

LOG_RATIO = 10.0
"""A search range whose ends differ by more than this factor is searched on a log scale."""


def tuned(
    folds: EncodedFolds,
    name: str,
    config: EstimatorConfig,
    tuning: Tuning,
    *,
    seed: int,
    threads: int,
) -> Candidate:
    """The best of ``tuning.trials`` parameter settings and the one given, by out-of-fold log loss.

    The trials depend on the seed alone; a run that reaches ``tuning.seconds`` stops early, and only then may two
    runs differ.
    """
    start = out_of_fold(folds, name, config, seed=seed, threads=threads)
    if not tuning.trials or not config.search:
        return start
    import optuna  # a second to import, and most runs do not tune

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = [start]
    kinds = {f.name: f.type for f in dataclasses.fields(make_estimator(name))}  # type: ignore[arg-type]  # every estimator is a dataclass

    def objective(trial: Any) -> float:
        params: dict[str, Any] = {}
        for key, (low, high) in config.search.items():
            log = low > 0 and high / low > LOG_RATIO
            if str(kinds.get(key)) in ("int", "<class 'int'>"):
                params[key] = trial.suggest_int(key, int(low), int(high), log=log)
            else:
                params[key] = trial.suggest_float(key, low, high, log=log)
        candidate = out_of_fold(folds, name, with_params(config, params), seed=seed, threads=threads)
        found.append(candidate)
        return candidate.log_loss

    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=tuning.trials, timeout=tuning.seconds, show_progress_bar=False)
    return min(found, key=lambda c: c.log_loss)
