"""Connections that take their time, over real sockets: each kind of waiting ends, and says how where it can."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import uvicorn

from holdfast.api import edge
from holdfast.api.app import create_app
from holdfast.api.connections import MAX_HEAD_BYTES, Connection
from holdfast.api.serve import listen
from holdfast.config.business import ServingSection
from serving_world import World

QUICK = 0.4
POST = b"POST /v1/scores HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def serve(world: World) -> Iterator[Callable[..., int]]:
    """Serve with other limits than the usual; returns the port."""
    with ExitStack() as stack:

        def start(*, keep_alive: float = 30, **limits: Any) -> int:
            quick = type("Quick", (Connection,), limits)
            app = create_app(world.online, world.models, ServingSection(max_body_bytes=100_000), project="demo")
            listening = stack.enter_context(listen("127.0.0.1", 0))
            config = uvicorn.Config(
                app, http=quick, ws="none", log_config=None, access_log=False,
                h11_max_incomplete_event_size=MAX_HEAD_BYTES, timeout_keep_alive=keep_alive,  # type: ignore[arg-type]
            )  # fmt: skip
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()

            def stop() -> None:
                server.should_exit = True
                thread.join(20)

            stack.callback(stop)
            port: int = listening.getsockname()[1]
            return port

        yield start


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """The status and the problem of what comes until the server closes."""
    head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert problem["request_id"]
    assert problem["status"] == int(head.split()[1])
    return problem["status"], problem


def test_headers_that_do_not_come_are_not_waited_for(serve) -> None:
    port = serve(head_seconds=QUICK)
    with connect(port) as silent, connect(port) as slow, connect(port) as dripping:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        stop = threading.Event()

        def drip() -> None:
            dripping.sendall(b"GET /healthz HTTP/1.1\r\n")
            try:
                while not stop.wait(QUICK / 8):  # each comes well within the time: the head as a whole does not
                    dripping.sendall(b"X-A: b\r\n")
            except OSError:
                pass

        thread = threading.Thread(target=drip)
        thread.start()
        assert answer(slow)[0] == 408
        assert dripping.recv(9) == b"HTTP/1.1 "
        assert silent.recv(9) == b""
        stop.set()
        thread.join()


def test_a_second_request_has_its_own_time(serve) -> None:
    with connect(serve(head_seconds=QUICK)) as connection:
        for _ in range(2):
            connection.sendall(GET)
            received = b""
            while b"alive" not in received:
                received += connection.recv(9999)
            threading.Event().wait(QUICK / 2)
        connection.sendall(GET[:20])
        assert answer(connection)[0] == 408


def test_an_answer_to_head_has_no_body(serve) -> None:
    with connect(serve()) as connection:
        connection.sendall(GET.replace(b"GET", b"HEAD") + GET.replace(b"Host:", b"Connection: close\r\nHost:"))
        received = connection.makefile("rb").read()
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.count(b"content-length: 18") == 2
    assert received.count(b'"alive"') == 1


def test_a_connection_that_idles_is_closed(serve) -> None:
    with connect(serve(keep_alive=0.2)) as connection:
        connection.sendall(GET)
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200")  # read() ends when the server closes


def test_bodies_that_do_not_come_are_not_waited_for(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_SECONDS", QUICK)
    with connect(serve(linger_seconds=QUICK)) as connection:
        connection.sendall(POST + b"Content-Length: 100\r\n\r\n{")
        status, problem = answer(connection)
        assert status == 408
        assert "did not come" in problem["detail"]


@pytest.mark.parametrize("length", [b"Content-Length: 104857600\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_100_megabytes_are_refused_before_they_are_read(serve, length: bytes) -> None:
    port = serve(linger_bytes=1_000_000)
    with connect(port) as connection:
        connection.sendall(POST + length)
        sent = 0
        piece = b"x" * 65_536
        if b"chunked" in length:
            piece = b"10000\r\n" + piece + b"\r\n"
        try:
            while sent < 104_857_600:
                sent += connection.send(piece)
        except OSError:
            pass
        assert sent < 30_000_000  # what is under way in the two kernels' buffers is some of it
    with connect(port) as connection:  # who stops to listen hears why
        connection.sendall(POST + length + piece[:9])
        if b"chunked" in length:
            connection.sendall(piece[9:] + piece)
        assert answer(connection)[0] == 413


def test_who_sends_on_after_an_answer_is_cut_off(serve) -> None:
    with connect(serve(linger_seconds=QUICK)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n1")
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200")


def test_who_does_not_read_is_cut_off(serve) -> None:
    with connect(serve(read_seconds=QUICK)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = b"GET /v1/customers?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with pytest.raises(OSError, match=r"reset|Broken"):  # noqa: PT012 - which of them is cut off, the kernel knows
            for _ in range(10_000):
                connection.sendall(request * 20)


def test_more_connections_than_that_are_refused(serve) -> None:
    port = serve(most=2)
    with connect(port) as first, connect(port) as second, connect(port) as third:
        first.sendall(GET)
        second.sendall(GET)
        assert first.recv(9) == second.recv(9) == b"HTTP/1.1 "
        with suppress(ConnectionResetError):
            assert third.recv(9) == b""


NOT_HTTP = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS
    (b"GET /healthz HTTP/9\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\n\r\n", 400),  # no Host
    (b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 20_000, 431),
    (b"GET /?" + b"q" * 20_000, 431),
    (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    (POST + b"Content-Length: -5\r\n\r\n", 400),
    (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: b\r\n folded\x00\r\n\r\n", 400),
]


def test_what_is_not_http_is_a_problem_too(serve) -> None:
    port = serve()
    for sent, status in NOT_HTTP:
        with connect(port) as connection:
            connection.sendall(sent)
            assert answer(connection)[0] == status, sent[:60]
