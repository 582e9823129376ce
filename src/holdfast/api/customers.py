"""GET /v1/customers and /v1/customers/{customer_id}: what was materialised, as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import StringConstraints
from starlette.responses import Response

from holdfast.api import threads
from holdfast.api.answers import Customer, Worklist, written
from holdfast.api.asked import CustomerId
from holdfast.api.openapi import problems
from holdfast.api.problems import ApiProblem
from holdfast.api.serving import INLINE_ROWS, Serving, model_of, unknown_customer
from holdfast.api.store import Store
from holdfast.errors import NotFoundError, UsageError
from holdfast.stores.online import OnlineRow, Order, Page, Reader

MAX_PAGE = 1000
PAGE = 50
_Word = Annotated[str, StringConstraints(max_length=100)]
_Cursor = Annotated[str, StringConstraints(max_length=4000)]


def stored_score(row: OnlineRow) -> dict[str, Any]:
    """The fields of `answers.StoredScore`."""
    return {
        "customer_id": row.customer_id,
        "probability": row.probability,
        "tier": row.tier,
        "segment": row.segment,
        "expected_value": row.expected_value,
    }


def _whole(row: OnlineRow) -> dict[str, Any]:
    return {**stored_score(row), "reasons": row.reasons, "decision": row.decision}


def routes(serving: Serving) -> APIRouter:
    """The routes of stored customers."""
    router = APIRouter(prefix="/v1/customers", tags=["customers"])
    store = serving.store

    @router.get(
        "",
        summary="The work list: customers by expected value",
        response_model=Worklist,
        responses=problems(409, 410, 422, 503),
    )
    async def worklist(
        tier: Annotated[_Word | None, Query(examples=["high"])] = None,
        segment: Annotated[_Word | None, Query(examples=["valued"])] = None,
        order: Order = "expected_value",
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = PAGE,
        cursor: Annotated[_Cursor | None, Query(description="next_cursor of the page before")] = None,
    ) -> Response:
        """Pages stay on the generation of the first one, so no customer is seen twice or missed. A cursor lives until
        its generation is removed (410)."""

        def read(reader: Reader) -> Page:
            return reader.worklist(tier, segment, limit=limit, cursor=cursor, order=order)

        many = limit > INLINE_ROWS
        # with both, one index is gone through until the other word was met often enough
        page = await _page(store, read, long=many or (tier is not None and segment is not None))
        answer = await threads.run(_told, serving, page) if many else _told(serving, page)
        serving.metrics.scores("stored", [row.probability for row in page.rows])
        return answer

    @router.get(
        "/{customer_id:path}",  # ids may hold slashes
        summary="One customer's score, reasons and decision",
        response_model=Customer,
        responses=problems(404, 409, 422, 503),
    )
    async def customer(customer_id: CustomerId) -> Response:
        """The score as of the serving generation, why, what was decided, and how old that is."""
        meta, row = await store.get(customer_id)
        if row is None:
            raise unknown_customer()
        freshness = serving.freshness(meta)
        with store.guard():
            found = Customer.model_validate(
                {**_whole(row), "freshness": freshness, "model": model_of(meta), "generation": meta.generation}
            )
        serving.metrics.scores("stored", [row.probability])
        return written(found)

    return router


def _told(serving: Serving, page: Page) -> Response:
    freshness = serving.freshness(page.meta)
    with serving.store.guard():
        found = Worklist.model_validate(
            {
                "customers": [_whole(row) for row in page.rows],
                "next_cursor": page.next_cursor,
                "freshness": freshness,
                "model": model_of(page.meta),
                "generation": page.meta.generation,
            }
        )
    return written(found)


async def _page(store: Store, read: Callable[[Reader], Page], *, long: bool) -> Page:
    try:
        return await store.worklist(read, long=long)
    except NotFoundError as e:
        detail = "the cursor's generation is no longer kept. Start again without a cursor."
        raise ApiProblem(410, "cursor-gone", detail) from e
    except (OverflowError, RecursionError) as e:  # made by hand: ours name a rank that there is
        raise UsageError("this is not a cursor", fix="Give next_cursor of the page before, or none.") from e
