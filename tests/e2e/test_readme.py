"""Every command of the README, the tutorial and the how-to pages is executed: here, or by name in .ci/run.

``holdfast`` is on PATH as for a reader; it runs in forks (see forking.py), but for the server.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forking import forked

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)

ELSEWHERE = {
    "make setup": ".ci/run",
    "make install": ".ci/run",
    "make run": ".ci/run",
    "make test": ".ci/run",
    "make api": ".ci/run",
    "source venv/bin/activate": "Makefile",  # what PATH does here
    "holdfast fetch telco": ".github/workflows/ci.yml",  # needs the network; see also tests/unit/sources/test_fetch.py
}
"""Commands that are not executed here, and the file that executes them by name."""

SMALL = {
    "HOLDFAST__TRAINING__ESTIMATORS": "{logistic: {}}",
    "HOLDFAST__TRAINING__BOOTSTRAP": "50",
    "HOLDFAST__TRAINING__PROMOTION__MIN_LIFT": "-1",
    "HOLDFAST__TRAINING__PROMOTION__MAX_CALIBRATION_ERROR": "0.9",
    "HOLDFAST__TRAINING__PROMOTION__LATENCY_MS": "10000",
}
COMPANY = {"HOLDFAST__DATA__SIMULATE__CUSTOMERS": "400", "HOLDFAST__DATA__SIMULATE__MONTHS": "24"}
"""Of projects with a simulate section only: it would be one more key of the others."""
SMALL_TELCO = {"HOLDFAST__TRAINING__ESTIMATORS": "{logistic: {}}", "HOLDFAST__TRAINING__FOLDS__GROUPS": "2"}


def commands(page: str) -> list[str]:
    """The commands of a page's bash blocks, without comments."""
    lines = [line for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")) for line in block.splitlines()]
    return [" ".join(shlex.split(line, comments=True)) for line in lines if line.strip() and line[0] != "#"]


def environment(more: dict[str, str], *first: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST")}
    path = [*map(str, first), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {**kept, "PATH": os.pathsep.join(path), **more}


Execute = Callable[..., str]


@pytest.fixture(scope="module")
def execute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Execute]:
    """Run a line of a page in a shell; returns what it prints."""

    with forked(tmp_path_factory.mktemp("path") / "bin") as first:

        def run(words: str, home: Path, more: dict[str, str]) -> str:
            done = subprocess.run(
                ["bash", "-c", words], cwd=home, env=environment(more, first), capture_output=True, text=True,
                timeout=240, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
            return done.stdout

        yield run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, execute: Execute) -> Path:
    """A copy of what a clone has, where `make run` was run, reduced."""
    copy = tmp_path_factory.mktemp("clone")
    for name in ("conf", "examples"):
        shutil.copytree(ROOT / name, copy / name)
    shutil.copy(ROOT / "run_pipeline.py", copy)
    execute(recipe("run"), copy, SMALL | COMPANY)
    return copy


def recipe(target: str) -> str:
    """What ``make <target>`` runs, as the Makefile says."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(rf"^{target}:.*\n\t(.*)$", makefile, re.MULTILINE)
    assert found
    return found[1].replace("$(BIN)/", "").replace("$(PROJECT)", "demo")


@pytest.fixture
def api(home: Path) -> Iterator[str]:
    """`make api`, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [*shlex.split(recipe("api")), "--port", str(port)]
    server = subprocess.Popen(words, cwd=home, env=environment(SMALL | COMPANY), stderr=subprocess.PIPE, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/readyz", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, server.communicate()[1]
                time.sleep(0.25)
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=30)
    assert server.returncode == 0, said


PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]


def test_every_command_is_accounted_for() -> None:
    for words, file in ELSEWHERE.items():
        name = words.removeprefix("source ").removesuffix("/bin/activate") if words.startswith("source") else words
        assert name in (ROOT / file).read_text(encoding="utf-8"), f"{file} does not run: {words}"
    known = ("holdfast ", "curl ", "python ", "HOLDFAST__")
    for page in PAGES:
        for words in commands(page):
            assert words in ELSEWHERE or words.startswith(known), f"{page}: {words}"


@pytest.mark.slow
def test_readme(home: Path, api: str, execute: Execute) -> None:
    for words in commands("README.md"):
        if words in ELSEWHERE or "telco" in words:
            continue
        if words.startswith("curl"):
            words = words.replace("http://127.0.0.1:8000", api).replace("curl", "curl --silent --show-error --fail")
        assert execute(words, home, SMALL | COMPANY).strip(), words


@pytest.mark.slow
def test_readme_telco(home: Path, shared_data: Callable[[str], Path], execute: Execute) -> None:
    downloads = home / "var" / "telco" / "downloads"
    downloads.mkdir(parents=True)
    shutil.copy(shared_data("telco/Telco-Customer-Churn.csv"), downloads)
    assert commands("README.md")[-8:]
    for words in commands("README.md"):
        if "telco" in words and words not in ELSEWHERE:
            said = execute(words, home, SMALL_TELCO)
    assert "68,627 matured, 1,869 churned" in said
    assert "reconstructed from one extract" in said


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if p != "README.md" and commands(p)])
def test_page(page: str, home: Path, tmp_path: Path, execute: Execute) -> None:
    for name in ("conf", "examples", "var"):
        shutil.copytree(home / name, tmp_path / name)
    # the tutorial's own business goes through the gate as it is; the built-in company, this small, would not
    small = SMALL | COMPANY if "tutorial" not in page else {k: v for k, v in SMALL.items() if "PROMOTION" not in k}
    for words in commands(page):
        execute(words, tmp_path, small)
