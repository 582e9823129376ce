"""The first configuration of a project, written from its files: complete, commented, and honest about guesses."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from holdfast.sources.guess import MONEY, Guess, guess_all
from holdfast.sources.inspection import SeenColumn, inspect

GUESSED = "guessed from the name; check"
WINDOWS = ("3m", "6m", "12m")
_ROWS = "[count, trend, ratio, recency]"
_NUMBER = "[sum, mean, std, min, max, trend, ratio]"
_TRUTH = "[sum, mean]"


def scaffold(tables: Mapping[str, Path]) -> dict[str, str]:
    """YAML for every section, by file name, from Parquet or CSV files.

    Parameters
    ----------
    tables : table name -> file, folder or glob, in the order to declare them

    Returns
    -------
    dict
        ``data.yaml`` and the other section files; `holdfast.config.load.load` accepts them as they are.

    Raises
    ------
    UsageError
        No table looks like customers, or a table lacks the customer's id or a time.
    DataError
        A file is missing or cannot be read.
    """
    places = {name: Path(os.path.abspath(path)) for name, path in tables.items()}  # noqa: PTH100 - keeps links and *
    guesses = guess_all([inspect(name, path) for name, path in places.items()])
    features, revenue = _features(guesses)
    return {
        "data.yaml": _data(guesses, places),
        "features.yaml": features,
        "training.yaml": _TRAINING,
        "scoring.yaml": _SCORING,
        "decisions.yaml": _decisions(guesses, revenue),
        "monitoring.yaml": _MONITORING,
        "serving.yaml": _SERVING,
    }


def _q(text: str) -> str:
    """A word of YAML that reads back as this text: a column may be called ``no`` or ``2024``."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) and yaml.safe_load(text) == text
    return text if plain else json.dumps(text)


def _words(name: str) -> str:
    return _q(re.sub(r"[_\W]+", " ", name).strip().lower() or name)


def _data(guesses: Sequence[Guess], places: Mapping[str, Path]) -> str:
    sources = Path(os.path.commonpath([path.parent for path in places.values()]))
    lines = [
        "# The tables, what churn is, and when predictions are made. All times are UTC.",
        "",
        f"sources: {_q(str(sources))}",
        "",
        "# known_as_of: 2024-06-01      # what became available later does not exist; default: the sources' watermark",
        "# complete_through: 2024-06-01 # how far ends are known to be complete; default: known_as_of",
        "",
        "cutoffs:",
        "  anchor_days: [1]             # snapshots on the first of each month",
        "",
        "label:",
        "  churn: contractual           # a customer's end lies in the window",
        "  horizon: 1m                  # the length of the window: check that it is time enough to act",
        "  lead: 0d                     # days between the prediction and the first day that counts",
        "",
        "tables:",
    ]
    for guess in guesses:
        lines += _table(guess, places[guess.table.name].relative_to(sources))
    return "\n".join(lines) + "\n"


def _table(guess: Guess, path: Path) -> Iterable[str]:
    yield f"  {guess.table.name}:"
    yield f"    kind: {guess.kind}  # guessed from its columns; check"
    yield f"    path: {_q(path.as_posix())}"
    for role, name in guess.roles.items():
        yield f"    {role}: {_q(name)}  # {GUESSED}"
    if guess.kind == "events" and "available_at" not in guess.roles:
        yield "    # delay: 1d  # how many days after an event this business knows of it; 0d says at once"
    if guess.kind == "customers" and guess.columns:
        yield "    # known_at says when a value was fixed. extract: only its last value is known, which may give the"
        yield "    # future away. Write start for what is fixed when a customer starts."
    if guess.left_out:
        yield f"    # not declared (ids, or types that cannot be used): {', '.join(map(_q, guess.left_out))}"
    if guess.leaks:
        yield f"    # not declared, for it seems to tell who left: {', '.join(map(_q, guess.leaks))}"
    if not guess.columns:
        yield "    columns: {}"
        return
    yield "    columns:"
    for column in guess.columns:
        parts = [f"type: {column.type}"]
        if column.type == "number":
            parts.append(f"scale: {column.scale}")
        if guess.kind == "customers":
            parts.append("known_at: extract")
        yield f"      {_q(column.name)}: {{{', '.join(parts)}}}"


