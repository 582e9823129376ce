"""A folder of files under one manifest: written whole or not at all, and read only if every byte is as written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from holdfast.errors import MAX_EXAMPLES, NotFoundError, StoreError

MANIFEST = "manifest.json"


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` to a temporary sibling, flush them, and rename it into place.

    Raises
    ------
    StoreError
        Something else is there already, or the disk refuses.
    """
    if folder.exists():
        _same_or_refuse(folder, files)
        return
    partial: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        partial.chmod(0o755)  # mkdtemp makes it private
        for name, data in files.items():
            with (partial / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _flush(partial)
        partial.rename(folder)
        _flush(folder.parent)
    except OSError as error:
        if folder.exists():  # another process was first
            _same_or_refuse(folder, files)
            return
        raise StoreError(f"cannot write {folder}: {error}") from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def read_folder(folder: Path, form: str | None = None) -> dict[str, bytes]:
    """All files of ``folder``, the manifest included, after checking each against the manifest.

    Parameters
    ----------
    form : what the manifest's ``format`` must be; asked first, since another format may list its files otherwise

    Raises
    ------
    NotFoundError
        There is no manifest.
    StoreError
        The format is another; or a file is changed, missing or extra: all are named.
    """
    if not (folder / MANIFEST).is_file():
        raise NotFoundError(f"there is no bundle at {folder}: {MANIFEST} is missing")
    try:
        manifest = (folder / MANIFEST).read_bytes()
        body = json.loads(manifest)
        if form is not None and body["format"] != form:
            raise StoreError(
                f"{folder} is of format {body['format']!r}; this version of holdfast reads {form!r} alone",
                fix="Read it with the version of holdfast that wrote it, or train the model again",
            )
        listed: dict[str, str] = body["files"]
        present = {path.name for path in folder.iterdir()} - {MANIFEST}
        wrong = [f"{name} is missing" for name in sorted(set(listed) - present)]
        wrong += [f"{name} is not in the manifest" for name in sorted(present - set(listed))]
        files = {MANIFEST: manifest}
        for name in sorted(set(listed) & present):
            files[name] = (folder / name).read_bytes()
            if hashlib.sha256(files[name]).hexdigest() != listed[name]:
                wrong.append(f"{name} is changed")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"cannot read {folder}: {error}") from error
    if wrong:
        raise StoreError(
            f"{folder} is not as it was written: {'; '.join(wrong[:MAX_EXAMPLES])}",
            fix="Restore it from the registry or train again; never edit a bundle",
        )
    return files


def _same_or_refuse(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        same = read_folder(folder) == dict(files)
    except (NotFoundError, StoreError):
        same = False
    if not same:
        raise StoreError(f"{folder} exists and holds something else", fix="Choose another folder or remove it")


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
