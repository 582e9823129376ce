"""Raw configuration before it is checked: values by key path, each with where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.config.documents import KeyPath, parse_document, read_document
from holdfast.config.schema import SECTIONS
from holdfast.errors import Problem, did_you_mean

ENVIRONMENT_PREFIX = "HOLDFAST__"
HOME_VARIABLE = "HOLDFAST_HOME"
"""The folder that holds ``conf/`` and ``var/``."""
SECRETS: dict[KeyPath, str] = {
    ("serving", "database_url"): "HOLDFAST_DATABASE_URL",
    ("serving", "redis_url"): "HOLDFAST_REDIS_URL",
    ("training", "mlflow_uri"): "HOLDFAST_MLFLOW_URI",
}
"""Keys that come from the environment only and are never shown, with their variables."""


@dataclass
class Tree:
    """Section values as read, the origin of every key path, and the problems met so far."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Sections that could not be read: checking what is left of them would only add noise."""

    def where(self, path: KeyPath) -> str:
        """The origin of a key path, or of the nearest key above it, and the path itself."""
        for n in range(len(path), 0, -1):
            origin = self.origins.get(path[:n])
            if origin is not None:
                return f"{origin} {'.'.join(path)}"
        return ".".join(path)

    def read_section(self, section: str, file: Path, shown_as: str) -> None:
        """Take a section from its file."""
        document = read_document(file)
        for flaw in document.flaws:
            at = f"{shown_as}:{flaw.line}" if flaw.line else shown_as
            self.problems.append(Problem(at, flaw.what, flaw.fix))
        value = document.value if document.value is not None or document.flaws else {}
        if document.flaws and value is None:
            self.broken.add(section)
            return
        if not isinstance(value, dict):
            self.broken.add(section)
            self.problems.append(Problem(shown_as, "must be a mapping at the top level", "Write key: value lines."))
            return
        self.origins[(section,)] = shown_as
        for path, line in document.lines.items():
            if path:
                self.origins[(section, *path)] = f"{shown_as}:{line}"
        for secret, variable in SECRETS.items():
            if secret[0] == section and value.get(secret[1]) is not None:
                # The value is dropped so that no later message can show it.
                self.problems.append(
                    Problem(
                        self.where(secret),
                        "is a secret and may not be in a file",
                        f"Set it in the environment: {variable}.",
                    )
                )
                del value[secret[1]]
        self.values[section] = value

    def apply_environment(self, environ: Mapping[str, str]) -> None:
        """Override from ``HOLDFAST__SECTION__KEY`` variables and those of `SECRETS`."""
        for name in sorted(n for n in environ if n.startswith(ENVIRONMENT_PREFIX)):
            parts = name.removeprefix(ENVIRONMENT_PREFIX).split("__")
            origin = f"environment {name}"
            path = self._as_written(parts)
            if self._names_a_key(path, origin):
                self._override(path, environ[name], origin)
        for secret, variable in SECRETS.items():
            if environ.get(variable):  # empty is unset: compose files pass absent variables on as empty
                self._override(secret, environ[variable], f"environment {variable}")

    def apply_sets(self, sets: Sequence[str]) -> None:
        """Override from ``--set section.key=value`` words."""
        for word in sets:
            key, equals, text = word.partition("=")
            path = tuple(part.strip() for part in key.split("."))
            if path in SECRETS:
                self.problems.append(
                    Problem(f"--set {key}", "is a secret: others can read a command line", f"Set {SECRETS[path]}.")
                )
            elif not equals:
                self.problems.append(Problem(f"--set {key}", "has no value", "Write --set section.key=value."))
            elif self._names_a_key(path, f"--set {key}"):
                self._override(path, text, "--set")

    def _names_a_key(self, path: KeyPath, origin: str) -> bool:
        if path[0] not in SECTIONS:
            self.problems.append(Problem(origin, f"there is no section {path[0]!r}", did_you_mean(path[0], SECTIONS)))
        elif len(path) < 2 or "" in path:
            self.problems.append(Problem(origin, "does not name a key", "Name a section and a key in it."))
        else:
            return True
        return False

    def _as_written(self, parts: Sequence[str]) -> KeyPath:
        """Variable names are upper case by custom; keys are found whatever their case."""
        node: Any = self.values
        path: list[str] = []
        for part in parts:
            keys = [k for k in node if k.lower() == part.lower()] if isinstance(node, dict) else []
            path.append(keys[0] if keys else part.lower())
            node = node.get(keys[0]) if keys else None
        return tuple(path)

    def _override(self, path: KeyPath, text: str, origin: str) -> None:
        value: Any = text
        below: list[KeyPath] = []
        if path not in SECRETS:  # a secret is taken as it is: it may hold any character
            document = parse_document(text)
            if document.flaws:
                self.problems += [Problem(f"{origin} {'.'.join(path)}", f.what, f.fix) for f in document.flaws]
                return
            value, below = document.value, list(document.lines)
        if self._put(path, value, origin):
            for known in [p for p in self.origins if p[: len(path)] == path]:
                del self.origins[known]
            self.origins |= {(*path, *rest): origin for rest in [(), *below]}

    def _put(self, path: KeyPath, value: Any, origin: str) -> bool:
        node: Any = self.values
        for n, part in enumerate(path):
            last = n == len(path) - 1
            if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
                if last:
                    node[int(part)] = value
                node = node[int(part)]
            elif isinstance(node, dict):
                if last:
                    node[part] = value
                elif node.get(part) is None:
                    node[part] = {}
                    self.origins.setdefault(path[: n + 1], origin)
                node = node[part]
            else:
                kind = "list" if isinstance(node, list) else "plain value"
                self.problems.append(
                    Problem(f"{origin} {'.'.join(path)}", f"{'.'.join(path[:n])} is a {kind} without a key {part!r}")
                )
                return False
        return True
