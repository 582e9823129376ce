"""What every request passes: its id, the limit on its body, headers of safety, one log line, its time measured.

A plain ASGI class: Starlette's ``BaseHTTPMiddleware`` would cost more than reading a customer does.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.api.metrics import Metrics
from holdfast.api.problems import REQUEST_ID, ApiProblem, problem_response

REQUEST_ID_HEADER = "X-Request-ID"
QUIET_ROUTES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: logged at DEBUG."""
NO_ROUTE = "(none)"

# A client's id goes into logs: nothing in it may look like another log line.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID_HEADER, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope[REQUEST_ID] = request_id
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                out[REQUEST_ID_HEADER] = request_id
                for name, value in _SAFE_HEADERS.items():
                    out.setdefault(name, value)
            await send(message)

        try:
            too_large = _content_length(headers) > self.max_body_bytes
            if too_large:
                await problem_response(scope, self._too_large())(scope, receive, sending)
            else:
                await self.app(scope, self._limited(receive), sending)
        except Exception as error:
            log.error("request %s failed\n%s", request_id, trace_without_values(error))
            if status:
                # Part of an answer is out: only a broken connection tells the client. The message is ours,
                # so that no server log repeats the error's own.
                raise RuntimeError(f"request {request_id} failed after its answer began") from None
            detail = "something went wrong here; the server's log has the request_id"
            await problem_response(scope, ApiProblem(500, "internal", detail))(scope, receive, sending)
        finally:
            self._done(scope, status, time.perf_counter() - started)

    def _too_large(self) -> ApiProblem:
        return ApiProblem(
            413, "too-large", f"the body is larger than {self.max_body_bytes} bytes. Send smaller batches."
        )

    def _limited(self, receive: Receive) -> Receive:
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_body_bytes:  # a chunked body says no length beforehand
                raise HTTPException(413, self._too_large().detail)
            return message

        return limited

    def _done(self, scope: Scope, status: int, seconds: float) -> None:
        matched = scope.get("route")
        route = getattr(matched, "path_format", None) or getattr(matched, "path", None) or NO_ROUTE
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self.metrics.request(method, route, status, seconds)
        level = logging.DEBUG if route in QUIET_ROUTES else logging.INFO
        if log.isEnabledFor(level):
            # the route's template, never the path: paths hold customer ids
            log.log(
                level,
                "%s %s %d %.1f ms",
                method,
                route,
                status,
                seconds * 1000,
                extra={"request_id": scope[REQUEST_ID], "status": status, "route": route},
            )


def trace_without_values(error: BaseException) -> str:
    """Where an error came from, without its message: messages repeat what failed, and that may be a customer's row."""
    lines: list[str] = []
    link: BaseException | None = error
    while link is not None:
        lines += [*traceback.format_tb(link.__traceback__), f"{type(link).__module__}.{type(link).__qualname__}\n"]
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if link is not None:
            lines.append("from\n")
    return "".join(lines)


def _content_length(headers: Headers) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0
