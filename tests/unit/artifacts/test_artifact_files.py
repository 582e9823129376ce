"""Writing without halves: the old thing or the new one, never something between."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from holdfast.artifacts.files import TEMPORARY, canonical_json, write_json, write_text, writing_file, writing_folder
from holdfast.errors import StoreError


class Boom(Exception):
    pass


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_canonical_json_is_the_same_for_the_same_value() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == canonical_json({"a": "é", "b": 1}) == '{\n  "a": "é",\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "a", "one")
    write_text(tmp_path / "deep" / "a", "two")
    write_json(tmp_path / "deep" / "b", {"x": 1})
    assert (tmp_path / "deep" / "a").read_text() == "two"
    assert names(tmp_path / "deep") == ["a", "b"]
    assert stat.S_IMODE((tmp_path / "deep" / "a").stat().st_mode) == 0o644


def test_a_file_stays_as_it_was_when_the_block_fails(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "one")

    def half() -> None:
        with writing_file(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise Boom

    with pytest.raises(Boom):
        half()
    assert (tmp_path / "a").read_text() == "one"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_takes_its_place_whole(tmp_path: Path, existing: bool) -> None:
    place = tmp_path / "f"
    if existing:
        place.mkdir()
        (place / "old").write_text("old")
    with writing_folder(place) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "new").write_text("new")
        assert names(place) == ["old"] if existing else not place.exists()
    assert names(place) == ["sub"]
    assert (place / "sub" / "new").read_text() == "new"
    assert names(tmp_path) == ["f"]
    assert stat.S_IMODE(place.stat().st_mode) == 0o755


def test_a_folder_stays_as_it_was_when_the_block_fails(tmp_path: Path) -> None:
    place = tmp_path / "f"
    with writing_folder(place) as temporary:
        (temporary / "old").write_text("old")

    def half() -> None:
        with writing_folder(place) as temporary:
            (temporary / "half").write_text("half")
            raise Boom

    with pytest.raises(Boom):
        half()
    assert names(place) == ["old"]
    assert names(tmp_path) == ["f"]


def test_what_a_killed_writer_left_is_removed_and_the_living_keep_theirs(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / f"{TEMPORARY}f~{ended.pid}~dead").mkdir()
    (tmp_path / f"{TEMPORARY}f~{ended.pid}~file").write_text("x")
    alive = [f"{TEMPORARY}f-2~{ended.pid}~x", f"{TEMPORARY}f~{os.getppid()}~x", f"{TEMPORARY}g~{ended.pid}~x"]
    for name in alive:
        (tmp_path / name).mkdir()
    with writing_folder(tmp_path / "f"):
        pass
    assert names(tmp_path) == sorted([*alive, "f"])


def test_a_place_that_cannot_be_written_is_a_store_error_naming_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*/file/a"):
        write_text(tmp_path / "file" / "a", "x")
    with pytest.raises(StoreError, match=r"cannot write .*/file/f"), writing_folder(tmp_path / "file" / "f"):
        pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*/folder"):
        write_text(tmp_path / "folder", "x")
    assert names(tmp_path) == ["file", "folder"]


def test_a_disk_that_fills_up_midway_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*: No space left"), writing_file(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []
