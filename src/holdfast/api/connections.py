"""Connections that take their time: uvicorn's HTTP protocol, with an end to each kind of waiting.

uvicorn limits how long a connection may idle between requests. It waits without end for the rest of a request's head,
for a client that sends on after it was answered, and for one that does not read what it is sent.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from http import HTTPStatus
from typing import Any, Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from holdfast.api.problems import MEDIA_TYPE, problem_body

KEEP_ALIVE_SECONDS = 15
MAX_HEAD_BYTES = 16_384
"""Of a request line and its headers."""
TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class Connection(H11Protocol):
    """One client's connection."""

    head_seconds = 10.0
    """For the request line and the headers, from the first byte on or, on a new connection, from its beginning."""
    linger_seconds = 2.0
    linger_bytes = 8_000_000
    """What a client may still send of a body that nobody wants, so that it comes to read its answer: closing at once
    would reset the connection, and the answer with it."""
    read_seconds = 30.0
    """For a client to take what it is sent."""
    most = 900
    """Connections of one process; systems allow 1,024 open files where nobody changes that."""

    _head: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _left: int | None = None
    """How many bytes are still thrown away, once a connection lingers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self.logger.warning("%d connections are open: another is refused", self.most)
            transport.abort()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop("_head")
        self._stop("_unread")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                self.transport.abort()
            return
        super().data_received(data)
        self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._left = self.linger_bytes
            self._unset_keepalive_if_required()
            self.flow.resume_reading()
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self._head = self.loop.call_later(self.linger_seconds, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(self.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop("_unread")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with a problem document; uvicorn calls this while it handles h11's error."""
        error = sys.exception()
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == TOO_LARGE:
            self._refuse(TOO_LARGE, "too-large", f"the headers are larger than {MAX_HEAD_BYTES} bytes")
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "bad-request", "this is not an HTTP request that can be read")

    def _await_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop("_head")
        elif self._head is None:
            self._head = self.loop.call_later(self.head_seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._head = None
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", "the request's headers did not come in time")
        else:  # nothing was asked: there is nothing to answer
            self.transport.close()

    def _refuse(self, status: HTTPStatus, kind: str, detail: str) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()  # part of an answer is out already
            return
        body = json.dumps(problem_body(status, kind, detail, "", uuid.uuid4().hex)).encode()
        headers: list[tuple[str, Any]] = [
            ("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(body))), ("Connection", "close"),
        ]  # fmt: skip
        for event in (
            h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _stop(self, name: Literal["_head", "_unread"]) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)
