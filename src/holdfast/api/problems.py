"""Every error is a problem document (RFC 9457), says what to do, and never carries a traceback."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from holdfast.errors import MAX_PROBLEMS, DataError, HoldfastError, NotFoundError, Problem, UsageError, shown

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "holdfast.request_id"
RETRY_SECONDS = 5

_MAX_STEP_CHARS = 80


class ApiProblem(Exception):
    """A refusal that is meant for the client.

    Parameters
    ----------
    status : the HTTP status
    kind : a short name, the same for every refusal of its kind; the last part of ``type``
    detail : what is wrong here and what to do; no other customer's data, no server path
    errors : each thing that is wrong, at most `MAX_PROBLEMS` are shown
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        errors: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class Unavailable(ApiProblem):
    """503 with Retry-After: nothing is wrong with the request."""

    def __init__(self, kind: str, detail: str, errors: Sequence[Problem] = ()) -> None:
        super().__init__(503, kind, detail, errors, {"Retry-After": str(RETRY_SECONDS)})


def problem_response(scope: Scope, problem: ApiProblem) -> Response:
    """The document of one problem."""
    path, request_id = scope.get("path", ""), scope.get(REQUEST_ID, "")
    body = problem_body(HTTPStatus(problem.status), problem.kind, problem.detail, path, request_id)
    if problem.errors:
        body["errors"] = [_error(e) for e in problem.errors[:MAX_PROBLEMS]]
        if len(problem.errors) > MAX_PROBLEMS:
            body["more_errors"] = len(problem.errors) - MAX_PROBLEMS
    # in ASCII: what the client sent may hold lone surrogates, which UTF-8 cannot
    return Response(json.dumps(body).encode(), problem.status, problem.headers, MEDIA_TYPE)


def problem_body(status: HTTPStatus, kind: str, detail: str, path: str, request_id: str) -> dict[str, Any]:
    """The members that every problem document has."""
    return {
        "type": f"urn:holdfast:{kind}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "instance": path,
        "request_id": request_id,
    }


def _error(problem: Problem) -> dict[str, Any]:
    found: dict[str, Any] = {"where": problem.where, "what": problem.what, "fix": problem.fix}
    if problem.count is not None:
        found["count"] = problem.count
    return found


def field_path(steps: Sequence[int | str]) -> str:
    """A field's path in words of the request.

    >>> field_path(("body", "customer_ids", 3))
    'body.customer_ids[3]'
    """
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step[:_MAX_STEP_CHARS]}"
    return path.removeprefix(".")


def _invalid(request: Request, error: RequestValidationError) -> ApiProblem:
    sent = request.headers.get("content-type", "")
    if "json" not in sent.lower() and any(e["loc"][0] == "body" for e in error.errors()):
        what = f"the body's Content-Type is {shown(sent)}" if sent else "the body has no Content-Type"
        return ApiProblem(415, "not-json", f"{what}. Send application/json.")
    # the client's values are not repeated: they may be anything, and are the client's already
    problems = []
    for e in error.errors()[: MAX_PROBLEMS + 1]:
        if e["type"] == "json_invalid":
            problems.append(Problem("body", f"is not JSON at character {e['loc'][-1]}: {e['ctx']['error']}"))
        else:
            problems.append(Problem(field_path(e["loc"]), str(e["msg"]).removeprefix("Value error, ")))
    return ApiProblem(422, "invalid-request", "the request does not fit; see errors", problems)


def from_error(error: HoldfastError) -> ApiProblem:
    """What an error of ours means to a client; its message is shown only where it is about the request."""
    match error:
        case DataError():
            return ApiProblem(422, "invalid-request", str(error).partition("\n")[0], error.problems)
        case UsageError():
            return ApiProblem(422, "invalid-request", str(error))
        case NotFoundError():
            return ApiProblem(404, "not-found", str(error))
        case _:
            raise error  # not the client's business: `edge.Edge` logs it and answers 500


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


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem document."""

    async def own(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiProblem)
        return problem_response(request.scope, error)

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, HoldfastError)
        return problem_response(request.scope, from_error(error))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(request.scope, _invalid(request, error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = HTTPStatus(error.status_code)
        kind = status.phrase.lower().replace(" ", "-")
        detail = str(error.detail)
        headers = dict(error.headers or {})
        if status == HTTPStatus.NOT_FOUND:
            detail = "there is no such path; /docs lists them"
        elif status == HTTPStatus.METHOD_NOT_ALLOWED:
            detail = f"this path does not answer {request.method[:_MAX_STEP_CHARS]}"
            if headers.get("Allow") == "GET":
                headers["Allow"] = "GET, HEAD"  # `edge.Edge` answers HEAD
        return problem_response(request.scope, ApiProblem(status, kind, detail, headers=headers))

    app.add_exception_handler(ApiProblem, own)
    app.add_exception_handler(HoldfastError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
