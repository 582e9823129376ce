"""One verb at a time writes to a project."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import HoldfastError, StoreError

LOCK = ".lock"


@contextmanager
def project_lock(var: Path) -> Iterator[None]:
    """Hold ``var/<project>/.lock``; the system lets go of it when the process ends, however it ends.

    Raises
    ------
    HoldfastError
        Another verb is at work on the project.
    StoreError
        The folder cannot be written.
    """
    try:
        var.mkdir(parents=True, exist_ok=True)
        fd = os.open(var / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as e:
        raise StoreError(f"cannot write {var / LOCK}: {e.strerror}", fix="Check the disk and permissions.") from e
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            holder = os.read(fd, 32).decode(errors="replace").strip()
            raise HoldfastError(
                f"another holdfast verb is at work on {var}" + (f" (process {holder})" if holder else ""),
                fix="Wait for it to end.",
            ) from e
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)
