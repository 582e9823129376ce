"""The command line's own behaviour: errors, JSON, logging, options. What verbs do is tested end to end."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer

from holdfast.cli import failures, logs, progress, stdout, words
from holdfast.cli.main import app, main
from holdfast.cli.session import Session, verb
from holdfast.errors import DataError, GateRefused, HoldfastError, NotReadyError, Problem, UsageError

VERBS = {
    "init", "check", "simulate", "import", "fetch", "build", "train", "models", "score", "explain", "export", "decide",
    "materialize", "monitor", "retrain", "serve", "run", "config", "features", "runs", "alerts", "audit", "keys",
    "datasets",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet_logging() -> Iterator[None]:
    yield
    logging.captureWarnings(False)
    logging.getLogger().handlers.clear()


def extended(body: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` with one more verb, ``do``."""
    found = typer.Typer()
    verb(found, "do")(body)  # type: ignore[arg-type]
    verb(found, "other")(lambda session: None)
    module: ModuleType = sys.modules["holdfast.cli.main"]
    monkeypatch.setattr(module, "app", found)


def test_every_verb_is_there() -> None:
    command = typer.main.get_command(app)
    assert set(command.commands) == VERBS  # type: ignore[attr-defined]


def test_every_verb_takes_the_common_options() -> None:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for inner in getattr(command, "commands", {name: command}).values():
            options = {o for p in inner.params for o in p.opts}
            assert {"--project", "-p", "--set", "--json", "--quiet"} <= options, name
            assert inner.help, name
            assert all(p.help for p in inner.params if p.name != "help"), name


def test_help_imports_nothing_heavy() -> None:
    heavy = ("ibis", "mlflow", "pyarrow", "pydantic")
    code = f"import sys, holdfast.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("holdfast 0.")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (HoldfastError("it broke", fix="Mend it."), 1, "holdfast: it broke. Mend it.\n"),
        (UsageError("wrong word"), 2, "holdfast: wrong word\n"),
        (NotReadyError("no model", fix="Run: holdfast train"), 1, "holdfast: no model. Run: holdfast train\n"),
        (GateRefused("no", ["too weak"]), 3, "holdfast: no\n  - too weak\n"),
        (ValueError("odd\nmore"), 1,
         "holdfast: unexpected ValueError: odd (run with HOLDFAST_DEBUG=1 for the traceback)\n"),
        (OSError(28, "No space left on device", "x"), 1,
         "holdfast: cannot write: No space left on device (x). Free disk space or check permissions.\n"),
        (KeyboardInterrupt(), 130, "holdfast: interrupted; run it again to go on\n"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, BaseException) else "",
)  # fmt: skip
def test_errors(error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch,
                capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    def body(session: Session) -> None:
        raise error

    extended(body, monkeypatch)
    assert main(["do"]) == code
    assert capsys.readouterr() == ("", said)


def test_tracebacks_are_for_developers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def body(session: Session) -> None:
        raise ValueError("odd")

    extended(body, monkeypatch)
    monkeypatch.setenv("HOLDFAST_DEBUG", "1")
    assert main(["do"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_json_errors_are_one_document(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    problems = [Problem("t", f"bad {n}", "Mend it.", 1, ("x" * 200,)) for n in range(12)]

    def body(session: Session) -> None:
        raise DataError("tables are wrong", problems)

    extended(body, monkeypatch)
    assert main(["do", "--json"]) == 1
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert err == ""
    assert (error["kind"], len(error["problems"]), error["problems_in_all"]) == ("DataError", 10, 12)
    assert len(error["problems"][0]["examples"][0]) == 80


def test_a_wrong_option_is_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--mode", "fast", "--json"]) == 2
    assert "'fast'" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_json_is_alone_on_stdout(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def body(session: Session) -> None:
        print("a library prints")  # noqa: T201
        session.answer({"n": 1}, lambda report: [])

    extended(body, monkeypatch)
    assert main(["do", "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out) == {"verb": "do", "project": "demo", "run_id": None, "report": {"n": 1}}
    assert err == "a library prints\n"


def test_json_is_alone_also_when_c_prints() -> None:
    code = (
        "import os, sys; from holdfast.cli import stdout\n"
        "with stdout.reserved() as write: os.write(1, b'from c'); write('{}')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("{}", "from c")


def test_a_refusal_after_the_report_is_exit_3_and_one_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(session: Session) -> None:
        session.answer({"promoted": False}, lambda report: ["refused"])
        raise GateRefused("version 2 does not serve", ["too weak"])

    extended(body, monkeypatch)
    assert main(["do", "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["report"] == {"promoted": False}
    assert "too weak" in err


def test_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    extended(lambda session: session.answer({}, lambda report: ["words"]), monkeypatch)
    assert main(["do", "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_nan_is_no_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        stdout.document({"x": float("nan")})


def test_logging_carries_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure({"HOLDFAST_LOG": "json"})
    log = logging.getLogger("holdfast.test")
    with logs.of_run("run-1"):
        log.info("hello %s", "there")
    log.info("after")
    logging.getLogger("somebody").info("not shown")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["run"], first["message"], first["level"], first["at"][-1]) == ("run-1", "hello there", "INFO", "Z")
    assert second["run"] == "-"


def test_logging_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure({"HOLDFAST_LOG": "text", "HOLDFAST_LOG_LEVEL": "debug"})
    with logs.of_run("run-2"):
        logging.getLogger("holdfast").debug("hello")
    assert capsys.readouterr().err.endswith("DEBUG holdfast [run-2] hello\n")


def test_logging_words_are_checked() -> None:
    with pytest.raises(UsageError, match="did you mean 'json'"):
        logs.configure({"HOLDFAST_LOG": "jsn"})


def test_no_progress_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown("working") as steps:
        steps.step("part")
        steps.count(1, 2)
    assert capsys.readouterr() == ("", "")


def test_pairs() -> None:
    assert words.pairs(["a=x=y.csv"], "--table") == {"a": Path("x=y.csv")}
    for wrong in (["a"], ["=x"], ["a="], ["a=1", "a=2"], []):
        with pytest.raises(UsageError):
            words.pairs(wrong, "--table")


def test_instant() -> None:
    assert words.instant(None, "--cutoff") is None
    assert str(words.instant("2024-03-01", "--cutoff")) == "2024-03-01 00:00:00+00:00"


def test_memory_is_said_in_words() -> None:
    assert "not enough memory" in failures.describe(MemoryError())["message"]


def test_force_needs_a_reason(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "promote", "2", "--force"]) == 2
    assert "--force needs a reason: it is kept in the ledger. Add: --why REASON" in capfd.readouterr().err
