"""The application: routes over one project's online store and models folder."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI

from holdfast.api import about, admin, customers, explanations, health, openapi, problems, scores, threads
from holdfast.api.bundles import Bundles
from holdfast.api.edge import Edge
from holdfast.api.gate import Gate
from holdfast.api.keys import Keys
from holdfast.api.metrics import Metrics
from holdfast.api.rate import InProcess, Limiter
from holdfast.api.serving import Serving
from holdfast.api.store import Store
from holdfast.config.business import ServingSection
from holdfast.stores.online import online_store

if TYPE_CHECKING:
    from holdfast.stores.state import StateStore

_TAGS = [
    {"name": "customers", "description": "What was materialised: scores, reasons, decisions, work lists."},
    {"name": "scores", "description": "Many at once, or of rows that you bring."},
    {"name": "explanations", "description": "Exact contributions, and reasons in business words."},
    {"name": "model", "description": "What serves, and what it reads."},
    {"name": "admin", "description": "The API's keys; with a key of the role admin, on any address."},
    {"name": "health", "description": "For machines that watch."},
]


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


def create_app(
    online: Path,
    models: Path,
    serving: ServingSection,
    *,
    clock: Callable[[], datetime] = now,
    project: str,
    open_state: Callable[[], StateStore] | None = None,
    keys_required: bool = False,
) -> FastAPI:
    """The API of one project.

    Neither folder needs to hold anything yet: until they do, /readyz says what is missing.

    Parameters
    ----------
    online : ``var/<project>/online``, where the online store lies unless ``serving.store`` says elsewhere
    models : ``var/<project>/models``; the bundles that generations name lie in it
    serving : limits, and when a row is stale
    clock : the time in UTC, for how old rows are and when keys were used
    open_state : opens the state database, which holds the keys; None where there is none, and so no key
    keys_required : whether every request needs a key
    """
    metrics = Metrics(project)
    store = Store(online_store(serving, online, project), metrics)
    keys = Keys(open_state, project, metrics, clock)
    limiter = _limiter(serving, project, metrics)
    parts = Serving(project, store, Bundles(models, metrics), serving, metrics, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with suppress(problems.ApiProblem):  # said in the log and by /readyz
            await parts.model()  # so that rows can be scored even if the store goes before the first of them comes
        with suppress(problems.Unavailable):
            await threads.run(keys.read)
        following = asyncio.create_task(keys.follow())
        # The collector would go through every library's objects again and again: a tenth of a second each time, for
        # everyone who is waiting then. They stay as long as the process, so it is told to leave them out.
        gc.freeze()
        yield
        gc.unfreeze()
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await parts.bundles.close()
        if limiter is not None:
            await limiter.close()
        keys.close()
        store.close()

    app = FastAPI(
        title=f"Holdfast: {project}",
        summary="Who is about to leave, why, and what to do about it.",
        version=version("holdfast"),
        openapi_tags=_TAGS,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # they would repeat whatever Host the client sent
        # FastAPI's own telemetry records paths, which hold customer ids
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.keys = keys
    problems.install(app)
    app.add_middleware(Gate, keys=keys, required=keys_required, limiter=limiter)
    app.add_middleware(Edge, metrics=metrics, max_body_bytes=serving.max_body_bytes)
    for module in (customers, scores, explanations, about, health):
        app.include_router(module.routes(parts))
    app.include_router(admin.routes(keys))
    openapi.install(app, keys_required=keys_required)
    return app


def _limiter(serving: ServingSection, project: str, metrics: Metrics) -> Limiter | None:
    """Counts the requests of each key: where the online store is on Redis, for all workers and machines together."""
    if serving.rate_limit is None:
        return None
    if serving.store == "redis" and serving.redis_url is not None:
        from holdfast.api.rate_redis import Shared  # an extra

        url = serving.redis_url.get_secret_value()
        return Shared(url, f"holdfast:{project}:rate:", serving.rate_limit, metrics)
    return InProcess(serving.rate_limit)
