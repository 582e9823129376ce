"""``holdfast init``: a first, commented configuration for one's own tables, from their columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from holdfast.artifacts.files import writing_folder
from holdfast.config.load import CONF
from holdfast.errors import UsageError
from holdfast.sources.scaffold import scaffold

_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]*$")


@dataclass(frozen=True)
class InitReport:
    """A written configuration: its folder, its files, and the kind of each table as guessed."""

    name: str
    folder: Path
    files: tuple[str, ...]
    tables: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "folder": str(self.folder), "files": list(self.files), "tables": self.tables}


def init(root: Path, name: str, tables: Mapping[str, Path], *, force: bool = False) -> InitReport:
    """Write ``<root>/conf/<name>/*.yaml`` from the tables' own columns, all files or none.

    Parameters
    ----------
    tables : table name -> Parquet or CSV file, folder or glob
    force : replace a configuration that is there

    Raises
    ------
    UsageError
        The name cannot be a folder's, is taken, or the tables cannot be told apart.
    DataError
        A table cannot be read.
    """
    if not _NAME.match(name):
        raise UsageError(f"{name!r} cannot name a project", fix="Use small letters, digits, - and _.")
    folder = root / CONF / name
    if folder.exists() and not force:
        raise UsageError(f"{folder} is there already", fix="Choose another name, or replace it whole with --force.")
    files = scaffold(tables)
    with writing_folder(folder) as draft:
        for file, text in files.items():
            (draft / file).write_text(text, encoding="utf-8", newline="\n")
    declared = yaml.safe_load(files["data.yaml"])["tables"]
    return InitReport(name, folder, tuple(files), {table: str(d["kind"]) for table, d in declared.items()})
