"""/healthz, /readyz and /metrics: for machines that watch."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from holdfast.api.answers import Health, Ready
from holdfast.api.metrics import CONTENT_TYPE
from holdfast.api.openapi import problems
from holdfast.api.problems import Unavailable
from holdfast.api.serving import Serving, model_of
from holdfast.errors import Problem


def routes(serving: Serving) -> APIRouter:
    """The routes of health."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="The process is alive")
    async def healthz() -> Health:
        """Always 200; restart the process if it does not answer."""
        return Health()

    @router.get("/readyz", summary="Customers can be served", responses=problems(503))
    async def readyz() -> Ready:
        """200 once there is an online generation and the bundle that it names; 503 with the reasons until then."""
        try:
            meta = await serving.store.meta()
            await serving.bundles.of(meta)
        except Unavailable as e:
            where = "model" if e.kind == "no-model" else "online store"
            raise Unavailable("not-ready", "not ready; see errors", [Problem(where, e.detail)]) from e
        return Ready(model=model_of(meta), generation=meta.generation)

    @router.get("/metrics", summary="Measures, for Prometheus", response_class=Response)
    async def metrics() -> Response:
        """Request times by route, scores given out, the generation's age, the model, and errors of the store."""
        try:
            meta = await serving.store.meta()
            serving.metrics.serves(
                meta.model_version,
                meta.bundle_sha256,
                meta.generation,
                meta.cutoff,
                serving.clock(),
                serving.is_stale(meta),
            )
        except Unavailable:
            serving.metrics.down()
        return Response(serving.metrics.text(), media_type=CONTENT_TYPE)

    return router
