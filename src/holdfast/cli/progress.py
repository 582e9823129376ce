"""Progress on stderr, for people: nothing is shown where stderr is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Steps(Protocol):
    """What a verb tells while it works."""

    def step(self, name: str) -> None:
        """A part of the work begins."""

    def count(self, done: int, total: int | None) -> None:
        """So much of the part is done."""


class Silent:
    """Shows nothing."""

    def step(self, name: str) -> None:
        pass

    def count(self, done: int, total: int | None) -> None:
        pass


class _Shown:
    def __init__(self, bars: Any, name: str) -> None:
        self._bars = bars
        self._task = bars.add_task(name, total=None)

    def step(self, name: str) -> None:
        self._bars.update(self._task, description=name, completed=0, total=None)

    def count(self, done: int, total: int | None) -> None:
        self._bars.update(self._task, completed=done, total=total)


@contextmanager
def shown(name: str, *, quiet: bool = False) -> Iterator[Steps]:
    """A line with the current step and its time, gone when the work is done."""
    if quiet or not sys.stderr.isatty():
        yield Silent()
        return
    from rich.console import Console  # only here: `holdfast --help` must be fast
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Shown(bars, name)


def as_callback(steps: Steps) -> Callable[[str], None]:
    """For pipelines that name their steps."""
    return steps.step
