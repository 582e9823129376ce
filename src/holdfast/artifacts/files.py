"""Writing without halves: everything goes to a temporary name beside its place, then is renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from holdfast.errors import StoreError

TEMPORARY = ".tmp~"
"""Temporary names are ``.tmp~<name>~<pid>~<random>``: no name of ours has a tilde, so no name is another's prefix."""

Stamp: TypeAlias = tuple[int, int, int]
"""Of a file: its inode, its size and when it was last written, in nanoseconds."""


def _temporary_prefix(path: Path) -> str:
    return f"{TEMPORARY}{path.name}~{os.getpid()}~"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and a final newline: the same value gives the same bytes."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def writing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends well it replaces ``path``, else it is removed.

    Raises
    ------
    StoreError
        The disk is full or not writable; ``path`` is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_temporary(path)
        fd, name = tempfile.mkstemp(prefix=_temporary_prefix(path), dir=path.parent)
        os.close(fd)
    except OSError as e:
        raise _cannot_write(path, e) from e
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    except OSError as e:
        raise _cannot_write(path, e) from e
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder; when the block ends well it takes the place of ``path``.

    A folder that stood there is moved aside first and removed after: a reader never finds half of one. A writer killed
    between the two renames leaves no folder there for a moment; the next writer puts the old one back first.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_temporary(path)
        temporary = Path(tempfile.mkdtemp(prefix=_temporary_prefix(path), dir=path.parent))
    except OSError as e:
        raise _cannot_write(path, e) from e
    try:
        yield temporary
        temporary.chmod(0o755)
        for file in temporary.rglob("*"):
            _fsync(file)
        _replace_folder(temporary, path)
        _fsync(path.parent)
    except OSError as e:
        raise _cannot_write(path, e) from e
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def settle(parent: Path) -> None:
    """`clear_temporary` for everything in a folder: what a killed writer had moved aside is there again."""
    names = {left.name.removeprefix(TEMPORARY).partition("~")[0] for left in parent.glob(f"{TEMPORARY}*~*")}
    for name in sorted(names):
        clear_temporary(parent / name)


def clear_temporary(path: Path) -> None:
    """Remove what killed writers of ``path`` left beside it; writers that still live keep theirs."""
    for left in path.parent.glob(f"{TEMPORARY}{path.name}~*"):
        pid = left.name.removeprefix(f"{TEMPORARY}{path.name}~").partition("~")[0]
        if pid.isdigit() and _alive(int(pid)):
            continue
        if left.is_dir():
            if not path.exists() and (left / path.name).is_dir():
                (left / path.name).rename(path)
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _replace_folder(new: Path, path: Path) -> None:
    if not path.exists():
        new.rename(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=_temporary_prefix(path), dir=path.parent))
    old = aside / path.name
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def stamps(files: Iterable[Path]) -> dict[Path, Stamp | None]:
    """What tells that a file was written, replaced or removed; None for one that is not there."""
    found: dict[Path, Stamp | None] = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found[file] = None
        else:
            found[file] = status.st_ino, status.st_size, status.st_mtime_ns
    return found


def sha256_of(file: Path) -> str:
    """The sha256 of a file's bytes, in hex; OSError if it cannot be read."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON atomically."""
    with writing_file(path) as temporary:
        temporary.write_text(canonical_json(value), encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write text atomically."""
    with writing_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot write {path}: {error.strerror or error}", fix="Free disk space or check permissions.")
