"""Killing any verb at any moment and running it again gives the same as never having been killed (issue 2, 4)."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from company import environment, write_company

MADE = ("datasets", "models", "scores", "decisions", "reports")
VERBS = ("build", "train", "score", "decide", "materialize", "monitor")
RUN = ("run", "--project", "shop", "--quiet")
KILLS = 5
DRIVER = Path(__file__).with_name("killed.py")


def made(home: Path) -> dict[str, str]:
    """Every file that the verbs made with its hash. What a kill leaves behind must be gone too: all names count."""
    var = home / "var" / "shop"
    files = [p for folder in MADE for p in sorted((var / folder).rglob("*")) if p.is_file()]
    return {str(p.relative_to(var)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def generation(home: Path) -> str:
    return (home / "var" / "shop" / "online" / "CURRENT").read_text(encoding="utf-8").strip()


def driven(home: Path, calls: Sequence[tuple[int | float | None, Sequence[str]]]) -> list[tuple[int, int]]:
    """Exit code and moments seen of each call, killed at its moment or after its seconds; see killed.py."""
    done = subprocess.run(
        [sys.executable, str(DRIVER), json.dumps(calls)], env=environment(home), cwd=home, capture_output=True,
        text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    codes = [(code, seen) for code, seen in json.loads(done.stdout.splitlines()[-1])]
    assert {code for code, _ in codes} <= {0, -signal.SIGKILL}, done.stderr
    return codes


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str, int]:
    """The files and generation of a run that nobody killed, and how many moments it has."""
    home = tmp_path_factory.mktemp("never")
    write_company(home)
    [(code, moments)] = driven(home, [(None, RUN)])
    assert code == 0
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
    codes = [code for code, _ in driven(tmp_path, [*((at, RUN) for at in chosen), (None, RUN)])]
    assert codes[-1] == 0
    assert codes.count(-signal.SIGKILL) >= KILLS // 2
    assert made(tmp_path) == files
    assert generation(tmp_path) == current


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_verb_killed_by_the_clock(never_killed: tuple[dict[str, str], str, int], tmp_path: Path) -> None:
    """Whatever the process is doing, also inside a library; then twice more, which changes nothing."""
    files, current, _ = never_killed
    write_company(tmp_path)
    dice = random.Random(os.environ.get("HOLDFAST_KILL_SEED", "3"))
    calls: list[tuple[float | None, Sequence[str]]] = []
    for verb in VERBS:
        words = (verb, "--project", "shop", "--quiet")
        calls += [(dice.uniform(0.1, 2.0), words), (None, words)]
    again = [(None, ("build", "--force", *RUN[1:])), (None, ("score", *RUN[1:])), (None, ("decide", *RUN[1:]))]
    driven(tmp_path, [*calls, *again])
    assert made(tmp_path) == files
    assert generation(tmp_path) == current
