"""Folders that are replaced whole: written beside their place, then renamed into it.

A run that is killed leaves what was there before, or nothing, and a folder named ``.<name>.writing-*`` or
``.<name>.before-*``, which the next run removes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import StoreError

WRITING, BEFORE = "writing", "before"


def remove_stale(place: Path) -> None:
    """Remove what killed runs left beside ``place``."""
    for kind in (WRITING, BEFORE):
        for beside in place.parent.iterdir():
            if beside.name.startswith(f".{place.name}.{kind}-"):
                shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def replacing(*places: Path) -> Iterator[Sequence[Path]]:
    """Yield an empty folder for each place; on success they take the places, on failure they are removed.

    The last place is renamed last: put the folder that callers check there. Two runs at once on one place are
    not supported: the later one removes the folder of the earlier, which then fails.

    Raises
    ------
    StoreError
        A folder cannot be made, written or renamed.
    """
    drafts: list[Path] = []
    try:
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            remove_stale(place)
            drafts.append(Path(tempfile.mkdtemp(prefix=f".{place.name}.{WRITING}-", dir=place.parent)))
        yield drafts
        for place, draft in zip(places, drafts, strict=True):
            _take_place(place, draft)
    except OSError as error:
        fix = "Check that the disk has room and the folder may be written, then run again"
        raise StoreError(f"cannot write {', '.join(map(str, places))}: {error}", fix=fix) from error
    finally:
        for draft in drafts:
            shutil.rmtree(draft, ignore_errors=True)


def _take_place(place: Path, draft: Path) -> None:
    draft.chmod(0o755)  # mkdtemp makes folders that only their owner may read
    if not place.exists():
        draft.rename(place)
        return
    before = draft.with_name(draft.name.replace(f".{WRITING}-", f".{BEFORE}-"))
    place.rename(before)
    try:
        draft.rename(place)
    except OSError:
        before.rename(place)
        raise
    shutil.rmtree(before, ignore_errors=True)
