"""The store's file damaged while it is open: 503 or the right answer, never another; all is well once it is mended."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from pathlib import Path

import pytest

from holdfast.models.bundle import Bundle
from holdfast.stores.online import OnlineWriter
from serving_world import IDS, ROW, World

BYTES, WRITER = "the same bytes", "materialize"


def damage_file(file: Path, damage: str, stack: contextlib.ExitStack) -> None:
    """Do it in place, as a disk or a person does; `replaced` by another file of the same name."""
    whole = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    elif damage == "cut short":
        with file.open("r+b") as handle:
            handle.truncate(len(whole) // 2)
    elif damage == "emptied":
        with file.open("r+b") as handle:
            handle.truncate(0)
    elif damage == "overwritten":
        with file.open("r+b") as handle:
            handle.write(b"garbage!" * (len(whole) // 8))
    elif damage == "replaced":
        other = file.with_suffix(".other")
        other.write_bytes(b"garbage!" * (len(whole) // 8))
        other.rename(file)
    else:
        handle = stack.enter_context(file.open("r+b"))
        fcntl.lockf(handle, fcntl.LOCK_EX)
        locker = stack.enter_context(contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=0)))
        with contextlib.suppress(sqlite3.OperationalError):  # the lock above may already be in its way
            locker.execute("BEGIN EXCLUSIVE")


@pytest.mark.parametrize(
    ("damage", "mended"),
    [
        ("deleted", WRITER),
        ("cut short", BYTES),
        ("emptied", WRITER),
        ("overwritten", BYTES),
        ("overwritten", WRITER),
        ("replaced", BYTES),
        ("locked", BYTES),
    ],
)
def test_a_file_damaged_while_open(open_api, world: World, bundle: Bundle, damage: str, mended: str, caplog) -> None:
    (file,) = world.online.glob("*.sqlite")
    whole = file.read_bytes()
    before = open_api(world)
    right = before.get("/v1/customers/C-0001").json()
    batch = before.post("/v1/scores", json={"customer_ids": IDS}).json()
    api = open_api(world)  # open, and nothing of the customers read yet that SQLite could keep in memory
    with contextlib.ExitStack() as stack:
        damage_file(file, damage, stack)
        failed = 0
        for _ in range(2):
            for customer_id in IDS[:100]:
                answer = api.get(f"/v1/customers/{customer_id}")
                assert answer.status_code in (200, 503)
                if answer.status_code == 503:
                    failed += 1
                    assert int(answer.headers["retry-after"]) > 0
                    assert str(world.root) not in answer.text
                else:
                    assert answer.json()["generation"] == right["generation"]
            many = api.post("/v1/scores", json={"customer_ids": IDS})
            assert many.status_code in (200, 503)
            if many.status_code == 200:
                assert many.json() == batch
        # in place it is met; a file that is open is read on whatever becomes of its name; nobody's lock matters
        assert (failed > 0) == (damage in ("cut short", "emptied", "overwritten"))
        assert len([r for r in caplog.records if "cannot be read" in r.getMessage()]) <= 3  # said, not repeated
        # whatever befell the store
        assert api.post("/v1/scores", json={"rows": [ROW]}).status_code == 200
        assert api.post("/v1/explanations", json={"rows": [ROW]}).status_code == 200
        assert api.get("/healthz").status_code == 200
    if mended == BYTES:
        copy = file.with_suffix(".copy")
        copy.write_bytes(whole)
        copy.rename(file)
    else:
        file.unlink(missing_ok=True)
        assert world.write(bundle, "1") == file.stem
        OnlineWriter(world.online).switch(file.stem)
    assert api.get("/v1/customers/C-0001").json() == right
    assert api.post("/v1/scores", json={"customer_ids": IDS}).json() == batch
    assert api.get("/readyz").status_code == 200
