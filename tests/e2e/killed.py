"""Runs ``holdfast`` in forks of this process and kills them by SIGKILL at chosen moments.

    python killed.py '[["shop", null, ["run"], [12, 1.5, null]], ["other", "shop", ["models", "rollback"], [null]]]'

calls ``run`` in the home ``shop`` and kills it at moment 12; calls it again and kills it after 1.5 seconds; and then
lets it be. A call that ends by itself, because it was done before it was to be killed, is not made again. Then
``other`` is made a copy of ``shop``, and ``models rollback`` is called there. Printed is a JSON list with a list for
each, of [exit code, moments seen]. The libraries are imported once, here: it is what takes the time.

A moment is just before one of the operations that change what is on the disk: opening a file to write, renaming,
removing, making a folder, opening a database. Between two of them nothing changes that a later run could see, but
for what a library does to a file that it holds open.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from company import environment

EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
LIBRARIES = (
    "holdfast.cli.entry",
    "holdfast.pipelines.run",
    "holdfast.cli.render.summary",
    "mlflow",
    "xgboost",
    "lightgbm",
)

Attempt = tuple[int, int]
"""Exit code, and moments seen."""
Moment = int | float | None
Group = tuple[str, str | None, Sequence[str], Sequence[Moment]]


def driven(folder: Path, groups: Sequence[Group], env: Mapping[str, str] | None = None) -> list[list[Attempt]]:
    """What this program says of each call in a process of its own. None may fail, and each must come to its end."""
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(groups)], env=environment(folder) if env is None else env, cwd=folder,
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [[(code, seen) for code, seen in group] for group in json.loads(done.stdout.splitlines()[-1])]
    assert {code for group in found for code, _ in group} <= {0, -signal.SIGKILL}, done.stderr
    assert all(group[-1][0] == 0 for group in found), done.stderr
    return found


class Moments:
    """Counts moments; at the chosen one the process is gone, as if the power were."""

    def __init__(self, at: int | None, counter: int) -> None:
        self.at = at
        self.counter = counter
        self.seen = 0

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event in EVENTS or (event == "open" and isinstance(args[2], int) and args[2] & WRITING):
            if self.seen == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.seen += 1
            os.pwrite(self.counter, f"{self.seen:8d}".encode(), 0)


def attempts(home: Path, base: str | None, words: list[str], moments: list[int | float | None]) -> list[Attempt]:
    """Call until it is not killed, in a fresh copy of ``base`` if one is given."""
    if base is not None:
        shutil.copytree(base, home)
    done: list[Attempt] = []
    for at in moments:
        done.append(fork(home, at, words))
        if done[-1][0] != -signal.SIGKILL:
            break
    return done


def fork(home: Path, at: int | float | None, words: list[str]) -> Attempt:
    """The exit code (negative: the signal) and how many moments were seen."""
    counter = os.memfd_create("moments")
    child = os.fork()
    if child == 0:
        from holdfast.cli.main import main as holdfast

        os.chdir(home)
        os.environ["HOLDFAST_HOME"] = str(home)
        sys.addaudithook(Moments(at if isinstance(at, int) else None, counter))
        code = holdfast(words)
        sys.stderr.flush()
        os._exit(code)
    if isinstance(at, float):
        time.sleep(at)
        os.kill(child, signal.SIGKILL)  # until it is waited for, a process that has ended can be killed in vain
    _, status = os.waitpid(child, 0)
    seen = int(os.pread(counter, 8, 0) or b"0")
    os.close(counter)
    return os.waitstatus_to_exitcode(status), seen


def main(words: list[str]) -> int:
    for library in LIBRARIES:
        importlib.import_module(library)
    done = [attempts(Path(home).resolve(), *call) for home, *call in json.loads(words[0])]
    sys.stdout.write(json.dumps(done) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