def _features(guesses: Sequence[Guess]) -> tuple[str, tuple[str, str]]:
    """features.yaml, and the feature that seems to hold monthly revenue with a remark."""
    measures: list[str] = []
    values: list[str] = []
    attributes: list[str] = []
    taken = {guess.table.name for guess in guesses}
    money: list[tuple[int, str, str]] = []  # (rank, feature, remark); the lowest rank is taken
    for guess in guesses:
        name = guess.table.name
        if guess.kind == "events" and guess.treatments is None:
            measures.append(f"  {name}: {{table: {name}, label: {_words(name)}, aggregations: {_ROWS}}}")
        for column in guess.columns:
            feature = _free(re.sub(r"\W+", "_", f"{name}_{column.name}").lower(), taken)
            source = f"table: {name}, column: {_q(column.name)}, label: {_words(column.name)}"
            rank = _money_rank(column)
            if guess.kind == "customers" and column.type in ("number", "category", "boolean"):
                attributes.append(f"  {_q(column.name)}: {_words(column.name)}")
                money.append((rank + 100, f"{name}_{column.name}", GUESSED))
            elif guess.kind == "history" and column.type != "text":
                aggregations = "[months_until]" if column.type == "time" else "[value, changes]"
                values.append(f"  {feature}: {{{source}, aggregations: {aggregations}}}")
                money.append((rank, feature, GUESSED))
            elif guess.kind == "events" and guess.treatments is None and column.type in ("number", "boolean"):
                aggregations = _NUMBER if column.type == "number" else _TRUTH
                measures.append(f"  {feature}: {{{source}, aggregations: {aggregations}}}")
                money.append((rank + 200, f"{feature}_mean_3m", f"the mean of a row, not of a month: {GUESSED}"))
    text = [
        "# What a model may look at. Windows end just before the cutoff.",
        "",
        f"windows: [{', '.join(WINDOWS)}]",
        "tenure: true",
        "",
        "# Over events: the rows themselves, and their numbers.",
        *_block("measures", measures),
        "",
        "# From history: as it was at the cutoff, and how often it changed.",
        *_block("values", values),
        "",
        "# From customers.",
        *_block("attributes", attributes),
    ]
    best = min((m for m in money if m[0] % 100 < len(MONEY)), default=None)
    revenue = best[1:] if best else ("tenure_months", "CHANGE THIS: no column looks like money; days are not revenue")
    return "\n".join(text) + "\n", revenue


def _free(name: str, taken: set[str]) -> str:
    """``name``, or with a number behind it: columns may differ in case or signs only."""
    n, free = 1, name
    while free in taken:
        n += 1
        free = f"{name}_{n}"
    taken.add(free)
    return free


def _money_rank(column: SeenColumn) -> int:
    name = column.name.lower()
    found = [i for i, word in enumerate(MONEY) if word in name and column.type == "number"]
    return found[0] if found else len(MONEY)


def _block(key: str, lines: Sequence[str]) -> list[str]:
    return [f"{key}:", *lines] if lines else [f"{key}: {{}}"]


def _decisions(guesses: Sequence[Guess], revenue: tuple[str, str]) -> str:
    feature, remark = revenue
    lines = [
        "# What a customer is worth, and what can be done to keep one. Every number here is yours to give.",
        "",
        "currency: USD",
        "",
        "value:",
        f"  revenue: {_q(feature)}  # per month; {remark}",
        "  margin: 0.6             # share of revenue that is left after serving the customer",
        "  annual_discount: 0.10",
        "  horizon_months: 24",
        "",
        "actions:",
        "  retention_offer:",
        "    label: Retention offer",
        "    cost: 10.0            # per contacted customer",
        "    retention: 0.10       # assumed share of would-be churners kept; measure it with treatments",
        "    tiers: [high, medium]",
        "",
        "budget: null              # money per run; null is no limit",
        "holdout: 0.1              # chosen customers left alone at random, to measure the effect",
    ]
    for guess in guesses:
        columns = guess.treatments
        if columns is not None:
            lines += ["", f"treatments:                # {GUESSED}", f"  table: {guess.table.name}"]
            lines += [f"  {word}: {_q(column)}" for word, column in columns.items()]
            break
    return "\n".join(lines) + "\n"


_TRAINING = """\
# Every estimator is trained; the best by log loss on the validation cutoffs becomes the challenger.

estimators:
  rfm: {}                 # the yardstick: a scorecard of fifths of every feature
  logistic: {}
  lightgbm:
    params: {rounds: 300, learning_rate: 0.05, depth: 5, min_rows: 50}
  xgboost:
    params: {rounds: 300, learning_rate: 0.05, depth: 5, min_child_weight: 5}
    search: {rounds: [50, 500], learning_rate: [0.01, 0.1], depth: [2, 7], min_child_weight: [1, 50]}

folds:
  test_cutoffs: 3         # the last months whose labels are known, used once
  validation_cutoffs: 6

tuning:
  trials: 0               # 30, say, to search where an estimator has a search space
  seconds: 480

seed: 7
"""

_SCORING = """\
# Risk tiers, from the highest down: set them to how many customers you can act on.

tiers:
  - {name: high, at_least: 0.10}
  - {name: medium, at_least: 0.04}
  - {name: low, at_least: 0.0}

reasons: 3
"""

_MONITORING = """\
# When data has drifted, and when to retrain.

drift: {psi: 0.2, kl: 0.1, bins: 10, min_rows: 200}
triggers: {drifted_share: 0.2, score_psi: 0.2, log_loss_increase: 0.1, max_age: 6m}
"""

_SERVING = """\
# The API. The state database is SQLite unless HOLDFAST_DATABASE_URL names another (environment only).

host: 127.0.0.1
port: 8000
ttl: 45d                  # scores older than this are stale
"""
