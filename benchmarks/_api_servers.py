"""The servers that api.py measures, each a process of its own: ours, a bare FastAPI route, MLflow's scoring server."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 120


@contextmanager
def serving(kind: str, python: Path, argument: Path, log: Path) -> Iterator[int]:
    """Run one of the servers while the block runs; its port.

    Parameters
    ----------
    kind : ``holdfast``, ``bare`` or ``mlflow``
    python : what runs it
    argument : the folder of ``online`` and ``models``; a file of JSON to answer with; a folder that MLflow saved
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    if kind == "mlflow":
        words = ["-m", "mlflow", "models", "serve", "-m", str(argument), "-p", str(port), "-w", "1"]
        command = [str(python), *words, "--env-manager", "local"]
    else:
        command = [str(python), __file__, kind, str(argument), str(port)]
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    mine = {**os.environ, "PATH": path}
    if kind == "mlflow":
        mine.pop("PYTHONPATH", None)  # its environment is its own
    with log.open("wb") as said:
        # in a session of its own: MLflow's command starts another process, which must stop with it
        process = subprocess.Popen(command, stdout=said, stderr=said, env=mine, start_new_session=True)
    try:
        _until_up(process, port, log)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping"):
                return
        except urllib.error.HTTPError:
            return  # it answers, and knows no such page
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"a server did not start: {log.read_text()[-2000:]}")


def run_holdfast(root: Path, port: int) -> None:
    from holdfast.api.serve import Settings, serve
    from holdfast.config.business import ServingSection

    logging.basicConfig(level=logging.INFO)  # as the program does: a line for each request is part of the cost
    serve(Settings(root / "online", root / "models", ServingSection(ttl="36500d"), "bench"), "127.0.0.1", port)


def run_bare(file: Path, port: int) -> None:
    """One route, an answer of constant bytes, and uvicorn as `holdfast.api.serve` sets it."""
    import uvicorn
    from fastapi import FastAPI
    from starlette.responses import Response

    app, answer = FastAPI(), file.read_bytes()

    @app.get("/v1/customers/{customer_id:path}")
    async def customer(customer_id: str) -> Response:
        return Response(answer, media_type="application/json")

    uvicorn.run(app, port=port, access_log=False, log_config=None, server_header=False)


def get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        body: bytes = answer.read()
        return body


def post(port: int, path: str, body: object) -> bytes:
    data = json.dumps(body).encode()
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        found: bytes = answer.read()
        return found


if __name__ == "__main__":
    {"holdfast": run_holdfast, "bare": run_bare}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
