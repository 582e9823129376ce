"""``holdfast`` in forks of one process that has its libraries already: importing them is most of what a command takes.

    python forking.py SOCKET

waits for requests of `CLIENT`, the ``holdfast`` on PATH meanwhile: its words, folder, environment and open files.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from killed import LIBRARIES

CLIENT = """\
#!{python} -IS
import json, os, socket, sys
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(asked)
    code = server.recv(1)
sys.exit(code[0] if code else "holdfast: killed")
"""
MOST_BYTES = 1 << 20


@contextmanager
def forked(folder: Path) -> Iterator[Path]:
    """A folder for PATH whose ``holdfast`` runs in forks, until the end."""
    folder.mkdir()
    address = str(folder / "socket")
    client = folder / "holdfast"
    client.write_text(CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
    client.chmod(0o755)
    with subprocess.Popen([sys.executable, __file__, address], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        try:
            yield folder
        finally:
            server.kill()


def serve(address: str) -> None:
    """Fork for each request, and go on."""
    for library in LIBRARIES:
        importlib.import_module(library)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait below
        while True:
            asking, _ = listening.accept()
            with asking:
                if os.fork() == 0:
                    listening.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    answer(asking)
                    os._exit(0)


def answer(asking: socket.socket) -> None:
    """Run what is asked for in a child, and send its exit code; nothing if a signal ended it."""
    size, files, _, _ = socket.recv_fds(asking, 8, 3)
    asked = b""
    while len(asked) < int.from_bytes(size, "big"):
        asked += asking.recv(MOST_BYTES)
    child = os.fork()
    if child == 0:
        asking.close()
        os._exit(run(*json.loads(asked), files))
    for file in files:
        os.close(file)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code >= 0:
        asking.sendall(bytes([code]))


def run(words: list[str], folder: str, environ: dict[str, str], files: list[int]) -> int:
    """The exit code of ``holdfast``, as if it were a program of its own."""
    from holdfast.cli.entry import main

    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["holdfast", *words]
    try:
        code = main()
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code or 0


if __name__ == "__main__":
    serve(sys.argv[1])
