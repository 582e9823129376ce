"""Which files a declared table is made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from holdfast.config.data import Table
from holdfast.errors import DataError, Problem, did_you_mean

SUFFIXES = (".parquet", ".csv")


def table_files(root: Path, path: str, *, where: str) -> Sequence[Path]:
    """The files of ``path`` (a file, a folder or a glob, relative to ``root``), sorted.

    Raises
    ------
    DataError
        Nothing is there, or the files are neither all Parquet nor all CSV.
    """
    target = root / path
    if target.is_dir():
        files = sorted(f for f in target.rglob("*") if f.suffix.lower() in SUFFIXES and not _hidden(f, target))
    elif target.is_file():
        files = [target]
    elif any(c in path for c in "*?["):
        anchor = Path(path)
        base, pattern = (
            (Path(anchor.anchor), str(anchor.relative_to(anchor.anchor)))
            if anchor.is_absolute()
            else (
                root,
                path,
            )
        )
        files = sorted(f for f in base.glob(pattern) if f.is_file() and not _hidden(f, base))
    else:
        files = []
    if not files:
        beside = [p.name for p in target.parent.iterdir()] if target.parent.is_dir() else []
        hint = did_you_mean(target.name, beside) if beside else f"the folder {target.parent} does not exist"
        raise DataError(
            "a source is missing", [Problem(where, f"no Parquet or CSV file at {target}", f"Check path: {hint}")]
        )
    kinds = {f.suffix.lower() for f in files}
    if len(kinds) > 1 or not kinds <= set(SUFFIXES):
        raise DataError(
            "a source cannot be read",
            [Problem(where, f"{target} holds {', '.join(sorted(kinds))} files", "Give one kind: .parquet or .csv.")],
        )
    return files


def require_columns(physical: Collection[str], config: Table, where: str) -> None:
    """Refuse a source that lacks columns of its declaration.

    Raises
    ------
    DataError
        Columns are missing, all of them together.
    """
    missing = [
        Problem(where, f"column '{c}' is missing", did_you_mean(c, physical))
        for c in config.source_columns()
        if c not in physical
    ]
    if missing:
        raise DataError(f"{where} is not as declared", missing)


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith((".", "_")) for part in file.relative_to(root).parts)
