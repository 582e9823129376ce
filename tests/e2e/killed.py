"""Runs ``holdfast`` in forks of this process and kills them by SIGKILL at chosen moments.

    python killed.py '[[12, ["run"]], [1.5, ["run"]], [null, ["run"]]]'

kills the first call at moment 12, the second after 1.5 seconds and the third never, and prints a JSON list of
[exit code, moments seen]. The libraries are imported once, here: it is what takes the time.

A moment is just before one of the operations that change what is on the disk: opening a file to write, renaming,
removing, making a folder, opening a database. Between two of them nothing changes that a later run could see, but
for what a library does to a file that it holds open.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from typing import Any

EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
LIBRARIES = ("holdfast.pipelines.run", "holdfast.cli.render.summary", "mlflow", "xgboost", "lightgbm", "woodelf")


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


def fork(at: int | float | None, words: list[str]) -> tuple[int, int]:
    """The exit code (negative: the signal) and how many moments were seen."""
    counter = os.memfd_create("moments")
    child = os.fork()
    if child == 0:
        from holdfast.cli.main import main as holdfast

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
    done = [fork(at, call) for at, call in json.loads(words[0])]
    sys.stdout.write(json.dumps(done) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
