"""The online store under threads and under kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from online_tables import tables, write

from holdfast.stores.online import OnlineReader, OnlineWriter

IDS = [f"C{i:04d}" for i in range(300)]

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from online_tables import tables, write
from holdfast.stores.online import OnlineWriter
folder = Path(sys.argv[1])
t = tables([f"C{i:05d}" for i in range(3000)], seed=2)
print("ready", flush=True)
OnlineWriter(folder).switch(write(folder, t))
print("switched", flush=True)
"""


def test_a_switch_under_readers_never_mixes_generations(tmp_path: Path) -> None:
    writer = OnlineWriter(tmp_path)
    contents = [tables(IDS, seed=seed) for seed in range(3)]
    names = [write(tmp_path, t) for t in contents]
    truth = {n: t.scores.column("probability").to_pylist() for n, t in zip(names, contents, strict=True)}
    writer.switch(names[0])
    reader = OnlineReader(tmp_path)
    stop = threading.Event()
    wrong: list[str] = []
    seen: set[str] = set()

    def read() -> None:
        try:
            while not stop.is_set():
                reader.refresh()
                rows = list(reader.get_many(IDS).values())
                found = {r.generation for r in rows}
                one = reader.get(IDS[7])
                assert len(found) == 1, found
                assert one is not None
                assert one.probability == truth[one.generation][7]
                assert [r.probability for r in rows] == truth[rows[0].generation]
                seen.update(found)
        except Exception as e:
            wrong.append(repr(e))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(1, 10):
        name = write(tmp_path, contents[turn % 3])  # the one before last was removed
        writer.switch(name)
        time.sleep(0.03)
    stop.set()
    for thread in threads:
        thread.join()
    reader.close()
    assert wrong == []
    assert len(seen) == 3


@pytest.mark.parametrize("delay_ms", [0, 20, 50, 80, 120, 200])
def test_a_killed_writer_leaves_the_old_generation_or_the_new(tmp_path: Path, delay_ms: int) -> None:
    old = write(tmp_path, tables(IDS))
    OnlineWriter(tmp_path).switch(old)
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay_ms / 1000)
        os.kill(process.pid, signal.SIGKILL)
        switched = process.stdout.read() == "switched\n"
    reader = OnlineReader(tmp_path)
    serves = reader.current().generation
    assert serves == old or reader.meta.rows == 3000
    assert not (switched and serves == old)
    assert len(reader.worklist(limit=300).rows) == 300
    again = write(tmp_path, tables(IDS, seed=3))  # the next writer succeeds and clears what is left
    OnlineWriter(tmp_path).switch(again)
    assert not list(tmp_path.glob(".tmp~*"))
    assert reader.refresh()
    assert reader.current().previous == serves
