"""Killing any verb at any moment and running it again gives the same as never having been killed (issue 2, 4)."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from company import write_company, write_csv
from killed import Group, driven

MADE = ("datasets", "models", "scores", "decisions", "reports")
VERBS = ("build", "train", "score", "decide", "materialize", "monitor")
RUN = ("run", "--project", "shop", "--quiet")
KILLS = 4
WORSE = (
    "--set", "training.exclude=[visits_count_3m,visits_recency_3m,minutes_sum_3m,minutes_mean_3m]",
    "--set", "training.promotion.min_lift=-1",
)  # fmt: skip
SMALL = ("--set", "data.simulate.customers=60", "--set", "data.simulate.months=4")
CHANGES: dict[str, tuple[str, ...]] = {
    "retrain": ("retrain", "--force", *RUN[1:]),
    "promote": ("models", "promote", "1", *RUN[1:]),
    "rollback": ("models", "rollback", *RUN[1:]),
    "simulate": ("simulate", "--seed", "2", *SMALL, "--quiet"),
    "import": ("import", "telco", "second.csv", "--quiet"),
}
"""Verbs that change what is there already, by the home that they are tested in."""
PREPARED = (("simulate", *SMALL, "--quiet"), ("import", "telco", "first.csv", "--quiet"), (*RUN, *WORSE))
OTHERS = ("demo", "telco")
PASSING = ("state.db", ".lock", "tmp/")
TELCO = {
    "customerID": "", "gender": "Female", "SeniorCitizen": "0", "Partner": "Yes", "Dependents": "No", "tenure": "",
    "PhoneService": "No", "MultipleLines": "No phone service", "InternetService": "DSL", "OnlineSecurity": "No",
    "OnlineBackup": "Yes", "DeviceProtection": "No", "TechSupport": "No", "StreamingTV": "No", "StreamingMovies": "No",
    "Contract": "Month-to-month", "PaperlessBilling": "Yes", "PaymentMethod": "Electronic check",
    "MonthlyCharges": "29.85", "TotalCharges": "60.10", "Churn": "",
}  # fmt: skip
"""The columns of IBM's file, with what a row of it looks like."""


def made(home: Path) -> dict[str, str]:
    """Every file that the verbs made with its hash. What a kill leaves behind must be gone too: all names count."""
    var = home / "var" / "shop"
    files = [p for folder in MADE for p in sorted((var / folder).rglob("*")) if p.is_file()]
    return {str(p.relative_to(var)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def generation(home: Path) -> str:
    return (home / "var" / "shop" / "online" / "CURRENT").read_text(encoding="utf-8").strip()


def everything(home: Path) -> dict[str, Any]:
    """What the verbs made in all projects, who serves, and what the ledger and MLflow say of it."""
    found: dict[str, Any] = {**made(home), "generation": generation(home)}
    for name in OTHERS:
        var = home / "var" / name
        for file in sorted(p for p in var.rglob("*") if p.is_file()):
            relative = str(file.relative_to(var))
            if not relative.startswith(PASSING):
                found[f"{name}/{relative}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    var = home / "var" / "shop"
    found["online"] = sorted(p.name for p in (var / "online").iterdir())
    found["ledger"] = rows(var / "state.db", "SELECT action, from_version, to_version, why FROM promotions ORDER BY id")
    found["versions"] = rows(var / "state.db", "SELECT version, bundle_sha256, status FROM versions ORDER BY version")
    found["MLflow"] = rows(
        var / "mlflow.db",
        "SELECT version, key, value FROM model_version_tags UNION SELECT version, 'alias', alias "
        "FROM registered_model_aliases ORDER BY 1, 2, 3",
    )
    return found


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str, int]:
    """The files and generation of a run that nobody killed, and how many moments it has."""
    home = tmp_path_factory.mktemp("never")
    write_company(home)
    [[(_, moments)]] = driven(home, [(".", None, RUN, [None])])
    files = made(home)
    assert {name.partition("/")[0] for name in files} == set(MADE)
    return files, generation(home), moments


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1])
def test_a_run_killed_again_and_again(seed: int, never_killed: tuple[dict[str, str], str, int], tmp_path: Path) -> None:
    """Each run gets further than the one before, is killed, and what it left is taken up by the next."""
    files, current, moments = never_killed
    write_company(tmp_path)
    chosen = sorted(random.Random(seed).sample(range(moments), KILLS))
    [attempts] = driven(tmp_path, [(".", None, RUN, [*chosen, None])])
    assert len(attempts) > KILLS // 2
    assert made(tmp_path) == files
    assert generation(tmp_path) == current


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_verb_killed_by_the_clock(never_killed: tuple[dict[str, str], str, int], tmp_path: Path) -> None:
    """Whatever the process is doing, also inside a library; then some again, which changes nothing."""
    files, current, _ = never_killed
    write_company(tmp_path)
    dice = random.Random(os.environ.get("HOLDFAST_KILL_SEED", "3"))
    calls: list[Group] = [(".", None, (verb, *RUN[1:]), [dice.uniform(0.1, 2.0), None]) for verb in VERBS]
    again = (("build", "--force"), ("train",), ("score",), ("decide",))
    driven(tmp_path, [*calls, *((".", None, (*words, *RUN[1:]), [None]) for words in again)])
    assert made(tmp_path) == files
    assert generation(tmp_path) == current


@pytest.fixture(scope="module")
def changed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A folder of homes: the prepared one, what each of `CHANGES` makes of it, and how many moments each has."""
    folder = tmp_path_factory.mktemp("changed")
    home = folder / "prepared"
    write_company(home)
    for name in OTHERS:
        shutil.copytree(root / "conf" / name, home / "conf" / name)
    for name, customers in (("first", 12), ("second", 15)):
        told = [{"customerID": f"T{n}", "tenure": str(n), "Churn": ("Yes", "No")[n % 2]} for n in range(1, customers)]
        write_csv(home / f"{name}.csv", list(TELCO), [list((TELCO | row).values()) for row in told])
    calls: list[Group] = [("prepared", None, words, [None]) for words in PREPARED]
    calls += [(name, base_of(name), words, [None]) for name, words in CHANGES.items()]
    attempts = driven(folder, calls)
    return folder, {name: seen for name, [(_, seen)] in zip(CHANGES, attempts[len(PREPARED) :], strict=True)}


def base_of(change: str) -> str:
    """Going back needs a version to go back to: retraining made it."""
    return "retrain" if change in ("promote", "rollback") else "prepared"


@pytest.fixture(scope="module")
def killed(changed: tuple[Path, dict[str, int]]) -> Path:
    """The same folder, with what each change makes when it is killed again and again, as ``killed-NAME``."""
    folder, moments = changed
    dice = random.Random(os.environ.get("HOLDFAST_KILL_SEED", "5"))
    calls: list[Group] = []
    for name, words in CHANGES.items():
        early = dice.randrange(moments[name])
        late = moments[name] - 1  # all is done then, but for saying so
        calls.append((f"killed-{name}", base_of(name), words, [early, dice.uniform(0.1, 1.5), late, None]))
    attempts = driven(folder, calls)
    assert sum(len(group) - 1 for group in attempts) > len(CHANGES)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_killed_again_and_again(name: str, killed: Path) -> None:
    never = everything(killed / name)
    assert never != everything(killed / base_of(name))
    assert everything(killed / f"killed-{name}") == never
