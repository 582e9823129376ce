"""Downloads: verified, bounded, and never half a file in place."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError, StoreError, UsageError
from holdfast.sources.fetch import DATASETS, fetch

BODY = bytes(range(256)) * 1024
SHA = hashlib.sha256(BODY).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    stop = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path == "/drip":
            self.end_headers()
            self._drip()
            return
        declared = 10**12 if self.path == "/declared-huge" else len(BODY)
        if self.path != "/undeclared":
            self.send_header("Content-Length", str(declared))
        self.end_headers()
        if self.path == "/truncated":
            self.wfile.write(BODY[: len(BODY) // 2])
        elif self.path == "/stalls":
            self.wfile.write(BODY[: len(BODY) // 2])
            self.wfile.flush()
            self.stop.wait(20)
        elif self.path != "/declared-huge":
            self.wfile.write(BODY)

    def _drip(self) -> None:
        try:
            while not self.stop.wait(0.01):
                self.wfile.write(b"x")
                self.wfile.flush()
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    _Handler.stop.clear()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        _Handler.stop.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def names(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir()]


@pytest.mark.parametrize("path", ["/file", "/undeclared"])
def test_a_good_file_arrives_whole(server: str, tmp_path: Path, path: str) -> None:
    told: list[tuple[int, int | None]] = []
    dest = fetch(server + path, SHA, tmp_path / "deep" / "file", progress=lambda *a: told.append(a))
    assert dest.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY) if path == "/file" else None)
    assert names(dest.parent) == ["file"]


def test_a_file_already_there_is_kept_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY)
    assert fetch("http://127.0.0.1:9/file", SHA, tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/missing", "answered 404"),
        ("/truncated", f"broke off after {len(BODY) // 2} of {len(BODY)} bytes"),
        ("/stalls", "timed out"),
        ("/drip", "too slow"),
        ("/declared-huge", "longer than"),
    ],
)
def test_what_goes_wrong_is_named_and_leaves_the_old_file(server: str, tmp_path: Path, path: str, words: str) -> None:
    dest = tmp_path / "file"
    dest.write_bytes(b"old")
    with pytest.raises(HoldfastError, match=words) as caught:
        fetch(server + path, SHA, dest, timeout=0.3 if path == "/stalls" else 0.05 if path == "/drip" else 5)
    assert server + path in str(caught.value)
    assert caught.value.fix
    assert dest.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_wrong_hash_leaves_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match=f"its sha256 is {SHA}, not {'0' * 64}"):
        fetch(f"{server}/file", "0" * 64, tmp_path / "file")
    assert names(tmp_path) == []


def test_an_undeclared_long_body_is_cut_off(server: str, tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match="longer than 1000 bytes"):
        fetch(f"{server}/undeclared", SHA, tmp_path / "file", max_bytes=1000)
    assert names(tmp_path) == []


def test_nobody_listening_is_said(tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match=r"cannot be reached \(.*refused") as caught:
        fetch("http://127.0.0.1:9/file", SHA, tmp_path / "file")
    assert not isinstance(caught.value, StoreError)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("url", "sha"), [("file:///etc/passwd", SHA), ("http://x", "abc"), ("ftp://x/y", SHA)])
def test_other_addresses_and_hashes_are_refused(tmp_path: Path, url: str, sha: str) -> None:
    with pytest.raises(UsageError):
        fetch(url, sha, tmp_path / "file")


def test_an_unwritable_place_is_a_store_error(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder is needed")
    with pytest.raises(StoreError, match="cannot write"):
        fetch(f"{server}/file", SHA, tmp_path / "file" / "below")


def test_killed_midway_there_is_no_half_file_and_the_next_run_clears_up(server: str, tmp_path: Path) -> None:
    program = f"""
import pathlib
from holdfast.sources.fetch import fetch
dest = pathlib.Path({str(tmp_path / "file")!r})
fetch({server + "/stalls"!r}, {SHA!r}, dest, progress=lambda *told: print(told, flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # some bytes have come
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "file").exists()
    fetch(f"{server}/file", SHA, tmp_path / "file")
    assert names(tmp_path) == ["file"]


def test_the_pin_is_the_hash_of_the_file_we_measure_on(shared_data: Callable[[str], Path]) -> None:
    spec = DATASETS["telco"]
    assert hashlib.sha256(shared_data(f"telco/{spec.file}").read_bytes()).hexdigest() == spec.sha256
