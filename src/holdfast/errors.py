"""One exception tree. Every error says what failed, where, and the fix.

::

    HoldfastError                 exit 1   something could not be done
    ├── UsageError                exit 2   the command's words do not fit
    │   └── ConfigError           exit 2   a YAML section, key or value is wrong
    ├── DataError                 exit 1   a table is not as declared (carries bounded problems)
    ├── NotFoundError             exit 1   a customer, dataset, model version or file that is not there
    ├── NotReadyError             exit 1   a step that must come first has not been done
    ├── StoreError                exit 1   a store (disk, SQLite, MLflow) cannot be read or written
    │   └── UnreachableError      exit 1   its server cannot be reached, or does not answer
    └── GateRefused               exit 3   a gate said no

Messages are bounded: at most `MAX_PROBLEMS` problems and `MAX_EXAMPLES` examples of each.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_PROBLEMS = 10
MAX_EXAMPLES = 5
MAX_VALUE_CHARS = 80

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3


def shown(value: object) -> str:
    """An offending value, quoted and cut to `MAX_VALUE_CHARS` characters."""
    text = repr(value)
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 1] + "…"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint that names the closest choice, or lists them all when none is close.

    >>> did_you_mean("horizn", ["horizon", "lead"])
    "did you mean 'horizon'?"
    """
    known = sorted(set(choices))
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"choose from: {listed}" if known else "there is nothing to choose from"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where (file, table, column or key), what, examples and the fix."""

    where: str
    what: str
    fix: str = ""
    count: int | None = None
    examples: tuple[object, ...] = field(default=())

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}"
        if self.examples:
            text += " (for example " + ", ".join(shown(e) for e in self.examples[:MAX_EXAMPLES]) + ")"
        return f"{text}. {self.fix}" if self.fix else text


class HoldfastError(Exception):
    """The root. ``exit_code`` is what the CLI returns for it."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, fix: str = "") -> None:
        self.message = message
        self.fix = fix
        super().__init__(f"{message}. {fix}" if fix else message)


class UsageError(HoldfastError):
    """The command's words do not fit together."""

    exit_code = EXIT_USAGE


class _ManyProblems(HoldfastError):
    def __init__(self, headline: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f"  - {p}" for p in self.problems[:MAX_PROBLEMS]]
        if len(self.problems) > MAX_PROBLEMS:
            lines.append(f"  … and {len(self.problems) - MAX_PROBLEMS} more")
        super().__init__("\n".join([headline, *lines]))


class ConfigError(_ManyProblems, UsageError):
    """Configuration is wrong; all problems are reported at once, with file and key path."""

    exit_code = EXIT_USAGE


class DataError(_ManyProblems):
    """A source table is not as declared."""


class NotFoundError(HoldfastError):
    """Something asked for by name is not there."""


class NotReadyError(HoldfastError):
    """A step that must come first has not been done; ``fix`` names the command."""


class StoreError(HoldfastError):
    """A store cannot be read or written."""


class UnreachableError(StoreError):
    """A store's server cannot be reached, or does not answer."""


class GateRefused(HoldfastError):
    """A gate said no; ``reasons`` say which check and by how much."""

    exit_code = EXIT_REFUSED

    def __init__(self, message: str, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join([message, *(f"  - {r}" for r in self.reasons)]))
