"""Which files a declared table is made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from holdfast.config.data import Table
from holdfast.errors import DataError, Problem, did_you_mean, shown

SUFFIXES = (".parquet", ".csv")


def table_files(root: Path, path: str, *, where: str) -> Sequence[Path]:
    """The files of ``path`` (a file, a folder or a glob, relative to ``root``), sorted.

    Raises
    ------
    DataError
        Nothing is there, or the files are neither all Parquet nor all CSV.
    """
    target = root / path
    try:
        files = _found(root, path, target)
    except (OSError, ValueError) as e:  # a name too long, a link to itself, a folder that may not be read
        said = getattr(e, "strerror", None) or str(e)
        problem = Problem(where, f"{shown(str(target))} cannot be looked up: {said}", "Check path and its permissions.")
        raise DataError("a source is missing", [problem]) from e
    if not files:
        raise DataError("a source is missing", [_missing(target, where)])
    kinds = {f.suffix.lower() for f in files}
    if len(kinds) > 1 or not kinds <= set(SUFFIXES):
        raise DataError(
            "a source cannot be read",
            [Problem(where, f"{target} holds {', '.join(sorted(kinds))} files", "Give one kind: .parquet or .csv.")],
        )
    return files


def _found(root: Path, path: str, target: Path) -> list[Path]:
    if target.is_dir():
        return sorted(f for f in target.rglob("*") if f.suffix.lower() in SUFFIXES and _is_one(f, target))
    if target.is_file():
        return [target]
    if not any(c in path for c in "*?["):
        return []
    base, pattern = root, path
    if Path(path).is_absolute():
        base, pattern = Path(target.anchor), str(target.relative_to(target.anchor))
    return sorted(f for f in base.glob(pattern) if _is_one(f, base))


def _missing(target: Path, where: str) -> Problem:
    what = f"no Parquet or CSV file at {target}"
    if target.is_symlink():
        return Problem(where, f"{what}: it is a link to {target.readlink()}, which is not there", "Check the link.")
    if target.is_dir():
        return Problem(where, f"{what}: the folder has none", "Check path and the export.")
    if target.exists():
        return Problem(where, f"{what}: it is no regular file", "Check path.")
    beside = [p.name for p in target.parent.iterdir()] if target.parent.is_dir() else []
    hint = did_you_mean(target.name, beside) if beside else f"the folder {target.parent} does not exist"
    return Problem(where, what, f"Check path: {hint}")


def empty(where: str) -> DataError:
    """The error of a table without rows."""
    return DataError("a source is empty", [Problem(where, "has no rows", "Check the export.")])


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


def _is_one(file: Path, root: Path) -> bool:
    """Whether a file is one of a table's; hidden ones are not. A link to nothing is: its rows are missed."""
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(root).parts)
    return not hidden and (file.is_file() or (file.is_symlink() and not file.exists()))
