"""Bodies as JSON: UTF-8, no name twice, and what is wrong said in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.responses import Response

from holdfast.errors import shown


class StrictRequest(Request):
    """A request whose JSON means one thing: of a name that comes twice, readers take the first, the last or either."""

    async def json(self) -> Any:
        """The body.

        Raises
        ------
        HTTPException
            400, with what is wrong.
        json.JSONDecodeError
            It is not JSON; FastAPI makes that a 422 which says where.
        """
        body = await self.body()
        try:
            found = from_json(body)
            # As many colons as names that were read: none came twice, and none is in a text. Reading with a look at
            # each object takes ten times as long.
            if body.count(b":") == _names(found):
                return found
        except ValueError:
            pass  # said below, and better
        try:
            return json.loads(body.decode(), object_pairs_hook=_each_once)
        except json.JSONDecodeError:
            raise
        except UnicodeDecodeError as e:
            raise HTTPException(400, f"the body is not UTF-8 at byte {e.start}") from e
        except RecursionError as e:
            raise HTTPException(400, "the body's JSON is nested too deeply") from e
        except ValueError as e:  # Python reads whole numbers of at most 4,300 digits
            raise HTTPException(400, "the body has a number with too many digits") from e


class StrictRoute(APIRoute):
    """A route that reads bodies so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def _names(value: Any) -> int:
    """How many names the objects of a JSON value have."""
    if isinstance(value, dict):
        return len(value) + sum(_names(v) for v in value.values() if isinstance(v, dict | list))
    if isinstance(value, list):
        return sum(_names(v) for v in value)
    return 0


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise HTTPException(400, f"the body's JSON has {shown(twice)} twice in one object")
    return found
