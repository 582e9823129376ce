"""Who may ask, and how often: between `edge.Edge` and the routes, before anything of a body is read."""

from __future__ import annotations

import math

from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.api.keys import Keys
from holdfast.api.loopback import is_named_loopback
from holdfast.api.problems import ApiProblem, problem_response
from holdfast.api.rate import Limiter
from holdfast.artifacts.keys import Key, Role

KEY = "holdfast.key"
OPEN = frozenset({"/", "/docs", "/openapi.json", "/healthz", "/readyz"})
"""What everyone may see: that it runs, and what every Holdfast's API looks like."""
OPEN_BELOW = "/docs/"
ADMIN_BELOW = "/v1/admin/"
"""Its routes check the role themselves, and write who was refused into the log of admin calls."""
SCORING = frozenset({"/v1/scores", "/v1/explanations"})

API_KEY_HEADER = "X-API-Key"
_AUTHORIZATION, _API_KEY = b"authorization", API_KEY_HEADER.lower().encode()
_BEARER = b"bearer "
_OTHER_HOST = (
    "without a key only requests to localhost or 127.0.0.1 are answered here, and the Host header names another. "
    "Ask for http://localhost, or send a key."
)
_HOW = f"Send a key as {API_KEY_HEADER}, or as Authorization: Bearer. An operator makes one: holdfast keys create"


class Gate:
    """Asks for keys, and counts what is asked with each.

    Parameters
    ----------
    required : whether every request needs a key; where not, admin calls still do, a wrong one is refused, and without
        one the Host must be this machine
    limiter : counts the requests of each key; None for no limit
    """

    def __init__(self, app: ASGIApp, *, keys: Keys, required: bool, limiter: Limiter | None) -> None:
        self.app = app
        self.keys = keys
        self.required = required
        self.limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await self._let_in(scope)
            except ApiProblem as refusal:
                await problem_response(scope, refusal)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _let_in(self, scope: Scope) -> None:
        path: str = scope["path"]
        if is_open(path):
            return
        sent = [_sent(name, value) for name, value in scope["headers"] if name in (_AUTHORIZATION, _API_KEY)]
        if not sent:
            if self.required or path.startswith(ADMIN_BELOW):
                raise _unauthorized(_HOW, "")
            if not all(is_named_loopback(value) for name, value in scope["headers"] if name == b"host"):
                raise ApiProblem(421, "other-host", _OTHER_HOST)
            return
        key = self.keys.find(sent[0]) if len(sent) == 1 else None
        if key is None:
            raise _unauthorized(f"this is not a key that is taken. {_HOW}", ', error="invalid_token"')
        scope[KEY] = key
        if self.limiter is not None and (wait := await self.limiter.take(key.key_id)) > 0:
            raise ApiProblem(
                429,
                "too-many-requests",
                "this key has asked too often (serving.rate_limit). Wait as Retry-After says.",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        needed = needed_role(path)
        if not key.may(needed):
            raise forbidden(key, needed)


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in OPEN or path.startswith(OPEN_BELOW)


def needed_role(path: str) -> Role:
    """The least role that a path needs. What is not known here needs one too, and is not found afterwards."""
    return "score" if path in SCORING else "read"


def forbidden(key: Key, needed: Role) -> ApiProblem:
    """403: the key is right, its role is not enough."""
    return ApiProblem(
        403,
        "forbidden",
        f"this needs a key with the role {needed}; this key's is {key.role}",
        headers={"WWW-Authenticate": 'Bearer realm="holdfast", error="insufficient_scope"'},
    )


def _unauthorized(detail: str, error: str) -> ApiProblem:
    return ApiProblem(401, "unauthorized", detail, headers={"WWW-Authenticate": f'Bearer realm="holdfast"{error}'})


def _sent(name: bytes, value: bytes) -> bytes:
    if name == _AUTHORIZATION and value[: len(_BEARER)].lower() == _BEARER:
        return value[len(_BEARER) :].strip()
    return value
