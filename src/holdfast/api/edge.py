"""What every request passes: its id, limits on its body, headers of safety, one log line, its time measured.

A plain ASGI class: Starlette's ``BaseHTTPMiddleware`` would cost more than reading a customer does.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.api.gate import KEY
from holdfast.api.metrics import Metrics
from holdfast.api.problems import REQUEST_ID, ApiProblem, Unavailable, problem_response, trace_without_values

REQUEST_ID_HEADER = "X-Request-ID"
QUIET_ROUTES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: logged at DEBUG."""
NO_ROUTE = "(none)"
BODY_SECONDS = 20.0
"""For a client to send its body."""
MAX_UNDER_WAY = 256
"""Requests of one process at a time; more are told to come again, before memory is short for all."""

# A client's id goes into logs: nothing in it may look like another log line.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
"""Where a route has not set them itself; names are in lower case everywhere in ASGI."""

log = logging.getLogger("holdfast.api")


class Edge:
    """The outermost layer of the API.

    Parameters
    ----------
    max_body_bytes : larger bodies are refused with 413
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, max_body_bytes: int) -> None:
        self.app = app
        self.metrics = metrics
        self.max_body_bytes = max_body_bytes
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID_HEADER, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope[REQUEST_ID] = request_id
        # HEAD is GET without the body, which the server leaves out
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                set_already = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    (REQUEST_ID_HEADER.lower().encode(), request_id.encode()),
                    *(header for header in _SAFE_HEADERS if header[0] not in set_already),
                ]
            await send(message)

        self._under_way += 1
        try:
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await problem_response(scope, refusal)(scope, receive, sending)
            else:
                await self.app(inner, self._limited(receive), sending)
        except Exception as error:
            log.error("request %s failed\n%s", request_id, trace_without_values(error))
            if status:
                # Part of an answer is out: only a broken connection tells the client. The message is ours,
                # so that no server log repeats the error's own.
                raise RuntimeError(f"request {request_id} failed after its answer began") from None
            detail = "something went wrong here; the server's log has the request_id"
            await problem_response(scope, ApiProblem(500, "internal", detail))(scope, receive, sending)
        finally:
            self._under_way -= 1
            self._done(inner, scope["method"], status, time.perf_counter() - started)

    def _refusal(self, scope: Scope, headers: Headers) -> ApiProblem | None:
        """Why a request goes no further, if it does not."""
        if self._under_way > MAX_UNDER_WAY and scope["path"] not in QUIET_ROUTES:
            return Unavailable("busy", f"{MAX_UNDER_WAY} requests are under way. Send it again later.")
        if _content_length(headers) > self.max_body_bytes:
            return self._too_large()
        if headers.get("content-encoding", "identity").lower() != "identity":
            detail = "compressed bodies are not taken. Send it without Content-Encoding."
            return ApiProblem(415, "encoded", detail, headers={"Accept-Encoding": "identity"})
        return None

    def _too_large(self) -> ApiProblem:
        return ApiProblem(
            413, "too-large", f"the body is larger than {self.max_body_bytes} bytes. Send smaller batches."
        )

    def _limited(self, receive: Receive) -> Receive:
        received = 0
        whole = False
        until: float | None = None

        async def limited() -> Message:
            nonlocal received, whole, until
            if whole:  # what is waited for now is the end of the connection
                return await receive()
            until = until or asyncio.get_running_loop().time() + BODY_SECONDS
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError as e:
                raise HTTPException(408, f"the body did not come within {BODY_SECONDS:g} seconds") from e
            whole = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > self.max_body_bytes:  # a chunked body says no length beforehand
                raise HTTPException(413, self._too_large().detail)
            return message

        return limited

    def _done(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        matched = scope.get("route")
        route = getattr(matched, "path_format", None) or getattr(matched, "path", None) or NO_ROUTE
        method = method if method in _METHODS else "OTHER"
        self.metrics.request(method, route, status, seconds)
        level = logging.DEBUG if route in QUIET_ROUTES else logging.INFO
        if log.isEnabledFor(level):
            key = scope.get(KEY)
            # the route's template, never the path: paths hold customer ids
            log.log(
                level,
                "%s %s %d %.1f ms%s",
                method,
                route,
                status,
                seconds * 1000,
                f" key {key.key_id}" if key else "",
                extra={"request_id": scope[REQUEST_ID], "status": status, "route": route},
            )


def _content_length(headers: Headers) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0
