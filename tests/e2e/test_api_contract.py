"""The API does what its description says, and no more: schemathesis asks for what it allows, and for what it does not.

By default a few made-up cases of each operation. With ``HOLDFAST_CONTRACT_EXAMPLES``, which `make prove` sets, so many
of them, what lies at the edges of every parameter besides, and all of it without keys too.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvicorn

from holdfast.api.app import create_app
from holdfast.api.connections import Connection
from holdfast.api.serve import listen
from holdfast.config.business import ServingSection
from holdfast.stores.state import StateStore
from serving_world import NOW, World, train

EXAMPLES = int(os.environ.get("HOLDFAST_CONTRACT_EXAMPLES", "0"))
FULL_CASES = 2000
SETTINGS = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[bool], tuple[str, str]]]:
    """Serve, asking for keys or not; returns the address and a key for everything."""
    with ExitStack() as stack:

        def start(keys_required: bool) -> tuple[str, str]:
            world = World(tmp_path)
            world.promote(train(3, estimator="logistic"), "1")
            address = f"sqlite:///{tmp_path}/state.db"
            state = StateStore(address)
            key = state.create_key("demo", "contract", "admin", actor="me")[1]
            state.close()
            app = create_app(
                world.online, world.models, ServingSection(rate_limit=None), clock=lambda: NOW, project="demo",
                open_state=lambda: StateStore(address), keys_required=keys_required,
            )  # fmt: skip
            listening = stack.enter_context(listen("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, http=Connection, ws="none", log_config=None, access_log=False))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()

            def stop() -> None:
                server.should_exit = True
                thread.join(20)

            stack.callback(stop)
            return f"http://127.0.0.1:{listening.getsockname()[1]}", key

        yield start


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("keys_required", [True, pytest.param(False, marks=pytest.mark.skipif(
    not EXAMPLES, reason="without keys, only with HOLDFAST_CONTRACT_EXAMPLES (make prove)"))])  # fmt: skip
def test_the_api_does_what_it_says(serve, tmp_path: Path, keys_required: bool) -> None:
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed (make setup)")
    address, key = serve(keys_required)
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(SETTINGS),
        "run",
        f"{address}/openapi.json",
    ]
    command += [
        "--checks",
        "all",
        "--continue-on-failure",
        "--generation-deterministic",
        "--no-color",
        "-H",
        f"X-API-Key: {key}",
    ]
    command += ["-n", str(EXAMPLES)] if EXAMPLES else ["-n", "3", "--phases", "examples,fuzzing"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1200)

    assert done.returncode == 0, done.stdout + done.stderr
    cases = re.search(r"([\d,]+) generated", done.stdout)
    assert cases, done.stdout
    print(f"schemathesis, {'with' if keys_required else 'without'} keys: {cases[1]} cases, no failure")  # noqa: T201
    assert int(cases[1].replace(",", "")) >= (FULL_CASES if EXAMPLES else 40)
