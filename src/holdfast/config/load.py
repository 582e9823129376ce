"""Loading a project's configuration: default < file < environment < ``--set``, with the origin of every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from holdfast.config.defaults import with_defaults
from holdfast.config.documents import KeyPath
from holdfast.config.schema import SECTIONS, Config
from holdfast.config.tree import Tree
from holdfast.config.words import problems_of
from holdfast.errors import ConfigError, Problem, UsageError, did_you_mean, shown
from holdfast.types import JsonValue

CONF = "conf"
REQUIRED_SECTIONS = ("data", "features", "training", "decisions")
"""The sections that have no sensible default as a whole."""
DEFAULT = "default"


@dataclass(frozen=True)
class Loaded:
    """A checked configuration and where its values came from.

    Attributes
    ----------
    config : the configuration
    origins : dotted key path -> ``conf/demo/data.yaml:12``, ``environment NAME`` or ``--set``; absent means default
    project : the folder's name
    folder : the folder
    """

    config: Config
    origins: dict[str, str]
    project: str
    folder: Path


@dataclass(frozen=True)
class Row:
    """One configured value: dotted key path, value (secrets masked) and origin."""

    key: str
    value: JsonValue
    origin: str


def find_project(name_or_folder: str, root: Path) -> Path:
    """The folder of a project, given its name under ``<root>/conf/`` or a folder.

    Raises
    ------
    UsageError
        There is no such project, or the folder holds no section file.
    """
    named = root / CONF / name_or_folder
    if name_or_folder and _is_project(named):
        return named
    folder = Path(name_or_folder)
    if name_or_folder and _is_project(folder):
        return folder
    if name_or_folder and folder.is_dir():
        raise UsageError(f"the folder {folder} holds no data.yaml", fix="Name a project's folder, or: holdfast init.")
    conf = root / CONF
    names = sorted(p.name for p in conf.iterdir() if _is_project(p)) if conf.is_dir() else []
    hint = did_you_mean(name_or_folder, names) if names else f"there are no projects in {conf}; run: holdfast init"
    raise UsageError(f"there is no project {name_or_folder!r} in {conf}", fix=hint)


def _is_project(folder: Path) -> bool:
    return any((folder / f"{section}.yaml").is_file() for section in SECTIONS)


def load(folder: Path, *, sets: Sequence[str] = (), environ: Mapping[str, str]) -> Loaded:
    """Read, override and check a project's configuration.

    Parameters
    ----------
    folder : holds ``data.yaml`` and the other section files; scoring, monitoring and serving may be absent
    sets : ``section.key=value`` words of ``--set``, values in YAML; a later one wins
    environ : ``HOLDFAST__SECTION__KEY`` variables (values in YAML), and the variables of `tree.SECRETS`

    Raises
    ------
    ConfigError
        Anything is wrong; all problems at once, each with file, line, key path and value.
    """
    tree = _read(folder)
    tree.apply_environment(environ)
    tree.apply_sets(sets)
    config = _checked(tree)
    if config is None:
        n = len(tree.problems)
        raise ConfigError(
            f"the configuration in {_shown(folder)} has {n} problem{'s' if n > 1 else ''}:",
            list(dict.fromkeys(tree.problems)),
        )
    origins = {".".join(path): origin for path, origin in tree.origins.items()}
    return Loaded(config, origins, folder.resolve().name, folder)


def _read(folder: Path) -> Tree:
    tree = Tree()
    present = sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml")) if folder.is_dir() else []
    for file in present:
        if file.suffix == ".yaml" and file.stem in SECTIONS:
            tree.read_section(file.stem, file, _shown(file))
        else:  # silently using defaults instead of a misnamed file would be worse
            hint = did_you_mean(f"{file.stem}.yaml", [f"{s}.yaml" for s in SECTIONS])
            tree.problems.append(Problem(_shown(file), "is not a section file", hint))
    for section in REQUIRED_SECTIONS:
        file = folder / f"{section}.yaml"
        if file not in present:
            tree.broken.add(section)
            tree.problems.append(Problem(_shown(file), "is missing", "Write it, or start from: holdfast init."))
    return tree


def _checked(tree: Tree) -> Config | None:
    sections: dict[str, Any] = {}
    for section in SECTIONS:
        if section in tree.broken:
            continue  # said already
        model = cast("type[BaseModel]", Config.model_fields[section].annotation)
        try:
            sections[section] = model.model_validate(tree.values.get(section, {}))
        except ValidationError as e:
            tree.problems += problems_of(e, section, tree)
    if len(sections) == len(SECTIONS):
        config = Config(**sections)
        tree.problems += _truths_for_numbers(config, tree)
        for text in config.problems():
            key, _, what = text.partition(": ")
            tree.problems.append(Problem(tree.where(tuple(key.split("."))), what))
        if not tree.problems:
            return config.model_copy(update={"features": with_defaults(config.data, config.features)})
    return None


def _truths_for_numbers(config: Config, tree: Tree) -> Iterator[Problem]:
    """``port: yes`` is true to YAML and 1 to pydantic; nobody means that."""
    for path, value in _leaves(tree.values, ()):
        if isinstance(value, bool):
            read: Any = config
            for part in path:
                read = _step(read, part)
            if isinstance(read, int | float) and not isinstance(read, bool):
                yield Problem(tree.where(path), f"must be a number, not {shown(value)}")


def _step(value: Any, part: str) -> Any:
    if isinstance(value, BaseModel):
        return getattr(value, part)
    return value[int(part)] if isinstance(value, list | tuple) else value[part]


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Values without keys inside: plain ones, lists of plain ones, empty mappings."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for i, inner in enumerate(value):
            yield from _leaves(inner, (*path, str(i)))
    else:
        yield path, value


def explain(loaded: Loaded) -> list[Row]:
    """Every value of the configuration with where it came from; secrets are masked."""
    values = loaded.config.model_dump(mode="json")  # pydantic masks SecretStr
    rows = [(".".join(path), value) for path, value in _leaves(values, ())]
    return [Row(key, value, loaded.origins.get(key, DEFAULT)) for key, value in rows]


def _shown(path: Path) -> str:
    """A path relative to the working folder where it lies below it."""
    absolute = path.resolve()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(path)
