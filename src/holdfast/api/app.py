"""The application: routes over one project's online store and models folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI

from holdfast.api import about, customers, explanations, health, openapi, problems, scores
from holdfast.api.bundles import Bundles
from holdfast.api.edge import Edge
from holdfast.api.metrics import Metrics
from holdfast.api.serving import Serving
from holdfast.api.store import Store
from holdfast.config.business import ServingSection
from holdfast.stores.online import online_store

_TAGS = [
    {"name": "customers", "description": "What was materialised: scores, reasons, decisions, work lists."},
    {"name": "scores", "description": "Many at once, or of rows that you bring."},
    {"name": "explanations", "description": "Exact contributions, and reasons in business words."},
    {"name": "model", "description": "What serves, and what it reads."},
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
) -> FastAPI:
    """The API of one project.

    Neither folder needs to hold anything yet: until they do, /readyz says what is missing.

    Parameters
    ----------
    online : ``var/<project>/online``, where the online store lies unless ``serving.store`` says elsewhere
    models : ``var/<project>/models``; the bundles that generations name lie in it
    serving : limits, and when a row is stale
    clock : the time in UTC, for how old rows are
    """
    metrics = Metrics(project)
    store = Store(online_store(serving, online, project), metrics)
    parts = Serving(project, store, Bundles(models, metrics), serving, metrics, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with suppress(problems.ApiProblem):  # said in the log and by /readyz
            await parts.model()  # so that rows can be scored even if the store goes before the first of them comes
        yield
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
    problems.install(app)
    app.add_middleware(Edge, metrics=metrics, max_body_bytes=serving.max_body_bytes)
    for module in (customers, scores, explanations, about, health):
        app.include_router(module.routes(parts))
    openapi.install(app)
    return app
