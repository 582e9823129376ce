"""A full disk: said in words, exit code 1, nothing half-written, and the next run with room is as if nothing was."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from company import Call, tree, write_company

SIZE = "3m"
FILLER = "filler"


@pytest.fixture
def small_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tmpfs of a few megabytes as ``$HOLDFAST_HOME``."""
    disk = home / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("mounting a small tmpfs needs root")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    monkeypatch.setenv("HOLDFAST_HOME", str(disk))
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def leave(disk: Path, kilobytes: int) -> None:
    """Fill the disk up to so many free kilobytes."""
    free = shutil.disk_usage(disk).free - kilobytes * 1024
    (disk / FILLER).write_bytes(b"\0" * max(0, free))


def kept(disk: Path) -> dict[str, int]:
    return {p: s for p, s in tree(disk).items() if not p.startswith(("var/shop/state.db", "var/shop/.lock", FILLER))}


@pytest.mark.parametrize("kilobytes", [0, 16, 64])
def test_build(kilobytes: int, small_disk: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_company(small_disk)
    # the state database elsewhere: it is the dataset that must not fit
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", f"sqlite:///{tmp_path / 'state.db'}")
    before = kept(small_disk)
    leave(small_disk, kilobytes)
    got = call("build", "--project", "shop")
    assert (got.code, got.out) == (1, "")
    assert "Traceback" not in got.err
    assert "Free disk space" in got.err or "Check the disk" in got.err
    assert kept(small_disk) == before
    (small_disk / FILLER).unlink()
    assert call("build", "--project", "shop", "--quiet").code == 0
    assert not [p for p in tree(small_disk) if "tmp" in p]


def test_the_run_record_itself(small_disk: Path, call: Call) -> None:
    write_company(small_disk)
    leave(small_disk, 0)
    got = call("build", "--project", "shop")
    assert got.code == 1
    assert "Traceback" not in got.err
    assert "disk" in got.err


def test_init(small_disk: Path, call: Call, tmp_path: Path) -> None:
    tables = write_company(tmp_path / "mine")
    before = kept(small_disk)
    leave(small_disk, 0)
    got = call("init", "mine", "--table", f"customers={tables / 'customers.csv'}")
    assert got.code == 1
    assert "Free disk space" in got.err
    assert kept(small_disk) == before
