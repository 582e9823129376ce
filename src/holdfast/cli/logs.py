"""Logging for the command line: text or JSON on stderr, with the run's id on every line."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from holdfast.errors import UsageError, did_you_mean

FORMAT_VARIABLE = "HOLDFAST_LOG"
LEVEL_VARIABLE = "HOLDFAST_LOG_LEVEL"
FORMATS = ("text", "json")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
NO_RUN = "-"

_run_id: ContextVar[str] = ContextVar("run_id", default=NO_RUN)


class _Utc(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


class _Text(_Utc):
    def format(self, record: logging.LogRecord) -> str:
        record.run = _run_id.get()
        return super().format(record)


class _Json(_Utc):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "run": _run_id.get(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(environ: Mapping[str, str]) -> None:
    """Log to stderr as ``HOLDFAST_LOG`` says (text or json); unset, only warnings are shown.

    Raises
    ------
    UsageError
        ``HOLDFAST_LOG`` or ``HOLDFAST_LOG_LEVEL`` is not one of its words.
    """
    kind = _word(environ, FORMAT_VARIABLE, FORMATS, FORMATS[0])
    level = _word(environ, LEVEL_VARIABLE, LEVELS, "INFO" if environ.get(FORMAT_VARIABLE) else "WARNING")
    text = _Text("%(asctime)s %(levelname)s %(name)s [%(run)s] %(message)s")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if kind == "json" else text)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)  # libraries: warnings only
    logging.getLogger("holdfast").setLevel(level)
    logging.captureWarnings(True)


def _word(environ: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    given = environ.get(name) or default
    for choice in choices:
        if given.lower() == choice.lower():
            return choice
    raise UsageError(f"{name} is {given!r}", fix=did_you_mean(given, choices))


@contextmanager
def of_run(run_id: str) -> Iterator[None]:
    """Lines logged inside carry this run's id."""
    token = _run_id.set(run_id)
    try:
        yield
    finally:
        _run_id.reset(token)
