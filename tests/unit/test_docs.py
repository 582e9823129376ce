"""The reference pages are what the code says, and every command and key is in them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from holdfast.config.load import explain, load

LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


@pytest.fixture(scope="module")
def generate(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", root / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date(generate: Any) -> None:
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, "run: make docs"


def test_every_command_is_documented(generate: Any, root: Path) -> None:
    page = (root / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for name, _ in generate.commands():
        assert f"\n## {name}\n" in page


@pytest.mark.parametrize("project", ["demo", "telco", "cdnow"])
def test_every_shipped_key_is_documented(project: str, root: Path) -> None:
    page = (root / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    known = {re.sub(r"\((?:customers|history|events)\)", "", key) for key in re.findall(r"^\| `([^`]+)`", page, re.M)}
    for row in explain(load(root / "conf" / project, environ={})):
        assert any(_fits(row.key, key) for key in known), row.key


def _fits(key: str, documented: str) -> bool:
    """``data.tables.plans.kind`` fits ``data.tables.<name>.kind``; so does anything below a documented key."""
    pattern = re.escape(documented).replace("<name>", r"[^.]+").replace(r"\[\]", r"\.\d+")
    return re.match(rf"{pattern}(\.|$)", key) is not None


def test_links_lead_somewhere(root: Path) -> None:
    for page in (root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")):
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_decisions_are_numbered_once(root: Path) -> None:
    numbers = [p.name[:4] for p in sorted((root / "docs" / "adr").glob("*.md"))]
    assert numbers == [f"{n:04d}" for n in range(1, len(numbers) + 1)]


def test_make_help_lists_every_target(root: Path) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make here")
    said = subprocess.run([make, "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^\.PHONY: (\S+)", makefile, re.MULTILINE):
        assert f"  make {target} " in said
    assert {"setup", "install", "run", "test", "api", "lint", "types", "clean", "help"} <= set(
        re.findall(r"^  make (\S+)", said, re.MULTILINE)
    )


def test_the_lock_names_no_host(root: Path) -> None:
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    packages = re.findall(r"^\S+==", lock, re.MULTILINE)
    assert len(packages) > 50
    assert lock.count("--hash=sha256:") >= len(packages)


def test_the_lock_holds_all_that_pyproject_asks_for(root: Path) -> None:
    """A dependency without `make lock` works for whoever has it installed, and in no fresh clone."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = {_name(d) for d in (*project["dependencies"], *extras["dev"], *extras["postgres"], *extras["redis"])}
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    assert asked <= {_name(line) for line in re.findall(r"^[A-Za-z0-9].*", lock, re.MULTILINE)}, "run: make lock"


def _name(requirement: str) -> str:
    """``ibis-framework`` of ``ibis-framework[duckdb]>=12.0``, as indexes spell it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()
