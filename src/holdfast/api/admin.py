"""/v1/admin: which keys there are, and revoking one. Every call is in the log of admin calls, refused ones too."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Request

from holdfast.api import threads
from holdfast.api.answers import ApiKey, ApiKeys
from holdfast.api.gate import KEY, forbidden
from holdfast.api.keys import Keys
from holdfast.api.openapi import problems
from holdfast.api.problems import Unavailable
from holdfast.artifacts.keys import ID, Key
from holdfast.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from holdfast.stores.state_tables import AdminOutcome, KeyRow

T = TypeVar("T")

log = logging.getLogger("holdfast.api")

KeyId = Annotated[str, Path(pattern=f"^{ID.pattern}$", description="As GET /v1/admin/keys lists it.")]


def routes(keys: Keys) -> APIRouter:
    """The routes for admins."""

    def record(key: Key, action: str, outcome: AdminOutcome) -> None:
        keys.state().log_admin(keys.project, _actor(key), action, "", outcome)

    async def admins_only(request: Request) -> None:
        key = _key(request)
        if key.may("admin"):
            return
        action = f"{request.method} {request.scope['route'].path_format}"
        log.warning("admin call refused: key %s (%s) %s", key.key_id, key.role, action)
        with suppress(StoreError, Unavailable):  # it is refused whether or not that can be written
            await threads.run(record, key, action, "refused")
        raise forbidden(key, "admin")

    router = APIRouter(prefix="/v1/admin", tags=["admin"], dependencies=[Depends(admins_only)])

    @router.get("/keys", summary="The API's keys", responses=problems(403, 503))
    async def list_keys(request: Request) -> ApiKeys:
        """Every key, newest first, without its secret; `last_used_at` is right to a minute or so."""
        key = _key(request)

        def read() -> list[KeyRow]:
            found = keys.state().keys(keys.project)
            record(key, "list keys", "done")
            return found

        rows = await _done(key, "list keys", read)
        return ApiKeys(keys=[_shown(row) for row in rows])

    @router.post("/keys/{key_id}/revoke", summary="Revoke a key", responses=problems(403, 404, 422, 503))
    async def revoke(request: Request, key_id: KeyId) -> ApiKey:
        """Make a key useless, at once here and within 5 seconds in other processes. Revoking it again changes
        nothing."""
        key = _key(request)

        def change() -> KeyRow:
            try:
                return keys.state().revoke_key(keys.project, key_id, actor=_actor(key))
            finally:
                keys.read()

        return _shown(await _done(key, f"revoke key {key_id}", change))

    return router


async def _done(key: Key, action: str, work: Callable[[], T]) -> T:
    try:
        found = await threads.run(work)
    except (NotFoundError, StoreError) as e:
        log.warning("admin call failed: key %s %s: %s", key.key_id, action, type(e).__name__)
        if isinstance(e, StoreError):
            raise Unavailable("state-unreadable", "the keys cannot be read or changed now; the log says why") from e
        raise
    log.info("admin call: key %s %s", key.key_id, action)
    return found


def _key(request: Request) -> Key:
    key: Key = request.scope[KEY]  # `gate.Gate` lets nobody come here without one
    return key


def _actor(key: Key) -> str:
    return f"key {key.key_id}"


def _shown(row: KeyRow) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        name=row.name,
        role=row.role,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
